//! The attributes of an element, packed into one piece of text.
//!
//! A status section has millions of attributes with the same few dozen names and short values. As
//! pairs of strings they would be several times the size of the document they came from; packed,
//! an element's attributes are one allocation, smaller than their text was. Each attribute is
//!
//! 1. one character: the place of its name in [`KNOWN`] plus one; or 0, then the length of the
//!    name, then the name;
//! 2. the length of the value, then the value.
//!
//! A length below 127 is one character; a longer one is the character 127 and five characters of
//! seven bits each, the lowest bits first. So everything is text, and equal attributes in equal
//! order are equal text.

use ecow::EcoString;

/// Names that documents are full of, shortest first. Only speed and size depend on what is here.
const KNOWN: &[&str] = &[
    "id",
    "rsc",
    "crmd",
    "join",
    "kind",
    "mode",
    "name",
    "node",
    "role",
    "then",
    "type",
    "class",
    "epoch",
    "first",
    "image",
    "index",
    "score",
    "uname",
    "value",
    "id-ref",
    "in_ccm",
    "target",
    "ticket",
    "call-id",
    "dc-uuid",
    "enabled",
    "long-id",
    "network",
    "on-fail",
    "on_node",
    "op-type",
    "options",
    "rc-code",
    "timeout",
    "expected",
    "interval",
    "last-run",
    "position",
    "priority",
    "provider",
    "replicas",
    "requires",
    "rsc-role",
    "template",
    "with-rsc",
    "attribute",
    "container",
    "exec-time",
    "influence",
    "op-digest",
    "op-status",
    "operation",
    "boolean-op",
    "queue-time",
    "sequential",
    "admin_epoch",
    "description",
    "exit-reason",
    "have-quorum",
    "num_updates",
    "require-all",
    "router_node",
    "start-delay",
    "symmetrical",
    "then-action",
    "update-user",
    "first-action",
    "on_node_uuid",
    "CRM_meta_name",
    "operation_key",
    "shutdown-lock",
    "update-client",
    "update-origin",
    "validate-with",
    "with-rsc-role",
    "last-rc-change",
    "migrate_source",
    "migrate_target",
    "transition-key",
    "crm_feature_set",
    "CRM_meta_on_node",
    "CRM_meta_timeout",
    "cib-last-written",
    "crm-debug-origin",
    "op-force-restart",
    "op-secure-digest",
    "op-secure-params",
    "transition-magic",
    "CRM_meta_interval",
    "op-restart-digest",
    "resource-discovery",
    "CRM_meta_on_node_uuid",
    "CRM_meta_op_target_rc",
    "internal_operation_key",
];

/// Names longer than this are none of the [`KNOWN`] ones.
const NAME_MAX: usize = 24;

/// Where the names of each length begin in [`KNOWN`].
const STARTS: [u8; NAME_MAX + 2] = {
    let mut starts = [0; NAME_MAX + 2];
    let (mut length, mut at) = (0, 0);
    while length < starts.len() {
        while at < KNOWN.len() && KNOWN[at].len() < length {
            at += 1;
        }
        starts[length] = at as u8;
        length += 1;
    }
    assert!(at == KNOWN.len(), "a known name is longer than NAME_MAX");
    starts
};

/// Marks a length of five more characters.
const LONG: u8 = 127;

/// The character for a known name; 0 for all others.
fn code_of(name: &str) -> u8 {
    if name.len() > NAME_MAX {
        return 0;
    }
    let (from, to) = (STARTS[name.len()], STARTS[name.len() + 1]);
    // Names of a length mostly differ at one of their ends.
    let ends = |name: &str| (name.as_bytes().first().copied(), name.as_bytes().last().copied());
    let own = ends(name);
    let mut candidates = KNOWN[from as usize..to as usize].iter();
    let place = candidates.position(|known| ends(known) == own && *known == name);
    place.map_or(0, |place| from + place as u8 + 1)
}

