//! Rules of a configuration as the real binary applies them: which groups are left alone, which
//! record stays, and that each survivor is what the plan says.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::dice::Dice;
use crate::support::merging::{command, fill_cache};
use crate::support::{Instance, Run, UNHURRIED, quick};

/// Runs `merge` with a config file; `DIR` in it is the folder of the instance.
fn merge(instance: &Instance, config: &str, flags: &[&str]) -> Run {
    let file = instance.path("config.toml");
    let folder = instance.path("").display().to_string();
    std::fs::write(&file, config.replace("DIR/", &folder)).unwrap();
    let mut command = command(instance, flags);
    // No look becomes too old only because this machine is busy.
    Run::of(command.env(UNHURRIED.0, UNHURRIED.1).env("MKTO_AUDIT_CONFIG", file))
}

/// A pair of records of one address; the first is the older. Gives their ids.
fn pair(instance: &Instance, name: &str, a: Value, b: Value) -> (u64, u64) {
    let put = |fields: Value, day: u32| {
        let mut lead = json!({
            "email": format!("{name}@example.com"),
            "firstName": "Ada",
            "createdAt": format!("2026-01-0{day}T00:00:00Z"),
            "updatedAt": format!("2026-01-0{day}T00:00:00Z"),
        });
        lead.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        instance.sandbox.put_lead(&lead)
    };
    (put(a, 1), put(b, 2))
}

fn groups(document: &Value) -> BTreeMap<String, Value> {
    let groups = document["group"].as_array().unwrap().iter();
    groups.map(|group| (group["key"].as_str().unwrap().to_owned(), group.clone())).collect()
}

#[test]
fn each_skip_rule_leaves_its_group_alone_and_says_which_rule_and_which_record() {
    let instance = Instance::start(quick());
    let plain = || json!({});
    let (partition, _) =
        pair(&instance, "partition", json!({"leadPartitionId": 3}), json!({"leadPartitionId": 3}));
    let (_, listed) = pair(&instance, "listed", plain(), plain());
    let (file, _) = pair(&instance, "file", plain(), plain());
    let (_, paying) = pair(&instance, "paying", plain(), json!({"annualRevenue": 5}));
    let (spare, _) = pair(&instance, "partner", json!({"leadStatus": "partner"}), plain());
    pair(&instance, "eve.rival", plain(), plain());
    pair(&instance, "free", json!({"annualRevenue": 0}), json!({"leadStatus": "Lead"}));
    instance.sandbox.put_list(5, "Board members", &[listed]);
    fill_cache(&instance);
    std::fs::write(instance.path("never.txt"), format!("# never\n{file}\n")).unwrap();
    let config = "
        [skip]
        partitions = ['partners']
        lists = ['board members']
        emails = ['*.rival@example.com']
        file = 'DIR/never.txt'
        when = ['annualRevenue > 0', 'leadStatus in [\"Customer\", \"Partner\"]']
    ";
    let living = instance.sandbox.leads_living();
    let planned = merge(&instance, config, &["--json"]).expect_code(0).json();
    assert_eq!(instance.sandbox.leads_living(), living);
    let found = groups(&planned);
    for (name, words) in [
        (
            "partition",
            format!(
                "`skip.partitions` leaves it alone: lead {partition} is in the partition Partners"
            ),
        ),
        (
            "listed",
            format!(
                "`skip.lists` leaves it alone: lead {listed} is on the static list Board members"
            ),
        ),
        ("eve.rival", "`skip.emails` leaves it alone".to_owned()),
        ("file", format!("never.txt names lead {file}")),
        ("paying", format!("`annualRevenue > 0` is true of lead {paying}")),
        ("partner", format!("is true of lead {spare}")),
    ] {
        let group = &found[&format!("{name}@example.com")];
        let reason = group["reason"].as_str().unwrap();
        assert!(group["outcome"] == "skipped" && reason.contains(&words), "{group}");
    }
    assert_eq!(found["free@example.com"]["outcome"], "would_merge", "{planned}");
    // That a group is named lifts no skip rule.
    let named = ["--email", "listed@example.com", "--json"];
    let named = merge(&instance, config, &named).expect_code(0).json();
    assert_eq!(groups(&named)["listed@example.com"]["outcome"], "skipped", "{named}");

    let done = merge(&instance, config, &["--confirm", "--json"]).expect_code(3).json();
    assert_eq!(done["merged"], 1, "{done}");
    assert_eq!(instance.sandbox.leads().len(), 13);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "lately is by this machine's clock")]
