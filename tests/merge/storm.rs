//! Random instances, weather and people while random runs of `mkto-audit merge` come and are
//! killed, judged afterwards by the sandbox's own books and by the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::{Arc, Mutex, mpsc};

use mkto_audit::ledger::{CallKind, Ledger};
use mkto_sandbox::{Deed, LeadView, Meanwhile, Meddled, Moment, Options};
use serde_json::{Map, Value, json};

use crate::support::merging::{command, fill_cache};
use crate::support::wait::{self, LONGEST};
use crate::support::{CLOCK_SPEED, Instance, Run, quick};

/// Numbers from a seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, odds: u64) -> bool {
        self.below(odds) == 0
    }

    fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[usize::try_from(self.below(among.len() as u64)).unwrap()]
    }
}

const CONSENT: &[&str] =
    &["unsubscribed", "doNotCall", "marketingSuspended", "emailInvalid", "emailOptOut"];
const VALUES: &[&str] = &["title", "city", "phone", "company", "leadScore", "department"];

/// What may go wrong with a call; each storm draws some.
const WEATHER: &[&str] = &[
    "502",
    "cut_before",
    "cut_after",
    "lost_604",
    "lost_502",
    "604",
    "606",
    "615",
    "611",
    "601",
    "602",
    "html",
    "truncated",
    "partial_merge",
    "late_merge",
    "stale_read",
    "missing_read",
    "no_result",
];

/// What an administrator may have set.
const SETTINGS: &[&str] = &[
    "merge_score=winner",
    "merge_empties=phone,city",
    "blocked_fields=title",
    "blocked_fields=doNotCall",
    "blocked=always",
    "refused_fields=department",
    "refused_merges=0.1",
    "merge_blanks=first_nonblank",
    "bool_rule=legacy_true_wins",
    "merge_activity=late",
    "merge_partial=atomic",
    "merged_lead=empty",
    "overwritten_fields=city:Nowhere",
];

const CALLS: &[&str] =
    &["/merge", "GET /rest/v1/leads.json", "POST /rest/v1/leads.json", "/activities.json"];

fn options(dice: &mut Dice) -> Options {
    let mut options = quick();
    options.seed = dice.next();
    for knob in ["merge_ms=300", "activity_delay_ms=500"] {
        options.set_knob(knob).unwrap();
    }
    for _ in 0..dice.below(4) {
        options.set_knob(dice.pick::<&str>(SETTINGS)).unwrap();
    }
    for _ in 0..dice.below(5) {
        options
            .set_fault(&format!("{}=0.0{}", dice.pick::<&str>(WEATHER), 1 + dice.below(8)))
            .unwrap();
    }
    options
}

/// Groups of two to four, of one person each.
fn fill(instance: &Instance, dice: &mut Dice) -> Vec<Vec<u64>> {
    let mut groups = Vec::new();
    for n in 0..6 + dice.below(8) {
        let mut group = Vec::new();
        for copy in 0..2 + dice.below(3) {
            let mut fields = json!({"email": format!("p{n}@example.com"), "firstName": "Ada", "lastName": "Lovelace"});
            for field in VALUES {
                if dice.one_in(2) {
                    fields[field] = match *field {
                        "leadScore" => json!(1 + n * 100 + copy * 10 + dice.below(9)),
                        "phone" => json!(format!("+1 (555) 010-{:04}", n * 10 + copy)),
                        "company" => json!("Engines Ltd"),
                        _ => json!(format!("{field} {n}.{copy}")),
                    };
                }
            }
            if dice.one_in(9) {
                fields["title"] = json!(format!("Chief \u{1F680} {n}.{copy}"));
            }
            for field in CONSENT {
                if dice.one_in(6) {
                    fields[field] = json!(true);
                }
            }
            group.push(instance.sandbox.put_lead(&fields));
        }
        groups.push(group);
    }
    groups
}

