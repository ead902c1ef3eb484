//! `mkto-audit backup`.

use serde_json::{Value, json};

use super::history::{offline, two_pairs};
use crate::support::merging::merge;
use crate::support::{Instance, Run};

fn backup(instance: &Instance, flags: &[&str]) -> Run {
    offline(instance, &[&["backup"], flags].concat())
}

fn merged() -> Instance {
    let instance = two_pairs();
    instance.sandbox.put_program(
        7,
        "Webinar",
        &["Invited", "Attended"],
        &[(2, "Attended"), (4, "Invited")],
    );
    merge(&instance, &["--confirm"]).expect_code(0);
    instance
}

fn ledger_file(instance: &Instance) -> std::path::PathBuf {
    let folder = instance.path(".local/share/mkto-audit");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.into_iter().find(|path| path.to_string_lossy().ends_with(".ledger.db")).unwrap()
}

/// Whether the ledger, or what SQLite keeps beside it, holds these bytes anywhere.
fn holds(instance: &Instance, text: &str) -> bool {
    let folder = instance.path(".local/share/mkto-audit");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.to_string_lossy().contains(".ledger.db")).any(|path| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(text.len()).any(|part| part == text.as_bytes())
    })
}

#[test]
fn backups_are_listed_shown_and_exported() {
    let instance = merged();
    let list =
        backup(&instance, &["list", "--email", "ADA@example.com", "--json"]).expect_code(0).json();
    let of = |lead: u64| {
        let found = list["backup"].as_array().unwrap().iter().find(|one| one["lead"] == lead);
        found.unwrap().clone()
    };
    assert_eq!(
        (&of(2)["role"], &of(2)["lists"], &of(2)["programs"]),
        (&json!("loser"), &json!(1), &json!(1))
    );
    assert_eq!(of(1)["role"], "winner");
    assert!(
        list["backup"].as_array().unwrap().iter().all(|one| one["email"] == "ada@example.com"),
        "{list}"
    );
    let shown = backup(&instance, &["show", "2", "--json"]).expect_code(0).json();
    let latest = shown["backup"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&latest["fields"]["phone"], &latest["lists"][0]["name"]),
        (&json!("+44 1"), &json!("Newsletter"))
    );
    assert_eq!(latest["sha256"].as_str().unwrap().len(), 64);
    let text = backup(&instance, &["show", "2"]).expect_code(0).stdout;
    assert!(
        text.contains("program Webinar (7): Attended") && text.contains("phone: \"+44 1\""),
        "{text}"
    );
    backup(&instance, &["show", "77"]).expect_code(2);

    let file = instance.path("backups.jsonl");
    backup(&instance, &["export", file.to_str().unwrap()]).expect_code(0);
    let lines = std::fs::read_to_string(&file).unwrap();
    let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(
        rows.iter().any(|row| row["lead"] == 4 && row["fields"]["email"] == "bob@example.com"),
        "{lines}"
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a hand on the file, past the ledger")]
fn a_changed_backup_is_noticed() {
    let instance = merged();
    let whole = backup(&instance, &["verify", "--json"]).expect_code(0).json();
    assert_eq!((&whole["ok"], &whole["intact"]), (&json!(true), &whole["backups"]), "{whole}");
    let db = rusqlite::Connection::open(ledger_file(&instance)).unwrap();
    db.execute_batch(
        "DROP TRIGGER backup_stays;
         UPDATE backup SET fields = replace(fields, '+44 1', '+44 2') WHERE lead = 2;",
    )
    .unwrap();
    drop(db);
    let changed = backup(&instance, &["verify"]).expect_code(1);
    assert!(changed.stdout.contains("record 2 is not what it was"), "{}", changed.picture());
}

#[test]
fn a_rehearsal_merges_and_restores_in_the_sandbox_and_compares_every_field() {
    let instance = merged();
    let calls = instance.sandbox.calls();
    let verified =
        backup(&instance, &["verify", "--rehearse", "10", "--json"]).expect_code(0).json();
    let rehearsal = &verified["rehearsal"];
    assert_eq!(
        (&rehearsal["groups"], &rehearsal["rehearsed"], &rehearsal["records"]),
        (&json!(2), &json!(2), &json!(4)),
        "{verified}"
    );
    assert_eq!(rehearsal["differences"], json!([]), "{verified}");
    assert!(rehearsal["compared"].as_u64().unwrap() > 20, "{verified}");
    assert_eq!(instance.sandbox.calls(), calls, "the instance was not asked");
    let text = backup(&instance, &["verify", "--rehearse"]).expect_code(0).stdout;
    assert!(text.contains("rehearsed 2 of 2 groups") && text.contains("all is well"), "{text}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a hand on the file, past the ledger")]
fn a_persons_values_are_erased_to_the_byte_and_the_rest_stays() {
    let instance = merged();
    assert!(holds(&instance, "ada@example.com") && holds(&instance, "bob@example.com"));
    let dry =
        backup(&instance, &["erase", "--email", "Ada@example.com", "--json"]).expect_code(0).json();
    assert_eq!((&dry["dry_run"], &dry["leads"]), (&json!(true), &json!([1, 2])), "{dry}");
    assert!(holds(&instance, "ada@example.com"), "a dry run erases nothing");

    backup(&instance, &["erase", "--email", "Ada@example.com", "--confirm", "--by", "DPO"])
        .expect_code(0);
    assert!(!holds(&instance, "ada@example.com"), "her address is in the file");
    assert!(holds(&instance, "bob@example.com"), "nobody else's is gone");

    // What is no person's value is there: ids, times, digests, the map, the runs.
    let map = offline(&instance, &["map", "--json"]).expect_code(0).json();
    let ada = map["merge"].as_array().unwrap().iter().find(|row| row["loser_id"] == 2).unwrap();
    assert_eq!(
        (&ada["winner_id"], ada["loser_created_at"].is_string()),
        (&json!(1), true),
        "{map}"
    );
    let history = offline(&instance, &["history", "--json"]).expect_code(0).json();
    assert_eq!(history["run"][0]["merged"], 2, "{history}");
    offline(&instance, &["history", "show", "1", "--json"]).expect_code(0).json();
    let verified = backup(&instance, &["verify", "--json"]).expect_code(0).json();
    assert_eq!(
        (&verified["ok"], verified["erased"].as_u64() > Some(0)),
        (&json!(true), true),
        "{verified}"
    );
    let shown = backup(&instance, &["show", "2", "--json"]).expect_code(0).json();
    assert_eq!(
        (&shown["backup"][0]["erased"], shown["backup"][0]["sha256"].is_string()),
        (&json!(true), true)
    );

    // What is erased cannot be restored, and the ledger is append-only again.
    let restored = instance.run(["restore", "--id", "2", "--confirm", "--json"]);
    assert_eq!(restored.json()["restored"][0]["status"], "skipped", "{}", restored.picture());
    let db = rusqlite::Connection::open(ledger_file(&instance)).unwrap();
    for table in
        ["backup", "call", "call_value", "finding", "refusal", "run_group", "plan", "proof"]
    {
        let triggers: i64 = db
            .query_row(
                "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1",
                [table],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(triggers, 2, "{table}");
    }
    drop(db);
    // The next merge goes on.
    merge(&instance, &["--confirm"]).expect_code(0);
}

#[test]
fn what_is_older_is_erased_and_a_merge_says_what_is() {
    let instance = merged();
    let none = backup(&instance, &["erase", "--older-than", "1d", "--json"]).expect_code(0).json();
    assert_eq!(none["backups"], 0);
    let mut told = crate::support::merging::command(&instance, &["--confirm"]);
    std::thread::sleep(std::time::Duration::from_millis(5));
    let told = Run::of(told.env("MKTO_AUDIT__LEDGER__KEEP", "1ms"));
    assert!(told.stderr.contains("older than `ledger.keep`"), "{}", told.picture());
    let all = backup(&instance, &["erase", "--older-than", "1ms", "--confirm", "--json"])
        .expect_code(0)
        .json();
    assert!(all["backups"].as_u64() > Some(3), "{all}");
    for email in ["ada@example.com", "bob@example.com"] {
        assert!(!holds(&instance, email), "{email}");
    }
    backup(&instance, &["erase", "--older-than", "soon"]).expect_code(2);
    backup(&instance, &["erase"]).expect_code(2);
}
