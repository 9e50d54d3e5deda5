//! `quorate docs DIR`: manual pages and completions for bash, zsh and fish, made from the tables
//! that the tools read their command lines with. What they say is so by construction.
//!
//! `DIR` is what will be `/usr/share`: pages go to `man/man8`, completions where each shell looks.

mod completion;
mod page;

use std::path::Path;

use base::CrmExit;

use crate::options::Table;

/// The command lines of all tools.
pub fn tables() -> [&'static Table; 21] {
    [
        &crate::attrd_updater::TABLE,
        &crate::cibadmin::TABLE,
        &crate::cibsecret::TABLE,
        &crate::crm_attribute::TABLE,
        &crate::crm_diff::TABLE,
        &crate::crm_error::TABLE,
        &crate::wrappers::FAILCOUNT,
        &crate::wrappers::MASTER,
        &crate::crm_mon::TABLE,
        &crate::crm_node::TABLE,
        &crate::crm_report::TABLE,
        &crate::crm_resource::TABLE,
        &crate::crm_rule::TABLE,
        &crate::crm_shadow::TABLE,
        &crate::crm_simulate::TABLE,
        &crate::wrappers::STANDBY,
        &crate::crm_ticket::TABLE,
        &crate::crm_verify::TABLE,
        &crate::crmadmin::TABLE,
        &crate::iso8601::TABLE,
        &crate::stonith_admin::TABLE,
    ]
}

fn write_all(dir: &Path) -> std::io::Result<()> {
    for table in tables() {
        let tool = table.tool;
        for (place, text) in [
            (format!("man/man8/{tool}.8"), page::page(table)),
            (format!("bash-completion/completions/{tool}"), completion::bash(table)),
            (format!("zsh/site-functions/_{tool}"), completion::zsh(table)),
            (format!("fish/vendor_completions.d/{tool}.fish"), completion::fish(table)),
        ] {
            let path = dir.join(place);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(path, text)?;
        }
    }
    let page = page::options_page();
    let path = dir.join("man/man7/pacemaker-options.7");
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(path, page)
}

/// The command.
pub fn main(args: &[String]) -> i32 {
    let [_, dir] = args else {
        eprintln!(
            "Usage: quorate docs DIR\n\nWrites manual pages and completions below DIR (usually /usr/share)."
        );
        return CrmExit::Usage.code();
    };
    match write_all(Path::new(dir)) {
        Ok(()) => CrmExit::Ok.code(),
        Err(error) => {
            eprintln!("quorate docs: {dir}: {error}");
            CrmExit::Cantcreat.code()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_has_a_page_and_completions_with_all_its_options() {
        for table in tables() {
            let (page, bash) = (page::page(table), completion::bash(table));
            let (zsh, fish) = (completion::zsh(table), completion::fish(table));
            assert!(page.starts_with(".TH"), "{}", table.tool);
            for option in table.listed() {
                let long = option.long;
                assert!(page.contains(&long.replace('-', "\\-")), "{}: {long}", table.tool);
                for text in [&bash, &zsh] {
                    assert!(text.contains(&format!("--{long}")), "{}: {long}", table.tool);
                }
                assert!(fish.contains(&format!(" -l {long} ")), "{}: {long}", table.tool);
            }
        }
        assert!(page::options_page().contains("no\\-quorum\\-policy"));
    }
}
