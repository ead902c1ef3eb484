//! `mkto-audit scan` by bulk extract: every lead once, nothing paid for twice, whatever goes wrong.

use std::process::{Child, Command, Stdio};

use mkto_sandbox::{Fault, Options};
use serde_json::{Value, json};

use crate::support::wait::{self, until};
use crate::support::{Instance, Run};

const CREATE: &str = "POST /bulk/v1/leads/export/create";

const ENQUEUE: &str = "POST /bulk/v1/leads/export/{id}/enqueue";
const STATUS: &str = "GET /bulk/v1/leads/export/{id}/status";
const FILE: &str = "GET /bulk/v1/leads/export/{id}/file";

/// How many times as fast Marketo's time passes here: a job takes a minute or two of it.
const SPEED: &str = "1200";

fn quick() -> Options {
    let mut options = crate::support::quick();
    options.set_knob(&format!("clock_speed={SPEED}")).unwrap();
    options
}

/// An instance of some months.
fn seeded(options: Options) -> Instance {
    Instance::start(Options { leads: 1_500, duplicates: 0.2, ..options })
}

/// An empty instance with leads that were created at these times.
fn with_births(options: Options, births: &[&str]) -> (Instance, Vec<u64>) {
    let instance = Instance::start(options);
    let put = |(number, born): (usize, &&str)| {
        instance
            .sandbox
            .put_lead(&json!({"email": format!("p{number}@example.com"), "createdAt": born}))
    };
    let ids = births.iter().enumerate().map(put).collect();
    (instance, ids)
}

fn command(instance: &Instance, arguments: &[&str]) -> Command {
    let mut command = instance.command(arguments);
    command.env("MKTO_AUDIT_CLOCK_SPEED", SPEED).env("MKTO_AUDIT__SCAN__STRATEGY", "bulk");
    command
}

fn scan(instance: &Instance) -> Run {
    Run::of(&mut command(instance, &["scan", "--json"]))
}

fn spawn(instance: &Instance) -> Child {
    command(instance, &["scan"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn calls(instance: &Instance, endpoint: &str) -> u64 {
    instance.sandbox.calls().get(endpoint).copied().unwrap_or(0)
}

/// Everything a report shows of the cache, but for when it was filled.
fn report(instance: &Instance) -> Value {
    let mut report = instance.run(["report", "--json"]).expect_code(0).json();
    report["scanned_at"] = Value::Null;
    report
}

fn forget(instance: &Instance) {
    std::fs::remove_dir_all(instance.path(".cache")).unwrap();
}

/// The ids in the cache.
fn cached(instance: &Instance) -> Vec<u64> {
    let found = walk(&instance.path(".cache"));
    let cache = mkto_audit::cache::Cache::open_found(&found).unwrap();
    (0..20_000).filter(|id| cache.lead(*id).unwrap().is_some()).collect()
}

fn walk(folder: &std::path::Path) -> std::path::PathBuf {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "db") {
                return path;
            }
        }
    }
    panic!("there is no cache")
}

#[test]
fn what_comes_by_bulk_extract_is_what_comes_by_pages() {
    let instance = seeded(quick());
    let scan = scan(&instance).expect_code(0).json();
    assert_eq!((&scan["strategy"], &scan["complete"]), (&json!("bulk"), &json!(true)));
    assert_eq!(scan["leads"].as_u64(), Some(instance.sandbox.leads_living() as u64));
    assert!(scan["bytes"].as_u64().unwrap() > 100_000, "{scan}");
    let by_bulk = report(&instance);
    assert_eq!(calls(&instance, "GET /rest/v1/leads"), 0);
    forget(&instance);
    let by_pages = instance.run(["scan", "--json"]).expect_code(0).json();
    assert_eq!(by_pages["strategy"], "pages");
    assert_eq!(report(&instance), by_bulk);
}

#[test]
fn killed_at_many_moments_it_goes_on_and_orders_nothing_twice() {
    let instance = seeded(quick());
    scan(&instance).expect_code(0);
    let (whole, windows) = (report(&instance), calls(&instance, CREATE));
    for moment in [1, 4, 9, 17, 30] {
        forget(&instance);
        let before = (instance.sandbox.calls_made(), calls(&instance, CREATE));
        let mut child = spawn(&instance);
        until("a call of the scan, or its end", || {
            instance.sandbox.calls_made() >= before.0 + moment
                || child.try_wait().unwrap().is_some()
        });
        child.kill().unwrap();
        wait::end_of(&mut child);
        scan(&instance).expect_code(0);
        assert_eq!(report(&instance), whole, "after {moment} calls");
        assert_eq!(calls(&instance, CREATE) - before.1, windows, "after {moment} calls");
    }
}

