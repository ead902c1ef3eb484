//! A Marketo to practise on: an HTTP server on this machine that behaves as Adobe documents the
//! REST API to behave, and where the documents are silent, in the way that is harder on its client.
//!
//! For: the tests, the demo, and anybody who wants to see what a command does before it does it for
//! real. The race is real in it (`sync`), merges follow Marketo's rules to the letter (`merge`),
//! calls are limited and counted (`gate`), and what can go wrong does go wrong when asked to
//! ([`Fault`]). Never: real people, another address than loopback, or a line of code shared with
//! the client, since a misreading in the one must not hide in the other.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

mod activities;
mod answer;
mod chance;
mod control;
mod extract;
mod flags;
mod gate;
mod import;
mod leads;
mod lists;
mod meddle;
mod merge;
mod objects;
mod options;
mod programs;
mod request;
mod routes;
mod schema;
mod seed;
mod server;
mod stored;
mod sync;
mod values;
mod world;

pub use control::ObjectSpec;
pub use flags::Flags;
pub use meddle::{Deed, Meanwhile, Meddled, Moment, Screens};
pub use options::{Fault, Faults, Knobs, OptionError, Options};
pub use routes::PERMISSIONS;
pub use seed::{Seed, SeedCause, SeedLabel};
pub use world::Relation;
pub use world::past::Held;

use activities::log::What;
use server::Shared;
use world::World;

/// Keeps the example of the README true.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// A running sandbox. It ends when it is stopped or dropped.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    shared: Arc<Shared>,
    labels: Vec<SeedLabel>,
    stop: CancellationToken,
    server: Option<JoinHandle<()>>,
}

/// Writes are held up while it lives; see [`Sandbox::hold_writes`].
#[derive(Debug)]
pub struct HeldWrites {
    shared: Arc<Shared>,
}

impl Drop for HeldWrites {
    fn drop(&mut self) {
        self.shared.holds.send_modify(|holds| *holds -= 1);
    }
}

/// A lead as a test or the demo looks at it, past the API.
#[derive(Debug, Clone, PartialEq)]
pub struct LeadView {
    /// Marketo's id.
    pub id: u64,
    /// What the API shows, nulls left out.
    pub fields: Map<String, Value>,
    /// The static lists that it is on.
    pub lists: Vec<u64>,
    /// The programs that it is in, with its status.
    pub programs: BTreeMap<u64, String>,
    /// Those of them in which it reached success.
    pub successes: Vec<u64>,
}

