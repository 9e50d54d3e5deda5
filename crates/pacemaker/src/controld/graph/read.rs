//! Reading the scheduler's XML.

use super::*;

pub(super) fn number(element: &Element, name: &str) -> Option<i64> {
    element.get(name).and_then(|text| text.trim().parse().ok())
}

pub(super) fn span(text: Option<&str>) -> Option<Duration> {
    base::interval::parse(text?).ok()
}

/// A CRM_meta time: a number of milliseconds.
pub(super) fn meta_ms(xml: &Element, name: &str) -> u64 {
    xml.child("attributes")
        .and_then(|attributes| attributes.get(name))
        .and_then(|text| text.trim().parse::<i64>().ok())
        .and_then(|ms| u64::try_from(ms).ok())
        .unwrap_or(0)
}

pub(super) fn unpack_action(xml: &Element) -> Option<GraphAction> {
    let kind = match xml.name() {
        "pseudo_event" => Kind::Pseudo,
        "rsc_op" => Kind::Resource,
        "crm_event" => Kind::Cluster,
        _ => return None,
    };
    let timeout = meta_ms(xml, "CRM_meta_timeout") + meta_ms(xml, "CRM_meta_start_delay");
    Some(GraphAction {
        id: i32::try_from(number(xml, "id")?).ok()?,
        kind,
        timeout: Duration::from_millis(timeout),
        deadline: None,
        executed: false,
        confirmed: false,
        failed: false,
        can_fail: xml
            .child("attributes")
            .and_then(|attributes| attributes.get("CRM_meta_can_fail"))
            .is_some_and(|text| text == "true"),
        sent_update: false,
        xml: xml.clone(),
    })
}