#[test]
fn cut_downloads_and_a_wrong_checksum_are_made_good() {
    let instance = seeded(quick());
    for fault in [
        Fault::HalfFile,
        Fault::BadChecksum,
        Fault::HalfFile,
        Fault::CutBefore,
        Fault::TokenExpired,
    ] {
        instance.sandbox.fail_next(FILE, fault);
    }
    let windows = calls(&instance, CREATE);
    scan(&instance).expect_code(0);
    let mended = report(&instance);
    assert!(calls(&instance, FILE) >= calls(&instance, CREATE) - windows);
    forget(&instance);
    scan(&instance).expect_code(0);
    assert_eq!(report(&instance), mended);
    assert_eq!(mended["leads"].as_u64(), Some(instance.sandbox.leads_living() as u64));
}

#[test]
fn a_file_whose_bytes_are_not_those_of_its_checksum_is_fetched_again() {
    let instance = seeded(quick());
    scan(&instance).expect_code(0);
    let files = calls(&instance, FILE);
    forget(&instance);
    instance.sandbox.fail_next(FILE, Fault::BadChecksum);
    scan(&instance).expect_code(0);
    assert_eq!(calls(&instance, FILE), 2 * files + 1);
}

#[test]
fn a_file_without_a_checksum_is_taken_by_its_size_and_the_scan_says_so() {
    let mut options = quick();
    options.set_knob("export_checksum=absent").unwrap();
    let (instance, ids) = with_births(options, &["2026-10-01T00:00:00Z", "2026-10-02T00:00:00Z"]);
    // Its line is cut half-way: what is missing by its size is asked for.
    instance.sandbox.fail_next(FILE, Fault::HalfFile);
    let run = scan(&instance).expect_code(0);
    assert!(run.stderr.contains("without a checksum: it was taken by size"), "{}", run.picture());
    assert_eq!((cached(&instance), calls(&instance, FILE)), (ids, 2));
}

#[test]
fn a_job_that_fails_and_a_complete_one_without_a_file_are_ordered_anew() {
    let instance = seeded(quick());
    scan(&instance).expect_code(0);
    let (whole, windows) = (report(&instance), calls(&instance, CREATE));
    for (endpoint, fault) in [(ENQUEUE, Fault::FailedExport), (FILE, Fault::NoFile)] {
        forget(&instance);
        let before = calls(&instance, CREATE);
        // A file that is not there is asked for three times, since it may only be late.
        let times = if fault == Fault::NoFile { 3 } else { 1 };
        (0..times).for_each(|_| instance.sandbox.fail_next(endpoint, fault));
        scan(&instance).expect_code(0);
        assert_eq!(report(&instance), whole, "{fault:?}");
        assert_eq!(calls(&instance, CREATE) - before, windows + 1, "{fault:?}");
    }
}

#[test]
fn a_window_whose_jobs_fail_time_and_again_stops_the_scan_with_what_to_do() {
    let (instance, _) = with_births(quick(), &["2026-10-01T00:00:00Z"]);
    // Two windows, each of which is tried three times at most.
    (0..6).for_each(|_| instance.sandbox.fail_next(ENQUEUE, Fault::FailedExport));
    let failed = scan(&instance).expect_code(1);
    assert!(failed.stderr.contains("came to nothing 3 times"), "{}", failed.picture());
}

#[test]
fn what_ailed_marketo_then_does_not_stop_a_scan_now_and_a_mended_lead_is_read_anew() {
    let mut options = quick();
    options.set_knob("export_quotes=bare").unwrap();
    let (instance, ids) = with_births(options, &["2026-10-01T00:00:00Z"]);
    (0..6).for_each(|_| instance.sandbox.fail_next(ENQUEUE, Fault::FailedExport));
    scan(&instance).expect_code(1);
    instance.sandbox.change_lead(ids[0], &json!({"company": "the \"best\", she said"}));
    scan(&instance).expect_code(1);
    instance.sandbox.change_lead(ids[0], &json!({"company": "the best"}));
    assert_eq!(scan(&instance).expect_code(0).json()["leads"], 1);
}

#[test]
fn orders_that_are_never_answered_end_the_scan() {
    let (instance, _) = with_births(quick(), &["2026-10-01T00:00:00Z"]);
    (0..60).for_each(|_| instance.sandbox.fail_next(CREATE, Fault::BadGateway));
    let failed = scan(&instance).expect_code(1);
    assert!(failed.stderr.contains("came to nothing 3 times"), "{}", failed.picture());
    assert!(calls(&instance, CREATE) <= 9);
}

