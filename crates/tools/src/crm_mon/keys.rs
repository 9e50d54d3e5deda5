//! What keys do to the interactive display. Source: `spec/cli-pacemaker.md` §6.10.

use crate::status::{Sections, Show};

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
        _ if *help => *help = false,
        _ => toggle(key, show),
    }
    Press::Redraw
}

fn toggle(key: char, show: &mut Show) {
    match key {
        'n' => show.by_node = !show.by_node,
        'r' => show.inactive = !show.inactive,
        'b' => show.brief = !show.brief,
        'R' => show.detail = !show.detail,
        't' => {
            show.timing = !show.timing;
            show.sections = if show.timing {
                show.sections.with(Sections::OPERATIONS)
            } else {
                show.sections.without(Sections::OPERATIONS)
            };
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

/// The page that explains the keys, with a star at what is on.
pub(super) fn help(show: &Show) -> String {
    let mut page = String::from("Display option change mode\n\n");
    let on = |key: char| match key {
        'n' => show.by_node,
        'r' => show.inactive,
        'b' => show.brief,
        'R' => show.detail,
        't' => show.timing,
        'm' => show.fence_level > 0,
        key => section(key).is_some_and(|sections| show.sections.has(sections)),
    };
    for (key, what) in [
        ('c', "show tickets"),
        ('f', "show failcounts"),
        ('n', "group by node"),
        ('o', "show operations"),
        ('r', "show inactive resources"),
        ('t', "show timing details"),
        ('A', "show node attributes"),
        ('L', "show negative location constraints"),
        ('D', "show header"),
        ('R', "show node IDs and individual clone instances"),
        ('b', "brief output"),
        ('m', "fence history, next level"),
    ] {
        page.push_str(&format!("{} {key}: \t{what}\n", if on(key) { '*' } else { ' ' }));
    }
    page.push_str("  q: \tquit\n\nToggle fields via field letter, type any other key to return\n");
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_switch_on_and_off() {
        let (mut show, mut help) = (Show::default(), false);
        for key in ['c', 'f', 'o', 'A', 'L', 'D', 'n', 'r', 'b', 'R', 't', 'x'] {
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
        assert!(on && help(&show).contains("* D: "));
        press('n', &mut show, &mut on);
        assert!(!on && !show.by_node);
    }
}
