//! A patch as people read it. Source: `spec/cli-pacemaker.md` §7.3.

use xml::Element;

/// Writes a patch of format 2 as lines: versions, then one or more lines a change.
pub fn render(patch: &Element) -> String {
    let mut out = String::new();
    let version = |name: &str| {
        let element = patch.at(&["version", name])?;
        let number = |attr| element.get(attr).unwrap_or("0");
        Some(format!("{}.{}.{}", number("admin_epoch"), number("epoch"), number("num_updates")))
    };
    if let (Some(source), Some(target)) = (version("source"), version("target")) {
        let format = patch.get("format").unwrap_or("1");
        let digest = patch.get("digest").unwrap_or("(no digest)");
        out.push_str(&format!("Diff: --- {source} {format}\nDiff: +++ {target} {digest}\n"));
    }
    for change in patch.children().filter(|child| child.name() == "change") {
        let path = change.get("path").unwrap_or("");
        match change.get("operation") {
            Some("create") => {
                let Some(element) = change.children().next() else { continue };
                let head = format!("++ {path}:  ");
                let pretty = element.to_pretty();
                let indent = head.chars().count() - 3;
                for (at, line) in pretty.lines().enumerate() {
                    if at == 0 {
                        out.push_str(&head);
                    } else {
                        out.push_str(&format!("++ {:indent$}", ""));
                    }
                    out.push_str(line);
                    out.push('\n');
                }
            }
            Some("move") => {
                out.push_str(&format!(
                    "+~ {path} moved to offset {}\n",
                    change.get("position").unwrap_or("0")
                ));
            }
            Some("delete") => {
                let position =
                    change.get("position").map(|at| format!(":{at}")).unwrap_or_default();
                out.push_str(&format!("-- {path}{position}\n"));
            }
            Some("modify") => {
                let attrs = || change.child("change-list").into_iter().flat_map(Element::children);
                let set: Vec<String> = attrs()
                    .filter(|attr| attr.get("operation") == Some("set"))
                    .map(|attr| {
                        format!(
                            "@{}={}",
                            attr.get("name").unwrap_or(""),
                            attr.get("value").unwrap_or("")
                        )
                    })
                    .collect();
                let unset: Vec<String> = attrs()
                    .filter(|attr| attr.get("operation") == Some("unset"))
                    .map(|attr| format!("@{}", attr.get("name").unwrap_or("")))
                    .collect();
                if !set.is_empty() {
                    out.push_str(&format!("+  {path}:  {}\n", set.join(", ")));
                }
                if !unset.is_empty() {
                    out.push_str(&format!("-- {path}:  {}\n", unset.join(", ")));
                }
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_kind_of_change_has_its_sign() {
        let patch = xml::parse(
            "<diff format='2'><version><source admin_epoch='0' epoch='1' num_updates='0'/>\
             <target admin_epoch='0' epoch='2' num_updates='0'/></version>\
             <change operation='delete' path='/cib/a'/><change operation='modify' path='/cib'><change-list>\
             <change-attr name='epoch' operation='set' value='2'/><change-attr name='x' operation='unset'/>\
             </change-list></change><change operation='create' path='/cib' position='1'><b><c/></b></change></diff>",
        )
        .unwrap();
        let text = "Diff: --- 0.1.0 2\nDiff: +++ 0.2.0 (no digest)\n-- /cib/a\n+  /cib:  @epoch=2\n-- /cib:  @x\n\
                    ++ /cib:  <b>\n++          <c/>\n++        </b>\n";
        assert_eq!(super::render(&patch), text);
    }
}
