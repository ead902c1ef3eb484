//! Plans that are decided about and approved, by the ledger alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{CardFilter, Door, Error, PlanReview, Seen, Tab};
use crate::dedupe::{
    Cause, Choice, ChosenValue, Decisions, FieldFact, FieldFacts, Key, Known, OPT_OUTS, PlanHeader,
    Policy, Risk, plan_decided,
};
use crate::lead::{Lead, LeadId};
use crate::ledger::Ledger;
use crate::merge::kept_plan::row_of;

mod decided;
mod foretold;
mod lasting;
mod many;
mod meanwhile;
mod paged;

const INSTANCE: &str = "example";

fn now() -> DateTime<Utc> {
    "2026-11-30T01:00:00Z".parse().unwrap()
}

fn facts() -> FieldFacts {
    let fact = |label: &str, data_type: &str| FieldFact {
        label: label.to_owned(),
        data_type: data_type.to_owned(),
        length: Some(20),
        writeable: true,
    };
    let mut fields: BTreeMap<String, FieldFact> = BTreeMap::new();
    for field in OPT_OUTS {
        fields.insert((*field).to_owned(), fact(field, "boolean"));
    }
    for (name, label, data_type) in [
        ("email", "Email Address", "email"),
        ("firstName", "First Name", "string"),
        ("lastName", "Last Name", "string"),
        ("title", "Job Title", "string"),
        ("city", "City", "string"),
        ("leadScore", "Lead Score", "score"),
        ("newsletterOptIn", "Newsletter Opt-in", "boolean"),
        ("unsubscribedReason", "Unsubscribed Reason", "string"),
    ] {
        fields.insert(name.to_owned(), fact(label, data_type));
    }
    FieldFacts::new(fields)
}

fn lead(id: LeadId, email: &str) -> Lead {
    Lead::new(id)
        .with("email", email)
        .with("firstName", "Ada")
        .with("lastName", "Lovelace")
        .with("createdAt", format!("2026-01-{:02}T00:00:00Z", id % 28 + 1))
}

/// A plan of a ledger file.
struct Bench {
    folder: tempfile::TempDir,
    plan: String,
}

