//! The XML that is given to `cibadmin`.

use base::CrmExit;
use xml::Element;

use crate::options::Parsed;
use crate::output::Fail;
use crate::source;

/// Reads the XML of `-X`, `-x` or `-p`; nothing when none of them was given.
pub(super) fn read(parsed: &Parsed, _command: &str) -> Result<Option<Element>, Fail> {
    let given = parsed
        .items
        .iter()
        .rev()
        .find(|item| matches!(item.name, "xml-text" | "xml-file" | "xml-pipe"));
    let Some(given) = given else { return Ok(None) };
    let (text, origin) = match given.name {
        "xml-text" => (given.value.clone().unwrap_or_default(), "input string".to_owned()),
        "xml-file" => {
            let path = given.value.clone().unwrap_or_default();
            let text = source::read_file(&path).map_err(|error| {
                Fail::new(CrmExit::Config, format!("Couldn't parse input from {path}: {error}"))
            })?;
            (text, path)
        }
        _ => {
            let text = source::read_stdin().map_err(|error| {
                Fail::new(CrmExit::Ioerr, format!("Couldn't read stdin: {error}"))
            })?;
            (text, "stdin".to_owned())
        }
    };
    match crate::xml_input::parse(&text) {
        Ok(element) => Ok(Some(element)),
        Err(error) => {
            Err(Fail::new(CrmExit::Config, format!("Couldn't parse input from {origin}: {error}")))
        }
    }
}
