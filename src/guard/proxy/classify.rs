//! Tells lead writes, which are guarded, from all other requests, which pass. Pure.
//!
//! A path is judged as a lenient server might read it, and a method as `_method` overrides it. A
//! write in an odd spelling would otherwise go unguarded.

use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::http::request::Parts;
use hyper::{Method, Uri};
use percent_encoding::percent_decode_str;
use serde::de::IgnoredAny;
use url::form_urlencoded;

use crate::guard::engine::Endpoint;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Write(Endpoint),
    /// The token endpoint: Marketo does not count it.
    Token,
    /// The proxy's own pages, under `/-/`.
    Own,
    Pass,
}

/// Types of bodies.
pub(super) const JSON: &str = "application/json";
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// Judges a request by its method and target.
pub(super) fn classify(method: &Method, uri: &Uri) -> Route {
    let path = plain(uri.path());
    if path == "/-" || path.starts_with("/-/") {
        return Route::Own;
    }
    // Only requests to the token endpoint's own address are uncounted, and the address is chosen by
    // the path as it came.
    if path.starts_with("/identity/") && uri.path().starts_with("/identity/") {
        return Route::Token;
    }
    if !may_write(method, uri) {
        return Route::Pass;
    }
    match path.as_str() {
        "/rest/v1/leads" => Route::Write(Endpoint::SyncLeads),
        "/rest/v1/leads/push" => Route::Write(Endpoint::PushLead),
        "/rest/v1/leads/submitform" => Route::Write(Endpoint::SubmitForm),
        _ => Route::Pass,
    }
}

/// The method that the `_method` of a POST's form names: a read or a deletion. Clients put it there
/// or into the query (one of Node's does, and the most used one of Python's asks for leads so).
/// None where the call may be a write.
///
/// Only a body counts that is a form by its type and is no JSON: a server that took it for a write
/// would refuse it.
pub(super) fn method_of_form(head: &Parts, body: &[u8]) -> Option<Method> {
    let asked = |text: &[u8]| -> Vec<String> {
        form_urlencoded::parse(text)
            .filter(|(name, _)| name.eq_ignore_ascii_case("_method"))
            .map(|(_, said)| said.trim().to_ascii_uppercase())
            .collect()
    };
    let is_form = media_type(&head.headers) == FORM;
    let query_says = !asked(head.uri.query().unwrap_or_default().as_bytes()).is_empty();
    if head.method != Method::POST || !is_form || query_says || is_json(body) {
        return None;
    }
    match asked(body).as_slice() {
        [said] if said == "GET" => Some(Method::GET),
        [said] if said == "HEAD" => Some(Method::HEAD),
        [said] if said == "DELETE" => Some(Method::DELETE),
        _ => None,
    }
}

/// The type of a body, without its parameters and in small letters; empty where it has none.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let said = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

/// Whether a call only reads, so that it may be repeated, and nothing in it says otherwise.
pub(super) fn only_reads(method: &Method, uri: &Uri) -> bool {
    let mut overrides = overrides(uri).peekable();
    let is_get = matches!(*method, Method::GET | Method::HEAD);
    let stands_for_get = *method == Method::POST && overrides.peek().is_some();
    (is_get || stands_for_get) && overrides.all(|said| said == Some(Method::GET))
}

/// Whether the call may write people. A `_method` that says otherwise counts only in the one
/// documented spelling, each time that it is there.
fn may_write(method: &Method, uri: &Uri) -> bool {
    let mut overrides = overrides(uri).peekable();
    if overrides.peek().is_some() {
        return overrides.any(|said| said.is_none());
    }
    !matches!(*method, Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS)
}

/// For each `_method` of a query the method, if it is one that writes nobody and is spelled as
/// documented.
fn overrides(uri: &Uri) -> impl Iterator<Item = Option<Method>> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("_method"))
        .map(|(name, said)| match (&*name, &*said) {
            ("_method", "GET" | "HEAD") => Some(Method::GET),
            ("_method", "DELETE") => Some(Method::DELETE),
            _ => None,
        })
}