fn who_was_changed_lately_is_left_alone_and_so_is_who_came_onto_a_list_since_the_plan() {
    let instance = Instance::start(quick());
    let now = chrono::Utc::now().to_rfc3339();
    pair(&instance, "lately", json!({}), json!({"createdAt": now}));
    let (_, listed) = pair(&instance, "listed", json!({}), json!({}));
    let (_, filed) = pair(&instance, "filed", json!({}), json!({}));
    pair(&instance, "free", json!({}), json!({"phone": "+1 555 0100"}));
    instance.sandbox.put_list(5, "Board", &[]);
    fill_cache(&instance);
    std::fs::write(instance.path("never.txt"), "").unwrap();
    let config = "[skip]\nchanged_within = '7d'\nlists = [5]\nfile = 'DIR/never.txt'\n[fields]\nphone = 'next_best'";
    let planned = merge(&instance, config, &["--json"]).expect_code(0).json();
    let reason = groups(&planned)["lately@example.com"]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("`skip.changed_within` leaves it alone"), "{reason}");
    assert_eq!(planned["groups"], 4, "{planned}");

    instance.sandbox.put_list(5, "Board", &[listed]);
    std::fs::write(instance.path("never.txt"), format!("{filed}\n")).unwrap();
    let plan = planned["plan"].as_str().unwrap();
    let flags = ["--plan", plan, "--confirm", "--json"];
    let done = merge(&instance, config, &flags).expect_code(3).json();
    let found = groups(&done);
    for (name, outcome, words) in [
        ("listed", "skipped", "`skip.lists` leaves it alone"),
        ("filed", "skipped", "`skip.file` leaves it alone"),
        // What the run wrote to the record to keep is no change of it.
        ("free", "merged", ""),
    ] {
        let group = &found[&format!("{name}@example.com")];
        assert_eq!(group["outcome"], outcome, "{group}");
        assert!(words.is_empty() || group["reason"].as_str().unwrap().contains(words), "{group}");
    }
}

#[test]
fn a_file_of_ids_names_the_records_to_keep_and_a_kept_plan_keeps_them() {
    let instance = Instance::start(quick());
    let (older, a) = pair(&instance, "a", json!({}), json!({}));
    let (b, _) = pair(&instance, "b", json!({}), json!({}));
    let (c, d) = pair(&instance, "c", json!({}), json!({}));
    let (contact, other) = pair(&instance, "crm", json!({"sfdcContactId": "0031"}), json!({}));
    fill_cache(&instance);
    std::fs::write(
        instance.path("keep.csv"),
        format!("id,by\n{a},x\n{c},x\n{d},x\n{other},x\n99999,x\n"),
    )
    .unwrap();
    let config = "[winner]\norder = ['ids', 'oldest']\nids_file = 'DIR/keep.csv'";
    let run = merge(&instance, config, &["--json"]).expect_code(0);
    assert!(run.stderr.contains("5 ids, of which 1 are in no group"), "{}", run.picture());
    let planned = run.json();
    let found = groups(&planned);
    assert_eq!(found["a@example.com"]["winner"], a);
    assert_eq!(found["b@example.com"]["winner"], b, "the file names neither");
    assert_eq!(found["crm@example.com"]["winner"], contact, "Marketo would overrule the file");
    let reason = found["c@example.com"]["reason"].as_str().unwrap();
    assert!(reason.contains(&format!("names leads {c} and {d} of it")), "{reason}");

    std::fs::write(instance.path("keep.csv"), format!("{older}\n")).unwrap();
    let plan = planned["plan"].as_str().unwrap();
    let done = merge(&instance, config, &["--plan", plan, "--confirm", "--json"]);
    let done = done.expect_code(3).json();
    assert_eq!(done["merged"], 3, "{done}");
    assert_eq!(instance.sandbox.merged_into(older), Some(a));
}