impl Sandbox {
    /// Fills an instance and serves it on the listener, which must be on loopback. Needs a runtime.
    pub fn start(listener: TcpListener, options: Options) -> io::Result<Self> {
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("the sandbox serves on loopback alone, not on {address}"),
            ));
        }
        let delay = chrono::Duration::from_std(options.knobs.activity_delay()).unwrap_or_default();
        let mut world = World::new(delay);
        world.email_trim = options.knobs.is("email_trim", "true");
        world.minds_case = options.knobs.is("lookup_case", "minded");
        let labels = seed::fill(&mut world, &Seed::of(&options));
        let shared = Arc::new(Shared::new(options, world));
        let stop = CancellationToken::new();
        let server = tokio::spawn(server::serve(
            listener,
            Arc::clone(&shared),
            stop.clone().cancelled_owned(),
        ));
        Ok(Self { address, shared, labels, stop, server: Some(server) })
    }

    /// `http://127.0.0.1:PORT`
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The client id that it knows. With `.NAME` behind it, it is that of an integration of its
    /// own, whose API user is `NAME@api.example.com`; the secret is the same.
    pub fn client_id(&self) -> &str {
        &self.shared.client_id
    }

    /// The secret of that client id. The sandbox's people are invented, so it is no secret.
    pub fn client_secret(&self) -> &str {
        &self.shared.client_secret
    }

    /// The three variables that point a client at it, as a shell takes them.
    pub fn exports(&self) -> String {
        format!(
            "export MARKETO_BASE_URL={}\nexport MARKETO_CLIENT_ID={}\nexport MARKETO_CLIENT_SECRET={}",
            self.base_url(),
            self.client_id(),
            self.client_secret()
        )
    }

    /// From now on writes of leads that arrive look their keys up and then go no further, until
    /// what this gives is dropped; then their race window begins. So a test has calls under way for
    /// certain, however slow the machine.
    pub fn hold_writes(&self) -> HeldWrites {
        self.shared.holds.send_modify(|holds| *holds += 1);
        HeldWrites { shared: Arc::clone(&self.shared) }
    }

    /// Stops serving; work that is under way goes on.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(server) = self.server.take() {
            // It ends by itself; a panic in it was reported when it happened.
            drop(server.await);
        }
    }

    /// The truth about the duplicate groups that it was filled with.
    pub fn labels(&self) -> &[SeedLabel] {
        &self.labels
    }

    /// How many leads live.
    pub fn leads_living(&self) -> usize {
        self.shared.world().leads().count()
    }

    /// Every living lead, by id.
    pub fn leads(&self) -> Vec<LeadView> {
        let world = self.shared.world();
        world.leads().map(|record| view(&world, record)).collect()
    }

    /// One living lead.
    pub fn lead(&self, id: u64) -> Option<LeadView> {
        let world = self.shared.world();
        world.lead(id).map(|record| view(&world, record))
    }

    /// The lead that this one was merged into, by the last merge.
    pub fn merged_into(&self, id: u64) -> Option<u64> {
        self.shared.world().merged_into(id)
    }

    /// Calls so far, by `METHOD /path/{id}`.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.shared.gate().calls().clone()
    }

    /// All calls so far.
    pub fn calls_made(&self) -> u64 {
        self.shared.gate().calls().values().sum()
    }

    /// Refusals so far, by code.
    pub fn errors(&self) -> BTreeMap<String, u64> {
        self.shared.gate().errors().clone()
    }

    /// The next call with this `METHOD /path/{id}` goes wrong in this way.
    pub fn fail_next(&self, endpoint: &str, fault: Fault) {
        self.shared.chance().order(endpoint.to_owned(), fault);
    }

    /// Puts a lead in, past the API, and gives its id. `sfdcLeadId`, `sfdcContactId` and
    /// `leadPartitionId` are heeded; `createdAt` too.
    pub fn put_lead(&self, fields: &Value) -> u64 {
        let mut world = self.shared.world();
        world::put(&mut world, fields, server::now())
    }

    /// Changes a lead, as somebody on Marketo's screens does; whether it lives.
    pub fn change_lead(&self, id: u64, fields: &Value) -> bool {
        let mut world = self.shared.world();
        world::change(&mut world, id, fields, server::now())
    }

    /// Deletes a lead, as somebody on Marketo's screens does.
    pub fn delete_lead(&self, id: u64) {
        self.shared.world().delete(id, server::now(), What::DeleteLead);
    }

    /// Deletes a lead, as Salesforce's sync does: it never is among the deleted leads.
    pub fn delete_lead_in_crm(&self, id: u64) {
        self.shared.world().delete(id, server::now(), What::DeleteLeadFromSfdc);
    }

    /// Lets an anonymous visitor turn out to be this lead: a merge in the log, of an id that nobody
    /// could read.
    pub fn join_visitor(&self, id: u64) {
        let mut world = self.shared.world();
        let visitor = world.next_id();
        world.bury(visitor, Some(id));
        world.record(id, server::now(), What::JoinVisitor { visitor });
    }

    /// Makes a static list with these leads on it.
    pub fn put_list(&self, id: u64, name: &str, members: &[u64]) {
        let list =
            world::StaticList { name: name.to_owned(), members: members.iter().copied().collect() };
        self.shared.world().lists.insert(id, list);
    }

    /// Makes a program with these steps, and leads at some of them.
    pub fn put_program(&self, id: u64, name: &str, statuses: &[&str], members: &[(u64, &str)]) {
        let since = server::now();
        let member = |(lead, status): &(u64, &str)| {
            let reached_success = statuses.last() == Some(status);
            (*lead, world::Membership { status: (*status).to_owned(), since, reached_success })
        };
        let program = world::Program {
            name: name.to_owned(),
            statuses: statuses.iter().map(|status| (*status).to_owned()).collect(),
            members: members.iter().map(member).collect(),
        };
        self.shared.world().programs.insert(id, program);
    }

    /// Gives a lead a row of a custom object, which links to leads by id; the object is made where
    /// there is none.
    pub fn put_custom_object(&self, name: &str, lead: u64) {
        let mut world = self.shared.world();
        world::put_object_row(&mut world, name, world::row_of(lead));
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn view(world: &World, record: &world::Record) -> LeadView {
    let on =
        |(id, list): (&u64, &world::StaticList)| list.members.contains(&record.id).then_some(*id);
    let is_in = |(id, program): (&u64, &world::Program)| {
        let member = program.members.get(&record.id)?;
        Some((*id, (member.status.clone(), member.reached_success)))
    };
    let lists = world.lists.iter().filter_map(on).collect();
    view_of(record, lists, world.programs.iter().filter_map(is_in).collect())
}

fn view_of(
    record: &world::Record,
    lists: Vec<u64>,
    programs: BTreeMap<u64, (String, bool)>,
) -> LeadView {
    let successes =
        programs.iter().filter(|(_, (_, reached))| *reached).map(|(id, _)| *id).collect();
    LeadView {
        id: record.id,
        fields: shown_fields(record),
        lists,
        programs: programs.into_iter().map(|(id, (status, _))| (id, status)).collect(),
        successes,
    }
}

/// What the API shows of a lead, nulls left out.
fn shown_fields(record: &world::Record) -> Map<String, Value> {
    schema::FIELDS
        .iter()
        .zip(0..)
        .map(|(field, number)| (field.name.to_owned(), record.shown(number)))
        .filter(|(_, value)| !value.is_null())
        .collect()
}
