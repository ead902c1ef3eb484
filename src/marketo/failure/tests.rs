use super::*;
use crate::marketo::{Clock, SYNC_LIMIT};

/// What an answer with this status and body comes to.
fn judged(kind: Kind, status: u16, body: &str) -> Result<Answer, CallFailure> {
    let call = Call { kind, ..Call::get("/rest/v1/leads.json") };
    let in_flight = InFlight::left_at(Instant::now(), SYNC_LIMIT, Clock::real());
    let status = StatusCode::from_u16(status).unwrap();
    let whole = Whole { status, headers: HeaderMap::new(), body: body.to_owned().into() };
    judge(&call, (Moment::now(), in_flight), Ok(whole))
}

fn with_code(code: &str) -> String {
    format!(r#"{{"success":false,"errors":[{{"code":"{code}","message":"words"}}]}}"#)
}

#[test]
fn token_permission_and_limits_are_understood_with_any_http_status() {
    for kind in [Kind::Read, Kind::Write] {
        for status in [200, 400, 401, 403, 429, 500, 503] {
            for (code, verdict) in [
                ("601", Verdict::RenewToken),
                ("602", Verdict::RenewToken),
                ("603", Verdict::Deny),
                ("606", Verdict::SlowDown),
                ("607", Verdict::Quota),
            ] {
                let failure = judged(kind, status, &with_code(code)).unwrap_err();
                assert_eq!(failure.verdict(), verdict, "{kind:?} {status} {code}");
                let CallFailure::Refused(refusal) = failure else { panic!("{code}") };
                assert_eq!((refusal.code.as_str(), refusal.status), (code, status));
                assert_eq!(&*refusal.body, with_code(code).as_bytes());
            }
        }
    }
}

#[test]
fn what_broke_on_the_way_may_have_been_done_whatever_code_comes_with_it() {
    let failure = judged(Kind::Write, 502, &with_code("1003")).unwrap_err();
    assert!(matches!(failure, CallFailure::InDoubt { .. }), "{failure:?}");
    let failure = judged(Kind::Read, 502, &with_code("1003")).unwrap_err();
    assert!(matches!(failure, CallFailure::Unavailable { .. }), "{failure:?}");
}

#[test]
fn an_error_says_what_was_seen_and_when_it_must_be_over() {
    let base = Url::parse("https://123-ABC-456.mktorest.com").unwrap();
    let error = |kind, status, body: &str| {
        let failure = judged(kind, status, body).unwrap_err();
        failure.into_error("POST /rest/v1/leads.json".to_owned(), &base, &base)
    };
    let unclear = error(Kind::Write, 502, "<html>");
    assert!(unclear.to_string().ends_with("/rest/v1/leads.json: HTTP 502"), "{unclear}");
    assert_eq!(unclear.in_flight().map(InFlight::limit), Some(SYNC_LIMIT));
    let without_code = error(Kind::Write, 413, "");
    assert_eq!(without_code.code(), Some("HTTP 413"));
    let refused = error(Kind::Write, 400, &with_code("610"));
    assert_eq!((refused.code(), refused.message()), (Some("610"), Some("words")));
}
