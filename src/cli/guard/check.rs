//! `mkto-audit guard check`: whether a guard on this machine is well, for those who watch over
//! containers.
//!
//! It asks the guard's own page, over TLS where that is what it speaks. Never: sends anything that
//! a wrong answerer could use, so that the certificate, which is made for another name than this
//! machine's, need not be looked at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;

use crate::cli::{Context, Exit, Failure};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// Ask a guard on this machine whether it is well
///
/// Ends with 0 where it answers, and with 1 where it does not; for the health checks of containers,
/// which have no other program to ask with.
#[derive(Debug, Args)]
#[command(after_help = "Example: mkto-audit guard check --ready")]
pub(super) struct CheckArgs {
    /// The address that it listens on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8700")]
    listen: SocketAddr,
    /// Ask whether it can write, too: whether its lease store is there, and it is not stopping
    #[arg(long)]
    ready: bool,
}

pub(super) async fn run(context: &mut Context, args: &CheckArgs) -> Result<Exit, Failure> {
    let page = if args.ready { "readyz" } else { "healthz" };
    let address = here(args.listen);
    let mut why = String::new();
    for scheme in ["http", "https"] {
        match ask(&format!("{scheme}://{address}/-/{page}")).await {
            Ok((true, words)) => {
                context.ui.print(words.trim_end())?;
                return Ok(Exit::Done);
            }
            Ok((false, words)) => {
                words.trim_end().clone_into(&mut why);
                break;
            }
            // Whether it speaks TLS is found out by trying; what the second try says is no better
            // than the first.
            Err(error) if why.is_empty() => why = error.without_url().to_string(),
            Err(_second) => {}
        }
    }
    context.ui.note(&format!("the guard on {address} is not well: {why}"));
    Ok(Exit::Failed)
}

/// Whether a page says that all is well, and its words.
async fn ask(url: &str) -> reqwest::Result<(bool, String)> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_danger_accept_invalid_certs(true)
        .timeout(PATIENCE)
        .build()?;
    let answer = client.get(url).send().await?;
    Ok((answer.status().is_success(), answer.text().await?))
}

/// How an address that means every one of this machine's is reached from here.
fn here(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}
