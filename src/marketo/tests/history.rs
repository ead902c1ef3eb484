//! Marketo's own record of merges and changes: every page, every spelling, and a missing permission
//! said by its name.

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::marketo::tests::scripted::{Reply, Scripted};
use crate::marketo::{Error, ReadHistory, Since};

const TYPES: &str =
    r#"{"success":true,"result":[{"id":12,"name":"New Lead"},{"id":91,"name":"merge leads"}]}"#;

fn noon() -> DateTime<Utc> {
    "2026-11-29T12:00:00Z".parse().unwrap()
}

fn token(name: &str) -> Reply {
    Reply::json(&format!(r#"{{"success":true,"nextPageToken":"{name}"}}"#))
}

fn page(rows: &[serde_json::Value], next: &str, more: bool) -> Reply {
    let body = json!({"requestId": "a#1", "success": true, "result": rows, "nextPageToken": next, "moreResult": more});
    Reply::json(&body.to_string())
}

fn merge(guid: &str, lead: u64, attributes: &serde_json::Value) -> serde_json::Value {
    json!({"marketoGUID": guid, "leadId": lead, "activityDate": "2026-11-29T12:00:05Z", "activityTypeId": 91,
        "primaryAttributeValueId": lead, "attributes": attributes})
}

#[tokio::test]
async fn merges_are_found_behind_empty_and_short_pages_in_any_spelling() {
    let text = merge(
        "g1",
        7,
        &json!([{"name": "merge ids", "value": "[8, 9]"}, {"name": "Request Id", "value": "a#9"},
        {"name": "modifying user", "value": "api@example.com"}, {"name": "API Method Name", "value": "mergeLeads"}]),
    );
    let list = merge("g2", 17, &json!([{"name": "Merge IDs", "value": [18, "19"]}]));
    let server = Scripted::start(vec![
        Reply::json(TYPES),
        token("A"),
        page(&[], "B", true),
        // A page without a result at all is an empty one.
        Reply::json(r#"{"success":true,"nextPageToken":"C","moreResult":true}"#),
        page(std::slice::from_ref(&text), "D", true),
        page(&[text, list], "E", false),
    ])
    .await;
    let merges = server.client().merges_since(noon(), &[7, 17]).await.unwrap();
    let shown: Vec<_> = merges.iter().map(|merge| (merge.winner, merge.losers.clone())).collect();
    assert_eq!(shown, [(7, vec![8, 9]), (17, vec![18, 19])], "each once");
    assert_eq!(merges[0].request_id.as_deref(), Some("a#9"));
    assert_eq!(merges[0].user.as_deref(), Some("api@example.com"));
    assert_eq!(merges[0].method.as_deref(), Some("mergeLeads"));
    assert_eq!(merges[0].at, Some("2026-11-29T12:00:05Z".parse().unwrap()));
    let calls = server.calls();
    assert!(calls[1].line.contains("sinceDatetime=2026-11-29T12%3A00%3A00Z"), "{}", calls[1].line);
    assert!(
        calls[2].line.contains("activityTypeIds=91") && calls[2].line.contains("leadIds=7%2C17")
    );
    assert_eq!(calls.len(), 6);
}

#[tokio::test]
async fn more_leads_than_a_call_takes_are_looked_for_in_one_walk_through_the_log_of_all() {
    let leads: Vec<u64> = (1..=31).collect();
    let other = merge("g1", 900, &json!([{"name": "Merge IDs", "value": "[901]"}]));
    let as_loser = merge("g2", 902, &json!([{"name": "Merge IDs", "value": "[31]"}]));
    let server =
        Scripted::start(vec![Reply::json(TYPES), token("A"), page(&[other, as_loser], "B", false)])
            .await;
    let merges = server.client().merges_since(noon(), &leads).await.unwrap();
    assert_eq!(merges.iter().map(|merge| merge.winner).collect::<Vec<_>>(), [902]);
    assert!(!server.calls()[2].line.contains("leadIds"));
}

#[tokio::test]
async fn losers_that_cannot_be_read_are_an_error_and_no_half_of_a_record() {
    let odd = merge("g1", 7, &json!([{"name": "Merge IDs", "value": "8 and more"}]));
    let server =
        Scripted::start(vec![Reply::json(TYPES), token("A"), page(&[odd], "B", false)]).await;
    let error = server.client().merges_since(noon(), &[7]).await.unwrap_err();
    assert!(error.to_string().contains("Merge Leads activity g1 of lead 7"), "{error}");

    let unnamed = merge("g1", 7, &json!([]));
    let server =
        Scripted::start(vec![Reply::json(TYPES), token("A"), page(&[unnamed], "B", false)]).await;
    let merges = server.client().merges_since(noon(), &[7]).await.unwrap();
    assert_eq!((merges.len(), merges[0].losers.len()), (1, 0));
}

#[tokio::test]
async fn changes_carry_the_rest_name_whatever_marketo_calls_the_field() {
    let change = |lead: u64, name: &str| {
        json!({"marketoGUID": name, "leadId": lead, "activityDate": "2026-11-29T12:00:05Z", "activityTypeId": 13,
            "fields": [{"id": 1, "name": name, "oldValue": false, "newValue": true}],
            "attributes": [{"name": "Source", "value": "Web service API"}, {"name": "request id", "value": "a#7"}]})
    };
    let birth = json!({"leadId": 4, "activityDate": "2026-11-29T12:00:06Z", "activityTypeId": 12, "fields": [], "attributes": []});
    let bare = json!({"leadId": 6, "activityTypeId": 13, "primaryAttributeValue": "Do Not Call",
        "attributes": [{"name": "New Value", "value": "true"}]});
    let describe = json!({"success": true, "result": [{"searchableFields": [], "fields": [
        {"name": "unsubscribed", "displayName": "Unsubscribed", "dataType": "boolean"},
        {"name": "doNotCall", "displayName": "Do Not Call", "dataType": "boolean"}]}]});
    let server = Scripted::start(vec![
        token("A"),
        page(&[], "B", true),
        page(&[change(1, "Unsubscribed"), birth], "C", true),
        page(&[change(2, "Do Not Call"), change(3, "doNotCall"), bare], "D", true),
        Reply::json(&describe.to_string()),
        page(&[change(5, "Nobody Knows")], "E", false),
    ])
    .await;
    let fields = ["unsubscribed".to_owned(), "doNotCall".to_owned()];
    let (changes, next) =
        server.client().consent_changes_since(Since::Time(noon()), &fields).await.unwrap();
    let shown: Vec<_> = changes.iter().map(|change| (change.lead, change.field.as_str())).collect();
    assert_eq!(
        shown,
        [
            (1, "unsubscribed"),
            (2, "doNotCall"),
            (3, "doNotCall"),
            (6, "doNotCall"),
            (5, "Nobody Knows")
        ]
    );
    assert_eq!((&changes[0].old, &changes[0].new), (&json!(false), &json!(true)));
    assert_eq!((changes[0].request_id.as_deref(), next.as_str()), (Some("a#7"), "E"));
    assert!(server.calls()[1].line.contains("fields=unsubscribed%2CdoNotCall"));

    // Going on from there costs no call for a token.
    let server = Scripted::start(vec![page(&[], "F", false)]).await;
    let went_on = server.client().consent_changes_since(Since::Token(next), &fields).await.unwrap();
    assert_eq!((went_on, server.calls().len()), ((vec![], "F".to_owned()), 1));
}

#[tokio::test]
async fn a_change_that_names_no_field_is_an_error_and_not_no_change() {
    let row = json!({"leadId": 1, "activityTypeId": 13, "fields": [{"id": 1, "newValue": true}], "attributes": []});
    let server = Scripted::start(vec![page(&[row], "B", false)]).await;
    let since = Since::Token("A".to_owned());
    let error = server
        .client()
        .consent_changes_since(since, &["unsubscribed".to_owned()])
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Answer { .. }), "{error}");
}

#[tokio::test]
async fn without_the_permission_both_witnesses_say_which_one_is_missing() {
    let server = Scripted::start(vec![Reply::code("603"), Reply::code("603")]).await;
    let client = server.client();
    let merges = client.merges_since(noon(), &[7]).await.unwrap_err();
    let changes =
        client.consent_changes_since(Since::Time(noon()), &["email".to_owned()]).await.unwrap_err();
    for error in [merges, changes] {
        assert_eq!(error.permission(), Some("Read-Only Activity"), "{error}");
        assert!(error.to_string().contains("Read-Only Activity"), "{error}");
    }
    let none = Scripted::start(vec![]).await;
    assert_eq!(none.client().merges_since(noon(), &[]).await.unwrap(), []);
}
