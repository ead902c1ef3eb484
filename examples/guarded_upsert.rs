//! Two integrations write one new person at the same moment: directly, and through the guard.
//!
//! `cargo run --example guarded_upsert` does it on a practice Marketo that it starts itself.

#![expect(clippy::print_stdout, reason = "an example tells what it does")]
#![expect(clippy::disallowed_methods, reason = "an example reads the clock as a command line does")]

use std::error::Error;

use chrono::Utc;
use mkto_audit::guard::{self, ProxySettings};
use mkto_audit::leases::{SharedLeases, Terms};
use mkto_audit::marketo::{Client, ClientOptions, SyncAction, SyncLeads, SyncRequest};
use mkto_sandbox::{LeadView, Options, Sandbox};
use serde_json::{Map, Value};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let sandbox = Sandbox::start(listener, Options::default())?;

    // Marketo looks an email up and then inserts, so both of them find nobody.
    write_twice(&sandbox, &sandbox.base_url(), "ada@example.com").await?;
    let made = leads_of(&sandbox, "ada@example.com");
    println!("directly:          two upserts of ada@example.com made {made} leads");

    // The guard lets one write of an email be in flight at a time. Integrations change their base
    // URL, and nothing else. Guards of several machines would share their leases in Postgres.
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let marketo = ClientOptions::new(sandbox.base_url().parse()?);
    let settings = ProxySettings::new(marketo, "sandbox", Utc::now);
    let leases = SharedLeases::memory(Terms::default());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async { drop(stopped.await) };
    let guard = tokio::spawn(guard::serve(listener, None, settings, leases, shutdown));

    write_twice(&sandbox, &address, "grace@example.com").await?;
    let made = leads_of(&sandbox, "grace@example.com");
    println!("through the guard: two upserts of grace@example.com made {made} lead");

    drop(stop);
    guard.await??;
    if made == 1 { Ok(()) } else { Err(format!("the guard let {made} leads arise").into()) }
}

/// Two integrations, of which neither knows of the other.
async fn write_twice(sandbox: &Sandbox, url: &str, email: &str) -> Result<(), Box<dyn Error>> {
    let options =
        ClientOptions::new(url.parse()?).credentials(sandbox.client_id(), sandbox.client_secret());
    let (form, webinar) = (Client::new(options.clone())?, Client::new(options)?);
    let (form_lead, webinar_lead) =
        (upsert(email, "company", "Example Ltd"), upsert(email, "phone", "+1 555 0100"));
    let answers = tokio::try_join!(form.sync_leads(&form_lead), webinar.sync_leads(&webinar_lead))?;
    for result in answers.0.iter().chain(&answers.1) {
        println!("  Marketo answered {:?}", result.status);
    }
    Ok(())
}

fn upsert(email: &str, field: &str, value: &str) -> SyncRequest {
    let record: Map<String, Value> = [("email", email), (field, value)]
        .map(|(name, value)| (name.to_owned(), value.into()))
        .into_iter()
        .collect();
    SyncRequest::new(SyncAction::CreateOrUpdate, "email", vec![record])
}

fn leads_of(sandbox: &Sandbox, email: &str) -> usize {
    let has_it = |lead: &LeadView| lead.fields.get("email").and_then(Value::as_str) == Some(email);
    sandbox.leads().into_iter().filter(has_it).count()
}
