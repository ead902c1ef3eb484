//! A file of records through the engine: a result a line.
//!
//! For: `upsert FILE`. The lines are put into the order of their keys (`lines`), handed to the
//! engine a few thousand at a time, and read back in the end (`read_back`). Several runs, and
//! guards, may go on at once: leases keep them apart, key by key, and protect the keys of a killed
//! run.
//!
//! Never: writes a line without a key, one whose key several leads have, or anything in a preview.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::select_all;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::engine::{
    Action, ApiUser, Engine, EngineSettings, Envelope, Event, FairQueue, Goal, Observer, Outcome,
    PendingReply, Record as WriteRecord, WriteRequest, raw,
};
use super::read::Record;
use crate::dedupe::{FieldFacts, KeyKind};
use crate::leases::Leases;
use crate::marketo::{BATCH, Client, Clock, SYNC_LIMIT, longest};

mod lines;
mod read_back;
mod result;
mod sender;

pub use result::{LineResult, Status, UpsertReport};

use lines::{Fate, Line};
use sender::{OwnSender, RunEnd};

/// For how many calls records are looked up together. Three look-ups and, since creates and updates
/// leave apart, at most four writes: 7 calls for 900 keys.
const CALLS: usize = 3;

/// Records that are handed to the engine together.
const CHUNK: usize = CALLS * BATCH;

/// Records that the engine has at once, for each call that may be made at once. Some may wait for
/// another writer for as long as Marketo lets a call run.
const AHEAD: usize = 4 * CHUNK;

/// Between two looks whether what was under way at a stop has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How long a run waits until its leases are released. The others end by themselves.
const RELEASED: Duration = Duration::from_secs(2);

/// How a file is written.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FileSettings {
    /// The instance that is written to, as all who share its leases name it.
    pub instance: String,
    /// The field that makes two records the same, by which leads are looked up.
    pub lookup_field: String,
    /// How its values compare.
    pub lookup_kind: KeyKind,
    /// What is known of the fields: how Marketo stores what is written to them.
    pub facts: FieldFacts,
    /// The partition that new leads go to.
    pub partition: Option<String>,
    /// Look up and say what would be done; write nothing.
    pub dry_run: bool,
    /// Calls under way at once.
    pub concurrency: usize,
    /// Cancelled: the calls in flight are finished, and the run stops.
    pub stop: CancellationToken,
}

impl FileSettings {
    /// Writes to this instance by email; everything else as usual.
    pub fn new(instance: impl Into<String>) -> Self {
        Self {
            instance: instance.into(),
            lookup_field: "email".to_owned(),
            lookup_kind: KeyKind::Email,
            facts: FieldFacts::default(),
            partition: None,
            dry_run: false,
            concurrency: 5,
            stop: CancellationToken::new(),
        }
    }
}

/// Why a run ended before every line was written.
#[derive(Debug)]
#[non_exhaustive]
pub enum Ended {
    /// Every line has its result.
    Complete,
    /// A signal came.
    Interrupted,
    /// A call failed, and the next one would fail too.
    Failed(Error),
}

/// Is told of the progress of a run.
pub trait Watch: Send + Sync {
    /// So many lines have a result by now.
    fn lines_done(&self, done: u64);
    /// The run waits for a call whose answer was lost, this long at most.
    fn waiting(&self, span: Duration);
    /// The run waits for somebody else who is writing the same keys.
    fn held_up(&self);
}

/// Writes records so that no duplicate arises, and gives a result for each, in the order of their
/// lines. Needs a runtime.
pub async fn write_file<L: Leases>(
    client: &Client,
    leases: L,
    watch: Arc<dyn Watch>,
    settings: FileSettings,
    records: Vec<Record>,
) -> UpsertReport {
    let FileSettings { lookup_field, lookup_kind, stop, dry_run, concurrency, .. } = &settings;
    let mut report = UpsertReport::new(records.len());
    let (lines, skipped) = lines::in_order(records, lookup_field, *lookup_kind);
    let skips = skipped.len() as u64;
    let end = Arc::new(RunEnd::new(stop.child_token()));
    let sender = OwnSender { client: client.clone(), end: Arc::clone(&end) };
    let clock = client.clock();
    let engine = EngineSettings {
        calls_in_a_batch: CALLS,
        clock,
        observer: Arc::new(Follower { watch: Arc::downgrade(&watch), clock }),
        ..EngineSettings::default()
    };
    let turns = Arc::new(FairQueue::new(client.pacer()));
    let run = Run {
        engine: Engine::start(sender, Arc::new(leases), turns, engine),
        end: Arc::clone(&end),
        chunks: Vec::new(),
        missing: 0,
        fates: lines.iter().map(|_| None).collect(),
    };
    let ahead = AHEAD * concurrency.max(&1);
    let envelope = || envelope(&settings);
    let done = |done: usize| watch.lines_done(skips + done as u64);
    let fates = run.all(client, &lines, (&settings, &envelope, ahead), done).await;
    let error = end.error();
    let why = match &error {
        Some(error) => format!("the run stopped before this line was written: {error}"),
        None => "the run was stopped before this line was written".to_owned(),
    };
    let is_complete = fates.iter().all(|fate| matches!(fate, Fate::Ended(_)));
    let (mut results, written) = lines::results(&lines, &fates, &why);
    report.end(match error {
        Some(error) => Ended::Failed(error),
        None if is_complete => Ended::Complete,
        None => Ended::Interrupted,
    });
    if matches!(report.ended, Ended::Complete) && !dry_run {
        let known = (&settings.facts, clock);
        let read = read_back::read_back(client, known, stop, written, &mut results).await;
        if let Err(error) = read {
            report.end(Ended::Failed(error.into()));
        }
    }
    skipped.into_iter().chain(results).for_each(|result| report.add(result));
    report.in_order();
    report
}

