//! What `mkto-audit merge` says of merges of which nobody told it what became, and of those that
//! others made.

use mkto_sandbox::{Fault, Meanwhile, Options};
use serde_json::{Value, json};

use crate::support::merging::{command, fill_cache};
use crate::support::wait::{self, PATIENCE};
use crate::support::{Instance, Run, quick};

const MERGE: &str = "POST /rest/v1/leads/{id}/merge";
const READ: &str = "GET /rest/v1/leads";

/// How many times as fast Marketo's time passes where a test waits for its limits.
const SPEED: &str = "600";

fn hurried(knobs: &[&str]) -> Options {
    let mut options = quick();
    for knob in knobs.iter().chain(&["clock_speed=600", "activity_delay_ms=0"]) {
        options.set_knob(knob).unwrap();
    }
    options
}

/// Groups of two, each the winner and the loser.
fn pairs(options: Options, groups: usize) -> (Instance, Vec<[u64; 2]>) {
    let instance = Instance::start(options);
    let put = |n: usize| {
        let ada = json!({"email": format!("p{n}@example.com"), "firstName": "Ada", "lastName": "Lovelace"});
        [(); 2].map(|()| instance.sandbox.put_lead(&ada))
    };
    let pairs = (0..groups).map(put).collect();
    fill_cache(&instance);
    (instance, pairs)
}

fn merge(instance: &Instance) -> Run {
    Run::of(command(instance, &["--confirm", "--json"]).env("MKTO_AUDIT_CLOCK_SPEED", SPEED))
}

/// The losers of the groups that a run calls merged.
fn claimed(run: &Run) -> Vec<u64> {
    let document = run.json();
    let groups =
        document["group"].as_array().unwrap().iter().filter(|group| group["outcome"] == "merged");
    groups
        .flat_map(|group| group["losers"].as_array().unwrap().clone())
        .map(|loser| loser.as_u64().unwrap())
        .collect()
}

fn only(run: &Run) -> (String, String) {
    let group = run.json()["group"][0].clone();
    let text = |name: &str| group[name].as_str().unwrap_or_default().to_owned();
    (text("outcome"), text("reason"))
}

/// A call of another integration, by its own API user.
fn of_another_user(instance: &Instance, path: &str) -> impl FnOnce() + Send + 'static {
    let base = instance.sandbox.base_url();
    let url = format!("{base}{path}");
    let identity = [
        ("grant_type", "client_credentials".to_owned()),
        ("client_id", format!("{}.nightly", instance.sandbox.client_id())),
        ("client_secret", instance.sandbox.client_secret().to_owned()),
    ];
    let call = move || {
        let client = wait::blocking_client();
        let token =
            client.post(format!("{base}/identity/oauth/token")).form(&identity).send().unwrap();
        let token: Value = token.json().unwrap();
        let answer =
            client.post(url).bearer_auth(token["access_token"].as_str().unwrap()).body("").send();
        let answer: Value = answer.unwrap().json().unwrap();
        assert_eq!(answer["success"], true, "{answer}");
    };
    // The client that blocks must not be used on a runtime's thread.
    move || wait::joined(std::thread::spawn(call))
}

#[test]
fn two_machines_at_once_never_claim_the_same_loser() {
    for lost in [false, true] {
        let (instance, pairs) = pairs(quick(), 3);
        // Each with a home, and so a ledger and a cache, of its own.
        let at = |machine: &str| {
            let home = instance.path(machine);
            std::fs::create_dir_all(&home).unwrap();
            std::fs::copy(instance.path("cache.db"), home.join("cache.db")).unwrap();
            let mut command = command(&instance, &["--confirm", "--json"]);
            command.env("HOME", &home).env("MKTO_AUDIT_DB", home.join("cache.db"));
            command
        };
        let (mut first, mut second) = (at("one"), at("two"));
        // The second run comes and goes while the first one's first merge is on its way.
        let (tell, told) = std::sync::mpsc::channel();
        let other = move |_: &mkto_sandbox::Screens<'_>| {
            let run = tokio::task::block_in_place(|| Run::of(&mut second));
            tell.send(run).unwrap();
        };
        if lost {
            instance.sandbox.fail_next(MERGE, Fault::CutAfter);
        }
        instance.sandbox.before_call("/merge", 1, Meanwhile::Run(Box::new(other)));
        // It waits for its answer for longer than the other one takes.
        let first = Run::of(first.env("MKTO_AUDIT_CLOCK_SPEED", "10"));
        let second = told.recv_timeout(PATIENCE).unwrap().expect_code(0);
        let all: Vec<u64> = pairs.iter().map(|[_, loser]| *loser).collect();
        assert_eq!(claimed(&second), all, "{}", second.picture());
        if lost {
            // Where two of one user left within seconds, the log cannot tell whose it was: that one
            // at most.
            assert!(claimed(&first).len() <= 1, "{}", first.picture());
        } else {
            assert_eq!(claimed(&first), [0; 0], "{}", first.picture());
            let first = first.expect_code(3);
            assert!(only(&first).1.contains("not by this program"), "{}", first.picture());
        }
        assert_eq!(instance.sandbox.leads_living(), 3);
    }
}

