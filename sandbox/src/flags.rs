//! How a sandbox is set up from the command line: the flags of this crate's program, which another
//! program can flatten into a command of its own.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use super::options::{Fault, Knobs, OptionError, Options};
use super::routes::PERMISSIONS;

#[expect(missing_docs, reason = "clap would put it into the help of the command around it")]
#[derive(Debug, Args)]
pub struct Flags {
    /// The loopback address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8701")]
    pub listen: SocketAddr,
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

impl Flags {
    /// What the flags ask for.
    pub fn options(&self) -> Result<Options, OptionError> {
        let mut options = Options {
            leads: self.leads,
            duplicates: self.duplicates,
            seed: self.seed,
            race_window: self.race_window,
            answer_delay: self.answer_delay,
            rate_limit: self.rate_limit,
            rate_window: self.rate_window,
            concurrency: self.concurrency,
            daily_quota: self.daily_quota,
            daily_export: self.daily_export,
            denied: self.deny.clone(),
            ..Options::default()
        };
        for knob in &self.knob {
            options.set_knob(knob)?;
        }
        for fault in &self.fault {
            options.set_fault(fault)?;
        }
        Ok(options)
    }

    /// The end of the help of a command with these flags: every knob, every fault, an example.
    pub fn after_help(command: &str) -> String {
        let faults: Vec<&str> = Fault::names().collect();
        format!(
            "Knobs, each with its default first:\n{}\n\nFaults, each with a rate from 0 to 1:\n  {}\n\n\
             Example: {command} --leads 20000 --duplicates 0.1 --fault cut_after=0.02",
            Knobs::help(),
            faults.join(" ")
        )
    }
}

fn share(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "takes a share from 0 to 1".to_owned())
}
