use std::collections::{BTreeMap, BTreeSet};

use super::super::births::{CrmType, Origin};
use super::*;

fn population(leads: u32, duplicates: f64, number: u64) -> Population {
    populate(&Seed { leads, duplicates, number })
}

fn living(population: &Population) -> usize {
    population.births.iter().filter(|birth| birth.fate == Fate::Lives).count()
}

fn members<'a>(population: &'a Population, group: &Group) -> Vec<&'a Birth> {
    group.members.iter().map(|member| &population.births[*member]).collect()
}

#[test]
fn one_seed_gives_one_population_and_another_seed_another() {
    let (one, same, other) =
        (population(800, 0.2, 1), population(800, 0.2, 1), population(800, 0.2, 2));
    assert_eq!(one.births, same.births);
    assert_eq!(one.ids, same.ids);
    assert_eq!(one.groups, same.groups);
    assert_ne!(one.births, other.births);
}

#[test]
fn as_many_leads_live_as_were_asked_for() {
    for (leads, duplicates) in
        [(0, 0.5), (1, 1.0), (2, 1.0), (3, 1.0), (61, 1.0), (263, 0.9), (1_000, 0.0), (1_000, 0.08)]
    {
        for seed in 0..20 {
            assert_eq!(
                living(&population(leads, duplicates, seed)),
                leads as usize,
                "{leads} leads, seed {seed}"
            );
        }
    }
}

#[test]
fn the_share_of_leads_in_groups_is_the_one_asked_for() {
    for (leads, duplicates, grouped) in
        [(1_000, 0.08, 80), (1_000, 1.0, 1_000), (7, 0.5, 4), (7, 0.15, 0), (500, 0.0, 0)]
    {
        for seed in 0..20 {
            let population = population(leads, duplicates, seed);
            let in_groups: usize = population.groups.iter().map(|group| group.members.len()).sum();
            assert_eq!(in_groups, grouped, "{leads} leads, {duplicates} in groups, seed {seed}");
        }
    }
}

#[test]
fn groups_have_two_to_sixty_leads_and_both_sizes_occur() {
    let population = population(3_000, 0.5, 9);
    let sizes: BTreeSet<usize> =
        population.groups.iter().map(|group| group.members.len()).collect();
    assert_eq!((sizes.first(), sizes.last()), (Some(&2), Some(&60)));
    let pairs_and_triples =
        population.groups.iter().filter(|group| group.members.len() <= 3).count();
    assert!(pairs_and_triples * 10 > population.groups.len() * 7);
}

#[test]
fn every_cause_occurs_as_soon_as_there_is_room_for_a_pair_of_each() {
    let population = population(12, 1.0, 5);
    let causes: BTreeSet<SeedCause> = population.groups.iter().map(|group| group.cause).collect();
    assert_eq!(causes, SeedCause::ALL.into_iter().collect());
}

#[test]
fn living_leads_share_an_address_only_within_their_group() {
    let population = population(4_000, 0.3, 6);
    let mut by_key: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for (place, birth) in population.births.iter().enumerate() {
        let key = birth
            .email
            .as_deref()
            .map(|email| email.trim().to_lowercase())
            .filter(|key| !key.is_empty());
        if let Some(key) = key.filter(|_| birth.fate == Fate::Lives) {
            by_key.entry(key).or_default().insert(place);
        }
    }
    by_key.retain(|_, places| places.len() > 1);
    let labelled: BTreeMap<String, BTreeSet<usize>> = population
        .groups
        .iter()
        .map(|group| (group.key.clone(), group.members.iter().copied().collect()))
        .collect();
    assert_eq!(by_key, labelled);
}

#[test]
fn in_a_race_each_call_arrives_before_the_second_in_which_the_first_lead_is_born() {
    let population = population(4_000, 1.0, 7);
    let mut one_call = 0;
    for group in population.groups.iter().filter(|group| group.cause == SeedCause::Race) {
        let members = members(&population, group);
        let first_born = members.iter().map(|birth| birth.born / SECOND * SECOND).min().unwrap();
        let arrivals: Vec<(i64, u32)> = members
            .iter()
            .filter_map(|birth| match birth.origin {
                Origin::Api { arrived, number, .. } => Some((arrived, number)),
                _ => None,
            })
            .collect();
        assert!(!arrivals.is_empty());
        assert!(arrivals.iter().all(|(arrived, _)| *arrived < first_born), "{group:?}");
        one_call += usize::from(arrivals.len() == 2 && arrivals[0] == arrivals[1]);
    }
    assert!(one_call > 0, "no race within one call");
}

#[test]
fn create_duplicate_calls_arrive_after_the_earlier_lead_is_born() {
    let population = population(4_000, 1.0, 8);
    for group in population.groups.iter().filter(|group| group.cause == SeedCause::CreateDuplicate)
    {
        for pair in members(&population, group).windows(2) {
            let Origin::Api { arrived, .. } = pair[1].origin else {
                panic!("{:?}", pair[1].origin)
            };
            assert!(arrived > pair[0].born + SECOND);
        }
    }
}

#[test]
fn crm_groups_have_a_crm_record_and_partition_groups_a_partition_each() {
    let population = population(4_000, 1.0, 10);
    let mut both_in_crm = 0;
    for group in &population.groups {
        let members = members(&population, group);
        let in_crm =
            |kind: CrmType| members.iter().any(|birth| birth.origin == Origin::Salesforce(kind));
        let partitions: BTreeSet<u32> = members.iter().map(|birth| birth.partition).collect();
        assert_eq!(
            in_crm(CrmType::Lead) || in_crm(CrmType::Contact),
            group.cause == SeedCause::Crm
        );
        assert_eq!(partitions.len() > 1, group.cause == SeedCause::Partition, "{group:?}");
        both_in_crm += usize::from(in_crm(CrmType::Lead) && in_crm(CrmType::Contact));
    }
    assert!(both_in_crm > 0);
}

#[test]
fn an_unknown_cause_is_an_address_that_was_changed_later() {
    let population = population(4_000, 1.0, 11);
    for group in &population.groups {
        let members = members(&population, group);
        let changed = members.iter().filter(|birth| birth.changed_email.is_some()).count();
        let expected = if group.cause == SeedCause::Unknown { members.len() - 1 } else { 0 };
        assert_eq!(changed, expected, "{group:?}");
        for (was, at) in members.iter().filter_map(|birth| birth.changed_email.as_ref()) {
            assert_ne!(was, &group.key);
            assert!(*at < PRESENT);
        }
    }
}

#[test]
fn ids_grow_with_the_time_of_birth_and_have_gaps() {
    let population = population(5_000, 0.1, 12);
    assert!(population.ids.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(population.births.windows(2).all(|pair| pair[0].born <= pair[1].born));
    assert!(population.births.iter().all(|birth| birth.born < PRESENT));
    let highest = *population.ids.last().unwrap();
    assert!(highest > 5_500 && highest < 25_000, "{highest}");
}

#[test]
fn past_merges_come_after_both_births_and_may_be_chained() {
    let population = population(5_000, 0.1, 13);
    let mut chained = 0;
    for birth in &population.births {
        let Fate::Merged { into, at } = birth.fate else { continue };
        let winner = &population.births[into];
        assert!(at > birth.born && at > winner.born && at < PRESENT);
        if let Fate::Merged { at: later, .. } = winner.fate {
            assert!(later > at);
            chained += 1;
        }
    }
    assert!(chained > 0);
    let recently = PRESENT - 14 * DAY;
    assert!(
        population
            .births
            .iter()
            .any(|birth| matches!(birth.fate, Fate::Deleted { at } if at >= recently))
    );
}
