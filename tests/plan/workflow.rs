//! The workflow for GitHub in `contrib`: its steps, run by a shell as they stand there.

use std::path::Path;

use serde_json::Value;

use super::{run, three_groups};
use crate::support::{Instance, Run};

/// The scripts of a job, in order, with values in the place of GitHub's.
fn scripts(job: &str) -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/github/merge.yml");
    let text = std::fs::read_to_string(file).unwrap();
    let from = text.split(&format!("\n  {job}:\n")).nth(1).unwrap();
    // Up to the next job.
    let of_job: Vec<&str> =
        from.lines().take_while(|line| line.is_empty() || line.starts_with("    ")).collect();
    let mut scripts = Vec::new();
    let mut lines = of_job.into_iter().peekable();
    while let Some(line) = lines.next() {
        let Some(rest) = line.trim_start().trim_start_matches("- ").strip_prefix("run: ") else {
            continue;
        };
        let mut script = if rest == "|" { String::new() } else { rest.to_owned() };
        while let Some(line) = lines.next_if(|line| rest == "|" && line.starts_with("          ")) {
            script += line.trim_start();
            script += "\n";
        }
        scripts.push(
            script.replace("${{ github.event.number }}", "1").replace("${{ github.run_id }}", "2"),
        );
    }
    scripts
}

/// Runs a script as GitHub does, with this program in its path.
fn shell(instance: &Instance, script: &str, digest: &str) -> Run {
    let none: [&str; 0] = [];
    let program = instance.command(none);
    let mut command = std::process::Command::new("bash");
    command.args(["-e", "-o", "pipefail", "-c", script]).env_clear();
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(instance.path("."));
    let folder = Path::new(env!("CARGO_BIN_EXE_mkto-audit")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", folder.display()));
    command.env("MKTO_AUDIT_DB", instance.path("cache.db"));
    command.env("PLAN", "pr-1-1").env("DIGEST", digest);
    command.env("GITHUB_OUTPUT", instance.path("output"));
    command.env("GITHUB_STEP_SUMMARY", instance.path("summary"));
    Run::of(&mut command)
}

/// Goes through the plan's job; gives the digest that it hands on.
fn planned(instance: &Instance) -> String {
    let scripts = scripts("plan");
    // The cache is there already, and nobody comments.
    let [_, plan, comment] = scripts.as_slice() else { panic!("{scripts:?}") };
    assert!(comment.contains("counts.json"), "{comment}");
    shell(instance, plan, "").expect_code(0);
    let counts = std::fs::read_to_string(instance.path("counts.json")).unwrap();
    let counts: Value = serde_json::from_str(&counts).unwrap();
    assert_eq!((&counts["groups"], &counts["decide"]), (&3.into(), &1.into()), "{counts}");
    assert!(!instance.path("plan.json").exists(), "people's data");
    let output = std::fs::read_to_string(instance.path("output")).unwrap();
    let digest = output.trim().strip_prefix("digest=").unwrap();
    assert_eq!(counts["digest"], digest);
    digest.to_owned()
}

#[test]
fn a_red_group_ends_no_job_and_the_digest_that_was_told_is_merged() {
    let instance = three_groups();
    let digest = planned(&instance);
    for script in scripts("merge") {
        shell(&instance, &script, &digest).expect_code(0);
    }
    let summary = std::fs::read_to_string(instance.path("summary")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!((&summary["merged"], &summary["skipped"]), (&2.into(), &1.into()), "{summary}");
    assert!(!instance.path("run.json").exists(), "people's data");
}

#[test]
fn a_decision_after_the_plan_was_told_is_neither_approved_nor_merged() {
    let instance = three_groups();
    let digest = planned(&instance);
    let decide =
        ["plan", "decide", "pr-1-1", "--email", "pair@example.com", "--merge", "--by", "Bo"];
    run(&instance, &decide).expect_code(0);
    for script in scripts("merge") {
        let refused = shell(&instance, &script, &digest);
        assert_ne!(refused.code, Some(0), "{script}: {}", refused.picture());
    }
    let listed = run(&instance, &["plan", "list", "--json"]).json();
    assert_eq!(listed["plan"][0]["approved_by"], Value::Null, "{listed:#}");
    assert_eq!(instance.sandbox.leads().len(), 6);
}
