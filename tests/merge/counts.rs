//! What a plan says is what its merge does, on instances of all kinds in which nobody else writes.

use std::collections::BTreeMap;

use mkto_sandbox::Options;
use serde_json::{Value, json};

use crate::support::merging::{fill_cache, merge};
use crate::support::{Instance, quick};

/// How each group ends, by its key and its leads.
fn ends(run: &Value, outcome: &str) -> BTreeMap<String, Vec<u64>> {
    let groups =
        run["group"].as_array().unwrap().iter().filter(|group| group["outcome"] == outcome);
    let leads = |group: &Value| -> Vec<u64> {
        let losers = group["losers"].as_array().unwrap().iter().filter_map(Value::as_u64);
        let mut leads: Vec<u64> = group["winner"].as_u64().into_iter().chain(losers).collect();
        leads.sort_unstable();
        leads
    };
    groups.map(|group| (group["key"].as_str().unwrap().to_owned(), leads(group))).collect()
}

#[test]
fn a_merge_does_what_its_plan_counted() {
    for (seed, flags) in [
        (11, &[][..]),
        (12, &["--include-shared", "--across-partitions"]),
        (13, &["--merge-in-crm", "--limit", "7"]),
        (14, &["--cause", "create_duplicate"]),
    ] {
        let mut options = Options { leads: 160, duplicates: 0.4, seed, ..quick() };
        // Whether Marketo merges across partitions is the instance's own rule, which no plan can
        // know.
        options.set_knob("merge_across_partitions=allow").unwrap();
        let instance = Instance::start(options);
        // Rows that a merge would lose keep some groups out, which the plan is to know.
        for lead in instance.sandbox.leads().iter().filter(|lead| lead.id % 17 == seed % 17) {
            instance.sandbox.put_custom_object("car_c", lead.id);
        }
        fill_cache(&instance);
        let before = instance.sandbox.leads_living();
        let plan = merge(&instance, &[flags, &["--json"]].concat()).expect_code(0).json();
        let would = ends(&plan, "would_merge");
        assert!(!would.is_empty(), "seed {seed}: nothing to merge");
        let id = plan["plan"].as_str().unwrap();
        let run = merge(&instance, &["--plan", id, "--confirm", "--json"]);
        let done = run.json();
        assert_eq!(ends(&done, "merged"), would, "seed {seed}: {}", run.stderr);
        assert_eq!(ends(&done, "skipped"), ends(&plan, "skipped"), "seed {seed}: {done}");
        assert_eq!(
            (&done["failed"], &done["groups"]),
            (&json!(0), &plan["groups"]),
            "seed {seed}: {done}"
        );
        let gone: usize = would.values().map(|leads| leads.len() - 1).sum();
        assert_eq!(done["removed"], gone, "seed {seed}");
        assert_eq!(
            before - instance.sandbox.leads_living(),
            gone,
            "seed {seed}: in Marketo itself"
        );
    }
}
