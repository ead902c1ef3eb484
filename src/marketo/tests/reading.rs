//! Reads: asked again, paged, halved, encoded, and never understood by halves.

use super::{EMAIL, doubtful};
use crate::lead::Lead;
use crate::marketo::tests::scripted::{Reply, Scripted};
use crate::marketo::{
    Error, ReadActivities, ReadCustomObjects, ReadLeads, ReadMemberships, ReadUsage,
};

fn fields() -> Vec<String> {
    vec!["id".to_owned(), "email".to_owned()]
}

fn ids(leads: &[Lead]) -> Vec<u64> {
    leads.iter().map(|lead| lead.id).collect()
}

#[tokio::test]
async fn a_read_whose_answer_cannot_be_trusted_is_asked_again() {
    let passing = |reply: &Reply| !matches!(reply, Reply::Raw(raw) if raw.contains("699") || raw.contains("whatever"));
    for reply in doubtful().into_iter().filter(passing) {
        let good = Reply::json(r#"{"success":true,"result":[{"id":1,"email":null}]}"#);
        let server = Scripted::start(vec![reply.clone(), reply.clone(), good]).await;
        let leads =
            server.client().leads_by("email", &[EMAIL.to_owned()], &fields()).await.unwrap();
        assert_eq!((ids(&leads), server.calls().len()), (vec![1], 3), "{reply:?}");
    }
}

#[tokio::test]
async fn a_read_that_never_succeeds_ends() {
    let server = Scripted::start(vec![Reply::Cut; 20]).await;
    let error = server.client().usage_today().await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { attempts: 8, .. }), "{error}");
    assert_eq!(server.calls().len(), 8);
}

