//! Reports of whole believable instances, beside what is counted by hand and what a merge plans.

use std::collections::{BTreeMap, BTreeSet};

use mkto_audit::lead::Lead;
use mkto_sandbox::{Options, Sandbox, SeedLabel};
use serde_json::{Value, json};

use crate::support::audit::Audit;
use crate::support::{Instance, quick, word_for};

#[test]
fn every_duplicate_of_a_believable_instance_is_found_and_nobody_else() {
    let (leads, labels) = believable();
    let groups = counted_by_hand(&leads);
    let audit = Audit::of(leads);
    let report = audit.run(["--json"]).expect_code(0).json();
    let shown = report["group"].as_array().unwrap();
    let key = |group: &Value| group["key"].as_str().unwrap().to_owned();
    let found: BTreeMap<String, BTreeSet<u64>> = shown
        .iter()
        .map(|group| {
            let leads = group["leads"].as_array().unwrap();
            (key(group), leads.iter().map(|lead| lead["id"].as_u64().unwrap()).collect())
        })
        .collect();
    assert!(groups.len() > 50, "the instance has duplicates");
    assert_eq!(found, groups);

    let told: BTreeMap<String, &Value> =
        shown.iter().map(|group| (key(group), &group["cause"])).collect();
    for label in labels.iter().filter(|label| !label.shared) {
        assert_eq!(*told[&label.key], word_for(label.cause), "{}", label.key);
    }

    let csv = audit.run(["--csv"]).expect_code(0).stdout;
    let rows = csv::Reader::from_reader(csv.as_bytes()).into_records().map(Result::unwrap).count();
    assert_eq!(rows, groups.values().map(BTreeSet::len).sum::<usize>());
    let table = audit.run(["--limit", "1000"]).expect_code(0).stdout;
    assert!(!table.contains(|c: char| c.is_control() && c != '\n'), "a value steers the terminal");
}

/// The sandbox's population, and the truth about its groups.
fn believable() -> (Vec<Lead>, Vec<SeedLabel>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sandbox = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = Options { leads: 5_000, duplicates: 0.08, seed: 7, ..Options::default() };
        Sandbox::start(listener, options).unwrap()
    });
    let leads = sandbox.leads().into_iter();
    let leads = leads.map(|view| Lead { id: view.id, fields: view.fields.into_iter().collect() });
    (leads.collect(), sandbox.labels().to_vec())
}

fn counted_by_hand(leads: &[Lead]) -> BTreeMap<String, BTreeSet<u64>> {
    let mut groups: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for lead in leads {
        let email =
            lead.value("email").and_then(Value::as_str).unwrap_or_default().trim().to_lowercase();
        if !email.is_empty() && email != "null" {
            groups.entry(email).or_default().insert(lead.id);
        }
    }
    groups.retain(|_, ids| ids.len() > 1);
    groups
}

#[test]
fn what_can_be_merged_now_is_what_a_merge_would_plan_and_its_reasons_are_the_same() {
    let options = Options { leads: 1_500, duplicates: 0.2, seed: 11, ..quick() };
    let instance = Instance::start(options);
    instance.run(["scan"]).expect_code(0);
    let report = instance.run(["report", "--json"]).expect_code(0).json();
    let plan = instance.run(["merge", "--json"]).expect_code(0).json();
    let planned: BTreeMap<&str, &Value> =
        plan["group"].as_array().unwrap().iter().map(|g| (g["key"].as_str().unwrap(), g)).collect();
    let (mut mergeable, mut undecided, mut only_marketo_knew) = ((0, 0), (0, 0), 0);
    for group in report["group"].as_array().unwrap() {
        let (size, plan) =
            (group["size"].as_u64().unwrap(), planned[group["key"].as_str().unwrap()]);
        let sums = if group["undecided"].is_null() { &mut mergeable } else { &mut undecided };
        *sums = (sums.0 + 1, sums.1 + size - 1);
        if !group["undecided"].is_null() {
            assert_eq!(plan["reason"], group["undecided"]["words"], "{group}");
            assert_eq!(
                (&plan["outcome"], &group["winner"]),
                (&json!("skipped"), &Value::Null),
                "{plan}"
            );
        } else if plan["outcome"] == "would_merge" {
            assert_eq!(plan["winner"], group["winner"], "{group}");
        } else {
            only_marketo_knew += 1;
            let why = plan["reason"].as_str().unwrap();
            assert!(
                why.contains("custom object") || why.contains("looks like a consent"),
                "{plan}"
            );
        }
    }
    let told = |name: &str| {
        (report[name]["groups"].as_u64().unwrap(), report[name]["excess"].as_u64().unwrap())
    };
    assert_eq!((told("mergeable"), told("undecided")), (mergeable, undecided));
    assert!(
        mergeable.0 > 20 && undecided.0 > 5 && only_marketo_knew < mergeable.0 / 2,
        "{mergeable:?} {undecided:?} {only_marketo_knew}"
    );
    let reasons = report["undecided"]["by_reason"].as_object().unwrap();
    assert_eq!(
        reasons.values().map(|sum| sum["groups"].as_u64().unwrap()).sum::<u64>(),
        undecided.0
    );
    let meant = |reason: &str| reasons[reason]["excess"].as_u64().unwrap();
    assert_eq!(report["perhaps_meant"]["excess"], meant("partitions") + meant("deliberate"));
    assert!(report["opted_out"]["people"].as_u64().unwrap() > 0, "{report:#}");
    // Who names a group, or asks for its cause, has decided: report and merge agree on that too.
    let cause =
        instance.run(["report", "--json", "--cause", "create_duplicate"]).expect_code(0).json();
    assert_eq!(cause["undecided"]["by_reason"]["deliberate"]["groups"], 0, "{cause:#}");
}