fn push_length(packed: &mut String, length: usize) {
    if length < LONG as usize {
        packed.push(char::from(length as u8));
        return;
    }
    packed.push(char::from(LONG));
    for shift in [0, 7, 14, 21, 28] {
        packed.push(char::from((length >> shift & 0x7f) as u8));
    }
}

/// The length at `at`, and where what it is the length of begins.
fn read_length(packed: &str, at: usize) -> (usize, usize) {
    let bytes = packed.as_bytes();
    match bytes.get(at) {
        None => (0, at),
        Some(&LONG) => {
            let digits = bytes.get(at + 1..at + 6).unwrap_or_default();
            let length = digits.iter().rev().fold(0, |sum, digit| sum << 7 | usize::from(*digit));
            (length, at + 6)
        }
        Some(short) => (usize::from(*short), at + 1),
    }
}

/// Writes one attribute behind what is there.
fn push_attr(packed: &mut String, name: &str, value: &str) {
    let code = code_of(name);
    packed.push(char::from(code));
    if code == 0 {
        push_length(packed, name.len());
        packed.push_str(name);
    }
    push_length(packed, value.len());
    packed.push_str(value);
}

/// Where one attribute is in the packed text.
#[derive(Clone, Copy)]
struct Spot {
    from: usize,
    value: usize,
    end: usize,
}

/// All attributes of an element.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Attrs {
    packed: String,
    count: u32,
}

impl Attrs {
    /// Names and values in their order.
    pub(crate) fn iter(&self) -> Iter<'_> {
        Iter { packed: &self.packed, at: 0, left: self.count as usize }
    }

    fn find(&self, name: &str) -> Option<Spot> {
        let code = code_of(name);
        let bytes = self.packed.as_bytes();
        let mut at = 0;
        while let Some(found) = bytes.get(at) {
            let from = at;
            at += 1;
            let mut same = *found == code;
            if *found == 0 {
                let (length, start) = read_length(&self.packed, at);
                at = start + length;
                same = code == 0 && bytes.get(start..at) == Some(name.as_bytes());
            }
            let (length, value) = read_length(&self.packed, at);
            at = value + length;
            if same {
                return Some(Spot { from, value, end: at });
            }
        }
        None
    }

    /// The value of an attribute.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let spot = self.find(name)?;
        self.packed.get(spot.value..spot.end)
    }

    /// Sets an attribute: in place if it exists, else behind the last one.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        match self.find(name) {
            None => self.push(name, value),
            Some(spot) => {
                let mut new = String::with_capacity(name.len() + value.len() + 8);
                push_attr(&mut new, name, value);
                self.packed.replace_range(spot.from..spot.end, &new);
            }
        }
    }

    /// Adds an attribute that is known not to be there.
    fn push(&mut self, name: &str, value: &str) {
        push_attr(&mut self.packed, name, value);
        self.count += 1;
    }

    /// Removes an attribute and returns its value.
    pub(crate) fn unset(&mut self, name: &str) -> Option<EcoString> {
        let spot = self.find(name)?;
        let value = self.packed.get(spot.value..spot.end).map(EcoString::from);
        self.packed.replace_range(spot.from..spot.end, "");
        self.count -= 1;
        value
    }

    /// Keeps the attributes for which `keep(name, value)` holds.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        *self = self.iter().filter(|(name, value)| keep(name, value)).collect();
    }

    /// Sorts by name, bytewise.
    pub(crate) fn sort(&mut self) {
        let mut all: Vec<(&str, &str)> = self.iter().collect();
        all.sort_by_key(|(name, _)| *name);
        *self = all.into_iter().collect();
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Attrs {
    /// The names must differ.
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str)>>(attrs: T) -> Attrs {
        let mut new = Attrs::default();
        for (name, value) in attrs {
            new.push(name, value);
        }
        new.packed.shrink_to_fit();
        new
    }
}

