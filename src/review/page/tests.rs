//! What a page in a file carries, and that no value leaves the place that it stands in.

use serde_json::Value;

use super::*;
use crate::dedupe::{Decisions, Risk};
use crate::review::CarriedState;
use crate::review::card::{Card, CardLead, CardRole};
use crate::review::model::{Approval, Blocked, Decided, Door, Failed, Head, Page, Seen};

const HOSTILE: &str = "</script><!--<script>alert(1)</script>\u{2028}&\"'";

/// Some groups whose every text is hostile; nothing can be decided about them.
#[derive(Debug)]
struct Fixed(u64);

impl Reviewed for Fixed {
    fn head(&self) -> Result<Head, Failed> {
        Ok(Head {
            plan: HOSTILE.to_owned(),
            name: None,
            instance: HOSTILE.to_owned(),
            made_at: HOSTILE.to_owned(),
            digest: HOSTILE.to_owned(),
            groups: self.0,
            records: 0,
            safe: 0,
            decide: 0,
            blocked: 0,
            done: 0,
            dropped_values: 0,
            opt_outs_lost: 0,
            approval: None,
            state: CarriedState::New,
            last_run_at: None,
            merged: 0,
            left_alone: 0,
            prepared: 0,
            failed: 0,
            profile: None,
        })
    }

    fn cards(&self, _: &CardFilter, after: Option<u64>, count: usize) -> Result<Page, Failed> {
        let places = after.map_or(0, |after| after + 1)..self.0;
        let cards = places.take(count).map(card).collect();
        Ok(Page { cards, total: self.0 })
    }

    fn card_by_key(&self, _: &str) -> Result<Option<Card>, Failed> {
        Ok(None)
    }

    fn blocked(&self, after: u64, count: usize) -> Result<Vec<Blocked>, Failed> {
        let group = Blocked { key: HOSTILE.into(), leads: vec![1], reason: HOSTILE.into() };
        Ok((after..self.0).take(count).map(|_| group.clone()).collect())
    }

    fn decide(
        &self,
        _: &[(String, Decisions)],
        _: &Seen,
        _: &str,
        _: Door,
    ) -> Result<Decided, Failed> {
        Err("nothing can be decided".into())
    }

    fn approve(&self, _: &str, _: &str, _: Option<&str>) -> Result<Approval, Failed> {
        Err("nothing can be approved".into())
    }
}

fn card(place: u64) -> Card {
    let lead = |id, role| CardLead {
        id,
        role,
        link: None,
        email: Some(HOSTILE.to_owned()),
        first_name: Some(HOSTILE.to_owned()),
        last_name: None,
        company: None,
        created_at: None,
    };
    Card {
        place,
        key: HOSTILE.to_owned(),
        said_before: None,
        stored_key: format!("{place}"),
        risk: Risk::Green,
        warnings: vec![HOSTILE.to_owned()],
        objection: None,
        cause: None,
        cause_in_words: HOSTILE.to_owned(),
        consent: None,
        leads: vec![lead(1, CardRole::Winner), lead(2, CardRole::Loser)],
        fields: vec![],
        equal: 0,
        dropped: 0,
        why: String::new(),
        decisions: Decisions::default(),
        decision_number: 0,
        refused: None,
        merges: true,
        past: None,
    }
}

fn page(groups: u64) -> String {
    let mut out = Vec::new();
    write_page(&Fixed(groups), HOSTILE, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The plan, as a browser hands it to the script.
fn data(page: &str) -> Value {
    let (_, from) = page.split_once("id=\"plan-data\">").unwrap();
    serde_json::from_str(from.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn no_value_leaves_the_place_that_it_stands_in() {
    let page = page(3);
    assert!(!page.contains("<script>alert") && !page.contains("<!--"));
    assert_eq!(page.matches("<script").count(), 2, "its data and its script");
    assert_eq!(page.matches("</script").count(), 2);
    let data = data(&page);
    assert_eq!(data["file"], HOSTILE, "and the script reads what the plan holds");
    assert_eq!(data["cards"][2]["leads"][0]["first_name"], HOSTILE);
    assert_eq!(data["blocked"][0]["reason"], HOSTILE);
}

#[test]
fn every_group_is_written_also_of_a_plan_that_is_read_in_parts() {
    for groups in [0, 1, 499, 500, 501, 1_000] {
        let data = data(&page(groups));
        let length = |name: &str| data[name].as_array().unwrap().len() as u64;
        assert_eq!((length("cards"), length("blocked")), (groups, groups));
    }
}

#[test]
fn nothing_is_fetched_and_only_the_pages_own_script_may_run() {
    let page = page(1);
    assert!(page.contains("default-src 'none'; style-src 'sha256-"));
    assert!(page.contains(&format!("script-src 'sha256-{}'", policy_digest(SCRIPT))));
    for way in [" src=", "@import", "url(", "<link", " style=", " onclick="] {
        assert!(!page.contains(way), "{way}");
    }
}

#[test]
fn what_a_server_hands_out_holds_nothing_inline() {
    let page = served().unwrap();
    assert!(page.contains("<script src=\"/review.js\" defer></script>"));
    assert!(page.contains("href=\"/review.css\""));
    for inline in ["<style", "<script>", "plan-data", "http-equiv", " onclick="] {
        assert!(!page.contains(inline), "{inline}");
    }
}
