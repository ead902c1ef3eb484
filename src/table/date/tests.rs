//! Every form is read as the day that its writer meant, or it is said that nobody can know.

use chrono::{NaiveDate, NaiveTime, Timelike as _};
use proptest::prelude::*;

use super::{Judge, Order, Zone, is_marketos, read, stored};
use crate::lead::parse_time;

fn utc(text: &str, order: Option<Order>) -> Option<String> {
    stored(text, order, Zone::default())
}

#[test]
fn forms_that_mean_one_day_are_read_whoever_wrote_them() {
    for (text, expected) in [
        ("2019-03-04 17:06:00", "2019-03-04 17:06:00"),
        ("2019-03-04T17:06:00Z", "2019-03-04T17:06:00Z"),
        ("2019-03-04T09:06:00-08:00", "2019-03-04T09:06:00-08:00"),
        ("2019-03-04T17:06:00.250Z", "2019-03-04T17:06:00.250Z"),
        ("2019-03-04 17:06", "2019-03-04T17:06Z"),
        ("2019-03-04", "2019-03-04"),
        ("2019-03-04 17:06:00 UTC", "2019-03-04T17:06:00Z"),
        ("2019-03-04 17:06:00 +0100", "2019-03-04T16:06:00Z"),
        ("2019/3/4 17:06", "2019-03-04T17:06Z"),
        ("2019.03.04. 17:06:00", "2019-03-04T17:06:00Z"),
        ("2019. 3. 4. 오후 5:06", "2019-03-04T17:06Z"),
        ("20190304", "2019-03-04"),
        ("20190304T170600Z", "2019-03-04T17:06:00Z"),
        ("4 Mar 2019", "2019-03-04"),
        ("4-Mar-19 5:06 PM", "2019-03-04T17:06Z"),
        ("04-MAR-2019 17:06:00", "2019-03-04T17:06:00Z"),
        ("Mar 4, 2019 5:06:07 PM", "2019-03-04T17:06:07Z"),
        ("Monday, March 4th, 2019 at 12:06 AM", "2019-03-04T00:06Z"),
        ("Mar 4, 2019, 12:06 p.m. PST", "2019-03-04T20:06Z"),
        ("Mon Mar 04 2019 17:06:00 GMT+0100 (CET)", "2019-03-04T16:06:00Z"),
        ("4. März 2019 17:06", "2019-03-04T17:06Z"),
        ("Mo., 4. Ma\u{308}rz 2019 um 17:06 Uhr", "2019-03-04T17:06Z"),
        ("04.Mrz.19", "2019-03-04"),
        ("lun. 4 févr. 2019 à 17h06", "2019-02-04T17:06Z"),
        ("1er août 2019", "2019-08-01"),
        ("4 de marzo de 2019, 5:06 p. m.", "2019-03-04T17:06Z"),
        ("4/mar/2019 17.06", "2019-03-04T17:06Z"),
        ("4 out. 2019", "2019-10-04"),
        ("4 mrt. 2019", "2019-03-04"),
        ("4. maaliskuuta 2019 klo 17.06", "2019-03-04T17:06Z"),
        ("4 marca 2019", "2019-03-04"),
        ("4 марта 2019 г. 17:06", "2019-03-04T17:06Z"),
        ("04 Mar 2019 Pazartesi", "2019-03-04"),
        ("2019年3月4日 下午5:06", "2019-03-04T17:06Z"),
        ("2019年3月4日17時06分", "2019-03-04T17:06Z"),
        ("43528", "2019-03-04"),
        ("43528.7125", "2019-03-04T17:06:00Z"),
        ("43528,7125", "2019-03-04T17:06:00Z"),
        ("3/3/2019 5:06 PM", "2019-03-03T17:06Z"),
    ] {
        assert_eq!(utc(text, None).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn what_is_no_date_is_none() {
    for text in [
        "",
        "garbage",
        "yesterday",
        "12",
        "1234567",
        "2019-02-30",
        "2019-13-04",
        "31/31/2019",
        "32.1.2019",
        "4 Foo 2019",
        "3/4/2019 25:00",
        "3/4/2019 5:06 XM",
        "3/4/2019 13:06 AM",
        "3/4/2019 17",
        "3/4-2019",
        "3/4/2019 5:06 PM and more",
        "#####",
        "2019-03-04T17",
        "3.14",
        "1/2",
        "00/00/0000",
        "0000-00-00",
        "+49 30 1234",
        "4 Mar",
        "Mar 2019",
        "20191341",
    ] {
        assert_eq!(utc(text, Some(Order::Us)), None, "{text}");
    }
}

#[test]
fn three_numbers_are_read_in_the_order_of_their_writer() {
    for (text, us, eu, iso) in [
        ("3/4/2019 5:06 PM", Some("2019-03-04T17:06Z"), Some("2019-04-03T17:06Z"), None),
        ("04.03.2019 17:06", Some("2019-04-03T17:06Z"), Some("2019-03-04T17:06Z"), None),
        ("3/14/19", Some("2019-03-14"), None, None),
        ("19-03-04", None, Some("2004-03-19"), Some("2019-03-04")),
    ] {
        for (order, expected) in Order::ALL.into_iter().zip([us, eu, iso]) {
            assert_eq!(utc(text, Some(order)).as_deref(), expected, "{text} {order:?}");
        }
        assert_eq!(utc(text, None), None);
    }
}

fn decide(values: &[&str], named: Option<Order>) -> Result<(Option<Order>, String), String> {
    let mut judge = Judge::default();
    values.iter().zip(2..).for_each(|(value, line)| judge.look(line, value));
    let reading = judge.decide(named, Zone::default()).map_err(|refusal| refusal.what)?;
    Ok((reading.order, reading.told))
}

#[test]
fn a_column_is_decided_as_a_whole() {
    for (values, order) in [
        (&["3/4/2019", "3/14/2019"][..], Order::Us),
        (&["3/4/2019", "14/3/2019"], Order::Eu),
        (&["04.03.2019", "05.03.2019"], Order::Eu),
        (&["04.03.2019", "04.23.2019"], Order::Us),
        (&["19-03-04", "75-03-04"], Order::Iso),
    ] {
        assert_eq!(decide(values, None).unwrap().0, Some(order), "{values:?}");
    }
    let told = decide(&["3/4/2019 5:06 PM", "3/14/2019 5:06 PM", "x"], None).unwrap().1;
    assert_eq!(
        told,
        "2 read as US dates (3/4/2019 5:06 PM = 4 March 2019), times without a zone taken as UTC"
    );
}

#[test]
fn a_column_that_nothing_decides_is_refused_until_the_user_says_which() {
    let values = ["3/4/2019", "3/5/2019"];
    let refused = decide(&values, None).unwrap_err();
    assert!(
        refused.contains("3/4/2019 can be 4 March 2019 (--dates us) or 3 April 2019 (--dates eu)"),
        "{refused}"
    );
    for order in [Order::Us, Order::Eu] {
        assert_eq!(decide(&values, Some(order)).unwrap().0, Some(order));
    }
    let two_kinds = decide(&["3/14/2019", "14/3/2019"], None).unwrap_err();
    assert!(two_kinds.contains("14/3/2019 in line 3"), "{two_kinds}");
    let other = decide(&["14/3/2019"], Some(Order::Us)).unwrap_err();
    assert!(other.contains("--dates us"), "{other}");
}

#[test]
fn a_zone_moves_times_that_name_none_through_every_change_of_clocks() {
    let berlin = Zone::by_name("europe/berlin").unwrap();
    for (text, expected) in [
        ("2019-03-04 17:06:00", "2019-03-04T16:06:00Z"),
        ("2019-07-04 17:06:00", "2019-07-04T15:06:00Z"),
        ("2019-03-31 02:30:00", "2019-03-31T01:30:00Z"),
        ("2019-10-27 02:30:00", "2019-10-27T00:30:00Z"),
        ("2019-07-04 17:06:00Z", "2019-07-04 17:06:00Z"),
        ("2019-07-04", "2019-07-04"),
    ] {
        assert_eq!(stored(text, None, berlin).as_deref(), Some(expected), "{text}");
    }
    assert!(Zone::by_name("Berlin").is_none());
}

/// How each program writes a date and a time.
const FORMS: [(&str, Option<Order>); 16] = [
    ("%Y-%m-%d %H:%M:%S", None),
    ("%Y-%m-%dT%H:%M:%SZ", None),
    ("%Y/%-m/%-d %-H:%M:%S", None),
    ("%d %b %Y %H:%M:%S", None),
    ("%-d-%b-%y %-I:%M:%S %p", None),
    ("%b %-d, %Y %-I:%M:%S %p", None),
    ("%A, %B %-d, %Y %I:%M:%S %p", None),
    ("%-m/%-d/%Y %-I:%M:%S %p", Some(Order::Us)),
    ("%m/%d/%y %H:%M:%S", Some(Order::Us)),
    ("%m-%d-%Y %H:%M:%S", Some(Order::Us)),
    ("%d.%m.%Y %H:%M:%S", Some(Order::Eu)),
    ("%d/%m/%Y %H:%M:%S", Some(Order::Eu)),
    ("%-d.%-m.%y %H.%M.%S", Some(Order::Eu)),
    ("%-d/%-m/%Y %-I:%M:%S %P", Some(Order::Eu)),
    ("%d-%m-%y %H:%M:%S", Some(Order::Eu)),
    ("%y-%m-%d %H:%M:%S", Some(Order::Iso)),
];

proptest! {
    #[test]
    fn every_instant_is_read_back_from_every_form(day in 0..36_500_u64, second in 0..86_400_u32, form in 0..FORMS.len()) {
        let day = NaiveDate::from_ymd_opt(1950, 1, 1).unwrap() + chrono::Days::new(day);
        let time = NaiveTime::from_num_seconds_from_midnight_opt(second, 0).unwrap();
        let (pattern, order) = FORMS[form];
        let text = day.and_time(time).format(pattern).to_string();
        let date = read(&text).unwrap();
        prop_assert_eq!(date.day(order), Some(day), "{}", &text);
        prop_assert_eq!(date.time.map(|of| of.time), Some(time), "{}", &text);
        // Without the order, it is this day or none, never another one.
        if let Some(alone) = date.day(None) {
            prop_assert_eq!(alone, day, "{}", &text);
        }
    }

    #[test]
    fn a_serial_number_is_the_second_that_it_was_made_of(day in 20_000..80_000_i64, second in 0..86_400_u32) {
        let fraction = format!("{:.9}", f64::from(second) / 86_400.0);
        let text = format!("{day}.{}", fraction.trim_start_matches("0."));
        let date = read(&text).unwrap();
        let expected = NaiveDate::from_ymd_opt(1899, 12, 30).unwrap() + chrono::Duration::days(day);
        prop_assert_eq!(date.day(None), Some(expected));
        prop_assert_eq!(date.time.unwrap().time.num_seconds_from_midnight(), second);
    }

    #[test]
    fn no_text_makes_it_fail(text in "\\PC{0,30}|[0-9/.: -]{0,20}|[0-9]{1,4}[-/. ][a-z0-9]{1,9}[-/. ][0-9]{1,4}[ 0-9:apm+]{0,12}") {
        read(&text);
    }

    #[test]
    fn a_column_of_one_writer_is_never_read_in_another_order(
        days in proptest::collection::vec(0..36_500_u64, 1..20), eu in any::<bool>()
    ) {
        let days: Vec<NaiveDate> =
            days.iter().map(|day| NaiveDate::from_ymd_opt(1950, 1, 1).unwrap() + chrono::Days::new(*day)).collect();
        let pattern = if eu { "%-d/%-m/%Y" } else { "%-m/%-d/%Y" };
        let texts: Vec<String> = days.iter().map(|day| day.format(pattern).to_string()).collect();
        let mut judge = Judge::default();
        for text in &texts {
            judge.look(1, text);
        }
        if let Ok(reading) = judge.decide(None, Zone::default()) {
            for (text, day) in texts.iter().zip(days) {
                prop_assert_eq!(read(text).unwrap().day(reading.order), Some(day));
            }
        }
    }
}

proptest::proptest! {
    #[test]
    fn a_time_as_marketo_writes_it_is_kept_whatever_the_order_and_the_zone(
        year in 0_i32..10_000, month in 0_u32..14, day in 0_u32..33,
        hour in 0_u32..26, minute in 0_u32..62, second in 0_u32..62,
    ) {
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
        if is_marketos(text.as_bytes()) {
            for order in [None, Some(Order::Us), Some(Order::Eu), Some(Order::Iso)] {
                let zone = Zone::by_name("America/Chicago").unwrap();
                proptest::prop_assert_eq!(stored(&text, order, zone), Some(text.clone()));
                proptest::prop_assert_eq!(stored(&text, order, Zone::default()), Some(text.clone()));
            }
            let (mut one, mut other) = (Judge::default(), Judge::default());
            one.look(7, &text);
            other.look_at_marketos(7, text.as_bytes());
            proptest::prop_assert_eq!(one.decide(None, Zone::default()), other.decide(None, Zone::default()));
        } else {
            proptest::prop_assert!(second > 59 || parse_time(&text).is_none());
        }
    }
}
