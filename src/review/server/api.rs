//! What the page asks of the plan: its head, a part of its cards, decisions, an approval.
//!
//! Never: more than was asked for. A plan may hold 100,000 groups, so every answer is a part of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::answer::{Refusal, json as answer};
use crate::dedupe::{Cause, Choice, Decisions, Risk};
use crate::review::Error;
use crate::review::approval::folded;
use crate::review::card::Card;
use crate::review::model::{CardFilter, Door, Failed, Reviewed, Seen, Tab};
use crate::review::page::{entries, in_words as bad_groups};

/// Most bytes of a body: 500 groups with some hundred choices each fit.
const BODY_BYTES: usize = 1024 * 1024;
/// How long a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Most cards of an answer, and most groups that one request decides.
const MOST_CARDS: usize = 100;
const MOST_DECIDED: usize = 500;

type Answered = Result<Response<Full<Bytes>>, Refusal>;

/// The plan, and who decides about it.
#[derive(Debug)]
pub(super) struct Api {
    plan: Arc<dyn Reviewed>,
    by: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    tab: Option<String>,
    risk: Option<Risk>,
    cause: Option<String>,
    domain: Option<String>,
    search: Option<String>,
    after: Option<u64>,
    count: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Decide {
    group: Vec<Map<String, Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Approve {
    digest: String,
    #[serde(default)]
    by: Option<String>,
    #[serde(default)]
    note: Option<String>,
}

impl Api {
    pub(super) fn new(plan: Arc<dyn Reviewed>, by: String) -> Self {
        Self { plan, by }
    }

    /// Answers a request of a tab that may ask.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answered {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        match (&method, path.as_str()) {
            (&Method::GET, "/api/plan") => {
                let by = self.by.clone();
                self.ask(move |plan| Ok(json!({ "head": plan.head()?, "by": by }))).await
            }
            (&Method::GET, "/api/cards") => {
                let asked = asked(&request)?;
                let (filter, after) = (filter(&asked)?, asked.after);
                let count = asked.count.unwrap_or(MOST_CARDS).min(MOST_CARDS);
                self.ask(move |plan| plan.cards(&filter, after, count)).await
            }
            (&Method::GET, "/api/blocked") => {
                let Asked { after, count, .. } = asked(&request)?;
                let count = count.unwrap_or(MOST_CARDS).min(MOST_CARDS);
                self.ask(move |plan| {
                    Ok(json!({ "blocked": plan.blocked(after.unwrap_or(0), count)? }))
                })
                .await
            }
            (&Method::POST, "/api/decide") => {
                let Decide { group } = body(request).await?;
                self.decide(group).await
            }
            (&Method::POST, "/api/decide-safe") => {
                let filter = filter(&body(request).await?)?;
                self.decide_safe(filter).await
            }
            (&Method::POST, "/api/approve") => {
                let Approve { digest, by, note } = body(request).await?;
                // Whoever decides here approves under the same name.
                if by.is_some_and(|by| folded(&by) != folded(&self.by)) {
                    let by = &self.by;
                    return Err(unusable(format!("You decide as {by}, and approve as {by} too.")));
                }
                let by = self.by.clone();
                self.ask(move |plan| plan.approve(&digest, &by, note.as_deref())).await
            }
            _ => Err(Refusal::new(StatusCode::NOT_FOUND, "There is nothing here.")),
        }
    }

    async fn decide(&self, mut group: Vec<Map<String, Value>>) -> Answered {
        if group.len() > MOST_DECIDED {
            return Err(unusable(format!("At most {MOST_DECIDED} groups are decided at once.")));
        }
        let seen = seen(&mut group)?;
        let decided = entries(group)
            .map_err(|bad| unusable(format!("Nothing was taken: {}", bad_groups(&bad))))?;
        let by = self.by.clone();
        let made = self.on_plan(move |plan| {
            let told = plan.decide(&decided, &seen, &by, Door::Review);
            let stale = told.as_ref().err().filter(|why| is_stale(why.as_ref()));
            let stale = stale.map(|why| in_words(why.as_ref()));
            let told = if stale.is_none() { Some(told?) } else { None };
            let keys = decided.iter().take(MOST_CARDS);
            let cards =
                keys.map(|(key, _)| plan.card_by_key(key)).collect::<Result<Vec<_>, _>>()?;
            let cards: Vec<Card> = cards.into_iter().flatten().collect();
            Ok((stale, told, cards))
        });
        match made.await? {
            (Some(stale), _, cards) => Err(Refusal::stale(stale, cards)),
            (None, told, cards) => {
                let (digest, numbers) = told.map(|told| (told.digest, told.numbers)).unzip();
                Ok(answer(&json!({ "cards": cards, "digest": digest, "numbers": numbers })))
            }
        }
    }

