use super::*;

const DOC: &str = "<cib epoch='1'><configuration><crm_config/><nodes><node id='1' uname='a'/>\
                   <node id='2' uname='b'/></nodes><resources/><constraints/></configuration>\
                   <status/></cib>";

fn doc() -> Element {
    xml::parse(DOC).unwrap()
}

fn el(text: &str) -> Element {
    xml::parse(text).unwrap()
}

fn nodes(cib: &Element) -> String {
    cib.at(&["configuration", "nodes"]).unwrap().to_text()
}

#[test]
fn create_adds_what_is_new() {
    let mut cib = doc();
    create(&mut cib, "nodes", &el("<node id='3' uname='c'/>"), false).unwrap();
    create(
        &mut cib,
        "nodes",
        &el("<nodes><node id='4'><x id='q'/><x id='q' y='1'/></node></nodes>"),
        false,
    )
    .unwrap();
    assert_eq!(
        nodes(&cib),
        "<nodes><node id=\"1\" uname=\"a\"/><node id=\"2\" uname=\"b\"/>\
         <node id=\"3\" uname=\"c\"/><node id=\"4\"><x id=\"q\" y=\"1\"/></node></nodes>"
    );
    let error = create(&mut cib, "nodes", &el("<nodes><node id='2' uname='z'/></nodes>"), false);
    let error = error.unwrap_err();
    assert_eq!(error.rc, Rc::EEXIST);
    assert_eq!(
        error.failed.unwrap().to_text(),
        "<failed><failed_update id=\"2\" object_type=\"node\" operation=\"cib_create\" \
         reason=\"File exists\"><node id=\"2\" uname=\"z\"/></failed_update></failed>"
    );
    let missing = create(&mut cib, "rsc_defaults", &el("<meta_attributes id='m'/>"), false);
    assert_eq!(missing.unwrap_err().rc, Rc::EINVAL);
    assert!(cib.at(&["configuration", "rsc_defaults"]).is_none());
}

#[test]
fn modify_merges_and_never_removes() {
    let mut cib = doc();
    modify(&mut cib, "", &el("<node id='2' type='member'><x id='1'/></node>"), false).unwrap();
    modify(&mut cib, "nodes", &el("<nodes><node id='2'><x id='1' y='2'/></node></nodes>"), false)
        .unwrap();
    assert_eq!(
        nodes(&cib),
        "<nodes><node id=\"1\" uname=\"a\"/><node id=\"2\" uname=\"b\" type=\"member\">\
         <x id=\"1\" y=\"2\"/></node></nodes>"
    );
    let new = el("<node id='9' uname='z'/>");
    assert_eq!(modify(&mut cib, "nodes", &new, false), Err(Rc::ENXIO));
    assert!(modify(&mut cib, "nodes", &new, true).unwrap().appended);
    assert!(nodes(&cib).ends_with("<node id=\"9\" uname=\"z\"/></nodes>"));
    modify(&mut cib, "", &el("<cib epoch='epoch++' n='n+=7'/>"), false).unwrap();
    settle_increments(&doc(), &mut cib);
    assert_eq!((cib.get("epoch"), cib.get("n")), (Some("2"), Some("7")));
}

#[test]
fn an_xpath_modify_stops_at_its_first_match() {
    let mut cib = doc();
    let input = el("<node id='2' x='1'/>");
    modify_xpath(&mut cib, "//nodes", &input, false, false, false).unwrap();
    assert_eq!(cib.find_id("2").unwrap().get("x"), Some("1"));
    assert_eq!(
        modify_xpath(&mut cib, "//node[@id='1']", &input, false, false, false),
        Err(Rc::ENXIO)
    );
    assert_eq!(modify_xpath(&mut cib, "//node", &input, true, false, true), Err(Rc::ENXIO));
    modify_xpath(&mut cib, "//node", &input, false, false, false).unwrap();
    assert_eq!(modify_xpath(&mut cib, "//nothing", &input, true, false, false), Err(Rc::ENXIO));
    assert_eq!(modify_xpath(&mut cib, "//[", &input, true, false, false), Err(Rc::ENXIO));
}

#[test]
fn delete_takes_the_first_that_fits() {
    let mut cib = doc();
    delete(&mut cib, "nodes", &el("<node uname='B'/>")).unwrap();
    assert_eq!(nodes(&cib), "<nodes><node id=\"1\" uname=\"a\"/></nodes>");
    delete(&mut cib, "nodes", &el("<node id='77'/>")).unwrap();
    delete(&mut cib, "nodes", &el("<nodes><node id='1'/></nodes>")).unwrap();
    assert_eq!(nodes(&cib), "<nodes/>");
    assert_eq!(delete_xpath(&mut cib, "/cib", false), Err(Rc::EINVAL));
    delete_xpath(&mut cib, "//nothing", false).unwrap();

    let mut cib = doc();
    delete_xpath(&mut cib, "//node | //nodes", true).unwrap();
    assert!(cib.at(&["configuration", "nodes"]).is_none());
    let mut cib = doc();
    delete_xpath(&mut cib, "//node", true).unwrap();
    assert_eq!(nodes(&cib), "<nodes/>");
}

#[test]
fn replace_needs_a_target() {
    let mut cib = doc();
    replace(&mut cib, "nodes", &el("<nodes><node id='7' uname='q'/></nodes>")).unwrap();
    assert_eq!(nodes(&cib), "<nodes><node id=\"7\" uname=\"q\"/></nodes>");
    replace(&mut cib, "nodes", &el("<node id='7' uname='r'/>")).unwrap();
    assert_eq!(nodes(&cib), "<nodes><node id=\"7\" uname=\"r\"/></nodes>");
    assert_eq!(replace(&mut cib, "nodes", &el("<node id='8'/>")), Err(Rc::ENXIO));

    let mut cib = doc();
    replace_xpath(&mut cib, "//node[@id='1']", &el("<node id='1' uname='z'/>"), false).unwrap();
    assert_eq!(
        nodes(&cib),
        "<nodes><node id=\"2\" uname=\"b\"/><node id=\"1\" uname=\"z\"/></nodes>"
    );
    assert_eq!(replace_xpath(&mut cib, "//x", &el("<x/>"), false), Err(Rc::ENXIO));
}

#[test]
fn mixed_updates_delete_marked_elements() {
    let mut cib = doc();
    modify(&mut cib, "nodes", &el("<node id='1' __delete__='1'/>"), false).unwrap();
    drop_deleted(&doc(), &mut cib);
    assert_eq!(nodes(&cib), "<nodes><node id=\"2\" uname=\"b\"/></nodes>");
}
