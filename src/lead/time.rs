//! The times that Marketo writes, in every form that has been seen.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};

/// Reads a time as Marketo writes it: `2015-05-07T11:47:30-08:00`, `…Z`, `…+0000`, `…Z+0000` (the
/// asset endpoints), `2014-11-13 12:43:04` (old leads; taken as UTC). Anything else is `None`.
pub fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Some(time) = parse_plain(text.as_bytes()) {
        return Some(time);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.with_timezone(&Utc));
    }
    let zoneless =
        text.strip_suffix("Z+0000").or_else(|| text.strip_suffix("+0000")).unwrap_or(text);
    if let Ok(time) = DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%z") {
        return Some(time.with_timezone(&Utc));
    }
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(zoneless, form).ok())
        .map(|time| time.and_utc())
}

/// `2015-05-07T19:47:30Z`, as nearly all times are; none of anything else, be it a time or not.
pub(crate) fn parse_plain(text: &[u8]) -> Option<DateTime<Utc>> {
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        i1,
        i2,
        b':',
        s1,
        s2,
        b'Z',
    ] = text
    else {
        return None;
    };
    let two = |tens: &u8, ones: &u8| {
        let digit = |byte: &u8| byte.is_ascii_digit().then(|| u32::from(byte - b'0'));
        Some(digit(tens)? * 10 + digit(ones)?)
    };
    let year = i32::try_from(two(y1, y2)? * 100 + two(y3, y4)?).ok()?;
    let day = NaiveDate::from_ymd_opt(year, two(m1, m2)?, two(d1, d2)?)?;
    Some(day.and_hms_opt(two(h1, h2)?, two(i1, i2)?, two(s1, s2)?)?.and_utc())
}

/// Whether [`parse_plain`] reads it. Of millions of times nearly all are told by their bytes alone.
pub(crate) fn is_plain(text: &[u8]) -> bool {
    if text.len() != 20 {
        return false;
    }
    let (Some(date), Some(time)) = (text.first_chunk::<8>(), text.last_chunk::<12>()) else {
        return false;
    };
    let (Some(middle), Some(end)) = (time.first_chunk::<8>(), time.last_chunk::<8>()) else {
        return false;
    };
    let (date, middle, end) = (
        numbers_of(*date, *b"0000-00-"),
        numbers_of(*middle, *b"00T00:00"),
        numbers_of(*end, *b"0:00:00Z"),
    );
    let (Some([.., m1, m2, _]), Some([d1, d2, _, h1, h2, ..]), Some([_, _, i1, _, _, s1, ..])) =
        (date, middle, end)
    else {
        return false;
    };
    let (month, day) = (m1 * 10 + m2, d1 * 10 + d2);
    let is_of_any_month = (1..=12).contains(&month) && (1..=28).contains(&day);
    if is_of_any_month && h1 * 10 + h2 < 24 && i1 < 6 && s1 < 6 {
        return true;
    }
    // The rest the calendar knows.
    parse_plain(text).is_some()
}

/// What eight bytes are beside a form in which zeros stand for digits: the digits as numbers; none
/// where a byte is something else.
fn numbers_of(bytes: [u8; 8], form: [u8; 8]) -> Option<[u8; 8]> {
    const UPPER_BITS: u64 = u64::from_ne_bytes([0x80; 8]);
    // A digit may be up to nine more than a zero, all others nothing.
    let up_to_upper = form.map(|byte| if byte == b'0' { 0x80 - 10 } else { 0x80 - 1 });
    let numbers = u64::from_le_bytes(bytes) ^ u64::from_le_bytes(form);
    let odd = ((numbers & !UPPER_BITS) + u64::from_le_bytes(up_to_upper)) | numbers;
    (odd & UPPER_BITS == 0).then_some(numbers.to_le_bytes())
}

/// How much of a creation time is known. Marketo tells the second; a spreadsheet often tells less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// `2019-03-04`
    Day,
    /// `2019-03-04T17:06Z`
    Minute,
    /// `2019-03-04T17:06:00Z`
    Second,
}

/// Reads a time as [`parse_time`] does, and the two shorter forms that a file may leave in the
/// cache: of those the beginning of the day or minute.
pub fn parse_time_as_known(text: &str) -> Option<(DateTime<Utc>, Precision)> {
    if let Some(time) = parse_time(text) {
        return Some((time, Precision::Second));
    }
    let text = text.trim();
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some((day.and_time(NaiveTime::MIN).and_utc(), Precision::Day));
    }
    let minute = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%MZ").ok()?;
    Some((minute.and_utc(), Precision::Minute))
}

