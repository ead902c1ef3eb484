//! What the page says of groups that were handed in, and that no value is more than text in it.

use super::{Price, write_html};
use crate::dedupe::{Group, Key, Policy};
use crate::lead::Lead;
use crate::report::{Collector, Filter, Report, Source};

const HOSTILE: &str = "</script><!--<script>alert(1)</script>\u{2028}&\"'";

fn lead(id: u64, name: &str, created: &str) -> Lead {
    Lead::new(id)
        .with("email", "ada@example.com")
        .with("firstName", name)
        .with("createdAt", created)
        .with("originalSourceType", "Web service API")
}

fn report(name: &str) -> Report {
    let (filter, policy) = (Filter::default(), Policy::default());
    let mut collector = Collector::new(&filter, &policy, None);
    collector.add(Group::new(
        Key::of("ada@example.com").unwrap(),
        vec![lead(17, name, "2026-03-01T08:00:00Z"), lead(18, name, "2026-03-01T08:00:02Z")],
    ));
    collector.finish(Source {
        instance: HOSTILE.to_owned(),
        leads: 1_000,
        complete: true,
        ..Source::default()
    })
}

fn page(report: &Report, price: Option<&Price>) -> String {
    let mut page = Vec::new();
    write_html(report, report, price, &mut page).unwrap();
    String::from_utf8(page).unwrap()
}

/// The rows, as a browser hands them to the script.
fn rows(page: &str) -> serde_json::Value {
    let (_, from) = page.split_once("id=\"rows\">").unwrap();
    serde_json::from_str(from.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn no_value_leaves_the_place_that_it_stands_in() {
    let page = page(&report(HOSTILE), None);
    assert!(!page.contains("<script>alert"), "{page}");
    assert!(!page.contains("<!--"));
    assert_eq!(page.matches("<script").count(), 2, "its data and its script");
    assert_eq!(page.matches("</script").count(), 2);
    assert_eq!(rows(&page)[0][1], HOSTILE, "and the script reads what Marketo holds");
}

#[test]
fn a_row_holds_what_the_script_expects_in_its_order() {
    let row = &rows(&page(&report("Ada"), None))[0];
    assert_eq!(
        row.to_string(),
        r#"["ada@example.com","Ada",2,"race","medium","2026-03-01T08:00:02Z","",17,[18],""]"#
    );
}

#[test]
fn a_price_is_only_ever_the_readers() {
    let report = report("Ada");
    assert!(page(&report, None).contains("What one costs stands in your contract"));
    let price: Price = "0.125 EUR".parse().unwrap();
    let page = page(&report, Some(&price));
    assert!(
        page.contains("At 0.1250 EUR a record") && page.contains("<strong>0.13 EUR</strong>"),
        "{page}"
    );
    assert_eq!("1234.5".parse::<Price>().unwrap().of(1_000), "1,234,500.00");
    for bad in ["", "-1", "free", "1.23456", ".5", "1e9", "99999999999999999999"] {
        assert!(bad.parse::<Price>().is_err(), "{bad}");
    }
}

#[test]
fn nothing_is_fetched_and_only_the_pages_own_script_may_run() {
    let page = page(&report("Ada"), None);
    assert!(page.contains("default-src 'none'; style-src 'sha256-"));
    for way in ["http:", "https:", " src=", "@import", "url(", "<link", " style=", " onclick="] {
        assert!(!page.contains(way), "{way}");
    }
}
