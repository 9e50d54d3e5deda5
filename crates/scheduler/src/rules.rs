//! Rules and the name/value blocks they guard. Source: `spec/scheduler-unpack.md` §2–3,
//! `spec/cib.md` §14.

use std::cell::Cell;
use std::cmp::Ordering;

use base::dates::{DateTime, Duration};
use ecow::EcoString;
use xml::Element;

use crate::model::Attrs;
use crate::text::{self, parse_interval, scan_int};

/// What a rule may look at.
#[derive(Default)]
pub struct RuleInput<'a> {
    /// The effective time, read in local time.
    pub now: i64,
    /// Offset of local time.
    pub local_offset: i32,
    /// Attributes of the node in question.
    pub node_attrs: Option<&'a Attrs>,
    /// Class, provider and type of the resource.
    pub agent: Option<(&'a str, Option<&'a str>, &'a str)>,
    /// Name and interval of the operation.
    pub op: Option<(&'a str, u32)>,
    /// Instance attributes of the resource.
    pub params: Option<&'a Attrs>,
    /// Meta attributes of the resource.
    pub meta: Option<&'a Attrs>,
    /// What `%0` to `%9` stand for.
    pub submatches: &'a [EcoString],
    /// Earliest time at which some rule may change its mind; 0 for none.
    pub next_change: Cell<i64>,
}

impl RuleInput<'_> {
    fn changes_at(&self, when: i64) {
        let known = self.next_change.get();
        if when > self.now && (known == 0 || when < known) {
            self.next_change.set(when);
        }
    }

    fn time(&self, text: &str) -> Option<i64> {
        DateTime::parse(text, self.now, self.local_offset).map(|time| time.epoch)
    }
}

/// True if the rule passes.
pub fn passes(rule: &Element, input: &RuleInput<'_>) -> bool {
    if rule.id().is_none() {
        return false;
    }
    let any = match rule.get("boolean-op") {
        None => false,
        Some(op) if op.eq_ignore_ascii_case("and") => false,
        Some(op) if op.eq_ignore_ascii_case("or") => true,
        Some(_) => return false,
    };
    let mut conditions = 0;
    for condition in rule.children() {
        let passed = match condition.name() {
            "rule" => passes(condition, input),
            "expression" => condition.id().is_some() && attribute_passes(condition, input),
            "date_expression" => condition.id().is_some() && date_passes(condition, input),
            "rsc_expression" => condition.id().is_some() && agent_passes(condition, input),
            "op_expression" => condition.id().is_some() && op_passes(condition, input),
            _ => continue,
        };
        conditions += 1;
        if passed == any {
            return any;
        }
    }
    conditions == 0 || !any
}

/// Replaces `%0` to `%9`.
pub fn expand_submatches(text: &str, submatches: &[EcoString]) -> EcoString {
    if submatches.is_empty() || !text.contains('%') {
        return text.into();
    }
    let mut out = EcoString::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek().and_then(|d| d.to_digit(10)) {
            Some(digit) if c == '%' => {
                chars.next();
                if let Some(value) = submatches.get(digit as usize) {
                    out.push_str(value);
                }
            }
            _ => out.push(c),
        }
    }
    out
}

fn attribute_passes(condition: &Element, input: &RuleInput<'_>) -> bool {
    let (Some(name), Some(op)) = (condition.get("attribute"), condition.get("operation")) else {
        return false;
    };
    let Some(attrs) = input.node_attrs else { return false };
    let name = expand_submatches(name, input.submatches);
    let actual = attrs.get(&name).map(EcoString::as_str);
    let value = condition.get("value");
    let is = |word: &str| op.eq_ignore_ascii_case(word);
    if is("defined") || is("not_defined") {
        return value.is_none() && actual.is_some() == is("defined");
    }
    let Some(value) = value else { return false };
    let reference = match condition.get("value-source") {
        None => Some(value),
        Some(s) if s.eq_ignore_ascii_case("literal") => Some(value),
        Some(s) if s.eq_ignore_ascii_case("param") => {
            input.params.and_then(|p| p.get(value)).map(EcoString::as_str)
        }
        Some(s) if s.eq_ignore_ascii_case("meta") => {
            input.meta.and_then(|m| m.get(value)).map(EcoString::as_str)
        }
        Some(_) => return false,
    };
    let ordered = is("lt") || is("lte") || is("gt") || is("gte");
    let dotted = |text: Option<&str>| text.is_some_and(|text| text.contains('.'));
    let kind = match condition.get("type").map(str::to_ascii_lowercase).as_deref() {
        None if ordered && (dotted(actual) || dotted(reference)) => "number",
        None if ordered => "integer",
        None | Some("string") => "string",
        Some("integer") => "integer",
        Some("number") => "number",
        Some("version") => "version",
        Some(_) => return false,
    };
    let order = compare(actual, reference, kind);
    match () {
        () if is("eq") => order.is_eq(),
        () if is("ne") => order.is_ne(),
        () if actual.is_none() || reference.is_none() => false,
        () if is("lt") => order.is_lt(),
        () if is("lte") => order.is_le(),
        () if is("gt") => order.is_gt(),
        () if is("gte") => order.is_ge(),
        () => false,
    }
}

