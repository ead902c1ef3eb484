//! What happens in a storm, drawn from a seed: the leads, the faults, the settings, the people.

use mkto_sandbox::{Meanwhile, Moment, Options};
use serde_json::json;

use crate::support::dice::Dice;
use crate::support::{Instance, quick};

pub(super) const CONSENT: &[&str] =
    &["unsubscribed", "doNotCall", "marketingSuspended", "emailInvalid", "emailOptOut"];

pub(super) const VALUES: &[&str] =
    &["title", "city", "phone", "company", "leadScore", "department"];

/// What may go wrong with a call; each storm draws some.
pub(super) const WEATHER: &[&str] = &[
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
pub(super) const SETTINGS: &[&str] = &[
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

pub(super) const CALLS: &[&str] =
    &["/merge", "GET /rest/v1/leads.json", "POST /rest/v1/leads.json", "/activities.json"];

pub(super) fn options(dice: &mut Dice) -> Options {
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

/// Settings of rules, as variables.
pub(super) type Rules = Vec<(String, String)>;

/// Rules under which a survivor holds a value of its leads, by their own dice, so that a seed's
/// weather stays what it was. The records of a storm have no known cause.
pub(super) fn rules(seed: u64) -> Rules {
    let mut dice = Dice(seed ^ 0x5eed_0f12_3456_789a);
    let mut rules = Vec::new();
    for section in ["", "CAUSE__UNKNOWN__"] {
        for field in ["title", "city", "phone", "department"] {
            let rule = *dice.pick(&["", "winner", "next_best", "oldest", "newest", "longest"]);
            if !rule.is_empty() {
                rules.push((format!("MKTO_AUDIT__{section}FIELDS__{field}"), rule.to_owned()));
            }
        }
        let order = *dice.pick(&["", "newest", "most_complete", "max:phone", "lowest_id"]);
        if !order.is_empty() {
            rules.push((format!("MKTO_AUDIT__{section}WINNER__ORDER"), order.to_owned()));
        }
    }
    rules
}

/// Groups of two to four, of one person each.
pub(super) fn fill(instance: &Instance, dice: &mut Dice) -> Vec<Vec<u64>> {
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
pub(super) fn meddle(instance: &Instance, dice: &mut Dice, groups: &[Vec<u64>], round: u64) {
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
