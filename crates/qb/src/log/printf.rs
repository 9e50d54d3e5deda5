//! C's formats as flight data has them: the format, then its arguments one after the other.
//!
//! Source: `spec/corosync-conf-and-tools.md` §7.

/// Expands a NUL-terminated format with the serialized arguments behind it. What is missing or
/// makes no sense is shown as it stands in the format.
pub(super) fn expand(record: &[u8]) -> String {
    let end = record.iter().position(|byte| *byte == 0).unwrap_or(record.len());
    let format = String::from_utf8_lossy(&record[..end]).into_owned();
    let mut arguments = Arguments { rest: record.get(end + 1..).unwrap_or(&[]) };
    let mut text = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        let mut spec = String::from("%");
        let mut is_long = false;
        loop {
            let Some(c) = chars.next() else {
                text.push_str(&spec);
                break;
            };
            spec.push(c);
            match c {
                '%' => text.push('%'),
                '*' => {
                    // The width is an argument.
                    let Some(width) = arguments.number(4) else { break text.push_str(&spec) };
                    spec.pop();
                    spec.push_str(&(width as i32).to_string());
                    continue;
                }
                'l' | 'z' | 't' | 'j' => {
                    is_long = true;
                    continue;
                }
                '0'..='9' | '-' | '+' | ' ' | '#' | '.' | 'h' | 'q' | 'L' => continue,
                _ => match one(c, &spec, is_long, &mut arguments) {
                    Some(shown) => text.push_str(&shown),
                    None => text.push_str(&spec),
                },
            }
            break;
        }
    }
    text.trim_end_matches('\n').to_owned()
}

struct Arguments<'a> {
    rest: &'a [u8],
}

impl<'a> Arguments<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (first, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(first)
    }

    fn number(&mut self, size: usize) -> Option<u64> {
        let bytes = self.take(size)?;
        let mut value = [0; 8];
        value[..size].copy_from_slice(bytes);
        Some(u64::from_ne_bytes(value))
    }

    fn text(&mut self) -> Option<String> {
        let end = self.rest.iter().position(|byte| *byte == 0)?;
        let text = String::from_utf8_lossy(self.take(end)?).into_owned();
        self.take(1)?;
        Some(text)
    }
}

fn one(kind: char, spec: &str, is_long: bool, arguments: &mut Arguments<'_>) -> Option<String> {
    let size = if is_long { 8 } else { 4 };
    let signed = |value: u64| if is_long { value as i64 } else { i64::from(value as i32) };
    let shown = match kind {
        'd' | 'i' => signed(arguments.number(size)?).to_string(),
        'u' => arguments.number(size)?.to_string(),
        'x' => format!("{:x}", arguments.number(size)?),
        'X' => format!("{:X}", arguments.number(size)?),
        'o' => format!("{:o}", arguments.number(size)?),
        'p' => format!("{:#x}", arguments.number(8)?),
        'c' => char::from(arguments.number(1)? as u8).to_string(),
        's' => arguments.text()?,
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
            let value = f64::from_bits(arguments.number(8)?);
            let places = precision(spec).unwrap_or(6).min(40);
            format!("{value:.places$}")
        }
        _ => return None,
    };
    Some(pad(&shown, spec, kind))
}

fn precision(spec: &str) -> Option<usize> {
    let (_, after) = spec.split_once('.')?;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    Some(digits.parse().unwrap_or(0))
}

fn pad(text: &str, spec: &str, kind: char) -> String {
    let flags = spec.trim_start_matches('%');
    let is_left = flags.contains('-');
    let digits = flags.trim_start_matches(['-', '+', ' ', '#']);
    let width: String = digits.chars().take_while(char::is_ascii_digit).collect();
    let is_zero = width.starts_with('0') && kind != 's';
    // Nobody's line is wider.
    let width = width.parse::<usize>().unwrap_or(0).min(1000);
    let missing = width.saturating_sub(text.chars().count());
    let fill = if is_zero && !is_left { "0" } else { " " };
    match (missing, is_left) {
        (0, _) => text.to_owned(),
        (_, true) => format!("{text}{}", fill.repeat(missing)),
        (_, false) => format!("{}{text}", fill.repeat(missing)),
    }
}

#[cfg(test)]
mod tests {
    use super::expand;

    fn with(format: &str, arguments: &[&[u8]]) -> String {
        let mut record = format.as_bytes().to_vec();
        record.push(0);
        record.extend(arguments.concat());
        expand(&record)
    }

    #[test]
    fn formats_are_expanded_as_printf_does() {
        let n = |value: i32| value.to_ne_bytes().to_vec();
        assert_eq!(with("plain\n", &[]), "plain");
        assert_eq!(with("%s is %d\n", &[b"x\0", &n(-5)]), "x is -5");
        assert_eq!(with("%08x|%-6u|%3d", &[&n(255), &n(7), &n(1)]), "000000ff|7     |  1");
        assert_eq!(
            with("%lu %zu", &[&u64::MAX.to_ne_bytes(), &1u64.to_ne_bytes()]),
            "18446744073709551615 1"
        );
        assert_eq!(
            with("%.2f %p %c", &[&1.5f64.to_ne_bytes(), &16u64.to_ne_bytes(), b"z"]),
            "1.50 0x10 z"
        );
        assert_eq!(with("%*s|", &[&n(4), b"ab\0"]), "  ab|");
        assert_eq!(with("100%% %s", &[]), "100% %s");
        assert_eq!(with("%d and", &[b"ab"]), "%d and");
        assert_eq!(with("%", &[]), "%");
        assert_eq!(with("%5", &[]), "%5");
    }

    #[test]
    fn random_bytes_do_no_harm() {
        let mut seed = 7u32;
        for _ in 0..20_000 {
            let mut record = Vec::new();
            for _ in 0..40 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let alphabet = b"%%%dsxlz*.-0459fpc\0\xffab";
                record.push(alphabet[(seed >> 16) as usize % alphabet.len()]);
            }
            expand(&record);
        }
    }
}
