//! What merging costs in calls: a thousand groups of 2 to 5, planned, re-read, backed up, written
//! to, merged, verified.

use mkto_audit::dedupe::{Key, Known, Policy};
use mkto_audit::leases::{SharedLeases, Terms};
use mkto_audit::marketo::Client;
use mkto_audit::merge::{Candidate, Confirmed, Hold, Merge, Outcome, Settings};
use mkto_sandbox::Sandbox;
use serde_json::json;
use tokio::time::Instant;

use crate::goal::Goal;
use crate::instance::{self, NAME, Rate};

pub(crate) const GROUPS: u32 = 1_000;

/// Every call counts that the sandbox saw, from the first look at the instance to the last
/// verification.
pub(crate) fn measure() -> Vec<Goal> {
    let runtime = instance::runtime();
    let calls = runtime.block_on(async {
        let (sandbox, client) = instance::start(instance::quick(), Rate::UNLIMITED).await;
        let candidates = fill(&sandbox);
        let before = Instant::now();
        merge(&client, &candidates, |settings| settings).await;
        println!("merging, {GROUPS} groups of 2 to 5: {:.1} s", before.elapsed().as_secs_f64());
        for (endpoint, calls) in sandbox.calls() {
            println!("  {calls:>5} {endpoint}");
        }
        assert_eq!(sandbox.leads_living(), GROUPS as usize, "one lead of each group is left");
        sandbox.calls_made()
    });
    let calls = f64::from(u32::try_from(calls).unwrap()) / f64::from(GROUPS);
    vec![Goal::at_most(1.15, "calls a group", format!("merging, {GROUPS} groups of 2 to 5"), calls)]
}

/// Plans and merges these groups, all of them.
pub(crate) async fn merge(
    client: &Client,
    candidates: &[Candidate],
    set: impl FnOnce(Settings) -> Settings,
) {
    let (_folder, mut ledger) = instance::ledger();
    let hold = Hold::new(SharedLeases::memory(Terms::default()), NAME.to_owned());
    let settings = Settings::new(client.clock(), instance::now, hold).stop_after_errors(1);
    let mut merge = Merge::new(client, &mut ledger, set(settings)).await.unwrap();
    let plan =
        merge.plan(candidates, Policy::default(), NAME.to_owned(), usize::MAX).await.unwrap();
    let report = merge.carry_out(Confirmed::new(plan), &mut ()).await;
    assert_eq!(report.count(Outcome::Merged), GROUPS as usize, "{report:?}");
}

/// Every third group has a loser who opted out, so that its winner is written to before the merge;
/// some losers are on lists and in a program, so that memberships are backed up.
pub(crate) fn fill(sandbox: &Sandbox) -> Vec<Candidate> {
    let mut losers = Vec::new();
    let mut candidates = Vec::new();
    for number in 0..GROUPS {
        let email = format!("ada.{number}@example.com");
        let lead = |opted_out: bool| {
            let fields = json!({"email": email, "firstName": "Ada", "lastName": format!("Byron {number}"), "unsubscribed": opted_out, "createdAt": "2026-01-02T03:04:05Z"});
            sandbox.put_lead(&fields)
        };
        let leads: Vec<u64> =
            (0..2 + number % 4).map(|place| lead(place == 1 && number % 3 == 0)).collect();
        losers.extend(leads.iter().skip(1));
        candidates.push(Candidate {
            key: Key::of(&email).unwrap(),
            leads,
            known: Known::default(),
        });
    }
    let some = |nth: usize| losers.iter().step_by(nth).copied().collect::<Vec<u64>>();
    sandbox.put_list(1, "Newsletter", &some(2));
    sandbox.put_list(2, "Customers", &some(5));
    let invited: Vec<(u64, &str)> = some(7).into_iter().map(|lead| (lead, "Invited")).collect();
    sandbox.put_program(1, "Webinar", &["Invited", "Attended"], &invited);
    candidates
}
