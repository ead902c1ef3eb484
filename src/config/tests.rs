//! Configuration: precedence, and every error's place and words.

use std::time::Duration;

use super::{Config, Environment, Flags, LeaseStore, Strategy};

fn environment(variables: &[(&str, &str)]) -> Environment {
    let mut environment: Environment =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    environment.entry("HOME".to_owned()).or_insert_with(|| "/nowhere".to_owned());
    environment
}

fn load(file: &str, variables: &[(&str, &str)], mut flags: Flags) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, file).unwrap();
    flags.config = Some(path);
    Config::load(&flags, &environment(variables))
        .map_err(|error| error.to_string().replace(&folder.path().display().to_string(), "DIR"))
}

#[test]
fn without_any_setting_the_defaults_hold() {
    let config = Config::load(&Flags::default(), &environment(&[])).unwrap();
    assert_eq!(config.limits.calls, 50);
    assert_eq!(config.limits.window, Duration::from_secs(20));
    assert_eq!(config.limits.concurrency, 5);
    assert_eq!(config.limits.daily_calls, 25_000);
    assert_eq!(config.limits.daily_export, 400_000_000);
    assert_eq!(config.key.fields, ["email"]);
    assert_eq!((config.merge.max_groups, config.merge.at_once(&config.limits)), (500, 3));
    assert_eq!(config.scan.strategy, Strategy::Auto);
}

#[test]
fn flags_win_over_variables_which_win_over_the_profile_which_wins_over_the_file() {
    let file = "
        [instance]
        base_url = 'https://file.example.com'
        [limits]
        calls = 1
        window = '10s'
        concurrency = 2
        [profile.eu.limits]
        window = '11s'
        concurrency = 3
    ";
    let flags = Flags {
        base_url: Some("https://flag.example.com/rest/".to_owned()),
        profile: Some("eu".to_owned()),
        ..Flags::default()
    };
    let variables = [
        ("MARKETO_BASE_URL", "https://variable.example.com"),
        ("MKTO_AUDIT__LIMITS__CONCURRENCY", "4"),
    ];
    let config = load(file, &variables, flags).unwrap();
    assert_eq!(config.instance_name(), "flag.example.com");
    assert_eq!(config.limits.calls, 1);
    assert_eq!(config.limits.window, Duration::from_secs(11));
    assert_eq!(config.limits.concurrency, 4);
}

const TWO_CLIENTS: &str = "
    [profile.acme.instance]
    base_url = 'https://111-AAA-111.mktorest.com'
    [profile.globex.instance]
    base_url = 'https://222-BBB-222.mktorest.com'
    [profile.bare.limits]
    calls = 1
";

#[test]
fn a_variable_that_names_another_instance_than_the_profile_is_refused_with_both_names() {
    let with_flag = || Flags { profile: Some("acme".to_owned()), ..Flags::default() };
    let of_variable = ("MKTO_AUDIT_PROFILE", "acme");
    let left_over = "https://222-BBB-222.mktorest.com/rest";
    let (meant, other) = ("111-aaa-111.mktorest.com", "222-bbb-222.mktorest.com");
    let long = "MKTO_AUDIT__INSTANCE__BASE_URL";
    for (flags, variables, by, variable) in [
        (with_flag(), vec![("MARKETO_BASE_URL", left_over)], "--profile acme", "MARKETO_BASE_URL"),
        (with_flag(), vec![(long, left_over)], "--profile acme", long),
        (
            Flags::default(),
            vec![of_variable, ("MARKETO_BASE_URL", left_over)],
            "MKTO_AUDIT_PROFILE=acme",
            "MARKETO_BASE_URL",
        ),
    ] {
        let error = load(TWO_CLIENTS, &variables, flags).unwrap_err();
        assert!(
            error.starts_with(&format!(
                "{by} names the instance {meant}, and {variable} names {other};"
            )),
            "{error}"
        );
    }
    let identity = [("MARKETO_IDENTITY_URL", "https://222-BBB-222.mktorest.com/identity")];
    let error = load(TWO_CLIENTS, &identity, with_flag()).unwrap_err();
    assert!(
        error.contains("MARKETO_IDENTITY_URL names 222-bbb-222.mktorest.com/identity"),
        "{error}"
    );
}

