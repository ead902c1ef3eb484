//! Without any one of its rules the protocol lets two calls of a key meet at Marketo, and this is
//! how.

use std::time::Duration;

use stateright::{Checker as _, Model as _};

use super::rules::{CountsFrom, Named, Rules};
use super::steps::{Protocol, Step};
use super::world::{TICK, World};
use super::{NOT_STARVED, ONE_CALL, SERVED};
use crate::leases::{MARGIN, Terms, until_over};
use crate::marketo::{Clock, SYNC_LIMIT};

fn built() -> Rules {
    Rules::as_built(SYNC_LIMIT)
}

/// A way to a world where the promise is broken, without a step that could be left out.
fn way_to_break(promise: &'static str, rules: Rules) -> String {
    let protocol = Protocol { only: Some(promise), ..Protocol::new(rules, &[&["a"], &["a"]]) };
    way_of(promise, &protocol)
}

fn way_of(promise: &'static str, protocol: &Protocol) -> String {
    let checker = protocol.clone().checker().spawn_bfs().join();
    let mut way =
        checker.discovery(promise).expect("the promise holds without this rule").into_actions();
    let without_a_detour = |way: &[Step]| detours(way).find(|way| breaks(promise, protocol, way));
    while let Some(shorter) = without_a_detour(&way) {
        way = shorter;
    }
    way.chunk_by(|one, next| one == next).map(in_words).collect::<Vec<_>>().join(", ")
}

/// The ways that lack one of the steps, or two.
fn detours(way: &[Step]) -> impl Iterator<Item = Vec<Step>> + '_ {
    let without = |one: usize, other: usize| {
        let kept =
            way.iter().enumerate().filter(move |(number, _)| *number != one && *number != other);
        kept.map(|(_, step)| *step).collect()
    };
    (0..way.len()).flat_map(move |one| (one..way.len()).map(move |other| without(one, other)))
}

/// Whether these steps can be taken one after the other, and where they lead the promise is broken.
fn breaks(promise: &'static str, protocol: &Protocol, way: &[Step]) -> bool {
    let mut world = protocol.init_states().remove(0);
    for step in way {
        let mut possible = Vec::new();
        protocol.possible(&world, &mut possible);
        if !possible.contains(step) {
            return false;
        }
        world = protocol.after(&world, *step);
    }
    let holds: fn(&Protocol, &World) -> bool = protocol.property(promise).condition;
    !holds(protocol, &world)
}

fn in_words(steps: &[Step]) -> String {
    match steps {
        [Step::TimePasses, ..] => format!("{:?}", TICK * u32::try_from(steps.len()).unwrap()),
        _ => format!("{:?}", steps[0]),
    }
}

#[test]
fn a_call_outlasts_a_renewal_for_the_time_of_an_unsent_lease() {
    let rules = Rules { renewed_for: Terms::default().unsent, ..built() };
    assert_eq!(
        way_to_break(ONE_CALL, rules),
        "Take(0), AskForRenewal(0), Renew(0), 10s, Send(0), 10s, Arrive(0), 10s, Take(1), \
         AskForRenewal(1), Renew(1), Send(1), Arrive(0)"
    );
}

#[test]
fn a_call_outlasts_a_renewal_for_marketos_limit_without_a_margin() {
    let rules = Rules { renewed_for: SYNC_LIMIT, ..built() };
    assert_eq!(
        way_to_break(ONE_CALL, rules),
        "Take(0), AskForRenewal(0), Renew(0), 10s, Send(0), 10s, Arrive(0), 70s, Take(1), \
         AskForRenewal(1), Renew(1), Send(1), Arrive(0)"
    );
}

#[test]
fn a_call_that_leaves_late_and_arrives_late_outlasts_a_renewal_with_one_margin() {
    let rules = Rules { renewed_for: until_over(SYNC_LIMIT, Clock::real()), ..built() };
    assert_eq!(
        way_to_break(ONE_CALL, rules),
        "Take(0), AskForRenewal(0), Renew(0), 10s, Send(0), 10s, Arrive(0), 80s, Take(1), \
         AskForRenewal(1), Renew(1), Send(1), Arrive(0)"
    );
}

