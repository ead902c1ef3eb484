//! Several groups under way at once, by the real binary.

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use mkto_sandbox::{Meanwhile, Moment};

use crate::support::merging::{command, crowd, emails_are_unique, nothing_is_lost, open_ledger};
use crate::support::signal::{self, Signal};
use crate::support::{Run, UNHURRIED, quick, wait};

/// Killed with three merges under way: they go on at Marketo, and the next run settles each by
/// looking and sends none again.
#[test]
fn the_run_after_a_kill_settles_three_calls_that_were_under_way() {
    let mut options = quick();
    // By the clock on the wall no look becomes too old only because this machine is busy.
    for knob in ["clock_speed=1", "merge_ms=1000"] {
        options.set_knob(knob).unwrap();
    }
    let instance = crowd(options, 9, false);
    let before = instance.sandbox.leads();
    let pid = Arc::new(Mutex::new(None::<u32>));
    let end = Arc::clone(&pid);
    let kill = move |_: &mkto_sandbox::Screens<'_>| {
        if let Some(id) = end.lock().unwrap().take() {
            signal::sent(id, Signal::KILL);
        }
    };
    // One merge goes first, then two, and then three: the sixth is the third of those.
    instance.sandbox.at_moment("/merge", 6, Moment::Before, Meanwhile::Run(Box::new(kill)));
    let mut held = pid.lock().unwrap();
    let mut killed = command(&instance, &["--confirm"]);
    killed.env(UNHURRIED.0, UNHURRIED.1);
    let mut killed = killed.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    *held = Some(killed.id());
    drop(held);
    assert_eq!(wait::end_of(&mut killed).code(), None, "killed");
    let ledger = open_ledger(&instance);
    let is_started =
        |call: &&mkto_audit::ledger::Call| call.state == mkto_audit::ledger::State::Started;
    let open = ledger.open_calls().unwrap();
    assert_eq!(open.iter().filter(is_started).count(), 3, "law 3: {open:?}");
    drop(ledger);

    let mut next = command(&instance, &["--confirm"]);
    let run = Run::of(next.env(UNHURRIED.0, UNHURRIED.1)).expect_code(0);
    assert!(run.stderr.contains("an earlier run ended before"), "{}", run.stderr);
    assert_eq!(instance.sandbox.calls()["POST /rest/v1/leads/{id}/merge"], 9, "each group once");
    assert!(emails_are_unique(&instance));
    nothing_is_lost(&instance, &before);
    assert_eq!(open_ledger(&instance).open_calls().unwrap(), []);
}