impl Bench {
    /// Keeps a plan of these groups, each of the leads of one address.
    fn of(groups: &[Vec<Lead>]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut bench = Self { folder, plan: String::new() };
        bench.plan = bench.keep(groups, None);
        bench
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    fn ledger(&self) -> Ledger {
        Ledger::open(&self.file(), INSTANCE).unwrap()
    }

    fn keep(&self, groups: &[Vec<Lead>], name: Option<&str>) -> String {
        let mut ledger = self.ledger();
        let (policy, facts) = (Policy::default(), facts());
        ledger.begin_draft().unwrap();
        for leads in groups {
            let key = Key::of(leads[0].email().unwrap()).unwrap();
            let known = Known { cause: Some(Cause::Race), named: false };
            match plan_decided(&key, leads, known, &policy, &facts, &Decisions::default()) {
                Ok(group) => {
                    let (row, body) = row_of(&group, leads, &policy, &facts).unwrap();
                    ledger.draft_group(&row, &body).unwrap();
                }
                Err(left) => {
                    let ids = serde_json::to_string(&left.leads).unwrap();
                    ledger.draft_left(key.as_str(), &ids, &left.reason).unwrap();
                }
            }
        }
        let header = PlanHeader {
            form: PlanHeader::FORM,
            instance: INSTANCE.to_owned(),
            made_at: now(),
            by: None,
            policy,
            facts,
        };
        let header = serde_json::to_string(&header).unwrap();
        ledger.keep_draft(&header, name, &now().to_rfc3339()).unwrap().plan
    }

    fn review(&self) -> PlanReview {
        PlanReview::open(&self.file(), INSTANCE, &self.plan, now).unwrap()
    }
}

fn pair(email: &str, first: LeadId) -> Vec<Lead> {
    vec![
        lead(first, email).with("title", "Countess").with("city", "London"),
        lead(first + 1, email).with("title", "Programmer").with("leadScore", 5),
    ]
}

fn several_people(email: &str, first: LeadId) -> Vec<Lead> {
    vec![
        lead(first, email),
        lead(first + 1, email).with("firstName", "Zoltan").with("lastName", "Nagy"),
    ]
}

/// Nothing was decided when somebody looked.
fn unseen() -> Seen {
    Seen::Groups(BTreeMap::new())
}

fn choice(choice: Choice) -> Decisions {
    Decisions { choice: Some(choice), ..Decisions::default() }
}

#[test]
fn a_plan_counts_what_is_safe_what_to_decide_and_what_is_done() {
    let bench = Bench::of(&[
        pair("ada@example.com", 1),
        several_people("us@example.com", 11),
        vec![lead(21, "eve@example.com"), lead(22, "eve@example.com").with("leadScore", 3)],
    ]);
    let review = bench.review();
    let head = review.head().unwrap();
    assert_eq!((head.groups, head.safe, head.decide, head.done), (3, 2, 1, 0));
    assert_eq!((head.records, head.dropped_values, head.opt_outs_lost), (2, 1, 0));
    let card = |key: &str| review.card_by_key(key).unwrap().unwrap();
    assert_eq!(card("ada@example.com").risk, Risk::Amber);
    assert_eq!(card("eve@example.com").risk, Risk::Green);
    let us = card("US@example.com");
    assert_eq!((us.risk, us.merges), (Risk::Red, false));
    assert!(us.objection.unwrap().contains("several people"));

    let tab = |tab| CardFilter { tab: Some(tab), ..CardFilter::default() };
    assert_eq!(review.cards(&tab(Tab::Decide), None, 9).unwrap().total, 1);
    review
        .decide(&[("us@example.com".to_owned(), choice(Choice::Merge))], &unseen(), "Bo", Door::Cli)
        .unwrap();
    let head = review.head().unwrap();
    assert_eq!((head.safe, head.decide, head.done, head.records), (2, 0, 1, 3));
    let page = review.cards(&tab(Tab::Safe), None, 1).unwrap();
    assert_eq!((page.total, page.cards.len()), (2, 1));
    let next = review.cards(&tab(Tab::Safe), Some(page.cards[0].place), 9).unwrap();
    assert_eq!(next.cards.len(), 1);
    let by_name = CardFilter { search: Some("zoltan".to_owned()), ..CardFilter::default() };
    assert_eq!(review.cards(&by_name, None, 9).unwrap().total, 1);
}

#[test]
fn what_is_decided_shows_on_the_card_and_what_cannot_be_is_refused_with_words() {
    let bench = Bench::of(&[pair("ada@example.com", 1)]);
    let review = bench.review();
    let decided = Decisions {
        winner: Some(2),
        values: BTreeMap::from([
            ("city".to_owned(), ChosenValue::From(1)),
            ("title".to_owned(), ChosenValue::Typed(json!("Analyst"))),
        ]),
        ..Decisions::default()
    };
    let card = review.preview(0, &decided).unwrap();
    assert_eq!((card.refused.as_deref(), card.leads[0].id), (None, 2));
    let field = |name: &str| card.fields.iter().find(|field| field.name == name).unwrap();
    assert_eq!(
        (&field("title").after, field("title").rule.as_str()),
        (&json!("Analyst"), "decided")
    );
    assert_eq!(field("city").after, json!("London"));
    assert!(card.why.contains("A person chose it"), "{}", card.why);
    assert_eq!(review.card(0).unwrap().unwrap().leads[0].id, 1, "a preview keeps nothing");

    let typed = |field: &str, value| Decisions {
        values: BTreeMap::from([(field.to_owned(), ChosenValue::Typed(value))]),
        ..Decisions::default()
    };
    let stranger = Decisions { winner: Some(9), ..Decisions::default() };
    let alone = Decisions { left_out: BTreeSet::from([2]), ..Decisions::default() };
    for (decided, words) in [
        (typed("title", json!("far too long a title for this")), "takes 20 characters"),
        (typed("leadScore", json!("many")), "a whole number"),
        (typed("email", json!("bo@example.com")), "has to stay what it is"),
        (typed("createdAt", json!("2026-01-01T00:00:00Z")), "no field"),
        (typed("newsletterOptIn", json!(true)), "looks like a consent"),
        (stranger, "not one of this group"),
        (alone, "fewer than two"),
    ] {
        let card = review.preview(0, &decided).unwrap();
        let why = card.refused.clone().unwrap_or_default();
        assert!(why.contains(words) && !card.merges, "{decided:?}: {why}");
    }
}

#[test]
fn no_decision_takes_an_opt_out_away() {
    let said_no = lead(2, "ada@example.com").with("unsubscribed", true);
    let bench = Bench::of(&[vec![lead(1, "ada@example.com"), said_no]]);
    let review = bench.review();
    assert!(review.card(0).unwrap().unwrap().consent.unwrap().contains("record 2 said no"));
    for chosen in
        [ChosenValue::Typed(json!(false)), ChosenValue::Typed(json!(null)), ChosenValue::From(1)]
    {
        let decided = Decisions {
            values: BTreeMap::from([("unsubscribed".to_owned(), chosen)]),
            ..Decisions::default()
        };
        let why = review.preview(0, &decided).unwrap().refused.unwrap();
        assert!(why.contains("no merge takes an opt-out away"), "{why}");
    }
    assert_eq!(review.head().unwrap().opt_outs_lost, 0);
}

#[test]
fn the_crm_decides_which_of_its_records_stays() {
    let contact = lead(2, "ada@example.com").with("sfdcContactId", "0031");
    let bench = Bench::of(&[vec![lead(1, "ada@example.com"), contact]]);
    let why = bench
        .review()
        .preview(0, &Decisions { winner: Some(1), ..Decisions::default() })
        .unwrap()
        .refused
        .unwrap();
    assert!(why.contains("the CRM's contact, which survives any merge"), "{why}");
}

#[test]
fn a_consent_in_which_records_differ_is_red_and_stays_a_no_unless_somebody_chooses() {
    let leads = vec![
        lead(1, "ada@example.com").with("newsletterOptIn", true),
        lead(2, "ada@example.com").with("newsletterOptIn", false),
    ];
    let bench = Bench::of(&[leads]);
    let card = bench.review().card(0).unwrap().unwrap();
    assert_eq!((card.risk, card.merges), (Risk::Red, false));
    let field = card.fields.iter().find(|field| field.name == "newsletterOptIn").unwrap();
    assert_eq!(field.after, json!(false));
    let yes = Decisions {
        values: BTreeMap::from([("newsletterOptIn".to_owned(), ChosenValue::From(1))]),
        ..choice(Choice::Merge)
    };
    let card = bench.review().preview(0, &yes).unwrap();
    let field = card.fields.iter().find(|field| field.name == "newsletterOptIn").unwrap();
    assert_eq!((&field.after, card.merges), (&json!(true), true));
}

#[test]
fn an_unchanged_decision_changes_no_digest_and_any_other_voids_the_approval_for_good() {
    let bench = Bench::of(&[pair("ada@example.com", 1), pair("bo@example.com", 11)]);
    let review = bench.review();
    let plain = review.head().unwrap().digest;
    let decide = |key: &str, decided: Decisions, by: &str| {
        let seen = Seen::Plan(review.head().unwrap().digest);
        review.decide(&[(key.to_owned(), decided)], &seen, by, Door::Workbook).unwrap()
    };
    let nothing = decide("ada@example.com", Decisions::default(), "Bo");
    assert_eq!((nothing.changed, nothing.digest.as_str()), (0, plain.as_str()));

    review.approve(&plain, "Cy", Some("looked at all")).unwrap();
    assert_eq!(review.head().unwrap().approval.unwrap().by, "Cy");
    let skipped = decide("ada@example.com", choice(Choice::Skip), "Bo");
    assert_ne!(skipped.digest, plain);
    assert_eq!(review.head().unwrap().approval, None, "void");
    let refused = review.approve(&plain, "Cy", None);
    assert!(matches!(refused, Err(Error::OtherDigest { .. })), "{refused:?}");

    let again = decide("ada@example.com", choice(Choice::Skip), "Di");
    assert_eq!((again.changed, &again.digest), (0, &skipped.digest));
    let noted = Decisions { note: Some("later".to_owned()), ..choice(Choice::Skip) };
    assert_eq!(decide("ada@example.com", noted, "Bo").digest, skipped.digest);
    assert_eq!(decide("ada@example.com", Decisions::default(), "Bo").digest, plain, "taken back");
    assert_eq!(review.head().unwrap().approval, None, "it is what Cy approved, and void for good");
    review.approve(&plain, "Cy", None).unwrap();
    assert_eq!(review.head().unwrap().approval.unwrap().by, "Cy", "approved anew");
}

#[test]
fn who_decided_cannot_approve_where_two_people_are_asked_for() {
    let bench = Bench::of(&[pair("ada@example.com", 1)]);
    let review = bench.review().two_people(true);
    let decided = [("ada@example.com".to_owned(), choice(Choice::Merge))];
    let digest = review.decide(&decided, &unseen(), "Bo  Smith", Door::Review).unwrap().digest;
    let refused = review.approve(&digest, " bo smith ", None);
    assert!(matches!(refused, Err(Error::SamePerson { .. })), "{refused:?}");
    review.approve(&digest, "Cy", None).unwrap();
    assert!(matches!(review.approve(&digest, "  ", None), Err(Error::Nameless { .. })));
    // What somebody decided may stand under the name of whoever wrote the last note.
    let noted = Decisions { note: Some("seen".to_owned()), ..choice(Choice::Merge) };
    let seen = Seen::Plan(digest);
    let noted = [("ada@example.com".to_owned(), noted)];
    let digest = review.decide(&noted, &seen, "Di", Door::Review).unwrap().digest;
    for by in ["BO SMITH", "di"] {
        let refused = review.approve(&digest, by, None);
        assert!(matches!(refused, Err(Error::SamePerson { .. })), "{by}: {refused:?}");
    }
}

#[test]
fn a_bad_key_keeps_all_decisions_out() {
    let bench = Bench::of(&[pair("ada@example.com", 1)]);
    let review = bench.review();
    let decided = [
        ("ada@example.com".to_owned(), choice(Choice::Skip)),
        ("nobody@example.com".to_owned(), choice(Choice::Skip)),
    ];
    let refused = review.decide(&decided, &unseen(), "Bo", Door::Csv);
    assert!(matches!(refused, Err(Error::NoSuchGroup { .. })), "{refused:?}");
    assert_eq!(review.head().unwrap().done, 0);
}

#[test]
fn that_records_are_not_one_person_is_remembered_until_somebody_takes_it_back() {
    let bench = Bench::of(&[several_people("us@example.com", 1)]);
    let review = bench.review();
    let key = "us@example.com".to_owned();
    let decided = Decisions { note: Some("a couple".to_owned()), ..choice(Choice::NotSame) };
    review.decide(&[(key.clone(), decided)], &unseen(), "Bo", Door::Page).unwrap();
    assert_eq!(bench.ledger().lasting_words().unwrap().len(), 1);
    let seen = Seen::Plan(review.head().unwrap().digest);
    review.decide(&[(key, choice(Choice::Merge))], &seen, "Bo", Door::Page).unwrap();
    assert_eq!(bench.ledger().lasting_words().unwrap(), []);
}
