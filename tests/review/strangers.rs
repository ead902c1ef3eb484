//! Who is kept out of the live page: other users of the machine, other sites, other names.

use mkto_audit::review::server::Ended;
use mkto_testing::wait;
use reqwest::blocking::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use super::Live;
use super::made_up::{MadeUp, key};

/// A live review, seen over plain HTTP.
struct Seen {
    live: Live,
    client: Client,
    base: String,
    token: String,
}

impl Seen {
    fn new() -> Self {
        let live = Live::of(MadeUp::of(8));
        let link = live.review.link();
        let (page, token) = link.split_once('#').unwrap();
        let base = page.trim_end_matches("/review").to_owned();
        Self { client: wait::blocking_client(), base, token: token.to_owned(), live }
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.base))
    }

    fn post(&self, path: &str) -> RequestBuilder {
        let origin = self.base.clone();
        self.client.post(format!("{}{path}", self.base)).header("origin", origin)
    }

    fn enter(&self) -> String {
        let told = self.post("/api/session").header("x-mkto-token", &self.token).send().unwrap();
        assert_eq!(told.status(), 200);
        words(told)["session"].as_str().unwrap().to_owned()
    }
}

#[track_caller]
fn words(answer: Response) -> Value {
    serde_json::from_str(&answer.text().unwrap()).unwrap()
}

#[track_caller]
fn refused(answer: Response, status: u16, why: &str) {
    assert_eq!(answer.status(), status);
    let told = words(answer);
    assert!(told["error"].as_str().unwrap().contains(why), "{told}");
}

fn decision() -> Value {
    json!({"group": [{"key": key(0), "seen": 0, "decision": "merge"}]})
}

#[test]
fn without_the_word_nothing_of_the_plan_is_told_or_changed() {
    let seen = Seen::new();
    for path in ["/api/plan", "/api/cards?tab=safe", "/api/blocked"] {
        refused(seen.get(path).send().unwrap(), 403, "Open the link");
        let guessed = seen.get(path).header("x-mkto-session", "0".repeat(64));
        refused(guessed.send().unwrap(), 403, "Open the link");
    }
    refused(seen.post("/api/decide").json(&decision()).send().unwrap(), 403, "Open the link");
    assert!(seen.live.plan.decided(0).is_empty());
    let root = seen.get("/").send().unwrap();
    assert_eq!(root.status(), 403);
    assert!(root.text().unwrap().contains("Open the link"));
    // The page itself has nothing of the plan in it, and the word in a query is none.
    let page = seen.get(&format!("/review?{}", seen.token)).send().unwrap().text().unwrap();
    assert!(!page.contains("example.com\">") && !page.contains("p000000@"));
    let session = seen.enter();
    let told = seen.get("/api/plan").header("x-mkto-session", session).send().unwrap();
    assert_eq!(words(told)["head"]["plan"], "a1b2c3");
}

#[test]
fn the_word_of_the_link_is_good_once() {
    let seen = Seen::new();
    refused(seen.post("/api/session").send().unwrap(), 403, "Open the link");
    let wrong = seen.post("/api/session").header("x-mkto-token", "f".repeat(64));
    refused(wrong.send().unwrap(), 403, "not of this review");
    let first = seen.enter();
    let again = seen.post("/api/session").header("x-mkto-token", &seen.token);
    refused(again.send().unwrap(), 403, "used already");
    let told = seen.get("/api/plan").header("x-mkto-session", &first).send().unwrap();
    assert_eq!(told.status(), 200, "who came first stays in");
    let as_session = seen.get("/api/plan").header("x-mkto-session", &seen.token);
    refused(as_session.send().unwrap(), 403, "Open the link");
}

#[test]
fn a_name_that_is_not_ours_is_refused_also_with_the_word() {
    let seen = Seen::new();
    let session = seen.enter();
    let port = seen.base.rsplit(':').next().unwrap();
    for host in [
        "evil.example.com",
        "127.0.0.1",
        "evil.example.com:80",
        &format!("127.0.0.1.example.com:{port}"),
    ] {
        for path in ["/review", "/review.js", "/api/plan"] {
            let asked = seen.get(path).header("host", host).header("x-mkto-session", &session);
            refused(asked.send().unwrap(), 421, "not of this page");
        }
    }
    let host = format!("localhost:{port}");
    let ours = seen.get("/api/plan").header("host", host).header("x-mkto-session", &session);
    assert_eq!(ours.send().unwrap().status(), 200);
}

#[test]
fn another_site_can_neither_write_nor_read() {
    let seen = Seen::new();
    let session = seen.enter();
    let port = seen.base.rsplit(':').next().unwrap();
    let url = format!("{}/api/decide", seen.base);
    let write = || seen.client.post(&url).header("x-mkto-session", &session).json(&decision());
    refused(write().send().unwrap(), 403, "Another site");
    let other_port = "http://127.0.0.1:1".to_owned();
    let other_name = format!("http://localhost:{port}");
    let sites = ["https://evil.example.com".to_owned(), "null".to_owned(), other_port, other_name];
    for origin in sites {
        refused(write().header("origin", &origin).send().unwrap(), 403, "Another site");
        let read = seen.get("/api/plan").header("x-mkto-session", &session);
        refused(read.header("origin", &origin).send().unwrap(), 403, "Another site");
    }
    for site in ["cross-site", "same-site"] {
        let told = write().header("origin", &seen.base).header("sec-fetch-site", site);
        refused(told.send().unwrap(), 403, "Another site");
    }
    assert!(seen.live.plan.decided(0).is_empty());
    // A browser asks before it sends a header of ours from another site; nobody allows it.
    let asked = seen.client.request(reqwest::Method::OPTIONS, &url);
    let told = asked.header("origin", "https://evil.example.com").send().unwrap();
    assert_eq!(told.status(), 403);
    assert!(!told.headers().contains_key("access-control-allow-origin"));
    assert_eq!(write().header("origin", &seen.base).send().unwrap().status(), 200);
    assert!(!seen.live.plan.decided(0).is_empty());
}

