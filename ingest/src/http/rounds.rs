//! Rounds: what operators and feeds say, and what they are shown.
//!
//! A call without `request_id` gets one derived from what it says, so that the same call twice is the same
//! request. A call that opens a round and names neither the round nor the request opens a new round each
//! time.

use super::ApiState;
use super::body::{Id, Json, OptionalJson, Params, invalid};
use super::credentials::Operator;
use super::round_bodies::{
    AdmittedBody, AmendBody, CloseBody, ListParams, OpenBody, ResultBody, ResultParams, RoundBody,
    RoundsBody, TakeBackBody,
};
use crate::auth::Duty;
use crate::line::{Ask, Judged, LIST_ROUNDS_MAX, NOT_SEALED, NotTaken, Say, Told};
use crate::problem::{Kind, Problem};
use crate::rounds_view::RoundInfo;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use http::header::{HeaderMap, HeaderValue, LINK, LOCATION};
use runtime::{Engine, Scope, Topic};
use schemas::catalogue::ROUNDS;
use schemas::contract::parse_timestamp;
use schemas::facts::ADMITTED;
use schemas::outgoing::round_content;
use schemas::proposal::Step;
use schemas::rounds::{Offer, Opened, Outcome, RoundEvent, RoundSaid};
use schemas::wire::RoundKind;
use schemas::{ContentHash, RequestId, RoundId, Selection};
use std::hash::{BuildHasher, RandomState};

/// Rounds on a page where the caller names no number.
const PAGE_ROUNDS: usize = 50;
/// Request ids of this form are the herald's own: a caller's would take the place of its timers' words.
const RESERVED: &str = "herald-";

type Answer = Result<Response, Problem>;

pub(super) async fn open<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
    Json(body): Json<OpenBody>,
) -> Answer {
    let actor = operator.on(Duty::Rounds)?;
    let said_at = (api.now)();
    let closes_at = match (&body.closes_at, body.betting_ms) {
        (Some(text), None) => time("closes_at", text)?,
        (None, Some(ms)) if 0 < ms => said_at.saturating_add(ms),
        (None, Some(_)) => return Err(invalid("betting_ms", "not above zero")),
        (Some(_), Some(_)) | (None, None) => {
            return Err(invalid("closes_at", "name either it or `betting_ms`"));
        }
    };
    let round = match (body.round_id, &body.request_id) {
        (Some(round), _) => round,
        (None, Some(request)) => round_of(&[&actor, request.as_str()]),
        (None, None) => fresh_round(),
    };
    let opened = Opened {
        game: body.game,
        rules_version: api.rules_version,
        offers: body.selections.into_iter().map(Offer::from).collect(),
        closes_at,
        grace_ms: body.grace_ms.unwrap_or(api.grace_ms),
    };
    // The deadline that counts from now is the same request at any time.
    let counted = Opened { closes_at: body.betting_ms.unwrap_or(closes_at), ..opened.clone() };
    let relative = if body.betting_ms.is_some() { "for" } else { "until" };
    let derived = derived(&round, RoundSaid::Opened(counted), &[relative])?;
    let request = body.request_id.unwrap_or(derived);
    let said = RoundSaid::Opened(opened);
    let judged = api.say(RoundEvent { round, request, actor, said_at, said }, false).await?;
    let location = location(&format!("/v1/rounds/{}", judged.round));
    Ok((StatusCode::CREATED, location, axum::Json(AdmittedBody::from(judged))).into_response())
}

pub(super) async fn amend<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
    Id(round): Id<RoundId>,
    Json(body): Json<AmendBody>,
) -> Answer {
    let actor = operator.on(Duty::Rounds)?;
    let closes_at = body.closes_at.as_deref().map(|text| time("closes_at", text)).transpose()?;
    let offers: Vec<Offer> = body.selections.into_iter().map(Offer::from).collect();
    if offers.is_empty() && closes_at.is_none() {
        return Err(invalid("selections", "name new odds, or `closes_at`"));
    }
    let said = RoundSaid::Amended { offers, closes_at };
    let said_at = (api.now)();
    let event = |request| RoundEvent {
        round: round.clone(),
        request,
        actor: actor.clone(),
        said_at,
        said: said.clone(),
    };
    let judged = match body.request_id {
        Some(request) => api.say(event(request), false).await?,
        None => {
            let info = api.round(&round).await?.ok_or_else(|| unknown(&round))?;
            api.amend_derived(&info, event).await?
        }
    };
    Ok(axum::Json(AdmittedBody::from(judged)).into_response())
}