/// Orders what people do during the next run.
fn meddle(instance: &Instance, dice: &mut Dice, groups: &[Vec<u64>], round: u64) {
    for n in 0..dice.below(4) {
        let group = dice.pick(groups).clone();
        let lead = *dice.pick(&group);
        let meanwhile = match dice.below(8) {
            0 | 1 => Meanwhile::OptOut { lead },
            2 => Meanwhile::Change {
                lead,
                fields: json!({"email": format!("moved{round}.{n}@example.com")}),
            },
            3 | 4 => {
                Meanwhile::Change { lead, fields: json!({"title": format!("Typed {round}.{n}")}) }
            }
            5 => Meanwhile::Change { lead, fields: json!({"doNotCall": true}) },
            6 => Meanwhile::Delete { lead },
            _ => {
                let other = *dice.pick(&group);
                if other == lead {
                    continue;
                }
                Meanwhile::Merge { winner: lead, losers: vec![other] }
            }
        };
        let moment = *dice.pick(&[Moment::Before, Moment::During, Moment::After]);
        let nth = usize::try_from(1 + dice.below(12)).unwrap();
        instance.sandbox.at_moment(dice.pick::<&str>(CALLS), nth, moment, meanwhile);
    }
}

fn run(instance: &Instance, dice: &mut Dice, kill: bool) -> Option<Run> {
    let mut command = command(instance, &["--confirm", "--json"]);
    let pid = Arc::new(Mutex::new(None::<u32>));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    *pid.lock().unwrap() = Some(child.id());
    if kill {
        let nth = usize::try_from(1 + dice.below(25)).unwrap();
        let moment = *dice.pick(&[Moment::Before, Moment::During, Moment::After]);
        let end = Arc::clone(&pid);
        let run = move |_: &mkto_sandbox::Screens<'_>| {
            if let Some(id) = end.lock().unwrap().take() {
                drop(std::process::Command::new("kill").args(["-KILL", &id.to_string()]).status());
            }
        };
        instance.sandbox.at_moment("/", nth, moment, Meanwhile::Run(Box::new(run)));
    }
    let stdout = wait::reading(child.stdout.take().unwrap());
    let stderr = wait::reading(child.stderr.take().unwrap());
    let words = |from: mpsc::Receiver<Vec<u8>>| {
        String::from_utf8(from.recv_timeout(LONGEST).expect("the end of the run")).unwrap()
    };
    let stdout = words(stdout);
    // Nobody kills a process of this number once it is over.
    let mut held = pid.lock().unwrap();
    *held = None;
    let code = wait::end_of(&mut child).code();
    drop(held);
    let run = Run { code, stdout, stderr: words(stderr) };
    run.code.is_some().then_some(run)
}

fn open_ledger(instance: &Instance) -> Ledger {
    let name = instance.sandbox.base_url().trim_start_matches("http://").to_owned();
    let file = format!(".local/share/mkto-audit/{}.ledger.db", name.replace(':', "_"));
    Ledger::open(&instance.path(&file), &name).unwrap()
}

/// The ids of all plans; the ledger must not be open.
#[expect(clippy::disallowed_methods, reason = "killed runs tell nobody the ids of their plans")]
fn plans(instance: &Instance) -> Vec<String> {
    let name = instance.sandbox.base_url().trim_start_matches("http://").replace(':', "_");
    let file = instance.path(&format!(".local/share/mkto-audit/{name}.ledger.db"));
    let db = rusqlite::Connection::open(file).unwrap();
    let mut query = db.prepare("SELECT id FROM plan").unwrap();
    let ids = query.query_map([], |row| row.get(0)).unwrap();
    ids.map(Result::unwrap).collect()
}

struct Books<'a> {
    instance: &'a Instance,
    start: BTreeMap<u64, LeadView>,
    meddled: Vec<Meddled>,
    ledger: Ledger,
    plans: Vec<String>,
    /// Findings that are open, by lead and field.
    open: BTreeSet<(u64, String)>,
    /// What any run named of a lead and field, by its value before, in `open` and in the groups'
    /// `surprises`.
    named: BTreeSet<(u64, String)>,
    seed: u64,
    log: String,
}