impl std::fmt::Debug for Attrs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// See [`Attrs::iter`].
#[derive(Clone)]
pub(crate) struct Iter<'a> {
    packed: &'a str,
    at: usize,
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let code = *self.packed.as_bytes().get(self.at)?;
        let mut at = self.at + 1;
        let name = match usize::from(code).checked_sub(1) {
            Some(place) => *KNOWN.get(place)?,
            None => {
                let (length, start) = read_length(self.packed, at);
                at = start + length;
                self.packed.get(start..at)?
            }
        };
        let (length, start) = read_length(self.packed, at);
        self.at = start + length;
        self.left = self.left.saturating_sub(1);
        Some((name, self.packed.get(start..self.at)?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// Packs the attributes of one tag after the other, with one buffer for all of them.
#[derive(Default)]
pub(crate) struct Packer {
    packed: String,
    count: u32,
    /// Known names seen in this tag.
    seen: u128,
}

impl Packer {
    /// Adds an attribute; false if there is one of that name.
    pub(crate) fn push(&mut self, name: &str, value: &str) -> bool {
        let code = code_of(name);
        let seen = if code == 0 {
            Iter { packed: &self.packed, at: 0, left: 0 }.any(|(other, _)| other == name)
        } else {
            self.seen >> code & 1 == 1
        };
        if seen {
            return false;
        }
        self.seen |= u128::from(code != 0) << code;
        push_attr(&mut self.packed, name, value);
        self.count += 1;
        true
    }

    /// The attributes since the last call.
    pub(crate) fn take(&mut self) -> Attrs {
        let attrs = Attrs { packed: self.packed.as_str().to_owned(), count: self.count };
        self.packed.clear();
        (self.count, self.seen) = (0, 0);
        attrs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_have_codes_of_their_own() {
        for (place, name) in KNOWN.iter().enumerate() {
            assert_eq!(usize::from(code_of(name)), place + 1, "{name}");
        }
        assert!(KNOWN.len() < usize::from(LONG));
        for name in ["", "x", "ids", "crm_feature_sey", "a name that is longer than any known one"]
        {
            assert_eq!(code_of(name), 0, "{name}");
        }
    }

    #[test]
    fn packed_attributes_behave_like_a_list_of_pairs() {
        let names =
            ["id", "name", "x", "\u{e9}t\u{e9}", "", "crm_feature_set", "long-name-of-mine"];
        let values =
            ["", "1", "caf\u{e9}", &"v".repeat(126), &"w".repeat(127), &"\u{e9}".repeat(9000)];
        let (mut packed, mut plain) = (Attrs::default(), Vec::<(&str, &str)>::new());
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut roll = |bound: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed % bound as u64) as usize
        };
        for _ in 0..3000 {
            let (name, value) = (names[roll(names.len())], values[roll(values.len())]);
            let place = plain.iter().position(|(other, _)| *other == name);
            match (roll(8), place) {
                (0, _) => {
                    let old = place.map(|place| plain.remove(place).1);
                    assert_eq!(packed.unset(name).as_deref(), old);
                }
                (1, _) => {
                    packed.retain(|_, v| v.len() != value.len());
                    plain.retain(|(_, v)| v.len() != value.len());
                }
                (2, _) => {
                    packed.sort();
                    plain.sort();
                }
                (_, Some(place)) => {
                    packed.set(name, value);
                    plain[place].1 = value;
                }
                (_, None) => {
                    packed.set(name, value);
                    plain.push((name, value));
                }
            }
            assert_eq!(packed.iter().collect::<Vec<_>>(), plain);
            assert_eq!(packed.iter().len(), plain.len());
            assert_eq!(packed, plain.iter().copied().collect());
            for name in names {
                let wanted = plain.iter().find(|(other, _)| *other == name).map(|(_, v)| *v);
                assert_eq!(packed.get(name), wanted);
            }
        }
    }

    #[test]
    fn a_packer_refuses_what_it_has_seen_in_the_same_tag() {
        let mut packer = Packer::default();
        assert!(packer.push("id", "1") && packer.push("x", "2"));
        assert!(!packer.push("id", "3") && !packer.push("x", "4"));
        assert_eq!(packer.take().iter().collect::<Vec<_>>(), [("id", "1"), ("x", "2")]);
        assert!(packer.push("id", "3"));
        assert_eq!(packer.take().get("id"), Some("3"));
    }
}
