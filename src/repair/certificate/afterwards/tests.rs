//! Looks, and what they come to.

use serde_json::json;

use super::*;

fn look(kind: &str, at: &str, calls: &[(u64, &str, Value)]) -> Look {
    let seen = |(call, verdict, body): &(u64, &str, Value)| LookedAt {
        call: *call,
        verdict: (*verdict).to_owned(),
        sha256: String::new(),
        body: Some(body.clone()),
    };
    Look {
        kind: kind.to_owned(),
        at: at.to_owned(),
        calls: calls.iter().map(seen).collect(),
        hash: String::new(),
    }
}

fn group(key: &str, calls: &[u64]) -> CertifiedGroup {
    CertifiedGroup {
        key: key.to_owned(),
        outcome: "merged".to_owned(),
        reason: None,
        winner: Some(1),
        removed: vec![2],
        leads: vec![],
        left_alone_at: None,
        written: None,
        merged_at: None,
        request_ids: vec![],
        calls: calls.to_vec(),
        decided: None,
        decisions: None,
        fields: vec![],
        others: vec![],
        rows: vec![],
        compared: true,
        hash: String::new(),
    }
}

#[test]
fn the_last_look_at_a_merge_counts_and_the_worst_merge_of_a_group() {
    let groups = [group("ada", &[1, 2]), group("bob", &[3]), group("eve", &[4])];
    let none = || json!({"at": null, "winner": null, "losers": [], "user": null, "request_id": null, "why": null});
    let mut looks = vec![look(
        "log",
        "10:00",
        &[(1, "seen", none()), (2, "not_seen", none()), (3, "seen", none())],
    )];
    let words = |looks: &[Look]| -> Vec<String> {
        afterwards_of(&groups, looks).group.into_iter().map(|group| group.marketo).collect()
    };
    assert_eq!(words(&looks), ["not_seen", "seen", "not_looked_for"]);
    looks.push(look("log", "11:00", &[(2, "contradicts", none()), (4, "not_seen", none())]));
    assert_eq!(words(&looks), ["contradicts", "seen", "not_seen"]);
    let all = afterwards_of(&groups, &looks);
    assert_eq!(all.marketo_at.as_deref(), Some("11:00"));
    assert_eq!(all.marketo["contradicts"], 1);
}

#[test]
fn members_that_become_one_are_collisions_and_no_loss() {
    let program = |success: bool| json!({"7": {"name": "Webinar", "success": success}});
    let body = json!({
        "before": {
            "1": {"lists": {}, "programs": program(false)},
            "2": {"lists": {"5": "News"}, "programs": program(true)},
        },
        "unknown": [],
        "after": {"lists": {"5": "News"}, "programs": program(true)},
    });
    let later = json!({
        "before": {
            "1": {"lists": {"5": "News"}, "programs": program(true)},
            "3": {"lists": {"5": "News"}, "programs": program(true)},
        },
        "unknown": [],
        "after": {"lists": {"5": "News"}, "programs": program(true)},
    });
    let looks = [look("members", "10:00", &[(1, "carried", body), (2, "carried", later)])];
    let all = afterwards_of(&[group("ada", &[1, 2])], &looks);
    let webinar = &all.programs[0];
    assert_eq!((webinar.before, webinar.after, webinar.collisions, webinar.lost()), (3, 1, 2, 0));
    assert_eq!((webinar.success_before, webinar.success_after), (2, 1));
    let news = &all.lists[0];
    assert_eq!((news.before, news.after, news.collisions), (2, 1, 1));
    assert_eq!(webinar.in_words(), "Webinar: 3 → 1, 2 of them one with another, success 2 → 1");
    assert_eq!(all.members["carried"], 1);
}

#[test]
fn what_nobody_can_tell_is_not_carried_and_does_not_undo_what_was_missing() {
    let unknown = json!({
        "before": {}, "unknown": [2], "after": {"lists": {}, "programs": {}},
    });
    let gone = json!({
        "before": {"2": {"lists": {"5": "News"}, "programs": {}}}, "unknown": [],
        "after": {"lists": {}, "programs": {}}, "gone": true,
    });
    let first = look(
        "members",
        "10:00",
        &[(1, "not_known", unknown.clone()), (2, "survivor_gone", gone.clone())],
    );
    let groups = [group("ada", &[1]), group("bob", &[2])];
    let all = afterwards_of(&groups, std::slice::from_ref(&first));
    assert_eq!(all.group[0].members, "not_known");
    assert!(all.group[0].not_known[0].contains("record 2"), "{all:?}");
    assert_eq!(all.group[1].members, "survivor_gone");
    assert!(all.group[1].missing.is_empty() && all.lists.is_empty(), "{all:?}");
    let missing = json!({
        "before": {"2": {"lists": {"5": "News"}, "programs": {}}}, "unknown": [],
        "after": {"lists": {}, "programs": {}},
    });
    let seen =
        look("members", "09:00", &[(1, "missing", missing.clone()), (2, "missing", missing)]);
    let all = afterwards_of(&groups, &[seen, first]);
    assert_eq!((all.members["missing"], all.members["not_known"]), (2, 0), "{all:?}");
    assert_eq!(all.group[0].missing, ["list `News` (5)"]);
}

#[test]
fn a_membership_that_is_gone_is_lost() {
    let body = json!({
        "before": {"2": {"lists": {"5": "News"}, "programs": {}}},
        "unknown": [],
        "after": {"lists": {}, "programs": {}},
    });
    let looks = [look("members", "10:00", &[(1, "missing", body)])];
    let all = afterwards_of(&[group("ada", &[1])], &looks);
    assert_eq!((all.lists[0].lost(), all.members["missing"]), (1, 1));
    assert_eq!(all.group[0].missing, ["list `News` (5)"]);
}
