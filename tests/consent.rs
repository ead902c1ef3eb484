//! What writes asks first: the same grammar for `merge` and `upsert`, the instance in the first
//! line, and on a terminal the number of records that will vanish.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::needs;
use crate::support::wait::{self, LONGEST};
use crate::support::{Instance, Run, binary, quick};

/// Writes that arrived, of whatever kind.
fn writes(instance: &Instance) -> u64 {
    instance
        .sandbox
        .calls()
        .iter()
        .filter(|(call, _)| call.starts_with("POST /rest/v1/leads"))
        .map(|(_, count)| count)
        .sum()
}

/// Two leads of one address, and a scan that has seen them.
fn with_a_group() -> Instance {
    let instance = Instance::start(quick());
    for _ in 0..2 {
        instance.sandbox.put_lead(&json!({"email": "twice@example.com"}));
    }
    instance.run(["scan"]).expect_code(0);
    instance
}

#[test]
fn upsert_writes_nothing_without_consent_and_says_what_it_would_do() {
    let instance = Instance::start(quick());
    instance.sandbox.put_lead(&json!({"email": "known@example.com", "firstName": "Ada"}));
    let file = "email,firstName\nnew@example.com,Grace\nknown@example.com,Augusta\nnew@example.com,Grace\n";
    let file = instance.file("people.csv", file);
    let file = file.to_str().unwrap();

    let run = instance.run(["upsert", file]).expect_code(0);
    assert_eq!(
        run.stdout,
        "line 2: combined new@example.com: with line 4, which has the same key and comes later\n\
         line 3: would update known@example.com record 1\nline 4: would create new@example.com\n"
    );
    let said: Vec<&str> = run.stderr.lines().collect();
    assert!(said[0].starts_with("instance: 127.0.0.1:"), "{}", run.picture());
    assert!(
        said[1].starts_with("3 records: would create 1, would update 1, 0 unchanged, 1 combined"),
        "{}",
        run.picture()
    );
    assert_eq!(said[2], "nothing was written: add --confirm (since version 0.2.0)");

    let dry = instance.run(["upsert", file, "--dry-run", "--json"]).expect_code(0);
    assert!(dry.stderr.contains("nothing was written: this is a dry run"), "{}", dry.picture());
    let document = dry.json();
    assert_eq!(document["dry_run"], true);
    let counts = ["created", "updated", "would_create", "would_update"]
        .map(|name| document[name].as_u64().unwrap());
    assert_eq!(counts, [0, 0, 1, 1]);
    let statuses: Vec<&Value> =
        document["record"].as_array().unwrap().iter().map(|row| &row["status"]).collect();
    assert_eq!(statuses, ["coalesced", "would_update", "would_create"]);
    assert_eq!(
        (writes(&instance), instance.sandbox.leads().len()),
        (0, 1),
        "nothing was written by either"
    );

    let document = instance.run(["upsert", file, "--confirm", "--json"]).expect_code(0).json();
    assert_eq!(document["dry_run"], false);
    let counts = ["created", "updated", "would_create", "would_update"]
        .map(|name| document[name].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 0, 0]);
    assert_eq!(instance.sandbox.leads().len(), 2);
}

#[test]
fn to_write_and_not_to_write_at_once_is_wrong_usage() {
    let instance = Instance::start(quick());
    let file = instance.file("people.csv", "email\nnew@example.com\n");
    for command in [vec!["upsert", file.to_str().unwrap()], vec!["merge"]] {
        let run =
            instance.run([command.as_slice(), &["--confirm", "--dry-run"]].concat()).expect_code(2);
        assert!(run.stderr.contains("cannot be used with"), "{}", run.picture());
    }
    assert_eq!(instance.sandbox.calls_made(), 0);
}

#[test]
fn a_dry_run_of_merge_is_what_it_is_without_consent() {
    let instance = with_a_group();
    let plain = instance.run(["merge", "--json"]).expect_code(0).json();
    let dry = instance.run(["merge", "--dry-run", "--json"]).expect_code(0).json();
    assert_eq!((&dry["dry_run"], &dry["group"]), (&json!(true), &plain["group"]));
    assert_eq!(instance.sandbox.leads().len(), 2);
}

#[test]
fn in_a_script_nobody_is_asked_and_the_instance_is_the_first_line() {
    let instance = with_a_group();
    let run = instance.run(["merge", "--confirm"]).expect_code(0);
    assert!(run.stderr.starts_with("instance: 127.0.0.1:"), "{}", run.picture());
    assert!(!run.stderr.contains("type "), "{}", run.picture());
    assert_eq!(instance.sandbox.leads().len(), 1);
}

/// Whether there is a terminal to be had.
#[cfg(target_os = "linux")]
fn has_a_terminal() -> bool {
    let found = needs::program("script", []).is_some();
    if !found {
        needs::missing("a terminal made by `script`", "apt-get install bsdutils");
    }
    found
}