#[test]
fn a_guard_that_does_not_renew_sends_with_a_lease_that_it_has_lost() {
    let rules = Rules { renews: false, ..built() };
    assert_eq!(
        way_to_break(ONE_CALL, rules),
        "Take(0), 30s, AskForRenewal(0), Renew(0), Send(0), Arrive(0), Take(1), AskForRenewal(1), \
         Renew(1), Send(1), Arrive(0)"
    );
}

#[test]
fn a_guard_that_takes_an_unclear_outcome_for_a_failure_lets_the_next_call_meet_its_own() {
    let rules = Rules { settled_after: Duration::ZERO, ..built() };
    assert_eq!(
        way_to_break(ONE_CALL, rules),
        "Take(0), AskForRenewal(0), Renew(0), Send(0), Arrive(0), Settle(0), Take(0), \
         AskForRenewal(0), Renew(0), Send(0), Arrive(0)"
    );
}

#[test]
fn a_lost_answer_has_to_be_waited_out_for_longer_than_marketos_limit() {
    let rules = Rules { settled_after: SYNC_LIMIT, ..built() };
    assert_eq!(
        way_to_break(ONE_CALL, rules),
        "Take(0), AskForRenewal(0), Renew(0), Send(0), 10s, Arrive(0), 80s, Settle(0), Take(0), \
         AskForRenewal(0), Renew(0), Send(0), Arrive(0)"
    );
}

#[test]
fn a_lease_that_ends_by_its_owners_clock_ends_early_where_the_owner_slept() {
    let rules = Rules { counts_from: CountsFrom::OwnersAsking, ..built() };
    assert_eq!(
        way_to_break(ONE_CALL, rules),
        "Take(0), AskForRenewal(0), 20s, Renew(0), 10s, Send(0), 10s, Arrive(0), 70s, Take(1), \
         AskForRenewal(1), Renew(1), Send(1), Arrive(0)"
    );
}

#[test]
fn a_lease_whose_time_counts_from_the_grant_ends_early_where_the_look_up_was_slow() {
    let rules = Rules { counts_from: CountsFrom::Grant, ..built() };
    assert_eq!(
        way_to_break(ONE_CALL, rules),
        "Take(0), 20s, AskForRenewal(0), Renew(0), 10s, Send(0), 10s, Arrive(0), 70s, Take(1), \
         AskForRenewal(1), Renew(1), Send(1), Arrive(0)"
    );
}

#[test]
fn a_lease_that_dies_with_its_owner_does_not_protect_the_call_that_goes_on() {
    let rules = Rules { outlives_its_owner: false, ..built() };
    assert_eq!(
        way_to_break(ONE_CALL, rules),
        "Take(0), AskForRenewal(0), Renew(0), Send(0), Arrive(0), Kill(0), Take(0), \
         AskForRenewal(0), Renew(0), Send(0), Arrive(0)"
    );
}

#[test]
fn a_renewal_that_does_not_name_its_grant_renews_the_lease_of_another() {
    let rules = Rules { renewal_names: Named::Key, ..built() };
    assert_eq!(
        way_to_break(ONE_CALL, rules),
        "Take(0), 30s, AskForRenewal(0), Renew(0), Send(0), Arrive(0), Take(1), AskForRenewal(1), \
         Renew(1), Send(1), Arrive(0)"
    );
}

#[test]
fn a_release_that_does_not_name_its_grant_gives_back_the_lease_of_another() {
    let rules = Rules { release_names: Named::Key, ..built() };
    assert_eq!(
        way_to_break(ONE_CALL, rules),
        "Take(0), 30s, Take(1), AskForRenewal(1), Renew(1), GiveBack(0), Take(0), \
         AskForRenewal(0), Renew(0), Send(0), Arrive(0), Send(1), Arrive(0)"
    );
}

