//! `mkto-audit guard`: the proxy through which writers make no duplicates.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::log::Log;
use super::{Context, Exit, Failure};
use crate::guard::{self, Mode, ProxySettings};

mod check;
mod report;
mod service;

/// Run a proxy for the Marketo REST API on which duplicates cannot arise
///
/// An integration changes its base URL to the proxy and nothing else; its own token is what Marketo
/// sees. Writes of one email (or of any other look-up key) leave one at a time, in the order in
/// which they came; writes that wait leave together. Where an answer gets lost, nothing is sent
/// again before that call is over and a look-up says what it did. Everything else passes as it
/// comes.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Pages of its own: /-/healthz, /-/readyz, /-/metrics (Prometheus).\n\n\
    Example: mkto-audit guard --listen 127.0.0.1:8700, and then MARKETO_BASE_URL=http://127.0.0.1:8700 for the integration"
)]
pub(super) struct GuardArgs {
    #[command(subcommand)]
    command: Option<GuardCommand>,
    /// How writes are guarded: looked up first, one at a time, or only watched; it beats guard.mode
    /// and its variable
    ///
    /// strict (the default): one write of a key at a time, looked up first, so that it cannot
    /// insert what is there. serialize: one at a time, as the caller asked. shadow: everything
    /// passes as it comes, nothing is limited, and it is counted what would have raced; the first
    /// step, before anything is changed. See mkto-audit guard report
    #[arg(long, value_enum, value_name = "MODE")]
    mode: Option<GuardMode>,
    /// The address to listen on; port 0 for any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8700")]
    listen: SocketAddr,
    /// The certificate chain, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Listen beyond this machine without TLS: tokens and people travel in the clear
    #[arg(long)]
    insecure_listen: bool,
    /// How standard error is written; it names API users and hashes, never a person. With json
    /// every line is one JSON object, errors too
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum GuardCommand {
    Report(report::ReportArgs),
    Check(check::CheckArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum GuardMode {
    Strict,
    Serialize,
    Shadow,
}

impl From<GuardMode> for Mode {
    fn from(mode: GuardMode) -> Self {
        match mode {
            GuardMode::Strict => Self::Strict,
            GuardMode::Serialize => Self::Serialize,
            GuardMode::Shadow => Self::Shadow,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

impl GuardArgs {
    /// A server logs each call without being asked.
    pub(super) fn log(&self, verbose: u8) -> Log {
        let verbose = if self.command.is_some() { verbose } else { verbose.saturating_add(1) };
        Log { verbose, json: self.log_format == LogFormat::Json, serves: self.command.is_none() }
    }
}

/// Whether arguments that cannot be parsed ask for a log in JSON all the same.
pub(super) fn asks_for_json(arguments: &[OsString]) -> bool {
    let spread = arguments.windows(2).any(|pair| pair == ["--log-format", "json"]);
    spread || arguments.iter().any(|argument| argument == "--log-format=json")
}

pub(super) async fn run(context: &mut Context, args: &GuardArgs) -> Result<Exit, Failure> {
    match &args.command {
        Some(GuardCommand::Report(args)) => return report::run(context, args),
        Some(GuardCommand::Check(args)) => return check::run(context, args).await,
        None => {}
    }
    let tls = tls(args)?;
    if !args.listen.ip().is_loopback() && tls.is_none() && !args.insecure_listen {
        return Err(Failure::Usage {
            what: format!("{} can be reached from other machines, and there is no TLS", args.listen),
            hint: Some(
                "give --tls-cert and --tls-key; or --insecure-listen where something in front of it speaks TLS"
                    .to_owned(),
            ),
        });
    }
    std::panic::set_hook(Box::new(|panic| {
        // Not its message, which may quote what a caller sent.
        let at = panic.location().map(tracing::field::display);
        tracing::error!(
            at,
            "a fault of the guard broke off one of its tasks; please report it with this place"
        );
    }));
    if let Some(mode) = args.mode {
        context.config.guard.mode = mode.into();
    }
    let settings = settings(context)?;
    let mode = context.config.guard.mode;
    if context.config.limits.concurrency == 1 && mode != Mode::Shadow {
        tracing::warn!(
            "limits.concurrency is 1: while a file is fetched or sent through the guard, which takes as long as its caller \
             does, no write leaves and nothing else is called; give it 2, and one place is always left for those"
        );
    }
    let leases = super::leases::open(context)?;
    let listener = TcpListener::bind(args.listen).await.map_err(|error| Failure::Usage {
        what: format!("the guard cannot listen on {}: {error}", args.listen),
        hint: Some("another one may be running; choose another port with --listen".to_owned()),
    })?;
    context.say_instance();
    let scheme = if tls.is_some() { "https" } else { "http" };
    let address = listener.local_addr().map_err(Failure::Output)?;
    context.ui.print(&format!("{scheme}://{address}"))?;
    let what = match mode {
        Mode::Shadow => "watching, and changing nothing of, what is written to",
        Mode::Serialize | Mode::Strict => "guarding writes to",
    };
    let status = format!("{what} {}", context.config.instance_name());
    context.ui.note(&format!("{status}; point integrations at the address above, Ctrl-C ends it"));
    // Whoever connects from now on is answered, if a moment later.
    service::ready(&status);
    let stopped = context.interrupt.clone();
    let stopped = async move {
        stopped.cancelled().await;
        service::stopping();
    };
    guard::serve(listener, tls, settings, leases, stopped).await?;
    Ok(Exit::Done)
}

fn settings(context: &Context) -> Result<ProxySettings, Failure> {
    let config = &context.config;
    let (base_url, identity_url) = config.addresses()?;
    let marketo = super::client_options(config, base_url, identity_url)?;
    let guard = &config.guard;
    Ok(ProxySettings {
        mode: guard.mode,
        create_duplicate: guard.create_duplicate,
        on_duplicates: guard.on_duplicates,
        winner: config.winner_order()?,
        queue: guard.queue,
        max_wait: guard.max_wait,
        tally: if guard.mode == Mode::Shadow { Some(config.tally_file()?) } else { None },
        ..ProxySettings::new(marketo, config.instance_name(), super::now)
    })
}

fn tls(args: &GuardArgs) -> Result<Option<TlsAcceptor>, Failure> {
    let (Some(chain), Some(key)) = (&args.tls_cert, &args.tls_key) else { return Ok(None) };
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(chain, &error))?;
    let private_key = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, &error))?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates, private_key)
        .map_err(|error| unusable(chain, &io::Error::other(error)))?;
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

fn unusable(file: &Path, error: &dyn std::error::Error) -> Failure {
    Failure::Usage {
        what: format!("{} cannot be used for TLS: {error}", file.display()),
        hint: Some(
            "give a PEM file with the certificate chain, and one with its private key".to_owned(),
        ),
    }
}