#[test]
fn a_merge_in_doubt_is_merged_as_soon_as_the_log_shows_it() {
    for knob in ["merge_activity=shown", "merge_activity=late"] {
        let (instance, pairs) = pairs(hurried(&[knob]), 1);
        instance.sandbox.fail_next(MERGE, Fault::CutAfter);
        let run = merge(&instance).expect_code(0);
        assert_eq!(claimed(&run), [pairs[0][1]], "{knob}: {}", run.picture());
        let asked = instance.sandbox.calls()["GET /rest/v1/activities"];
        assert!(knob.ends_with("shown") || asked > 1, "it is asked again: {asked}");
        assert_eq!(instance.sandbox.calls()[MERGE], 1, "and not made again");
    }
}

#[test]
fn a_merge_in_doubt_that_nothing_shows_stays_open_and_is_told_by_each_run() {
    let hidden = hurried(&["merge_activity=hidden"]);
    let denied = Options { denied: vec!["Read-Only Activity".to_owned()], ..hurried(&[]) };
    for (options, words) in [(hidden, "log"), (denied, "Read-Only Activity")] {
        let (instance, _) = pairs(options, 1);
        instance.sandbox.fail_next(MERGE, Fault::CutAfter);
        let run = merge(&instance);
        assert_ne!(run.code, Some(0), "{}", run.picture());
        let (outcome, reason) = only(&run);
        assert!(outcome == "unknown" && reason.contains(words), "{}", run.picture());
        let again = merge(&instance);
        assert_ne!(again.code, Some(0), "it is open still: {}", again.picture());
        assert!(again.stderr.contains("not clear yet"), "and told: {}", again.picture());
    }
}

#[test]
fn a_merge_in_doubt_whose_loser_somebody_else_merged_is_not_called_ours() {
    // By hand into a stranger; or by another integration, as the plan has it.
    for into_stranger in [true, false] {
        let (instance, pairs) = pairs(hurried(&[]), 1);
        let [winner, loser] = pairs[0];
        let stranger = instance.sandbox.put_lead(&json!({"email": "bob@example.org"}));
        instance.sandbox.fail_next(MERGE, Fault::CutAfter);
        let meanwhile = if into_stranger {
            Meanwhile::Merge { winner: stranger, losers: vec![loser] }
        } else {
            let call = of_another_user(
                &instance,
                &format!("/rest/v1/leads/{winner}/merge.json?leadIds={loser}"),
            );
            Meanwhile::Run(Box::new(|_| tokio::task::block_in_place(call)))
        };
        instance.sandbox.before_call("/merge", 1, meanwhile);
        let run = merge(&instance).expect_code(3);
        let (outcome, reason) = only(&run);
        assert_ne!(outcome, "merged", "{}", run.picture());
        // The log of a stranger is not asked.
        let words = if into_stranger {
            "names no merge of them by this program"
        } else {
            "not by this program"
        };
        assert!(reason.contains(words), "{}", run.picture());
        let into = if into_stranger { stranger } else { winner };
        assert_eq!(instance.sandbox.merged_into(loser), Some(into));
    }
}

#[test]
fn one_incomplete_read_makes_nobody_gone() {
    // Whichever read of leads it is: of the plan, of the look before the merge, of the look after
    // it.
    for read in 1..=5 {
        for done in [true, false] {
            let (instance, pairs) = pairs(hurried(&[]), 1);
            if !done {
                instance.sandbox.fail_next(MERGE, Fault::CutBefore);
            }
            let incomplete = |screens: &mkto_sandbox::Screens<'_>| {
                screens.fail_next(READ, Fault::MissingRead);
            };
            match read {
                1 => instance.sandbox.fail_next(READ, Fault::MissingRead),
                _ => instance.sandbox.after_call(
                    "GET /rest/v1/leads.json",
                    read - 1,
                    Meanwhile::Run(Box::new(incomplete)),
                ),
            }
            let run = merge(&instance);
            let lives = instance.sandbox.lead(pairs[0][1]).is_some();
            let (outcome, reason) = only(&run);
            assert_eq!(lives, !done, "read {read}: {}", run.picture());
            assert_eq!(outcome == "merged", done, "read {read}: {}", run.picture());
            assert!(!reason.contains("gone"), "read {read}: {}", run.picture());
        }
    }
}