pub(super) async fn close<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
    Id(round): Id<RoundId>,
    OptionalJson(body): OptionalJson<CloseBody>,
) -> Answer {
    let actor = operator.on(Duty::Rounds)?;
    api.answer(round, actor, RoundSaid::Closing, body.request_id, false).await
}

pub(super) async fn result<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
    Id(round): Id<RoundId>,
    Params(params): Params<ResultParams>,
    Json(body): Json<ResultBody>,
) -> Answer {
    let actor = operator.on(Duty::Rounds)?;
    if body.replaces != 0 {
        return Err(invalid("replaces", "a result replaces 0; use /correct for another"));
    }
    let (said, request) = version(body)?;
    api.answer(round, actor, said, request, params.wait).await
}

pub(super) async fn correct<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
    Id(round): Id<RoundId>,
    Json(body): Json<ResultBody>,
) -> Answer {
    let actor = operator.on(Duty::Correct)?;
    if body.replaces == 0 {
        return Err(invalid("replaces", "a correction replaces 1 or above"));
    }
    because(body.reason.as_deref())?;
    let (said, request) = version(body)?;
    api.answer(round, actor, said, request, false).await
}

pub(super) async fn withdraw<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
    Id(round): Id<RoundId>,
    Json(body): Json<TakeBackBody>,
) -> Answer {
    let actor = operator.on(Duty::Correct)?;
    let (said, request) = take_back(body, Outcome::Withdrawn)?;
    api.answer(round, actor, said, request, false).await
}

pub(super) async fn void<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
    Id(round): Id<RoundId>,
    Json(body): Json<TakeBackBody>,
) -> Answer {
    let duty = if body.replaces == 0 { Duty::Rounds } else { Duty::Correct };
    let actor = operator.on(duty)?;
    let (said, request) = take_back(body, Outcome::Voided)?;
    api.answer(round, actor, said, request, true).await
}

pub(super) async fn show<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
    Id(round): Id<RoundId>,
) -> Answer {
    operator.on(Duty::Read)?;
    let info = api.any_round(&round).await?.ok_or_else(|| unknown(&round))?;
    Ok(axum::Json(RoundBody::from(&info)).into_response())
}

pub(super) async fn list<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
    Params(params): Params<ListParams>,
) -> Answer {
    operator.on(Duty::Read)?;
    let limit = params.limit.unwrap_or(PAGE_ROUNDS);
    if !(1..=LIST_ROUNDS_MAX).contains(&limit) {
        let detail = format!("`limit` is 1 to {LIST_ROUNDS_MAX}");
        return Err(Problem::new(Kind::INVALID_QUERY, detail));
    }
    let after = params.cursor.as_deref().map(cursor_read).transpose()?;
    let ask = Ask::List { after, limit, open_only: params.open };
    let Told::Rounds(rounds) = api.ask(ask).await? else { return Err(gone()) };
    let next = rounds.last().filter(|_| rounds.len() == limit).map(cursor);
    let mut headers = HeaderMap::new();
    if let Some(next) = &next {
        let query = format!("open={}&limit={limit}&cursor={next}", params.open);
        let link = HeaderValue::try_from(format!("</v1/rounds?{query}>; rel=\"next\""));
        headers.extend(link.ok().map(|link| (LINK, link)));
    }
    let rounds = rounds.iter().map(RoundBody::from).collect();
    Ok((headers, axum::Json(RoundsBody { rounds, next })).into_response())
}

impl<E: Engine> ApiState<E> {
    async fn answer(
        &self,
        round: RoundId,
        actor: String,
        said: RoundSaid,
        request: Option<RequestId>,
        hold: bool,
    ) -> Answer {
        let derived = derived(&round, said.clone(), &[])?;
        let request = request.unwrap_or(derived);
        let event = RoundEvent { round, request, actor, said_at: (self.now)(), said };
        let judged = self.say(event, hold).await?;
        Ok(axum::Json(AdmittedBody::from(judged)).into_response())
    }

