//! Histories: the bets of a player, and the movements that a partner was asked for.
//!
//! Both are read from the projection that [`crate::history`] writes. It may be behind; so what this process
//! has read of decisions is merged into a player's list: a bet that was answered is in it at once.
//!
//! A page may be short, even empty, and still name a next one: how much is read for a page is bounded, not
//! how much must be looked through for it.

use super::ApiState;
use super::body::{Id, Params};
use super::credentials::{Bearer, Operator};
use super::csv::{TEXT_CSV, head, lines};
use super::history_bodies::{BetLine, Format, HistoryParams, Line, PageBody, TransactionLine};
use crate::auth::Duty;
use crate::history::lists::{List, Place, Step, Walk};
use crate::history::story::Story;
use crate::history::story_scope;
use crate::placing::{Ask, Told};
use crate::problem::{Kind, Problem};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{StreamExt, stream};
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, LINK};
use runtime::{Engine, EngineError, FactStore};
use schemas::contract::{parse_timestamp, timestamp};
use schemas::decisions::Decision;
use schemas::{BetId, PartnerId, PlayerId, RoundId};
use std::collections::BTreeMap;

/// Lines on a page where the caller names no number, and at most.
const PAGE_LINES: usize = 50;
const PAGE_LINES_MAX: usize = 500;
/// Stories read for one page.
const STORIES_MAX: usize = 2_000;
/// Stories read at once for one page.
const STORIES_AT_ONCE: usize = 16;
/// The longest stretch of time of one list.
const DAYS_MAX: i64 = 366;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// Clocks of processes differ: what was placed just now may be this far ahead, in ms.
const AHEAD_MS: i64 = 60_000;

type Answer = Result<Response, Problem>;
type Recent = BTreeMap<BetId, Decision>;

/// `GET /v1/bets`.
pub(super) async fn bets<E: Engine>(
    State(api): State<ApiState<E>>,
    Bearer { player, .. }: Bearer,
    Params(params): Params<HistoryParams>,
    headers: HeaderMap,
) -> Answer {
    let whose = Whose::Player(player.partner, player.player);
    answer::<BetLine, E>(api, whose, params, &headers).await
}

/// `GET /v1/partners/{partner}/transactions`. A partner that nobody knows has none.
pub(super) async fn transactions<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
    Id(partner): Id<PartnerId>,
    Params(params): Params<HistoryParams>,
    headers: HeaderMap,
) -> Answer {
    operator.on(Duty::Read)?;
    answer::<TransactionLine, E>(api, Whose::Partner(partner), params, &headers).await
}

/// Whose list.
#[derive(Clone, Debug)]
enum Whose {
    Player(PartnerId, PlayerId),
    Partner(PartnerId),
}

impl Whose {
    fn list(&self) -> List<'_> {
        match self {
            Self::Player(partner, player) => List::Player(partner, player),
            Self::Partner(partner) => List::Partner(partner),
        }
    }

    fn path(&self) -> String {
        match self {
            Self::Player(..) => "/v1/bets".to_owned(),
            Self::Partner(partner) => format!("/v1/partners/{partner}/transactions"),
        }
    }
}

/// What was asked for.
#[derive(Clone, Debug)]
struct Asked {
    whose: Whose,
    from: u64,
    status: Option<String>,
    round: Option<RoundId>,
}

/// Lines, and the place of the last one if there may be more.
struct Page<L> {
    lines: Vec<L>,
    next: Option<Place>,
}

async fn answer<L: Line, E: Engine>(
    api: ApiState<E>,
    whose: Whose,
    params: HistoryParams,
    headers: &HeaderMap,
) -> Answer {
    let csv = match params.format {
        Some(format) => format == Format::Csv,
        None => accepts_csv(headers),
    };
    let limit = limit(params.limit, PAGE_LINES, PAGE_LINES_MAX)?;
    let (asked, below) = asked::<L>(whose, &params, (api.now)())?;
    if csv && params.limit.is_none() {
        return streamed::<L, E>(api, asked, below).await;
    }
    let page: Page<L> = page(&api, &asked, below, limit).await?;
    let next = page.next.as_ref().map(cursor);
    let mut headers = HeaderMap::new();
    if let Some(next) = &next {
        let link = link(&asked.whose, &params, limit, next);
        headers.extend(HeaderValue::try_from(link).ok().map(|link| (LINK, link)));
    }
    if csv {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(TEXT_CSV));
        let mut body = head(L::COLUMNS);
        body.extend(lines(L::COLUMNS, &page.lines));
        return Ok((headers, body).into_response());
    }
    let lines = BTreeMap::from([(L::NAME, page.lines.as_slice())]);
    Ok((headers, axum::Json(PageBody { lines, next })).into_response())
}

