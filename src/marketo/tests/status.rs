//! Moving members of programs: sent once, understood lead by lead.

use crate::marketo::tests::scripted::{Reply, Scripted};
use crate::marketo::{Error, Outcome, SetProgramStatus};

#[tokio::test]
async fn a_status_is_sent_once_and_its_results_are_told_lead_by_lead() {
    let body = r#"{"success":true,"result":[{"seq":0,"leadId":7,"status":"updated"},
        {"seq":1,"status":"skipped","reasons":[{"code":"1037","message":"past it"}]},
        {"seq":2,"leadId":"9","status":"skipped","reasons":[{"code":"1004","message":"gone"}]}]}"#;
    let server = Scripted::start(vec![Reply::json(body)]).await;
    let rows = server.client().set_program_status(3, "Attended", &[7, 8, 9]).await.unwrap();
    let shown: Vec<_> =
        rows.iter().map(|row| (row.lead, row.set, row.is_there_already())).collect();
    assert_eq!(shown, [(7, true, true), (8, false, true), (9, false, false)]);
    let call = &server.calls()[0];
    assert_eq!(call.line, "POST /rest/v1/programs/3/members/status.json HTTP/1.1");
    assert_eq!(
        call.body,
        r#"{"statusName":"Attended","input":[{"leadId":7},{"leadId":8},{"leadId":9}]}"#
    );
}

#[tokio::test]
async fn an_answer_that_does_not_tell_of_each_member_is_unclear_and_was_sent_once() {
    for result in [
        "null",
        "[]",
        r#"[{"leadId":7,"status":"updated"}]"#,
        r#"[{"leadId":8,"status":"updated"},{"leadId":7,"status":"updated"}]"#,
        r#"[{"leadId":7,"status":"odd"},{"leadId":8,"status":"updated"}]"#,
    ] {
        let body = format!(r#"{{"requestId":"a#1","success":true,"result":{result}}}"#);
        let server = Scripted::start(vec![Reply::json(&body)]).await;
        let error = server.client().set_program_status(3, "Attended", &[7, 8]).await.unwrap_err();
        assert_eq!(
            (error.outcome(), server.calls().len()),
            (Outcome::Unclear, 1),
            "{result}: {error}"
        );
    }
    for (code, outcome) in
        [("604", Outcome::Unclear), ("611", Outcome::Unclear), ("1025", Outcome::NotDone)]
    {
        let server = Scripted::start(vec![Reply::code(code)]).await;
        let error = server.client().set_program_status(3, "Attended", &[7]).await.unwrap_err();
        assert_eq!((error.outcome(), server.calls().len()), (outcome, 1), "{code}");
    }
    let server = Scripted::start(vec![Reply::code("603")]).await;
    let error = server.client().set_program_status(3, "Attended", &[7]).await.unwrap_err();
    assert!(
        matches!(error, Error::Permission { .. }) && error.permission() == Some("Read-Write Lead")
    );
}
