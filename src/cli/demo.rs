//! `mkto-audit demo`: the whole story on a practice Marketo, from the race to the proof.
//!
//! Everything in it is done for real: the sandbox is served over HTTP, the writers race with plain
//! upserts, and the commands are the commands. What is claimed at the end is counted in the
//! sandbox, past the API.

use std::path::Path;

use clap::{Args, Parser};
use mkto_sandbox::{OptionError, Options, Sandbox};
use tempfile::TempDir;

use super::wrap::fitted;
use super::{Cli, Command, Context, Exit, Failure, Ui, interrupt};
use crate::config::{Config, Environment, Flags};

mod people;
mod proof;
mod writers;

use proof::Known;

/// Lines of the story are no wider, on however wide a terminal.
const WIDEST: usize = 100;

/// How many people sign up in each half of the demo.
const PEOPLE: usize = 40;

/// See on a practice Marketo how duplicates arise, are found, merged, and prevented
///
/// No credentials and no flags: it starts a sandbox inside itself, and ends within half a minute.
/// Nothing is kept.
#[derive(Debug, Args)]
#[command(after_help = "Example: mkto-audit demo")]
pub(super) struct DemoArgs {}

pub(super) async fn run(_args: &DemoArgs, ui: Ui) -> Result<Exit, Failure> {
    let folder = tempfile::tempdir().map_err(Failure::Output)?;
    let sandbox = start().await?;
    let mut demo =
        Demo { context: context(&sandbox, &folder, ui.telling_a_story())?, sandbox, folder };
    let known = demo.make_duplicates().await?;
    demo.find_and_merge(&known).await?;
    demo.prevent().await?;
    demo.say_what_next()?;
    Ok(Exit::Done)
}

/// A story under way.
struct Demo {
    sandbox: Sandbox,
    context: Context,
    folder: TempDir,
}

impl Demo {
    async fn make_duplicates(&mut self) -> Result<Known, Failure> {
        self.say(&format!(
            "A practice Marketo runs on {}, with {} people in it. Like the real one it promises that the REST action \
             createOrUpdate makes no second record for an email, and looks up before it inserts, which takes it a moment.",
            self.sandbox.base_url(),
            self.sandbox.leads_living()
        ))?;
        self.chapter("1. Three integrations write the same sign-ups at the same moment")?;
        let client = self.context.client()?;
        let before = self.sandbox.leads_living();
        let created = writers::race(&client, PEOPLE).await?;
        let made = self.sandbox.leads_living() - before;
        people::enlist(&self.sandbox);
        self.say(&format!(
            "{PEOPLE} people signed up. The web form, the webinar tool and the shop each sent one upsert for each of them. \
             Marketo answered `created` {created} times: {PEOPLE} people are {made} records now, and nobody was told.",
        ))?;
        Ok(Known::of(&self.sandbox))
    }

    async fn find_and_merge(&mut self, known: &Known) -> Result<(), Failure> {
        self.chapter("2. Find them")?;
        self.command(&["scan"]).await?;
        self.command(&["report", "--limit", "5"]).await?;
        self.chapter("3. Look before merging: what two of the groups would become")?;
        self.command(&["merge", "--limit", "2"]).await?;
        self.chapter(
            "4. Merge them; the losing records go into the ledger first, and each result is checked",
        )?;
        self.in_short(&["merge", "--confirm", "--yes"]).await?;
        self.command(&["scan"]).await?;
        self.command(&["report"]).await?;
        match known.compared_with(&Known::of(&self.sandbox)) {
            Ok(words) => self.say(&words),
            Err(lost) => Err(Failure::Demo { lost }),
        }
    }

    async fn prevent(&mut self) -> Result<(), Failure> {
        self.chapter("5. The same three writers again, through the guarded path")?;
        let file = self.folder.path().join("signups.jsonl");
        people::write_signups(&file, PEOPLE).map_err(Failure::Output)?;
        let before = self.sandbox.leads_living();
        self.in_short(&["upsert", &file.display().to_string(), "--confirm"]).await?;
        let made = self.sandbox.leads_living() - before;
        if made != PEOPLE {
            return Err(Failure::Demo { lost: format!("{PEOPLE} people became {made} records") });
        }
        self.say(&format!(
            "{PEOPLE} new people, three upserts for each: {made} records. No duplicate arose."
        ))
    }

