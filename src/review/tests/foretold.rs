//! What a plan foretells against what a Marketo does: over random groups, rules, decisions and
//! switches of the sandbox each field of each survivor is as predicted, or the run says otherwise.

use std::collections::BTreeMap;
use std::time::Duration;

use mkto_sandbox::{Options, Sandbox};
use serde_json::{Value, json};

use super::{CardFilter, Door, INSTANCE, PlanReview, Seen};
use crate::dedupe::{
    Choice, ChosenValue, Decisions, FieldFacts, Key, Known, OPT_OUTS, PlannedGroup, Policy,
    Prediction, Risk, WinnerOrder, WinnerRule,
};
use crate::lead::{Lead, LeadId};
use crate::leases::{SharedLeases, Terms};
use crate::ledger::Ledger;
use crate::marketo::{Client, ClientOptions, Clock};
use crate::merge::{
    Candidate, Confirmed, Fate, GroupReport, Hold, Merge, Outcome, Planning, Settings,
};
use crate::review::card::{Card, CardField};
use crate::review::take_up::Permitted;
use crate::review::{Loaded, decided_plan, take_up};

/// How many times as fast as the wall's the sandbox's time passes.
const SPEED: u32 = 20;

/// What Adobe leaves open, and what an administrator may have set; each instance has some.
const KNOBS: &[&str] = &[
    "merge_score=winner",
    "merge_blanks=first_nonblank",
    "bool_rule=legacy_true_wins",
    "merge_empties=city,phone",
    "merge_partial=atomic",
    "merged_lead=empty",
    "blocked_fields=title",
    "blocked=always",
    "normalise=off",
    "overwritten_fields=city:Nowhere",
    "refused_fields=department",
];

/// Fields of every kind, by how a value of it is drawn.
const FIELDS: &[&str] = &[
    "title",
    "department",
    "city",
    "phone",
    "website",
    "interests",
    "leadStatus",
    "leadScore",
    "behaviorScore",
    "customerNumber",
    "lifetimeValue",
    "vip",
    "attendedWebinar",
    "gdprConsent",
    "lastPurchaseDate",
    "lastPurchaseAt",
    "unsubscribed",
    "doNotCall",
    "emailInvalid",
    "unsubscribedReason",
    "firstTouchChannel",
    "accountTier",
];

const RULES: &[&str] = &[
    "winner",
    "next_best",
    "oldest",
    "newest",
    "max",
    "min",
    "longest",
    "keep_blank",
    "by:leadScore",
    "by:-leadStatus",
    "prefer:[\"b\",\"a\"]",
];

/// Numbers from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn one_in(&mut self, odds: u64) -> bool {
        self.below(odds) == 0
    }

    fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[usize::try_from(self.below(among.len() as u64)).unwrap()]
    }
}

fn drawn_value(dice: &mut Dice, field: &str) -> Value {
    let n = dice.below(9);
    match field {
        "leadScore" | "behaviorScore" | "customerNumber" => json!(n),
        "lifetimeValue" => json!(f64::from(u32::try_from(n).unwrap()) + 0.5),
        "vip" | "attendedWebinar" | "gdprConsent" => json!(dice.one_in(2)),
        "unsubscribed" | "doNotCall" | "emailInvalid" => json!(dice.one_in(3)),
        "phone" => json!(format!("+1 (555) 010-000{n}")),
        "website" => json!(format!("https://example.com/{n}")),
        "lastPurchaseDate" => json!(format!("2026-02-0{}", n + 1)),
        "lastPurchaseAt" => json!(format!("2026-02-0{}T08:00:00Z", n + 1)),
        _ => json!(*dice.pick(&["a", "b", "c d"])),
    }
}

async fn started(dice: &mut Dice) -> (Sandbox, Vec<String>) {
    let mut options = Options { rate_limit: 1_000_000, concurrency: 1_000, ..Options::default() };
    options.daily_quota = 10_000_000;
    options.race_window = Duration::ZERO;
    let drawn = KNOBS.iter().filter(|_| dice.one_in(4)).map(|knob| (*knob).to_owned());
    let mut knobs: Vec<String> = drawn.collect();
    for knob in knobs.iter().map(String::as_str).chain(["activity_delay_ms=0", "merge_ms=0"]) {
        options.set_knob(knob).unwrap();
    }
    options.set_knob(&format!("clock_speed={SPEED}")).unwrap();
    knobs.sort();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    (Sandbox::start(listener, options).unwrap(), knobs)
}

fn client(sandbox: &Sandbox) -> Client {
    let options = ClientOptions::new(sandbox.base_url().parse().unwrap())
        .credentials(sandbox.client_id(), sandbox.client_secret())
        .rate(1_000_000, Duration::from_secs(20))
        .concurrency(50)
        .clock(Clock::sped_up(SPEED));
    Client::new(options).unwrap()
}

