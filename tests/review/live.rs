//! The live page: each decision is kept at once, and a plan of any size is read as it is shown.

use std::sync::Arc;

use mkto_audit::dedupe::{Choice, Decisions};
use mkto_audit::review::model::{Door, Reviewed as _, Seen};
use mkto_audit::review::server::{Ended, Review};
use serde_json::json;
use tokio::net::TcpListener;

use super::made_up::{MadeUp, choice, key};
use super::{HOURS, Live, picture};
use crate::support::browser::Browser;

/// The page of a live review, entered.
fn entered(live: &Live, browser: &mut Browser) {
    browser.open(&live.review.link());
    browser.until("!document.getElementById('review').hidden");
    browser.settle();
}

#[test]
fn three_hundred_groups_are_decided_and_approved_by_keys_alone() {
    let Some(mut browser) = Browser::start() else { return };
    let live = Live::of(MadeUp::of(300));
    entered(&live, &mut browser);
    browser.key("j");
    for pressed in 0..225 {
        browser.key(choice(pressed).0);
    }
    browser.key("Enter");
    browser.until("document.getElementById('tab-decide').ariaSelected === 'true'");
    browser.key("j");
    for pressed in 0..75 {
        browser.key(choice(pressed).0);
    }
    let (mut safe, mut risky) = (0, 0);
    for place in 0..300 {
        let pressed = if place % 4 == 3 { &mut risky } else { &mut safe };
        assert_eq!(live.plan.decided(place).choice, Some(choice(*pressed).1), "group {place}");
        *pressed += 1;
    }
    let log = live.plan.log.lock().unwrap().clone();
    assert_eq!(log.len(), 300);
    assert!(log.iter().all(|(by, door)| by == "Bo" && *door == Door::Review));
    browser.key("Enter");
    browser.until("document.getElementById('sign-off').open");
    assert!(browser.text("#sign-sum").contains("0 opt-outs will be lost"));
    browser.key("Enter");
    browser.until("!document.getElementById('approved').hidden");
    let approval = live.plan.approval.lock().unwrap().clone().unwrap();
    assert_eq!((approval.by.as_str(), approval.note), ("Bo", None), "the one who started it");
    assert_eq!(browser.complaints(), Vec::<String>::new());
    assert_eq!(live.end(), Ended::Stopped);
}

#[test]
fn a_decision_is_kept_at_once_and_a_later_one_takes_the_approval_back() {
    let Some(mut browser) = Browser::start() else { return };
    let live = Live::of(MadeUp::of(20));
    entered(&live, &mut browser);
    browser.key("j");
    browser.click("#card-0 [data-focus='value:city:1001']");
    assert_eq!(browser.text("#card-0 td.after .value"), "Bergen");
    assert!(live.plan.decided(0).values.contains_key("city"));
    browser.key("2");
    assert_eq!(live.plan.decided(0).winner, Some(1001));
    assert_eq!(
        browser.text("#card-0 th.winner .ordinal"),
        "Record 2",
        "numbers stay where they were"
    );
    picture(&mut browser, "live.png");
    browser.key("u");
    browser.key("u");
    assert!(live.plan.decided(0).is_empty());
    browser.click("#sign");
    browser.click("#sign-form .primary");
    browser.until("!document.getElementById('approved').hidden");
    browser.key("j");
    browser.key("m");
    browser.until("document.getElementById('approved').hidden");
}