/// That a lead is missing from an answer is what proves that it was merged away.
#[tokio::test]
async fn a_row_that_cannot_be_read_is_an_error_and_not_a_lead_that_is_gone() {
    for result in [
        r#"[{"id":1},{"email":"x@example.com"}]"#,
        r#"[{"id":1},null]"#,
        r#"[{"id":"x"}]"#,
        "{}",
        "7",
    ] {
        let body = format!(r#"{{"requestId":"a#1","success":true,"result":{result}}}"#);
        let server = Scripted::start(vec![Reply::json(&body)]).await;
        let error = server.client().leads_by_id(&[1, 2], &fields()).await.unwrap_err();
        assert!(matches!(error, Error::Answer { .. }), "{result}: {error}");
    }
}

#[tokio::test]
async fn an_empty_result_is_no_lead() {
    for body in [
        r#"{"success":true,"result":[]}"#,
        r#"{"success":true,"result":[],"errors":null,"moreResult":null,"nextPageToken":null}"#,
        r#"{"success":true,"result":[],"nextPageToken":"","warnings":["words"]}"#,
    ] {
        let server = Scripted::start(vec![Reply::json(body)]).await;
        assert_eq!(server.client().leads_by_id(&[1], &fields()).await.unwrap(), [], "{body}");
    }
}

/// That a lead is missing is what proves that it is gone, and a row of a custom object that is
/// missing is lost.
#[tokio::test]
async fn a_page_without_a_result_is_asked_for_again_and_never_taken_for_an_empty_one() {
    let bare = [
        r#"{"requestId":"a#1","success":true}"#,
        r#"{"requestId":"a#1","success":true,"result":null}"#,
    ];
    for bare in bare.map(Reply::json) {
        let good = Reply::json(r#"{"success":true,"result":[{"id":1}]}"#);
        let server = Scripted::start(vec![bare.clone(), bare.clone(), good]).await;
        assert_eq!(ids(&server.client().leads_by_id(&[1], &fields()).await.unwrap()), [1]);

        let first = Reply::json(r#"{"success":true,"result":[{"id":1}],"nextPageToken":"A"}"#);
        let second = Reply::json(r#"{"success":true,"result":[{"id":2}]}"#);
        let server = Scripted::start(vec![first, bare.clone(), second]).await;
        assert_eq!(ids(&server.client().leads_by_id(&[1, 2], &fields()).await.unwrap()), [1, 2]);
    }
    let bare = Reply::json(bare[0]);
    macro_rules! in_the_end_an_error {
        ($($call:ident($($argument:expr),*)),* $(,)?) => {$(
            let server = Scripted::start(vec![bare.clone(); 9]).await;
            let error = server.client().$call($($argument),*).await.unwrap_err();
            assert!(matches!(error, Error::Unavailable { .. }), "{}: {error}", stringify!($call));
            assert!(error.to_string().contains("no result (request a#1)"), "{error}");
            assert_eq!(server.calls().len(), 8);
        )*};
    }
    in_the_end_an_error!(
        leads_by_id(&[1], &fields()),
        list_members(7, None),
        program_members(3, None),
        list_membership(1),
        program_membership(1),
        lead_custom_objects(),
        custom_objects("car_c", "leadId", &["1".to_owned()], &[]),
    );
    // Of activities and programs Marketo leaves the result out where there are none.
    let empty = Reply::json(r#"{"success":true,"nextPageToken":"T2","moreResult":false}"#);
    let server = Scripted::start(vec![empty, bare.clone(), bare]).await;
    assert_eq!(server.client().activities("T", &[12], &[]).await.unwrap().activities, []);
    assert_eq!(server.client().programs().await.unwrap(), []);
    // One answer without it is no end: whoever believes it believes that nobody is in a program.
    let found = Reply::json(r#"{"success":true,"result":[{"id":3,"name":"Webinar"}]}"#);
    let server = Scripted::start(vec![Reply::json(r#"{"success":true}"#), found]).await;
    assert_eq!(server.client().programs().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_refused_token_is_renewed_whatever_the_http_status_and_whoever_is_asked() {
    let envelope = |code: &str| {
        format!(
            r#"{{"requestId":"a#1","success":false,"errors":[{{"code":"{code}","message":"words"}}]}}"#
        )
    };
    let refusals = [
        Reply::status("200 OK", &envelope("601")),
        Reply::status("401 Unauthorized", &envelope("601")),
        Reply::status("401 Unauthorized", &envelope("602")),
        Reply::status(
            "401 Unauthorized",
            r#"{"errors":[{"code":602,"message":"Access token expired"}]}"#,
        ),
        Reply::status("401 Unauthorized", ""),
        Reply::status("403 Forbidden", &envelope("601")),
        Reply::status("500 Internal Server Error", &envelope("602")),
    ];
    for refusal in refusals {
        let good = Reply::json(r#"{"success":true,"result":[{"id":1}]}"#);
        let server = Scripted::start(vec![refusal.clone(), good]).await;
        assert_eq!(
            ids(&server.client().leads_by_id(&[1], &fields()).await.unwrap()),
            [1],
            "{refusal:?}"
        );
        assert_eq!((server.calls().len(), server.tokens().len()), (2, 2), "{refusal:?}");
    }
    for status in ["200 OK", "401 Unauthorized", "403 Forbidden", "500 Internal Server Error"] {
        let server = Scripted::start(vec![Reply::status(status, &envelope("603"))]).await;
        let error = server.client().activity_types().await.unwrap_err();
        assert_eq!(error.permission(), Some("Read-Only Activity"), "{status}: {error}");
        assert_eq!((server.calls().len(), server.tokens().len()), (1, 1), "{status}");
    }
    // A no with another status than 200 is shown as Marketo says it.
    let server = Scripted::start(vec![Reply::status("403 Forbidden", &envelope("610"))]).await;
    let error = server.client().usage_today().await.unwrap_err();
    assert!(error.to_string().ends_with("610 words (request a#1)"), "{error}");
    assert_eq!(error.code(), Some("610"));
}

#[tokio::test]
async fn pages_are_followed_by_their_token_whatever_more_result_says() {
    let server = Scripted::start(vec![
        Reply::json(
            r#"{"success":true,"result":[{"id":3}],"nextPageToken":"A=","moreResult":false}"#,
        ),
        Reply::json(r#"{"success":true,"result":[],"nextPageToken":"B"}"#),
        Reply::json(r#"{"success":true,"result":[{"id":"1"}]}"#),
    ])
    .await;
    let leads = server.client().leads_by("email", &[EMAIL.to_owned()], &fields()).await.unwrap();
    assert_eq!(ids(&leads), [1, 3]);
    let calls = server.calls();
    assert!(
        calls[1].line.contains("nextPageToken=A%3D") && calls[2].line.contains("nextPageToken=B")
    );
}

#[tokio::test]
async fn a_token_that_repeats_itself_neither_pages_for_ever_nor_hides_what_is_missing() {
    let page = Reply::json(r#"{"success":true,"result":[{"id":3}],"nextPageToken":"A"}"#);
    let server = Scripted::start(vec![page; 9]).await;
    let error =
        server.client().leads_by("email", &[EMAIL.to_owned()], &fields()).await.unwrap_err();
    assert!(matches!(error, Error::Answer { .. }), "{error}");
    assert_eq!(server.calls().len(), 2);
}

#[tokio::test]
async fn values_are_encoded_and_those_with_a_comma_are_not_asked_for() {
    let server = Scripted::start(vec![Reply::json(r#"{"success":true,"result":[]}"#)]).await;
    let client = server.client();
    client.leads_by("email", &["ada+1@example.com".to_owned()], &fields()).await.unwrap();
    assert_eq!(
        server.calls()[0].line,
        "GET /rest/v1/leads.json?filterType=email&filterValues=ada%2B1%40example.com&fields=id%2Cemail&batchSize=300 HTTP/1.1"
    );
    let error =
        client.leads_by("company", &["Example, Inc.".to_owned()], &fields()).await.unwrap_err();
    assert!(matches!(error, Error::CannotAsk { .. }) && !error.to_string().contains("Inc"));
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn a_query_too_long_for_a_uri_travels_in_a_form() {
    let server = Scripted::start(vec![Reply::json(r#"{"success":true,"result":[]}"#)]).await;
    let values: Vec<String> =
        (0..300).map(|n| format!("somebody.{n}@department.example.com")).collect();
    server.client().leads_by("email", &values, &fields()).await.unwrap();
    let call = &server.calls()[0];
    assert_eq!(call.line, "POST /rest/v1/leads.json?_method=GET HTTP/1.1");
    assert_eq!(call.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert!(call.body.starts_with("filterType=email&filterValues=somebody.0%40department"));
}

#[tokio::test]
async fn values_that_find_over_a_thousand_leads_are_asked_for_in_halves() {
    let too_many = Reply::json(
        r#"{"success":false,"errors":[{"code":"1003","message":"Too many results match the filter"}]}"#,
    );
    let page = |id| Reply::json(&format!(r#"{{"success":true,"result":[{{"id":{id}}}]}}"#));
    let server = Scripted::start(vec![too_many.clone(), page(9), page(2)]).await;
    let values = ["a@example.com", "b@example.com", "c@example.com"].map(str::to_owned);
    let client = server.client();
    assert_eq!(ids(&client.leads_by("email", &values, &fields()).await.unwrap()), [2, 9]);
    let asked: Vec<String> = server.calls().iter().map(|call| call.line.clone()).collect();
    assert!(asked[1].contains("filterValues=a%40example.com&"), "{asked:?}");
    assert!(asked[2].contains("filterValues=b%40example.com%2Cc%40example.com&"), "{asked:?}");

    let server = Scripted::start(vec![too_many]).await;
    let error = server.client().leads_by("email", &values[..1], &fields()).await.unwrap_err();
    assert_eq!(
        (error.code(), server.calls().len()),
        (Some("1003"), 1),
        "a single value has no halves"
    );
}

#[tokio::test]
async fn an_activity_is_read_with_its_attributes_in_lower_case() {
    let server = Scripted::start(vec![Reply::json(
        r#"{"success":true,"nextPageToken":"N","moreResult":true,"result":[{"id":5,"marketoGUID":"g","leadId":7,
            "activityDate":"2019-08-22T18:20:08Z","activityTypeId":12,"primaryAttributeValueId":6,
            "attributes":[{"name":"Source Type","value":"Web service API"}]}]}"#,
    )])
    .await;
    let page = server.client().activities("T", &[12], &[]).await.unwrap();
    let activity = &page.activities[0];
    assert_eq!(
        (activity.guid.as_str(), activity.lead, activity.primary, activity.kind),
        ("g", 7, Some(6), 12)
    );
    assert_eq!(activity.attributes["source type"], "Web service API");
    assert!(page.more && page.next == "N");
}
