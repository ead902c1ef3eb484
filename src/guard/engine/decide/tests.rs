//! Every action, however it was sent, whatever was found.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use tokio::time::Instant;

use super::{Decision, Doubt, Verdict, decide};
use crate::guard::engine::evidence::Evidence;
use crate::guard::engine::record::{Endpoint, RawRecord};
use crate::guard::engine::request::{Action, Envelope, Goal, Record, WriteMode};
use crate::lead::Lead;
use crate::marketo::{Found, MarketoTime, Moment};

const KEY: &str = "X1";

fn envelope(endpoint: Endpoint, action: Action) -> Envelope {
    Envelope { endpoint, ..Envelope::sync(action, "externalPersonId") }
}

fn record(envelope: &Envelope) -> RawRecord {
    let fields = json!({"externalPersonId": KEY, "title": "Dr"});
    let json = if envelope.endpoint == Endpoint::SubmitForm {
        json!({"leadFormFields": fields})
    } else {
        fields
    };
    Record::of_fields(json.as_object().unwrap(), envelope, "test").raw
}

/// The call left at 12:00:10 by Marketo's clock, give or take a second.
fn evidence(sent_at: Instant, leads: Vec<Lead>, is_dated: bool) -> Evidence {
    let date: DateTime<Utc> = "2026-11-24T12:02:00Z".parse().unwrap();
    let asked = sent_at + Duration::from_secs(110);
    let clock = is_dated.then_some(MarketoTime { date, asked, heard: asked });
    let found = Found { leads, request_id: Some("1#2".to_owned()), clock, since: Moment::now() };
    Evidence::of(&Envelope::sync(Action::CreateOrUpdate, "externalPersonId"), found)
}

fn lead(id: u64, key: &str, title: &str, second: u32) -> Lead {
    Lead::new(id)
        .with("externalPersonId", key)
        .with("title", title)
        .with("createdAt", format!("2026-11-24T12:00:{second:02}Z"))
}

const OLDER: u32 = 0;
const NEAR: u32 = 10;
const YOUNGER: u32 = 30;

/// What can be found, each under a column of the table.
fn all_evidence(sent_at: Instant) -> Vec<(&'static str, Evidence)> {
    let of = |leads| evidence(sent_at, leads, true);
    vec![
        ("nobody", of(vec![])),
        ("another case", of(vec![lead(7, "x1", "Dr", YOUNGER)])),
        ("holds, older", of(vec![lead(7, KEY, "Dr", OLDER)])),
        ("holds, near", of(vec![lead(7, KEY, "Dr", NEAR)])),
        ("holds, younger", of(vec![lead(7, KEY, "Dr", YOUNGER)])),
        ("holds, undated", evidence(sent_at, vec![lead(7, KEY, "Dr", YOUNGER)], false)),
        ("lacks, older", of(vec![lead(7, KEY, "", OLDER)])),
        ("lacks, near", of(vec![lead(7, KEY, "", NEAR)])),
        ("lacks, younger", of(vec![lead(7, KEY, "", YOUNGER)])),
        ("several, older", of(vec![lead(7, KEY, "Dr", OLDER), lead(8, KEY, "", OLDER)])),
        ("several, one younger", of(vec![lead(7, KEY, "Dr", YOUNGER), lead(8, KEY, "", OLDER)])),
    ]
}

/// Every way in which a record can be sent: `c` created, `u` updated, `n` not done, `?` unknowable,
/// in the order of [`all_evidence`]; and whether it is known while the call may be running.
const WAYS: [(Endpoint, Action, WriteMode, &str, &str); 10] = {
    use Action::{CreateDuplicate, CreateOnly, CreateOrUpdate, Unknown, UpdateOnly};
    use Endpoint::{PushLead, SubmitForm, SyncLeads};
    use WriteMode::{AsAsked, Create, Update};
    [
        (SyncLeads, CreateOrUpdate, AsAsked, "nnuccunnnnn", "....c......"),
        (SyncLeads, CreateOrUpdate, Create, "nnccccnnnnn", "..cccc....."),
        (SyncLeads, CreateOrUpdate, Update, "nnuuuunnnnn", "..........."),
        (SyncLeads, CreateOnly, AsAsked, "n?ncc?n??n?", "....c......"),
        (SyncLeads, UpdateOnly, AsAsked, "nnuuuunnnnn", "..........."),
        (SyncLeads, UpdateOnly, Update, "nnuuuunnnnn", "..........."),
        (SyncLeads, CreateDuplicate, AsAsked, "???????????", "..........."),
        (SyncLeads, Unknown, AsAsked, "nnuccunnnnn", "....c......"),
        (PushLead, CreateOrUpdate, AsAsked, "n??cc??????", "....c......"),
        (SubmitForm, CreateOrUpdate, AsAsked, "n??cc??????", "....c......"),
    ]
};