#[test]
fn the_rules_of_a_cause_hold_for_its_groups_alone_and_for_their_plan() {
    let instance = Instance::start(quick());
    let import = || json!({"originalSourceType": "List import", "title": "t"});
    let (first, newer) = pair(&instance, "import", import(), import());
    let (older, _) = pair(&instance, "plain", json!({}), json!({}));
    fill_cache(&instance);
    let config = "[cause.import]\nwinner.order = ['newest']\n[cause.import.fields]\nphone = 'sum'";
    let planned = merge(&instance, config, &["--json"]).expect_code(0).json();
    let found = groups(&planned);
    assert_eq!(found["import@example.com"]["winner"], newer, "{planned}");
    assert_eq!(found["plain@example.com"]["winner"], older);
    let plan = planned["plan"].as_str().unwrap();
    // The rules are the plan's, whatever the configuration says by now.
    let done = merge(&instance, "", &["--plan", plan, "--confirm", "--json"]);
    assert_eq!(done.expect_code(0).json()["merged"], 2);
    assert_eq!(instance.sandbox.merged_into(first), Some(newer));
}

#[test]
fn a_rule_that_names_nothing_of_the_instance_is_refused_with_the_nearest_name() {
    let instance = Instance::start(quick());
    pair(&instance, "a", json!({}), json!({}));
    instance.sandbox.put_list(5, "Board members", &[]);
    fill_cache(&instance);
    for (config, words) in [
        ("[skip]\nwhen = ['annualRevenu > 0']", "did you mean `annualRevenue`?"),
        ("[skip]\nwhen = ['annualRevenue > \"0\"']", "`annualRevenue` is a number"),
        ("[skip]\npartitions = ['Partner']", "did you mean `Partners`?"),
        ("[skip]\nlists = ['Board']", "static list `Board`"),
        ("[cause.unknown.fields]\nfone = 'max'", "`cause.unknown.fields` names `fone`"),
    ] {
        let run = merge(&instance, config, &[]).expect_code(2);
        assert!(run.stderr.contains(words), "{}", run.picture());
    }
    assert_eq!(instance.sandbox.leads().len(), 2);
}

const FIELDS: &[&str] = &["title", "city", "phone", "leadScore", "department", "leadStatus"];

const RULES: &[&str] = &[
    "winner",
    "next_best",
    "oldest",
    "newest",
    "max",
    "min",
    "longest",
    "concat",
    "keep_blank",
    "by:leadScore",
    "by:-leadStatus",
    "prefer:[\"b\",\"a\"]",
];

const ORDERS: &[&str] =
    &["ids", "oldest", "newest", "lowest_id", "most_complete", "max:leadScore", "max:phone"];

/// A section of rules and an order, drawn.
fn drawn_rules(dice: &mut Dice, section: &str) -> String {
    let mut rules = vec![format!("[{section}fields]\n")];
    for field in FIELDS.iter().filter(|_| dice.one_in(2)).collect::<Vec<_>>() {
        let rule = match *dice.pick::<&str>(RULES) {
            "concat" if *field == "leadScore" => "sum",
            "concat" if *field == "phone" => "newest",
            rule => rule,
        };
        rules.push(format!("{field} = '{rule}'\n"));
    }
    rules.concat()
}

fn drawn_order(dice: &mut Dice) -> String {
    let mut order: Vec<&str> = (0..2).map(|_| *dice.pick::<&str>(ORDERS)).collect();
    order.insert(usize::try_from(dice.below(3)).unwrap(), "ids");
    format!("{order:?}")
}

