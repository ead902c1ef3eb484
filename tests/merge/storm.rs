//! Random instances, weather and people while random runs of `mkto-audit merge` come and are
//! killed, judged afterwards by the sandbox's own books and by the ledger.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::{Arc, Mutex, mpsc};

use mkto_sandbox::{Meanwhile, Moment};

use crate::support::merging::{command, fill_cache, open_ledger};
use crate::support::signal::{self, Signal};
use crate::support::wait::{self, LONGEST};
use crate::support::{Instance, Run, quick};

use crate::support::dice::Dice;
use evidence::{Evidence, merged_is_merged, named_by};
use scenario::{Rules, fill, meddle, options, rules};

mod evidence;
pub(super) mod scenario;

fn run(instance: &Instance, dice: &mut Dice, rules: &Rules, kill: bool) -> Option<Run> {
    let mut command = command(instance, &["--confirm", "--json"]);
    command.envs(rules.iter().map(|(key, value)| (key, value)));
    let pid = Arc::new(Mutex::new(None::<u32>));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    *pid.lock().unwrap() = Some(child.id());
    if kill {
        let nth = usize::try_from(1 + dice.below(25)).unwrap();
        let moment = *dice.pick(&[Moment::Before, Moment::During, Moment::After]);
        let end = Arc::clone(&pid);
        let run = move |_: &mkto_sandbox::Screens<'_>| {
            if let Some(id) = end.lock().unwrap().take() {
                signal::sent(id, Signal::KILL);
            }
        };
        instance.sandbox.at_moment("/", nth, moment, Meanwhile::Run(Box::new(run)));
    }
    let stdout = wait::reading(child.stdout.take().unwrap());
    let stderr = wait::reading(child.stderr.take().unwrap());
    let words = |from: mpsc::Receiver<Vec<u8>>| {
        String::from_utf8(from.recv_timeout(LONGEST).expect("the end of the run")).unwrap()
    };
    let stdout = words(stdout);
    // Nobody kills a process of this number once it is over.
    let mut held = pid.lock().unwrap();
    *held = None;
    let code = wait::end_of(&mut child).code();
    drop(held);
    let run = Run { code, stdout, stderr: words(stderr) };
    run.code.is_some().then_some(run)
}

/// The ids of all plans; the ledger must not be open.
#[expect(clippy::disallowed_methods, reason = "killed runs tell nobody the ids of their plans")]
fn plans(instance: &Instance) -> Vec<String> {
    let name = instance.sandbox.base_url().trim_start_matches("http://").replace(':', "_");
    let file = instance.path(&format!(".local/share/mkto-audit/{name}.ledger.db"));
    let db = rusqlite::Connection::open(file).unwrap();
    let mut query = db.prepare("SELECT id FROM plan").unwrap();
    let ids = query.query_map([], |row| row.get(0)).unwrap();
    ids.map(Result::unwrap).collect()
}

fn storm(seed: u64) {
    let mut dice = Dice(seed);
    let mut options = options(&mut dice);
    if dice.one_in(4) {
        // Calm weather: what is left is what people and settings do.
        let settings = options.knobs.clone();
        options = quick();
        options.knobs = settings;
    }
    let rules = rules(seed);
    let described = format!("{options:?}\n{rules:?}");
    let instance = Instance::start(options);
    let groups = fill(&instance, &mut dice);
    let start = instance.sandbox.leads().into_iter().map(|view| (view.id, view)).collect();
    fill_cache(&instance);
    let mut log = described;
    let (mut quiet, mut named) = (0, BTreeSet::new());
    for round in 0..9 {
        let stormy = round < 4;
        if stormy {
            meddle(&instance, &mut dice, &groups, round);
        }
        let kill = stormy && dice.one_in(2);
        let living = instance.sandbox.leads_living();
        match run(&instance, &mut dice, &rules, kill) {
            None => log.push_str("\nkilled"),
            Some(run) => {
                log = format!("{log}\n----- run {round}\n{}", run.picture());
                assert!(matches!(run.code, Some(0 | 1 | 3 | 4)), "seed {seed}: {log}");
                merged_is_merged(&instance, &run, seed);
                named.extend(named_by(&run));
                let same = !stormy && living == instance.sandbox.leads_living();
                quiet = if same { quiet + 1 } else { 0 };
            }
        }
        if quiet == 2 {
            break;
        }
    }
    let plans = plans(&instance);
    let ledger = open_ledger(&instance);
    let open = ledger
        .open_findings()
        .unwrap()
        .into_iter()
        .map(|(_, _, finding)| (finding.lead, finding.field))
        .collect();
    let evidence = Evidence {
        instance: &instance,
        start,
        meddled: instance.sandbox.meddled(),
        ledger,
        plans,
        open,
        named,
        seed,
        log,
    };
    evidence.consent_is_kept();
    evidence.backups_are_whole();
    evidence.values_are_kept();
    evidence.what_is_left_alone_is_as_it_was();
}

#[test]
fn nothing_is_lost_in_any_weather() {
    let seeds: Vec<u64> = (1..=12).collect();
    std::thread::scope(|scope| {
        for chunk in seeds.chunks(4) {
            scope.spawn(move || chunk.iter().for_each(|seed| storm(*seed)));
        }
    });
}

/// Many more; `STORM_SEEDS=100..200` names them.
#[test]
#[ignore = "takes minutes; run it by name with --ignored"]
fn nothing_is_lost_in_many_storms() {
    let named = std::env::var("STORM_SEEDS").unwrap_or_else(|_| "100..160".to_owned());
    let (from, to) = named.split_once("..").unwrap();
    let mut failed = Vec::new();
    for seed in from.parse::<u64>().unwrap()..to.parse().unwrap() {
        let went = std::panic::catch_unwind(|| storm(seed));
        eprintln!("seed {seed}: {}", if went.is_ok() { "well" } else { "FAILED" });
        if went.is_err() {
            failed.push(seed);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}