    /// Decides to merge the first of the safe groups; the page asks again while some are left.
    async fn decide_safe(&self, filter: CardFilter) -> Answered {
        let by = self.by.clone();
        self.ask(move |plan| {
            let filter = CardFilter { tab: Some(Tab::Safe), ..filter };
            let page = plan.cards(&filter, None, MOST_DECIDED)?;
            let merged = |decisions: &Decisions| Decisions {
                choice: Some(Choice::Merge),
                ..decisions.clone()
            };
            let decided: Vec<_> = page
                .cards
                .iter()
                .map(|card| (card.stored_key.clone(), merged(&card.decisions)))
                .collect();
            let told = plan.decide(&decided, &Seen::of(&page.cards), &by, Door::Review)?;
            let before = page.cards.iter();
            let before: Vec<_> = before
                .map(|card| {
                    let number = told.numbers.get(&card.stored_key);
                    json!({ "key": card.stored_key, "decisions": card.decisions, "seen": number })
                })
                .collect();
            let left = page.total.saturating_sub(before.len() as u64);
            Ok(json!({ "before": before, "left": left }))
        })
        .await
    }

    /// Asks the plan on a thread that may block: its file is read and written there.
    async fn ask<T: serde::Serialize + Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn Reviewed) -> Result<T, Failed> + Send + 'static,
    ) -> Answered {
        Ok(answer(&self.on_plan(ask).await?))
    }

    async fn on_plan<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn Reviewed) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Refusal> {
        let plan = Arc::clone(&self.plan);
        match tokio::task::spawn_blocking(move || ask(plan.as_ref())).await {
            Ok(Ok(told)) => Ok(told),
            Ok(Err(failed)) => Err(unusable(in_words(failed.as_ref()))),
            Err(_panicked) => Err(Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "A fault of mkto-audit broke this off; what was decided before is kept.",
            )),
        }
    }
}

/// Takes out of each object the number of the decision that its sender had seen.
fn seen(group: &mut [Map<String, Value>]) -> Result<Seen, Refusal> {
    let mut numbers = BTreeMap::new();
    for (place, object) in group.iter_mut().enumerate() {
        let number = object.remove("seen").and_then(|number| number.as_i64()).ok_or_else(|| {
            let place = place + 1;
            unusable(format!(
                "Nothing was taken: number {place} does not tell which decision was seen"
            ))
        })?;
        if let Some(key) = object.get("key").and_then(Value::as_str) {
            numbers.insert(key.to_owned(), number);
        }
    }
    Ok(Seen::Groups(numbers))
}

fn is_stale(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(Error::DecidedMeanwhile { .. }))
}

fn unusable(words: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, words)
}

/// An error with what led to it.
fn in_words(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn asked(request: &Request<Incoming>) -> Result<Asked, Refusal> {
    let query = request.uri().query().unwrap_or_default();
    let mut asked = Asked::default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let number = || value.parse().ok().ok_or_else(|| unusable(format!("{name} is no number")));
        match name.as_ref() {
            "tab" => asked.tab = Some(value.into_owned()),
            "risk" => asked.risk = Some(risk(&value)?),
            "cause" => asked.cause = Some(value.into_owned()),
            "domain" => asked.domain = Some(value.into_owned()),
            "search" => asked.search = Some(value.into_owned()),
            "after" => asked.after = Some(number()?),
            "count" => asked.count = usize::try_from(number()?).ok(),
            _ => return Err(unusable(format!("{name} cannot be asked for"))),
        }
    }
    Ok(asked)
}

fn risk(word: &str) -> Result<Risk, Refusal> {
    let known = Risk::ALL.into_iter().find(|risk| risk.as_str() == word);
    known.ok_or_else(|| unusable(format!("there is no risk {word}")))
}

fn filter(asked: &Asked) -> Result<CardFilter, Refusal> {
    let said = |text: &Option<String>| {
        text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let tab = said(&asked.tab).map(|tab| tab.parse::<Tab>().map_err(unusable)).transpose()?;
    let cause = said(&asked.cause).map(|cause| cause.parse::<Cause>());
    let cause = cause.transpose().map_err(|why| unusable(why.to_string()))?;
    let domain = said(&asked.domain);
    Ok(CardFilter {
        tab,
        risk: asked.risk,
        cause,
        domain: domain.map(|domain| domain.trim_start_matches('@').to_lowercase()),
        search: said(&asked.search),
    })
}

/// The JSON of a body that is no larger than it may be.
async fn body<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Refusal> {
    let is_json = |kind: &HeaderValue| {
        let kind = kind.to_str().unwrap_or_default();
        kind.split(';').next().is_some_and(|kind| kind.trim() == "application/json")
    };
    if !request.headers().get(CONTENT_TYPE).is_some_and(is_json) {
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body must be JSON."));
    }
    let too_large = || Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "The request is too large.");
    if request.body().size_hint().lower() > BODY_BYTES as u64 {
        return Err(too_large());
    }
    let collected = Limited::new(request.into_body(), BODY_BYTES).collect();
    let bytes = match tokio::time::timeout(BODY_TIME, collected).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_too_large)) => return Err(too_large()),
        Err(_elapsed) => {
            return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "The request came too slowly."));
        }
    };
    serde_json::from_slice(&bytes)
        .map_err(|why| unusable(format!("The request is not as it must be: {why}")))
}
