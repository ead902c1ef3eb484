//! Test people are in the journal until a look has shown them gone; profiles are kept in order.

use super::{AT, File};

#[test]
fn a_person_is_open_until_it_is_ended_with_the_leads_that_are_not_gone() {
    let file = File::new();
    let probe = {
        let mut ledger = file.open();
        let probe = ledger.begin_probe(Some("Bo"), AT).unwrap();
        let addresses = ["a@b.invalid".to_owned(), "c@b.invalid".to_owned()];
        let people = ledger.begin_people(probe, &addresses, AT).unwrap();
        ledger.keep_probe_lead(people[0], 7, "an answer", AT).unwrap();
        ledger.keep_probe_lead(people[0], 7, "a look", AT).unwrap();
        ledger.keep_probe_lead(people[0], 8, "a look", AT).unwrap();
        ledger.keep_probe_gone(people[0], 7, "a look", AT).unwrap();
        ledger.end_person(people[1], "a look", AT).unwrap();
        // Nobody is given the address of another.
        assert!(ledger.begin_people(probe, &addresses[..1], AT).is_err());
        probe
    };
    let mut ledger = file.open();
    let open = ledger.open_people().unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!((open[0].address.as_str(), &open[0].leads), ("a@b.invalid", &vec![8]));
    assert_eq!(ledger.probe_leads().unwrap(), [7, 8].into());
    let merge = ledger.begin_probe_merge(probe, 7, &[8], AT).unwrap();
    assert_eq!(ledger.open_probe_merges().unwrap(), [merge]);
    ledger.end_probe_merge(merge, "a look", Some("a#1"), AT).unwrap();
    assert_eq!(ledger.open_probe_merges().unwrap(), []);
}

#[test]
fn the_last_profile_counts_and_an_earlier_one_at_an_earlier_moment() {
    let file = File::new();
    let mut ledger = file.open();
    assert_eq!(ledger.instance_profile().unwrap(), None);
    let moments = ["2026-11-24T12:00:00.000Z", "2026-11-25T12:00:00.000Z"];
    for (at, body) in moments.iter().zip(["{}", "[]"]) {
        let probe = ledger.begin_probe(None, at).unwrap();
        ledger.keep_profile(probe, body, "digest", at).unwrap();
        ledger.end_probe(probe, true, at).unwrap();
    }
    let body = |at: Option<&str>| {
        ledger.instance_profile_at(at).unwrap().map(|kept| (kept.probe, kept.body))
    };
    assert_eq!(body(None), Some((2, "[]".to_owned())));
    assert_eq!(body(Some("2026-11-25T11:59:59.999Z")), Some((1, "{}".to_owned())));
    assert_eq!(body(Some("2026-11-24T11:59:59.999Z")), None);
}

#[test]
fn what_was_written_of_test_people_stays() {
    let file = File::new();
    let mut ledger = file.open();
    let probe = ledger.begin_probe(None, AT).unwrap();
    ledger.begin_people(probe, &["a@b.invalid".to_owned()], AT).unwrap();
    ledger.keep_profile(probe, "{}", "digest", AT).unwrap();
    for statement in [
        "UPDATE probe_person SET address = 'x'",
        "DELETE FROM probe_person",
        "UPDATE instance_profile SET body = 'x'",
        "DELETE FROM instance_profile",
        "DELETE FROM probe",
    ] {
        let refused = ledger.db.execute_batch(statement).unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{statement}: {refused}");
    }
}
