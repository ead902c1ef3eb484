use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::super::spec::SeedCause;
use super::*;
use crate::world::log::{Source, What};

fn instance(leads: u32, duplicates: f64, number: u64) -> Instance {
    Instance::of(&Seed { leads, duplicates, number })
}

fn text<'a>(lead: &'a SeededLead, name: &str) -> Option<&'a str> {
    lead.fields.iter().find(|(field, _)| *field == name).and_then(|(_, value)| value.as_str())
}

fn digest_of(instance: &mut Instance) -> u64 {
    let mut hash = Sha256::new();
    for lead in instance.leads() {
        hash.update(format!("{lead:?}"));
    }
    for activity in instance.activities() {
        hash.update(format!("{activity:?}"));
    }
    let digest = hash.finalize();
    u64::from_be_bytes(digest[..8].try_into().unwrap())
}

#[test]
fn a_seed_gives_the_same_instance_on_every_machine_and_day() {
    assert_eq!(digest_of(&mut instance(500, 0.3, 42)), 1_517_713_975_910_718_427);
}

#[test]
fn values_of_many_scripts_and_values_that_break_careless_readers_are_in_it() {
    let mut instance = instance(3_000, 0.1, 1);
    let mut all = String::new();
    let mut surnames = BTreeSet::new();
    for lead in instance.leads() {
        surnames.extend(text(&lead, "lastName").map(str::to_owned));
        for (_, value) in &lead.fields {
            all.push_str(value.as_str().unwrap_or_default());
        }
    }
    for sample in [
        "ł", "Ж", "Ψ", "م", "ש", "渡", "김", "प", "ส", "ễ", "🚀", "\"", ",", "\n", "\r\n", "=H",
        "+P", "@t", "-D",
    ] {
        assert!(all.contains(sample), "{sample:?}");
    }
    for surname in ["Null", "Nguyen", "null"] {
        assert!(surnames.contains(surname), "{surname}");
    }
}

#[test]
fn some_leads_have_no_address_and_some_a_blank_one() {
    let mut instance = instance(3_000, 0.1, 1);
    let leads: Vec<SeededLead> = instance.leads().collect();
    let none = leads.iter().filter(|lead| text(lead, "email").is_none()).count();
    let blank = leads
        .iter()
        .filter(|lead| text(lead, "email").is_some_and(|email| email.trim().is_empty()))
        .count();
    assert!((50..150).contains(&none), "{none}");
    assert!(blank > 0);
}

#[test]
fn where_a_group_has_an_opt_out_only_some_of_its_leads_have_it() {
    let mut instance = instance(2_000, 0.5, 2);
    let opted_out: BTreeSet<u64> = instance
        .leads()
        .filter(|lead| lead.fields.iter().any(|(_, value)| value.as_bool() == Some(true)))
        .map(|lead| lead.id)
        .collect();
    let counts: Vec<(usize, usize)> = instance
        .labels()
        .iter()
        .map(|label| {
            (label.leads.iter().filter(|id| opted_out.contains(id)).count(), label.leads.len())
        })
        .collect();
    assert!(counts.iter().all(|(out, size)| out < size));
    assert!(counts.iter().filter(|(out, _)| *out > 0).count() * 5 > counts.len());
}

#[test]
fn every_lead_that_ever_was_has_one_birth_and_births_by_the_api_name_their_call() {
    let mut instance = instance(1_000, 0.2, 3);
    let mut ids: BTreeSet<u64> = instance.leads().map(|lead| lead.id).collect();
    ids.extend(instance.gone().map(|gone| gone.id));
    let mut born = BTreeSet::new();
    let mut calls = 0;
    for activity in instance.activities() {
        let What::NewLead(source) = activity.what else { continue };
        assert!(born.insert(activity.lead));
        if let Source::Api(Some(call)) = source {
            let (_, arrived) = call.request_id.split_once('#').unwrap();
            let arrived = i64::from_str_radix(arrived, 16).unwrap();
            assert!(arrived < activity.at.timestamp_millis());
            calls += 1;
        }
    }
    assert_eq!(born, ids);
    assert!(calls > 200);
}

#[test]
fn a_merge_of_long_ago_names_every_loser_once() {
    let mut instance = instance(2_000, 0.1, 4);
    let merged: BTreeMap<u64, u64> =
        instance.gone().filter_map(|gone| gone.merged_into.map(|into| (gone.id, into))).collect();
    let mut named = BTreeMap::new();
    let mut several = 0;
    for activity in instance.activities() {
        let What::MergeLeads { losers, .. } = activity.what else { continue };
        several += usize::from(losers.len() > 1);
        named.extend(losers.iter().map(|loser| (*loser, activity.lead)));
    }
    assert_eq!(named, merged);
    assert!(several > 0);
}

#[test]
fn an_address_that_was_changed_later_left_a_change_of_the_data_value() {
    let mut instance = instance(1_000, 0.5, 5);
    let changed: BTreeSet<u64> = instance
        .activities()
        .into_iter()
        .filter(
            |activity| matches!(&activity.what, What::ChangeDataValue { field, .. } if **field == *"email"),
        )
        .map(|activity| activity.lead)
        .collect();
    for label in instance.labels().iter().filter(|label| label.cause == SeedCause::Unknown) {
        assert_eq!(
            label.leads.iter().filter(|id| changed.contains(id)).count(),
            label.leads.len() - 1
        );
    }
}

#[test]
fn activities_come_in_the_order_of_time_and_end_before_the_present() {
    let activities = instance(1_000, 0.2, 6).activities();
    assert!(activities.windows(2).all(|pair| pair[0].at <= pair[1].at));
    assert!(activities.last().unwrap().at < Instance::present());
}
