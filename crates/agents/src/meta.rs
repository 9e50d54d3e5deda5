//! Agent metadata: the XML by which an agent describes itself, read into a table.
//!
//! Source: `spec/agents.md` §2.6, §5.5.

use xml::Element;

/// What an agent says about itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Metadata {
    /// The agent's name.
    pub name: String,
    /// The agent's own version.
    pub version: Option<String>,
    /// The OCF version it follows (`<version>`); absent means 1.0.
    pub api_version: Option<String>,
    /// What it is for, at length.
    pub longdesc: String,
    /// What it is for, in a line.
    pub shortdesc: String,
    /// Its parameters in order.
    pub parameters: Vec<Parameter>,
    /// Its actions in order.
    pub actions: Vec<Action>,
}

/// A parameter of an agent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Must be configured.
    pub required: bool,
    /// Must differ between instances (OCF 1.0), which also meant "needs a restart".
    pub unique: bool,
    /// Must differ between instances together with the others of this group.
    pub unique_group: Option<String>,
    /// May be changed while the resource runs.
    pub reloadable: bool,
    /// Is a secret.
    pub private: bool,
    /// Is no longer to be used.
    pub deprecated: bool,
    /// The older parameter it replaces.
    pub obsoletes: Option<String>,
    /// Its meaning, at length.
    pub longdesc: String,
    /// Its meaning, in a line.
    pub shortdesc: String,
    /// `string`, `boolean`, `integer`, `select`, ….
    pub content_type: String,
    /// What holds when it is not configured.
    pub default: Option<String>,
    /// The choices of a `select`.
    pub options: Vec<String>,
}

/// An action of an agent. Times are hints, as written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Action {
    /// Its name.
    pub name: String,
    /// Suggested timeout.
    pub timeout: Option<String>,
    /// Suggested interval.
    pub interval: Option<String>,
    /// Suggested delay before the first run.
    pub start_delay: Option<String>,
    /// Depth of a monitor.
    pub depth: Option<String>,
    /// Role a monitor is for.
    pub role: Option<String>,
    /// Fence agents: must run on the target itself.
    pub on_target: bool,
    /// Fence agents: is done automatically when a node joins (unfencing).
    pub automatic: bool,
}

/// Why a text is no metadata.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// It is no XML.
    #[error("the agent's metadata is not well-formed XML")]
    Xml(#[from] xml::ParseError),
    /// It is some other document.
    #[error("expected <resource-agent>, found <{0}>")]
    Root(String),
}

impl Metadata {
    /// Reads what an agent printed.
    pub fn parse(text: &str) -> Result<Metadata, MetadataError> {
        let root = xml::parse(&without_doctype(text))?;
        Metadata::from_element(&root)
    }

    /// Reads a parsed document.
    pub fn from_element(root: &Element) -> Result<Metadata, MetadataError> {
        if root.name() != "resource-agent" {
            return Err(MetadataError::Root(root.name().to_owned()));
        }
        let text_of = |name: &str| description(root, name);
        let mut shortdesc = text_of("shortdesc");
        if shortdesc.is_empty() {
            // Fence agents put it into an attribute.
            shortdesc = root.get("shortdesc").unwrap_or_default().to_owned();
        }
        let list = |outer: &str, inner: &'static str| -> Vec<Element> {
            root.child(outer)
                .map(|list| list.children_named(inner).cloned().collect())
                .unwrap_or_default()
        };
        Ok(Metadata {
            name: root.get("name").unwrap_or_default().to_owned(),
            version: root.get("version").map(str::to_owned),
            api_version: root
                .child("version")
                .map(|version| version.text().trim().to_owned())
                .filter(|version| !version.is_empty()),
            longdesc: text_of("longdesc"),
            shortdesc,
            parameters: list("parameters", "parameter").iter().map(parameter).collect(),
            actions: list("actions", "action").iter().map(action).collect(),
        })
    }

    /// The parameter of that name.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }

    /// The first action of that name.
    pub fn action(&self, name: &str) -> Option<&Action> {
        self.actions.iter().find(|action| action.name == name)
    }

    /// Whether the agent follows OCF 1.1 or later: `reload-agent` and `reloadable` count then,
    /// before that `reload` and `unique`.
    pub fn is_ocf_1_1(&self) -> bool {
        let version = self.api_version.as_deref().unwrap_or("1.0");
        let mut parts = version.split('.').map(|part| part.trim().parse::<u32>().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (1, 1)
    }
}

/// A text with its DOCTYPE line blanked: our XML reader refuses document types, agents of old
/// have them.
pub fn without_doctype(text: &str) -> String {
    let Some(start) = text.find("<!DOCTYPE") else { return text.trim_start().to_owned() };
    // An internal subset is in brackets and may contain `>`.
    let rest = &text[start..];
    let end = match (rest.find('['), rest.find('>')) {
        (Some(bracket), Some(gt)) if bracket < gt => {
            rest.find("]").and_then(|close| rest[close..].find('>').map(|gt| close + gt + 1))
        }
        (_, gt) => gt.map(|gt| gt + 1),
    };
    match end {
        Some(end) => format!("{}{}", text[..start].trim_start(), &rest[end..]),
        None => text.to_owned(),
    }
}