impl Books<'_> {
    #[track_caller]
    fn fail(&self, what: &str) -> ! {
        panic!("seed {}: {what}\nmeddled: {:#?}\n{}", self.seed, self.meddled, self.log);
    }

    fn by_people(&self, lead: u64) -> bool {
        self.meddled.iter().any(|deed| match deed.what {
            Deed::Delete => deed.lead == lead,
            Deed::Merge => deed.losers.contains(&lead) || deed.lead == lead,
            Deed::Change | Deed::OptOut => false,
        })
    }

    fn end_of(&self, mut lead: u64) -> u64 {
        while let Some(into) = self.instance.sandbox.merged_into(lead) {
            lead = into;
        }
        lead
    }

    fn held(&self, lead: u64) -> Option<Map<String, Value>> {
        let view =
            self.instance.sandbox.lead(lead).or_else(|| self.instance.sandbox.lead_at_death(lead));
        view.map(|view| view.fields)
    }

    fn typed(&self, lead: u64, field: &str) -> bool {
        self.meddled.iter().any(|deed| deed.lead == lead && deed.fields.contains_key(field))
    }

    /// No opt-out of a lead that a merge of ours took away is missing on the survivor.
    fn consent_is_kept(&self) {
        for id in self.start.keys() {
            let end = self.end_of(*id);
            if end == *id || self.by_people(*id) || self.by_people(end) {
                continue;
            }
            let (Some(dead), Some(survivor)) = (self.held(*id), self.held(end)) else { continue };
            for field in CONSENT.iter().filter(|field| dead.get(**field) == Some(&json!(true))) {
                let kept = survivor.get(*field) == Some(&json!(true));
                let named = self.open.iter().any(|(lead, name)| *lead == end && name == field);
                if !kept && !named {
                    self.fail(&format!("`{field}` of lead {id} is lost on {end}\nhistory of {id}: {:?}\nhistory of {end}: {:?}",
                        self.instance.sandbox.history(*id), self.instance.sandbox.history(end)));
                }
            }
        }
    }

    /// A survivor holds a value of one of its leads in each field in which any of them has one.
    fn values_are_kept(&self) {
        let mut by_end: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for id in self.start.keys() {
            by_end.entry(self.end_of(*id)).or_default().push(*id);
        }
        for (end, ids) in by_end.into_iter().filter(|(_, ids)| ids.len() > 1) {
            if ids.iter().any(|id| self.by_people(*id)) || self.instance.sandbox.lead(end).is_none()
            {
                continue;
            }
            let survivor = self.held(end).unwrap();
            for field in VALUES {
                let mut values: Vec<&Value> =
                    ids.iter().filter_map(|id| self.start[id].fields.get(*field)).collect();
                values.extend(
                    self.meddled
                        .iter()
                        .filter(|deed| ids.contains(&deed.lead))
                        .filter_map(|deed| deed.fields.get(*field)),
                );
                // A value that the instance itself made of a write, and that could not be set back,
                // wins over the leads', which the next plan names as dropped: it must have been
                // named when it came.
                if values.is_empty() || ids.iter().any(|id| self.is_named(*id, field)) {
                    continue;
                }
                if !survivor.get(*field).is_some_and(|held| values.contains(&held)) {
                    self.fail(&format!(
                        "`{field}` of {end} is {:?}, and its leads had {values:?}\nhistory: {:?}",
                        survivor.get(*field),
                        self.instance.sandbox.history(end)
                    ));
                }
            }
        }
    }

    /// Whatever was destroyed is in the ledger as it was before its merge left.
    fn backups_are_whole(&self) {
        let mut left: BTreeMap<u64, String> = BTreeMap::new();
        for plan in &self.plans {
            for call in self.ledger.calls_of(plan).unwrap() {
                if call.what.kind == CallKind::Merge {
                    for loser in call.losers() {
                        left.insert(loser, call.started_at.unwrap().to_rfc3339());
                    }
                }
            }
        }
        for id in self.start.keys() {
            let Some(into) = self.instance.sandbox.merged_into(*id) else { continue };
            if self.meddled.iter().any(|deed| deed.what == Deed::Merge && deed.losers.contains(id))
            {
                continue;
            }
            let backups = self.ledger.backups_of(*id).unwrap();
            let Some(kept) = backups.last() else {
                self.fail(&format!("lead {id} went into {into} without a backup"))
            };
            let Some(at) = left.get(id) else {
                self.fail(&format!("lead {id} went into {into} without a call in the ledger"))
            };
            let at: chrono::DateTime<chrono::Utc> = at.parse().unwrap();
            // No client closes the seconds between the last look and the call.
            let look = at - chrono::TimeDelta::milliseconds(5_500 / i64::from(CLOCK_SPEED) + 100);
            let last = self.instance.sandbox.lead_at_death(*id).unwrap();
            let history = self.instance.sandbox.history(*id);
            for (field, value) in &last.fields {
                if field == "updatedAt" || field == "id" || kept.lead.value(field) == Some(value) {
                    continue;
                }
                let late = history
                    .iter()
                    .rev()
                    .find(|held| held.field == *field)
                    .is_some_and(|held| held.at >= look);
                if !late {
                    self.fail(&format!("`{field}` of lead {id} was {value}, and the ledger has {:?}\nhistory: {history:?}\nleft {at}", kept.lead.value(field)));
                }
            }
        }
    }

    /// A lead into which nothing was merged is as it was, but for what people typed.
    fn what_is_left_alone_is_as_it_was(&self) {
        let winners: BTreeSet<u64> =
            self.start.keys().filter_map(|id| self.instance.sandbox.merged_into(*id)).collect();
        for (id, before) in &self.start {
            let Some(now) = self.instance.sandbox.lead(*id).filter(|_| !winners.contains(id))
            else {
                continue;
            };
            if self.by_people(*id) {
                continue;
            }
            for field in VALUES.iter().chain(CONSENT).chain(&["email", "firstName", "lastName"]) {
                let (was, is) = (before.fields.get(*field), now.fields.get(*field));
                if was != is && !self.typed(*id, field) && !self.excused(*id, field, is) {
                    self.fail(&format!("`{field}` of lead {id}, which was left alone, was {was:?} and is {is:?}\nhistory: {:?}", self.instance.sandbox.history(*id)));
                }
            }
        }
    }

    /// Whether a run has named the lead and field with what it should hold, or the ledger has it
    /// open.
    fn is_named(&self, lead: u64, field: &str) -> bool {
        let this = (lead, field.to_owned());
        self.open.contains(&this) || self.named.contains(&this)
    }

    /// An opt-out that was written for a merge stays, and is told; what could not be set back is
    /// named.
    fn excused(&self, lead: u64, field: &str, is: Option<&Value>) -> bool {
        let email = self.start[&lead].fields.get("email");
        let mates =
            self.start.values().filter(|mate| mate.id != lead && mate.fields.get("email") == email);
        // Marketo also unsubscribes every lead with the address that is unsubscribed.
        let said_no = |mate: &LeadView| {
            mate.fields.get(field) == Some(&json!(true)) || self.typed(mate.id, field)
        };
        let opted_out =
            CONSENT.contains(&field) && is == Some(&json!(true)) && mates.clone().any(said_no);
        // Nor is a value taken back whose record somebody merged or deleted meanwhile.
        let giver_gone = VALUES.contains(&field)
            && is.is_some()
            && mates.clone().any(|mate| self.instance.sandbox.lead(mate.id).is_none());
        opted_out || giver_gone || self.is_named(lead, field)
    }
}

