//! `mkto-audit review`: the page on which people decide, served to one browser on this machine.
//!
//! Never: merges. It opens the ledger for each request alone, so that other commands can go on.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::{Context, Exit, Failure};
use crate::review::model::Head;
use crate::review::server::{Ended, Review};
use crate::terminal::{count, counted};

/// A page that nobody uses for a working day is forgotten: its link must not stay open for ever.
const IDLE: Duration = Duration::from_secs(8 * 60 * 60);

/// Decide about a plan in a browser, and approve it
///
/// A page on this machine alone shows each group: why it is one, what the merge would keep and
/// drop, and what there is to decide. Each decision is kept at once. The page can decide and
/// approve; it cannot merge. The link that is printed works once, in one browser.
#[derive(Debug, Args)]
#[command(
    after_help = "The same page as a file, for somebody elsewhere: mkto-audit plan export november.html\n\n\
    Example: mkto-audit review november --by \"Ada Lovelace\""
)]
pub(super) struct ReviewArgs {
    /// The plan's id or name
    #[arg(value_name = "PLAN")]
    plan: String,
    /// The port to listen on, on this machine alone; any free one where none is given
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Who decides; by default the user of this machine
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Open no browser; the link is printed in any case
    #[arg(long)]
    no_open: bool,
}

pub(super) async fn run(context: &mut Context, args: &ReviewArgs) -> Result<Exit, Failure> {
    let Some(by) = context.config.by(args.by.as_deref()) else {
        return Err(Failure::Usage {
            what: "nobody knows who decides".to_owned(),
            hint: Some("give a name with --by".to_owned()),
        });
    };
    let plan = Arc::new(super::plan::open(context, &args.plan)?);
    let head = plan.head()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await.map_err(|error| {
        Failure::Usage {
            what: format!("the page cannot be served on port {}: {error}", args.port),
            hint: Some("choose another with --port, or leave it out for a free one".to_owned()),
        }
    })?;
    let address = listener.local_addr().map_err(Failure::Output)?;
    let review = Review::new(Arc::clone(&plan) as _, by.clone(), address);
    let review = Arc::new(review.map_err(|error| Failure::Output(std::io::Error::other(error)))?);
    let link = review.link();
    context.say_instance();
    context.ui.print(&link)?;
    context.ui.note(&format!(
        "{}. Open the link in a browser: it works once. You decide as {by}; the page can decide and \
         approve, never merge. Ctrl-C ends it",
        in_words(&head)
    ));
    // It is kept until the end, since a browser may take its time to start.
    let is_watched = context.ui.terminal_width().is_some();
    let way_in = (!args.no_open && is_watched).then(|| opened(&link)).flatten();
    let stopped = context.interrupt.clone();
    let ended = review.serve(listener, IDLE, stopped.cancelled_owned()).await;
    drop(way_in);
    if ended == Ended::Idle {
        context.ui.note("the page was not used for 8 hours, and is closed");
    }
    let head = plan.head()?;
    context.ui.note(&format!("{}. {}", in_words(&head), next(&head, &args.plan)));
    Ok(Exit::Done)
}

fn in_words(head: &Head) -> String {
    let decidable = head.safe + head.decide + head.done;
    format!("{} of {} decided", count(head.done), counted(decidable, "group"))
}

fn next(head: &Head, plan: &str) -> String {
    match &head.approval {
        Some(approval) => {
            format!("{} approved it; next: `mkto-audit merge --plan {plan} --confirm`", approval.by)
        }
        None => format!("It is not approved; `mkto-audit review {plan}` goes on"),
    }
}

/// Opens the page in the user's browser. The link does not go there as an argument, which every
/// user of the machine can read, but in a file that its owner alone can. Where nothing can be
/// opened the printed link remains.
fn opened(link: &str) -> Option<TempDir> {
    let folder = tempfile::Builder::new().prefix("mkto-audit-").tempdir().ok()?;
    let path = folder.path().join("review.html");
    let page = format!(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta http-equiv=\"refresh\" content=\"0; url={link}\">\n<title>mkto-audit</title>\n\
         <p><a href=\"{link}\">Go on to the page</a></p>\n"
    );
    // The folder is its owner's alone, and so is all in it.
    std::fs::File::create(&path).and_then(|mut file| file.write_all(page.as_bytes())).ok()?;
    open::that_detached(&path).ok()?;
    Some(folder)
}
