//! `mkto-audit certificate`: what a run did, and whether a file still says so.

use std::fs;
use std::process::Stdio;

use mkto_sandbox::Meanwhile;
use serde_json::{Value, json};

use super::history::{offline, two_pairs};
use crate::support::merging::merge;
use crate::support::signal::{self, Signal};
use crate::support::{Instance, Run, quick, wait};

fn field<'a>(group: &'a Value, name: &str) -> &'a Value {
    group["fields"].as_array().unwrap().iter().find(|field| field["name"] == name).unwrap()
}

#[test]
fn a_certificate_has_a_verdict_on_each_field_and_notices_a_changed_byte() {
    let instance = two_pairs();
    instance.sandbox.change_lead(1, &json!({"unsubscribed": true}));
    merge(&instance, &["--confirm", "--by", "Ada Lovelace"]).expect_code(0);
    let calls = instance.sandbox.calls();

    let certificate = offline(&instance, &["certificate", "show", "1", "--json"]);
    let certificate = certificate.expect_code(0).json();
    assert_eq!(certificate["by"], "Ada Lovelace");
    assert_eq!((&certificate["settled"], &certificate["complete"]), (&json!(true), &json!(true)));
    let totals = &certificate["totals"];
    assert_eq!((&totals["merged"], &totals["removed"]), (&json!(2), &json!(2)), "{totals}");
    assert_eq!((&totals["opt_outs"], &totals["opt_outs_lost"]), (&json!(1), &json!(0)));
    assert_eq!(totals["verdicts"]["lost"], 0);
    let ada = &certificate["group"][0];
    assert_eq!((&ada["key"], &ada["compared"]), (&json!("ada@example.com"), &json!(true)));
    let phone = field(ada, "phone");
    assert_eq!(
        (&phone["verdict"], &phone["after"], &phone["before"]),
        (&json!("filled"), &json!("+441"), &json!({"2": "+44 1"}))
    );
    let title = field(ada, "title");
    assert_eq!(
        (&title["verdict"], &title["before"]),
        (&json!("dropped"), &json!({"1": "CTO", "2": "Engineer"}))
    );
    assert_eq!(field(ada, "email")["verdict"], "kept");
    assert_eq!(field(ada, "unsubscribed")["consent"], true);

    for (flag, name) in [("--html", "run.html"), ("--json", "run.json"), ("--csv", "run.csv")] {
        let path = instance.path(name);
        let file = path.to_str().unwrap();
        offline(&instance, &["certificate", "show", "1", flag, file]).expect_code(0);
        offline(&instance, &["certificate", "verify", file]).expect_code(0);
        let whole = fs::read(&path).unwrap();
        // Every tenth byte or so, and the first and last ones.
        let step = (whole.len() / 10).max(1);
        for place in (0..whole.len()).step_by(step).chain([whole.len() - 2]) {
            let mut changed = whole.clone();
            changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
            fs::write(&path, &changed).unwrap();
            let said =
                offline(&instance, &["certificate", "verify", file, "--json"]).expect_code(1);
            assert_eq!(said.json()["valid"], false, "{name}, byte {place}");
        }
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        offline(&instance, &["certificate", "verify", file]).expect_code(1);
    }
    assert_eq!(instance.sandbox.calls(), calls, "Marketo is not asked");
}

#[test]
fn a_certificate_that_the_ledger_never_gave_is_none() {
    let (ours, theirs) = (two_pairs(), two_pairs());
    for instance in [&ours, &theirs] {
        merge(instance, &["--confirm"]).expect_code(0);
    }
    let path = theirs.path("run.json");
    let file = path.to_str().unwrap();
    offline(&theirs, &["certificate", "show", "1", "--json", file]).expect_code(0);
    let said = offline(&ours, &["certificate", "verify", file]).expect_code(1);
    assert!(said.stdout.contains("never gave out this seal"), "{}", said.picture());
}

/// The certificates of the ledger, the newest first.
fn listed(instance: &Instance) -> Vec<Value> {
    let listed = offline(instance, &["certificate", "list", "--json"]).expect_code(0).json();
    listed["certificate"].as_array().unwrap().clone()
}

fn with(instance: &Instance, arguments: &[&str], settings: &[(&str, &str)]) -> Run {
    let mut command = instance.command(arguments);
    command.env("MKTO_AUDIT_DB", instance.path("cache.db"));
    for (name, value) in settings {
        command.env(name, value);
    }
    Run::of(&mut command)
}

#[test]
fn a_certificate_is_sealed_when_its_run_ends_with_the_price_of_then() {
    let instance = two_pairs();
    let then = [("MKTO_AUDIT__PRICE", "0.50 EUR")];
    with(&instance, &["merge", "--confirm", "--limit", "1"], &then).expect_code(0);
    let seals = listed(&instance)[0]["seals"].clone();
    assert_eq!(seals.as_array().unwrap().len(), 1, "nobody has looked at it yet");
    let now = [("MKTO_AUDIT__PRICE", "9.00 EUR")];
    let shown =
        with(&instance, &["certificate", "show", "1", "--json"], &now).expect_code(0).json();
    assert_eq!((&shown["price"], &shown["chain"]["seal"]), (&json!("0.50 EUR"), &seals[0]));
    assert_eq!(listed(&instance)[0]["seals"], seals);
}

