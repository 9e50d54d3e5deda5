//! Scores as people type them (`spec/crmsh.md` §5.3) and as `show` prints them.

/// A typed score: the attribute it becomes and that attribute's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypedScore {
    /// `score="…"`.
    Score(String),
    /// Any other word names a node attribute whose value is the score.
    Attribute(String),
}

/// Reads a score word without its colon.
pub fn parse_score(word: &str) -> TypedScore {
    let (sign, digits) = match word.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", word.strip_prefix('+').unwrap_or(word)),
    };
    let is = |name: &str| digits.eq_ignore_ascii_case(name);
    if is("inf") || is("infinity") {
        TypedScore::Score(format!("{sign}INFINITY"))
    } else if word.eq_ignore_ascii_case("mandatory") {
        TypedScore::Score("INFINITY".into())
    } else if word.eq_ignore_ascii_case("advisory") {
        TypedScore::Score("0".into())
    } else if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        TypedScore::Score(word.to_owned())
    } else {
        TypedScore::Attribute(word.to_owned())
    }
}

/// The short form: `inf`, `-inf`, numbers as they are.
pub fn show_score(score: &str) -> &str {
    match score {
        "INFINITY" | "+INFINITY" => "inf",
        "-INFINITY" => "-inf",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_scores() {
        for (word, score) in [
            ("inf", "INFINITY"),
            ("INFINITY", "INFINITY"),
            ("+inf", "INFINITY"),
            ("-Inf", "-INFINITY"),
            ("50", "50"),
            ("-100", "-100"),
            ("mandatory", "INFINITY"),
            ("Advisory", "0"),
        ] {
            assert_eq!(parse_score(word), TypedScore::Score(score.into()), "{word}");
        }
        assert_eq!(parse_score("rack"), TypedScore::Attribute("rack".into()));
        assert_eq!(parse_score("-"), TypedScore::Attribute("-".into()));
    }
}