    /// An amendment without a request id. The same odds may be set, changed and set again, so the id
    /// covers what they replace; the call that was made last is repeated under its own id.
    pub(crate) async fn amend_derived(
        &self,
        info: &RoundInfo,
        event: impl Fn(RequestId) -> RoundEvent,
    ) -> Result<Judged, Problem> {
        let last = info
            .history
            .iter()
            .rev()
            .find(|line| line.kind == RoundKind::Amended && line.refused.is_none());
        if let Some(last) = last {
            match self.say(event(last.request.clone()), false).await {
                Err(problem) if problem.kind() == Kind::REQUEST_REUSED => {}
                answered => return answered,
            }
        }
        let mut base = vec![info.closes_at.to_string()];
        base.extend(info.offers.iter().map(|offer| format!("{}={}", offer.selection, offer.odds)));
        base.extend(last.map(|line| line.request.to_string()));
        let base: Vec<&str> = base.iter().map(String::as_str).collect();
        let said = event(request_named("amend")?).said;
        self.say(event(derived(&info.round, said, &base)?), false).await
    }

    /// Says it and waits for the verdict: admitted, or the problem.
    pub(crate) async fn say(&self, event: RoundEvent, hold: bool) -> Result<Judged, Problem> {
        let request = event.request.clone();
        if request.as_str().starts_with(RESERVED) || Step::is_reserved(&request) {
            let why = "ids that begin like this are the herald's, or name a step of a correction";
            return Err(invalid("request_id", why));
        }
        self.say_any(event, hold).await
    }

    /// The same under any request id.
    pub(super) async fn say_any(&self, event: RoundEvent, hold: bool) -> Result<Judged, Problem> {
        let request = event.request.clone();
        let told = self.ask(Ask::Say(Say { event, hold })).await;
        match told.map_err(|problem| problem.request(&request))? {
            Told::Verdict(judged) => admitted(judged),
            Told::RequestReused => {
                let detail = format!("{request} was admitted with other content");
                Err(Problem::new(Kind::REQUEST_REUSED, detail).request(request))
            }
            Told::Undecided => {
                let detail = "no verdict came in time; send the same request again";
                Err(Problem::new(Kind::UNDECIDED, detail).request(request))
            }
            Told::NotTaken(_) | Told::Round(_) | Told::Rounds(_) => Err(gone().request(request)),
        }
    }

    /// A round in the line's memory.
    pub(crate) async fn round(&self, round: &RoundId) -> Result<Option<RoundInfo>, Problem> {
        match self.ask(Ask::Get(round.clone())).await? {
            Told::Round(info) => Ok(info.map(|info| *info)),
            Told::Verdict(_)
            | Told::RequestReused
            | Told::Undecided
            | Told::NotTaken(_)
            | Told::Rounds(_) => Err(gone()),
        }
    }

    /// A round in memory or not.
    pub(crate) async fn any_round(&self, round: &RoundId) -> Result<Option<RoundInfo>, Problem> {
        match self.round(round).await? {
            Some(info) => Ok(Some(info)),
            None => self.old_round(round).await,
        }
    }

    /// A round that memory has let go, from what the herald admitted.
    pub(super) async fn old_round(&self, round: &RoundId) -> Result<Option<RoundInfo>, Problem> {
        Ok(RoundInfo::of_admitted(self.admitted(round).await?))
    }

    /// What the herald admitted about a round, in its order.
    pub(super) async fn admitted(&self, round: &RoundId) -> Result<Vec<RoundEvent>, Problem> {
        let (group, topic) = (round.to_string(), Topic(ROUNDS));
        let scope = Scope { group, topic, partition: self.partitions.of_round(round) };
        let unreadable = |why: String| Problem::new(Kind::STORAGE_UNAVAILABLE, why);
        let facts = self.engine.scan(scope).await.map_err(|error| unreadable(error.to_string()))?;
        let mut admitted = Vec::new();
        for fact in facts.iter().filter(|fact| fact.key.kind == ADMITTED) {
            let event =
                RoundEvent::decode(&fact.body).map_err(|error| unreadable(error.to_string()))?;
            admitted.push((fact.key.at, event));
        }
        admitted.sort_by_key(|(at, _)| *at);
        Ok(admitted.into_iter().map(|(_, event)| event).collect())
    }

    pub(crate) async fn ask(&self, ask: Ask) -> Result<Told, Problem> {
        let line = self.line.as_ref().ok_or_else(gone)?;
        let told = line.ask(ask).await.map_err(|_| gone())?;
        let Told::NotTaken(why) = told else { return Ok(told) };
        let (kind, detail) = match why {
            NotTaken::Starting => (Kind::STARTING, "the log is still being read"),
            NotTaken::Busy => (Kind::OVERLOADED, "too many requests wait for a verdict"),
            NotTaken::Full => (Kind::STORAGE_FULL, "the log has no room"),
            NotTaken::Unwritable => (Kind::UNENCODABLE, "the record cannot be written"),
        };
        Err(Problem::new(kind, detail))
    }
}

