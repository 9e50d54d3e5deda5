//! How `corosync-quorumtool` words votes and the quorum device.
//!
//! Source: `spec/corosync-conf-and-tools.md` §6.3.

use corosync_client::votequorum::{self, Info};

/// A node's quorum device in one word.
pub(super) fn device_state(info: &Info) -> String {
    let flag = |bit| info.flags & bit != 0;
    if !flag(votequorum::FLAG_QDEVICE_REGISTERED) {
        return "NR".to_owned();
    }
    let word = |bit, yes, no| if flag(bit) { yes } else { no };
    format!(
        "{},{},{}",
        word(votequorum::FLAG_QDEVICE_ALIVE, "A", "NA"),
        word(votequorum::FLAG_QDEVICE_CAST_VOTE, "V", "NV"),
        word(votequorum::FLAG_QDEVICE_MASTER_WINS, "MW", "NMW")
    )
}

/// The block on votes.
pub(super) fn votes(info: &Info) -> String {
    const WORDS: [(u32, &str); 7] = [
        (votequorum::FLAG_TWO_NODE, "2Node "),
        (votequorum::FLAG_QUORATE, "Quorate "),
        (votequorum::FLAG_WAIT_FOR_ALL, "WaitForAll "),
        (votequorum::FLAG_LAST_MAN_STANDING, "LastManStanding "),
        (votequorum::FLAG_AUTO_TIE_BREAKER, "AutoTieBreaker "),
        (votequorum::FLAG_ALLOW_DOWNSCALE, "AllowDownscale "),
        (votequorum::FLAG_QDEVICE_REGISTERED, "Qdevice "),
    ];
    let flags: String =
        WORDS.iter().filter(|(bit, _)| info.flags & bit != 0).map(|(_, word)| *word).collect();
    let blocked = if info.flags & votequorum::FLAG_QUORATE != 0 { " " } else { "Activity blocked" };
    format!(
        "Votequorum information\n\
         ----------------------\n\
         Expected votes:   {}\n\
         Highest expected: {}\n\
         Total votes:      {}\n\
         Quorum:           {} {blocked}\n\
         Flags:            {flags}\n\n",
        info.expected_votes, info.highest_expected, info.total_votes, info.quorum
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::NodeId;

    fn info(flags: u32) -> Info {
        Info {
            node: NodeId(1),
            state: 1,
            votes: 1,
            expected_votes: 3,
            highest_expected: 3,
            total_votes: 2,
            quorum: 2,
            flags,
            qdevice_votes: 1,
            qdevice_name: String::new(),
        }
    }

    #[test]
    fn votes_are_shown_as_upstream_shows_them() {
        let head = "Votequorum information\n----------------------\nExpected votes:   3\n\
                    Highest expected: 3\nTotal votes:      2\n";
        for (flags, tail) in [
            (
                votequorum::FLAG_QUORATE
                    | votequorum::FLAG_TWO_NODE
                    | votequorum::FLAG_WAIT_FOR_ALL,
                "Quorum:           2  \nFlags:            2Node Quorate WaitForAll \n\n",
            ),
            (0, "Quorum:           2 Activity blocked\nFlags:            \n\n"),
        ] {
            assert_eq!(votes(&info(flags)), format!("{head}{tail}"));
        }
    }

    #[test]
    fn the_devices_state_is_three_words() {
        let registered = votequorum::FLAG_QDEVICE_REGISTERED;
        for (flags, state) in [
            (0, "NR"),
            (registered, "NA,NV,NMW"),
            (
                registered
                    | votequorum::FLAG_QDEVICE_ALIVE
                    | votequorum::FLAG_QDEVICE_CAST_VOTE
                    | votequorum::FLAG_QDEVICE_MASTER_WINS,
                "A,V,MW",
            ),
        ] {
            assert_eq!(device_state(&info(flags)), state);
        }
    }
}
