//! A merged and restored instance against the original, field by field, over random groups: what
//! differs is exactly what the printed table names.

use std::collections::{BTreeMap, BTreeSet};

use mkto_sandbox::LeadView;
use serde_json::{Map, Value, json};

use crate::support::dice::Dice;
use crate::support::merging::{BY_NATURE, fill_cache, merge};
use crate::support::{Instance, quick};

/// Fields of every kind, with values that an instance holds as they are.
const FIELDS: &[(&str, &[&str])] = &[
    ("title", &["CTO", "Engineer"]),
    ("city", &["Paris", "London"]),
    ("company", &["Engines Ltd"]),
    ("interests", &["looms\nengines", "numbers"]),
    ("website", &["https://example.com"]),
    ("phone", &["+441", "+442"]),
    ("lastPurchaseDate", &["2026-01-05", "2026-02-05"]),
    ("lastPurchaseAt", &["2026-01-05T08:00:00Z", "2026-02-05T08:00:00Z"]),
    ("unsubscribedReason", &["asked"]),
    ("firstTouchChannel", &["web", "fair"]),
    ("accountTier", &["A", "B"]),
];

const NUMBERS: &[&str] =
    &["leadScore", "behaviorScore", "customerNumber", "numberOfEmployees", "lifetimeValue"];

const FLAGS: &[&str] =
    &["unsubscribed", "doNotCall", "marketingSuspended", "vip", "emailInvalid", "attendedWebinar"];

/// What Marketo may do otherwise; each instance has some.
const KNOBS: &[&str] = &[
    "merge_status=higher",
    "merge_score=winner",
    "merge_blanks=first_nonblank",
    "bool_rule=legacy_true_wins",
    "merge_empties=city,phone",
];

const STEPS: [&str; 3] = ["Invited", "Registered", "Attended"];

fn drawn_lead(dice: &mut Dice, email: &str) -> Value {
    let mut lead = json!({
        "email": email, "firstName": "Ada", "lastName": "Lovelace",
        "createdAt": format!("2026-01-{:02}T00:00:00Z", 1 + dice.below(20)),
        "originalSourceType": *dice.pick(&["List import", "Web form fillout"]),
    });
    for (field, values) in FIELDS {
        if dice.one_in(2) {
            lead[*field] = json!(*dice.pick::<&str>(values));
        }
    }
    for field in NUMBERS {
        if dice.one_in(2) {
            lead[*field] = json!(dice.below(50));
        }
    }
    for field in FLAGS {
        if dice.one_in(4) {
            lead[*field] = json!(true);
        }
    }
    lead
}

/// Groups of two to four, on lists and in programs.
fn instance(dice: &mut Dice) -> Instance {
    let mut options = quick();
    for knob in ["merge_ms=0", "activity_delay_ms=0"] {
        options.set_knob(knob).unwrap();
    }
    for knob in KNOBS.iter().filter(|_| dice.one_in(3)).collect::<Vec<_>>() {
        options.set_knob(knob).unwrap();
    }
    let instance = Instance::start(options);
    let mut ids = Vec::new();
    for n in 0..5 {
        for _ in 0..2 + dice.below(3) {
            let lead = drawn_lead(dice, &format!("p{n}@example.com"));
            ids.push(instance.sandbox.put_lead(&lead));
        }
    }
    for list in 1..=3 {
        let on: Vec<u64> = ids.iter().copied().filter(|_| dice.one_in(3)).collect();
        instance.sandbox.put_list(list, &format!("List {list}"), &on);
    }
    for program in 7..=9 {
        let members: Vec<(u64, &str)> = ids
            .iter()
            .filter(|_| dice.one_in(2))
            .map(|id| (*id, STEPS[usize::try_from(*id).unwrap() % 3]))
            .collect();
        let name = format!("Program {program}");
        instance.sandbox.put_program(program, &name, &STEPS, &members);
        for (lead, _) in members {
            let mut fields = Map::new();
            for field in ["mealChoice", "statusReason", "webinarUrl"] {
                if dice.one_in(2) {
                    fields.insert(field.to_owned(), json!(*dice.pick(&["a", "b"])));
                }
            }
            instance.sandbox.put_member_fields(program, lead, &fields);
        }
    }
    fill_cache(&instance);
    instance
}

/// What differs between two states of a record, named as the table names it.
fn differing(before: &LeadView, after: &LeadView) -> BTreeSet<String> {
    let names: BTreeSet<&String> = before.fields.keys().chain(after.fields.keys()).collect();
    let held = |view: &LeadView, name: &String| match view.fields.get(name) {
        None | Some(Value::Bool(false)) => Value::Null,
        // 6 and 6.0 are one number.
        Some(Value::Number(number)) => json!(number.as_f64()),
        Some(value) => value.clone(),
    };
    let fields = names.into_iter().filter(|name| held(before, name) != held(after, name));
    let mut found: BTreeSet<String> = fields
        .filter(|name| *name != "leadPartitionId" && !BY_NATURE.contains(&name.as_str()))
        .map(|name| format!("`{name}`"))
        .collect();
    if before.lists != after.lists {
        found.insert(format!("lists {:?} {:?}", before.lists, after.lists));
    }
    let programs = before.programs.keys().chain(after.programs.keys());
    for id in programs.collect::<BTreeSet<_>>() {
        let of = |view: &LeadView| (view.programs.get(id).cloned(), view.successes.contains(id));
        if of(before) != of(after) {
            found.insert(format!("program \"Program {id}\""));
        }
        // Whoever stays in a program that it was not in stays with what the program keeps of it.
        let is_in_both = before.programs.contains_key(id) && after.programs.contains_key(id);
        if is_in_both && before.member_fields.get(id) != after.member_fields.get(id) {
            found.insert(format!("member fields of program {id}"));
        }
    }
    found
}

