//! `mkto-audit sandbox`: a Marketo to practise on, on this machine.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{Exit, Failure, Ui};
use crate::plain::counted_of;
use crate::sandbox::{Fault, Knobs, OptionError, Options, PERMISSIONS, Sandbox};

/// Start a Marketo to practise on, on this machine
///
/// It behaves as Adobe documents the REST API to behave, race and limits included, and is filled
/// with invented people. It prints the environment variables that point mkto-audit at it, and runs
/// until Ctrl-C. Nothing of it is kept.
#[derive(Debug, Args)]
#[command(after_help = after_help())]
pub(super) struct SandboxArgs {
    /// The loopback address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8701")]
    listen: SocketAddr,
    /// How many leads it starts with
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    leads: u32,
    /// The share of them that have the same email as another one
    #[arg(long, value_name = "SHARE", default_value_t = 0.08, value_parser = share)]
    duplicates: f64,
    /// What everything in it is drawn from; the same seed makes the same instance
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How long an upsert takes between its look-up and its writing
    #[arg(long, value_name = "TIME", default_value = "250ms", value_parser = humantime::parse_duration)]
    race_window: Duration,
    /// How long any call takes at least
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration)]
    answer_delay: Duration,
    /// Calls in any --rate-window; above it 606
    #[arg(long, value_name = "N", default_value_t = 100)]
    rate_limit: usize,
    /// The window of the rate limit
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = humantime::parse_duration)]
    rate_window: Duration,
    /// Calls at once; above it 615
    #[arg(long, value_name = "N", default_value_t = 10)]
    concurrency: usize,
    /// Calls a day; above it 607
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    daily_quota: u64,
    /// Bytes of bulk extract a day; above it 1029
    #[arg(long, value_name = "N", default_value_t = 500_000_000)]
    daily_export: u64,
    /// A permission that the API user lacks, or Bulk Extract
    #[arg(long, value_name = "PERMISSION", value_parser = clap::builder::PossibleValuesParser::new(PERMISSIONS))]
    deny: Vec<String>,
    /// How to answer what Adobe leaves open, see below
    #[arg(long, value_name = "NAME=VALUE")]
    knob: Vec<String>,
    /// What goes wrong and at which rate, see below
    #[arg(long, value_name = "KIND=RATE")]
    fault: Vec<String>,
}

pub(super) async fn run(
    args: &SandboxArgs,
    ui: &mut Ui,
    interrupt: &CancellationToken,
) -> Result<Exit, Failure> {
    let options = options(args)?;
    if !args.listen.ip().is_loopback() {
        return Err(Failure::Usage {
            what: format!("the sandbox listens on loopback alone, and {} is not", args.listen),
            hint: Some("use --listen 127.0.0.1:8701".to_owned()),
        });
    }
    let refuse = |error: std::io::Error| Failure::Usage {
        what: format!("the sandbox cannot listen on {}: {error}", args.listen),
        hint: Some("another one may be running; choose another port with --listen".to_owned()),
    };
    let listener = tokio::net::TcpListener::bind(args.listen).await.map_err(refuse)?;
    let sandbox = Sandbox::start(listener, options).map_err(refuse)?;
    ui.print(&format!(
        "export MARKETO_BASE_URL={}\nexport MARKETO_CLIENT_ID={}\nexport MARKETO_CLIENT_SECRET={}",
        sandbox.base_url(),
        sandbox.client_id(),
        sandbox.client_secret()
    ))?;
    ui.note(&format!(
        "A practice Marketo with {} is running. Paste the lines above into another terminal, then try\n  \
         mkto-audit doctor\n  mkto-audit scan\n  mkto-audit report\nCtrl-C ends it; nothing of it is kept.",
        counted_of(sandbox.leads_living(), "person record")
    ));
    interrupt.cancelled().await;
    sandbox.stop().await;
    Ok(Exit::Done)
}

fn options(args: &SandboxArgs) -> Result<Options, Failure> {
    let mut options = Options {
        leads: args.leads,
        duplicates: args.duplicates,
        seed: args.seed,
        race_window: args.race_window,
        answer_delay: args.answer_delay,
        rate_limit: args.rate_limit,
        rate_window: args.rate_window,
        concurrency: args.concurrency,
        daily_quota: args.daily_quota,
        daily_export: args.daily_export,
        denied: args.deny.clone(),
        ..Options::default()
    };
    let usage = |error: OptionError| Failure::Usage {
        what: error.to_string(),
        hint: Some("mkto-audit sandbox --help lists them".to_owned()),
    };
    for knob in &args.knob {
        options.set_knob(knob).map_err(usage)?;
    }
    for fault in &args.fault {
        options.set_fault(fault).map_err(usage)?;
    }
    Ok(options)
}

fn share(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "takes a share from 0 to 1".to_owned())
}

fn after_help() -> String {
    let faults: Vec<&str> = Fault::names().collect();
    format!(
        "Knobs, each with its default first:\n{}\n\nFaults, each with a rate from 0 to 1:\n  {}\n\n\
         Example: mkto-audit sandbox --leads 20000 --duplicates 0.1 --fault cut_after=0.02",
        Knobs::help(),
        faults.join(" ")
    )
}
