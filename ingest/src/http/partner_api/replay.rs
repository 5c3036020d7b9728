//! A partner asks to be told again what it confirmed (contract 3).
//!
//! The projection of histories only names bets here. What is said of them comes from facts, from whoever settles.

use super::days::places;
use super::signed::{PartnerCaller, RequestId};
use crate::history::lists::Place;
use crate::http::ApiState;
use crate::http::body::{Json, invalid};
use crate::http::histories::{cursor, cursor_read, wrong};
use crate::problem::{Kind, Problem};
use crate::replays::{NotReplayed, Replay, Replayed};
use axum::Extension;
use axum::extract::State;
use http::StatusCode;
use runtime::{Engine, Millis};
use schemas::contract::{QUERY_BETS_MAX, parse_timestamp};
use schemas::{BetId, PartnerId, RoundId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use utoipa::ToSchema;

/// Rounds that one request may touch: each is read from its facts.
const ROUNDS_MAX: usize = 50;
/// The longest span of `from` and `to`.
const SPAN_MS_MAX: i64 = 24 * 60 * 60 * 1_000;
/// What a bet, and a round, that a request names costs of its partner's time until the next: so much of the log, which
/// others share, it may fill.
const BET_MS: Millis = 10;
const ROUND_MS: Millis = 100;
/// The shortest time between two requests of a partner.
const BETWEEN_MS_MIN: Millis = 1_000;
/// The longest, also behind one that its partner did not wait for.
const BETWEEN_MS_MAX: Millis = 120_000;

/// What is to be told again: either `bet_ids`, or `round_id`, or `from` and `to`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ReplayRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayBody {
    /// 1 to 500 bets of at most 50 rounds.
    #[schema(min_items = 1, max_items = 500)]
    bet_ids: Option<Vec<BetId>>,
    /// All your bets of this round.
    round_id: Option<RoundId>,
    /// The bets of which something was said from here on, by the time of what caused it: the bet, or the result.
    #[schema(format = DateTime)]
    from: Option<String>,
    /// And before here; at most 24 hours later.
    #[schema(format = DateTime)]
    to: Option<String>,
    /// With `from` and `to`: `next` of the part before.
    after: Option<String>,
}

/// What came of a request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReplayAnswer)]
pub(super) struct ReplayedBody {
    /// Names the request: its `webhook-id`.
    replay_id: String,
    #[serde(flatten)]
    replayed: Replayed,
    /// With `from` and `to`: the `after` of the next part; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

type Now = Arc<dyn Fn() -> Millis + Send + Sync>;

/// When each partner may ask next, in this process; `None` while one thing that it asked is worked on.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace(Arc<Mutex<BTreeMap<PartnerId, Option<Millis>>>>);

impl Pace {
    /// The right to ask now.
    fn begin(&self, partner: &PartnerId, now: &Now) -> Result<Asking, Problem> {
        let begun = now();
        let mut free_at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let free = free_at.entry(partner.clone()).or_insert(Some(begun));
        if free.is_none_or(|free| begun < free) {
            let detail = "what you asked for before is still being told, or was a moment ago: at most some 100 bets \
                          a second are told again";
            return Err(Problem::new(Kind::OVERLOADED, detail));
        }
        *free = None;
        let (pace, partner, now) = (self.clone(), partner.clone(), Arc::clone(now));
        Ok(Asking { pace, partner, now, wait: BETWEEN_MS_MAX })
    }
}

/// What a partner asked is worked on, and nothing else that it asks, until this is dropped.
struct Asking {
    pace: Pace,
    partner: PartnerId,
    now: Now,
    /// Ms until the partner may ask again.
    wait: Millis,
}

impl Asking {
    /// So much was asked for, whatever came of it.
    fn done(mut self, (rounds, bets): (usize, u64)) {
        let rounds = Millis::try_from(rounds).unwrap_or(Millis::MAX).saturating_mul(ROUND_MS);
        let bets = Millis::try_from(bets).unwrap_or(Millis::MAX).saturating_mul(BET_MS);
        self.wait = rounds.saturating_add(bets).clamp(BETWEEN_MS_MIN, BETWEEN_MS_MAX);
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let free = (self.now)().saturating_add(self.wait);
        let mut free_at = self.pace.0.lock().unwrap_or_else(PoisonError::into_inner);
        free_at.insert(self.partner.clone(), Some(free));
    }
}

/// Ask to be told again
///
/// The newest revision of each bet that you have confirmed is sent to your wallet once more, in a state call like any
/// other: what your row has already moves nothing. What you have not confirmed comes by itself and is only counted. A
/// request may be sent again at any time. Where `next` is there, ask for the next part.
#[utoipa::path(
    post, path = "/replay", operation_id = "replay", tag = "partner",
    request_body = ReplayBody,
    responses((status = 202, description = "It is on its way.", body = ReplayedBody)),
)]
pub(super) async fn ask<E: Engine>(
    State(api): State<ApiState<E>>,
    Extension(pace): Extension<Pace>,
    PartnerCaller(partner): PartnerCaller,
    Extension(RequestId(request)): Extension<RequestId>,
    Json(body): Json<ReplayBody>,
) -> Result<(StatusCode, axum::Json<ReplayedBody>), Problem> {
    let asked = Asked::of(body)?;
    let asking = pace.begin(&partner, &api.now)?;
    let mut cost = (0, 0);
    let told = tell(&api, &partner, &request, asked, &mut cost).await;
    asking.done(cost);
    told.map(|body| (StatusCode::ACCEPTED, axum::Json(body)))
}

