//! A file of records through the engine: a result a line.
//!
//! For: `upsert FILE`. The lines are put into the order of their keys (`lines`), handed to the
//! engine a few thousand at a time, and read back in the end (`read_back`). Several runs, and
//! guards, may go on at once: leases keep them apart, key by key, and protect the keys of a killed
//! run.
//!
//! Never: writes a line without a key, one whose key several leads have, or anything in a preview.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _, stream};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use super::Error;
use super::engine::{
    Action, ApiUser, Engine, EngineSettings, Envelope, Event, FairQueue, Goal, Observer, Outcome,
    PendingReply, Record as WriteRecord, WriteRequest, raw,
};
use super::read::Record;
use crate::dedupe::{FieldFacts, KeyKind};
use crate::leases::SharedLeases;
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
pub async fn write_file(
    client: &Client,
    leases: SharedLeases,
    watch: Arc<dyn Watch>,
    settings: FileSettings,
    records: Vec<Record>,
) -> UpsertReport {
    let FileSettings { lookup_field, lookup_kind, stop, dry_run, concurrency, .. } = &settings;
    let count = records.len();
    let (lines, skipped) = lines::in_order(records, lookup_field, *lookup_kind);
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
        client,
        settings: &settings,
        lines: &lines,
        engine: Engine::start(sender, leases, turns, engine),
        end: &end,
        room: Semaphore::new(AHEAD * concurrency.max(&1)),
        watch: &*watch,
        done: AtomicU64::new(skipped.len() as u64),
    };
    let fates = run.all().await;
    let error = end.error();
    let why = match &error {
        Some(error) => format!("the run stopped before this line was written: {error}"),
        None => "the run was stopped before this line was written".to_owned(),
    };
    let (mut results, written) = lines::results(&lines, &fates, &why);
    let mut ended = match error {
        Some(error) => Ended::Failed(error),
        None if fates.iter().all(|fate| matches!(fate, Fate::Ended(_))) => Ended::Complete,
        None => Ended::Interrupted,
    };
    if matches!(ended, Ended::Complete) && !dry_run {
        let known = (&settings.facts, clock);
        let read = read_back::read_back(client, known, stop, written, &mut results).await;
        if let Err(error) = read {
            ended = Ended::Failed(error.into());
        }
    }
    results.extend(skipped);
    results.sort_by_key(|result| result.line);
    UpsertReport { records: count, record: results, ended }
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
struct Run<'a> {
    client: &'a Client,
    settings: &'a FileSettings,
    lines: &'a [Line],
    engine: Engine<()>,
    end: &'a RunEnd,
    /// For lines that the engine may have at once.
    room: Semaphore,
    watch: &'a dyn Watch,
    /// Lines that have a result.
    done: AtomicU64,
}

/// Lines that were handed to the engine together; none where the run was over before.
type Chunk<'a> = (usize, Option<(PendingReply, SemaphorePermit<'a>)>);

impl Run<'_> {
    /// Brings every line to an end, or the run. Lines of one key are handed over in their order.
    async fn all(&self) -> Vec<Fate> {
        let chunks = stream::iter(self.lines.chunks(CHUNK).map(<[Line]>::len).enumerate());
        let handed = chunks.then(|(number, len)| self.hand_over(number * CHUNK, len));
        let ended = handed.map(|chunk| self.follow(chunk)).buffered(usize::MAX);
        let fates = ended.collect::<Vec<_>>().await;
        // A call in doubt keeps its leases: they end by themselves, and not before the call.
        tokio::time::timeout(RELEASED, self.engine.drain()).await.ok();
        fates.into_iter().flatten().collect()
    }

    /// Hands over so many lines as soon as there is room for them.
    async fn hand_over(&self, first: usize, len: usize) -> Chunk<'_> {
        let room = tokio::select! {
            biased;
            () = self.end.ended.cancelled() => return (len, None),
            room = self.room.acquire_many(u32::try_from(len).unwrap_or(u32::MAX)) => room,
        };
        // Nobody closes it.
        let Ok(room) = room else { return (len, None) };
        let FileSettings { lookup_field, instance, .. } = self.settings;
        let envelope = envelope(self.settings);
        let record =
            |line: &Line| WriteRecord::of_fields(&line.record(lookup_field), &envelope, instance);
        let pending = self.engine.submit(WriteRequest {
            user: ApiUser::named("upsert"),
            origin: (),
            fingerprint: [0; 32],
            records: self.lines.iter().skip(first).take(len).map(record).collect(),
            envelope,
            admitted: Vec::new(),
        });
        (len, Some((pending, room)))
    }

    /// Waits until each line has its outcome, or the run is over. Then nothing more leaves, and
    /// what is under way comes to its end. A call in doubt is not waited for.
    async fn follow(&self, (len, handed): Chunk<'_>) -> Vec<Fate> {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; len];
        let Some((mut pending, mut room)) = handed else {
            return outcomes.iter().map(|_| Fate::NotSent).collect();
        };
        let mut note = |(place, outcome): (usize, Outcome)| {
            if let Some(noted) = outcomes.get_mut(place) {
                *noted = self.end_of(outcome);
            }
        };
        while let Some(next) = tokio::select! {
            biased;
            next = pending.next() => next,
            () = self.end.ended.cancelled() => None,
        } {
            note(next);
            drop(room.split(1));
            self.watch.lines_done(self.done.fetch_add(1, Ordering::Relaxed) + 1);
        }
        pending.withdraw();
        loop {
            let at_rest = !pending.is_under_way();
            // Read after that, so that no outcome is missed of a line that was under way.
            while let Some(Some(next)) = pending.next().now_or_never() {
                note(next);
            }
            if at_rest {
                break;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let in_doubt = pending.in_doubt();
        let fate = |(place, outcome): (usize, Option<Outcome>)| match outcome {
            Some(outcome) => Fate::Ended(outcome),
            None if in_doubt.contains(&place) => Fate::InDoubt,
            None => Fate::NotSent,
        };
        outcomes.into_iter().enumerate().map(fate).collect()
    }

    /// The outcome of a line, unless it did not leave because the run ended: then it was not
    /// refused. A refusal that every line would get ends the run.
    fn end_of(&self, outcome: Outcome) -> Option<Outcome> {
        let (is_unsent, is_own) = match &outcome {
            Outcome::Refused(refused) => {
                self.end.note(self.client, refused);
                (true, refused.is_of_the_call())
            }
            other => (matches!(other, Outcome::NotSent), false),
        };
        (is_own || !is_unsent || !self.end.ended.is_cancelled()).then_some(outcome)
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
