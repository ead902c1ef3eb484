//! `plan decide`: decisions from a terminal or a script, group by group.

use std::collections::BTreeMap;

use clap::{ArgGroup, Args};
use serde::Serialize;
use serde_json::Value;

use super::text::decided;
use crate::cli::filter::some_text;
use crate::cli::{Context, Exit, Failure};
use crate::dedupe::{Choice, ChosenValue, Decisions};
use crate::lead::LeadId;
use crate::review::card::Card;
use crate::review::{Door, PlanReview, Seen};

/// Decide about groups of a plan
///
/// What was decided about a group before stays, unless it is decided otherwise here.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(group = ArgGroup::new("choice").args(["merge", "skip", "hold", "not_same", "clear"]))]
#[command(after_help = "Examples:\n  \
    mkto-audit plan decide november --email ada@example.com --merge --by NAME\n  \
    mkto-audit plan decide november --email ada@example.com --keep 12 --value-from city=14 --by NAME\n  \
    mkto-audit plan decide november --email us@example.com --not-same --by NAME --note \"a couple\"")]
pub(super) struct DecideArgs {
    /// Its id or name
    #[arg(value_name = "PLAN")]
    plan: String,
    /// The group of this address, or with this key; may be given several times
    #[arg(long, value_name = "ADDRESS", value_parser = some_text, required = true)]
    email: Vec<String>,
    /// Who decides
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Merge it, also where it is red
    #[arg(long)]
    merge: bool,
    /// Leave it alone in this plan
    #[arg(long)]
    skip: bool,
    /// Leave it alone, in later plans too, until somebody has looked into it
    #[arg(long)]
    hold: bool,
    /// Its records are not one person: leave them alone in every plan, until the key or a name of
    /// one of them changes
    #[arg(long)]
    not_same: bool,
    /// Take back everything that was decided about it
    #[arg(long, conflicts_with_all = ["keep", "leave_out", "include", "value", "value_from"])]
    clear: bool,
    /// The record that stays
    #[arg(long, value_name = "ID")]
    keep: Option<LeadId>,
    /// A record that takes no part, in later plans too; may be given several times
    #[arg(long, value_name = "ID")]
    leave_out: Vec<LeadId>,
    /// A record that was left out and takes part again; may be given several times
    #[arg(long, value_name = "ID")]
    include: Vec<LeadId>,
    /// A value for a field, empty to empty it; may be given several times
    #[arg(long, value_name = "FIELD=VALUE", value_parser = field_and_value)]
    value: Vec<(String, String)>,
    /// The record whose value a field gets; may be given several times
    #[arg(long, value_name = "FIELD=ID", value_parser = field_and_id)]
    value_from: Vec<(String, LeadId)>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

fn field_and_value(text: &str) -> Result<(String, String), &'static str> {
    let (field, value) = text.split_once('=').ok_or("it takes FIELD=VALUE")?;
    Ok((field.trim().to_owned(), value.to_owned()))
}

fn field_and_id(text: &str) -> Result<(String, LeadId), &'static str> {
    let (field, id) = text.split_once('=').ok_or("it takes FIELD=ID")?;
    let id = id.trim().parse().ok().ok_or("it takes FIELD=ID, with the id of a record")?;
    Ok((field.trim().to_owned(), id))
}

#[derive(Debug, Serialize)]
struct Document {
    schema: &'static str,
    plan: String,
    digest: String,
    changed: usize,
    group: Vec<GroupDocument>,
}

#[derive(Debug, Serialize)]
struct GroupDocument {
    key: String,
    #[serde(flatten)]
    decisions: Decisions,
}

pub(super) fn run(context: &mut Context, args: &DecideArgs) -> Result<Exit, Failure> {
    let review = super::open(context, &args.plan)?;
    let mut all: BTreeMap<String, Decisions> = BTreeMap::new();
    let mut cards = Vec::new();
    for email in &args.email {
        let card = review.card_by_key(email)?.ok_or_else(|| Failure::Usage {
            what: format!("plan {} has no group of {email}; nothing was decided", args.plan),
            hint: Some(format!("mkto-audit plan show {} names its groups", args.plan)),
        })?;
        let decisions = args.on_top_of(card.decisions.clone());
        // What cannot be done is told before anything is kept.
        if let Some(why) = refused(&review, &card, &decisions)? {
            return Err(Failure::Usage {
                what: format!("{}: {why}; nothing was decided", card.key),
                hint: None,
            });
        }
        all.insert(card.stored_key.clone(), decisions);
        cards.push(card);
    }
    let all: Vec<(String, Decisions)> = all.into_iter().collect();
    let made = review.decide(&all, &Seen::of(&cards), &args.by, Door::Cli)?;
    if args.json {
        let group = |(key, decisions): (String, Decisions)| GroupDocument { key, decisions };
        let document = Document {
            schema: "mkto-audit/plan-decide/1",
            plan: review.head()?.plan,
            digest: made.digest,
            changed: made.changed,
            group: all.into_iter().map(group).collect(),
        };
        context.ui.json(&document)?;
        return Ok(Exit::Done);
    }
    let mut lines: Vec<String> = all
        .iter()
        .map(|(key, decisions)| {
            format!(
                "{key}  {}",
                decided(decisions).unwrap_or_else(|| "nothing is decided".to_owned())
            )
        })
        .collect();
    lines.push(format!("digest {}", made.digest));
    context.ui.print(&lines.join("\n"))?;
    Ok(Exit::Done)
}

fn refused(
    review: &PlanReview,
    card: &Card,
    decisions: &Decisions,
) -> Result<Option<String>, Failure> {
    Ok(review.preview(card.place, decisions)?.refused)
}

impl DecideArgs {
    /// What is decided about a group from now on.
    fn on_top_of(&self, before: Decisions) -> Decisions {
        if self.clear {
            return Decisions::default();
        }
        let mut now = before;
        let chosen = [
            (self.merge, Choice::Merge),
            (self.skip, Choice::Skip),
            (self.hold, Choice::Hold),
            (self.not_same, Choice::NotSame),
        ];
        if let Some((_, choice)) = chosen.into_iter().find(|(is_set, _)| *is_set) {
            now.choice = Some(choice);
        }
        if let Some(id) = self.keep {
            now.winner = Some(id);
        }
        now.left_out.extend(&self.leave_out);
        now.left_out.retain(|id| !self.include.contains(id));
        for (field, value) in &self.value {
            let typed = ChosenValue::Typed(Value::from(value.as_str()));
            now.values.insert(field.clone(), typed);
        }
        for (field, id) in &self.value_from {
            now.values.insert(field.clone(), ChosenValue::From(*id));
        }
        if self.note.is_some() {
            now.note.clone_from(&self.note);
        }
        now
    }
}
