use std::collections::BTreeMap;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::lead::{Lead, LeadId};

mod erasing;
mod findings;
mod lasting;
mod probes;
mod runs;

const AT: &str = "2026-11-24T12:00:00Z";
const INSTANCE: &str = "https://000-aaa-000.mktorest.com";

struct File {
    folder: TempDir,
}

impl File {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder for the test") }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    fn open(&self) -> Ledger {
        Ledger::open(&self.path(), INSTANCE).expect("the ledger opens")
    }
}

fn merge(winner: LeadId, losers: &[LeadId]) -> NewCall {
    let lead = |id, role| CallLead { id, role };
    let mut leads = vec![lead(winner, Role::Winner)];
    leads.extend(losers.iter().map(|id| lead(*id, Role::Loser)));
    let key = "a@example.com".into();
    NewCall { kind: CallKind::Merge, key, leads, purpose: Purpose::default(), values: vec![] }
}

fn backup(id: LeadId) -> Backup {
    Backup {
        key: "a@example.com".into(),
        role: Role::Loser,
        lead: Lead::new(id).with("email", "A@example.com").with("score", 7),
        lists: Some(vec![json!({"id": 5}).as_object().cloned().unwrap_or_default()]),
        programs: None,
    }
}

fn with_plan(file: &File) -> Ledger {
    let mut ledger = file.open();
    ledger.save_plan("p1", AT, "{}").unwrap();
    ledger
}

#[test]
fn a_merge_whose_loser_has_no_backup_cannot_start() {
    let file = File::new();
    let mut ledger = with_plan(&file);
    let call = ledger.plan_calls("p1", &[merge(1, &[2, 3])], AT).unwrap()[0];
    ledger.back_up("p1", &[backup(2)], AT).unwrap();

    let refused = ledger.start(call, AT);
    assert!(matches!(refused, Err(Error::NoBackup { lead: 3, .. })), "{refused:?}");
    assert_eq!(ledger.open_calls().unwrap()[0].state, State::Planned);

    ledger.back_up("p1", &[backup(3)], AT).unwrap();
    assert_eq!(ledger.start(call, AT).unwrap().call(), call);
}

#[test]
fn a_started_call_is_still_open_after_the_process_is_gone() {
    let file = File::new();
    let mut ledger = with_plan(&file);
    ledger.back_up("p1", &[backup(2)], AT).unwrap();
    let call = ledger.plan_calls("p1", &[merge(1, &[2])], AT).unwrap()[0];
    ledger.start(call, AT).unwrap();
    drop(ledger);

    let open = file.open().open_calls().unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].state, State::Started);
    assert_eq!(open[0].losers().collect::<Vec<_>>(), [2]);
    assert_eq!(
        open[0].started_at.map(|at| at.to_rfc3339()),
        Some("2026-11-24T12:00:00+00:00".into())
    );
}

#[test]
fn a_verified_merge_is_settled_and_tells_where_its_losers_went() {
    let file = File::new();
    let mut ledger = with_plan(&file);
    ledger.back_up("p1", &[backup(2), backup(3)], AT).unwrap();
    let call = ledger.plan_calls("p1", &[merge(1, &[2, 3])], AT).unwrap()[0];
    ledger.start(call, AT).unwrap();
    ledger.record(call, &Event::Accepted { request_id: Some("a#1".into()) }, AT).unwrap();
    ledger.record(call, &Event::Verified { survivor: Some(3), merged: vec![1, 2] }, AT).unwrap();

    assert_eq!(ledger.open_calls().unwrap(), []);
    assert_eq!(ledger.merged_into().unwrap(), BTreeMap::from([(1, 3), (2, 3)]));
}

#[test]
fn a_backup_comes_back_whole() {
    let file = File::new();
    let mut ledger = with_plan(&file);
    ledger.back_up("p1", &[backup(2)], AT).unwrap();
    assert_eq!(ledger.backups_of(2).unwrap(), [backup(2)]);
    assert_eq!(ledger.backups_of(9).unwrap(), []);
}

#[test]
fn an_event_that_cannot_follow_is_refused_and_not_kept() {
    let file = File::new();
    let mut ledger = with_plan(&file);
    let call = ledger.plan_calls("p1", &[merge(1, &[])], AT).unwrap()[0];
    let refused = ledger.record(call, &Event::Accepted { request_id: None }, AT);
    assert!(matches!(refused, Err(Error::Illegal { .. })), "{refused:?}");
    assert_eq!(ledger.open_calls().unwrap()[0].state, State::Planned);
}

#[test]
fn no_call_is_sent_a_second_time_from_any_state() {
    let states = [
        State::Started,
        State::Accepted,
        State::Refused,
        State::Unknown,
        State::Verified,
        State::NotDone,
        State::Skipped,
        State::Contradicted,
    ];
    for state in states {
        assert!(State::next(Some(state), State::Started).is_err(), "{state} led to a second start");
    }
}

