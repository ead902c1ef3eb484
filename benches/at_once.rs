//! What several groups under way at once save: a thousand groups, merged one at a time and then
//! three at a time, by a Marketo that takes two seconds over a merge.

use std::time::Duration;

use mkto_audit::merge::Settings;
use tokio::time::Instant;

use crate::goal::Goal;
use crate::instance::{self, Rate};
use crate::merging;

/// Marketo's time passes so many times as fast. A look then allows as many merges as in real time:
/// what the program itself takes beside them stays small.
const SPEED: u32 = 10;

/// How many groups are under way at once, by default.
const AT_ONCE: usize = 3;

/// What Marketo allows, and what the program is configured to by default.
const MARKETO: Rate = Rate { calls: 100, window: Duration::from_secs(2), concurrency: 10 };
const OWN: Rate = Rate { calls: 50, window: Duration::from_secs(2), concurrency: 5 };

/// The same groups twice, each time in an instance of its own.
pub(crate) fn measure() -> Vec<Goal> {
    let runtime = instance::runtime();
    let mut refused = 0;
    let mut took = |at_once: usize| {
        let (seconds, errors) = runtime.block_on(run(at_once));
        println!("merging {} groups, {at_once} at once: {seconds:.1} s", merging::GROUPS);
        refused += errors;
        seconds
    };
    let (one, several) = (took(1), took(AT_ONCE));
    let what = format!("merging {} groups of 2 s each, {AT_ONCE} at once", merging::GROUPS);
    vec![
        Goal::at_least(2.5, "times as fast as one at a time", what.clone(), one / several),
        Goal::at_most(0.0, "calls refused with 606 or 615", what, f64::from(refused)),
    ]
}

/// Seconds that the merging takes, and the calls that were refused for their number.
async fn run(at_once: usize) -> (f64, u32) {
    let options = instance::sped_up(SPEED, 2_000);
    let (sandbox, client) = instance::start_within(options, MARKETO, OWN, SPEED).await;
    let candidates = merging::fill(&sandbox);
    let begun = Instant::now();
    merging::merge(&client, &candidates, |settings: Settings| settings.concurrency(at_once)).await;
    let seconds = begun.elapsed().as_secs_f64();
    let errors = sandbox.errors();
    let refused = ["606", "615"].iter().filter_map(|code| errors.get(*code)).sum::<u64>();
    (seconds, u32::try_from(refused).unwrap())
}
