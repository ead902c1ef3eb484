//! Plans that people decide about: made, decided, approved and carried out by the real binary.

use serde_json::{Value, json};

use crate::support::merging::fill_cache;
use crate::support::{Instance, Run, quick};

mod approval;
mod decided;
mod doors;
mod lasting;
mod risk;
mod stale;
mod workflow;

/// Ada and Bob with two records each, and two people behind one mailbox.
fn three_groups() -> Instance {
    let instance = Instance::start(quick());
    for (email, first, title) in [
        ("ada@example.com", "Ada", "Countess"),
        ("ada@example.com", "Ada", "Programmer"),
        ("bob@example.com", "Bob", "Builder"),
        ("bob@example.com", "Bob", "Builder"),
        ("pair@example.com", "Grace", "Admiral"),
        ("pair@example.com", "Zoltan", "Painter"),
    ] {
        let born = "2026-01-02T03:04:05Z";
        let lead = json!({"email": email, "firstName": first, "title": title, "createdAt": born});
        instance.sandbox.put_lead(&lead);
    }
    fill_cache(&instance);
    instance
}

/// Runs the binary on the instance's cache.
fn run(instance: &Instance, arguments: &[&str]) -> Run {
    run_with(instance, arguments, &[])
}

/// The same with settings.
fn run_with(instance: &Instance, arguments: &[&str], settings: &[(&str, &str)]) -> Run {
    let mut command = instance.command(arguments);
    command.env("MKTO_AUDIT_DB", instance.path("cache.db"));
    for (name, value) in settings {
        command.env(name, value);
    }
    Run::of(&mut command)
}

/// Makes a plan of all groups under this name.
fn create(instance: &Instance, name: &str) -> Value {
    run(instance, &["plan", "create", "--name", name, "--json"]).expect_code(0).json()
}

fn group<'a>(plan: &'a Value, key: &str) -> &'a Value {
    let groups = plan["group"].as_array().unwrap();
    groups.iter().find(|group| group["key"] == key).unwrap_or_else(|| panic!("{key} in {plan:#}"))
}

fn title(instance: &Instance, lead: u64) -> String {
    instance.sandbox.lead(lead).unwrap().fields["title"].as_str().unwrap().to_owned()
}

#[test]
fn a_plan_has_every_group_with_its_risk_and_is_shown_listed_and_compared() {
    let instance = three_groups();
    let plan = create(&instance, "first");
    assert_eq!(
        (&plan["groups"], &plan["safe"], &plan["decide"]),
        (&json!(3), &json!(2), &json!(1))
    );
    assert_eq!((&plan["records"], &plan["opt_outs_lost"]), (&json!(2), &json!(0)));
    assert_eq!(plan["digest"].as_str().unwrap().len(), 64);
    assert_eq!(group(&plan, "bob@example.com")["risk"], "green");
    assert_eq!(group(&plan, "ada@example.com")["risk"], "amber");
    let pair = group(&plan, "pair@example.com");
    assert_eq!((&pair["risk"], &pair["outcome"]), (&json!("red"), &json!("skipped")));
    assert!(pair["objection"].as_str().unwrap().contains("several people"), "{pair}");

    let calls = instance.sandbox.calls();
    let text = run(&instance, &["plan", "show", "first"]).expect_code(0).stdout;
    assert!(
        text.contains("title: \"Countess\" (from 1), \"Programmer\" (from 2) → \"Countess\""),
        "{text}"
    );
    assert!(
        text.trim_end().contains(&format!("digest {}", plan["digest"].as_str().unwrap())),
        "{text}"
    );
    assert!(!text.contains("Builder"), "what is equal is counted: {text}");
    let all = run(&instance, &["plan", "show", "first", "--all"]).expect_code(0).stdout;
    assert!(all.contains("\"Builder\""), "{all}");

    let safe = run(&instance, &["plan", "create", "--safe-first", "1", "--json"]).json();
    assert_eq!((&safe["groups"], &safe["decide"]), (&json!(1), &json!(0)), "{safe}");
    let red = run(&instance, &["plan", "create", "--risk", "red", "--json"]).json();
    assert_eq!((&red["groups"], &red["decide"]), (&json!(1), &json!(1)), "{red}");
    let difference =
        run(&instance, &["plan", "diff", "first", red["plan"].as_str().unwrap(), "--json"]).json();
    assert_eq!(
        (&difference["same"], difference["group"].as_array().unwrap().len()),
        (&json!(1), 2)
    );
    let list = run(&instance, &["plan", "list", "--json"]).expect_code(0).json();
    assert_eq!(list["plan"].as_array().unwrap().len(), 3, "{list}");
    assert!(instance.sandbox.calls().len() >= calls.len());

    let taken = run(&instance, &["plan", "create", "--name", "first"]).expect_code(2);
    assert!(taken.stderr.contains("another --name"), "{}", taken.picture());
    let none = run(&instance, &["plan", "show", "nothing"]).expect_code(2);
    assert!(none.stderr.contains("no plan nothing"), "{}", none.picture());
    let nobody =
        run(&instance, &["plan", "create", "--email", "x@example.com", "--json"]).expect_code(0);
    assert_eq!(nobody.json()["plan"], Value::Null);
}

#[test]
fn one_group_is_explained_value_by_value() {
    let instance = three_groups();
    let told =
        run(&instance, &["plan", "create", "--explain", "ada@example.com"]).expect_code(0).stdout;
    for words in ["lowest", "rule: winner", "\"Countess\"", "firstName: \"Ada\""] {
        assert!(told.contains(words), "{words} in {told}");
    }
    assert!(!told.contains("bob@example.com"), "{told}");
}