/// The leads and fields that a run named as left otherwise than they should be.
fn named_by(run: &Run) -> Vec<(u64, String)> {
    let Ok(document) = serde_json::from_str::<Value>(&run.stdout) else { return Vec::new() };
    let rows = |list: &Value| list.as_array().cloned().unwrap_or_default();
    let surprises =
        rows(&document["group"]).into_iter().flat_map(|group| rows(&group["surprises"]));
    let all = surprises.filter(|row| row["fate"] == "not_set_back").chain(rows(&document["open"]));
    all.map(|row| (row["lead"].as_u64().unwrap(), row["name"].as_str().unwrap().to_owned()))
        .collect()
}

/// A group that is called merged is, and no run ends well while something is open.
fn merged_is_merged(instance: &Instance, run: &Run, seed: u64) {
    let Ok(document) = serde_json::from_str::<Value>(&run.stdout) else { return };
    assert!(
        run.code != Some(0) || document.get("open").is_none(),
        "seed {seed}: {}",
        run.picture()
    );
    for group in
        document["group"].as_array().unwrap().iter().filter(|group| group["outcome"] == "merged")
    {
        for loser in group["losers"].as_array().unwrap() {
            let loser = loser.as_u64().unwrap();
            let into = instance.sandbox.merged_into(loser);
            if group["winner"].as_u64() == Some(loser) {
                continue;
            }
            assert!(
                instance.sandbox.lead(loser).is_none() && into.is_some(),
                "seed {seed}: {loser} lives or was deleted: {}",
                run.picture()
            );
        }
    }
}