    fn say_what_next(&mut self) -> Result<(), Failure> {
        self.chapter("What next")?;
        self.say(
            "Try every command by hand on the same practice Marketo:\n    mkto-audit sandbox\n\
             Or look at your own instance, which changes nothing there: set MARKETO_BASE_URL, MARKETO_CLIENT_ID and \
             MARKETO_CLIENT_SECRET, then\n    mkto-audit doctor\n    mkto-audit scan\n    mkto-audit report --html duplicates.html",
        )
    }

    fn chapter(&mut self, title: &str) -> Result<(), Failure> {
        self.say(&format!("\n== {title}\n\n"))
    }

    /// A story is read by a person, also out of a pipe.
    fn say(&mut self, text: &str) -> Result<(), Failure> {
        let width = self.context.ui.width().min(WIDEST);
        self.context.ui.print(&fitted(text, width))
    }

    /// Runs a command as anybody would.
    async fn command(&mut self, words: &[&str]) -> Result<(), Failure> {
        self.say(&format!("$ mkto-audit {}", shown(words, self.folder.path())))?;
        let line = std::iter::once("mkto-audit").chain(words.iter().copied());
        let parsed = Cli::try_parse_from(line)
            .map_err(|error| Failure::Usage { what: error.to_string(), hint: None })?;
        if let Command::Configured(command) = parsed.command {
            Box::pin(command.run(&mut self.context)).await?;
        }
        self.say("")
    }

    /// The same without its results, which would be many.
    async fn in_short(&mut self, words: &[&str]) -> Result<(), Failure> {
        self.say(&format!("$ mkto-audit {}", shown(words, self.folder.path())))?;
        let story = self.context.ui.clone();
        self.context.ui = story.clone().in_short();
        let line = std::iter::once("mkto-audit").chain(words.iter().copied());
        let parsed = Cli::try_parse_from(line)
            .map_err(|error| Failure::Usage { what: error.to_string(), hint: None })?;
        let result = match parsed.command {
            Command::Configured(command) => {
                Box::pin(command.run(&mut self.context)).await.map(drop)
            }
            _ => Ok(()),
        };
        self.context.ui = story;
        result?;
        self.say("")
    }
}

/// Marketo's limits are lifted, so that nobody has to wait for them; its race is not.
async fn start() -> Result<Sandbox, Failure> {
    let mut options = Options {
        leads: 1_200,
        seed: 7,
        rate_limit: 100_000,
        concurrency: 1_000,
        ..Options::default()
    };
    let usage = |error: OptionError| Failure::Usage { what: error.to_string(), hint: None };
    for knob in ["clock_speed=20", "activity_delay_ms=1000"] {
        options.set_knob(knob).map_err(usage)?;
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(Failure::Output)?;
    Sandbox::start(listener, options).map_err(Failure::Output)
}

/// A configuration of its own, of which nothing is kept.
fn context(sandbox: &Sandbox, folder: &TempDir, ui: Ui) -> Result<Context, Failure> {
    let settings = [
        ("MARKETO_BASE_URL", sandbox.base_url()),
        ("MARKETO_CLIENT_ID", sandbox.client_id().to_owned()),
        ("MARKETO_CLIENT_SECRET", sandbox.client_secret().to_owned()),
        ("MKTO_AUDIT_DB", folder.path().join("demo.db").display().to_string()),
        ("MKTO_AUDIT_CLOCK_SPEED", "20".to_owned()),
        ("MKTO_AUDIT__LIMITS__CALLS", "100000".to_owned()),
        ("MKTO_AUDIT__LIMITS__CONCURRENCY", "24".to_owned()),
        // A rule for a field of this instance's own: who attended once, attended.
        ("MKTO_AUDIT__FIELDS__attendedWebinar", "any_true".to_owned()),
    ];
    let environment: Environment = settings.map(|(name, value)| (name.to_owned(), value)).into();
    let interrupt = interrupt::watch(ui.clone());
    Ok(Context { config: Config::load(&Flags::default(), &environment)?, ui, interrupt })
}

fn shown(words: &[&str], folder: &Path) -> String {
    words.join(" ").replace(&format!("{}/", folder.display()), "")
}
