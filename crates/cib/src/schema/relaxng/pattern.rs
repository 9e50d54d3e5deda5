//! RELAX NG patterns, put together from smaller ones.

use xml::Element;

/// `<define name="…">`.
pub(super) fn named(name: &str, pattern: Element) -> Element {
    Element::new("define").with("name", name).with_child(pattern)
}

/// `<ref name="…"/>`.
pub(super) fn reference(name: &str) -> Element {
    Element::new("ref").with("name", name)
}

/// A container of patterns.
pub(super) fn all(container: &str, patterns: Vec<Element>) -> Element {
    let mut all = Element::new(container);
    patterns.into_iter().for_each(|pattern| all.push(pattern));
    all
}

/// One of several; nothing if there are none, no choice if there is one.
pub(super) fn choice(patterns: Vec<Element>) -> Vec<Element> {
    if patterns.len() < 2 { patterns } else { vec![all("choice", patterns)] }
}

/// Several together, in order; an empty pattern if there are none.
pub(super) fn group(patterns: Vec<Element>) -> Element {
    match <[Element; 1]>::try_from(patterns) {
        Ok([only]) => only,
        Err(patterns) if patterns.is_empty() => Element::new("empty"),
        Err(patterns) => all("group", patterns),
    }
}

/// Several together in any order.
pub(super) fn interleave(patterns: Vec<Element>) -> Vec<Element> {
    if patterns.len() < 2 { patterns } else { vec![all("interleave", patterns)] }
}

pub(super) fn optional(pattern: Element) -> Element {
    Element::new("optional").with_child(pattern)
}

pub(super) fn many(pattern: Element) -> Element {
    Element::new("zeroOrMore").with_child(pattern)
}

pub(super) fn some(pattern: Element) -> Element {
    Element::new("oneOrMore").with_child(pattern)
}

pub(super) fn attribute(name: &str, value: Element) -> Element {
    Element::new("attribute").with("name", name).with_child(value)
}

pub(super) fn data(ty: &str) -> Element {
    Element::new("data").with("type", ty)
}

/// A type with a facet.
pub(super) fn limited(ty: &str, facet: &str, limit: &str) -> Element {
    let mut param = Element::new("param").with("name", facet);
    param.push_text(limit);
    data(ty).with_child(param)
}

/// A fixed value.
pub(super) fn value(text: &str) -> Element {
    let mut value = Element::new("value");
    value.push_text(text);
    value
}

/// One of several fixed values.
pub(super) fn values(texts: &[&str]) -> Element {
    match texts {
        [only] => value(only),
        several => all("choice", several.iter().map(|text| value(text)).collect()),
    }
}

/// Any text but those.
pub(super) fn text_but(texts: &[&str]) -> Element {
    if texts.is_empty() {
        return Element::new("text");
    }
    let but = texts.iter().map(|text| value(text).with("type", "string")).collect();
    data("string").with_child(Element::new("except").with_child(all("choice", but)))
}