#[test]
fn the_certificate_of_a_killed_run_is_sealed_by_the_next_one() {
    let instance = two_pairs();
    let mut command = instance.command(["merge", "--confirm"]);
    command.env("MKTO_AUDIT_DB", instance.path("cache.db"));
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pid = child.id();
    let kill = move |_: &mkto_sandbox::Screens<'_>| {
        signal::send(pid, Signal::KILL);
    };
    instance.sandbox.after_call("/merge", 1, Meanwhile::Run(Box::new(kill)));
    wait::output_of(child);
    assert_eq!(listed(&instance)[0]["seals"], json!([]));
    let price = [("MKTO_AUDIT__PRICE", "0.50 EUR")];
    with(&instance, &["merge", "--confirm"], &price).expect_code(0);
    let killed = listed(&instance).pop().unwrap();
    assert_eq!(killed["seals"].as_array().unwrap().len(), 1, "{killed:#}");
    let shown = offline(&instance, &["certificate", "show", "1", "--json"]).expect_code(0).json();
    assert_eq!(
        (&shown["price"], &shown["chain"]["seal"]),
        (&json!("0.50 EUR"), &killed["seals"][0])
    );
}

#[test]
fn a_file_verifies_after_its_people_were_erased_and_a_changed_byte_is_noticed_in_each_kind() {
    let instance = two_pairs();
    merge(&instance, &["--confirm"]).expect_code(0);
    let files = [("--html", "run.html"), ("--json", "run.json"), ("--csv", "run.csv")];
    let path = |name: &str| instance.path(name).to_str().unwrap().to_owned();
    for (flag, name) in files {
        offline(&instance, &["certificate", "show", "1", flag, &path(name)]).expect_code(0);
    }
    for (erase, most) in [("--email", "ada@example.com"), ("--older-than", "1ms")] {
        offline(&instance, &["backup", "erase", erase, most, "--confirm"]).expect_code(0);
        for (_, name) in files {
            let said = offline(&instance, &["certificate", "verify", &path(name)]);
            assert!(
                said.stdout.contains("certificate of run 1, to the byte"),
                "{}",
                said.picture()
            );
            said.expect_code(0);
        }
    }
    for (_, name) in files {
        let text = fs::read_to_string(path(name)).unwrap();
        fs::write(path(name), text.replacen("Engineer", "Ingeneer", 1)).unwrap();
        let said = offline(&instance, &["certificate", "verify", &path(name)]).expect_code(1);
        assert!(said.stdout.contains("changed"), "{}", said.picture());
        let tells_both = said.stdout.contains("was erased since");
        assert_eq!(tells_both, name == "run.csv", "{}", said.picture());
    }
}

#[test]
fn a_certificate_names_who_planned_decided_approved_and_ran_each_run_of_a_plan() {
    let instance = two_pairs();
    let plan = ["plan", "create", "--name", "nov", "--by", "Pia"];
    with(&instance, &plan, &[]).expect_code(0);
    let decide = |email: &str, what: &str, by: &str| {
        let decide = ["plan", "decide", "nov", "--email", email, what, "--by", by];
        with(&instance, &decide, &[]).expect_code(0);
    };
    let merge = ["merge", "--plan", "nov", "--confirm", "--by"];
    decide("bob@example.com", "--hold", "Di");
    with(&instance, &["plan", "approve", "nov", "--by", "Al"], &[]).expect_code(0);
    let always = [("MKTO_AUDIT__REVIEW__POLICY", "always")];
    with(&instance, &[&merge[..], &["Rob"]].concat(), &always).expect_code(3);
    // The next run is approved by somebody else.
    decide("bob@example.com", "--merge", "Dora");
    with(&instance, &["plan", "approve", "nov", "--by", "Alma"], &[]).expect_code(0);
    with(&instance, &[&merge[..], &["Ria"]].concat(), &always).expect_code(0);
    for (run, decided, approved, by) in [("1", "Di", "Al", "Rob"), ("2", "Dora", "Alma", "Ria")] {
        let shown = offline(&instance, &["certificate", "show", run, "--json"]).json();
        let groups = shown["group"].as_array().unwrap();
        let bob = groups.iter().find(|group| group["key"] == "bob@example.com").unwrap();
        let people =
            [&shown["planned_by"], &bob["decided"]["by"], &shown["approved"]["by"], &shown["by"]];
        assert_eq!(people, ["Pia", decided, approved, by], "{shown:#}");
        let page = offline(&instance, &["certificate", "show", run, "--html"]).stdout;
        for name in ["by Pia on", &format!("by {decided}"), approved, by] {
            assert!(page.contains(name), "{name}");
        }
    }
}

#[test]
fn the_rate_of_a_second_run_does_not_count_what_the_first_one_removed() {
    let options = mkto_sandbox::Options { leads: 120, duplicates: 0.4, seed: 5, ..quick() };
    let instance = Instance::start(options);
    with(&instance, &["scan"], &[]).expect_code(0);
    let mut after = None;
    for run in ["1", "2"] {
        with(&instance, &["merge", "--confirm", "--limit", "5"], &[]);
        let shown = offline(&instance, &["certificate", "show", run, "--json"]).json();
        let rate = &shown["rate"];
        if let Some((after, removed)) = after {
            assert_eq!(rate["extra_before"], after, "{rate:#}");
            assert_eq!(rate["removed_since"], removed, "{rate:#}");
            let page = offline(&instance, &["certificate", "show", run, "--html"]).stdout;
            assert!(page.contains("that earlier runs removed since"), "{page}");
        }
        after = Some((rate["extra_after"].clone(), shown["totals"]["removed"].clone()));
    }
}