#[tokio::test(start_paused = true)]
async fn after_doubt_every_action_however_it_was_sent_gets_the_right_verdict() {
    let sent_at = Instant::now();
    for (endpoint, action, mode, over, early) in WAYS {
        let envelope = envelope(endpoint, action);
        let (record, doubt) = (record(&envelope), Doubt { envelope: &envelope, mode, sent_at });
        let found = all_evidence(sent_at);
        let verdicts: String = found
            .iter()
            .map(|(_, evidence)| match doubt.verdict(&record, Some(KEY), evidence) {
                Verdict::Done { id: 7, created: true } => 'c',
                Verdict::Done { id: 7, created: false } => 'u',
                Verdict::Done { .. } => '!',
                Verdict::NotDone => 'n',
                Verdict::Unknowable => '?',
            })
            .collect();
        let columns: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
        assert_eq!(verdicts, over, "{endpoint:?} {action:?} {mode:?}: {columns:?}");
        let born: String = found
            .iter()
            .map(|(_, evidence)| match doubt.born(&record, KEY, evidence) {
                Some(7) => 'c',
                Some(_) => '!',
                None => '.',
            })
            .collect();
        assert_eq!(born, early, "early: {endpoint:?} {action:?} {mode:?}: {columns:?}");
        // What is known early is never taken back.
        assert!(early.chars().zip(over.chars()).all(|(early, over)| early == '.' || early == over));
        for (_, evidence) in &found {
            assert_eq!(doubt.verdict(&record, None, evidence), Verdict::Unknowable);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_is_sent_by_what_was_found() {
    let sent_at = Instant::now();
    let one = |title| evidence(sent_at, vec![lead(7, KEY, title, OLDER)], true);
    let two = || evidence(sent_at, vec![lead(9, KEY, "", OLDER), lead(7, KEY, "Dr", OLDER)], true);
    let cases = [
        (evidence(sent_at, vec![], true), Goal::Write, false, false, Decision::Create),
        (evidence(sent_at, vec![], true), Goal::Write, false, true, Decision::AsAsked),
        (evidence(sent_at, vec![], true), Goal::Write, true, false, Decision::Create),
        (one(""), Goal::Write, false, false, Decision::Update(7)),
        (one("Dr"), Goal::Write, false, true, Decision::Update(7)),
        (one("Dr"), Goal::WriteChanges, false, false, Decision::Unchanged(7)),
        (one("Dr"), Goal::Preview, false, false, Decision::Unchanged(7)),
        (one(""), Goal::WriteChanges, false, false, Decision::Update(7)),
        (one("Dr"), Goal::Write, true, false, Decision::AsAsked),
        (two(), Goal::Write, false, false, Decision::Several(vec![7, 9])),
        (two(), Goal::Write, true, false, Decision::AsAsked),
        (
            evidence(sent_at, vec![lead(7, "x1", "Dr", OLDER)], true),
            Goal::Write,
            false,
            false,
            Decision::AsAsked,
        ),
    ];
    for (evidence, goal, in_partition, is_overtaken, expected) in cases {
        let envelope = Envelope {
            goal,
            in_partition,
            ..envelope(Endpoint::SyncLeads, Action::CreateOrUpdate)
        };
        let decided = decide(&envelope, &record(&envelope), KEY, is_overtaken, &evidence);
        assert_eq!(decided, expected, "{goal:?} {in_partition} {is_overtaken}");
    }
}

#[test]
fn a_lead_holds_what_marketo_shows_after_writing_it() {
    let lead = Lead::new(7)
        .with("firstName", "Ada")
        .with("leadScore", 14)
        .with("vip", false)
        .with("lastPurchaseAt", "2020-08-30T05:49:48Z");
    for (fields, is_held) in [
        (json!({"firstName": "Ada", "leadScore": "14"}), true),
        (json!({"lastPurchaseAt": "2020-08-30T05:49:48.000Z"}), true),
        (json!({"lastPurchaseAt": "2020-08-30T07:49:48+02:00", "vip": "false"}), true),
        (json!({"phone": null, "title": ""}), true),
        (json!({"firstName": "ada"}), false),
        (json!({"firstName": null}), false),
        (json!({"vip": true}), false),
        (json!({}), true),
    ] {
        let envelope = envelope(Endpoint::SyncLeads, Action::CreateOrUpdate);
        let raw = Record::of_fields(fields.as_object().unwrap(), &envelope, "test").raw;
        assert_eq!(super::holds_all(&lead, &raw, "externalPersonId"), is_held, "{fields}");
    }
}
