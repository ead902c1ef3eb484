//! Finds the duplicates of an instance and merges them, with nothing lost: scan, plan, merge.
//!
//! `cargo run --example merge_duplicates` does it on a practice Marketo that it starts itself.

#![expect(clippy::print_stdout, reason = "an example tells what it does")]
#![expect(clippy::disallowed_methods, reason = "an example reads the clock as a command line does")]

use std::error::Error;
use std::time::Duration;

use chrono::Utc;
use mkto_audit::cache::Cache;
use mkto_audit::dedupe::{KeySpec, Policy};
use mkto_audit::leases::{SharedLeases, Terms};
use mkto_audit::ledger::Ledger;
use mkto_audit::marketo::{Client, ClientOptions, Clock, ReadLeads};
use mkto_audit::merge::{self, Confirmed, Hold, Merge, Outcome, Settings};
use mkto_audit::scan::{self, PageScan};
use mkto_sandbox::{Options, Sandbox};
use serde_json::json;
use tokio::net::TcpListener;

/// What the cache, the ledger and the plan call the instance.
const INSTANCE: &str = "sandbox";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // An instance where Ada is three records, of which each knows something else.
    let mut options = Options { leads: 300, rate_limit: 1_000, ..Options::default() };
    options.set_knob("clock_speed=60")?;
    let sandbox = Sandbox::start(TcpListener::bind("127.0.0.1:0").await?, options)?;
    for ada in [
        json!({"email": "ada@example.com", "firstName": "Ada", "company": "Analytical Engines"}),
        json!({"email": "Ada@Example.com", "firstName": "Ada", "city": "London"}),
        json!({"email": "ada@example.com", "firstName": "Ada", "unsubscribed": true}),
    ] {
        let id = sandbox.put_lead(&ada);
        println!("record {id}: {ada}");
    }

    let options = ClientOptions::new(sandbox.base_url().parse()?)
        .credentials(sandbox.client_id(), sandbox.client_secret())
        // Both are for a practice instance alone.
        .rate(1_000, Duration::from_secs(20))
        .clock(Clock::sped_up(60));
    let client = Client::new(options)?;
    let folder = tempfile::tempdir()?;

    // Scan: every lead into a file that may be deleted at any time.
    let schema = client.describe().await?;
    let key = KeySpec::default().by_schema(|field| schema.data_type(field));
    let fields = scan::fields_to_read(&[], &schema)?;
    let log = scan::activity_log(&client).await?;
    let mut cache = Cache::open(&folder.path().join("cache.db"), INSTANCE)?;
    let pages = PageScan::new(&fields, &key, log, Utc::now);
    scan::scan_pages(&client, &mut cache, &pages, &()).await?;
    let candidates = merge::candidates(&cache)?;
    println!("duplicates: {} group(s) in {} records", candidates.len(), sandbox.leads_living());

    // Plan: what exactly would be done. It is kept in the ledger, a file that must not be lost, and
    // changes nothing at Marketo.
    let mut ledger = Ledger::open(&folder.path().join("ledger.db"), INSTANCE)?;
    // The guards of the instance would have the same store of leases: no guarded write reaches a
    // lead while it is merged.
    let hold = Hold::new(SharedLeases::memory(Terms::default()), INSTANCE.to_owned());
    let settings = Settings::new(client.clock(), Utc::now, hold);
    let mut merge = Merge::new(&client, &mut ledger, settings).await?;
    let policy = Policy { key, ..Policy::default() };
    let plan = merge.plan(&candidates, policy, INSTANCE.to_owned(), usize::MAX).await?;
    for group in &plan.groups {
        println!("plan: {:?} go into {}; {}", group.losers, group.winner, group.reason);
        for change in &group.changes {
            println!("  {} becomes {}", change.name, change.after);
        }
    }

    // Merge: `Confirmed` is for the place where a person has looked at the plan and said yes.
    let winner = plan.groups.first().ok_or("nothing was planned")?.winner;
    let report = merge.carry_out(Confirmed::new(plan), &mut ()).await;
    println!("{} merged, {} records gone", report.count(Outcome::Merged), report.removed());

    let kept = sandbox.lead(winner).ok_or("the winner is gone")?.fields;
    for (field, value) in [
        ("company", json!("Analytical Engines")),
        ("city", json!("London")),
        ("unsubscribed", json!(true)),
    ] {
        println!("kept: {field} = {value}");
        if kept.get(field) != Some(&value) {
            return Err(format!("{field} was lost: {:?}", kept.get(field)).into());
        }
    }
    Ok(())
}