#[test]
fn rows_can_be_neither_changed_nor_removed() {
    let file = File::new();
    let mut ledger = with_plan(&file);
    ledger.back_up("p1", &[backup(2)], AT).unwrap();
    ledger.plan_calls("p1", &[merge(1, &[2])], AT).unwrap();
    for statement in [
        "UPDATE journal SET event = 'verified'",
        "DELETE FROM journal",
        "REPLACE INTO journal (seq, call, event, at) VALUES (1, 1, 'verified', 'x')",
        "DELETE FROM backup",
        "UPDATE backup SET fields = '{}'",
        "UPDATE plan SET body = ''",
        "DELETE FROM call_lead",
        "UPDATE call SET key = ''",
        "UPDATE meta SET instance = ''",
    ] {
        let refused = ledger.db.execute(statement, []).expect_err(statement);
        assert!(refused.to_string().contains("append-only"), "{statement}: {refused}");
    }
}

#[test]
fn a_second_process_is_kept_out_until_the_first_is_gone() {
    let file = File::new();
    let first = file.open();
    let second = Ledger::open(&file.path(), INSTANCE);
    assert!(matches!(second, Err(Error::InUse { .. })), "{second:?}");
    drop(first);
    file.open();
}

#[test]
fn another_instance_is_refused() {
    let file = File::new();
    drop(file.open());
    let refused = Ledger::open(&file.path(), "https://111-bbb-111.mktorest.com");
    assert!(matches!(refused, Err(Error::OtherInstance { .. })), "{refused:?}");
}

#[test]
fn a_newer_format_and_a_foreign_file_are_left_alone() {
    let file = File::new();
    let ledger = file.open();
    ledger.db.pragma_update(None, "user_version", 99).unwrap();
    drop(ledger);
    let newer = Ledger::open(&file.path(), INSTANCE);
    assert!(matches!(newer, Err(Error::Newer { found: 99, .. })), "{newer:?}");

    let text = file.folder.path().join("notes.txt");
    std::fs::write(&text, "not a database, but long enough to look like something").unwrap();
    let foreign = Ledger::open(&text, INSTANCE);
    assert!(matches!(foreign, Err(Error::NotALedger { .. })), "{foreign:?}");
    assert!(std::fs::read_to_string(&text).unwrap().starts_with("not a database"));
}

