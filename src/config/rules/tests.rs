//! The rules of merges as the file and the environment have them, and the files that they name.

use chrono::{DateTime, Utc};

use crate::config::{Config, Environment, Flags};
use crate::dedupe::{Cause, FieldRule, Policy, WinnerRule};
use crate::lead::Lead;

fn now() -> DateTime<Utc> {
    "2026-03-08T00:00:00Z".parse().unwrap()
}

/// The policy of a config file beside which the file `people` lies; `DIR` stands for the folder.
fn policy(file: &str, people: &str, variables: &[(&str, &str)]) -> Result<Policy, String> {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().display().to_string();
    std::fs::write(folder.path().join("people"), people).unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, file.replace("DIR", &name)).unwrap();
    let flags = Flags { config: Some(path), ..Flags::default() };
    let mut environment: Environment =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    environment.insert("HOME".to_owned(), "/nowhere".to_owned());
    let config = Config::load(&flags, &environment);
    config
        .and_then(|config| config.policy(now()))
        .map_err(|error| error.to_string().replace(&name, "DIR"))
}

#[test]
fn a_cause_has_its_order_and_its_rules_in_the_file_and_in_variables() {
    let file = "
        [fields]
        phone = 'oldest'
        [cause.race]
        winner.order = ['newest']
        [cause.import.fields]
        phone = 'next_best'
    ";
    let variables = [
        ("MKTO_AUDIT__CAUSE__UNKNOWN__WINNER__ORDER", "most_complete,oldest"),
        ("MKTO_AUDIT__CAUSE__CREATE_DUPLICATE__FIELDS__leadSource", "newest"),
    ];
    let policy = policy(file, "", &variables).unwrap();
    let of = |cause| policy.for_cause(Some(cause));
    assert_eq!(of(Cause::Race).winner.0, [WinnerRule::Newest]);
    assert_eq!(of(Cause::Race).fields.of("phone"), &FieldRule::Oldest);
    assert_eq!(of(Cause::Import).fields.of("phone"), &FieldRule::NextBest);
    assert_eq!(of(Cause::Import).winner, policy.winner);
    assert_eq!(of(Cause::Unknown).winner.0, [WinnerRule::MostComplete, WinnerRule::Oldest]);
    assert_eq!(of(Cause::CreateDuplicate).fields.of("leadSource"), &FieldRule::Newest);
}

#[test]
fn a_slip_in_a_rule_of_a_cause_is_told_with_what_it_may_mean() {
    for (file, words) in [
        (
            "[cause.rase]\nwinner.order = ['oldest']",
            "there is no cause `rase` (did you mean `race`?)",
        ),
        ("[cause.race]\nwinner.ordr = ['oldest']", "did you mean `cause.race.winner.order`?"),
        ("[cause.race.field]\nphone = 'max'", "there is no setting `cause.race.field.phone`"),
        ("[cause.race]\nwinner.order = ['oldst']", "there is no winner rule `oldst`"),
        ("[cause.race.fields]\nphone = 'next_bst'", "did you mean `next_best`?"),
        (
            "[bundles]\na = ['phone', 'city']\n[cause.race.fields]\nphone = 'max'",
            "`bundles.a`: `phone` has a rule of its own",
        ),
        ("[skip]\nwen = ['a > 1']", "did you mean `skip.when`?"),
        ("[skip]\nemails = ['example.com']", "`example.com` is no pattern of email addresses"),
        ("[skip]\nwhen = ['a > ']", "`a >` is no condition"),
        ("[skip]\nchanged_within = 'a week'", "takes a time such as"),
    ] {
        let why = policy(file, "", &[]).unwrap_err();
        assert!(
            why.contains(words) && why.contains("bundles") == words.contains("bundles"),
            "{why}"
        );
    }
}

#[test]
fn the_file_of_ids_and_the_rule_ids_need_each_other() {
    let both = "[winner]\norder = ['ids', 'oldest']\nids_file = 'DIR/people'";
    let made = policy(both, "id,name\n5,Ada\n9,Bob\n", &[]).unwrap();
    let read = made.winner_ids.as_ref().unwrap();
    assert_eq!((read.entries, read.sha256.len()), (2, 64));
    let leads = [Lead::new(5), Lead::new(7)];
    assert_eq!(made.winner.named_among(&leads).into_iter().collect::<Vec<_>>(), [5]);
    for (file, people, words) in [
        ("[winner]\norder = ['ids']", "", "`winner.order`: the rule `ids` needs `winner.ids_file`"),
        (
            "[cause.race]\nwinner.order = ['ids']",
            "",
            "`cause.race.winner.order`: the rule `ids` needs `winner.ids_file`",
        ),
        ("[winner]\nids_file = 'DIR/people'", "5\n", "no winner order goes by it"),
        (both, "5\nfive\n", "`winner.ids_file`: DIR/people: line 2 is no id of a lead"),
        ("[winner]\norder = ['ids']\nids_file = 'DIR/none'", "", "DIR/none: cannot be read"),
    ] {
        let why = policy(file, people, &[]).unwrap_err();
        assert!(why.contains(words), "{why}");
    }
}

#[test]
fn skip_rules_are_read_and_their_time_counts_from_now() {
    let file = "
        [skip]
        partitions = ['EMEA', 2]
        lists = ['Board']
        emails = ['*@competitor.example', 'info@']
        file = 'DIR/people'
        changed_within = '7d'
        when = ['opportunityAmount > 0', 'leadStatus in [\"Customer\", \"Partner\"]']
    ";
    let rules = policy(file, "\u{feff}7\nada@example.com\n", &[]).unwrap().skip_rules;
    assert_eq!(rules.partitions, ["EMEA", "2"]);
    assert_eq!(rules.changed_since, Some("2026-03-01T00:00:00Z".parse().unwrap()));
    assert_eq!((rules.emails.len(), rules.when.len()), (2, 2));
    assert!(rules.why(&[Lead::new(7)]).unwrap().contains("/people names lead 7"));
    let by_variable =
        policy("", "", &[("MKTO_AUDIT__SKIP__WHEN", "leadStatus in [\"Customer\", \"Partner\"]")]);
    assert_eq!(by_variable.unwrap().skip_rules.when, rules.when[1..]);
    let several = policy("", "", &[("MKTO_AUDIT__SKIP__WHEN", r#"["a > 1", "b = true"]"#)]);
    assert_eq!(several.unwrap().skip_rules.when.len(), 2);
}