#[test]
fn a_profile_and_a_variable_that_agree_or_leave_no_doubt_are_taken() {
    let acme = || Flags { profile: Some("acme".to_owned()), ..Flags::default() };
    let name = |variables: &[(&str, &str)], flags| {
        load(TWO_CLIENTS, variables, flags).unwrap().instance_in_words()
    };
    let same = [("MARKETO_BASE_URL", "https://111-aaa-111.mktorest.com/")];
    assert_eq!(name(&same, acme()), "111-aaa-111.mktorest.com (profile acme)");
    let other = [("MARKETO_BASE_URL", "https://222-BBB-222.mktorest.com")];
    let said = Flags { base_url: Some("http://127.0.0.1:8700".to_owned()), ..acme() };
    assert_eq!(name(&other, said), "127.0.0.1:8700 (profile acme)", "a flag says which is meant");
    let bare = Flags { profile: Some("bare".to_owned()), ..Flags::default() };
    assert_eq!(
        name(&other, bare),
        "222-bbb-222.mktorest.com (profile bare)",
        "the profile names none"
    );
    assert_eq!(name(&other, Flags::default()), "222-bbb-222.mktorest.com", "no profile was named");
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (file, variables, expected) in [
        (
            "[limits]\n\ncals = 3",
            vec![],
            "DIR/config.toml line 3: there is no setting `limits.cals`; did you mean `limits.calls`?",
        ),
        (
            "[limits]\ncalls = 'many'",
            vec![],
            "DIR/config.toml line 2: `limits.calls`: takes a whole number, not `many`",
        ),
        ("limits.calls = 0", vec![], "DIR/config.toml line 1: `limits.calls`: must be at least 1"),
        (
            "",
            vec![("MKTO_AUDIT__LIMITS__WINDOW", "soon")],
            "MKTO_AUDIT__LIMITS__WINDOW: `limits.window`: takes a time such as `20s` or `5m`, not `soon`",
        ),
        (
            "",
            vec![("MKTO_AUDIT__LIMIT__CALLS", "5")],
            "MKTO_AUDIT__LIMIT__CALLS: there is no setting `limit.calls`; did you mean `limits.calls`?",
        ),
        (
            "[limits]\ndaily_export = '4 potatoes'",
            vec![],
            "DIR/config.toml line 2: `limits.daily_export`: takes a size such as `400MB`, not `4 potatoes`",
        ),
        (
            "[guard]\nleases = 'postgres://guard:hush@db.example.com/leases'",
            vec![],
            "DIR/config.toml line 2: `guard.leases`: a password does not belong in a file; leave it out, and set PGPASSWORD",
        ),
        (
            "[guard]\nleases = 'postgres://guard:hush@'",
            vec![],
            "DIR/config.toml line 2: `guard.leases`: names no host of a Postgres: it reads postgres://USER@HOST:PORT/DATABASE",
        ),
        (
            "[guard]\nleases = 'redis'",
            vec![],
            "DIR/config.toml line 2: `guard.leases`: takes sqlite, memory or postgres://…, not `redis`",
        ),
        (
            "[guard]\nleases = 'postgres:/guard:hush@db.example.com/leases'",
            vec![],
            "DIR/config.toml line 2: `guard.leases`: takes sqlite, memory or postgres://…, and this is none of them",
        ),
        (
            "[instance]\nclient_secret = 'x'",
            vec![],
            "DIR/config.toml line 2: `instance.client_secret`: a secret does not belong in a file; set MARKETO_CLIENT_SECRET, or name a command that prints it in `instance.client_secret_command`",
        ),
        (
            "",
            vec![("MARKETO_BASE_URL", "http://marketo.example.com")],
            "the base URL: `http://marketo.example.com/` would send the client secret in the clear: use https://",
        ),
        (
            "",
            vec![("MARKETO_BASE_URL", "123-ABC-456")],
            "MARKETO_BASE_URL: `instance.base_url`: `123-ABC-456` is no URL such as https://123-ABC-456.mktorest.com (relative URL without a base)",
        ),
        (
            "match.key = []",
            vec![],
            "DIR/config.toml line 1: `match.key`: needs at least one field, for example [\"email\"]",
        ),
        (
            "scan.strategy = 'fast'",
            vec![],
            "DIR/config.toml line 1: `scan.strategy`: takes auto, bulk or pages, not `fast`",
        ),
        (
            "",
            vec![("MKTO_AUDIT_PROFILE", "eu")],
            "DIR/config.toml has no profile `eu`; it has: none",
        ),
    ] {
        assert_eq!(load(file, &variables, Flags::default()).unwrap_err(), expected);
    }
}