fn compare(a: Option<&str>, b: Option<&str>, kind: &str) -> Ordering {
    let (a, b) = match (a, b) {
        (None, None) => return Ordering::Equal,
        (None, Some(_)) => return Ordering::Less,
        (Some(_), None) => return Ordering::Greater,
        (Some(a), Some(b)) => (a, b),
    };
    let as_text = || a.to_ascii_lowercase().cmp(&b.to_ascii_lowercase());
    match kind {
        "integer" => match (scan_int(a), scan_int(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => as_text(),
        },
        "number" => match (scan_number(a), scan_number(b)) {
            (Some(a), Some(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
            _ => as_text(),
        },
        "version" => text::compare_versions(a, b),
        _ => as_text(),
    }
}

/// The longest prefix that is a decimal number.
fn scan_number(text: &str) -> Option<f64> {
    let text = text.trim_start();
    let end = text
        .char_indices()
        .find(|(i, c)| {
            !(c.is_ascii_digit()
                || *c == '.'
                || matches!(c, 'e' | 'E')
                || (matches!(c, '+' | '-') && (*i == 0 || text[..*i].ends_with(['e', 'E']))))
        })
        .map_or(text.len(), |(i, _)| i);
    (1..=end).rev().find_map(|end| text.get(..end)?.parse().ok())
}

fn date_passes(condition: &Element, input: &RuleInput<'_>) -> bool {
    let op = condition.get("operation").unwrap_or("in_range").to_ascii_lowercase();
    let start = condition.get("start").and_then(|text| input.time(text));
    let mut end = condition.get("end").and_then(|text| input.time(text));
    let now = input.now;
    match op.as_str() {
        "in_range" => {
            if end.is_none()
                && let (Some(text), Some(span)) =
                    (condition.get("start"), condition.child("duration"))
                && let Some(from) = DateTime::parse(text, now, input.local_offset)
            {
                end = Some(duration_of(span).after(from).epoch);
            }
            if start.is_none() && end.is_none() {
                return false;
            }
            if let Some(start) = start
                && now < start
            {
                input.changes_at(start);
                return false;
            }
            if let Some(end) = end {
                if now > end {
                    return false;
                }
                input.changes_at(end.saturating_add(1));
            }
            true
        }
        "gt" => {
            let Some(start) = start else { return false };
            if now > start {
                return true;
            }
            input.changes_at(start.saturating_add(1));
            false
        }
        "lt" => {
            let Some(end) = end else { return false };
            if now < end {
                input.changes_at(end);
                return true;
            }
            false
        }
        "date_spec" => condition.child("date_spec").is_some_and(|spec| {
            let fields = DateTime { epoch: now, offset: input.local_offset }.fields();
            [
                ("years", fields.year),
                ("months", fields.month),
                ("monthdays", fields.day),
                ("hours", fields.hour),
                ("minutes", fields.minute),
                ("seconds", fields.second),
                ("yeardays", fields.yearday),
                ("weekyears", fields.weekyear),
                ("weeks", fields.week),
                ("weekdays", fields.weekday),
            ]
            .into_iter()
            .all(|(name, value)| spec.get(name).is_none_or(|range| in_range(range, value)))
        }),
        _ => false,
    }
}

fn duration_of(span: &Element) -> Duration {
    let field =
        |name: &str| span.get(name).and_then(scan_int).unwrap_or(0).clamp(-1 << 40, 1 << 40);
    Duration {
        years: field("years").clamp(-100_000, 100_000),
        months: field("months").clamp(-1_000_000, 1_000_000),
        weeks: field("weeks"),
        days: field("days"),
        hours: field("hours"),
        minutes: field("minutes"),
        seconds: field("seconds"),
    }
}

fn in_range(range: &str, value: i64) -> bool {
    let number = |text: &str| text.trim().parse::<i64>().ok();
    match range.split_once('-') {
        None => number(range) == Some(value),
        Some(("", high)) => number(high).is_some_and(|high| value <= high),
        Some((low, "")) => number(low).is_some_and(|low| value >= low),
        Some((low, high)) => match (number(low), number(high)) {
            (Some(low), Some(high)) => (low..=high).contains(&value),
            _ => false,
        },
    }
}

fn agent_passes(condition: &Element, input: &RuleInput<'_>) -> bool {
    let Some((class, provider, kind)) = input.agent else { return false };
    condition.get("class").is_none_or(|c| c == class)
        && condition.get("provider").is_none_or(|p| Some(p) == provider)
        && condition.get("type").is_none_or(|t| t == kind)
}

fn op_passes(condition: &Element, input: &RuleInput<'_>) -> bool {
    let Some((name, interval)) = input.op else { return false };
    condition.get("name") == Some(name)
        && condition.get("interval").is_none_or(|i| parse_interval(Some(i)) == interval)
}

/// The blocks of one name below `parent` in the order in which they win.
pub fn sorted_blocks<'a>(
    parent: &'a Element,
    block_name: &str,
    always_first: Option<&str>,
) -> Vec<&'a Element> {
    let mut blocks: Vec<&Element> =
        parent.children().rev().filter(|child| child.name() == block_name).collect();
    let score = |block: &Element| {
        block.get("score").and_then(|s| crate::score::parse(s, Default::default())).unwrap_or(0)
    };
    blocks.sort_by_key(|block| {
        let first = always_first.is_some() && block.id() == always_first;
        (!first, -i64::from(score(block)))
    });
    blocks
}

/// Adds the pairs of all blocks that apply. A name that is there already stays as it is
/// (unless `overwrite`); `#default` removes it.
pub fn unpack_blocks(
    parent: &Element,
    block_name: &str,
    always_first: Option<&str>,
    input: &RuleInput<'_>,
    overwrite: bool,
    into: &mut Attrs,
) {
    for block in sorted_blocks(parent, block_name, always_first) {
        if block.child("rule").is_some_and(|rule| !passes(rule, input)) {
            continue;
        }
        for pair in block.children_named("nvpair") {
            let (Some(name), Some(value)) = (pair.get("name"), pair.get("value")) else {
                continue;
            };
            if value.eq_ignore_ascii_case("#default") {
                into.remove(name);
            } else if overwrite || !into.contains_key(name) {
                into.insert(name.into(), value.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: &str, now: &str, attrs: &[(&str, &str)]) -> bool {
        let attrs = attrs.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        let input = RuleInput {
            now: DateTime::parse(now, 0, 0).unwrap().epoch,
            node_attrs: Some(&attrs),
            ..RuleInput::default()
        };
        passes(&xml::parse(rule).unwrap(), &input)
    }

    #[test]
    fn rules_pass_and_fail() {
        for (rule, want) in [
            ("<rule id='r'/>", true),
            (
                "<rule id='r'><expression id='e' attribute='#uname' operation='eq' value='N1'/></rule>",
                true,
            ),
            (
                "<rule id='r'><expression id='e' attribute='x' operation='not_defined'/></rule>",
                true,
            ),
            (
                "<rule id='r'><expression id='e' attribute='n' operation='gt' value='9'/></rule>",
                true,
            ),
            (
                "<rule id='r'><expression id='e' attribute='n' operation='gt' value='9' type='string'/></rule>",
                false,
            ),
            ("<rule id='r'><date_expression id='e' operation='gt' start='2005-019'/></rule>", true),
            (
                "<rule id='r'><date_expression id='e' operation='date_spec'><date_spec id='d' hours='9-16' weekdays='4'/></date_expression></rule>",
                true,
            ),
            (
                "<rule id='r'><date_expression id='e' start='2005-01-19' operation='in_range'><duration id='d' days='1'/></date_expression></rule>",
                false,
            ),
            (
                "<rule id='r' boolean-op='or'><expression id='a' attribute='x' operation='defined'/><expression id='b' attribute='n' operation='defined'/></rule>",
                true,
            ),
        ] {
            assert_eq!(
                check(rule, "2005-020T12:30", &[("#uname", "n1"), ("n", "10")]),
                want,
                "{rule}"
            );
        }
    }

    #[test]
    fn the_last_of_equal_blocks_wins() {
        let parent = xml::parse(
            "<p><m id='a'><nvpair id='1' name='x' value='1'/></m><m id='b'><nvpair id='2' name='x' value='2'/></m></p>",
        )
        .unwrap();
        let mut into = Attrs::new();
        unpack_blocks(&parent, "m", None, &RuleInput::default(), false, &mut into);
        assert_eq!(into.get("x").map(EcoString::as_str), Some("2"));
    }
}
