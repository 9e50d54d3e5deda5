use super::*;

/// The document and the expected versions are what 2.1.5's `cibadmin` did on a file.
const DOC: &str = r#"<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" epoch="5" num_updates="3" admin_epoch="0"><configuration><crm_config/><nodes><node id="1" uname="n1"/><node id="2" uname="n2"/></nodes><resources><primitive id="A" class="ocf" provider="heartbeat" type="Dummy"/></resources><constraints/></configuration><status/></cib>"#;

/// As `crm_diff --no-version` makes them and crmsh sends them.
const PATCH: &str = "<diff format='2'><change operation='create' path='/cib/configuration/nodes' position='0'><node id='7' uname='n7'/></change></diff>";

fn doc() -> Arc<Element> {
    Arc::new(xml::parse(DOC).unwrap())
}

fn run(op: Op, section: &str, options: u32, input: Option<&str>) -> Outcome {
    let input = input.map(|text| xml::parse(text).unwrap());
    let request = Request {
        section,
        input: input.as_ref(),
        options,
        now: "Thu Feb 29 12:00:00 2024",
        like_2_1_5: true,
        ..Request::default()
    };
    perform(&doc(), op, &request)
}

fn version(outcome: &Outcome) -> String {
    match &outcome.document {
        Some(document) => CibVersion::of(document).to_string(),
        None => format!("{:?}", outcome.rc),
    }
}

#[test]
fn counters_rise_as_in_2_1_5() {
    let whole = DOC.replace("n1", "n7");
    let newer = DOC.replace("epoch=\"5\"", "epoch=\"7\"");
    let older = DOC.replace("num_updates=\"3\"", "num_updates=\"2\"");
    let same = "OK (0)";
    let root = |epoch: u32| {
        format!(
            "<cib crm_feature_set='3.16.1' validate-with='pacemaker-3.9' epoch='{epoch}' num_updates='3' admin_epoch='0'/>"
        )
    };
    let patch_to_nine = PATCH.replace(
        "<change ",
        &format!(
            "<version><source admin_epoch='0' epoch='5' num_updates='3'/><target admin_epoch='0' \
             epoch='9' num_updates='3'/></version><change operation='modify' path='/cib'>\
             <change-result>{}</change-result></change><change ",
            root(9)
        ),
    );
    for (op, section, options, input, expected) in [
        (Op::Modify, "", 0, Some("<node id='1' uname='n1'/>"), same),
        (Op::Modify, "", 0, Some("<node id='1' uname='n9'/>"), "0.6.0"),
        (Op::Modify, "nodes", call::CAN_CREATE, Some("<node id='3' uname='n3'/>"), "0.5.4"),
        (Op::Create, "nodes", 0, Some("<node id='3' uname='n3'/>"), "0.6.0"),
        (Op::Replace, "nodes", 0, Some("<node id='2' uname='n2'/>"), same),
        (Op::Replace, "nodes", 0, Some("<node id='2' uname='n3'/>"), "0.6.0"),
        (Op::Replace, "nodes", 0, Some("<node uname='n2' id='2'/>"), "0.6.0"),
        (
            Op::Replace,
            "//nodes/node[@id='2']",
            call::XPATH,
            Some("<node id='2' uname='n2'/>"),
            "0.6.0",
        ),
        (Op::Replace, "", 0, Some(DOC), same),
        (Op::Replace, "", 0, Some(whole.as_str()), "0.6.0"),
        (Op::Replace, "", 0, Some(newer.as_str()), "0.7.4"),
        (Op::Replace, "", 0, Some(older.as_str()), "pcmk_err_old_data (-205)"),
        (Op::Delete, "", 0, Some("<node id='2'/>"), "0.6.0"),
        (Op::Delete, "", 0, Some("<node id='9'/>"), same),
        (Op::Delete, "//node", call::XPATH, None, "0.6.0"),
        (Op::Bump, "", 0, None, "0.6.4"),
        (Op::Erase, "", 0, None, "1.6.0"),
        (Op::Modify, "status", call::CAN_CREATE, Some("<node_state id='1' x='y'/>"), "0.5.4"),
        (Op::Create, "status", 0, Some("<node_state id='1' x='y'/>"), "0.5.4"),
        (Op::Modify, "", 0, Some("<cib have-quorum='1'/>"), "0.5.4"),
        (Op::Modify, "", 0, Some("<cib foo='bar'/>"), "pcmk_err_schema_validation (-203)"),
        (Op::Modify, "", 0, Some("<cib admin_epoch='admin_epoch++'/>"), "1.5.4"),
        (Op::Modify, "", 0, Some("<cib epoch='3'/>"), "pcmk_err_old_data (-205)"),
        (
            Op::Modify,
            "rsc_defaults",
            0,
            Some("<rsc_defaults><meta_attributes id='x'/></rsc_defaults>"),
            "0.6.0",
        ),
        (Op::Upgrade, "", 0, None, "pcmk_err_schema_unchanged (-211)"),
        (Op::Patch, "", 0, Some(PATCH), "0.6.0"),
        (Op::Patch, "", 0, Some(patch_to_nine.as_str()), "0.10.0"),
    ] {
        let outcome = run(op, section, options, input);
        assert_eq!(version(&outcome), expected, "{op:?} {section} {input:?}");
    }
}