#[test]
fn a_file_that_is_no_toml_is_refused_with_its_line() {
    let error = load("[limits]\ncalls = = 3", &[], Flags::default()).unwrap_err();
    assert!(error.starts_with("DIR/config.toml line 2: "), "{error}");
}

#[test]
fn a_named_file_must_exist_and_the_users_own_need_not() {
    let flags = Flags { config: Some("/nowhere/at/all.toml".into()), ..Flags::default() };
    let error = Config::load(&flags, &environment(&[])).unwrap_err();
    assert_eq!(error.to_string(), "the config file /nowhere/at/all.toml cannot be read");
    assert!(Config::load(&Flags::default(), &environment(&[])).is_ok());
}

#[test]
fn a_faster_clock_is_refused_against_a_real_instance() {
    let speed = ("MKTO_AUDIT_CLOCK_SPEED", "60");
    let real = [speed, ("MARKETO_BASE_URL", "https://123-ABC-456.mktorest.com")];
    assert!(Config::load(&Flags::default(), &environment(&real)).is_err());
    let sandbox = [speed, ("MARKETO_BASE_URL", "http://127.0.0.1:8701")];
    assert_eq!(Config::load(&Flags::default(), &environment(&sandbox)).unwrap().clock_speed, 60);
}

#[test]
fn the_secret_can_come_from_a_command_and_is_never_shown() {
    let variables =
        [("MARKETO_BASE_URL", "https://123-ABC-456.mktorest.com"), ("MARKETO_CLIENT_ID", "id")];
    let config = load(
        "instance.client_secret_command = 'printf hush; echo -hush'",
        &variables,
        Flags::default(),
    )
    .unwrap();
    let credentials = config.credentials().unwrap();
    assert!(!format!("{config:?} {credentials:?}").contains("hush-hush"));
    assert_eq!(secrecy::ExposeSecret::expose_secret(&credentials.client_secret), "hush-hush");
    assert_eq!(credentials.identity_url.as_str(), "https://123-abc-456.mktorest.com/identity");

    let config =
        load("instance.client_secret_command = 'exit 3'", &variables, Flags::default()).unwrap();
    let error = config.credentials().unwrap_err().to_string();
    assert_eq!(
        error,
        "`instance.client_secret_command` gave no secret: it ended with exit status: 3"
    );
}

