//! The commands of `mkto-audit help`, grouped by what somebody wants to do.

use clap::Command;

/// The groups, in the order in which most people come to need them.
const GROUPS: [(&str, &[&str]); 6] = [
    ("Find", &["scan", "report", "explain"]),
    ("Merge", &["plan", "review", "decisions", "merge"]),
    ("Look back, make good", &["history", "certificate", "map", "audit", "backup", "restore"]),
    ("Write and prevent", &["upsert", "guard"]),
    ("Set up and run", &["doctor", "probe", "completions"]),
    ("Practise", &["demo", "sandbox"]),
];

/// The same command whose help lists its subcommands in groups; what is in none comes last.
pub(super) fn grouped(command: Command) -> Command {
    let mut template = "{about-with-newline}\n{usage-heading} {usage}\n".to_owned();
    let named: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
    let rest: Vec<String> =
        command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let rest: Vec<&str> =
        rest.iter().map(String::as_str).filter(|name| !named.contains(name)).collect();
    for (title, names) in GROUPS.into_iter().chain([("More", rest.as_slice())]) {
        let lines: Vec<String> = names.iter().filter_map(|name| line(&command, name)).collect();
        if !lines.is_empty() {
            template.extend(["\n", title, ":\n", &lines.join("\n"), "\n"]);
        }
    }
    template.push_str("\nOptions:\n{options}{after-help}");
    command.help_template(template)
}

fn line(command: &Command, name: &str) -> Option<String> {
    let sub = command.find_subcommand(name)?;
    let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
    Some(format!("  {name:<12} {about}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_command_is_listed_once_in_a_group() {
        let command = Cli::command();
        let help = grouped(command.clone()).render_help().to_string();
        for sub in command.get_subcommands() {
            let about = sub.get_about().unwrap().to_string();
            let line = format!("  {:<12} {about}", sub.get_name());
            assert_eq!(help.matches(&line).count(), 1, "{line}\n{help}");
            assert!(
                GROUPS.iter().any(|(_, names)| names.contains(&sub.get_name())),
                "{} is in no group",
                sub.get_name()
            );
        }
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
        assert!(help.contains("\nOptions:\n") && help.contains("Exit codes:"), "{help}");
    }
}
