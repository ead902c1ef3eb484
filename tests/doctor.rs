//! `mkto-audit doctor` and what every command says of a wrong configuration.

use mkto_sandbox::{Fault, Options};

use crate::assert_picture;
use crate::support::{Instance, Run, binary, quick};

#[test]
fn where_all_is_well_every_check_says_what_it_saw() {
    let mut options = quick();
    options.leads = 50;
    let instance = Instance::start(options);
    let run = instance.run(["doctor"]).expect_code(0);
    assert_picture!("doctor", instance.redactions(), run.picture());
    assert_eq!(instance.run(["doctor", "--json"]).expect_code(0).json()["ok"], true);
    assert_eq!(instance.sandbox.leads_living(), 50, "it changes nothing");
}

#[test]
fn each_missing_permission_is_named_with_the_way_to_mend_it() {
    for permission in [
        "Read-Only Lead",
        "Read-Only Activity",
        "Read-Only Assets",
        "Read-Only Custom Object",
        "Read-Write Lead",
    ] {
        let options = Options { denied: vec![permission.to_owned()], ..quick() };
        let instance = Instance::start(options);
        let run = instance.run(["doctor"]).expect_code(5);
        assert!(
            run.stdout.contains(&format!("FAIL  {permission}: Marketo denies")),
            "{}",
            run.picture()
        );
        assert!(
            run.stdout.contains(&format!("the permission `{permission}`")),
            "{}",
            run.picture()
        );
        assert_eq!(run.stdout.matches("FAIL").count(), 1, "{}", run.picture());
        let stops_all = permission == "Read-Only Lead";
        assert_eq!(run.stdout.contains("without it: "), !stops_all, "{}", run.picture());
    }
}

#[test]
fn wrong_credentials_and_a_wrong_address_are_told_apart() {
    let instance = Instance::start(quick());
    let mut wrong = instance.command(["doctor"]);
    let run = Run::of(wrong.env("MARKETO_CLIENT_SECRET", "hush-hush")).expect_code(5);
    assert!(!run.picture().contains("hush-hush"), "law 7");
    assert_picture!("doctor_wrong_secret", instance.redactions(), run.picture());
    let mut wrong = instance.command(["doctor"]);
    // Nothing listens on the discard port of loopback.
    let run = Run::of(wrong.env("MARKETO_BASE_URL", "http://127.0.0.1:9")).expect_code(1);
    assert!(run.stdout.contains("Connection refused"), "{}", run.picture());
}

#[test]
fn a_wrong_configuration_is_told_with_its_place_by_every_command() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config.toml");
    std::fs::write(&config, "[limits]\ncals = 5\n").unwrap();
    let redactions = vec![(home.path().display().to_string(), "[FOLDER]")];
    let mut pictures = Vec::new();
    for (arguments, variables) in [
        (vec!["scan"], vec![]),
        (vec!["scan"], vec![("MARKETO_BASE_URL", "http://marketo.example.com")]),
        (vec!["scan"], vec![("MARKETO_BASE_URL", "https://marketo.example.com")]),
        (vec!["merge"], vec![("MKTO_AUDIT__MERGE__MAX_GROUPS", "none")]),
        (vec!["report", "--config", "config.toml"], vec![]),
        (vec!["report", "--profile", "eu"], vec![]),
        (vec!["report"], vec![]),
        (vec!["report", "--cause", "rase"], vec![]),
        (vec!["report", "--since", "yesterday"], vec![]),
        (vec!["rport"], vec![]),
        (vec!["sandbox", "--knob", "colour=red"], vec![]),
        (vec!["sandbox", "--listen", "0.0.0.0:8701"], vec![]),
        (vec!["upsert"], vec![]),
    ] {
        let mut command = binary(home.path(), &arguments);
        for (name, value) in &variables {
            command.env(name, value);
        }
        let run = Run::of(&mut command).expect_code(2);
        let variables: Vec<String> =
            variables.iter().map(|(name, value)| format!("{name}={value} ")).collect();
        pictures.push(format!(
            "$ {}mkto-audit {}\n{}",
            variables.concat(),
            arguments.join(" "),
            run.picture()
        ));
    }
    assert_picture!("configuration_errors", redactions, pictures.join("\n"));
}

#[test]
fn every_command_explains_itself_with_an_example() {
    let home = tempfile::tempdir().unwrap();
    for command in ["scan", "report", "merge", "upsert", "sandbox", "demo", "doctor", "completions"]
    {
        let run = Run::of(&mut binary(home.path(), [command, "--help"])).expect_code(0);
        assert!(run.stdout.contains(&format!("mkto-audit {command}")), "{}", run.stdout);
        assert!(run.stdout.contains("Example"), "{command} has no example:\n{}", run.stdout);
    }
    let run = Run::of(&mut binary(home.path(), ["--help"])).expect_code(0);
    assert_picture!("help", Vec::<(String, &str)>::new(), run.picture());
}

#[test]
fn a_fault_of_a_moment_is_no_finding() {
    for fault in Fault::names() {
        let mut options = quick();
        options.set_knob("clock_speed=600").unwrap();
        options.set_fault(&format!("{fault}=0.2")).unwrap();
        let instance = Instance::start(options);
        let run = Run::of(instance.command(["doctor"]).env("MKTO_AUDIT_CLOCK_SPEED", "600"));
        assert_eq!(run.code, Some(0), "{fault}: {}", run.picture());
    }
}