/// Groups of two to four records.
fn fill(sandbox: &Sandbox, dice: &mut Dice) -> Vec<Candidate> {
    let mut groups = Vec::new();
    for n in 0..6 {
        let email = format!("p{n}@example.com");
        let mut leads = Vec::new();
        for _ in 0..2 + dice.below(3) {
            let day = 1 + dice.below(5);
            let mut lead = json!({"email": email, "firstName": "Ada", "lastName": "Lovelace",
                "createdAt": format!("2026-01-{day:02}T00:00:00Z")});
            for field in FIELDS {
                if dice.one_in(2) {
                    lead[*field] = drawn_value(dice, field);
                }
            }
            leads.push(sandbox.put_lead(&lead));
        }
        let known = Known { cause: None, named: true };
        groups.push(Candidate { key: Key::of(&email).unwrap(), leads, known });
    }
    groups
}

fn rules(dice: &mut Dice) -> Policy {
    let mut policy = Policy { no_crm: true, ..Policy::default() };
    for field in FIELDS {
        if dice.one_in(3) {
            policy.fields.0.insert((*field).to_owned(), dice.pick::<&str>(RULES).parse().unwrap());
        }
    }
    let orders = [WinnerRule::Oldest, WinnerRule::Newest, WinnerRule::MostComplete];
    policy.winner = WinnerOrder(vec![dice.pick(&orders).clone(), WinnerRule::LowestId]);
    policy
}

fn typed(dice: &mut Dice, field: &CardField) -> Value {
    if dice.one_in(5) {
        return Value::Null;
    }
    let n = dice.below(9);
    match field.data_type.as_str() {
        "boolean" => json!(dice.one_in(2)),
        "integer" | "score" => json!(n + 100),
        "float" => json!(100.25),
        "date" => json!("2026-03-04"),
        "datetime" => json!("2026-03-04T05:06:07Z"),
        "phone" => json!(format!("+1 (555) 020-000{n}")),
        "url" => json!("https://example.org/typed"),
        "email" => json!("typed@example.com"),
        _ => json!(format!("typed {n}")),
    }
}

fn drawn_decisions(dice: &mut Dice, card: &Card) -> Decisions {
    let ids: Vec<LeadId> = card.leads.iter().map(|lead| lead.id).collect();
    let mut decided = Decisions {
        choice: (!dice.one_in(8)).then_some(Choice::Merge),
        winner: dice.one_in(3).then(|| *dice.pick(&ids)),
        ..Decisions::default()
    };
    if ids.len() > 2 && dice.one_in(3) {
        decided.left_out.insert(*dice.pick(&ids));
    }
    for field in card.fields.iter().filter(|field| field.may_choose) {
        if dice.one_in(6) {
            let chosen = if dice.one_in(2) {
                ChosenValue::From(*dice.pick(&ids))
            } else {
                ChosenValue::Typed(typed(dice, field))
            };
            decided.values.insert(field.name.clone(), chosen);
        }
    }
    decided
}

/// Decides about most groups; gives how many values were chosen.
fn decide(review: &PlanReview, dice: &mut Dice) -> usize {
    let mut values = 0;
    for card in review.cards(&CardFilter::default(), None, 100).unwrap().cards {
        // What cannot be carried out is refused with words, and drawn again.
        let possible = (0..20)
            .map(|_| drawn_decisions(dice, &card))
            .find(|decided| review.preview(card.place, decided).unwrap().refused.is_none());
        let Some(decided) = possible else { continue };
        values += decided.values.len();
        let seen = Seen::of([&card]);
        review.decide(&[(card.stored_key.clone(), decided)], &seen, "Bo", Door::Cli).unwrap();
    }
    values
}

#[expect(clippy::disallowed_methods, reason = "the sandbox goes by the time of day")]
fn settings(client: &Client) -> Settings {
    let leases = SharedLeases::memory(Terms::at(Clock::sped_up(SPEED)));
    Settings::new(client.clock(), chrono::Utc::now, Hold::new(leases, INSTANCE.to_owned()))
}

fn held(sandbox: &Sandbox) -> Vec<Lead> {
    let views = sandbox.leads().into_iter();
    views.map(|view| Lead { id: view.id, fields: view.fields.into_iter().collect() }).collect()
}