#[test]
fn an_upgrade_resets_the_epoch() {
    let mut old = Element::clone(&doc());
    old.set("validate-with", "pacemaker-2.10");
    let outcome = perform(&Arc::new(old), Op::Upgrade, &Request::default());
    assert_eq!(version(&outcome), "1.1.2");
    assert!(outcome.diff.is_some());
}

#[test]
fn a_change_is_stamped_and_its_patch_leads_there() {
    let input = xml::parse("<node id='1' uname='n9'/>").unwrap();
    let request = Request {
        input: Some(&input),
        origin: Some("alpha"),
        client: Some("cibadmin"),
        user: "root",
        now: "then",
        want_digest: true,
        ..Request::default()
    };
    let outcome = perform(&doc(), Op::Modify, &request);
    let new = outcome.document.unwrap();
    let stamps = ["cib-last-written", "update-origin", "update-client", "update-user"];
    assert_eq!(stamps.map(|name| new.get(name).unwrap()), ["then", "alpha", "cibadmin", "root"]);
    let patched = patch::apply(&doc(), &outcome.diff.unwrap()).unwrap();
    assert_eq!(digest::v2(&patched), digest::v2(&new));
    assert!(patched.get("update-origin").is_none() && outcome.persist);
}

#[test]
fn a_refused_change_changes_nothing_and_shows_what_it_was() {
    let outcome = run(Op::Create, "resources", 0, Some("<primitive id='B' colour='red'/>"));
    assert_eq!(outcome.rc, Rc::SCHEMA_VALIDATION);
    assert!(outcome.document.is_none() && !outcome.persist);
    assert!(outcome.output.unwrap().find_id("B").is_some());
    let outcome = run(Op::Modify, "", 0, Some("<cib crm_feature_set='9.0.0'/>"));
    assert_eq!(outcome.rc, Rc::EPROTONOSUPPORT);
}

#[test]
fn queries_answer_with_elements_or_addresses() {
    let answer = |section: &str, options| {
        let outcome = run(Op::Query, section, options, None);
        outcome.output.map_or_else(|| format!("{:?}", outcome.rc), |output| output.to_text())
    };
    assert_eq!(answer("nodes", call::NO_CHILDREN), "<nodes/>");
    assert_eq!(answer("tags", 0), "ENXIO (-6)");
    assert_eq!(answer("//node[@id='2']", call::XPATH), "<node id=\"2\" uname=\"n2\"/>");
    assert!(answer("//node", call::XPATH).starts_with("<xpath-query><node id=\"1\""));
    assert_eq!(
        answer("//node[@id='1']", call::XPATH | call::XPATH_ADDRESS),
        "<xpath-query><xpath-query-path id=\"/cib/configuration/nodes/node[@id=&apos;1&apos;]\"/>\
         </xpath-query>"
            .replace("&apos;", "'")
    );
    assert_eq!(answer("//nothing", call::XPATH), "ENXIO (-6)");
}

#[test]
fn a_full_copy_keeps_its_counters() {
    let newer = DOC.replace("epoch=\"5\"", "epoch=\"9\"").replace("n1", "nX");
    let input = xml::parse(&newer).unwrap();
    let digest = digest::v2(&input);
    let mut request = Request {
        input: Some(&input),
        counters_given: true,
        digest: Some(&digest),
        options: call::NO_MTIME,
        ..Request::default()
    };
    let outcome = perform(&doc(), Op::Replace, &request);
    assert_eq!(outcome.document.unwrap().to_text(), input.to_text());
    request.digest = Some("0123");
    assert_eq!(perform(&doc(), Op::Replace, &request).rc, Rc::OLD_DATA);
}

#[test]
fn a_document_given_for_a_section_stands_for_that_section() {
    let cib = Arc::new(xml::parse(DOC).unwrap());
    let attempt = |op, section, text: &str| {
        let input = xml::parse(text).unwrap();
        let request = Request { section, input: Some(&input), now: "now", ..Request::default() };
        perform(&cib, op, &request)
    };
    let whole = DOC.replace("epoch=\"5\"", "epoch=\"99\"").replace("id=\"A\"", "id=\"Z\"");
    let outcome = attempt(Op::Replace, "resources", &whole);
    let new = outcome.document.unwrap();
    assert_eq!(new.get("epoch"), Some("6"));
    assert!(new.find_id("Z").is_some() && new.find_id("A").is_none());
    let new = attempt(Op::Modify, "resources", &whole).document.unwrap();
    assert!(new.find_id("Z").is_some() && new.find_id("A").is_some());
    for op in [Op::Replace, Op::Modify, Op::Create, Op::Delete] {
        let outcome = attempt(op, "resources", "<cib epoch='99'/>");
        assert_eq!((outcome.rc, outcome.document.is_none()), (Rc::EINVAL, true), "{op:?}");
    }
}