/// Every survivor holds what the plan says of each changed field, and every other field of the
/// record to keep as it was; opt-outs stay; and the run itself saw no surprise.
#[test]
fn whatever_the_rules_are_each_survivor_is_as_the_plan_predicts() {
    for seed in 1..=6 {
        let mut dice = Dice(seed);
        let instance = Instance::start(quick());
        let mut ids = Vec::new();
        for n in 0..12 {
            for copy in 0..2 + dice.below(3) {
                let mut lead = json!({
                    "email": format!("p{n}@example.com"),
                    "firstName": "Ada",
                    "createdAt": format!("2026-01-{:02}T00:00:00Z", 1 + dice.below(5)),
                    "originalSourceType": if n % 2 == 0 { "List import" } else { "Web form" },
                });
                for field in FIELDS.iter().chain(&["unsubscribed", "doNotCall"]) {
                    if dice.one_in(2) {
                        lead[field] = match *field {
                            "leadScore" => json!(dice.below(90)),
                            "phone" => json!(format!("+1 (555) 010-{:04}", n * 10 + copy)),
                            "unsubscribed" | "doNotCall" => json!(dice.one_in(3)),
                            _ => json!(*dice.pick(&["a", "b", "c d"])),
                        };
                    }
                }
                ids.push(instance.sandbox.put_lead(&lead));
            }
        }
        fill_cache(&instance);
        let named: Vec<String> =
            ids.iter().filter(|_| dice.one_in(4)).map(ToString::to_string).collect();
        std::fs::write(instance.path("keep.txt"), named.join("\n")).unwrap();
        let config = format!(
            "[winner]\norder = {}\nids_file = 'DIR/keep.txt'\n{}[cause.import]\nwinner.order = {}\n{}",
            drawn_order(&mut dice),
            drawn_rules(&mut dice, ""),
            drawn_order(&mut dice),
            drawn_rules(&mut dice, "cause.import."),
        );
        let before: BTreeMap<u64, _> =
            instance.sandbox.leads().into_iter().map(|view| (view.id, view.fields)).collect();
        let run = merge(&instance, &config, &["--confirm", "--json"]);
        let seen = format!("seed {seed}\n{config}\n{}", run.picture());
        assert!(matches!(run.code, Some(0 | 3)), "{seen}");
        let done = run.json();
        assert!(done["merged"].as_u64().unwrap() > 3, "{seen}");
        for group in done["group"].as_array().unwrap() {
            if group["outcome"] != "merged" {
                let reason = group["reason"].as_str().unwrap();
                assert!(reason.contains("one record alone can be kept"), "{group}\n{seen}");
                continue;
            }
            let fates: Vec<&Value> =
                group["surprises"].as_array().into_iter().flatten().map(|s| &s["fate"]).collect();
            assert!(fates.iter().all(|fate| **fate == "mended"), "{group}\n{seen}");
            let winner = group["winner"].as_u64().unwrap();
            let survivor = instance.sandbox.lead(winner).unwrap().fields;
            let mut expected = before[&winner].clone();
            for change in group["fields"].as_array().unwrap() {
                expected
                    .insert(change["name"].as_str().unwrap().to_owned(), change["after"].clone());
            }
            let held = |fields: &serde_json::Map<String, Value>, field: &str| {
                let value = fields.get(field).cloned().unwrap_or_default();
                match value {
                    Value::Bool(false) => Value::Null,
                    // Marketo writes a number in its own way.
                    Value::String(text) if field == "phone" => {
                        text.chars().filter(char::is_ascii_digit).collect::<String>().into()
                    }
                    value => value,
                }
            };
            let losers = group["losers"].as_array().unwrap();
            for field in FIELDS.iter().chain(&["unsubscribed", "doNotCall"]) {
                let (is, wanted) = (held(&survivor, field), held(&expected, field));
                // Marketo fills a blank that a rule keeps; nobody asked for it to be emptied.
                let of_a_loser =
                    || losers.iter().any(|id| held(&before[&id.as_u64().unwrap()], field) == is);
                let kept_blank = wanted.is_null() && of_a_loser();
                assert!(is == wanted || kept_blank, "{field}: {is} for {wanted}\n{group}\n{seen}");
            }
            for field in ["unsubscribed", "doNotCall"] {
                let all = losers.iter().chain([&group["winner"]]);
                let said_no = all
                    .filter_map(Value::as_u64)
                    .any(|id| before[&id].get(field) == Some(&json!(true)));
                assert_eq!(survivor.get(field) == Some(&json!(true)), said_no, "{field}\n{seen}");
            }
        }
    }
}
