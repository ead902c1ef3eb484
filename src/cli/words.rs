//! Words that people try and that are no commands: each gets an answer that helps, and only says
//! what is there today.
//!
//! Never: does anything. The exit code is the one of wrong usage.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::config::{Config, Environment, Flags};

/// What undoing gets to hear.
const UNDO: &str = "a merge can't be undone: Marketo has no way to take one back. Every losing record was kept whole before \
    it was merged, in the ledger {LEDGER}; `mkto-audit restore --email ADDRESS` shows what of it can be made good, and does it with --confirm";

/// What was done is in the ledger.
const HISTORY: &str = "`mkto-audit history` lists the runs, `mkto-audit history show RUN` what one did, `mkto-audit map` which record \
    went into which; all of it is kept in the ledger {LEDGER}";

/// Words, and the answer that all of them get.
const ANSWERS: &[(&[&str], &str)] = &[
    (&["undo", "revert", "rollback", "unmerge", "recover", "undelete", "split"], UNDO),
    (&["log", "logs", "ledger", "journal", "backups", "runs"], HISTORY),
    (
        &["plans", "preview", "dry-run", "dryrun", "diff"],
        "`mkto-audit plan create` makes a plan, `mkto-audit plan list` names those that are kept, `mkto-audit plan show PLAN` shows one, and \
         `mkto-audit plan diff A B` compares two",
    ),
    (
        &["approve", "confirm", "apply", "execute", "decide"],
        "`mkto-audit plan decide PLAN` and `mkto-audit plan approve PLAN` say yes or no to a plan; \
         `mkto-audit merge --plan PLAN --confirm` carries it out",
    ),
    (
        &["man", "manual", "usage", "docs", "commands"],
        "`mkto-audit help COMMAND` explains a command, `mkto-audit help` lists them",
    ),
    (&["version", "ver"], "`mkto-audit --version` prints the version"),
    (
        &["list", "ls", "groups", "duplicates", "dups", "dupes", "stats", "status", "summary"],
        "`mkto-audit report` lists the duplicates that the last scan found, `mkto-audit report --json` for a program",
    ),
    (
        &["show", "view", "open", "inspect", "why", "get"],
        "`mkto-audit explain ADDRESS` says how the duplicates of an address arose; `mkto-audit report` lists all of them, and \
         `mkto-audit plan show PLAN` shows a plan",
    ),
    (
        &["dedupe", "dedup", "deduplicate", "clean", "cleanup", "fix", "remove", "delete", "purge"],
        "`mkto-audit scan` reads the people, `mkto-audit report` shows the duplicates, and `mkto-audit merge` shows what would be \
         merged; nothing is changed without --confirm",
    ),
    (
        &["find", "search", "detect", "check", "analyze", "analyse"],
        "`mkto-audit scan` reads the people of the instance, then `mkto-audit report` shows the duplicates; \
         `mkto-audit explain ADDRESS` looks at one address, and `mkto-audit doctor` checks the setup",
    ),
    (
        &["sync", "refresh", "update", "fetch", "pull", "download"],
        "`mkto-audit scan` reads the people into the cache, and later only what changed since",
    ),
    (
        &["import", "upload", "push", "write", "insert", "create", "load"],
        "`mkto-audit upsert FILE` shows which people of a file would be created or updated, and writes them with --confirm; \
         `mkto-audit scan --file FILE` looks for duplicates in an export, and `mkto-audit plan import FILE` takes decisions",
    ),
    (
        &["export", "csv", "excel", "html", "json", "page"],
        "`mkto-audit report` exports what it shows: --csv [FILE], --html FILE or --json; `mkto-audit plan export FILE` a plan to decide about, \
         `mkto-audit map` where records went, and `mkto-audit backup export` what was kept of them",
    ),
    (
        &["proxy", "serve", "server", "start", "run", "watch", "monitor", "shadow"],
        "`mkto-audit guard` runs the proxy that lets no duplicate arise; `mkto-audit guard --mode shadow` only watches and counts",
    ),
    (
        &[
            "setup",
            "init",
            "login",
            "auth",
            "configure",
            "config",
            "settings",
            "connect",
            "profile",
            "profiles",
            "test",
            "ping",
        ],
        "set MARKETO_BASE_URL, MARKETO_CLIENT_ID and MARKETO_CLIENT_SECRET, or write a config file with a profile for each \
         instance; `mkto-audit doctor` then says what is missing",
    ),
    (
        &["tutorial", "example", "examples", "try", "practice", "practise", "mock", "simulate"],
        "`mkto-audit demo` shows everything on a practice Marketo; `mkto-audit sandbox` starts one to try the commands on",
    ),
    (
        &["verify", "proof", "prove", "evidence"],
        "`mkto-audit certificate show RUN` says what a run did, and `mkto-audit certificate verify FILE` whether a certificate was changed",
    ),
    (
        &["others", "merges", "merged"],
        "`mkto-audit audit merges` lists merges that others made, and `mkto-audit map` which record went into which",
    ),
    (
        &["measure", "calibrate"],
        "`mkto-audit probe` measures on test people what Adobe's pages leave open",
    ),
    (
        &["completion", "complete", "autocomplete", "shell"],
        "`mkto-audit completions SHELL` prints a completion script",
    ),
    (
        &["quit", "exit", "stop"],
        "Ctrl-C stops a command that runs; the same command goes on where it stopped",
    ),
];

