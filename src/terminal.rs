//! Text for a terminal: values that cannot steer it, and numbers, times and spans that can be read.
//!
//! For: one place that knows plurals, separators of thousands and how a moment is written. Never:
//! knows what is counted.

use std::borrow::Cow;
use std::time::Duration;

use chrono::{DateTime, Utc};

/// A value on one line, without anything that a terminal would obey: line ends and tabs become
/// blanks, other control characters and the marks that turn the direction of writing become the
/// replacement character.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(|c: char| blank_for(c) || steers(c)) {
        return Cow::Borrowed(text);
    }
    let safe = text.chars().map(|c| match c {
        c if blank_for(c) => ' ',
        c if steers(c) => '\u{fffd}',
        c => c,
    });
    Cow::Owned(safe.collect())
}

fn blank_for(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `1234567` as `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 group`, `2,000 groups`.
pub(crate) fn counted(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{} {}", count(number), plural(one)) }
}

/// The same of what has a length.
pub(crate) fn counted_of(number: usize, one: &str) -> String {
    counted(number as u64, one)
}

/// The plural of a noun, or of words that end with one.
fn plural(one: &str) -> String {
    let consonant_and_y =
        one.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'i', 'o', 'u']));
    if let Some(stem) = one.strip_suffix("person") {
        format!("{stem}people")
    } else if let Some(stem) = consonant_and_y {
        format!("{stem}ies")
    } else if one.ends_with('s') || one.ends_with('x') || one.ends_with("ch") {
        format!("{one}es")
    } else {
        format!("{one}s")
    }
}

/// `29 Nov 2026, 01:11 UTC`.
pub(crate) fn moment(at: DateTime<Utc>) -> String {
    at.format("%-d %b %Y, %H:%M UTC").to_string()
}

/// About how long something takes or took: `under a second`, `20 s`, `3 min`, `2 h 5 min`.
pub(crate) fn about(span: Duration) -> String {
    let seconds = span.as_millis().div_ceil(1_000);
    match span.as_millis() {
        0..1_000 => "under a second".to_owned(),
        1_000..90_000 => format!("{seconds} s"),
        90_000..5_400_000 => format!("{} min", seconds.div_ceil(60)),
        _ => match (seconds / 3_600, seconds % 3_600 / 60) {
            (hours, 0) => format!("{hours} h"),
            (hours, minutes) => format!("{hours} h {minutes} min"),
        },
    }
}

/// JSON escapes what a terminal would obey, except the marks that turn the direction of writing and
/// the C1 controls.
pub(crate) fn harmless(json: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    json.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural_and_thousands_are_told_apart() {
        for (number, one, told) in [
            (0, "lead", "0 leads"),
            (1, "lead", "1 lead"),
            (2, "custom object", "2 custom objects"),
            (1_000, "group", "1,000 groups"),
            (1_234_567, "call", "1,234,567 calls"),
            (1, "person", "1 person"),
            (4_973, "person", "4,973 people"),
            (2, "address", "2 addresses"),
            (2, "entry", "2 entries"),
            (2, "day", "2 days"),
            (3, "activity type", "3 activity types"),
        ] {
            assert_eq!(counted(number, one), told);
        }
    }

    #[test]
    fn spans_are_told_in_the_unit_that_fits() {
        let of = |millis| about(Duration::from_millis(millis));
        assert_eq!(of(0), "under a second");
        assert_eq!(of(999), "under a second");
        assert_eq!(of(1_000), "1 s");
        assert_eq!(of(1_001), "2 s");
        assert_eq!(of(89_000), "89 s");
        assert_eq!(of(91_000), "2 min");
        assert_eq!(of(7_200_000), "2 h");
        assert_eq!(of(7_500_000), "2 h 5 min");
    }

    #[test]
    fn a_moment_is_written_as_people_write_it() {
        assert_eq!(moment("2026-11-29T01:11:59Z".parse().unwrap()), "29 Nov 2026, 01:11 UTC");
    }
}
