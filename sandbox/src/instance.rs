//! One instance, as all its connections share it: the world, and what is counted, drawn and ordered
//! beside it, each behind a lock of its own.
//!
//! Endpoints know it; it knows none of them.

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use super::extract::jobs::Jobs;
use super::faults::draw::FaultDraw;
use super::import::batches::Imports;
use super::limits::{Limits, Tokens};
use super::meddle::script::Script;
use super::merge::refusals::Refusals;
use super::options::Options;
use super::request::Request;
use super::world::World;

/// One instance, shared by all its connections.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: Options,
    world: Mutex<World>,
    limits: Mutex<Limits>,
    tokens: Mutex<Tokens>,
    faults: Mutex<FaultDraw>,
    jobs: Mutex<Jobs>,
    imports: Mutex<Imports>,
    script: Mutex<Script>,
    refusals: Mutex<Refusals>,
    /// How many there are who hold up the writes that have arrived.
    pub(super) holds: watch::Sender<usize>,
    pub(super) client_id: String,
    pub(super) client_secret: String,
}

impl Shared {
    pub(super) fn new(options: Options, world: World) -> Self {
        let limits = Mutex::new(Limits::new(&options));
        let faults = Mutex::new(FaultDraw::new(options.seed, &options.faults));
        let refusals = Refusals::new(options.seed, options.knobs.share("refused_merges"));
        let jobs = Jobs::new(options.daily_export, options.knobs.clock_speed())
            .with_checksums(options.knobs.is("export_checksum", "present"));
        let jobs = Mutex::new(jobs);
        Self {
            client_id: format!("sandbox-client-{}", options.seed),
            client_secret: format!("sandbox-secret-{}", options.seed),
            options,
            world: Mutex::new(world),
            limits,
            tokens: Mutex::default(),
            faults,
            jobs,
            imports: Mutex::default(),
            script: Mutex::default(),
            refusals: Mutex::new(refusals),
            holds: watch::Sender::new(0),
        }
    }

    /// Waits while writes are held up.
    pub(super) async fn let_go(&self) {
        // It fails only where the sender is gone, which is `self`.
        drop(self.holds.subscribe().wait_for(|holds| *holds == 0).await);
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock();
        world.cause = None;
        world
    }

    /// The world, whose changes are this call's.
    pub(super) fn world_for(&self, request: &Request) -> MutexGuard<'_, World> {
        let mut world = self.world();
        world.cause = Some(request.cause());
        world
    }

    pub(super) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock()
    }

    pub(super) fn refusals(&self) -> MutexGuard<'_, Refusals> {
        self.refusals.lock()
    }

    pub(super) fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock()
    }

    pub(super) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock()
    }

    /// Taken before the world wherever both are.
    pub(super) fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock()
    }

    /// Taken before the world wherever both are.
    pub(super) fn imports(&self) -> MutexGuard<'_, Imports> {
        self.imports.lock()
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, FaultDraw> {
        self.faults.lock()
    }
}
