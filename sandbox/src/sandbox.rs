//! A running sandbox: how it is started and stopped, what was done in it, and what can be put into
//! it past the API.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::clock::now;
use super::instance::Shared;
use super::options::{Fault, Options};
use super::seed::{Seed, SeedLabel, fill};
use super::server;
use super::view::{LeadView, view};
use super::world::log::What;
use super::world::{Membership, Program, StaticList, World, by_hand, objects};

/// A running sandbox. It ends when it is stopped or dropped.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    pub(super) shared: Arc<Shared>,
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
        world.minds_email_case = options.knobs.is("email_case", "minded");
        world.minds_case = options.knobs.is("lookup_case", "minded");
        let labels = fill(&mut world, &Seed::of(&options));
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
        self.shared.limits().calls().clone()
    }

    /// All calls so far.
    pub fn calls_made(&self) -> u64 {
        self.shared.limits().calls().values().sum()
    }

    /// Refusals so far, by code.
    pub fn errors(&self) -> BTreeMap<String, u64> {
        self.shared.limits().errors().clone()
    }

    /// The next call with this `METHOD /path/{id}` goes wrong in this way.
    pub fn fail_next(&self, endpoint: &str, fault: Fault) {
        self.shared.faults().order(endpoint.to_owned(), fault);
    }

    /// Puts a lead in, past the API, and gives its id. `sfdcLeadId`, `sfdcContactId` and
    /// `leadPartitionId` are heeded; `createdAt` too.
    pub fn put_lead(&self, fields: &Value) -> u64 {
        let mut world = self.shared.world();
        by_hand::put(&mut world, fields, now())
    }

    /// Changes a lead, as somebody on Marketo's screens does; whether it lives.
    pub fn change_lead(&self, id: u64, fields: &Value) -> bool {
        let mut world = self.shared.world();
        by_hand::change(&mut world, id, fields, now())
    }

    /// Deletes a lead, as somebody on Marketo's screens does.
    pub fn delete_lead(&self, id: u64) {
        self.shared.world().delete(id, now(), What::DeleteLead);
    }

    /// Deletes a lead, as Salesforce's sync does: it never is among the deleted leads.
    pub fn delete_lead_in_crm(&self, id: u64) {
        self.shared.world().delete(id, now(), What::DeleteLeadFromSfdc);
    }

    /// Lets an anonymous visitor turn out to be this lead: a merge in the log, of an id that nobody
    /// could read.
    pub fn join_visitor(&self, id: u64) {
        let mut world = self.shared.world();
        let visitor = world.next_id();
        world.bury(visitor, Some(id));
        world.record(id, now(), What::JoinVisitor { visitor });
    }

    /// Makes a static list with these leads on it.
    pub fn put_list(&self, id: u64, name: &str, members: &[u64]) {
        let list = StaticList { name: name.to_owned(), members: members.iter().copied().collect() };
        self.shared.world().lists.insert(id, list);
    }

    /// Makes a program with these steps, and leads at some of them.
    pub fn put_program(&self, id: u64, name: &str, statuses: &[&str], members: &[(u64, &str)]) {
        let since = now();
        let member = |(lead, status): &(u64, &str)| {
            let reached_success = statuses.last() == Some(status);
            (*lead, Membership::new((*status).to_owned(), since, reached_success))
        };
        let program = Program {
            name: name.to_owned(),
            statuses: statuses.iter().map(|status| (*status).to_owned()).collect(),
            members: members.iter().map(member).collect(),
        };
        self.shared.world().programs.insert(id, program);
    }

    /// Gives a member of a program fields of its own; one that is no member gets none.
    pub fn put_member_fields(&self, program: u64, lead: u64, fields: &Map<String, Value>) {
        let mut world = self.shared.world();
        let member =
            world.programs.get_mut(&program).and_then(|program| program.members.get_mut(&lead));
        if let Some(member) = member {
            member.data.extend(fields.clone());
        }
    }

    /// Gives a lead a row of a custom object, which links to leads by id; the object is made where
    /// there is none.
    pub fn put_custom_object(&self, name: &str, lead: u64) {
        let mut world = self.shared.world();
        objects::put_object_row(&mut world, name, objects::row_of(lead));
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
