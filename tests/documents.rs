//! Every document of `--json` begins with the name of its schema, and is as the schema says.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Guard, Instance, Mode, Run, quick, schema};

/// An instance with two groups, one of which a person must decide, after a scan.
fn instance() -> Instance {
    let instance = Instance::start(quick());
    for (email, first, phone) in [
        ("ada@example.com", "Ada", ""),
        ("ada@example.com", "Ada", "1"),
        ("x@example.com", "Grace", ""),
        ("x@example.com", "Alan", ""),
    ] {
        let lead = json!({"email": email, "firstName": first, "lastName": "L", "phone": phone});
        instance.sandbox.put_lead(&lead);
    }
    instance
}

/// The name that the one document on standard output begins with.
#[track_caller]
fn name(run: &Run) -> String {
    run.json();
    let begun = run.stdout.strip_prefix("{\n  \"schema\": \"mkto-audit/");
    let rest = begun.unwrap_or_else(|| panic!("another beginning: {}", run.picture()));
    rest.split_once('/').unwrap().0.to_owned()
}

#[test]
fn every_document_begins_with_its_schema_and_each_schema_has_a_document() {
    let instance = instance();
    let people = instance.file("people.csv", "email\nnew@example.com\nada@example.com\n");
    let leads = instance.file("leads.csv", "Id,Email Address,Created At\n1,a@example.com,soon\n");
    let (people, leads) = (people.to_str().unwrap(), leads.to_str().unwrap());
    let mut seen = BTreeSet::new();
    let mut run = |arguments: &[&str]| {
        let run = instance.run(arguments.iter().chain(&["--json"]));
        seen.insert(name(&run));
        run.json()
    };
    run(&["doctor"]);
    run(&["scan", "--estimate"]);
    run(&["scan"]);
    run(&["scan", "--estimate"]);
    run(&["scan", "--file", leads, "--as", "other"]);
    run(&["report"]);
    run(&["report", "--as", "other"]);
    run(&["explain", "ada@example.com"]);
    let plan = run(&["merge"])["plan"].as_str().unwrap().to_owned();
    run(&["plan", "create", "--name", "all"]);
    run(&["plan", "create", "--email", "nobody@example.com"]);
    let address = ["--email", "x@example.com", "--by", "Bo"];
    run(&[&["plan", "decide", "all", "--not-same", "--note", "two"], &address[..]].concat());
    run(&["plan", "show", "all"]);
    run(&["plan", "diff", "all", &plan]);
    run(&["plan", "approve", "all", "--by", "Cy"]);
    run(&["plan", "list"]);
    run(&["decisions", "list"]);
    let sheet = instance.path("sheet.csv");
    let sheet = sheet.to_str().unwrap();
    instance.run(["plan", "export", sheet, "--plan", &plan]).expect_code(0);
    run(&["plan", "import", sheet, "--by", "Bo"]);
    run(&["merge", "--plan", &plan]);
    run(&["merge", "--plan", &plan, "--confirm"]);
    run(&["merge", "--plan", &plan]);
    run(&["explain", "ada@example.com"]);
    run(&["history"]);
    run(&["history", "show", "1"]);
    run(&["certificate", "list"]);
    run(&["certificate", "show", "1"]);
    let page = instance.file("run1.html", "");
    instance.run(["certificate", "show", "1", "--html", page.to_str().unwrap()]);
    run(&["certificate", "verify", page.to_str().unwrap()]);
    run(&["map"]);
    run(&["map", "resolve", "1", "2"]);
    run(&["audit", "merges"]);
    run(&["restore", "--run", "1"]);
    run(&["restore", "--run", "1", "--confirm"]);
    run(&["probe"]);
    run(&["probe", "--confirm", "--wait", "10s"]);
    run(&["probe", "--show"]);
    run(&["backup", "list"]);
    run(&["backup", "show", "1"]);
    run(&["backup", "verify"]);
    run(&["backup", "verify", "--rehearse", "1"]);
    run(&["backup", "erase", "--older-than", "90d"]);
    run(&["upsert", people]);
    run(&["upsert", people, "--confirm"]);
    let mut guard = Guard::builder(&instance).mode(Mode::Shadow).start();
    guard.sync(&json!({"input": [{"email": "ada@example.com"}]}));
    guard.stop();
    assert_eq!(guard.wait(), Some(0));
    run(&["guard", "report"]);

    let described = std::fs::read_dir(schema::folder()).unwrap();
    let described: BTreeSet<String> = described
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    // What the page of a plan saves is no output of a command.
    seen.insert("decisions".to_owned());
    assert_eq!(seen, described, "what is printed, and what docs/schemas describes");
}

/// Each part of a schema that describes an object with named keys.
fn objects<'a>(schema: &'a Value, found: &mut Vec<&'a Value>) {
    if schema.get("properties").is_some_and(Value::is_object) {
        found.push(schema);
    }
    match schema {
        Value::Array(parts) => parts.iter().for_each(|part| objects(part, found)),
        Value::Object(parts) => parts.values().for_each(|part| objects(part, found)),
        _ => {}
    }
}

#[test]
fn a_schema_names_every_key_and_its_file_is_named_for_its_document() {
    for file in std::fs::read_dir(schema::folder()).unwrap() {
        let path = file.unwrap().path();
        let schema: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let name = schema["properties"]["schema"]["const"].as_str().unwrap();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        assert_eq!(name, format!("mkto-audit/{stem}/1"));
        let mut found = Vec::new();
        objects(&schema, &mut found);
        for part in found {
            assert_eq!(part["additionalProperties"], false, "{stem}: {part:#}");
        }
    }
}

#[test]
#[should_panic(expected = "'surplus' was unexpected")]
fn a_key_that_no_schema_names_is_noticed() {
    let mut document = json!({"schema": "mkto-audit/doctor/1", "instance": "a", "ok": true});
    document["check"] = json!([]);
    schema::check(&document);
    document["surplus"] = json!(1);
    schema::check(&document);
}