#[test]
fn a_plan_is_kept_as_it_was_looked_at() {
    let file = File::new();
    let mut ledger = with_plan(&file);
    ledger.save_plan("p1", AT, "{}").unwrap();
    let other = ledger.save_plan("p1", AT, r#"{"groups":[]}"#);
    assert!(matches!(other, Err(Error::PlanDiffers { .. })), "{other:?}");
    assert_eq!(ledger.plan("p1").unwrap().as_deref(), Some("{}"));
    assert_eq!(ledger.plan("p2").unwrap(), None);
}

#[test]
fn every_commit_is_synced() {
    let ledger = File::new().open();
    let synchronous: i64 =
        ledger.db.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
    let journal: String =
        ledger.db.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!((synchronous, journal.as_str()), (2, "wal"));
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_it_and_its_log() {
    use std::os::unix::fs::PermissionsExt as _;
    let file = File::new();
    let mut ledger = file.open();
    ledger.save_plan("p1", AT, "{}").unwrap();
    for name in ["ledger.db", "ledger.db-wal"] {
        let mode = std::fs::metadata(file.folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_write_whose_merge_did_not_follow_is_remembered_until_it_does() {
    let file = File::new();
    let mut ledger = with_plan(&file);
    let write = NewCall {
        kind: CallKind::Write,
        key: String::new(),
        leads: vec![CallLead { id: 1, role: Role::Winner }],
        purpose: Purpose::default(),
        values: vec![],
    };
    ledger.back_up("p1", &[backup(2), backup(3)], AT).unwrap();
    let calls = ledger.plan_calls("p1", &[write, merge(1, &[2]), merge(1, &[3])], AT).unwrap();
    assert_eq!(ledger.unfinished_writes().unwrap(), [], "nothing was sent yet");

    ledger.start(calls[0], AT).unwrap();
    let unfinished =
        |gone: &[LeadId]| Unfinished { plan: "p1".into(), winner: 1, gone: gone.to_vec() };
    assert_eq!(ledger.unfinished_writes().unwrap(), [unfinished(&[])]);

    for (call, loser, gone) in [(calls[1], 2, [2].as_slice()), (calls[2], 3, &[2, 3])] {
        ledger.start(call, AT).unwrap();
        ledger.record(call, &Event::Accepted { request_id: None }, AT).unwrap();
        ledger
            .record(call, &Event::Verified { survivor: Some(1), merged: vec![loser] }, AT)
            .unwrap();
        assert_eq!(
            ledger.unfinished_writes().unwrap(),
            [unfinished(gone)],
            "the plan tells who is left"
        );
    }
}

fn write(purpose: Purpose) -> NewCall {
    let value =
        CallValue { lead: 1, field: "phone".into(), before: json!(null), after: json!("7") };
    NewCall {
        kind: CallKind::Write,
        key: String::new(),
        leads: vec![CallLead { id: 1, role: Role::Winner }],
        purpose,
        values: vec![value],
    }
}

#[test]
fn a_write_is_unfinished_until_it_is_known_not_done_or_a_look_found_nothing_to_give_back() {
    let file = File::new();
    let mut ledger = with_plan(&file);
    let accepted = Event::Accepted { request_id: None };
    let done = Event::Verified { survivor: None, merged: vec![] };
    for purpose in [Purpose::Prepare, Purpose::Mend, Purpose::GiveBack] {
        let call = ledger.begin("p1", &write(purpose), AT).unwrap().call();
        assert_eq!(ledger.open_calls().unwrap()[0].what, write(purpose), "as it was written down");
        ledger.record(call, &accepted, AT).unwrap();
        ledger.record(call, &done, AT).unwrap();
        assert_eq!(
            ledger.unfinished_writes().unwrap().len(),
            1,
            "{purpose:?}: an answer is no look"
        );
    }
    ledger.nothing_to_give_back("p1", &[2], AT).unwrap();
    assert_eq!(ledger.unfinished_writes().unwrap().len(), 1, "another lead's");
    ledger.nothing_to_give_back("p1", &[1], AT).unwrap();
    ledger.nothing_to_give_back("p1", &[1], AT).unwrap();
    assert_eq!(ledger.unfinished_writes().unwrap(), []);

    // Refused as a whole, or for this lead, it was not done.
    for whole in [true, false] {
        let call = ledger.begin("p1", &write(Purpose::Prepare), AT).unwrap().call();
        assert_eq!(ledger.unfinished_writes().unwrap().len(), 1, "a later write counts anew");
        if whole {
            let refused = Event::Refused { code: None, request_id: None, why: "no".into() };
            ledger.record(call, &refused, AT).unwrap();
            ledger.record(call, &Event::NotDone { why: "no".into() }, AT).unwrap();
        } else {
            ledger.not_written(call, &[1], AT).unwrap();
            ledger.record(call, &accepted, AT).unwrap();
            ledger.record(call, &done, AT).unwrap();
        }
        assert_eq!(ledger.unfinished_writes().unwrap(), [], "{whole}");
    }
}

#[test]
fn what_an_older_version_gave_back_stays_given_back() {
    let file = File::new();
    {
        let mut ledger = with_plan(&file);
        let done = Event::Verified { survivor: None, merged: vec![] };
        for purpose in [Purpose::Prepare, Purpose::GiveBack] {
            let call = ledger.begin("p1", &write(purpose), AT).unwrap().call();
            ledger.record(call, &Event::Accepted { request_id: None }, AT).unwrap();
            ledger.record(call, &done, AT).unwrap();
        }
        let mut other = write(Purpose::Prepare);
        other.leads[0].id = 5;
        ledger.begin("p1", &other, AT).unwrap();
        ledger
            .db
            .execute_batch(concat!(
                "DROP TABLE certificate_file; DROP TABLE certificate_about;",
                "DROP TABLE left_alone; DROP TABLE left_alone_since;",
                "DROP TABLE left_before; DROP TABLE write_end; DROP TABLE not_set_back;",
                "DROP TABLE witness; DROP TABLE witness_look; DROP TABLE extra_record;",
                "DROP TABLE row_end; DROP TABLE row_link; DROP TABLE row_call;",
                "DROP TABLE instance_profile; DROP TABLE probe_merge_end; DROP TABLE probe_merge;",
                "DROP TABLE probe_person_end; DROP TABLE probe_gone; DROP TABLE probe_lead;",
                "DROP TABLE probe_person; DROP TABLE probe_end; DROP TABLE probe;",
                "DROP TABLE certificate; DROP TABLE proof; DROP TABLE erased_plan; DROP TABLE erased; DROP TABLE erasure;",
                "DROP TABLE backup_digest; DROP TABLE restored; DROP TABLE making_end; DROP TABLE making;",
                "DROP TABLE restore_end; DROP TABLE run;",
                "DROP TABLE plan_head; DROP TABLE plan_group; DROP TABLE plan_body; DROP TABLE plan_left; DROP TABLE carried;",
                "DROP TABLE lasting_word_end; DROP TABLE lasting_word; DROP TABLE decision;",
                "DROP TABLE approval_void; DROP TABLE approval_use; DROP TABLE approval;",
                include_str!("0002_upsert.sql"),
                "PRAGMA user_version = 5",
            ))
            .unwrap();
    }
    let left: Vec<LeadId> =
        file.open().unfinished_writes().unwrap().into_iter().map(|write| write.winner).collect();
    assert_eq!(left, [5]);
}