/// The answer to a word that is no command; none where nothing better can be said than clap says.
pub(super) fn answer(error: &clap::Error, environment: &Environment) -> Option<String> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    let tried = word.to_lowercase().replace('_', "-");
    let (_, answer) = ANSWERS.iter().find(|(words, _)| words.contains(&tried.as_str()))?;
    let answer = answer.replace("{LEDGER}", &ledger(environment));
    Some(format!("error: there is no command `{word}`: {answer}"))
}

/// Where the ledger lies, as far as that is known without the command's own flags.
fn ledger(environment: &Environment) -> String {
    let configured = Config::load(&Flags::default(), environment).ok();
    let file = configured
        .filter(|config| config.instance.base_url.is_some())
        .and_then(|config| config.ledger_file().ok());
    file.map_or_else(
        || "INSTANCE.ledger.db in the data folder".to_owned(),
        |file| file.display().to_string(),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_word_is_answered_and_none_of_them_is_a_command() {
        let mut words = BTreeSet::new();
        for word in ANSWERS.iter().flat_map(|(words, _)| *words) {
            assert!(words.insert(word), "{word} is there twice");
            let error = Cli::try_parse_from(["mkto-audit", word]).expect_err(word);
            let said =
                answer(&error, &Environment::new()).unwrap_or_else(|| panic!("{word}: {error}"));
            assert!(said.starts_with(&format!("error: there is no command `{word}`: ")), "{said}");
            assert!(!said.contains('{'), "{said}");
            // A flag behind it makes no difference.
            let error = Cli::try_parse_from(["mkto-audit", word, "--email", "ada@example.com"])
                .expect_err(word);
            assert!(answer(&error, &Environment::new()).is_some(), "{word}: {error}");
        }
    }

    #[test]
    fn what_is_said_to_be_there_is_there() {
        let command = Cli::command();
        for (_, answer) in ANSWERS {
            for quoted in answer
                .split('`')
                .skip(1)
                .step_by(2)
                .filter(|quoted| quoted.starts_with("mkto-audit "))
            {
                let words: Vec<&str> = quoted.split(' ').skip(1).collect();
                let Some(named) =
                    words.first().filter(|word| !word.starts_with('-') && **word != "help")
                else {
                    continue;
                };
                let sub = command.find_subcommand(named).unwrap_or_else(|| panic!("{named}"));
                for flag in words.iter().filter_map(|word| word.strip_prefix("--")) {
                    assert!(
                        sub.get_arguments().any(|argument| argument.get_long() == Some(flag)),
                        "{named} --{flag}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_misspelt_command_is_left_to_the_hint_of_the_nearest() {
        let error = Cli::try_parse_from(["mkto-audit", "rport"]).unwrap_err();
        assert_eq!(answer(&error, &Environment::new()), None);
    }

    #[test]
    fn the_ledger_is_named_by_its_file_where_the_instance_is_known() {
        let environment = Environment::from([
            ("HOME".to_owned(), "/nowhere".to_owned()),
            ("MARKETO_BASE_URL".to_owned(), "https://111-AAA-111.mktorest.com".to_owned()),
        ]);
        let error = Cli::try_parse_from(["mkto-audit", "undo"]).unwrap_err();
        let said = answer(&error, &environment).unwrap();
        assert!(
            said.contains(
                "in the ledger /nowhere/.local/share/mkto-audit/111-aaa-111.mktorest.com.ledger.db;"
            ),
            "{said}"
        );
    }
}