/// What was seen of one instance: groups that merged, values that people chose in all.
async fn one(seed: u64) -> (usize, usize) {
    let mut dice = Dice(seed);
    let (sandbox, knobs) = started(&mut dice).await;
    let client = client(&sandbox);
    let candidates = fill(&sandbox, &mut dice);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    let policy = rules(&mut dice);
    let plan: Option<String> = {
        let mut ledger = Ledger::open(&file, INSTANCE).unwrap();
        let mut merge = Merge::new(&client, &mut ledger, settings(&client)).await.unwrap();
        let planning = Planning {
            policy,
            instance: INSTANCE.to_owned(),
            limit: usize::MAX,
            for_review: true,
            risks: Risk::ALL.to_vec(),
            name: None,
            decided: false,
        };
        merge.make_plan(&candidates, &planning).await.unwrap().id
    };
    // A rule may fit no value of any group.
    let Some(plan) = plan else { return (0, 0) };
    let review = PlanReview::open(&file, INSTANCE, &plan, super::now).unwrap();
    let values = decide(&review, &mut dice);
    let mut ledger = Ledger::open(&file, INSTANCE).unwrap();
    let loaded = Loaded::of(&ledger, INSTANCE, &plan).unwrap();
    let decided = decided_plan(&ledger, &loaded).unwrap();
    let at = "2026-11-30T01:00:00.000Z";
    take_up(&mut ledger, &loaded, &Permitted::default(), &decided.groups, at).unwrap();
    let leads = held(&sandbox);
    let facts = &loaded.header.facts;
    let foretold: BTreeMap<String, (PlannedGroup, Prediction)> = decided
        .groups
        .iter()
        .map(|group| {
            let prediction = group.predict(&leads, &loaded.header.policy, facts);
            (group.key.to_string(), (group.clone(), prediction))
        })
        .collect();
    let mut merge = Merge::new(&client, &mut ledger, settings(&client)).await.unwrap();
    let report = merge.carry_out(Confirmed::new(decided), &mut ()).await;
    let mut merged = 0;
    for group in report.groups.iter().filter(|group| group.outcome == Outcome::Merged) {
        let (planned, prediction) = &foretold[&group.key];
        let view = sandbox.lead(planned.winner).unwrap();
        let survivor = Lead { id: view.id, fields: view.fields.into_iter().collect() };
        let deviations = prediction.deviations(&survivor, facts);
        let mut otherwise: Vec<String> =
            deviations.into_iter().map(|deviation| deviation.name).collect();
        // A run goes by its predictions; what people saw and decided is asked for by itself.
        otherwise.extend(not_as_planned(planned, &leads, &survivor, facts));
        for name in otherwise {
            let held = survivor.value(&name);
            assert!(
                is_told(group, &name),
                "seed {seed}, {knobs:?}: `{name}` is {held:?}, and nobody said so\n{group:#?}\n{planned:#?}"
            );
        }
        merged += 1;
    }
    (merged, values)
}

/// The fields in which a survivor holds something else than what the plan said that it would
/// write, than what a person chose, or than a no of one of its leads.
fn not_as_planned(
    planned: &PlannedGroup,
    leads: &[Lead],
    survivor: &Lead,
    facts: &FieldFacts,
) -> Vec<String> {
    let of = |id: LeadId| leads.iter().find(|lead| lead.id == id).unwrap();
    let mut wanted: BTreeMap<&String, Value> =
        planned.changes.iter().map(|change| (&change.name, change.after.clone())).collect();
    for (name, chosen) in &planned.decided.values {
        let value = match chosen {
            ChosenValue::From(id) => of(*id).value(name).cloned().unwrap_or_default(),
            ChosenValue::Typed(value) => facts.typed(name, value).unwrap().unwrap_or_default(),
        };
        wanted.insert(name, value);
    }
    let holds = |name: &str, value: &Value| {
        facts.holds(name, survivor.value(name).unwrap_or(&Value::Null), value)
    };
    let otherwise = wanted.iter().filter(|(name, value)| {
        let gained_opt_out = facts.is_opt_out(name) && survivor.flag(name);
        !holds(name, value) && !gained_opt_out
    });
    let lost = OPT_OUTS
        .iter()
        .filter(|field| planned.leads().any(|id| of(id).flag(field)) && !survivor.flag(field));
    otherwise
        .map(|(name, _)| (*name).clone())
        .chain(lost.map(|field| (*field).to_owned()))
        .collect()
}

/// Whether the run itself says that the field is otherwise than planned, and could not be mended.
fn is_told(group: &GroupReport, field: &str) -> bool {
    group.surprises.iter().any(|one| one.difference.name == field && one.fate != Fate::Mended)
}

#[test]
fn each_field_of_a_survivor_is_as_foretold_whatever_was_decided_and_however_marketo_merges() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let seeds: usize = std::env::var("SEEDS").map_or(5, |seeds| seeds.parse().unwrap());
    let (mut merged, mut values) = (0, 0);
    for seed in 1..=seeds {
        let seen = runtime.block_on(one(seed as u64));
        merged += seen.0;
        values += seen.1;
    }
    assert!(merged > seeds && values > seeds, "{merged} groups, {values} values");
}
