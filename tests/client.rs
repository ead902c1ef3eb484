//! The client's public face against the sandbox: limits that are never reached, calls that never
//! happen twice.

use std::time::Duration;

use mkto_audit::dedupe::{Key, Known, Policy};
use mkto_audit::lead::LeadId;
use mkto_audit::leases::{SharedLeases, Terms};
use mkto_audit::ledger::Ledger;
use mkto_audit::marketo::{
    Client, ClientOptions, Clock, Error, Outcome, ReadCustomObjects, ReadLeads, ReadMemberships,
    ReadUsage, SyncAction, SyncLeads, SyncRequest,
};
use mkto_audit::merge::Outcome::Merged;
use mkto_audit::merge::{Candidate, Confirmed, Hold, Merge, Report, Settings};
use mkto_sandbox::Options;
use serde_json::{Value, json};

use crate::support::{CLOCK_SPEED, Instance, quick};

fn client_with(instance: &Instance, change: impl FnOnce(&mut ClientOptions)) -> Client {
    let base = instance.sandbox.base_url();
    let mut options = ClientOptions::new(base.parse().unwrap())
        .credentials(instance.sandbox.client_id(), instance.sandbox.client_secret())
        .rate(100_000, Duration::from_secs(20))
        .concurrency(8)
        .a_day(1_000_000, 1_000_000)
        .clock(Clock::sped_up(CLOCK_SPEED));
    change(&mut options);
    Client::new(options).unwrap()
}

fn create_duplicate(email: &str) -> SyncRequest {
    let Value::Object(record) = json!({"email": email}) else { unreachable!() };
    SyncRequest {
        action: SyncAction::CreateDuplicate,
        lookup_field: "email".to_owned(),
        partition: None,
        input: vec![record],
    }
}

fn with_faults(faults: &[&str]) -> Instance {
    let mut options = quick();
    for fault in faults {
        options.set_fault(fault).unwrap();
    }
    Instance::start(options)
}

#[test]
fn a_client_that_takes_the_whole_limit_is_never_one_call_too_many() {
    let limits = Options {
        rate_limit: 40,
        rate_window: Duration::from_secs(2),
        concurrency: 4,
        ..Options::default()
    };
    let instance = Instance::start(Options { answer_delay: Duration::from_millis(40), ..limits });
    let client = client_with(&instance, |options| {
        options.calls = 40;
        options.window = Duration::from_secs(2);
        options.concurrency = 4;
    });
    instance.block_on(async {
        let calls = (0..121).map(|_| client.usage_today());
        for usage in futures::future::join_all(calls).await {
            usage.unwrap();
        }
    });
    assert_eq!(instance.sandbox.errors(), std::collections::BTreeMap::new());
    assert_eq!((client.calls_made(), instance.sandbox.calls_made()), (121, 121));
}

#[test]
fn reads_come_through_whatever_goes_wrong() {
    let instance = with_faults(&[
        "601=0.05",
        "602=0.05",
        "606=0.05",
        "615=0.05",
        "611=0.05",
        "502=0.05",
        "500=0.05",
        "604=0.05",
        "cut_before=0.05",
        "cut_after=0.05",
        "html=0.05",
        "truncated=0.05",
    ]);
    let ids: Vec<LeadId> = (0..40)
        .map(|n| instance.sandbox.put_lead(&json!({"email": format!("{n}@example.com")})))
        .collect();
    let client = client_with(&instance, |_| {});
    instance.block_on(async {
        for id in &ids {
            let found =
                client.leads_by_id(&[*id], &["id".to_owned(), "email".to_owned()]).await.unwrap();
            assert_eq!(found.iter().map(|lead| lead.id).collect::<Vec<_>>(), [*id]);
        }
    });
}