/// Merges on a terminal of its own, where this is typed.
#[cfg(target_os = "linux")]
fn on_a_terminal(instance: &Instance, arguments: &str, typed: &str) -> (Option<i32>, String) {
    let command = instance.command(["merge"]);
    let mut script = std::process::Command::new("script");
    let line = format!("{} merge {arguments}", env!("CARGO_BIN_EXE_mkto-audit"));
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env_clear();
    script
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env("TERM", "xterm");
    let mut child = script
        .current_dir(instance.folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{typed}").unwrap();
    // Open until the end: its end would be typed too.
    let shown = wait::reading(child.stdout.take().unwrap()).recv_timeout(LONGEST).unwrap();
    drop(stdin);
    (wait::end_of(&mut child).code(), String::from_utf8(shown).unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_the_number_of_records_that_vanish_has_to_be_typed() {
    if !has_a_terminal() {
        return;
    }
    let instance = with_a_group();
    let (code, shown) = on_a_terminal(&instance, "--confirm", "y");
    assert!(
        shown.contains("1 group will be merged on 127.0.0.1:")
            && shown.contains("1 record will vanish"),
        "{shown}"
    );
    assert!(shown.contains("nothing was merged"), "{shown}");
    assert_eq!((code, instance.sandbox.leads().len()), (Some(4), 2), "{shown}");
    let (code, shown) = on_a_terminal(&instance, "--confirm", "1");
    assert_eq!((code, instance.sandbox.leads().len()), (Some(0), 1), "{shown}");
}

#[cfg(target_os = "linux")]
#[test]
fn whoever_says_yes_or_names_a_plan_is_not_asked() {
    if !has_a_terminal() {
        return;
    }
    let instance = with_a_group();
    let (code, shown) = on_a_terminal(&instance, "--confirm --yes", "");
    assert_eq!((code, instance.sandbox.leads().len()), (Some(0), 1), "{shown}");
    assert!(!shown.contains("will vanish"), "{shown}");
    let instance = with_a_group();
    let plan = instance.run(["merge", "--json"]).expect_code(0).json()["plan"]
        .as_str()
        .unwrap()
        .to_owned();
    let (code, shown) = on_a_terminal(&instance, &format!("--plan {plan} --confirm"), "");
    assert_eq!((code, instance.sandbox.leads().len()), (Some(0), 1), "{shown}");
    assert!(!shown.contains("will vanish"), "{shown}");
}

#[test]
fn a_profile_of_another_instance_than_the_variable_names_is_refused_before_any_call() {
    let instance = with_a_group();
    let calls = instance.sandbox.calls_made();
    let config = instance.file(
        "config.toml",
        "[profile.acme.instance]\nbase_url = 'https://111-AAA-111.mktorest.com'\n",
    );
    let config = config.to_str().unwrap();
    for arguments in
        [vec!["merge", "--confirm"], vec!["doctor"], vec!["guard", "--listen", "127.0.0.1:0"]]
    {
        let run = instance
            .run([arguments.as_slice(), &["--profile", "acme", "--config", config]].concat())
            .expect_code(2);
        assert!(
            run.stderr.contains("--profile acme names the instance 111-aaa-111.mktorest.com"),
            "{}",
            run.picture()
        );
        assert!(run.stderr.contains("MARKETO_BASE_URL names 127.0.0.1:"), "{}", run.picture());
    }
    assert_eq!((instance.sandbox.calls_made(), instance.sandbox.leads().len()), (calls, 2));
}

#[test]
fn a_cache_of_another_instance_is_not_replaced() {
    let (one, other) = (with_a_group(), Instance::start(quick()));
    let cache = one.path("cache.db");
    one.run(["scan", "--db", cache.to_str().unwrap()]).expect_code(0);
    let before = std::fs::read(&cache).unwrap();
    for command in ["scan", "merge"] {
        let run = other.run([command, "--db", cache.to_str().unwrap()]).expect_code(2);
        for instance in [&one, &other] {
            let name = instance.sandbox.base_url();
            assert!(run.stderr.contains(name.trim_start_matches("http://")), "{}", run.picture());
        }
    }
    assert_eq!(std::fs::read(&cache).unwrap(), before);
}

#[test]
fn a_word_that_is_no_command_gets_an_answer_that_helps() {
    let home = tempfile::tempdir().unwrap();
    for (word, says) in [
        ("undo", "a merge can't be undone"),
        ("plans", "`mkto-audit plan create` makes a plan"),
        ("approve", "`mkto-audit plan approve PLAN`"),
        ("man", "`mkto-audit help COMMAND`"),
        ("dedupe", "nothing is changed without --confirm"),
    ] {
        let run =
            Run::of(&mut binary(home.path(), [word, "--email", "ada@example.com"])).expect_code(2);
        assert!(
            run.stderr.starts_with(&format!("error: there is no command `{word}`: ")),
            "{}",
            run.picture()
        );
        assert!(run.stderr.contains(says) && run.stdout.is_empty(), "{}", run.picture());
    }
}
