//! RELAX NG patterns, put together from smaller ones.

use xml::Element;

/// A grammar without anything in it.
pub fn empty_grammar() -> Element {
    Element::new("grammar")
        .with("xmlns", "http://relaxng.org/ns/structure/1.0")
        .with("datatypeLibrary", "http://www.w3.org/2001/XMLSchema-datatypes")
}

/// `<define name="…">`.
pub fn named(name: &str, pattern: Element) -> Element {
    Element::new("define").with("name", name).with_child(pattern)
}

/// `<ref name="…"/>`.
pub fn reference(name: &str) -> Element {
    Element::new("ref").with("name", name)
}

/// A container of patterns.
pub fn all(container: &str, patterns: Vec<Element>) -> Element {
    let mut all = Element::new(container);
    patterns.into_iter().for_each(|pattern| all.push(pattern));
    all
}

/// One of several; nothing if there are none, no choice if there is one.
pub fn choice(patterns: Vec<Element>) -> Vec<Element> {
    if patterns.len() < 2 { patterns } else { vec![all("choice", patterns)] }
}

/// Several together, in order; an empty pattern if there are none.
pub fn group(patterns: Vec<Element>) -> Element {
    match <[Element; 1]>::try_from(patterns) {
        Ok([only]) => only,
        Err(patterns) if patterns.is_empty() => Element::new("empty"),
        Err(patterns) => all("group", patterns),
    }
}

/// Several together in any order.
pub fn interleave(patterns: Vec<Element>) -> Vec<Element> {
    if patterns.len() < 2 { patterns } else { vec![all("interleave", patterns)] }
}

/// A pattern that may be left out.
pub fn optional(pattern: Element) -> Element {
    Element::new("optional").with_child(pattern)
}

/// A pattern any number of times.
pub fn many(pattern: Element) -> Element {
    Element::new("zeroOrMore").with_child(pattern)
}

/// A pattern at least once.
pub fn some(pattern: Element) -> Element {
    Element::new("oneOrMore").with_child(pattern)
}

/// An attribute and what its value may be.
pub fn attribute(name: &str, value: Element) -> Element {
    Element::new("attribute").with("name", name).with_child(value)
}

/// A type of the XML Schema library.
pub fn data(ty: &str) -> Element {
    Element::new("data").with("type", ty)
}

/// A type with a facet.
pub fn limited(ty: &str, facet: &str, limit: &str) -> Element {
    let mut param = Element::new("param").with("name", facet);
    param.push_text(limit);
    data(ty).with_child(param)
}

/// A fixed value.
pub fn value(text: &str) -> Element {
    let mut value = Element::new("value");
    value.push_text(text);
    value
}

/// One of several fixed values.
pub fn values(texts: &[&str]) -> Element {
    match texts {
        [only] => value(only),
        several => all("choice", several.iter().map(|text| value(text)).collect()),
    }
}

/// Any text but those.
pub fn text_but(texts: &[&str]) -> Element {
    if texts.is_empty() {
        return Element::new("text");
    }
    let but = texts.iter().map(|text| value(text).with("type", "string")).collect();
    data("string").with_child(Element::new("except").with_child(all("choice", but)))
}

/// An element that may hold whatever there is; `any` is the name of the definition of
/// [`any_element`].
pub fn anything(name: &str, any: &str) -> Element {
    let mut element = Element::new("element").with("name", name);
    element.push(open_content(any));
    element
}

/// Any element. This must be the content of the definition `own`.
pub fn any_element(own: &str) -> Element {
    let mut element = Element::new("element").with_child(Element::new("anyName"));
    element.push(open_content(own));
    element
}

/// Any attribute but those.
pub fn any_attribute(but: &[&str]) -> Element {
    let mut name = Element::new("anyName");
    if !but.is_empty() {
        let names = but.iter().map(|name| {
            let mut element = Element::new("name");
            element.push_text(*name);
            element
        });
        name.push(all("except", names.collect()));
    }
    Element::new("attribute").with_child(name).with_child(Element::new("text"))
}

fn open_content(any: &str) -> Element {
    many(all("choice", vec![any_attribute(&[]), Element::new("text"), reference(any)]))
}