#[test]
fn every_answer_stands_under_the_strict_headers_and_sets_no_cookie() {
    let seen = Seen::new();
    for path in ["/", "/review", "/review.js", "/review.css", "/api/plan", "/nothing"] {
        let told = seen.get(path).send().unwrap();
        let headers = told.headers();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{path}");
        assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"));
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert_eq!(headers["cache-control"], "no-store");
        assert!(!headers.contains_key("set-cookie"), "{path}");
    }
    let page = seen.get("/review").send().unwrap().text().unwrap();
    assert!(!page.contains("<script>") && !page.contains("<style") && !page.contains("onclick"));
}

#[test]
fn a_body_is_bounded_and_a_bad_one_changes_nothing() {
    let seen = Seen::new();
    let session = seen.enter();
    let write = || seen.post("/api/decide").header("x-mkto-session", &session);
    let large = vec![b' '; 1024 * 1024 + 1];
    let kind = "application/json";
    refused(
        write().header("content-type", kind).body(large.clone()).send().unwrap(),
        413,
        "too large",
    );
    // The same without its length told beforehand.
    let piece = reqwest::blocking::Body::new(std::io::Cursor::new(large));
    refused(write().header("content-type", kind).body(piece).send().unwrap(), 413, "too large");
    refused(write().body("{}").send().unwrap(), 415, "must be JSON");
    refused(write().json(&json!({"groups": []})).send().unwrap(), 422, "unknown field");
    let many: Vec<_> = (0..501).map(|place| json!({"key": key(place), "seen": 0})).collect();
    refused(write().json(&json!({"group": many})).send().unwrap(), 422, "At most 500");
    let with =
        |second: Value| json!({"group": [{"key": key(0), "seen": 0, "decision": "merge"}, second]});
    let half = with(json!({"key": key(1), "seen": 0, "decision": "mrge"}));
    refused(write().json(&half).send().unwrap(), 422, "number 2 (p000001@example.com)");
    let blind = with(json!({"key": key(1), "decision": "merge"}));
    refused(write().json(&blind).send().unwrap(), 422, "number 2 does not tell which decision");
    let unknown = with(json!({"key": "no@example.com", "seen": 0}));
    refused(write().json(&unknown).send().unwrap(), 422, "there is no group no@example.com");
    assert!(seen.live.plan.decided(0).is_empty(), "all or nothing");
    for path in ["/api/merge", "/api/plan/", "/api/decide/x"] {
        refused(
            seen.post(path).header("x-mkto-session", &session).json(&json!({})).send().unwrap(),
            404,
            "nothing here",
        );
    }
    let read = |query: &str| {
        let asked = seen.get(&format!("/api/cards?{query}")).header("x-mkto-session", &session);
        asked.send().unwrap()
    };
    for bad in ["tab=all", "risk=blue", "cause=magic", "after=x", "count=-1", "sort=key"] {
        assert_eq!(read(bad).status(), 422, "{bad}");
    }
    let cards = words(read("count=1000000"))["cards"].as_array().unwrap().len();
    assert_eq!(cards, 8, "no more than there are");
}

#[test]
fn a_stale_page_overwrites_nothing_and_is_shown_what_stands_now() {
    let seen = Seen::new();
    let session = seen.enter();
    let decide = |number: i64, choice: &str| {
        let body = json!({"group": [{"key": key(0), "seen": number, "decision": choice}]});
        seen.post("/api/decide").header("x-mkto-session", &session).json(&body).send().unwrap()
    };
    let told = words(decide(0, "merge"));
    assert_eq!(told["numbers"][key(0)], 1, "{told}");
    let stale = decide(0, "skip");
    assert_eq!(stale.status(), 409);
    let told = words(stale);
    assert!(told["error"].as_str().unwrap().contains("Cy decided about"), "{told}");
    assert_eq!(told["cards"][0]["decisions"]["decision"], "merge");
    assert_eq!(seen.live.plan.decided(0).choice, Some(mkto_audit::dedupe::Choice::Merge));
    let number = told["cards"][0]["decision_number"].as_i64().unwrap();
    assert_eq!(decide(number, "skip").status(), 200, "who has seen it may decide otherwise");
}

#[test]
fn an_approval_is_of_the_digest_that_was_shown_under_the_name_that_decides() {
    let seen = Seen::new();
    let session = seen.enter();
    let approve = |body: Value| {
        seen.post("/api/approve").header("x-mkto-session", &session).json(&body).send().unwrap()
    };
    let digest = format!("{:064x}", 0);
    for other in [" ", "Cy"] {
        let told = approve(json!({"digest": digest, "by": other}));
        refused(told, 422, "You decide as Bo, and approve as Bo too");
    }
    refused(approve(json!({"digest": "other"})), 422, "look again");
    assert!(seen.live.plan.approval.lock().unwrap().is_none());
    assert_eq!(approve(json!({"digest": digest, "by": " bo"})).status(), 200, "the same name");
    assert_eq!(approve(json!({"digest": digest, "note": "all seen"})).status(), 200);
    let approval = seen.live.plan.approval.lock().unwrap().clone().unwrap();
    assert_eq!((approval.by.as_str(), approval.note.as_deref()), ("Bo", Some("all seen")));
    assert_eq!(seen.live.end(), Ended::Stopped);
}
