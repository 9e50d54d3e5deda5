use super::*;

fn cib(schema: &str, configuration: &str) -> Element {
    xml::parse(&format!(
        "<cib validate-with='{schema}' admin_epoch='0' epoch='1' num_updates='0'><configuration>\
         {configuration}</configuration><status/></cib>"
    ))
    .unwrap()
}

#[test]
fn a_clean_document_only_changes_its_schema() {
    let old = cib("pacemaker-1.2", "<crm_config/><nodes/><resources/><constraints/>");
    let new = upgrade(&old, None).unwrap();
    assert_eq!(new.get("validate-with"), Some("pacemaker-3.9"));
    let new = upgrade(&old, Some("pacemaker-2.5")).unwrap();
    assert_eq!(new.get("validate-with"), Some("pacemaker-2.5"));
}

#[test]
fn old_options_get_their_new_names_and_places() {
    let old = cib(
        "pacemaker-1.2",
        "<crm_config><cluster_property_set id='o'>\
         <nvpair id='a' name='default-resource-stickiness' value='50'/>\
         <nvpair id='b' name='no_quorum_policy' value='ignore'/>\
         <nvpair id='c' name='cluster-infrastructure' value='openais'/>\
         <nvpair id='d' name='expected-quorum-votes' value='2'/></cluster_property_set>\
         </crm_config><nodes><node id='n1' uname='n1' type='normal'/></nodes><resources/>\
         <constraints/>",
    );
    let new = upgrade(&old, None).unwrap();
    assert_eq!(new.get("validate-with"), Some("pacemaker-3.9"));
    let configuration = new.child("configuration").unwrap();
    assert_eq!(
        configuration.child("crm_config").unwrap().to_text(),
        "<crm_config><cluster_property_set id=\"o\">\
         <nvpair id=\"b\" name=\"no-quorum-policy\" value=\"ignore\"/></cluster_property_set>\
         </crm_config>"
    );
    assert_eq!(
        configuration.child("rsc_defaults").unwrap().to_text(),
        "<rsc_defaults><meta_attributes id=\"_2TO3_-rsc-defaults\"><nvpair id=\"a\" \
         name=\"resource-stickiness\" value=\"50\"/></meta_attributes></rsc_defaults>"
    );
    assert_eq!(configuration.at(&["nodes", "node"]).unwrap().get("type"), Some("member"));
}

#[test]
fn access_control_gets_its_new_words() {
    let old = cib(
        "pacemaker-1.3",
        "<crm_config/><nodes/><resources/><constraints/><acls><acl_user id='ann'>\
         <read id='r' xpath='/cib' attribute='x'/></acl_user><acl_user id='bob'/></acls>",
    );
    let new = upgrade(&old, None).unwrap();
    assert_eq!(
        new.at(&["configuration", "acls"]).unwrap().to_text(),
        "<acls><acl_target id=\"ann\"><role id=\"auto-ann\"/></acl_target>\
         <acl_role id=\"auto-ann\"><acl_permission id=\"r\" kind=\"read\" xpath=\"/cib[@x]\"/>\
         </acl_role><acl_target id=\"bob\"/></acls>"
    );
}

#[test]
fn what_is_valid_nowhere_is_refused() {
    let old = cib("pacemaker-2.0", "<bogus/>");
    assert_eq!(upgrade(&old, None), Err(Rc::SCHEMA_VALIDATION));
}
