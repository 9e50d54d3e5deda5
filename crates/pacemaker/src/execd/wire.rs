//! The executor's messages. Source: `spec/pacemaker-ipc.md` §8.

use std::collections::BTreeMap;

use xml::Element;

/// Version of the language this executor speaks.
pub const PROTOCOL_VERSION: &str = "1.1";

/// Option of a request: notify its sender only.
pub const OPT_NOTIFY_ORIGINATOR: u32 = 0x2;
/// Option of a registration: the client's recurring actions end with its connection.
pub const OPT_DROP_RECURRING: u32 = 0x3;
/// Option of an action: repeated results are told only when they change.
pub const OPT_NOTIFY_CHANGES: u32 = 0x4;

/// `-EINVAL`.
pub const EINVAL: i32 = -22;
/// `-ENODEV`: no such resource.
pub const ENODEV: i32 = -19;
/// `-EACCES`.
pub const EACCES: i32 = -13;
/// `-EOPNOTSUPP`.
pub const EOPNOTSUPP: i32 = -95;
/// `-EINPROGRESS`.
pub const EINPROGRESS: i32 = -115;
/// `-EPROTO`.
pub const EPROTO: i32 = -71;
/// `-EPROTONOSUPPORT`: providers of proxied IPC are for remote nodes.
pub const EPROTONOSUPPORT: i32 = -93;

/// The plain answer to a request.
pub fn reply(origin: &str, rc: i32, call_id: u32) -> Element {
    Element::new("lrmd_reply")
        .with("lrmd_origin", origin)
        .with("lrmd_rc", rc.to_string())
        .with("lrmd_callid", call_id.to_string())
}

/// Told to everybody after resources came or went.
pub fn generic_notify(rc: i32, call_id: u32, op: &str, rsc: &str) -> Element {
    Element::new("lrmd_notify")
        .with("lrmd_origin", "send_generic_notify")
        .with("lrmd_rc", rc.to_string())
        .with("lrmd_callid", call_id.to_string())
        .with("lrmd_op", op)
        .with("lrmd_rsc_id", rsc)
}

/// The request's data element of a name, wherever it is.
pub fn data<'a>(request: &'a Element, name: &str) -> Option<&'a Element> {
    request.descendants().find(|element| element.name() == name)
}

/// A number in an attribute; absent, broken or negative: 0.
pub fn number(element: &Element, name: &str) -> u32 {
    let Some(text) = element.get(name) else { return 0 };
    match text.trim().parse::<i64>() {
        Ok(value) => u32::try_from(value.max(0)).unwrap_or(u32::MAX),
        Err(_) => 0,
    }
}

/// Reads parameters: attributes of `<attributes>`, then its `<param>` children.
pub fn params_of(element: Option<&Element>) -> BTreeMap<String, String> {
    let Some(element) = element else { return BTreeMap::new() };
    let plain = element.attrs().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let odd = element.children_named("param").filter_map(|param| {
        Some((param.get("name")?.to_owned(), param.get("value").unwrap_or_default().to_owned()))
    });
    plain.chain(odd).collect()
}

/// Writes parameters: names that are no XML names go to `<param>` children.
pub fn params_to(params: &BTreeMap<String, String>) -> Element {
    let mut element = Element::new("attributes");
    let mut odd = Vec::new();
    for (name, value) in params {
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            odd.push(
                Element::new("param").with("name", name.as_str()).with("value", value.as_str()),
            );
        } else {
            element.set(name, value.as_str());
        }
    }
    for child in odd {
        element.push(child);
    }
    element
}

/// Whether a dotted version is at least 1.0: all that this executor asks of its clients.
pub fn version_accepted(version: &str) -> bool {
    let major = version.split('.').next().unwrap_or_default();
    major.trim().parse::<u32>().is_ok_and(|major| major >= 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_go_both_ways() {
        let params: BTreeMap<String, String> =
            [("a", "1"), ("2b", "x y"), ("CRM_meta_timeout", "20000")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into();
        let element = params_to(&params);
        assert_eq!(
            element.to_text(),
            r#"<attributes CRM_meta_timeout="20000" a="1"><param name="2b" value="x y"/></attributes>"#
        );
        assert_eq!(params_of(Some(&element)), params);
        assert_eq!(params_of(None), BTreeMap::new());
    }

    #[test]
    fn numbers_and_versions() {
        let element = Element::new("x").with("a", "7").with("b", "-3").with("c", "z");
        assert_eq!(["a", "b", "c", "d"].map(|name| number(&element, name)), [7, 0, 0, 0]);
        for (version, want) in
            [("1.0", true), ("1.1", true), ("2", true), ("0.9", false), ("", false)]
        {
            assert_eq!(version_accepted(version), want, "{version}");
        }
    }
}
