//! Metadata of init scripts, made from their comment header.
//!
//! Source: `spec/agents.md` §3.

/// What the header between `### BEGIN INIT INFO` and `### END INIT INFO` says. Values keep their
/// leading blanks and end in a line break, as they appear in upstream's text.
#[derive(Default, Debug, PartialEq, Eq)]
struct Header {
    provides: String,
    required_start: String,
    required_stop: String,
    should_start: String,
    should_stop: String,
    default_start: String,
    default_stop: String,
    short: String,
    long: String,
}

fn header_of(script: &str) -> Header {
    let mut header = Header::default();
    let mut lines = script
        .lines()
        .skip_while(|line| !line.starts_with("### BEGIN INIT INFO"))
        .skip(1)
        .take_while(|line| !line.starts_with("### END INIT INFO"))
        .peekable();
    while let Some(line) = lines.next() {
        let field = |name: &str| line.strip_prefix(name).map(|value| format!("{value}\n"));
        if let Some(first) = line.strip_prefix("# Description:") {
            header.long = first.to_owned();
            // Continuation lines: `#`, then a tab or two blanks.
            while let Some(more) =
                lines.next_if(|next| next.starts_with("#\t") || next.starts_with("#  "))
            {
                header.long.push('\n');
                header.long.push_str(&more[1..]);
            }
            header.long.push('\n');
            continue;
        }
        for (name, place) in [
            ("# Provides:", &mut header.provides),
            ("# Required-Start:", &mut header.required_start),
            ("# Required-Stop:", &mut header.required_stop),
            ("# Should-Start:", &mut header.should_start),
            ("# Should-Stop:", &mut header.should_stop),
            ("# Default-Start:", &mut header.default_start),
            ("# Default-Stop:", &mut header.default_stop),
            ("# Short-Description:", &mut header.short),
        ] {
            if let Some(value) = field(name) {
                *place = value;
            }
        }
    }
    header
}

/// The metadata of an init script.
pub fn metadata(name: &str, script: &str) -> String {
    let header = header_of(script);
    let clean = |text: &str| {
        let mut out = String::new();
        xml::escape_text(text, &mut out);
        out
    };
    let long = if header.long.is_empty() { name } else { &header.long };
    let short = if header.short.is_empty() { name } else { &header.short };
    format!(
        "<?xml version='1.0'?>\n\
         <!DOCTYPE resource-agent SYSTEM 'ra-api-1.dtd'>\n\
         <resource-agent name='{name}' version='0.1'>\n\
         \x20 <version>1.0</version>\n\
         \x20 <longdesc lang='en'>\n{}  </longdesc>\n\
         \x20 <shortdesc lang='en'>{}</shortdesc>\n\
         \x20 <parameters>\n  </parameters>\n\
         \x20 <actions>\n\
         \x20   <action name='meta-data'    timeout='5' />\n\
         \x20   <action name='start'        timeout='15' />\n\
         \x20   <action name='stop'         timeout='15' />\n\
         \x20   <action name='status'       timeout='15' />\n\
         \x20   <action name='restart'      timeout='15' />\n\
         \x20   <action name='force-reload' timeout='15' />\n\
         \x20   <action name='monitor'      timeout='15' interval='15' />\n\
         \x20 </actions>\n\
         \x20 <special tag='LSB'>\n\
         \x20   <Provides>{}</Provides>\n\
         \x20   <Required-Start>{}</Required-Start>\n\
         \x20   <Required-Stop>{}</Required-Stop>\n\
         \x20   <Should-Start>{}</Should-Start>\n\
         \x20   <Should-Stop>{}</Should-Stop>\n\
         \x20   <Default-Start>{}</Default-Start>\n\
         \x20   <Default-Stop>{}</Default-Stop>\n\
         \x20 </special>\n\
         </resource-agent>\n",
        clean(long),
        clean(short),
        clean(&header.provides),
        clean(&header.required_start),
        clean(&header.required_stop),
        clean(&header.should_start),
        clean(&header.should_stop),
        clean(&header.default_start),
        clean(&header.default_stop),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "#!/bin/sh\n### BEGIN INIT INFO\n# Provides:          web\n\
        # Required-Start:    $network\n# Should-Start:\n# Default-Start:     2 3\n\
        # Short-Description: A <web> server\n# Description:       first\n#  second\n#  third\n\
        ### END INIT INFO\necho\n";

    #[test]
    fn the_header_becomes_metadata() {
        let text = metadata("web", SCRIPT);
        let parsed = crate::Metadata::parse(&text).unwrap();
        assert_eq!(parsed.name, "web");
        assert_eq!(parsed.shortdesc, "A <web> server");
        assert_eq!(parsed.actions.len(), 7);
        assert!(parsed.longdesc.contains("third"));
        assert!(text.contains("<Provides>          web\n</Provides>"));
    }

    #[test]
    fn a_script_without_header_has_metadata_too() {
        assert_eq!(crate::Metadata::parse(&metadata("x", "#!/bin/sh\n")).unwrap().name, "x");
    }
}
