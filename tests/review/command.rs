//! `mkto-audit review` as it is run: a plan of the ledger, decided about and approved in the page.

use std::process::{Child, Command, Stdio};

use mkto_testing::wait;
use serde_json::{Value, json};

use super::picture;
use crate::support::browser::Browser;
use crate::support::merging::fill_cache;
use crate::support::signal::{self, Signal};
use crate::support::{Instance, Run, quick};

/// A running review.
struct Running {
    child: Child,
    link: String,
}

impl Running {
    fn start(instance: &Instance, plan: &str) -> Self {
        let mut command = planning(instance, &["review", plan, "--by", "Bo", "--no-open"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let link = wait::first_line(&mut child);
        Self { child, link }
    }

    /// Ends it with Ctrl-C.
    fn end(self) -> Run {
        signal::send(self.child.id(), Signal::INT);
        Run::from(wait::output_of(self.child))
    }
}

fn planning(instance: &Instance, arguments: &[&str]) -> Command {
    let mut command = instance.command(arguments);
    command.env("MKTO_AUDIT_DB", instance.path("cache.db"));
    command
}

fn run(instance: &Instance, arguments: &[&str]) -> Run {
    Run::of(&mut planning(instance, arguments))
}

/// A plan `nov` of so many pairs, and of two people who share an address.
fn planned(pairs: u64) -> Instance {
    let instance = Instance::start(quick());
    for place in 0..pairs {
        let email = format!("p{place:06}@example.com");
        let created = "2026-01-05T08:00:00Z";
        let first = json!({"email": email, "firstName": "Pat", "lastName": "Lee", "city": "Oslo", "createdAt": created});
        let second = json!({"email": email, "firstName": "Pat", "lastName": "Lee", "city": "Bergen", "phone": "+47 55 01 02 03", "unsubscribed": place % 3 == 0, "createdAt": "2026-02-05T08:00:00Z"});
        instance.sandbox.put_lead(&first);
        instance.sandbox.put_lead(&second);
    }
    for (first, last) in [("Bo", "Berg"), ("Kim", "Lindqvist")] {
        instance.sandbox.put_lead(&json!({"email": "info@example.org", "firstName": first, "lastName": last, "createdAt": "2026-01-05T08:00:00Z"}));
    }
    fill_cache(&instance);
    run(&instance, &["plan", "create", "--name", "nov"]).expect_code(0);
    instance
}

fn shown(instance: &Instance) -> Value {
    serde_json::from_str(&run(instance, &["plan", "show", "nov", "--json"]).stdout).unwrap()
}

#[test]
fn a_plan_of_the_ledger_is_decided_about_and_approved_in_the_page() {
    let Some(mut browser) = Browser::start() else { return };
    let instance = planned(6);
    let review = Running::start(&instance, "nov");
    browser.open(&review.link);
    browser.until("!document.getElementById('review').hidden");
    browser.settle();
    assert!(browser.text("#progress-words").starts_with("0 of 7"));
    browser.key("j");
    picture(&mut browser, "command.png");
    // Whatever list it is in, the group of the two people is skipped as no one person.
    browser.click("#search");
    browser.write("info@");
    let found = "document.querySelector('.key')?.innerText === 'info@example.org'";
    browser.click("#tab-decide");
    browser.until(found);
    browser.click(".card .title");
    picture(&mut browser, "decide.png");
    browser.key("x");
    browser.until("document.getElementById('progress-words').textContent.startsWith('1 of 7')");
    // The ledger is free between the calls of the page.
    let plan = shown(&instance);
    assert_eq!(plan["done"], 1);
    browser.click("#sign");
    browser.until("document.getElementById('sign-off').open");
    picture(&mut browser, "sign-off.png");
    browser.key("Enter");
    browser.until("!document.getElementById('approved').hidden");
    assert_eq!(browser.complaints(), Vec::<String>::new());
    let plan = shown(&instance);
    assert_eq!(plan["approval"]["by"], "Bo");
    assert_eq!(plan["approval"]["digest"], plan["digest"]);
    let run = review.end().expect_code(0);
    assert!(run.stderr.contains("1 of 7 groups decided. Bo approved it"), "{}", run.picture());
}

#[test]
fn what_cannot_be_reviewed_is_refused_with_the_next_step() {
    let instance = planned(1);
    let none = run(&instance, &["review", "dec", "--no-open"]).expect_code(2);
    assert!(none.stderr.contains("dec"), "{}", none.picture());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let busy = run(&instance, &["review", "nov", "--by", "Bo", "--no-open", "--port", &port])
        .expect_code(2);
    assert!(busy.stderr.contains("choose another with --port"), "{}", busy.picture());
    let nobody = run(&instance, &["review", "nov", "--no-open"]).expect_code(2);
    assert!(nobody.stderr.contains("--by"), "{}", nobody.picture());
}

/// Measured by hand, in a release build: `cargo test --release --test commands -- --ignored
/// --nocapture a_plan_of_a_hundred_thousand`
#[test]
#[ignore = "takes minutes; run it by name with --ignored"]
fn a_plan_of_a_hundred_thousand_groups_is_shown_at_once() {
    let Some(mut browser) = Browser::start() else { return };
    let groups = std::env::var("GROUPS").map_or(100_000, |groups| groups.parse().unwrap());
    let instance = planned(groups);
    let review = Running::start(&instance, "nov");
    let from = tokio::time::Instant::now();
    browser.open(&review.link);
    browser.until("document.querySelectorAll('.card').length === 25");
    eprintln!("first screen: {:?}", from.elapsed());
    for page in 2..6 {
        let asked = format!(
            "(async () => {{ const from = performance.now(); document.getElementById('page-on').click(); \
             while (!document.getElementById('page-words').textContent.startsWith('Page {page};')) \
             await new Promise((next) => setTimeout(next, 1)); return performance.now() - from; }})()"
        );
        eprintln!("screen {page}: {} ms", browser.eval(&asked));
    }
    let decided = "(async () => { const from = performance.now(); \
         document.dispatchEvent(new KeyboardEvent('keydown', {key: 'm'})); \
         while (document.documentElement.dataset.busy) await new Promise((next) => setTimeout(next, 1)); \
         return performance.now() - from; })()";
    browser.key("j");
    for _ in 0..3 {
        eprintln!("a decision and the next group: {} ms", browser.eval(decided));
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", review.child.id())).unwrap();
    for line in status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"))
    {
        eprintln!("{line}");
    }
    review.end().expect_code(0);
}