/// The path decoded, in lower case, without empty segments, `;parameters`, a slash at its end, and
/// the end of its last segment from the first dot on.
fn plain(path: &str) -> String {
    let decoded = decode(path).to_ascii_lowercase().replace('\\', "/");
    let mut segments: Vec<&str> = Vec::new();
    for segment in
        decoded.split('/').map(|segment| segment.split(';').next().unwrap_or_default().trim())
    {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let last = segments.pop().map(|last| last.split(['.', '\0']).next().unwrap_or_default().trim());
    format!("/{}", segments.into_iter().chain(last).collect::<Vec<_>>().join("/"))
}

/// Decodes percent signs until none is left: two servers in a row may decode a path twice.
fn decode(path: &str) -> String {
    let mut decoded = path.to_owned();
    // Each round shortens what it changes, so that this ends.
    while decoded.contains('%') {
        let next = percent_decode_str(&decoded).decode_utf8_lossy().into_owned();
        if next.len() >= decoded.len() {
            break;
        }
        decoded = next;
    }
    decoded
}

#[cfg(test)]
mod tests {
    use hyper::{Method, Uri};

    use super::{Endpoint, Route, classify, method_of_form, only_reads};

    fn of(method: &str, target: &str) -> Route {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        classify(&method, &target.parse::<Uri>().unwrap())
    }

    #[test]
    fn the_three_writes_are_seen_in_every_spelling() {
        for target in [
            "/rest/v1/leads.json",
            "/rest/v1/leads",
            "/rest/v1/leads.json/",
            "//rest//v1/leads.json",
            "/rest/v1/%6Ceads.json",
            "/REST/v1/Leads.JSON",
            "/rest/v1/leads.json;jsessionid=1",
            "/rest/v1/x/../leads.json",
            "/rest/v1/leads%2Ejson",
            "/rest%2Fv1/leads.json",
            "/rest/v1/%256Ceads.json",
            "/rest\\v1\\leads.json",
            "/rest/v1/leads.json%20",
            "/rest/v1/leads.json%00",
            "/rest/v1/leads.json%3Bx=1",
            "/rest/v1/leads.xml",
            "/rest/v1/./leads.json.",
            "http://other.example.com/rest/v1/leads.json",
            "/rest/v1/leads.json?_method=GET&_method=POST",
            "/rest/v1/leads.json?_method=POST&_method=GET",
            "/rest/v1/leads.json?_METHOD=GET",
            "/rest/v1/leads.json?_method=PUT",
            "/rest/v1/leads.json?partitionName=A",
        ] {
            assert_eq!(of("POST", target), Route::Write(Endpoint::SyncLeads), "{target}");
        }
        assert_eq!(of("POST", "/rest/v1/leads/push.json"), Route::Write(Endpoint::PushLead));
        assert_eq!(
            of("POST", "/rest/v1/leads/submitForm.json"),
            Route::Write(Endpoint::SubmitForm)
        );
        assert_eq!(
            of("GET", "/rest/v1/leads.json?_method=POST"),
            Route::Write(Endpoint::SyncLeads)
        );
        assert_eq!(of("PUT", "/rest/v1/leads.json"), Route::Write(Endpoint::SyncLeads));
    }

    #[test]
    fn reads_deletions_and_every_other_endpoint_pass() {
        for (method, target) in [
            ("GET", "/rest/v1/leads.json?filterType=email&filterValues=a%40example.com"),
            ("POST", "/rest/v1/leads.json?_method=GET"),
            ("POST", "/rest/v1/leads.json?_method=DELETE"),
            ("DELETE", "/rest/v1/leads.json?id=1"),
            ("POST", "/rest/v1/leads/delete.json"),
            ("POST", "/rest/v1/leads/7/merge.json?leadId=8"),
            ("POST", "/bulk/v1/leads.json?format=csv"),
            ("POST", "/rest/v1/lists/1/leads.json?id=2"),
        ] {
            assert_eq!(of(method, target), Route::Pass, "{method} {target}");
        }
        assert_eq!(
            of("POST", "/identity/../rest/v1/leads.json"),
            Route::Write(Endpoint::SyncLeads)
        );
        assert_eq!(of("POST", "//identity/oauth/token"), Route::Pass);
        assert_eq!(of("POST", "/identity/oauth/token"), Route::Token);
        assert_eq!(of("GET", "/-/metrics"), Route::Own);
    }

    #[test]
    fn a_form_that_says_get_is_a_read_and_nothing_that_could_be_a_write_is_taken_for_one() {
        let of = |method: &str, target: &str, kind: &str, body: &str| {
            let request =
                hyper::Request::builder().method(method).uri(target).header("content-type", kind);
            let (head, ()) = request.body(()).unwrap().into_parts();
            method_of_form(&head, body.as_bytes())
        };
        let (form, leads) =
            ("application/x-www-form-urlencoded; charset=utf-8", "/rest/v1/leads.json");
        let ask = "filterType=email&filterValues=a%40example.com&_method=GET";
        assert_eq!(of("POST", leads, form, ask), Some(Method::GET));
        assert_eq!(of("POST", leads, form, "_method=delete&id=1"), Some(Method::DELETE));
        for (method, target, kind, body) in [
            ("POST", leads, form, "filterType=email"),
            ("POST", leads, form, "_method=POST&filterType=email"),
            ("POST", leads, form, "_method=GET&_method=POST"),
            ("POST", "/rest/v1/leads.json?_method=POST", form, ask),
            ("POST", leads, "application/json", ask),
            (
                "POST",
                leads,
                form,
                r#"{"input": [{"email": "a@example.com", "title": "&_method=GET&"}]}"#,
            ),
            ("PUT", leads, form, ask),
        ] {
            assert_eq!(of(method, target, kind, body), None, "{method} {target} {kind} {body}");
        }
    }

    #[test]
    fn a_call_is_taken_for_a_read_only_where_nothing_in_it_says_otherwise() {
        let reads = |method: &str, target: &str| {
            only_reads(
                &Method::from_bytes(method.as_bytes()).unwrap(),
                &target.parse::<Uri>().unwrap(),
            )
        };
        for (method, target) in [
            ("GET", "/rest/v1/leads.json?a=b"),
            ("HEAD", "/x"),
            ("POST", "/rest/v1/leads.json?_method=GET"),
        ] {
            assert!(reads(method, target), "{method} {target}");
        }
        for (method, target) in [
            ("POST", "/rest/v1/leads/7/merge.json?leadId=8&my_method=GET"),
            ("POST", "/rest/v1/leads/7/merge.json?leadId=8&x=_method=GET"),
            ("POST", "/rest/v1/leads/7/merge.json?_method=GET&_method=POST"),
            ("GET", "/rest/v1/leads/7/merge.json?leadId=8&_method=POST"),
            ("POST", "/rest/v1/leads.json?_method=DELETE"),
            ("DELETE", "/rest/v1/leads.json?id=1"),
            ("POST", "/rest/v1/leads/7/merge.json?leadId=8"),
        ] {
            assert!(!reads(method, target), "{method} {target}");
        }
    }
}
