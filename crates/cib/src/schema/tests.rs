use super::*;

fn with(version: &str, configuration: &str) -> Result<(), Vec<Problem>> {
    let text = format!(
        "<cib validate-with='{version}' admin_epoch='0' epoch='1' num_updates='0'>\n<configuration>\
         {configuration}</configuration><status><x id='a'/><x id='a'/></status></cib>"
    );
    validate(&xml::parse(&text).unwrap())
}

fn resources(resources: &str) -> Result<(), Vec<Problem>> {
    with(
        "pacemaker-3.9",
        &format!("<crm_config/><nodes/><resources>\n{resources}</resources><constraints/>"),
    )
}

fn first(result: Result<(), Vec<Problem>>) -> String {
    result.unwrap_err()[0].to_string()
}

#[test]
fn what_is_right_passes() {
    let document = crate::empty(0);
    assert_eq!(validate(&document), Ok(()));
    resources(
        "<primitive id='ip' class='ocf' provider='heartbeat' type='IPaddr2'><operations>\
         <op id='ip-m' name='monitor' interval='10s' on-fail='restart' role='Promoted'/>\
         </operations><instance_attributes id='ip-i'><nvpair id='ip-i-ip' name='ip' value='1'/>\
         </instance_attributes></primitive><clone id='c'><group id='g'><primitive id='b' \
         class='lsb' type='x'/></group></clone>",
    )
    .unwrap();
}

#[test]
fn what_is_wrong_is_named() {
    for (resources_text, expected) in [
        (
            "<primitive id='ip' class='ocf' provider='p' type='t' colour='red'/>",
            "line 3, column 1: element primitive (id `ip`): attribute `colour` is not allowed; allowed are \
             class, description, id, provider, template, type",
        ),
        (
            "<primitive id='ip' class='ocf' type='t'/>",
            "line 3, column 1: element primitive (id `ip`): class `ocf` needs a `provider`",
        ),
        (
            "<primitive id='1ip' class='lsb' type='t'/>",
            "line 3, column 1: element primitive (id `1ip`): attribute `id` is `1ip`, expected a name of \
             letters, digits, `.`, `-` and `_` that starts with a letter or `_`",
        ),
        (
            "<group id='g'/>",
            "line 3, column 1: element group (id `g`): needs at least one `primitive`",
        ),
        (
            "<primitive id='a' class='lsb' type='t'/><primitive id='a' class='lsb' type='t'/>",
            "line 3, column 41: element primitive (id `a`): id `a` is used more than once (first by \
             `primitive`)",
        ),
        (
            "<bogus/>",
            "line 2, column 37: element resources: may not hold `bogus`; allowed are bundle, clone, group, \
             master, primitive, template",
        ),
        (
            "<primitive id='a' template='t'/>",
            "line 3, column 1: element primitive (id `a`): attribute `template` names `t`, which no element \
             is called",
        ),
    ] {
        assert_eq!(first(resources(resources_text)), expected);
    }
}

#[test]
fn versions_differ() {
    let options = |name: &str| {
        format!(
            "<crm_config><cluster_property_set id='o'><nvpair id='p' name='{name}' value='1'/>\
             </cluster_property_set></crm_config><nodes/><resources/><constraints/>"
        )
    };
    assert!(with("pacemaker-1.2", &options("default-resource-stickiness")).is_ok());
    assert!(with("pacemaker-3.9", &options("default-resource-stickiness")).is_err());
    assert!(with("pacemaker-3.9", &options("stonith-enabled")).is_ok());
    let tags = "<crm_config/><nodes/><resources/><constraints/><tags/>";
    assert!(with("pacemaker-1.2", tags).is_err());
    assert!(with("pacemaker-1.3", tags).is_ok());
    assert!(with("none", "<whatever/>").is_ok());
    assert!(first(with("pacemaker-9.9", "")).contains("unknown schema"));
    let known: Vec<&str> = known().collect();
    let versions = VERSIONS.into_iter().filter(|version| *version <= LATEST);
    assert_eq!(known, versions.map(name_of).collect::<Vec<_>>());
    assert_eq!(name_of(210), "pacemaker-2.10");
    assert!(index_of("pacemaker-2.10") > index_of("pacemaker-2.9"));
}