#[test]
fn a_call_that_may_leave_at_any_time_after_its_renewal_outlasts_it() {
    let rules = Rules { leaves_within: Duration::MAX, ..built() };
    assert_eq!(
        way_to_break(ONE_CALL, rules),
        "Take(0), AskForRenewal(0), Renew(0), 110s, Send(0), Arrive(0), Take(1), AskForRenewal(1), \
         Renew(1), Send(1), Arrive(0)"
    );
}

#[test]
fn a_call_that_may_leave_within_two_margins_of_its_renewal_outlasts_it() {
    let rules = Rules { leaves_within: MARGIN * 2, ..built() };
    assert_eq!(
        way_to_break(ONE_CALL, rules),
        "Take(0), AskForRenewal(0), Renew(0), 20s, Send(0), 10s, Arrive(0), 80s, Take(1), \
         AskForRenewal(1), Renew(1), Send(1), Arrive(0)"
    );
}

#[test]
fn a_network_that_keeps_a_call_for_longer_than_the_margin_is_more_than_the_protocol_can_bear() {
    let rules = Rules { arrives_within: MARGIN * 2, ..built() };
    assert_eq!(
        way_to_break(ONE_CALL, rules),
        "Take(0), AskForRenewal(0), Renew(0), 10s, Send(0), 20s, Arrive(0), 80s, Take(1), \
         AskForRenewal(1), Renew(1), Send(1), Arrive(0)"
    );
}

#[test]
fn a_waiting_process_that_counts_for_long_after_its_death_keeps_everybody_behind_it_waiting() {
    let terms = Terms { place: Duration::from_secs(3600), ..built().terms };
    assert_eq!(
        way_to_break(SERVED, Rules { terms, ..built() }),
        "Take(0), Wait(1), Kill(1), Wait(1)"
    );
}

#[test]
fn a_lease_that_outlives_its_call_by_too_much_keeps_everybody_waiting() {
    let rules = Rules { renewed_for: Duration::from_secs(3600), ..built() };
    assert_eq!(way_to_break(SERVED, rules), "Take(0), AskForRenewal(0), Renew(0), Wait(1)");
}

#[test]
fn where_the_store_does_not_keep_who_waits_a_guard_that_comes_again_and_again_starves_another() {
    let rules = Rules { notes_who_waits: false, ..built() };
    assert_eq!(
        way_to_break(NOT_STARVED, rules),
        "Take(0), Wait(1), GiveBack(0), Take(0), GiveBack(0), Take(0)"
    );
}

#[test]
fn where_keys_are_taken_that_somebody_waits_for_a_guard_that_tries_again_and_again_starves_another()
{
    let rules = Rules { tries_stand_back: false, ..built() };
    assert_eq!(
        way_to_break(NOT_STARVED, rules),
        "Take(0), Wait(1), GiveBack(0), Take(0), GiveBack(0), Take(0)"
    );
}

#[test]
fn a_store_that_loses_its_rows_and_grants_before_what_left_is_over_lets_two_calls_meet() {
    let at_once = "Take(0), AskForRenewal(0), Renew(0), StoreLosesRows, Send(0), Arrive(0), Take(1), \
                   AskForRenewal(1), Renew(1), Send(1), Arrive(0)";
    let with_one_margin = "Take(0), AskForRenewal(0), Renew(0), StoreLosesRows, 10s, Send(0), 10s, \
                           Arrive(0), 80s, Take(1), AskForRenewal(1), Renew(1), Send(1), Arrive(0)";
    for (quiet, way) in [(Duration::ZERO, at_once), (SYNC_LIMIT + MARGIN, with_one_margin)] {
        let protocol = Protocol::new(Rules { quiet, ..built() }, &[&["a"], &["a"]]);
        let protocol = Protocol { loses_rows: true, only: Some(ONE_CALL), ..protocol };
        assert_eq!(way_of(ONE_CALL, &protocol), way);
    }
}
