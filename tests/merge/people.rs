//! Whom `mkto-audit merge` takes for one person, which groups it takes at all, and the address that
//! is left.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::merging::{command, fill_cache, merge};
use crate::support::wait;
use crate::support::{Instance, Run, quick};

fn instance_of(leads: &[Value]) -> Instance {
    let instance = Instance::start(quick());
    for lead in leads {
        instance.sandbox.put_lead(lead);
    }
    fill_cache(&instance);
    instance
}

fn pair(email: &str, a: (&str, &str), b: (&str, &str)) -> [Value; 2] {
    [
        json!({"email": email, "firstName": a.0, "lastName": a.1, "company": "A Ltd"}),
        json!({"email": email, "firstName": b.0, "lastName": b.1, "company": "B Ltd"}),
    ]
}

/// The keys of the groups with this outcome, in the order of the output.
fn keys(document: &Value, outcome: &str) -> Vec<String> {
    let groups = document["group"].as_array().unwrap().iter();
    groups
        .filter(|group| group["outcome"] == outcome)
        .map(|group| group["key"].as_str().unwrap().to_owned())
        .collect()
}

fn reason(document: &Value, key: &str) -> String {
    let group = document["group"].as_array().unwrap().iter().find(|group| group["key"] == key);
    group.unwrap()["reason"].as_str().unwrap().to_owned()
}

#[test]
fn two_people_who_share_a_placeholder_for_a_last_name_are_left_alone() {
    let leads = [
        pair("a@example.com", ("Ada", "[Not Provided]"), ("Bob", "[Not Provided]")),
        pair("b@example.com", ("Ada", "Unbekannt"), ("Bob", "n/a")),
        pair("c@example.com", ("Ada", "Lovelace"), ("Bob", "Lovelace")),
        pair("d@example.com", ("Anna", "Smith"), ("Anna", "Jones")),
        pair("e@example.com", ("Ada", "[Not Provided]"), ("Ada", "Lovelace")),
        pair("f@example.com", ("Bob", "Smith"), ("Robert", "Smith")),
    ];
    let instance = instance_of(leads.as_flattened());
    let done = merge(&instance, &["--confirm", "--json"]).expect_code(3).json();
    assert_eq!(keys(&done, "merged"), ["e@example.com", "f@example.com"], "{done}");
    assert_eq!(instance.sandbox.leads().len(), 10);
    for key in ["a@example.com", "b@example.com", "c@example.com", "d@example.com"] {
        let reason = reason(&done, key);
        assert!(
            reason.contains("several people") && reason.contains("--include-shared"),
            "{reason}"
        );
    }
    let allowed = merge(&instance, &["--include-shared", "--json"]).expect_code(0).json();
    assert_eq!(keys(&allowed, "would_merge").len(), 0, "{allowed}");
    for group in allowed["group"].as_array().unwrap() {
        assert!(group["reason"].as_str().unwrap().contains("it is in the plan"), "{group:#}");
    }
}

#[test]
fn a_second_key_and_placeholders_of_ones_own_come_from_the_configuration() {
    let mut leads = pair("a@example.com", ("Web Lead", "Lovelace"), ("Ada", "Lovelace")).to_vec();
    leads.extend(pair("b@example.com", ("Ada", "Lovelace"), ("Ada", "Lovelace")));
    leads[2]["title"] = json!("17");
    leads[3]["title"] = json!("18");
    let instance = instance_of(&leads);
    let plain = merge(&instance, &["--json"]).expect_code(0).json();
    assert_eq!(keys(&plain, "would_merge"), ["b@example.com"], "{plain}");
    let mut configured = command(&instance, &["--json"]);
    configured
        .env("MKTO_AUDIT__SKIP__PLACEHOLDERS", "Web Lead")
        .env("MKTO_AUDIT__SKIP__DIFFERS", "title");
    let configured = Run::of(&mut configured).expect_code(0).json();
    assert_eq!(keys(&configured, "would_merge"), ["a@example.com"], "{configured}");
    assert!(reason(&configured, "b@example.com").contains("`skip.differs`"), "{configured}");
}

