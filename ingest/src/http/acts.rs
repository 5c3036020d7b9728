//! `GET /v1/acts`: what operators, feeds and commands said and had done, newest first.

use super::ApiState;
use super::body::Params;
use super::credentials::Operator;
use super::histories::{limit, moment, unavailable, wrong};
use crate::auth::Duty;
use crate::problem::{Kind, Problem};
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{StreamExt, TryStreamExt, stream};
use runtime::{Engine, Fact, Scope, Topic};
use schemas::acts::{hour, place};
use schemas::contract::timestamp;
use schemas::facts::ACT;
use schemas::frame;
use schemas::wire::ActRecord;
use serde::{Deserialize, Serialize};

/// Acts on a page where the caller names no number, and at most.
const PAGE_ACTS: usize = 100;
const PAGE_ACTS_MAX: usize = 1_000;
/// Hours that one page reads; a page that would need more ends early and says where to go on.
const HOURS_MAX: i64 = 24 * 31;
/// Hours read at once.
const HOURS_AT_ONCE: usize = 16;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// The longest stretch of time of one list.
const DAYS_MAX: i64 = 366;
/// Clocks of processes differ: what was said just now may be this far ahead, in ms.
const AHEAD_MS: i64 = 60_000;

/// `?limit=&cursor=&actor=&of=&from=&to=`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ActParams {
    limit: Option<usize>,
    cursor: Option<String>,
    /// Only what this operator or feed said.
    actor: Option<String>,
    /// Only what is about this round, bet or partner.
    of: Option<String>,
    /// The first moment; a day before `to` if it is left out.
    from: Option<String>,
    /// The first moment that does not count any more; now if it is left out.
    to: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct ActsBody {
    acts: Vec<ActBody>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// One act.
#[derive(Debug, Serialize)]
struct ActBody {
    at: String,
    actor: String,
    what: String,
    of: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

impl From<ActRecord> for ActBody {
    fn from(act: ActRecord) -> Self {
        let ActRecord { said_at, actor, what, of, reason, request_id, refused } = act;
        Self { at: timestamp(said_at), actor, what, of, reason, request_id, refused }
    }
}

/// Where an act stands in the list: its time, and what tells it from others of that time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place(i64, String);

impl Place {
    fn of(fact: &Fact, act: &ActRecord) -> Self {
        let hash: String = fact.key.hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(act.said_at, format!("{hash}{}", fact.key.at))
    }

    fn cursor(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}@{}", self.0, self.1))
    }

    fn read(text: &str) -> Result<Self, Problem> {
        let read = || {
            let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
            let (at, name) = text.split_once('@')?;
            Some(Self(at.parse().ok()?, name.to_owned()))
        };
        read().ok_or_else(|| wrong("`cursor` is none that was given out"))
    }
}

/// What was asked for.
struct Asked {
    actor: Option<String>,
    of: Option<String>,
    /// The first ms that counts.
    from: i64,
    /// What counts is below.
    below: Place,
}

impl Asked {
    fn read(params: ActParams, now: i64) -> Result<Self, Problem> {
        let to = moment("to", params.to.as_deref())?.unwrap_or(now.saturating_add(AHEAD_MS));
        let from = moment("from", params.from.as_deref())?.unwrap_or(to.saturating_sub(DAY_MS));
        if to <= from {
            return Err(wrong("`from` is not before `to`"));
        }
        if DAYS_MAX * DAY_MS < to.saturating_sub(from) {
            return Err(wrong(format!("from `from` to `to` are more than {DAYS_MAX} days")));
        }
        let end = Place(to, String::new());
        let below = match params.cursor.as_deref() {
            Some(text) => Place::read(text)?.min(end),
            None => end,
        };
        Ok(Self { actor: params.actor, of: params.of, from, below })
    }

    fn takes(&self, act: &ActRecord) -> bool {
        self.from <= act.said_at
            && self.actor.as_ref().is_none_or(|actor| *actor == act.actor)
            && self.of.as_ref().is_none_or(|of| *of == act.of)
    }

    /// The acts that count of those of an hour, the newest first.
    fn counted(&self, facts: &[Fact]) -> Result<Vec<(Place, ActRecord)>, Problem> {
        let mut counted = Vec::new();
        for fact in facts.iter().filter(|fact| fact.key.kind == ACT) {
            let act = frame::decode::<ActRecord>(&fact.body).map_err(|error| {
                Problem::new(Kind::STORAGE_UNAVAILABLE, format!("an act cannot be read: {error}"))
            })?;
            let place = Place::of(fact, &act);
            if place < self.below && self.takes(&act) {
                counted.push((place, act));
            }
        }
        counted.sort_by(|(one, _), (other, _)| other.cmp(one));
        Ok(counted)
    }
}

pub(super) async fn list<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
    Params(params): Params<ActParams>,
) -> Result<axum::Json<ActsBody>, Problem> {
    operator.on(Duty::Read)?;
    let most = limit(params.limit, PAGE_ACTS, PAGE_ACTS_MAX)?;
    let asked = Asked::read(params, (api.now)())?;
    let (first, last) = (hour(asked.from), hour(asked.below.0));
    let lowest = first.max(last.saturating_sub(HOURS_MAX - 1));
    let hours = (lowest..=last).rev().map(|hour| {
        let (group, topic, partition) = place(hour);
        api.engine.scan(Scope { group, topic: Topic(topic), partition })
    });
    let mut hours = stream::iter(hours).buffered(HOURS_AT_ONCE);
    let mut acts: Vec<ActBody> = Vec::new();
    while let Some(facts) = hours.try_next().await.map_err(unavailable)? {
        for (place, act) in asked.counted(&facts)? {
            acts.push(act.into());
            if acts.len() == most {
                return Ok(axum::Json(ActsBody { acts, next: Some(place.cursor()) }));
            }
        }
    }
    let more = first < lowest;
    let next = more.then(|| Place(lowest.saturating_mul(60 * 60 * 1_000), String::new()).cursor());
    Ok(axum::Json(ActsBody { acts, next }))
}
