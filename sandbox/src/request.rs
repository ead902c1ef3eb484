//! A call as the endpoints see it: method and path, the query or the form that stands for it, the
//! JSON body.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, Value};

use super::answer::{Refused, refused};
use super::meddle::screens::Meddling;

/// The most values, ids or records that one call takes.
pub(super) const BATCH: usize = 300;

/// One call.
#[derive(Debug)]
pub(super) struct Request {
    /// After `_method` was heeded.
    pub(super) method: String,
    /// Without `.json`, between the slashes.
    pub(super) segments: Vec<String>,
    /// The last of each name wins, but for `id`, of which all are kept.
    params: BTreeMap<String, Vec<String>>,
    pub(super) body: Vec<u8>,
    pub(super) content_type: String,
    pub(super) has_length: bool,
    pub(super) range: Option<String>,
    /// Marketo's id of the call, whose second half is the time at which it arrived.
    pub(super) call_id: String,
    /// The API user whose token it carries.
    pub(super) user: String,
    /// How long it takes beyond its own time. A write has looked up by then, and has not written.
    pub(super) delay: Duration,
    /// What others do while it runs; taken when it happens.
    pub(super) meddling: Mutex<Meddling>,
}

/// What HTTP brought.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) body: Vec<u8>,
    pub(super) content_type: String,
    pub(super) has_length: bool,
    pub(super) authorization: Option<String>,
    pub(super) range: Option<String>,
}

/// Lets the time of a call pass. A sleep of nothing would last to the timer's next millisecond,
/// which is most of what a quick call takes.
pub(super) async fn take_time(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

impl Received {
    /// The call that this is. A POST with `_method` stands for another method, with its query in a
    /// form body.
    pub(super) fn into_request(self, call_id: String, user: String, delay: Duration) -> Request {
        let params = self.params();
        let method = self.method(&params);
        let segments = self.path().trim_start_matches('/').split('/').map(str::to_owned).collect();
        Request {
            method,
            segments,
            params,
            body: self.body,
            content_type: self.content_type,
            has_length: self.has_length,
            range: self.range,
            call_id,
            delay,
            user,
            meddling: Mutex::default(),
        }
    }

    /// `METHOD /path` with `{id}` for what is numbered, which is what calls are counted by.
    pub(super) fn endpoint(&self) -> String {
        let path = self.path();
        let segments: Vec<&str> = path
            .split('/')
            .map(|segment| {
                let numbered = is_number(segment)
                    || (segment.len() == 36 && segment.matches('-').count() == 4);
                if numbered { "{id}" } else { segment }
            })
            .collect();
        format!("{} {}", self.method(&self.params()), segments.join("/"))
    }

    /// The query, and the form where `_method` says that it stands for one: it may say so in the
    /// query or in the form, both of which were recorded.
    fn params(&self) -> BTreeMap<String, Vec<String>> {
        let mut params: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut add = |text: &[u8]| {
            for (name, value) in url::form_urlencoded::parse(text) {
                params.entry(name.into_owned()).or_default().push(value.into_owned());
            }
        };
        add(self.query.as_bytes());
        let is_form = self.content_type.starts_with("application/x-www-form-urlencoded");
        let says =
            |text: &[u8]| url::form_urlencoded::parse(text).any(|(name, _)| name == "_method");
        if is_form && (says(self.query.as_bytes()) || says(&self.body)) {
            add(&self.body);
        }
        params
    }

    fn method(&self, params: &BTreeMap<String, Vec<String>>) -> String {
        let said = params.get("_method").and_then(|values| values.first());
        said.filter(|_| self.method == "POST").unwrap_or(&self.method).clone()
    }

    /// Without `.json`, and with `..` resolved: a client of Node's asks for `/rest/../bulk/v1`, and
    /// was recorded to be answered.
    fn path(&self) -> String {
        let mut segments: Vec<&str> = Vec::new();
        for segment in self.path.strip_suffix(".json").unwrap_or(&self.path).split('/') {
            if segment == ".." {
                segments.pop();
            } else {
                segments.push(segment);
            }
        }
        segments.join("/")
    }
}

fn is_number(segment: &str) -> bool {
    !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit())
}

impl Request {
    /// What a change that it makes is put down to.
    pub(super) fn cause(&self) -> Arc<str> {
        format!("{} /{} {}", self.method, self.segments.join("/"), self.call_id).into()
    }

    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name)?.last().map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A parameter that may be repeated, or hold several values between commas.
    pub(super) fn param_list(&self, name: &str) -> Vec<String> {
        self.params
            .get(name)
            .into_iter()
            .flatten()
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// `batchSize`, at most 300.
    pub(super) fn batch_size(&self) -> Result<usize, Refused> {
        match self.param("batchSize") {
            None => Ok(BATCH),
            Some(text) => text
                .parse()
                .ok()
                .filter(|size| (1..=BATCH).contains(size))
                .ok_or_else(|| refused("1003", format!("Invalid batchSize '{text}'"))),
        }
    }

    /// The JSON body; an empty one only where the call may do without.
    pub(super) fn json(&self) -> Result<Map<String, Value>, Refused> {
        if !self.content_type.starts_with("application/json") {
            return Err(refused("612", "Invalid Content Type"));
        }
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(body)) => Ok(body),
            _ => Err(refused("609", "Invalid JSON")),
        }
    }

    /// The records of a JSON body's `input`, 1 to 300.
    pub(super) fn input<'a>(
        body: &'a Map<String, Value>,
        nothing: &'static str,
    ) -> Result<&'a [Value], Refused> {
        let input =
            body.get("input").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if input.is_empty() {
            return Err(refused("1003", nothing));
        }
        if input.len() > BATCH {
            return Err(refused(
                "1003",
                format!("Too many records: {}; at most {BATCH} are allowed", input.len()),
            ));
        }
        Ok(input)
    }

    /// The ids of a call that names leads in its query or in its body.
    pub(super) fn ids(&self, nothing: &'static str) -> Result<Vec<u64>, Refused> {
        let mut ids: Vec<Option<u64>> =
            self.param_list("id").iter().map(|id| id.parse().ok()).collect();
        if ids.is_empty() && !self.body.is_empty() {
            let body = self.json()?;
            ids = Self::input(&body, nothing)?
                .iter()
                .map(|row| row.get("id").and_then(Value::as_u64))
                .collect();
        }
        let ids: Option<Vec<u64>> = ids.into_iter().collect();
        match ids {
            Some(ids) if !ids.is_empty() && ids.len() <= BATCH => Ok(ids),
            _ => Err(refused("1003", nothing)),
        }
    }

    /// A page of what is sorted by a number: the rows after the token, and the token of the next
    /// page.
    pub(super) fn after(&self) -> Result<u64, Refused> {
        match self.param("nextPageToken") {
            None => Ok(0),
            Some(token) => token
                .strip_suffix("====")
                .and_then(|text| u64::from_str_radix(text, 32).ok())
                .ok_or_else(|| refused("1003", "Invalid nextPageToken")),
        }
    }
}

/// The number of a lead, list or program in a path.
pub(super) fn number(id: &str) -> Result<u64, Refused> {
    id.parse().map_err(|_no_number| refused("610", "Requested resource not found"))
}

/// The token of the page that begins after `id`.
pub(super) fn page_token(id: u64) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let mut text = Vec::new();
    let mut rest = id;
    loop {
        text.extend(DIGITS.get((rest % 32) as usize));
        rest /= 32;
        if rest == 0 {
            break;
        }
    }
    text.reverse();
    format!("{}====", String::from_utf8_lossy(&text))
}