#[test]
fn large_and_deliberate_groups_are_merged_only_when_they_are_named() {
    let mut leads: Vec<Value> =
        (0..4).map(|_| json!({"email": "many@example.com", "firstName": "Ada"})).collect();
    for created in ["2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z"] {
        leads.push(json!({
            "email": "meant@example.com", "createdAt": created, "originalSourceType": "Web service API"
        }));
    }
    let instance = instance_of(&leads);
    let run = |flags: &[&str]| {
        let mut command = command(&instance, flags);
        Run::of(command.arg("--json").env("MKTO_AUDIT__SKIP__ABOVE", "3")).expect_code(0).json()
    };
    let plain = run(&[]);
    assert_eq!(keys(&plain, "skipped"), ["many@example.com", "meant@example.com"], "{plain}");
    assert!(reason(&plain, "many@example.com").contains("--email"), "{plain}");
    assert!(reason(&plain, "meant@example.com").contains("--cause create_duplicate"), "{plain}");
    assert_eq!(keys(&run(&["--cause", "create_duplicate"]), "would_merge"), ["meant@example.com"]);
    let named = ["--email", "MEANT@example.com", "--email", "many@example.com"];
    assert_eq!(keys(&run(&named), "would_merge"), ["many@example.com", "meant@example.com"]);

    // Named once is enough: the plan is carried out as it was shown.
    let id = run(&named)["plan"].as_str().unwrap().to_owned();
    let done = run(&["--plan", &id, "--confirm"]);
    assert_eq!((&done["merged"], instance.sandbox.leads().len()), (&json!(2), 2), "{done}");
}

#[test]
fn the_survivor_has_the_address_that_can_be_mailed_and_an_upsert_finds_it() {
    let dirty = [
        ("a", "a@example.com\u{202f}"),
        ("b", "b\u{200b}@example.com"),
        ("c", "c@example.com "),
        ("d", "\u{feff}d@example.com"),
        ("e", "<e@example.com>"),
        ("f", "mailto:f@example.com"),
        ("g", "g@example.com."),
    ];
    let mut leads = Vec::new();
    for (name, email) in dirty {
        leads.push(json!({"email": email, "firstName": "Ada", "lastName": name}));
        leads.push(json!({"email": format!("{name}@example.com"), "firstName": "Ada", "lastName": name, "phone": "1"}));
    }
    let instance = instance_of(&leads);
    let plan = merge(&instance, &["--json"]).expect_code(0).json();
    let of_a = plan["group"]
        .as_array()
        .unwrap()
        .iter()
        .find(|group| group["key"] == "a@example.com")
        .unwrap();
    let email =
        of_a["fields"].as_array().unwrap().iter().find(|field| field["name"] == "email").unwrap();
    assert_eq!(
        (&email["before"], &email["after"], &email["from"]),
        (&json!("a@example.com\u{202f}"), &json!("a@example.com"), &json!(2))
    );
    merge(&instance, &["--confirm"]).expect_code(0);
    let mut left: Vec<Value> =
        instance.sandbox.leads().into_iter().map(|view| view.fields["email"].clone()).collect();
    left.sort_by_key(ToString::to_string);
    assert_eq!(left, dirty.map(|(name, _)| json!(format!("{name}@example.com"))));

    let rows = dirty.map(|(name, _)| format!("{name}@example.com,CTO\n")).concat();
    std::fs::write(instance.path("people.csv"), format!("email,title\n{rows}")).unwrap();
    let written = instance
        .run(["upsert", instance.path("people.csv").to_str().unwrap(), "--confirm", "--json"])
        .json();
    assert_eq!((&written["updated"], &written["created"]), (&json!(7), &json!(0)), "{written}");
}

#[test]
fn the_filters_are_those_of_the_report_in_its_order() {
    let instance = instance_of(&[]);
    let flags_of = |command: &str| -> Vec<String> {
        let help = instance.run([command, "--help"]).expect_code(0).stdout;
        let flags = help.lines().map(str::trim).filter(|line| line.starts_with("--"));
        let names = flags.filter_map(|line| line.split([' ', '[']).next().map(str::to_owned));
        let filters =
            ["--cause", "--min-size", "--since", "--domain", "--email", "--from-file", "--limit"];
        names.filter(|name| filters.contains(&name.as_str())).collect()
    };
    assert_eq!(flags_of("report").len(), 7);
    assert_eq!(flags_of("merge"), flags_of("report"));
}