/// Forgets what was spent, as midnight does.
fn midnight(instance: &Instance) {
    for entry in std::fs::read_dir(instance.path(".local/share/mkto-audit")).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().contains(".spent.db") {
            std::fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn a_burst_of_births_delays_a_scan_by_days_and_does_not_end_it() {
    let burst = (0..1_200).map(|n| format!("2026-10-01T10:{:02}:{:02}Z", n / 60, n % 60));
    let after = (2..28).map(|day| format!("2026-10-{day:02}T12:00:00Z"));
    let births: Vec<String> = burst.chain(after).collect();
    let births: Vec<&str> = births.iter().map(String::as_str).collect();
    let (instance, ids) = with_births(quick(), &births);
    let a_day = || {
        Run::of(
            command(&instance, &["scan", "--json"]).env("MKTO_AUDIT__LIMITS__DAILY_EXPORT", "20KB"),
        )
    };
    let days = (1..40).find(|_| {
        let run = a_day();
        midnight(&instance);
        run.code == Some(0)
    });
    assert!(days.is_some(), "it never ends");
    assert_eq!(cached(&instance).len(), ids.len());
}

#[test]
fn full_begins_anew_where_a_scan_was_interrupted() {
    let instance = seeded(quick());
    let short = Run::of(
        command(&instance, &["scan", "--full"]).env("MKTO_AUDIT__LIMITS__DAILY_EXPORT", "60KB"),
    );
    assert!(short.expect_code(4).stderr.contains("without --full"));
    let ordered = calls(&instance, CREATE);
    Run::of(&mut command(&instance, &["scan", "--full", "--json"])).expect_code(0);
    let anew = calls(&instance, CREATE) - ordered;
    forget(&instance);
    let before = calls(&instance, CREATE);
    scan(&instance).expect_code(0);
    assert_eq!(anew, calls(&instance, CREATE) - before, "every window is ordered again");
}

#[test]
fn quotes_that_are_not_doubled_are_refused_with_line_and_column_never_read_wrong() {
    let mut options = quick();
    options.set_knob("export_quotes=bare").unwrap();
    let (instance, ids) = with_births(options, &["2026-10-01T00:00:00Z"]);
    instance.sandbox.change_lead(ids[0], &json!({"company": "the \"best\", she said"}));
    let refused = scan(&instance).expect_code(1);
    assert!(
        refused.stderr.contains("line 2: `company` has a quote within quotes"),
        "{}",
        refused.picture()
    );
}

#[test]
fn an_order_whose_answer_is_lost_is_found_in_the_list_of_jobs() {
    let instance = seeded(quick());
    scan(&instance).expect_code(0);
    let windows = calls(&instance, CREATE);
    forget(&instance);
    instance.sandbox.fail_next(CREATE, Fault::CutAfter);
    scan(&instance).expect_code(0);
    assert_eq!(calls(&instance, CREATE), 2 * windows);
}

#[test]
fn where_the_days_bytes_end_it_stops_with_4_and_goes_on_another_day() {
    let instance = seeded(quick());
    let with = |bytes: &str| {
        Run::of(
            command(&instance, &["scan", "--json"]).env("MKTO_AUDIT__LIMITS__DAILY_EXPORT", bytes),
        )
    };
    let short = with("60KB").expect_code(4);
    assert!(short.stderr.contains("limits.daily_export"), "{}", short.picture());
    let document = short.json();
    assert_eq!(document["complete"], false);
    // What was ordered was expected to fit; the two files under way at once may each weigh more.
    assert!(document["bytes"].as_u64().unwrap() <= 90_000, "{document}");
    assert!(document["leads"].as_u64().unwrap() > 0, "{document}");
    let rest = with("400MB").expect_code(0).json();
    assert_eq!(rest["leads"].as_u64(), Some(instance.sandbox.leads_living() as u64));
}

#[test]
fn leads_at_the_edges_of_windows_are_neither_lost_nor_repeated() {
    // The first window begins two days before the first lead: a day before the oldest folder, which
    // is a day older.
    let births = [
        "2026-01-01T00:00:00Z",
        "2026-01-29T23:59:59Z",
        "2026-01-30T00:00:00Z",
        "2026-01-30T00:00:01Z",
        "2026-03-01T23:59:59Z",
        "2026-03-02T00:00:00Z",
    ];
    let (instance, ids) = with_births(quick(), &births);
    let scan = scan(&instance).expect_code(0).json();
    assert_eq!((scan["leads"].as_u64(), scan["new"].as_u64()), (Some(6), Some(6)));
    assert_eq!(cached(&instance), ids);
}

#[test]
fn a_lead_named_null_keeps_the_name_as_far_as_a_file_tells() {
    let (instance, ids) = with_births(quick(), &["2026-10-01T00:00:00Z"]);
    instance
        .sandbox
        .change_lead(ids[0], &json!({"lastName": "Null", "firstName": "a,\"b\"\r\nc\u{0}d"}));
    scan(&instance).expect_code(0);
    let cache = mkto_audit::cache::Cache::open_found(&walk(&instance.path(".cache"))).unwrap();
    let lead = cache.lead(ids[0]).unwrap().unwrap();
    assert_eq!((lead.last_name(), lead.company()), (Some("Null"), None));
    assert_eq!(lead.first_name(), Some("a,\"b\"\r\ncd"));
}

#[test]
fn an_estimate_reads_no_lead_and_says_what_either_way_costs() {
    let instance = seeded(quick());
    let estimate = instance.run(["scan", "--estimate", "--json"]).expect_code(0).json();
    assert_eq!(
        (&estimate["schema"], &estimate["strategy"]),
        (&json!("mkto-audit/scan-estimate/1"), &json!("pages"))
    );
    assert!(estimate["bulk"]["bytes"].as_u64().unwrap() > 100_000, "{estimate}");
    assert_eq!(
        calls(&instance, "GET /rest/v1/leads")
            + calls(&instance, CREATE)
            + calls(&instance, STATUS),
        0
    );
}