/// What was admitted, or why it was refused.
fn admitted(judged: Judged) -> Result<Judged, Problem> {
    let Some(code) = &judged.refused else { return Ok(judged) };
    let (said, round, version) = (judged.kind.name(), &judged.round, judged.version);
    let detail = match code.as_str() {
        NOT_SEALED => format!("{said} of {round} must wait until the round is sealed"),
        _ => format!("{said} of {round} was refused: {code}; the result version is {version}"),
    };
    let kind = Kind::of(code).unwrap_or(Kind::REFUSED);
    Err(Problem::new(kind, detail).request(judged.request))
}

pub(crate) fn gone() -> Problem {
    Problem::new(Kind::UNAVAILABLE, "the line is being started again")
}

pub(super) fn unknown(round: &RoundId) -> Problem {
    Problem::new(Kind::ROUND_UNKNOWN, format!("no round {round} was admitted"))
}

fn time(field: &str, text: &str) -> Result<i64, Problem> {
    let why = "not an RFC 3339 time with offset, such as 2026-11-21T18:00:00Z";
    parse_timestamp(text).ok_or_else(|| invalid(field, why))
}

fn version(body: ResultBody) -> Result<(RoundSaid, Option<RequestId>), Problem> {
    let outcome = outcome(body.outcome, body.won, body.void)?;
    let reason = body.reason.unwrap_or_default();
    Ok((RoundSaid::Version { replaces: body.replaces, outcome, reason }, body.request_id))
}

/// The outcome of the game, or the winners and void selections by name.
pub(super) fn outcome(
    outcome: Option<String>,
    won: Option<Vec<Selection>>,
    void: Option<Vec<Selection>>,
) -> Result<Outcome, Problem> {
    match (outcome, won, void) {
        (Some(outcome), None, None) => Ok(Outcome::Game(outcome)),
        (None, Some(won), void) => Ok(Outcome::Named { won, void: void.unwrap_or_default() }),
        (None, None, Some(void)) => Ok(Outcome::Named { won: Vec::new(), void }),
        (Some(_), _, _) | (None, None, None) => {
            Err(invalid("outcome", "name either it or `won` and `void`"))
        }
    }
}

fn take_back(
    body: TakeBackBody,
    outcome: Outcome,
) -> Result<(RoundSaid, Option<RequestId>), Problem> {
    because(Some(&body.reason))?;
    let said = RoundSaid::Version { replaces: body.replaces, outcome, reason: body.reason };
    Ok((said, body.request_id))
}

pub(super) fn because(reason: Option<&str>) -> Result<(), Problem> {
    match reason {
        Some(reason) if !reason.trim().is_empty() => Ok(()),
        Some(_) | None => Err(invalid("reason", "say why, in words")),
    }
}

/// The request id of a call that names none: the same for the same content, and for nothing else.
pub(crate) fn derived(
    round: &RoundId,
    said: RoundSaid,
    more: &[&str],
) -> Result<RequestId, Problem> {
    let (request, actor) = (request_named("derived")?, String::new());
    let event = RoundEvent { round: round.clone(), request, actor, said_at: 0, said };
    let content = round_content(&event).to_string();
    let mut parts = vec![content.as_str()];
    parts.extend(more);
    request_named(&format!("auto-{}", ContentHash::of(&parts)))
}

fn request_named(text: &str) -> Result<RequestId, Problem> {
    text.parse().map_err(|error: schemas::IdError| invalid("request_id", error))
}

fn round_of(parts: &[&str]) -> RoundId {
    let id = format!("r_{}", URL_SAFE_NO_PAD.encode(ContentHash::of(parts).0));
    id.parse().unwrap_or_else(|_| unreachable!("24 characters of the alphabet"))
}

/// A round id that nobody had: 128 bits from the random keys of the standard library.
pub(crate) fn fresh_round() -> RoundId {
    let random = || RandomState::new().hash_one(0_u8).to_string();
    round_of(&[&random(), &random()])
}

fn cursor(last: &RoundInfo) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}:{}", last.opened_at, last.round))
}

fn cursor_read(text: &str) -> Result<(i64, RoundId), Problem> {
    let read = || {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (opened_at, round) = text.split_once(':')?;
        Some((opened_at.parse().ok()?, round.parse().ok()?))
    };
    read().ok_or_else(|| Problem::new(Kind::INVALID_QUERY, "`cursor` is none that was given out"))
}

fn location(path: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.extend(HeaderValue::try_from(path).ok().map(|path| (LOCATION, path)));
    headers
}
