//! Which numbers of a peer were seen: two rings of the last 4096, one for delivered messages, one
//! for messages whose fragments were begun.
//!
//! Source: `spec/knet.md` §4.2.

/// Numbers remembered.
const SLOTS: u16 = 4096;
const WORDS: usize = SLOTS as usize / 64;

/// Which of the two rings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ring {
    /// Messages handed to the user.
    Delivered,
    /// Messages of which a fragment was taken.
    Begun,
}

/// What is remembered of one peer's numbers.
#[derive(Clone, Debug)]
pub struct Window {
    newest: u16,
    rings: [[u64; WORDS]; 2],
}

impl Default for Window {
    fn default() -> Window {
        Window { newest: 0, rings: [[0; WORDS]; 2] }
    }
}

impl Window {
    /// Forgets everything; `seq` is where the peer is (0: at its beginning).
    pub fn wipe(&mut self, seq: u16) {
        *self = Window { newest: seq, ..Window::default() };
    }

    /// The newest number seen, 0 for none.
    pub fn newest(&self) -> u16 {
        self.newest
    }

    /// Whether a number is new to a ring. The window moves on to it if it is ahead.
    pub fn is_new(&mut self, seq: u16, ring: Ring) -> bool {
        if self.newest == 0 {
            self.newest = seq;
        }
        let behind = if seq < self.newest {
            // Modulo 2^16, less one: numbers skip 0 when they wrap.
            self.newest.wrapping_sub(seq).wrapping_sub(1)
        } else {
            self.newest.wrapping_sub(seq)
        };
        if behind < SLOTS {
            return !self.get(seq, ring);
        }
        if behind <= u16::MAX - SLOTS {
            self.wipe(seq);
        }
        let mut at = self.newest;
        while at != seq {
            at = at.wrapping_add(1);
            self.clear(at);
        }
        self.newest = seq;
        true
    }

    /// Remembers a number.
    pub fn mark(&mut self, seq: u16, ring: Ring) {
        let (word, bit) = place(seq);
        self.rings[ring as usize][word] |= bit;
    }

    /// Whether a number lies among the newest `count` + 1.
    pub fn is_recent(&self, seq: u16, count: u16) -> bool {
        self.newest.wrapping_sub(seq) < count
    }

    fn get(&self, seq: u16, ring: Ring) -> bool {
        let (word, bit) = place(seq);
        self.rings[ring as usize][word] & bit != 0
    }

    fn clear(&mut self, seq: u16) {
        let (word, bit) = place(seq);
        for ring in &mut self.rings {
            ring[word] &= !bit;
        }
    }
}

fn place(seq: u16) -> (usize, u64) {
    let slot = usize::from(seq % SLOTS);
    (slot / 64, 1 << (slot % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn see(window: &mut Window, seq: u16) -> bool {
        let new = window.is_new(seq, Ring::Delivered);
        if new {
            window.mark(seq, Ring::Delivered);
        }
        new
    }

    #[test]
    fn each_number_is_new_once() {
        let mut window = Window::default();
        for seq in [1, 2, 5, 3, 4, 1000, 999] {
            assert!(see(&mut window, seq), "{seq}");
            assert!(!see(&mut window, seq), "{seq} again");
        }
        assert!(see(&mut window, 6), "skipped before");
        assert!(window.is_new(6, Ring::Begun), "the rings are apart");
    }

    #[test]
    fn numbers_wrap_without_zero() {
        let mut window = Window::default();
        let mut seq: u16 = 60_000;
        for _ in 0..200_000u32 {
            seq = seq.checked_add(1).unwrap_or(1);
            assert!(see(&mut window, seq), "{seq}");
            assert!(!see(&mut window, seq), "{seq} again");
        }
    }

    #[test]
    fn a_jump_starts_anew() {
        let mut window = Window::default();
        assert!(see(&mut window, 100));
        assert!(see(&mut window, 30_000));
        assert!(see(&mut window, 100), "far behind: the sender started again");
        assert!(!see(&mut window, 100));
        window.wipe(0);
        assert!(see(&mut window, 100));
    }

    #[test]
    fn recent_means_the_last_few() {
        let mut window = Window::default();
        window.wipe(10);
        assert!(window.is_recent(10, 33) && window.is_recent(65_535, 33));
        assert!(!window.is_recent(11, 33) && !window.is_recent(65_500, 33));
    }
}
