//! `crm_rule`: whether rules are in effect. Source: `spec/cli-pacemaker.md` §8.7.

use base::CrmExit;
use base::dates::{DateTime, Duration};
use xml::Element;

use crate::options::{Arg, Parsed, Table, flag, old, value};
use crate::output::{self, Fail, Out};
use crate::rc::Rc;
use crate::source::{self, Source, Wish};
use crate::xml_input;

/// The command line.
pub(crate) const TABLE: Table = Table {
    tool: "crm_rule",
    summary: "evaluate rules from the Pacemaker configuration",
    usage: "[OPTION…]",
    groups: &[("modes", "Modes (mutually exclusive):"), ("additional", "Additional Options:")],
    options: &[
        flag("check", 'c', "modes", "Check whether a rule is in effect"),
        value(
            "date",
            'd',
            "DATETIME",
            "additional",
            "Whether the rule is in effect on this date and/or time",
        ),
        value(
            "rule",
            'r',
            "RULE",
            "additional",
            "The ID of the rule to check (may be specified multiple times)",
        ),
        value(
            "xml-text",
            'X',
            "XML",
            "additional",
            "Use this XML instead of the cluster's (- for stdin)",
        ),
        old("xml_text", ' ', "xml-text", Arg::Yes("")),
    ],
    formats: &["text", "xml"],
    notes: "Only rules with a single date expression can be checked.",
};

/// Runs the tool.
pub fn main(args: &[String]) -> i32 {
    output::run(&TABLE, args, work)
}