async fn tell<E: Engine>(
    api: &ApiState<E>,
    partner: &PartnerId,
    request: &str,
    asked: Asked,
    cost: &mut (usize, u64),
) -> Result<ReplayedBody, Problem> {
    let (rounds, next) = match asked {
        Asked::Bets(rounds) => (rounds, None),
        Asked::Round(round) => ([(round, BTreeSet::new())].into(), None),
        Asked::Span { from, below } => span(api, partner, from, below).await?,
    };
    let named = rounds.values().map(BTreeSet::len).sum::<usize>();
    *cost = (rounds.len(), u64::try_from(named).unwrap_or(u64::MAX));
    let replay = Replay { partner: partner.clone(), request: request.to_owned(), rounds };
    let replayed = api.replays.say_again(replay).await.map_err(|error| {
        let kind = match &error {
            NotReplayed::Bet(_) => Kind::BET_UNKNOWN,
            NotReplayed::Round(_) => Kind::ROUND_UNKNOWN,
            NotReplayed::Later(_) => Kind::STORAGE_UNAVAILABLE,
        };
        Problem::new(kind, error.to_string())
    })?;
    let Replayed { told_again, held, owed, parked, frozen, told_often } = replayed;
    cost.1 = told_again + held + owed + parked + frozen + told_often;
    Ok(ReplayedBody { replay_id: request.to_owned(), replayed, next })
}

type Rounds = BTreeMap<RoundId, BTreeSet<BetId>>;

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Bets(Rounds),
    Round(RoundId),
    /// Newest first, from below the place down to the time.
    Span {
        from: u64,
        below: Place,
    },
}

impl Asked {
    fn of(body: ReplayBody) -> Result<Self, Problem> {
        match body {
            ReplayBody {
                bet_ids: Some(bets),
                round_id: None,
                from: None,
                to: None,
                after: None,
            } => {
                let named = bets.len();
                let rounds = by_round(bets);
                if !(1..=QUERY_BETS_MAX).contains(&named) || ROUNDS_MAX < rounds.len() {
                    let many = format!("1 to {QUERY_BETS_MAX} bets of at most {ROUNDS_MAX} rounds");
                    return Err(invalid("bet_ids", many));
                }
                Ok(Self::Bets(rounds))
            }
            ReplayBody {
                bet_ids: None,
                round_id: Some(round),
                from: None,
                to: None,
                after: None,
            } => Ok(Self::Round(round)),
            ReplayBody { bet_ids: None, round_id: None, from: Some(from), to: Some(to), after } => {
                let time = |field, text: &str| {
                    let at = parse_timestamp(text).and_then(|at| u64::try_from(at).ok());
                    at.ok_or_else(|| invalid(field, "is no RFC 3339 time with offset"))
                };
                let (from, to) = (time("from", &from)?, time("to", &to)?);
                let fits = to.checked_sub(from).and_then(|span| i64::try_from(span).ok());
                if !fits.is_some_and(|span| (1..=SPAN_MS_MAX).contains(&span)) {
                    return Err(invalid("to", "must be above `from`, and at most 24 hours later"));
                }
                let (begin, end) = (Place::before(from), Place::before(to));
                let below = match after.as_deref() {
                    None => end,
                    Some(after) => Some(cursor_read("after", after)?)
                        .filter(|at| begin <= *at && *at < end)
                        .ok_or_else(|| wrong("`after` is of another span"))?,
                };
                Ok(Self::Span { from, below })
            }
            _ => Err(Problem::new(
                Kind::INVALID_FIELD,
                "name `bet_ids`, or `round_id`, or `from` and `to`",
            )),
        }
    }
}

