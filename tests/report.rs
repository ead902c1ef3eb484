//! `mkto-audit report`: from the cache alone, in three forms, for a person, a spreadsheet and a
//! program.

use std::path::PathBuf;
use std::process::Stdio;

use mkto_audit::cache::{Cache, Row, ScanSpec};
use serde_json::{Value, json};

use crate::assert_picture;
use crate::support::audit::{API, Audit, INSTANCE, lead, people, row, spec};
use crate::support::wait;
use crate::support::{Run, binary};

mod believable;
mod html;

#[test]
fn without_credentials_the_table_the_csv_and_the_json_show_the_cache() {
    let audit = Audit::of(people());
    assert_picture!("report", audit.redactions(), audit.run([""; 0]).picture());
    assert_picture!(
        "report_csv_stdout",
        audit.redactions(),
        audit.run(["--csv"]).picture().replace('\r', "")
    );
    assert_picture!(
        "report_json_one",
        audit.redactions(),
        audit.run(["--json", "--email", "ADA@example.com"]).picture()
    );
}

#[test]
fn a_csv_file_holds_what_standard_output_would_and_is_its_owners_alone() {
    let audit = Audit::of(people());
    let file = audit.path("out.csv");
    let run = audit.run(["--csv", file.to_str().unwrap(), "--cause", "race"]).expect_code(0);
    assert_eq!(run.stdout, "");
    assert_eq!(run.stderr, format!("1 group written to {}\n", file.display()));
    let written = std::fs::read_to_string(&file).unwrap();
    assert_eq!(written, audit.run(["--cause", "race", "--csv"]).stdout);
    assert_eq!(written.lines().count(), 3);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn each_filter_narrows_groups_and_totals() {
    let audit = Audit::of(people());
    let (ada, cmd, grace, wang) =
        ("ada@example.com", "=cmd()@example.com", "grace@example.org", "王小明@mail.example.net");
    for (flags, expected) in [
        (&[][..], &[grace, cmd, ada, wang][..]),
        (&["--cause", "race"], &[ada]),
        (&["--cause", "create_duplicate"], &[cmd]),
        (&["--cause", "partition"], &[wang]),
        (&["--min-size", "3"], &[grace]),
        (&["--since", "2026-02-01"], &[ada, wang]),
        (&["--since", "2026-03-01T08:00:03Z"], &[]),
        (&["--domain", "EXAMPLE.com"], &[cmd, ada]),
        (&["--domain", "example.net"], &[]),
        (&["--email", "ada@EXAMPLE.com", "--domain", "example.com"], &[ada]),
        (&["--limit", "1"], &[grace]),
        (&["--email", "ada@example.com", "--email", "<GRACE@example.org>"], &[grace, ada]),
    ] {
        assert_eq!(audit.keys(flags), expected, "{flags:?}");
    }
    let report = audit.run(["--json", "--cause", "race", "--limit", "1"]).json();
    assert_eq!(
        (&report["groups"], &report["duplicates"], &report["excess"]),
        (&json!(1), &json!(2), &json!(1))
    );
}

#[test]
fn an_address_that_nobody_has_twice_is_told_by_name() {
    let audit = Audit::of(people());
    std::fs::write(
        audit.path("asked.csv"),
        "Name;E-Mail\nAda;ADA@example.com\nNobody;nobody@example.com\n;\n",
    )
    .unwrap();
    let asked = audit.path("asked.csv");
    let run = audit
        .run(["--json", "--email", "alone@example.com", "--from-file", asked.to_str().unwrap()])
        .expect_code(0);
    assert_eq!(run.json()["groups"], 1, "{}", run.picture());
    assert!(
        run.stderr.contains("nobody has duplicates at alone@example.com, nobody@example.com"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("1 line of") && run.stderr.contains("line 4"), "{}", run.stderr);
}

#[test]
fn another_rule_for_what_is_the_same_holds_without_another_scan() {
    let audit = Audit::of(people());
    let mut command = audit.command(["--json"]);
    command.env("MKTO_AUDIT__MATCH__WITHIN_PARTITION", "true");
    let report = Run::of(&mut command).expect_code(0).json();
    assert_eq!(report["groups"], 3, "the two partitions of one group are apart now");
    assert_eq!(report["group"][0]["key"], "grace@example.org + partition 1");
    assert_eq!(audit.keys(&[]).len(), 4, "and together again");
}

/// The states of a cache that is not the whole of a scan, each by what was done to it.
fn unfinished(audit: &Audit) -> [(&'static str, PathBuf); 5] {
    let begun = "2026-11-01T00:00:00Z".parse().unwrap();
    let of = |name: &'static str, was_scanned: bool, strategy: Option<&str>| {
        let path = audit.path(name);
        let mut cache = Cache::open(&path, INSTANCE).unwrap();
        if was_scanned {
            cache
                .load(&spec(), begun, |loader| {
                    people().into_iter().try_for_each(|l| loader.add(&row(l)))
                })
                .unwrap();
        }
        if let Some(strategy) = strategy {
            cache.begin_scan(&ScanSpec { strategy: strategy.into(), ..spec() }, begun).unwrap();
            cache.expect(3_000).unwrap();
        }
        (path, cache)
    };
    let (never, _) = of("never.db", false, None);
    let (nothing, _) = of("nothing.db", false, Some("pages"));
    let (half, mut cache) = of("half.db", false, Some("pages"));
    let rows: Vec<Row> = people().into_iter().take(2).map(row).collect();
    cache.save_page(&rows, "1201").unwrap();
    let (again, mut cache) = of("again.db", true, Some("pages"));
    cache.save_page(&rows, "1201").unwrap();
    cache.forget_interrupted().unwrap();
    let (refresh, _) = of("refresh.db", true, Some("refresh"));
    [
        ("never", never),
        ("nothing", nothing),
        ("half", half),
        ("forgotten", again),
        ("refresh", refresh),
    ]
}

#[test]
fn a_scan_that_did_not_end_is_never_taken_for_the_whole() {
    let audit = Audit::of([]);
    let mut pictures = Vec::new();
    for (name, path) in unfinished(&audit) {
        let db = ["--db", path.to_str().unwrap()];
        pictures.push(format!("# {name}\n{}", audit.run(db).expect_code(4).picture()));
        let json = audit.run(db.iter().chain(&["--json"])).expect_code(4).json();
        assert_eq!(json["complete"], false, "{name}");
        let csv = audit.run(db.iter().chain(&["--csv"])).expect_code(4);
        assert!(
            csv.stdout.starts_with("key,") && csv.stderr.contains("note: Not known yet: "),
            "{name}"
        );
        let page = audit.path("page.html");
        audit.run(db.iter().chain(&["--html", page.to_str().unwrap()])).expect_code(4);
        let page = std::fs::read_to_string(&page).unwrap();
        assert!(
            page.contains("<p class=\"unfinished\"") && !page.contains("No duplicates found."),
            "{name}"
        );
        let explained =
            Run::of(binary(audit.folder.path(), ["explain", "nobody@example.com"]).args(db))
                .expect_code(4);
        assert!(explained.stdout.contains("so far among"), "{name}: {}", explained.picture());
        for flags in [vec!["merge"], vec!["merge", "--confirm", "--json"]] {
            let mut merge = binary(audit.folder.path(), flags);
            merge.args(db).env("MARKETO_BASE_URL", format!("https://{INSTANCE}"));
            let run = Run::of(
                merge.env("MARKETO_CLIENT_ID", "id").env("MARKETO_CLIENT_SECRET", "secret"),
            );
            let run = run.expect_code(2);
            assert!(
                run.stdout.is_empty() && run.stderr.contains("nothing was planned"),
                "{}",
                run.picture()
            );
            assert!(run.stderr.contains("Not known yet: "), "{}", run.picture());
        }
    }
    assert_picture!("report_unfinished", audit.redactions(), pictures.join("\n"));
}

#[test]
fn what_a_file_cannot_know_is_not_known_rather_than_0() {
    let audit = Audit::of([]);
    std::fs::write(
        audit.path("a.csv"),
        "Id,Email Address\n1,Ada@example.com\n2,ada@example.com\n3,b@example.com\n",
    )
    .unwrap();
    let run =
        |arguments: &[&str]| Run::of(&mut binary(audit.folder.path(), arguments)).expect_code(0);
    run(&["scan", "--file", "a.csv"]);
    let mut redactions = audit.redactions();
    redactions.push((r"\d{4}-\d\d-\d\d \d\d:\d\d UTC".to_owned(), "[TIME] UTC"));
    let shown = run(&["report"]);
    assert_picture!("report_of_file", redactions, shown.picture());
    let json = run(&["report", "--json"]).json();
    for unknown in ["prevented", "by_integration", "by_day", "races_by_hour", "merged_before"] {
        assert_eq!(json[unknown], Value::Null, "{unknown}");
    }
    assert_eq!(
        (&json["by_cause"]["race"], &json["by_cause"]["create_duplicate"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!((&json["complete"], &json["activity_log"]["why"]), (&json!(true), &json!("file")));
    let page = audit.path("page.html");
    run(&["report", "--html", page.to_str().unwrap()]);
    let page = std::fs::read_to_string(&page).unwrap();
    assert!(page.contains("Not known: which integrations"));
    for section in
        ["Preventable by the guard", "Races by hour", "Duplicates over time", ">Integrations</h2>"]
    {
        assert!(!page.contains(section), "{section}");
    }
}

#[test]
fn what_is_wrong_is_said_with_the_way_out() {
    let audit = Audit::of(people());
    std::fs::write(audit.path("notes.txt"), "these are my notes, and no database at all").unwrap();
    let missing = audit.path("missing.db");
    let notes = audit.path("notes.txt");
    let nowhere = audit.path("no/such/folder/out.csv");
    let mut pictures = Vec::new();
    for flags in [
        vec!["--db", missing.to_str().unwrap()],
        vec!["--db", notes.to_str().unwrap()],
        vec!["--base-url", "https://999-xyz-999.mktorest.com"],
        vec!["--csv", nowhere.to_str().unwrap()],
        vec!["--csv", audit.folder.path().to_str().unwrap()],
        vec!["--cause", "racing"],
        vec!["--since", "yesterday"],
        vec!["--min-size", "two"],
        vec!["--email", " "],
        vec!["--limit", "0"],
        vec!["--from-file", notes.to_str().unwrap()],
        vec!["--csv", "--json"],
    ] {
        pictures.push(format!(
            "$ mkto-audit report {}\n{}",
            flags.join(" "),
            audit.run(&flags).picture()
        ));
    }
    assert_picture!("report_errors", audit.redactions(), pictures.join("\n"));
    assert!(!missing.exists(), "a report makes no cache");
    assert_eq!(
        std::fs::read_to_string(notes).unwrap(),
        "these are my notes, and no database at all"
    );
}

#[test]
fn a_cache_in_use_is_left_to_who_uses_it() {
    let audit = Audit::of(people());
    let _open = Cache::open(&audit.cache(), INSTANCE).unwrap();
    let run = audit.run([""; 0]).expect_code(1);
    assert!(run.stderr.contains("is in use by another mkto-audit"), "{}", run.stderr);
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_report_quietly() {
    let audit = Audit::of(
        (0..20_000)
            .map(|n| lead(n + 1, &format!("p{}@example.com", n / 2), "2026-01-01T00:00:00Z", API)),
    );
    let mut child =
        audit.command(["--csv"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let run = Run::from(wait::output_of(child));
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
}