/// What is to be said of a rule.
enum Verdict {
    Is(Rc),
    Unknown(Rc, &'static str),
}

fn work(parsed: &Parsed, out: &mut Out) -> Result<CrmExit, Fail> {
    if !parsed.has("check") {
        return Err(Fail::usage("No mode operation given"));
    }
    if !parsed.has("rule") {
        return Err(Fail::usage("--check requires use of --rule="));
    }
    let now = crate::clock::now();
    let zone = crate::clock::local_offset(now);
    let at = match parsed.value("date") {
        None => DateTime { epoch: now, offset: zone },
        Some(text) => DateTime::read(text, now, zone).map_err(|error| {
            base::error!("{error}");
            Fail::new(CrmExit::Dataerr, format!("No --date given or invalid: {text}"))
        })?,
    };
    let document = match parsed.value("xml-text") {
        None => {
            let wish = Wish { tool: "crm_rule", user: None, writes: false };
            Source::open(&wish)
                .and_then(|mut source| source.document())
                .map_err(|rc| Fail::new(rc.exit(), format!("Could not connect to CIB: {rc}")))?
        }
        Some("-") => {
            let text = source::read_stdin().unwrap_or_default();
            xml_input::parse(&text)
                .map_err(|_| Fail::new(CrmExit::Dataerr, "Couldn't parse input from STDIN"))?
        }
        Some(text) => xml_input::parse(text).map_err(|_| {
            Fail::new(CrmExit::Dataerr, format!("Couldn't parse input string: {text}"))
        })?,
    };
    let mut worst = CrmExit::Ok;
    for id in parsed.values("rule") {
        let verdict = check(&document, id, at, now, zone);
        let rc = match verdict {
            Verdict::Is(rc) => {
                out.line(&match rc {
                    Rc::AFTER_RANGE => format!("Rule {id} is expired"),
                    Rc::BEFORE_RANGE => format!("Rule {id} has not yet taken effect"),
                    Rc::OP_UNSATISFIED => format!("Rule {id} does not satisfy conditions"),
                    Rc(-1024) => format!("Rule {id} is still in effect"),
                    _ => format!("Rule {id} satisfies conditions"),
                });
                rc
            }
            Verdict::Unknown(rc, why) => {
                out.err(&format!("Could not determine whether rule {id} is in effect: {why}"));
                rc
            }
        };
        let exit = if rc == Rc(-1024) { CrmExit::Ok } else { rc.exit() };
        out.xml(|| {
            Element::new("rule-check").with("rule-id", id).with("rc", exit.code().to_string())
        });
        // The last that is not fine counts.
        if exit != CrmExit::Ok {
            worst = exit;
        }
    }
    Ok(worst)
}

fn check(document: &Element, id: &str, at: DateTime, now: i64, zone: i32) -> Verdict {
    let mut rules = document
        .descendants()
        .filter(|element| element.name() == "rule" && element.id() == Some(id));
    let Some(rule) = rules.next() else { return Verdict::Unknown(Rc::ENXIO, "Rule not found") };
    if rules.next().is_some() {
        return Verdict::Unknown(Rc::ENXIO, "More than one rule with given ID found");
    }
    let mut dates = rule.descendants().filter(|element| element.name() == "date_expression");
    let Some(expression) = dates.next() else {
        return Verdict::Unknown(Rc::EOPNOTSUPP, "Rule does not have a date expression");
    };
    if dates.next().is_some() {
        return Verdict::Unknown(Rc::EOPNOTSUPP, "Rule has more than one date expression");
    }
    let date = |name: &str| expression.get(name).and_then(|text| DateTime::parse(text, now, zone));
    let (start, end) = (date("start"), date("end"));
    match expression.get("operation").unwrap_or("in_range") {
        "date_spec" => match expression.child("date_spec") {
            Some(spec) if spec.has("years") => years(spec, at),
            _ => Verdict::Unknown(
                Rc::EOPNOTSUPP,
                "Rule must either not use date_spec, or use date_spec with years=",
            ),
        },
        "gt" => match start {
            Some(start) if at.epoch > start.epoch => Verdict::Is(Rc(-1024)),
            Some(_) => Verdict::Is(Rc::BEFORE_RANGE),
            None => Verdict::Unknown(Rc::UNPACK_ERROR, "Rule has an invalid start date"),
        },
        "lt" => match end {
            Some(end) if at.epoch < end.epoch => Verdict::Is(Rc(-1024)),
            Some(_) => Verdict::Is(Rc::AFTER_RANGE),
            None => Verdict::Unknown(Rc::UNPACK_ERROR, "Rule has an invalid end date"),
        },
        _ => {
            let end = end.or_else(|| lasting(expression, start?));
            if start.is_some_and(|start| at.epoch < start.epoch) {
                Verdict::Is(Rc::BEFORE_RANGE)
            } else if end.is_some_and(|end| at.epoch > end.epoch) {
                Verdict::Is(Rc::AFTER_RANGE)
            } else {
                Verdict::Is(Rc(-1024))
            }
        }
    }
}

/// The end of a range that a `duration` child gives.
fn lasting(expression: &Element, start: DateTime) -> Option<DateTime> {
    let span = expression.child("duration")?;
    let number = |name: &str| span.get(name).and_then(|text| text.parse().ok()).unwrap_or(0);
    let span = Duration {
        years: number("years"),
        months: number("months"),
        weeks: number("weeks"),
        days: number("days"),
        hours: number("hours"),
        minutes: number("minutes"),
        seconds: number("seconds"),
    };
    Some(span.after(start))
}

/// A `date_spec` with years: before, within or after them; other parts must fit within.
fn years(spec: &Element, at: DateTime) -> Verdict {
    let fields = at.fields();
    let range = |text: &str| -> Option<(i64, i64)> {
        match text.split_once('-') {
            Some((low, "")) => Some((low.parse().ok()?, i64::MAX)),
            Some((low, high)) => Some((low.parse().ok()?, high.parse().ok()?)),
            None => text.parse().ok().map(|year| (year, year)),
        }
    };
    let ranges: Vec<(i64, i64)> =
        spec.get("years").unwrap_or("").split(',').filter_map(range).collect();
    let Some(last) = ranges.iter().map(|(_, high)| *high).max() else {
        return Verdict::Unknown(Rc::UNPACK_ERROR, "Rule has invalid years");
    };
    if fields.year > last {
        return Verdict::Is(Rc::AFTER_RANGE);
    }
    if !ranges.iter().any(|(low, high)| (*low..=*high).contains(&fields.year)) {
        return Verdict::Is(Rc::BEFORE_RANGE);
    }
    for (name, value) in [
        ("months", fields.month),
        ("monthdays", fields.day),
        ("hours", fields.hour),
        ("minutes", fields.minute),
        ("seconds", fields.second),
        ("weekdays", fields.weekday),
        ("yeardays", fields.yearday),
        ("weekyears", fields.weekyear),
        ("weeks", fields.week),
    ] {
        let Some(text) = spec.get(name) else { continue };
        if !text.split(',').filter_map(range).any(|(low, high)| (low..=high).contains(&value)) {
            return Verdict::Is(Rc::OP_UNSATISFIED);
        }
    }
    Verdict::Is(Rc::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_before_within_or_after_their_time() {
        let document = xml::parse(
            "<cib><rule id='lt'><date_expression operation='lt' end='2019-01-01 00:00:00Z'/></rule>\
             <rule id='gt'><date_expression operation='gt' start='2019-01-01 00:00:00Z'/></rule>\
             <rule id='in'><date_expression operation='in_range' start='2019-01-01 00:00:00Z'>\
             <duration hours='1'/></date_expression></rule>\
             <rule id='spec'><date_expression operation='date_spec'><date_spec years='2018-2019' months='1'/>\
             </date_expression></rule><rule id='none'/></cib>",
        )
        .unwrap();
        let exit = |id: &str, date: &str| {
            let at = DateTime::parse(date, 0, 0).unwrap();
            match check(&document, id, at, 0, 0) {
                Verdict::Is(rc) | Verdict::Unknown(rc, _) => rc.0,
            }
        };
        for (id, date, rc) in [
            ("lt", "2018-06-01 00:00:00Z", -1024),
            ("lt", "2020-06-01 00:00:00Z", -1025),
            ("gt", "2018-06-01 00:00:00Z", -1023),
            ("in", "2019-01-01 00:30:00Z", -1024),
            ("in", "2019-01-01 01:30:00Z", -1025),
            ("spec", "2019-01-05 00:00:00Z", 0),
            ("spec", "2019-02-05 00:00:00Z", -1021),
            ("spec", "2017-02-05 00:00:00Z", -1023),
            ("none", "2017-02-05 00:00:00Z", 95),
            ("nope", "2017-02-05 00:00:00Z", 6),
        ] {
            assert_eq!(exit(id, date), rc, "{id} {date}");
        }
    }
}