fn by_round(bets: impl IntoIterator<Item = BetId>) -> Rounds {
    let mut rounds = Rounds::new();
    for bet in bets {
        rounds.entry(bet.round()).or_default().insert(bet);
    }
    rounds
}

/// The bets of a part of a span, of so many rounds as one request may touch, and where the next part begins.
async fn span<E: Engine>(
    api: &ApiState<E>,
    partner: &PartnerId,
    from: u64,
    below: Place,
) -> Result<(Rounds, Option<String>), Problem> {
    let (places, mut next) = places(api, partner, (from, below), QUERY_BETS_MAX).await?;
    let mut rounds = Rounds::new();
    let mut last = None;
    for place in places {
        let Some((bet, _)) = place.names() else { continue };
        let round = bet.round();
        if rounds.len() == ROUNDS_MAX && !rounds.contains_key(&round) {
            next = last;
            break;
        }
        rounds.entry(round).or_default().insert(bet);
        last = Some(place);
    }
    Ok((rounds, next.as_ref().map(cursor)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::atomic::{AtomicI64, Ordering};

    #[test]
    fn a_request_names_one_thing_within_bounds() {
        let read = |body: serde_json::Value| {
            let body = serde_json::from_value(body).map_err(|_| "unreadable")?;
            Asked::of(body).map_err(|problem| problem.kind().code)
        };
        let bets = |bets: usize, per_round: usize| {
            let bet = |number: usize| format!("r{}:b{number}", number / per_round);
            json!({"bet_ids": (0..bets).map(bet).collect::<Vec<_>>()})
        };
        let (begin, end) = ("2026-11-29T00:00:00Z", "2026-11-30T00:00:00Z");
        assert!(matches!(read(bets(500, 10)), Ok(Asked::Bets(rounds)) if rounds.len() == 50));
        assert!(matches!(read(json!({"round_id": "r"})), Ok(Asked::Round(_))));
        assert!(matches!(read(json!({"from": begin, "to": end})), Ok(Asked::Span { .. })));
        for (refused, code) in [
            (bets(0, 1), "invalid_field"),
            (bets(501, 500), "invalid_field"),
            (bets(51, 1), "invalid_field"),
            (json!({}), "invalid_field"),
            (json!({"round_id": "r", "bet_ids": ["r:b"]}), "invalid_field"),
            (json!({"round_id": "r", "after": "x"}), "invalid_field"),
            (json!({"from": begin}), "invalid_field"),
            (json!({"from": end, "to": begin}), "invalid_field"),
            (json!({"from": begin, "to": begin}), "invalid_field"),
            (json!({"from": begin, "to": "2026-11-30T00:00:00.001Z"}), "invalid_field"),
            (json!({"from": begin, "to": "yesterday"}), "invalid_field"),
            (json!({"from": begin, "to": end, "after": "x"}), "invalid_query"),
            (json!({"round_id": "r", "more": 1}), "unreadable"),
        ] {
            assert_eq!(read(refused.clone()), Err(code), "{refused}");
        }
    }

    #[test]
    fn a_partner_is_told_so_much_and_keeps_no_other_waiting() {
        let (acme, other): (PartnerId, PartnerId) =
            ("acme".parse().unwrap(), "other".parse().unwrap());
        let pace = Pace::default();
        let clock = Arc::new(AtomicI64::new(0));
        let now: Now = {
            let clock = Arc::clone(&clock);
            Arc::new(move || clock.load(Ordering::Relaxed))
        };
        let begin = |partner, at| {
            clock.store(at, Ordering::Relaxed);
            pace.begin(partner, &now).map_err(|problem| problem.kind())
        };
        let busy = |at| begin(&acme, at).err() == Some(Kind::OVERLOADED);
        let asking = begin(&acme, 5_000).ok().unwrap();
        assert!(busy(5_001) && busy(500_000), "one is worked on, however long");
        assert!(begin(&other, 5_001).is_ok());
        clock.store(6_000, Ordering::Relaxed);
        asking.done((2, 500));
        assert!(busy(11_199));
        let asking = begin(&acme, 11_200).ok().unwrap();
        clock.store(12_000, Ordering::Relaxed);
        asking.done((0, 0));
        assert!(busy(12_999), "also behind what named nothing");
        drop(begin(&acme, 13_000).ok().unwrap());
        assert!(busy(132_999), "nobody waited for it");
        assert!(begin(&acme, 133_000).is_ok());
    }
}
