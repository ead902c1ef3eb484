//! The program `mkto-sandbox`: an imitation Marketo on this machine, until it is told to stop.
//!
//! Standard output gets the three variables that a client needs, as `export` lines; everything else
//! is said on standard error. Exit code 2 is wrong usage, 1 an address that cannot be listened on.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use mkto_sandbox::{Flags, OptionError, Options, Sandbox};

/// Start an imitation of Marketo's REST API on this machine
///
/// It behaves as Adobe documents the API to behave, race and limits included, and is filled with
/// invented people. It prints the environment variables that point a client at it, and runs until
/// Ctrl-C or SIGTERM. Nothing of it is kept.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = Flags::after_help("mkto-sandbox"))]
struct Cli {
    #[command(flatten)]
    flags: Flags,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { flags } = Cli::parse();
    let options = match flags.options() {
        Ok(options) => options,
        Err(error) => return wrong(&error),
    };
    match serve(&flags, options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: the sandbox cannot listen on {}: {error}", flags.listen));
            ExitCode::FAILURE
        }
    }
}

async fn serve(flags: &Flags, options: Options) -> io::Result<()> {
    let listener = tokio::net::TcpListener::bind(flags.listen).await?;
    let sandbox = Sandbox::start(listener, options)?;
    let exports = sandbox.exports();
    // A script that reads the lines and then goes away has got what it wanted.
    drop(writeln!(io::stdout(), "{exports}"));
    say(&format!("{} leads; Ctrl-C ends it, and nothing of it is kept", sandbox.leads_living()));
    asked_to_stop().await;
    sandbox.stop().await;
    Ok(())
}

fn wrong(error: &OptionError) -> ExitCode {
    say(&format!("error: {error}\n\nmkto-sandbox --help lists them"));
    ExitCode::from(2)
}

/// To standard error; where nobody reads it, there is nobody to tell.
fn say(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}

/// Ctrl-C, or SIGTERM, which a container's end sends.
async fn asked_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = tokio::signal::ctrl_c() => return,
            }
        }
    }
    drop(tokio::signal::ctrl_c().await);
}