#[test]
fn each_filter_narrows_a_merge_and_the_largest_group_comes_first() {
    let mut leads = Vec::new();
    for (email, created, copies) in [
        ("a@example.com", "2026-01", 2),
        ("b@example.org", "2026-02", 3),
        ("c@example.com", "2026-03", 2),
    ] {
        for copy in 1..=copies {
            let created = format!("{created}-01T00:00:0{copy}Z");
            leads.push(
                json!({"email": email, "createdAt": created, "originalSourceType": "Web form fillout"}),
            );
        }
    }
    let instance = instance_of(&leads);
    let (a, b, c) = ("a@example.com", "b@example.org", "c@example.com");
    std::fs::write(instance.path("asked.txt"), "A@example.com\nnobody@example.com\nhello\n")
        .unwrap();
    let asked = instance.path("asked.txt").display().to_string();
    for (flags, expected) in [
        (&[][..], &[b, a, c][..]),
        (&["--limit", "1"], &[b]),
        (&["--min-size", "3"], &[b]),
        (&["--since", "2026-02-01"], &[b, c]),
        (&["--domain", "Example.com"], &[a, c]),
        (&["--email", " C@example.com", "--email", "b@example.org"], &[b, c]),
        (&["--from-file", &asked], &[a]),
        (&["--from-file", &asked, "--email", c], &[a, c]),
        (&["--from-file", &asked, "--since", "2026-02-01"], &[]),
        (&["--cause", "crm"], &[]),
    ] {
        let plan = merge(&instance, &[flags, &["--json"]].concat()).expect_code(0).json();
        assert_eq!(keys(&plan, "would_merge"), expected, "{flags:?} {plan}");
        assert_eq!(
            plan["plan"].is_null(),
            expected.is_empty(),
            "a plan of nothing is no plan: {plan}"
        );
        let report = command_of_report(&instance, flags).expect_code(0).json();
        let shown: Vec<&str> = report["group"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|group| group["key"].as_str())
            .collect();
        assert_eq!(shown, expected, "the report shows the same: {flags:?}");
        if flags == ["--from-file", asked.as_str()] {
            let run = merge(&instance, flags);
            assert!(
                run.stderr.contains("nobody has duplicates at nobody@example.com"),
                "{}",
                run.stderr
            );
            assert!(run.stderr.contains("line 3"), "{}", run.stderr);
        }
    }
    let nothing = merge(&instance, &["--cause", "crm"]).expect_code(0);
    assert!(nothing.stdout.contains("nothing to merge"), "{}", nothing.picture());
    merge(&instance, &["--cause", "crm", "--confirm"]).expect_code(0);
    merge(&instance, &["--limit", "0"]).expect_code(2);
    for flags in [
        &["--cause", "race"][..],
        &["--min-size", "2"],
        &["--since", "2026-01-01"],
        &["--domain", "example.com"],
        &["--email", a],
        &["--from-file", &asked],
        &["--limit", "1"],
    ] {
        let run = merge(&instance, &[&["--plan", "0123"], flags].concat()).expect_code(2);
        assert!(run.stderr.contains("cannot be used with"), "{}", run.picture());
    }
}

fn command_of_report(instance: &Instance, flags: &[&str]) -> Run {
    let mut command = instance.command([&["report", "--json"], flags].concat());
    Run::of(command.env("MKTO_AUDIT_DB", instance.path("cache.db")))
}

#[test]
fn addresses_come_from_standard_input_too() {
    let leads = pair("a@example.com", ("Ada", "Lovelace"), ("Ada", "Lovelace"));
    let instance = instance_of(&leads);
    let mut command = command(&instance, &["--from-file", "-", "--json"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"email\na@example.com\n").unwrap();
    let output = wait::output_of(child);
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(keys(&plan, "would_merge"), ["a@example.com"], "{plan}");
}
