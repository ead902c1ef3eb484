//! `mkto-audit guard --log-format json`: whoever collects the log can parse every line, whatever
//! happened.

use serde_json::{Value, json};

use crate::support::{Guard, Instance, Run, quick};

const JSON: [&str; 2] = ["--log-format", "json"];

/// The lines of standard error, each one object with a time, a level and a message.
#[track_caller]
fn lines(log: &str) -> Vec<Value> {
    let parsed = log.lines().map(|line| {
        let line: Value = serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("{error} in `{line}` of\n{log}"));
        for name in ["timestamp", "level", "message"] {
            assert!(line[name].is_string(), "{name} of {line}");
        }
        line
    });
    parsed.collect()
}

#[test]
fn from_start_to_stop_every_line_is_an_object() {
    let instance = Instance::start(quick());
    let mut guard = Guard::builder(&instance).arguments(&JSON).start();
    guard.sync(&json!({"input": [{"email": "ada@example.com"}]}));
    guard.stop();
    assert_eq!(guard.wait(), Some(0));
    let log = guard.log();
    let lines = lines(&log);
    let says =
        |words: &str| lines.iter().any(|line| line["message"].as_str().unwrap().contains(words));
    assert!(says("point integrations at the address above"), "{log}");
    assert!(says("stopping"), "{log}");
    assert!(!log.contains("ada"), "{log}");
}

#[test]
fn a_guard_that_cannot_start_says_so_in_one_object() {
    let instance = Instance::start(quick());
    let refused: [(&[&str], Option<&str>); 3] = [
        (&["--listen", "0.0.0.0:0"], None),
        (&["--listen", "nowhere"], None),
        (&["--listen", "127.0.0.1:0"], Some("often")),
    ];
    for (arguments, mode) in refused {
        let mut command = instance.command(["guard"].iter().chain(arguments).chain(&JSON));
        command.envs(mode.map(|mode| ("MKTO_AUDIT__GUARD__MODE", mode)));
        let run = Run::of(&mut command).expect_code(2);
        let lines = lines(&run.stderr);
        assert_eq!(lines.len(), 1, "{}", run.picture());
        assert_eq!(
            (&lines[0]["level"], &lines[0]["exit_code"]),
            (&json!("ERROR"), &json!(2)),
            "{}",
            run.picture()
        );
        assert_eq!(run.stdout, "");
    }
}