fn storm(seed: u64) {
    let mut dice = Dice(seed);
    let mut options = options(&mut dice);
    if dice.one_in(4) {
        // Calm weather: what is left is what people and settings do.
        let settings = options.knobs.clone();
        options = quick();
        options.knobs = settings;
    }
    let described = format!("{options:?}");
    let instance = Instance::start(options);
    let groups = fill(&instance, &mut dice);
    let start = instance.sandbox.leads().into_iter().map(|view| (view.id, view)).collect();
    fill_cache(&instance);
    let mut log = described;
    let (mut quiet, mut named) = (0, BTreeSet::new());
    for round in 0..9 {
        let stormy = round < 4;
        if stormy {
            meddle(&instance, &mut dice, &groups, round);
        }
        let kill = stormy && dice.one_in(2);
        let living = instance.sandbox.leads_living();
        match run(&instance, &mut dice, kill) {
            None => log.push_str("\nkilled"),
            Some(run) => {
                log = format!("{log}\n----- run {round}\n{}", run.picture());
                assert!(matches!(run.code, Some(0 | 1 | 3 | 4)), "seed {seed}: {log}");
                merged_is_merged(&instance, &run, seed);
                named.extend(named_by(&run));
                let same = !stormy && living == instance.sandbox.leads_living();
                quiet = if same { quiet + 1 } else { 0 };
            }
        }
        if quiet == 2 {
            break;
        }
    }
    let plans = plans(&instance);
    let ledger = open_ledger(&instance);
    let open = ledger
        .open_findings()
        .unwrap()
        .into_iter()
        .map(|(_, _, finding)| (finding.lead, finding.field))
        .collect();
    let books = Books {
        instance: &instance,
        start,
        meddled: instance.sandbox.meddled(),
        ledger,
        plans,
        open,
        named,
        seed,
        log,
    };
    books.consent_is_kept();
    books.backups_are_whole();
    books.values_are_kept();
    books.what_is_left_alone_is_as_it_was();
}

#[test]
fn nothing_is_lost_in_any_weather() {
    let seeds: Vec<u64> = (1..=12).collect();
    std::thread::scope(|scope| {
        for chunk in seeds.chunks(4) {
            scope.spawn(move || chunk.iter().for_each(|seed| storm(*seed)));
        }
    });
}

/// Many more; `STORM_SEEDS=100..200` names them.
#[test]
#[ignore = "takes minutes"]
fn nothing_is_lost_in_many_storms() {
    let named = std::env::var("STORM_SEEDS").unwrap_or_else(|_| "100..160".to_owned());
    let (from, to) = named.split_once("..").unwrap();
    let mut failed = Vec::new();
    for seed in from.parse::<u64>().unwrap()..to.parse().unwrap() {
        let went = std::panic::catch_unwind(|| storm(seed));
        eprintln!("seed {seed}: {}", if went.is_ok() { "well" } else { "FAILED" });
        if went.is_err() {
            failed.push(seed);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}
