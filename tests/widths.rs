//! What is shown on terminals of 80 and 120 columns: nothing is wider, and no word is broken.

use mkto_sandbox::Options;

use crate::assert_picture;
use crate::support::{Instance, Run, quick};

/// Runs the binary as on a terminal of that width.
fn shown(instance: &Instance, width: usize, arguments: &[&str]) -> Run {
    let mut command = instance.command(arguments);
    let run = Run::of(command.env("MKTO_AUDIT_WIDTH", width.to_string()));
    let folder = instance.folder.path().display().to_string();
    for line in run.stdout.lines().chain(run.stderr.lines()) {
        // A path has no place to break at.
        let fits = line.chars().count() <= width || line.contains(&folder);
        assert!(fits, "{arguments:?} at {width} columns: {line}");
    }
    run
}

#[test]
fn what_is_shown_fits_80_and_120_columns_and_reads_well() {
    let instance = Instance::start(Options { leads: 400, duplicates: 0.2, seed: 7, ..quick() });
    instance.run(["scan"]).expect_code(0);
    let report = instance.run(["report", "--json"]).json();
    let keys: Vec<&str> = report["group"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|group| group["key"].as_str())
        .collect();
    let race =
        report["group"].as_array().unwrap().iter().find(|group| group["cause"] == "race").unwrap();
    let race = race["key"].as_str().unwrap();
    let people = format!("email,firstName\nnew@example.com,Ada\n{},Alan\n,Grace\n", keys[0]);
    let people = instance.file("people.csv", people).display().to_string();
    let mut redactions = instance.redactions();
    // A look that became too old on a busy machine is a call more.
    redactions.push((r"in \d+ calls".to_owned(), "in [N] calls"));
    redactions.push((r"\b[0-9a-f]{16}\b".to_owned(), "[PLAN ID]"));
    redactions.push((r"\d{4}-\d\d-\d\d \d\d:\d\d UTC".to_owned(), "[MINUTE] UTC"));
    redactions.push((r"\d+ [A-Z][a-z]{2} \d{4}, \d\d:\d\d UTC".to_owned(), "[MINUTE] UTC"));
    for width in [80, 120] {
        let mut pictures = Vec::new();
        for arguments in [
            &["report", "--limit", "8"][..],
            &["explain", race],
            &["explain", "nobody@example.com"],
            &["merge", "--limit", "3"],
            &["merge", "--email", "nobody@example.com"],
            &["merge", "--plan", "0123"],
            &["upsert", &people],
            &["undo"],
        ] {
            let words: Vec<&str> = arguments
                .iter()
                .map(|word| if *word == people { "people.csv" } else { word })
                .collect();
            // What is kept is told with its place and time, whose lengths vary.
            let run = shown(&instance, width, arguments);
            if !matches!(arguments, ["merge", "--plan", ..] | ["undo"]) {
                pictures.push(format!("$ mkto-audit {}\n{}", words.join(" "), run.picture()));
            }
        }
        let outcome = shown(&instance, width, &["merge", "--confirm", "--limit", "2"]);
        pictures.push(format!("$ mkto-audit merge --confirm --limit 2\n{}", outcome.picture()));
        for arguments in [
            &["scan"][..],
            &["scan", "--full"],
            &["scan", "--estimate"],
            &["doctor"],
            &["history"],
            &["scan", "--file", &people, "--as", "acme"],
        ] {
            shown(&instance, width, arguments);
        }
        assert_picture!(format!("shown_at_{width}"), redactions.clone(), pictures.join("\n"));
    }
}
