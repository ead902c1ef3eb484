//! The page in a file: it decides, forgets nothing, saves, and runs nothing that stands in the
//! data.

use std::collections::BTreeMap;

use mkto_audit::dedupe::{Choice, ChosenValue, Decisions};
use mkto_audit::review::page::DecisionsFile;
use mkto_testing::wait;
use serde_json::json;

use super::made_up::{MadeUp, choice, key};
use super::{File, picture};
use crate::support::browser::Browser;
use crate::support::schema;

const HOSTILE: &str = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">";

/// The decisions that the page saved.
fn saved(browser: &Browser) -> (DecisionsFile, BTreeMap<String, Decisions>) {
    let file = browser.downloads().join("nov.decisions.json");
    // It is there before it is written.
    wait::until("the file of decisions", || file.metadata().is_ok_and(|file| file.len() > 0));
    let bytes = std::fs::read(&file).unwrap();
    schema::check(&serde_json::from_slice(&bytes).unwrap());
    let read = DecisionsFile::read(&bytes).unwrap();
    let by_key = read.group.iter().cloned().collect();
    (read, by_key)
}

#[test]
fn three_hundred_groups_are_decided_signed_off_and_saved_by_keys_alone() {
    let Some(mut browser) = Browser::start() else { return };
    let file = File::of(&MadeUp::of(300));
    browser.open(&file.address());
    browser.settle();
    assert_eq!(browser.text("#tab-safe"), "Safe 225");
    browser.key("j");
    for pressed in 0..225 {
        browser.key(choice(pressed).0);
    }
    assert!(browser.text("#ended").starts_with("You are at the end of this list."));
    // The focus is on the way to the other list.
    browser.key("Enter");
    browser.until("document.getElementById('tab-decide').ariaSelected === 'true'");
    browser.key("j");
    for pressed in 0..75 {
        browser.key(choice(pressed).0);
    }
    assert_eq!(browser.text("#progress-words"), "300 of 300 decided");
    browser.key("Enter");
    browser.until("document.getElementById('sign-off').open");
    browser.write("Bo Berg");
    browser.key("Enter");
    browser.until("!document.getElementById('sign-off').open");
    let (read, by_key) = saved(&browser);
    assert_eq!(
        (read.plan.as_str(), read.by.as_deref(), read.approve),
        ("a1b2c3", Some("Bo Berg"), true)
    );
    let (mut safe, mut risky) = (0, 0);
    for place in 0..300 {
        let pressed = if place % 4 == 3 { &mut risky } else { &mut safe };
        assert_eq!(by_key[&key(place)].choice, Some(choice(*pressed).1), "{}", key(place));
        *pressed += 1;
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_click_chooses_and_the_column_after_the_merge_follows() {
    let Some(mut browser) = Browser::start() else { return };
    let file = File::of(&MadeUp::of(20));
    browser.open(&file.address());
    browser.settle();
    browser.click("#card-0-title");
    assert_eq!(browser.text("#card-0 td.after .value"), "Oslo");
    browser.click("#card-0 [data-focus='value:city:1001']");
    assert_eq!(browser.text("#card-0 td.after .value"), "Bergen");
    assert_eq!(browser.text("#card-0 td.after .rule"), "your choice");
    picture(&mut browser, "chosen.png");
    // Another record to keep, by its number: its blank does not take the value that was chosen.
    browser.key("3");
    assert_eq!(browser.text("#card-0 th.winner .ordinal"), "Record 3");
    assert_eq!(browser.text("#card-0 td.after .value"), "Bergen");
    browser.click("#card-0 [data-focus='out:1000']");
    browser.click("#card-0 [data-focus='type:city']");
    browser.call(
        "Input.dispatchKeyEvent",
        &json!({"type": "rawKeyDown", "key": "a", "commands": ["selectAll"]}),
    );
    browser.write("Trondheim");
    browser.key("Enter");
    assert_eq!(browser.text("#card-0 td.after .value"), "Trondheim");
    browser.click("#card-0 [data-focus='keep:1001']");
    browser.key("u");
    browser.click("#sign");
    browser.write("Bo");
    browser.click("#sign-save");
    let (read, by_key) = saved(&browser);
    assert!(!read.approve, "saved alone");
    let decided = &by_key[&key(0)];
    assert_eq!((decided.choice, decided.winner), (None, Some(1002)), "the last click is undone");
    assert_eq!(decided.left_out, [1000].into());
    assert_eq!(decided.values["city"], ChosenValue::Typed(json!("Trondheim")));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn everything_can_be_undone_and_leaving_out_the_record_to_keep_is_refused() {
    let Some(mut browser) = Browser::start() else { return };
    let file = File::of(&MadeUp::of(20));
    browser.open(&file.address());
    browser.settle();
    browser.key("j");
    browser.click("#card-0 [data-focus='out:1000']");
    let told = browser.text("#alert");
    assert!(told.contains("Record 1 is the one to keep and cannot be left out"), "{told}");
    let checked = "document.querySelector('#card-0 [data-focus=\"out:1000\"]').checked";
    assert_eq!(browser.eval(checked), json!(false), "nothing is decided");
    for key in ["m", "s", "x"] {
        browser.key(key);
    }
    assert_eq!(browser.text("#progress-words"), "3 of 20 decided");
    for _ in 0..3 {
        browser.key("u");
    }
    assert_eq!(browser.text("#progress-words"), "0 of 20 decided");
    browser.key("u");
    assert_eq!(browser.text("#status"), "There is nothing to undo.");
}

#[test]
fn all_safe_ones_are_approved_only_after_three_were_opened() {
    let Some(mut browser) = Browser::start() else { return };
    let file = File::of(&MadeUp::of(20));
    browser.open(&file.address());
    browser.settle();
    browser.click("#all-safe");
    assert_eq!(browser.text("#progress-words"), "0 of 20 decided", "it cannot be clicked yet");
    for _ in 0..3 {
        browser.key("j");
    }
    assert_eq!(browser.text("#all-safe"), "Approve all 15 safe ones");
    browser.click("#all-safe");
    assert_eq!(browser.text("#progress-words"), "15 of 20 decided");
    assert_eq!(browser.text("#tab-safe"), "Safe 0");
    browser.key("u");
    assert_eq!(browser.text("#tab-safe"), "Safe 15", "undone as one");
}

#[test]
fn decisions_that_were_saved_go_on_in_the_page() {
    let Some(mut browser) = Browser::start() else { return };
    let file = File::of(&MadeUp::of(8));
    let kept = browser.downloads().join("kept.json");
    let group = json!([{"key": key(0), "decision": "hold", "note": "ask Bo"}, {"key": key(3), "decision": "merge"}]);
    let decisions = json!({"schema": "mkto-audit/decisions/1", "plan": "a1b2c3", "digest": "0", "by": "Bo", "note": null, "approve": false, "group": group});
    std::fs::write(&kept, decisions.to_string()).unwrap();
    browser.open(&file.address());
    browser.settle();
    let found =
        browser.call("Runtime.evaluate", &json!({"expression": "document.getElementById('load')"}));
    browser.call(
        "DOM.setFileInputFiles",
        &json!({"files": [kept], "objectId": found["result"]["objectId"]}),
    );
    browser.until("document.getElementById('progress-words').textContent === '2 of 8 decided'");
    browser.click("#sign");
    browser.write("Cy");
    browser.click("#sign-save");
    let (_, by_key) = saved(&browser);
    assert_eq!(by_key[&key(0)].choice, Some(Choice::Hold));
    assert_eq!(by_key[&key(0)].note.as_deref(), Some("ask Bo"));
    assert_eq!(by_key.len(), 2, "nothing else was decided");
}

#[test]
fn no_value_is_more_than_a_text() {
    let Some(mut browser) = Browser::start() else { return };
    let plan = MadeUp { first_name: HOSTILE.to_owned(), ..MadeUp::of(4) };
    let file = File::of(&plan);
    browser.open(&file.address());
    browser.settle();
    browser.key("j");
    assert_eq!(browser.eval("document.title"), json!("Decide: nov"));
    assert!(browser.text("#card-0 .names").contains("</script>"), "it is shown as it is");
    assert_eq!(browser.eval("document.querySelectorAll('img').length"), json!(0));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn filters_and_the_search_narrow_the_list() {
    let Some(mut browser) = Browser::start() else { return };
    let file = File::of(&MadeUp::of(300));
    browser.open(&file.address());
    browser.settle();
    let shown = "document.querySelectorAll('.card').length";
    assert_eq!(browser.eval(shown), json!(25), "a page of the list");
    browser.click("#search");
    browser.write("p00012");
    browser.until(&format!("{shown} === 8"));
    // A letter that is typed is no decision.
    assert_eq!(browser.text("#progress-words"), "0 of 300 decided");
    browser.eval("document.getElementById('risk').value = 'green'; document.getElementById('risk').dispatchEvent(new Event('change'))");
    browser.until(&format!("{shown} === 3"));
    browser.click("#undecided");
    browser.key("j");
    browser.key("s");
    browser.until(&format!("{shown} === 2"));
}