/// The law that everything rests on: what is said to be done was done once, what is said not to be
/// done was not, and what is unclear happened at most once.
#[test]
fn no_write_happens_twice_and_what_is_said_of_it_is_true() {
    let instance = with_faults(&[
        "cut_before=0.08",
        "cut_after=0.08",
        "lost_604=0.08",
        "lost_502=0.08",
        "html=0.08",
        "truncated=0.08",
        "606=0.08",
        "615=0.08",
        "601=0.08",
    ]);
    let client = client_with(&instance, |_| {});
    let emails: Vec<String> = (0..60).map(|n| format!("{n}@example.com")).collect();
    let said: Vec<Option<Outcome>> = instance.block_on(async {
        let calls = emails.iter().map(|email| {
            let client = &client;
            async move { client.sync_leads(&create_duplicate(email)).await.err() }
        });
        let errors = futures::future::join_all(calls).await;
        for error in errors.iter().flatten() {
            if let Error::Unclear { in_flight, .. } = error {
                in_flight.over().await;
            }
        }
        errors.iter().map(|error| error.as_ref().map(Error::outcome)).collect()
    });
    let leads = instance.sandbox.leads();
    let mut unclear = 0;
    for (email, said) in emails.iter().zip(&said) {
        let made = leads.iter().filter(|lead| lead.fields["email"] == email.as_str()).count();
        match said {
            None => assert_eq!(made, 1, "{email}"),
            Some(Outcome::NotDone) => assert_eq!(made, 0, "{email}"),
            Some(Outcome::Unclear) => assert!(made <= 1, "{email} was made {made} times"),
        }
        unclear += usize::from(*said == Some(Outcome::Unclear));
    }
    assert!(unclear > 0, "the faults did not occur");
}

/// Merges the one way that there is: by a plan, somebody's yes to it, and a ledger.
#[expect(clippy::disallowed_methods, reason = "what the run writes down has the time of day")]
async fn merge(client: &Client, leads: &[LeadId], email: &str) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(&folder.path().join("ledger.db"), "sandbox").unwrap();
    let hold = Hold::new(SharedLeases::memory(Terms::default()), "sandbox".to_owned());
    let settings = Settings::new(client.clock(), chrono::Utc::now, hold).stop_after_errors(1);
    let mut merge = Merge::new(client, &mut ledger, settings).await.unwrap();
    let candidate =
        Candidate { key: Key::of(email).unwrap(), leads: leads.to_vec(), known: Known::default() };
    let plan = merge.plan(&[candidate], Policy::default(), "sandbox".to_owned(), 1).await.unwrap();
    merge.carry_out(Confirmed::new(plan), &mut ()).await
}

#[test]
fn memberships_objects_and_merges_are_understood_by_the_sandbox() {
    let instance = Instance::start(quick());
    let sandbox = &instance.sandbox;
    let put = |email: &str| sandbox.put_lead(&json!({"email": email}));
    let (winner, loser) = (put("ada+1@example.com"), put("ada+1@example.com"));
    sandbox.put_list(7, "Newsletter", &[loser]);
    sandbox.put_program(3, "Webinar", &["Invited", "Attended"], &[(loser, "Attended")]);
    let driver = put("grace@example.com");
    sandbox.put_custom_object("car_c", driver);
    let client = client_with(&instance, |_| {});
    instance.block_on(async {
        let schema = client.describe().await.unwrap();
        assert!(
            schema.fields["email"].updateable && schema.searchable.contains(&"email".to_owned())
        );
        let (email, fields) = (["ada+1@example.com".to_owned()], ["id".to_owned()]);
        assert_eq!(client.leads_by("email", &email, &fields).await.unwrap().len(), 2);

        assert_eq!(client.static_lists().await.unwrap()[0].name, "Newsletter");
        assert_eq!(client.list_members(7, None).await.unwrap(), (vec![loser], None));
        assert_eq!(client.list_membership(loser).await.unwrap()[0]["id"], 7);
        assert_eq!(client.programs().await.unwrap()[0].id, 3);
        let (members, next) = client.program_members(3, None).await.unwrap();
        assert_eq!((members[0].lead, next), (loser, None));
        assert_eq!(client.program_membership(loser).await.unwrap().len(), 1);

        let object = client.lead_custom_objects().await.unwrap().remove(0);
        assert_eq!((object.name.as_str(), object.lead_field.as_str()), ("car_c", "id"));
        let rows = client
            .custom_objects("car_c", &object.link_field, &[driver.to_string()], &[])
            .await
            .unwrap();
        assert_eq!(rows.len(), 1);

        let report = merge(&client, &[winner, loser], "ada+1@example.com").await;
        assert_eq!(report.count(Merged), 1, "{report:?}");
        let left = client.leads_by_id(&[winner, loser], &fields).await.unwrap();
        assert_eq!(left.iter().map(|lead| lead.id).collect::<Vec<_>>(), [winner]);
        assert_eq!(client.usage_today().await.unwrap().total, client.calls_made());
    });
}

#[test]
fn the_wrong_secret_is_a_matter_of_credentials() {
    let instance = Instance::start(quick());
    let client = client_with(&instance, |options| {
        *options = options.clone().credentials(instance.sandbox.client_id(), "wrong");
    });
    let error = instance.block_on(client.describe()).unwrap_err();
    assert!(matches!(error, Error::Credentials { .. }) && error.stops_the_run(), "{error}");
}