#[test]
fn files_lie_where_they_are_expected() {
    let sandbox = ("MARKETO_BASE_URL", "http://127.0.0.1:8701");
    let config = Config::load(&Flags::default(), &environment(&[sandbox])).unwrap();
    assert_eq!(
        config.cache_file().unwrap().to_str(),
        Some("/nowhere/.cache/mkto-audit/127.0.0.1_8701.db")
    );
    assert_eq!(
        config.ledger_file().unwrap().to_str(),
        Some("/nowhere/.local/share/mkto-audit/127.0.0.1_8701.ledger.db")
    );
    let flags = Flags { db: Some("here/audit.db".into()), ..Flags::default() };
    let config = Config::load(&flags, &environment(&[sandbox])).unwrap();
    assert_eq!(config.cache_file().unwrap().to_str(), Some("here/audit.db"));
    assert_eq!(
        config.ledger_file().unwrap().to_str(),
        Some("/nowhere/.local/share/mkto-audit/127.0.0.1_8701.ledger.db"),
        "whatever cache is named, an instance has one ledger"
    );
    let homeless = [("HOME", ""), sandbox];
    let config = Config::load(&flags, &environment(&homeless)).unwrap();
    assert_eq!(config.ledger_file().unwrap().to_str(), Some("here/audit.ledger.db"));
}

#[test]
fn an_instance_has_one_name_however_its_address_is_spelled() {
    for (url, name) in [
        ("https://123-ABC-456.mktorest.com", "123-abc-456.mktorest.com"),
        ("https://123-abc-456.mktorest.com./rest/", "123-abc-456.mktorest.com"),
        ("http://localhost:8701", "127.0.0.1:8701"),
        ("http://127.0.0.1:8701/", "127.0.0.1:8701"),
    ] {
        let config =
            Config::load(&Flags::default(), &environment(&[("MARKETO_BASE_URL", url)])).unwrap();
        assert_eq!(config.instance_name(), name, "{url}");
    }
}

#[test]
fn an_opt_out_is_kept_by_default_and_other_fields_are_the_winners() {
    let config = load(
        "fields.leadScore = 'max'",
        &[("MKTO_AUDIT__FIELDS__company", "longest")],
        Flags::default(),
    )
    .unwrap();
    let rules: Vec<String> =
        config.fields.0.iter().map(|(field, rule)| format!("{field}={rule}")).collect();
    assert_eq!(
        rules,
        [
            "blackListed=any_true",
            "company=longest",
            "doNotCall=any_true",
            "emailInvalid=any_true",
            "leadScore=max",
            "marketingSuspended=any_true",
            "unsubscribed=any_true"
        ]
    );
}

#[test]
fn bundles_come_from_the_file_and_the_environment_and_may_not_contradict_a_rule() {
    let file = "[bundles]\nsource = ['leadSource', 'sourceDetail']\naddress = []";
    let load_with =
        |file: &str, environment: &[(&str, &str)]| load(file, environment, Flags::default());
    let config = load_with(file, &[("MKTO_AUDIT__BUNDLES__visit", "lastVisit, lastPage")]).unwrap();
    assert_eq!(config.bundles.0["source"], ["leadSource", "sourceDetail"]);
    assert_eq!(config.bundles.0["visit"], ["lastVisit", "lastPage"]);
    assert!(config.bundles.0["address"].is_empty());
    let error = load_with(file, &[("MKTO_AUDIT__FIELDS__leadSource", "oldest")]).unwrap_err();
    assert!(error.contains("`bundles.source`") && error.contains("`fields.leadSource`"), "{error}");
    let rule =
        load_with("fields.status = 'prefer:[\"Customer\"]'", &[]).unwrap().fields.0["status"]
            .to_string();
    assert_eq!(rule, "prefer:[\"Customer\"]");
}

#[test]
fn the_lease_stores_password_comes_from_the_environment_and_is_never_shown() {
    let file = "[guard]\nleases = 'postgres://guard@db.example.com/leases'";
    let stores = [
        load(file, &[("PGPASSWORD", "hush")], Flags::default()),
        load(
            "",
            &[("MKTO_AUDIT__GUARD__LEASES", "postgres://guard:hush@db.example.com/leases")],
            Flags::default(),
        ),
    ];
    for config in stores {
        let config = config.unwrap();
        assert!(
            matches!(&config.guard.leases, LeaseStore::Postgres(address) if address.has_password()),
            "{:?}",
            config.guard
        );
        assert!(!format!("{config:?}").contains("hush"));
    }
}