/// When the call with this request id arrived at Marketo, to the millisecond: what follows the `#`
/// of `16b#16cba8ea16a` is milliseconds since 1970 in hexadecimal. Adobe documents no such thing;
/// every known id bears it out.
pub fn request_arrival(request_id: &str) -> Option<DateTime<Utc>> {
    let (_, millis) = request_id.split_once('#')?;
    DateTime::from_timestamp_millis(i64::from_str_radix(millis, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        Precision, is_plain, parse_plain, parse_time, parse_time_as_known, request_arrival,
    };

    proptest! {
        #[test]
        fn a_plain_time_is_told_by_its_bytes_as_by_the_calendar(
            numbers in proptest::array::uniform6(0_u32..70),
            odd in proptest::option::of((0_usize..20, any::<u8>())),
        ) {
            let [year, month, day, hour, minute, second] = numbers;
            let mut text =
                format!("20{year:02}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z").into_bytes();
            prop_assert_eq!(is_plain(&text), parse_plain(&text).is_some());
            if let Some((place, byte)) = odd {
                text[place] = byte;
            }
            prop_assert_eq!(is_plain(&text), parse_plain(&text).is_some());
        }

        #[test]
        fn a_time_of_day_is_told_likewise(day in 1_u32..32, month in 1_u32..13, hour in 0_u32..26) {
            for end in ["59:59", "60:00", "00:60", "0:000"] {
                let text = format!("2024-{month:02}-{day:02}T{hour:02}:{end}Z");
                let text = text.as_bytes();
                prop_assert_eq!(is_plain(text), parse_plain(text).is_some());
                prop_assert_eq!(is_plain(&text[1..]), parse_plain(&text[1..]).is_some());
            }
        }
    }

    #[test]
    fn a_time_from_a_file_says_how_much_of_it_is_known() {
        for (text, utc, precision) in [
            ("2019-03-04", "2019-03-04T00:00:00Z", Precision::Day),
            ("2019-03-04T17:06Z", "2019-03-04T17:06:00Z", Precision::Minute),
            ("2019-03-04 17:06:07", "2019-03-04T17:06:07Z", Precision::Second),
        ] {
            assert_eq!(
                parse_time_as_known(text),
                Some((utc.parse().unwrap(), precision)),
                "{text}"
            );
        }
        assert_eq!(parse_time_as_known("3/4/2019"), None);
    }

    #[test]
    fn a_request_id_tells_when_its_call_arrived() {
        let arrived = request_arrival("16b#16cba8ea16a").unwrap();
        assert_eq!(
            arrived.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            "2019-08-22T18:20:05.354Z"
        );
        for odd in ["", "16b", "16b#", "16b#zz", "16b#7fffffffffffffff"] {
            assert_eq!(request_arrival(odd), None, "{odd}");
        }
    }

    #[test]
    fn every_form_that_marketo_writes_is_read() {
        for (text, utc) in [
            ("2015-05-07T11:47:30-08:00", "2015-05-07T19:47:30Z"),
            ("2021-11-23T22:57:08Z", "2021-11-23T22:57:08Z"),
            ("2013-09-26T06:56:35+0000", "2013-09-26T06:56:35Z"),
            ("2021-11-23T22:57:24Z+0000", "2021-11-23T22:57:24Z"),
            ("2014-11-13 12:43:04", "2014-11-13T12:43:04Z"),
            ("2017-09-08T16:38:14-0700", "2017-09-08T23:38:14Z"),
        ] {
            assert_eq!(
                parse_time(text).unwrap().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
                utc
            );
        }
    }

    #[test]
    fn the_usual_form_is_read_as_the_general_rule_reads_it() {
        for text in [
            "2015-05-07T19:47:30Z",
            "0000-01-01T00:00:00Z",
            "2024-02-29T23:59:59Z",
            "2023-02-29T23:59:59Z",
            "2023-01-01T24:00:00Z",
            "2016-12-31T23:59:60Z",
            "2o16-12-31T23:59:00Z",
        ] {
            let general = chrono::DateTime::parse_from_rfc3339(text).ok();
            assert_eq!(parse_time(text), general.map(|time| time.to_utc()), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "null", "yesterday", "2021-13-40T00:00:00Z", "2021-11-23"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }
}
