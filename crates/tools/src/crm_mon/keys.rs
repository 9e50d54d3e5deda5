//! What keys do to the interactive display. Source: `spec/cli-pacemaker.md` §6.10.

use crate::status::{Sections, Show};

/// The keys, in the order they are explained.
const KEYS: &str = "cfnortALDRbjm";

/// What follows from a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Press {
    /// Leave.
    Quit,
    /// Show the state as the options are now.
    Redraw,
}

/// The sections a key switches.
fn section(key: char) -> Option<Sections> {
    Some(match key {
        'c' => Sections::TICKETS,
        'f' => Sections::FAILCOUNTS,
        'o' => Sections::OPERATIONS,
        'A' => Sections::ATTRIBUTES,
        'L' => Sections::BANS,
        'D' => Sections::SUMMARY,
        _ => return None,
    })
}

/// Applies a key.
pub(super) fn press(key: char, show: &mut Show, help: &mut bool) -> Press {
    match key {
        'q' | '\x03' => return Press::Quit,
        '?' => *help = !*help,
        // The page that explains them stays while they are tried.
        key if *help && !KEYS.contains(key) => *help = false,
        key => toggle(key, show),
    }
    Press::Redraw
}

fn toggle(key: char, show: &mut Show) {
    match key {
        'n' => show.by_node = !show.by_node,
        'r' => show.inactive = !show.inactive,
        'b' => show.brief = !show.brief,
        'R' => show.detail = !show.detail,
        'j' => show.pending = !show.pending,
        't' => {
            show.timing = !show.timing;
            // Times need operations; those stay when the times go.
            if show.timing {
                show.sections = show.sections.with(Sections::OPERATIONS);
            }
        }
        'm' => {
            show.fence_level = (show.fence_level + 1) % 4;
            show.sections = match show.fence_level {
                0 => show.sections.without(Sections::FENCING),
                1 => show
                    .sections
                    .without(Sections::FENCING)
                    .with(Sections::FENCE_FAILED)
                    .with(Sections::FENCE_PENDING),
                _ => show.sections.with(Sections::FENCING),
            };
        }
        key => {
            if let Some(sections) = section(key) {
                show.sections = show.sections.toggled(sections);
            }
        }
    }
}

/// The page that explains the keys in the words of the options they stand for, with a star at what
/// is on.
pub(super) fn help(show: &Show) -> String {
    let mut page = String::from("Display option change mode\n");
    let on = |key: char| match key {
        'n' => show.by_node,
        'r' => show.inactive,
        'b' => show.brief,
        'R' => show.detail,
        't' => show.timing,
        'j' => show.pending,
        // The one option that hides.
        'D' => !show.sections.has(Sections::SUMMARY),
        key => section(key).is_some_and(|sections| show.sections.has(sections)),
    };
    for key in KEYS.chars() {
        let option = super::TABLE.options.iter().find(|option| option.short == Some(key));
        let what = option.map_or("", |option| option.help);
        let mark = match key {
            'm' => char::from(b'0' + show.fence_level.min(9)),
            key if on(key) => '*',
            _ => ' ',
        };
        page.push_str(&format!("{mark} {key}: \t{what}\n"));
    }
    page.push_str("  q: \tQuit\n\nToggle fields via field letter, type any other key to return\n");
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_switch_on_and_off() {
        let (mut show, mut help) = (Show::default(), false);
        for key in ['c', 'f', 'o', 'A', 'L', 'D', 'n', 'r', 'b', 'R', 'j', 't', 'x'] {
            let before =
                (show.sections, show.by_node, show.inactive, show.brief, show.detail, show.timing);
            assert_eq!(press(key, &mut show, &mut help), Press::Redraw);
            assert_eq!(press(key, &mut show, &mut help), Press::Redraw);
            if key != 't' {
                assert_eq!(
                    before,
                    (
                        show.sections,
                        show.by_node,
                        show.inactive,
                        show.brief,
                        show.detail,
                        show.timing
                    ),
                    "{key}"
                );
            }
        }
        assert_eq!(press('q', &mut show, &mut help), Press::Quit);
    }

    #[test]
    fn the_help_page_comes_and_goes() {
        let (mut show, mut on) = (Show::default(), false);
        press('?', &mut show, &mut on);
        assert!(on);
        for (key, want) in [
            ('n', "* n: \tGroup resources by node\n"),
            ('n', "  n: \tGroup resources by node\n"),
            ('D', "* D: \tHide all headers\n"),
            ('D', "  D: \tHide all headers\n"),
            ('j', "  j: \t"),
            ('m', "2 m: \t"),
            ('t', "* o: \t"),
            ('t', "* o: \t"),
        ] {
            press(key, &mut show, &mut on);
            assert!(on && help(&show).contains(want), "{key}: {}", help(&show));
        }
        press('x', &mut show, &mut on);
        assert!(!on);
        for key in KEYS.chars() {
            let option = super::super::TABLE.options.iter().find(|o| o.short == Some(key));
            assert!(option.is_some_and(|option| !option.help.is_empty()), "{key}");
        }
    }
}