/// The whole list, page by page while it is read. An answer that has begun cannot become a refusal: if a page
/// fails, the body breaks off.
async fn streamed<L: Line, E: Engine>(api: ApiState<E>, asked: Asked, below: Place) -> Answer {
    let first: Page<L> = page(&api, &asked, below, PAGE_LINES_MAX).await?;
    let mut begin = head(L::COLUMNS);
    begin.extend(lines(L::COLUMNS, &first.lines));
    let rest = stream::unfold((first.next, api, asked), |(left, api, asked)| async move {
        let chunk = match page::<L, E>(&api, &asked, left?, PAGE_LINES_MAX).await {
            Ok(Page { lines: found, next }) => (Ok(lines(L::COLUMNS, &found)), next),
            Err(error) => (Err(std::io::Error::other(format!("{error:?}"))), None),
        };
        Some((chunk.0.map(Bytes::from), (chunk.1, api, asked)))
    });
    let begin = stream::once(std::future::ready(Ok(Bytes::from(begin))));
    let body = Body::from_stream(begin.chain(rest));
    Ok(([(CONTENT_TYPE, HeaderValue::from_static(TEXT_CSV))], body).into_response())
}

async fn page<L: Line, E: Engine>(
    api: &ApiState<E>,
    asked: &Asked,
    below: Place,
    limit: usize,
) -> Result<Page<L>, Problem> {
    let recent = api.recent(&asked.whose).await?;
    let known = recent.values().map(|known| Place::of_bet(known.bet.placed_at, &known.bet.id));
    let store = (&api.engine, api.partitions);
    let list = asked.whose.list();
    let mut walk = Walk::new(store, list, (asked.from, below), known.collect());
    let (mut found, mut stories_left) = (Vec::new(), STORIES_MAX);
    loop {
        let count = if asked.status.is_some() { limit.max(STORIES_AT_ONCE) } else { limit };
        let (places, ended) = places(&mut walk, asked, count).await?;
        stories_left = stories_left.saturating_sub(places.len());
        let last = places.last().cloned();
        let told = places.into_iter().map(|place| line::<L, E>(api, &recent, place));
        let mut told = stream::iter(told).buffered(STORIES_AT_ONCE);
        while let Some(told) = told.next().await {
            let (place, line) = told?;
            let counts = |line: &L| asked.status.as_deref().is_none_or(|s| s == line.status());
            found.extend(line.filter(counts));
            if found.len() == limit {
                return Ok(Page { lines: found, next: Some(place) });
            }
        }
        let next = match ended {
            Some(Step::Tired(place)) => Some(place),
            Some(Step::End | Step::Place(_)) => None,
            None if stories_left == 0 => last,
            None => continue,
        };
        return Ok(Page { lines: found, next });
    }
}

/// The next places that may count, and how the walk ended if it did.
async fn places<S: FactStore>(
    walk: &mut Walk<'_, S>,
    asked: &Asked,
    count: usize,
) -> Result<(Vec<Place>, Option<Step>), Problem> {
    let mut places = Vec::new();
    while places.len() < count {
        match walk.next().await.map_err(unavailable)? {
            Step::Place(place) => {
                let of_round = |(bet, _): (BetId, _)| match &asked.round {
                    Some(round) => bet.round_str() == round.as_str(),
                    None => true,
                };
                if place.names().is_some_and(of_round) {
                    places.push(place);
                }
            }
            ended @ (Step::Tired(_) | Step::End) => return Ok((places, Some(ended))),
        }
    }
    Ok((places, None))
}

async fn line<L: Line, E: Engine>(
    api: &ApiState<E>,
    recent: &Recent,
    place: Place,
) -> Result<(Place, Option<L>), Problem> {
    let Some((bet, revision)) = place.names() else { return Ok((place, None)) };
    let mut story = api.story(&bet).await?;
    if let Some(decision) = recent.get(&bet) {
        story.decided(decision.caused_at, decision.clone());
    }
    Ok((place, L::of(&story, revision)))
}

impl<E: Engine> ApiState<E> {
    /// What the projection has of a bet.
    pub(super) async fn story(&self, bet: &BetId) -> Result<Story, Problem> {
        let scope = story_scope(bet, self.partitions);
        let rows = self.engine.about(scope, String::new(), bet.to_string()).await;
        let story = Story::tell(&rows.map_err(unavailable)?);
        story.map_err(|error| Problem::new(Kind::STORAGE_UNAVAILABLE, error.to_string()))
    }