/// What the table of each lost record names.
fn table(restored: &[Value]) -> BTreeMap<u64, Vec<String>> {
    let rows = restored.iter().map(|one| {
        let named = one["not_restored"].as_array().unwrap().iter();
        let mut named: Vec<String> =
            named.map(|row| row["what"].as_str().unwrap().to_owned()).collect();
        named.sort();
        (one["lost_id"].as_u64().unwrap(), named)
    });
    rows.collect()
}

fn set(named: &[String]) -> BTreeSet<&str> {
    named.iter().map(String::as_str).collect()
}

/// What the table of a lost record names of the fields that this record cannot get again: they
/// stand in one line.
fn unwriteable(named: &[String], before: &LeadView) -> BTreeSet<String> {
    let line = named.iter().find(|what| {
        what.split(", ").all(|field| before.fields.contains_key(field) && field != "id")
    });
    line.into_iter().flat_map(|line| line.split(", ")).map(|field| format!("`{field}`")).collect()
}

/// What is named of the record that took others.
fn of_record(named: &[String], id: u64) -> BTreeSet<String> {
    let end = format!(" of record {id}");
    named.iter().filter_map(|what| what.strip_suffix(&end)).map(str::to_owned).collect()
}

#[test]
fn what_differs_after_a_merge_and_a_restore_is_exactly_what_the_table_names() {
    for seed in 1..=crate::support::dice::seeds(6) {
        let mut dice = Dice(seed);
        let instance = instance(&mut dice);
        let before: BTreeMap<u64, LeadView> =
            instance.sandbox.leads().into_iter().map(|view| (view.id, view)).collect();
        let merged = merge(&instance, &["--confirm", "--json"]);
        let seen = format!("seed {seed}\n{}", merged.picture());
        let merged = merged.json();
        assert!(merged["merged"].as_u64() > Some(0), "{seen}");
        // Some instances pay for lower statuses, the others keep them, and are told.
        let mut flags = vec!["restore", "--run", "1", "--json"];
        if dice.one_in(2) {
            flags.push("--lower-status");
        }
        let foretold =
            table(instance.run(&flags).expect_code(0).json()["restored"].as_array().unwrap());
        // What a busy machine took too long for, the same command does.
        let (mut rows, mut seen): (BTreeMap<u64, Value>, _) = (BTreeMap::new(), seen);
        for _ in 0..4 {
            let run = instance.run([&flags[..], &["--confirm"]].concat());
            seen = format!("{seen}\n{}", run.picture());
            for row in run.json()["restored"].as_array().unwrap() {
                if row["status"] != "skipped" {
                    rows.insert(row["lost_id"].as_u64().unwrap(), row.clone());
                }
            }
            if run.code != Some(3) {
                break;
            }
        }
        let told: Vec<Value> = rows.values().cloned().collect();
        let named = table(&told);
        if flags.contains(&"--lower-status") {
            // A dry run looks at each lost record by itself: what one of them cannot have lowered,
            // another one may.
            for (lost, foretold) in &foretold {
                let (foretold, named) = (set(foretold), set(&named[lost]));
                assert!(named.is_subset(&foretold), "{lost}: {named:?}, {foretold:?}\n{seen}");
                let other = foretold.difference(&named).find(|name| !name.starts_with("program "));
                assert_eq!(other, None, "{lost}\n{seen}");
            }
        } else {
            assert_eq!(named, foretold, "the table is the same before and after\n{seen}");
        }
        for group in merged["group"].as_array().unwrap() {
            if group["outcome"] != "merged" {
                continue;
            }
            let winner = group["winner"].as_u64().unwrap();
            let losers: Vec<u64> =
                group["losers"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
            let mut of_winner = BTreeSet::new();
            for lost in &losers {
                let one = &rows[lost];
                assert_eq!(one["status"], "restored", "record {lost}\n{seen}");
                let new = instance.sandbox.lead(one["new_id"].as_u64().unwrap()).unwrap();
                let differs = differing(&before[lost], &new);
                let mut told = unwriteable(&named[lost], &before[lost]);
                // Whether it does is Marketo's, so that the table says that it may.
                let may = "`unsubscribed`".to_owned();
                if named[lost].contains(&may) && differs.contains(&may) {
                    told.insert(may);
                }
                assert_eq!(differs, told, "record {lost}\n{seen}");
                of_winner.extend(of_record(&named[lost], winner));
            }
            let differs = differing(&before[&winner], &instance.sandbox.lead(winner).unwrap());
            assert_eq!(differs, of_winner, "record {winner}\n{seen}");
        }
    }
}
