//! A plan as a file for people: exported, decided in, and taken back by the real binary.

use serde_json::{Value, json};

use crate::support::merging::fill_cache;
use crate::support::{Instance, Run, quick};

/// Ada and Bob with two records each; Ada's titles differ.
fn instance() -> Instance {
    let instance = Instance::start(quick());
    for (email, title) in [
        ("ada@example.com", "=Countess()"),
        ("ada@example.com", "Programmer"),
        ("bob@example.com", "Builder"),
        ("bob@example.com", "Painter"),
    ] {
        let born = "2026-01-02T03:04:05Z";
        let lead = json!({"email": email, "firstName": "Jo", "title": title, "createdAt": born});
        instance.sandbox.put_lead(&lead);
    }
    fill_cache(&instance);
    run(&instance, &["plan", "create", "--name", "november"]).expect_code(0);
    instance
}

fn run(instance: &Instance, arguments: &[&str]) -> Run {
    let mut command = instance.command(arguments);
    command.env("MKTO_AUDIT_DB", instance.path("cache.db"));
    Run::of(&mut command)
}

/// Exports the plan of the file's name; gives the file.
fn export(instance: &Instance, name: &str) -> String {
    let file = instance.path(name).to_str().unwrap().to_owned();
    run(instance, &["plan", "export", &file]).expect_code(0);
    file
}

fn import(instance: &Instance, file: &str) -> Run {
    run(instance, &["plan", "import", file, "--by", "Bo", "--json"])
}

fn digest(instance: &Instance) -> Value {
    run(instance, &["plan", "show", "november", "--json"]).expect_code(0).json()["digest"].clone()
}

#[test]
fn an_unchanged_file_of_either_kind_gives_the_same_digest() {
    let instance = instance();
    let before = digest(&instance);
    for name in ["november.xlsx", "november.csv"] {
        let file = export(&instance, name);
        let taken = import(&instance, &file).expect_code(0).json();
        assert_eq!((&taken["digest"], &taken["changed"]), (&before, &json!(0)), "{name}");
    }
    assert_eq!(digest(&instance), before);
}

#[test]
fn what_is_decided_in_a_csv_is_in_the_plan_and_the_file_is_out_of_date_then() {
    let instance = instance();
    let file = export(&instance, "november.csv");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("'=Countess()"), "{text}");
    let decided = text.replacen("\r\n1,,yes", "\r\n1,skip,yes", 1).replace("'=Countess()", "Baker");
    std::fs::write(&file, decided).unwrap();
    let taken = import(&instance, &file).expect_code(0).json();
    assert_eq!(
        (&taken["skip"], &taken["values"], &taken["errors"]),
        (&json!(1), &json!(1), &json!([]))
    );
    assert_eq!(digest(&instance), taken["digest"]);
    let again = import(&instance, &file).expect_code(2);
    assert!(again.stderr.contains("somebody decided in the meantime"), "{}", again.stderr);
    assert!(again.stderr.contains("export the plan again"), "{}", again.stderr);
}

#[test]
fn a_bad_cell_takes_nothing_and_is_named() {
    let instance = instance();
    let before = digest(&instance);
    let file = export(&instance, "november.csv");
    let text = std::fs::read_to_string(&file).unwrap();
    let decided = text.replacen("\r\n1,,yes", "\r\n1,Mrge,yes", 1);
    std::fs::write(&file, decided.replacen("\r\n2,,yes", "\r\n2,skip,yes", 1)).unwrap();
    let refused = import(&instance, &file).expect_code(3).json();
    let errors = refused["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{refused}");
    assert_eq!((&errors[0]["row"], &errors[0]["column"]), (&json!(2), &json!("decision")));
    let told = run(&instance, &["plan", "import", &file, "--by", "Bo"]).expect_code(3).stdout;
    assert!(told.contains("\"Mrge\" is none of Merge, Skip, Hold, Not the same"), "{told}");
    assert_eq!(digest(&instance), before, "nothing was taken");
}

#[test]
fn a_file_without_a_plan_and_an_unknown_kind_of_file_are_refused_with_words() {
    let instance = instance();
    let other = instance.file("other.csv", "group,id,decision\n1,2,skip\n");
    let refused = import(&instance, other.to_str().unwrap()).expect_code(2);
    assert!(refused.stderr.contains("names no plan"), "{}", refused.stderr);
    let file = instance.path("november.pdf");
    let refused = run(&instance, &["plan", "export", file.to_str().unwrap()]).expect_code(2);
    assert!(refused.stderr.contains(".xlsx for a workbook"), "{}", refused.stderr);
}