    /// The decisions of a player that this process has read lately.
    async fn recent(&self, whose: &Whose) -> Result<Recent, Problem> {
        let Whose::Player(partner, player) = whose else { return Ok(Recent::new()) };
        let gone = || Problem::new(Kind::UNAVAILABLE, "bet placing is being started again");
        let placing = self.placing.as_ref().ok_or_else(gone)?;
        match placing.ask(Ask::Recent(partner.clone(), player.clone())).await {
            Ok(Told::Recent(decisions)) => {
                Ok(decisions.into_iter().map(|known| (known.bet.id.clone(), known)).collect())
            }
            Ok(_) | Err(_) => Err(gone()),
        }
    }
}

fn asked<L: Line>(
    whose: Whose,
    params: &HistoryParams,
    now: i64,
) -> Result<(Asked, Place), Problem> {
    if let Some(status) = params.status.as_deref().filter(|word| !L::STATUSES.contains(word)) {
        let words = L::STATUSES.join(", ");
        return Err(wrong(format!("`status` is one of {words}, not `{status}`")));
    }
    let to = moment("to", params.to.as_deref())?.unwrap_or(now.saturating_add(AHEAD_MS));
    let first = to.saturating_sub(L::DAYS * DAY_MS);
    let from = moment("from", params.from.as_deref())?.unwrap_or(first);
    if to <= from {
        return Err(wrong("`from` is not before `to`"));
    }
    if DAYS_MAX * DAY_MS < to.saturating_sub(from) {
        return Err(wrong(format!("from `from` to `to` are more than {DAYS_MAX} days")));
    }
    let ms = |at: i64| u64::try_from(at).unwrap_or(0);
    let below = Place::before(ms(to));
    let below = match params.cursor.as_deref() {
        Some(text) => cursor_read("cursor", text)?.min(below),
        None => below,
    };
    let (status, round) = (params.status.clone(), params.round.clone());
    Ok((Asked { whose, from: ms(from), status, round }, below))
}

/// The moment that was given as `field`.
pub(super) fn moment(field: &str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let why = "is no RFC 3339 time with offset, such as 2026-11-21T18:00:00Z (write + as %2B)";
    parse_timestamp(text).map(Some).ok_or_else(|| wrong(format!("`{field}` {why}")))
}

fn accepts_csv(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    let media = accepted.flat_map(|accept| accept.split(','));
    media.filter_map(|media| media.split(';').next()).any(|media| media.trim() == TEXT_CSV)
}

/// The next page under the same filters; times in UTC, which a query needs no escapes for.
fn link(whose: &Whose, params: &HistoryParams, limit: usize, next: &str) -> String {
    let time = |text: &Option<String>| text.as_deref().and_then(parse_timestamp).map(timestamp);
    let csv = params.format.map(|format| match format {
        Format::Json => "json".to_owned(),
        Format::Csv => "csv".to_owned(),
    });
    let given = [
        ("status", params.status.clone()),
        ("from", time(&params.from)),
        ("to", time(&params.to)),
        ("round", params.round.as_ref().map(ToString::to_string)),
        ("format", csv),
    ];
    let mut query = format!("limit={limit}&cursor={next}");
    for (name, value) in given {
        query.extend(value.map(|value| format!("&{name}={value}")));
    }
    format!("<{}?{query}>; rel=\"next\"", whose.path())
}

pub(super) fn cursor(last: &Place) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}@{}", last.at, last.subject))
}

/// The place that a cursor names, which was given as `parameter`.
pub(super) fn cursor_read(parameter: &str, text: &str) -> Result<Place, Problem> {
    let read = || {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (at, subject) = text.split_once('@')?;
        let place = Place { at: at.parse().ok()?, subject: subject.to_owned() };
        (place.subject.is_empty() || place.names().is_some()).then_some(place)
    };
    read().ok_or_else(|| wrong(format!("`{parameter}` is none that was given out")))
}

/// The number of lines that was asked for, or the usual one.
pub(super) fn limit(asked: Option<usize>, usual: usize, max: usize) -> Result<usize, Problem> {
    let limit = asked.unwrap_or(usual);
    let wrong = || wrong(format!("`limit` is 1 to {max}"));
    (1..=max).contains(&limit).then_some(limit).ok_or_else(wrong)
}

pub(super) fn wrong(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::INVALID_QUERY, detail)
}

pub(super) fn unavailable(error: EngineError) -> Problem {
    Problem::new(Kind::STORAGE_UNAVAILABLE, error.to_string())
}