fn envelope(settings: &FileSettings) -> Envelope {
    let partition = settings.partition.as_ref().map(|name| ("partitionName".to_owned(), raw(name)));
    Envelope {
        kind: settings.lookup_kind,
        goal: if settings.dry_run { Goal::Preview } else { Goal::WriteChanges },
        only_on_create: partition.into_iter().collect(),
        ..Envelope::sync(Action::CreateOrUpdate, &settings.lookup_field)
    }
}

/// A run under way.
struct Run {
    engine: Engine<()>,
    end: Arc<RunEnd>,
    chunks: Vec<Chunk>,
    /// Lines that the engine has, and that have no outcome yet.
    missing: usize,
    fates: Vec<Option<Outcome>>,
}

/// Lines that were handed to the engine together.
struct Chunk {
    /// The place of the first one among all lines.
    first: usize,
    pending: PendingReply,
}

impl Run {
    /// Brings every line to an end, or the run.
    async fn all(
        mut self,
        client: &Client,
        lines: &[Line],
        (settings, envelope, ahead): (&FileSettings, &impl Fn() -> Envelope, usize),
        done: impl Fn(usize),
    ) -> Vec<Fate> {
        let mut handed = 0;
        let mut ended = 0;
        while !self.end.ended.is_cancelled() {
            while self.missing < ahead && handed < lines.len() {
                let chunk = lines.get(handed..).unwrap_or_default();
                let chunk = chunk.get(..CHUNK).unwrap_or(chunk);
                self.hand_over(handed, chunk, settings, envelope());
                handed += chunk.len();
            }
            let over = self.end.ended.clone();
            let next = tokio::select! {
                biased;
                next = self.next() => next,
                () = over.cancelled() => break,
            };
            let Some((place, outcome)) = next else { break };
            self.note(client, place, outcome);
            ended += 1;
            done(ended);
        }
        self.come_to_rest(client).await;
        let in_doubt: Vec<usize> = self
            .chunks
            .iter()
            .flat_map(|chunk| chunk.pending.in_doubt().into_iter().map(|place| chunk.first + place))
            .collect();
        self.chunks.clear();
        // A call in doubt keeps its leases: they end by themselves, and not before the call.
        tokio::time::timeout(RELEASED, self.engine.drain()).await.ok();
        let fate = |(place, outcome): (usize, Option<Outcome>)| match outcome {
            Some(outcome) => Fate::Ended(outcome),
            None if in_doubt.contains(&place) => Fate::InDoubt,
            None => Fate::NotSent,
        };
        self.fates.into_iter().enumerate().map(fate).collect()
    }

    fn hand_over(
        &mut self,
        first: usize,
        lines: &[Line],
        settings: &FileSettings,
        envelope: Envelope,
    ) {
        let record = |line: &Line| {
            let fields = line.record(&settings.lookup_field);
            WriteRecord::of_fields(&fields, &envelope, &settings.instance)
        };
        let records: Vec<WriteRecord> = lines.iter().map(record).collect();
        self.missing += records.len();
        let pending = self.engine.submit(WriteRequest {
            user: ApiUser::named("upsert"),
            origin: (),
            fingerprint: [0; 32],
            envelope,
            records,
            admitted: Vec::new(),
        });
        self.chunks.push(Chunk { first, pending });
    }

    /// The next line that has an outcome; none when all have that were handed over.
    async fn next(&mut self) -> Option<(usize, Outcome)> {
        while !self.chunks.is_empty() {
            let nexts = self.chunks.iter_mut().map(|chunk| {
                let first = chunk.first;
                let next = async move { chunk.pending.next().await.map(|(p, o)| (first + p, o)) };
                next.boxed()
            });
            let (next, place, _) = select_all(nexts).await;
            match next {
                Some(next) => return Some(next),
                None => drop(self.chunks.swap_remove(place)),
            }
        }
        None
    }

    fn note(&mut self, client: &Client, place: usize, outcome: Outcome) {
        if let Outcome::Refused(refused) = &outcome {
            self.end.note(client, refused);
        }
        let is_over = self.end.ended.is_cancelled();
        let unsent = matches!(outcome, Outcome::NotSent | Outcome::Refused(_));
        let Some(fate) = self.fates.get_mut(place) else { return };
        self.missing -= 1;
        let is_own = matches!(&outcome, Outcome::Refused(refused) if refused.is_of_the_call());
        // A line that did not leave because the run ended was not refused.
        if !(is_over && unsent) || is_own {
            *fate = Some(outcome);
        }
    }

    /// The run is over: nothing more leaves, and what is under way comes to its end. A call in
    /// doubt is not waited for.
    async fn come_to_rest(&mut self, client: &Client) {
        self.chunks.iter().for_each(|chunk| chunk.pending.withdraw());
        loop {
            let at_rest = self.chunks.iter().all(|chunk| !chunk.pending.is_under_way());
            // Read after that, so that no outcome is missed of a line that was under way.
            while let Some(Some((place, outcome))) = self.next().now_or_never() {
                self.note(client, place, outcome);
            }
            if at_rest {
                return;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// Passes on the engine's events, for as long as somebody watches.
#[derive(Debug)]
struct Follower {
    watch: Weak<dyn Watch>,
    clock: Clock,
}

impl Observer for Follower {
    fn event(&self, event: &Event<'_>) {
        let Some(watch) = self.watch.upgrade() else { return };
        match event {
            Event::InDoubt(_) => watch.waiting(longest(SYNC_LIMIT, self.clock)),
            Event::HeldElsewhere => watch.held_up(),
            _ => {}
        }
    }
}
