//! The document of `--output-as=json`: that of `--output-as=xml` in another notation.
//!
//! The shape is documented in `docs/json.md`; [`VERSION`] counts its incompatible changes.

use base::{CrmExit, Json};
use xml::{Element, Node};

/// The version of the shape.
const VERSION: i32 = 1;

/// The whole document.
pub(super) fn text(
    request: &str,
    elements: &[Element],
    exit: CrmExit,
    messages: &[String],
) -> String {
    let errors: Vec<Json> = messages.iter().map(|message| Json::from(message.as_str())).collect();
    let status = Json::Object(vec![
        ("code", Json::from(exit.code())),
        ("name", Json::from(exit.symbol())),
        ("message", Json::from(exit.description())),
        ("errors", Json::List(errors)),
    ]);
    let document = Json::Object(vec![
        ("version", Json::from(VERSION)),
        ("request", Json::from(request)),
        ("result", Json::List(elements.iter().map(value).collect())),
        ("status", status),
    ]);
    format!("{document}\n")
}

fn value(element: &Element) -> Json {
    let mut members = vec![("element", Json::from(element.name()))];
    if element.attrs().len() > 0 {
        let attributes = element.attrs().map(|(name, value)| (name.to_owned(), Json::from(value)));
        members.push(("attributes", Json::Map(attributes.collect())));
    }
    let children: Vec<Json> = element
        .nodes()
        .iter()
        .filter_map(|node| match node {
            Node::Element(child) => Some(value(child)),
            Node::Text(_) | Node::Comment(_) => None,
        })
        .collect();
    let text = element.text();
    if children.is_empty() && !text.is_empty() {
        members.push(("text", Json::from(text.as_str())));
    }
    if !children.is_empty() {
        members.push(("children", Json::List(children)));
    }
    Json::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_keep_names_attributes_texts_and_order() {
        let list = xml::parse("<list name='x'><item id='1'>a \"b\"</item><item/></list>").unwrap();
        let text = text("tool -x", &[list], CrmExit::Nosuch, &["gone".to_owned()]);
        for part in [
            "\"version\": 1",
            "\"request\": \"tool -x\"",
            "\"element\": \"list\"",
            "\"text\": \"a \\\"b\\\"\"",
            "\"code\": 105",
            "\"name\": \"CRM_EX_NOSUCH\"",
            "\"gone\"",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