#[test]
fn what_somebody_else_decided_meanwhile_is_shown_and_not_overwritten() {
    let Some(mut browser) = Browser::start() else { return };
    let live = Live::of(MadeUp::of(20));
    entered(&live, &mut browser);
    let hold = Decisions { choice: Some(Choice::Hold), ..Decisions::default() };
    let cy_holds = |place: u64| {
        let seen = Seen::Groups(live.plan.numbers.lock().unwrap().clone());
        live.plan.decide(&[(key(place), hold.clone())], &seen, "Cy", Door::Cli).unwrap();
    };
    browser.key("j");
    cy_holds(0);
    browser.key("m");
    assert!(browser.text("#alert").contains("Cy decided about p000000@example.com"));
    assert_eq!(live.plan.decided(0).choice, Some(Choice::Hold), "nothing was overwritten");
    // What Cy decided stands on the card now; who has seen it may decide otherwise, and take it
    // back.
    browser.key("m");
    assert_eq!(live.plan.decided(0).choice, Some(Choice::Merge));
    browser.key("u");
    assert_eq!(live.plan.decided(0).choice, Some(Choice::Hold));
    // Undo takes back what this page decided, and never what somebody else did after it.
    browser.key("s");
    assert_eq!(live.plan.decided(0).choice, Some(Choice::Skip));
    cy_holds(0);
    browser.key("u");
    assert!(browser.text("#alert").contains("Cy decided about"));
    assert_eq!(live.plan.decided(0).choice, Some(Choice::Hold));
}

#[test]
fn all_safe_ones_of_a_large_plan_are_approved_and_undone_in_parts() {
    let Some(mut browser) = Browser::start() else { return };
    let live = Live::of(MadeUp::of(2_000));
    entered(&live, &mut browser);
    for _ in 0..3 {
        browser.key("j");
    }
    browser.click("#all-safe");
    browser.until(
        "document.getElementById('progress-words').textContent === '1,500 of 2,000 decided'",
    );
    browser.key("u");
    browser.until("document.getElementById('progress-words').textContent === '0 of 2,000 decided'");
    assert!((0..2_000).all(|place| live.plan.decided(place).is_empty()));
}

#[test]
fn reloading_goes_on_and_another_browser_is_told_what_to_do() {
    let (Some(mut browser), Some(mut other)) = (Browser::start(), Browser::start()) else { return };
    let live = Live::of(MadeUp::of(8));
    let link = live.review.link();
    browser.open(&link);
    browser.until("!document.getElementById('review').hidden");
    assert_eq!(browser.eval("location.hash"), json!(""), "the word leaves the address");
    browser.call("Page.reload", &json!({}));
    browser
        .until("document.readyState === 'complete' && !document.getElementById('review').hidden");
    let page = link.split('#').next().unwrap();
    for (address, words) in [(link.as_str(), "used already"), (page, "Open the link")] {
        other.open("about:blank#");
        other.open(address);
        other.until("!document.getElementById('locked')?.hidden");
        assert!(other.text("#locked-why").contains(words), "{address}");
        assert_eq!(other.eval("document.querySelectorAll('.card').length"), json!(0));
    }
}

#[test]
fn a_server_that_ended_is_told_and_nothing_is_lost() {
    let Some(mut browser) = Browser::start() else { return };
    let live = Live::of(MadeUp::of(8));
    entered(&live, &mut browser);
    browser.key("j");
    browser.key("m");
    assert_eq!(live.end(), Ended::Stopped);
    browser.key("m");
    assert!(browser.text("#alert").contains("mkto-audit does not answer"));
    assert!(browser.text("#alert").contains("What you decided is kept"));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_nobody_uses_is_closed_after_its_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let plan = Arc::new(MadeUp::of(1));
    let review = Arc::new(Review::new(plan, "Bo".to_owned(), address).unwrap());
    let started = tokio::time::Instant::now();
    let ended = review.serve(listener, HOURS, std::future::pending()).await;
    assert_eq!(ended, Ended::Idle);
    assert!(started.elapsed() >= HOURS);
}

#[test]
fn a_hundred_thousand_groups_are_shown_a_part_at_a_time() {
    let Some(mut browser) = Browser::start() else { return };
    let live = Live::of(MadeUp::of(100_000));
    entered(&live, &mut browser);
    browser.click("#page-on");
    browser.until("document.getElementById('page-words').textContent.startsWith('Page 2;')");
    assert_eq!(browser.eval("document.querySelectorAll('.card').length"), json!(25));
    assert_eq!(browser.text("#tab-safe"), "Safe 75,000");
}
