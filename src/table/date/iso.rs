//! `2019-03-04`, with or without a time and a zone: by far the most frequent form, read without a
//! look at words.

use chrono::{FixedOffset, NaiveDate, NaiveTime};

use super::{DateText, Days, Form, Time};

pub(super) fn read(text: &str) -> Option<DateText> {
    let bytes = text.as_bytes();
    let [b'0'..=b'9', _, _, _, b'-', _, _, b'-', _, _, rest @ ..] = bytes else { return None };
    let day = NaiveDate::from_ymd_opt(
        i32::try_from(number(bytes.get(..4)?)?).ok()?,
        number(bytes.get(5..7)?)?,
        number(bytes.get(8..10)?)?,
    )?;
    let whole =
        |time, offset| Some(DateText { days: Days::Known(day), time, offset, form: Form::Iso });
    if rest.is_empty() {
        return whole(None, None);
    }
    let [b'T' | b't' | b' ', _, _, b':', _, _, rest @ ..] = rest else { return None };
    let (hour, minute) = (number(bytes.get(11..13)?)?, number(bytes.get(14..16)?)?);
    let (second, rest, to_the_second) = match rest {
        [b':', first, second, rest @ ..] => (number(&[*first, *second])?, rest, true),
        rest => (0, rest, false),
    };
    let time = NaiveTime::from_hms_opt(hour, minute, second)?;
    let time = Time { time, to_the_second };
    whole(Some(time), zone(fraction(rest)?)?)
}

/// What follows `.123`; fractions of a second are not kept.
fn fraction(rest: &[u8]) -> Option<&[u8]> {
    let [b'.' | b',', digits @ ..] = rest else { return Some(rest) };
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 { None } else { digits.get(length..) }
}

/// The outer none: it is no zone; the inner one: there is none.
#[expect(
    clippy::option_option,
    reason = "a text without a zone is right, one with half a zone is not"
)]
fn zone(rest: &[u8]) -> Option<Option<FixedOffset>> {
    let (sign, hours, minutes) = match rest.trim_ascii_start() {
        [] => return Some(None),
        b"Z" | b"z" | b"Z+0000" | b"UTC" | b"GMT" => (1, 0, 0),
        [sign @ (b'+' | b'-'), a, b] => (signum(*sign), number(&[*a, *b])?, 0),
        [sign @ (b'+' | b'-'), a, b, c, d] | [sign @ (b'+' | b'-'), a, b, b':', c, d] => {
            (signum(*sign), number(&[*a, *b])?, number(&[*c, *d])?)
        }
        _ => return None,
    };
    let seconds = i32::try_from(hours * 3_600 + minutes * 60).ok()? * sign;
    (minutes < 60).then(|| FixedOffset::east_opt(seconds))?.map(Some)
}

fn signum(sign: u8) -> i32 {
    if sign == b'-' { -1 } else { 1 }
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0'))
    })
}
