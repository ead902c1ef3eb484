//! `mkto-audit sandbox`: a Marketo to practise on, on this machine.

use clap::Args;
use mkto_sandbox::{Flags, OptionError, Sandbox};
use tokio_util::sync::CancellationToken;

use super::{Exit, Failure, Ui};
use crate::terminal::counted_of;

/// Start a Marketo to practise on, on this machine
///
/// It behaves as Adobe documents the REST API to behave, race and limits included, and is filled
/// with invented people. It prints the environment variables that point mkto-audit at it, and runs
/// until Ctrl-C. Nothing of it is kept.
#[derive(Debug, Args)]
#[command(after_help = Flags::after_help("mkto-audit sandbox"))]
pub(super) struct SandboxArgs {
    #[command(flatten)]
    flags: Flags,
}

pub(super) async fn run(
    SandboxArgs { flags }: &SandboxArgs,
    ui: &mut Ui,
    interrupt: &CancellationToken,
) -> Result<Exit, Failure> {
    let options = flags.options().map_err(|error: OptionError| Failure::Usage {
        what: error.to_string(),
        hint: Some("mkto-audit sandbox --help lists them".to_owned()),
    })?;
    let listen = flags.listen;
    if !listen.ip().is_loopback() {
        return Err(Failure::Usage {
            what: format!("the sandbox listens on loopback alone, and {listen} is not"),
            hint: Some("use --listen 127.0.0.1:8701".to_owned()),
        });
    }
    let refuse = |error: std::io::Error| Failure::Usage {
        what: format!("the sandbox cannot listen on {listen}: {error}"),
        hint: Some("another one may be running; choose another port with --listen".to_owned()),
    };
    let listener = tokio::net::TcpListener::bind(listen).await.map_err(refuse)?;
    let sandbox = Sandbox::start(listener, options).map_err(refuse)?;
    ui.print(&sandbox.exports())?;
    ui.note(&format!(
        "A practice Marketo with {} is running. Paste the lines above into another terminal, then try\n  \
         mkto-audit doctor\n  mkto-audit scan\n  mkto-audit report\nCtrl-C ends it; nothing of it is kept.",
        counted_of(sandbox.leads_living(), "person record")
    ));
    interrupt.cancelled().await;
    sandbox.stop().await;
    Ok(Exit::Done)
}