/// The text of a description child. English, or the first there is.
fn description(parent: &Element, name: &str) -> String {
    let english = parent
        .children_named(name)
        .find(|child| child.get("lang").is_some_and(|lang| lang.starts_with("en")));
    english
        .or_else(|| parent.child(name))
        .map(|child| child.text().trim().to_owned())
        .unwrap_or_default()
}

fn is_true(value: Option<&str>) -> bool {
    value.is_some_and(|value| {
        matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "y" | "on")
    })
}

fn parameter(element: &Element) -> Parameter {
    let content = element.child("content");
    Parameter {
        name: element.get("name").unwrap_or_default().to_owned(),
        required: is_true(element.get("required")),
        unique: is_true(element.get("unique")),
        unique_group: element.get("unique-group").map(str::to_owned),
        reloadable: is_true(element.get("reloadable")),
        private: is_true(element.get("private")),
        deprecated: is_true(element.get("deprecated")) || element.child("deprecated").is_some(),
        obsoletes: element.get("obsoletes").map(str::to_owned),
        longdesc: description(element, "longdesc"),
        shortdesc: description(element, "shortdesc"),
        content_type: content
            .and_then(|content| content.get("type"))
            .unwrap_or("string")
            .to_owned(),
        default: content.and_then(|content| content.get("default")).map(str::to_owned),
        options: content
            .map(|content| {
                content
                    .children_named("option")
                    .filter_map(|option| option.get("value").map(str::to_owned))
                    .collect()
            })
            .unwrap_or_default(),
    }
}

fn action(element: &Element) -> Action {
    let attr = |name: &str| element.get(name).map(str::to_owned);
    Action {
        name: attr("name").unwrap_or_default(),
        timeout: attr("timeout"),
        interval: attr("interval"),
        start_delay: attr("start-delay"),
        depth: attr("depth"),
        role: attr("role"),
        on_target: is_true(element.get("on_target")),
        automatic: is_true(element.get("automatic")) || is_true(element.get("required")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMMY: &str = r#"<?xml version="1.0"?>
<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
<resource-agent name="D" version="2.1">
<version>1.1</version>
<longdesc lang="de">lang</longdesc><longdesc lang="en">
long text
</longdesc>
<shortdesc lang="en">short</shortdesc>
<parameters>
<parameter name="state" unique-group="state"><content type="string" default="/x"/></parameter>
<parameter name="kind" required="1" reloadable="1"><content type="select"><option value="a"/><option value="b"/></content></parameter>
</parameters>
<actions><action name="start" timeout="20s"/><action name="monitor" timeout="20s" interval="10s" depth="0"/></actions>
</resource-agent>"#;

    #[test]
    fn an_agents_description_is_read() {
        let meta = Metadata::parse(DUMMY).unwrap();
        assert_eq!((meta.name.as_str(), meta.longdesc.as_str()), ("D", "long text"));
        assert!(meta.is_ocf_1_1());
        let kind = meta.parameter("kind").unwrap();
        assert!(kind.required && kind.reloadable && !kind.unique);
        assert_eq!(kind.options, ["a", "b"]);
        assert_eq!(meta.parameter("state").unwrap().default.as_deref(), Some("/x"));
        assert_eq!(meta.action("monitor").unwrap().interval.as_deref(), Some("10s"));
    }

    #[test]
    fn versions_decide_about_reload() {
        for (version, want) in
            [("1.0", false), ("1.1", true), ("1.10", true), ("2", true), ("x", false)]
        {
            let meta = Metadata { api_version: Some(version.into()), ..Metadata::default() };
            assert_eq!(meta.is_ocf_1_1(), want, "{version}");
        }
        assert!(!Metadata::default().is_ocf_1_1());
    }

    #[test]
    fn nonsense_is_refused_without_panic() {
        for text in
            ["", "<x/>", "<!DOCTYPE", "<!DOCTYPE x [ <!ENTITY a 'b'> ]", "\u{0}<resource-agent>"]
        {
            assert!(Metadata::parse(text).is_err(), "{text:?}");
        }
        assert!(Metadata::parse("<!DOCTYPE x [ <!ENTITY a 'b'> ]><resource-agent/>").is_ok());
    }

    #[test]
    fn random_bytes_are_survived() {
        let mut state = 7u64;
        for length in 0..2000 {
            let text: String = (0..length % 97)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    b"<>/!DOCTYPE[]resource-agent='\"& \n\0abc"[(state >> 33) as usize % 36] as char
                })
                .collect();
            let _ = Metadata::parse(&text);
            let _ = crate::lsb::metadata("x", &text);
            let _ = crate::fence::patched_metadata(&text);
            let _ = crate::judge::exit_reason(&text);
        }
    }
}
