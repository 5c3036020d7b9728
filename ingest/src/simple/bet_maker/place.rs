//! A bet is placed.

use super::book::{self, Told as Said};
use super::list::BetBody;
use super::{Begin, Begun, BetLine, BetMaker, IDEMPOTENCY_KEY, PREFIX, Standing, events, gone};
use crate::http::body::{Id, Json, invalid};
use crate::placing::{Ask, NotTaken, Place, Told};
use crate::problem::{Kind, Problem};
use crate::simple::bodies::Refusals;
use crate::simple::event::first;
use crate::simple::values::{Amount, EventId};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{HeaderMap, HeaderValue, LOCATION};
use schemas::decisions::{Decision, RejectReason, Verdict};
use schemas::{BetId, ClientRef, ContentHash, IdError, Money, Odds};
use serde::Deserialize;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;
use tokio::time::sleep;
use utoipa::ToSchema;

/// Characters an idempotency key may have.
const KEY_CHARS_MAX: usize = 255;
/// How often a bet is begun again because the event has changed, or another part of the process has not
/// read yet what this one has; and the pause before.
const BEGINS_MAX: usize = 20;
const BEGIN_PAUSE: Duration = Duration::from_millis(20);

/// `POST /bet`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewBet, example = json!({"event_id": "match-1", "amount": "10.00"}))]
pub(super) struct PlaceBody {
    /// The event; needed where the path does not name it.
    event_id: Option<EventId>,
    /// The stake.
    amount: Amount,
}

/// Place a bet on the first team of an event
///
/// At the odds that stand. With an `Idempotency-Key` the same call again is the same bet; the key with other
/// content is refused. A bet that is not decided in time is answered with 202, and listed; it may still be
/// rejected, and leaves the list then.
#[utoipa::path(
    post, path = "/bet", tag = "bets", request_body = PlaceBody,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
            description = "Printable characters")),
    responses(
        (status = 201, description = "The bet is in", body = BetBody,
         headers(("Location" = String, description = "Where the bet is"))),
        (status = 202, description = "The bet is not decided yet", body = BetBody),
        Refusals,
    ),
)]
pub(super) async fn place(
    State(state): State<BetMaker>,
    headers: HeaderMap,
    Json(body): Json<PlaceBody>,
) -> Result<Response, Problem> {
    let event = body.event_id.ok_or_else(|| invalid("event_id", "name the event"))?;
    state.place(event, &body.amount, &headers).await
}

/// Place a bet, the event being named in the path
#[utoipa::path(
    post, path = "/bets/bet/{event_id}", tag = "bets", request_body = PlaceBody,
    params(
        ("event_id" = String, Path, description = "The event", example = "match-1"),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
         description = "Printable characters"),
    ),
    responses(
        (status = 201, description = "The bet is in", body = BetBody),
        (status = 202, description = "The bet is not decided yet", body = BetBody),
        Refusals,
    ),
)]
pub(super) async fn place_at_alias(
    State(state): State<BetMaker>,
    Id(event): Id<EventId>,
    headers: HeaderMap,
    Json(body): Json<PlaceBody>,
) -> Result<Response, Problem> {
    if body.event_id.is_some_and(|named| named != event) {
        return Err(invalid("event_id", "the path names another event"));
    }
    state.place(event, &body.amount, &headers).await
}

impl BetMaker {
    async fn place(
        &self,
        event: EventId,
        amount: &Amount,
        headers: &HeaderMap,
    ) -> Result<Response, Problem> {
        let stake = amount.money(self.currency).map_err(|why| invalid("amount", why))?;
        let key = key(headers)?;
        let client_ref = match &key {
            Some(key) => key.clone(),
            None => fresh_ref().map_err(unnameable)?,
        };
        let begin = Begin { event: event.0.clone(), units: stake.units, key };
        let mut refused = gone();
        for _ in 0..BEGINS_MAX {
            let odds = match self.begin(begin.clone()).await? {
                Begun::At(odds) => odds,
                Begun::Placed(line) => return placed(&line),
                Begun::KeyReused => return Err(key_reused()),
                Begun::EventUnknown => return Err(events::unknown(&event)),
                Begun::NotBetting => return Err(over(Kind::NOT_BETTING, &event)),
                Begun::DeadlinePassed => return Err(over(Kind::DEADLINE_PASSED, &event)),
            };
            let place = self.words(&begin, stake, odds, &client_ref)?;
            let (problem, again) = match self.ask_placing(place).await? {
                Attempt::Over(answer) => return answer,
                Attempt::NotTaken { problem, again } => (problem, again),
            };
            if let Some(key) = &begin.key {
                self.ask(book::Ask::NotTaken(key.clone())).await?;
            }
            if !again {
                return Err(problem);
            }
            refused = problem;
            sleep(BEGIN_PAUSE).await;
        }
        Err(refused)
    }

    async fn begin(&self, begin: Begin) -> Result<Begun, Problem> {
        let Said::Begun(begun) = self.ask(book::Ask::Begin(begin)).await? else {
            return Err(gone());
        };
        Ok(begun)
    }

    /// The bet in the words of bet placing.
    fn words(
        &self,
        begin: &Begin,
        stake: Money,
        odds: Odds,
        client_ref: &ClientRef,
    ) -> Result<Place, Problem> {
        Ok(Place {
            partner: self.partner.clone(),
            player: self.player.clone(),
            client_ref: client_ref.clone(),
            round: begin.event.clone(),
            selection: first().map_err(unnameable)?,
            stake,
            odds,
            session_token: (self.session)((self.now)()),
        })
    }

    async fn ask_placing(&self, place: Place) -> Result<Attempt, Problem> {
        let bet = place.bet_id();
        let gone = || Problem::new(Kind::UNAVAILABLE, "bet placing is being started again");
        let told = self.placing.ask(Ask::Place(place.clone())).await.map_err(|_| gone())?;
        Ok(Attempt::Over(match told {
            Told::Decided(decision) => self.decided(&decision).await,
            Told::Undecided { bet } => self.undecided(&bet, &place).await,
            // The odds have changed between this call and an earlier one under the same key.
            Told::ReferenceReused { .. } => {
                return Ok(Attempt::NotTaken { problem: key_reused(), again: true });
            }
            Told::NotTaken { code, detail } => {
                let kind = Kind::of(code.code()).unwrap_or(Kind::UNAVAILABLE);
                let problem = Problem::new(kind, detail).bet(named(&bet)).is_final(false);
                if code == NotTaken::StorageUnavailable {
                    // What was asked may still land, and the key with it.
                    return Ok(Attempt::Over(Err(problem)));
                }
                let again = matches!(code, NotTaken::OddsChanged | NotTaken::RoundUnknown);
                return Ok(Attempt::NotTaken { problem, again });
            }
            Told::CancelRefused(_) | Told::Recent(_) | Told::Noted | Told::Started => Err(gone()),
        }))
    }

    async fn decided(&self, decision: &Decision) -> Result<Response, Problem> {
        let bet = &decision.bet;
        // Whoever asks for the list next finds the bet there, or not any more.
        let line = self.once(&bet.id, true).await?;
        match &decision.verdict {
            Verdict::Rejected(reason) => Err(rejected(&bet.id, reason)),
            Verdict::Accepted | Verdict::Cancelled(_) => {
                let known = || BetLine {
                    bet: bet.id.clone(),
                    units: bet.stake.units,
                    odds: bet.odds,
                    placed_at: bet.placed_at,
                    decided: true,
                    standing: Standing::Pending,
                };
                Ok(shown(StatusCode::CREATED, &line.unwrap_or_else(known)))
            }
        }
    }

    async fn undecided(&self, bet: &BetId, place: &Place) -> Result<Response, Problem> {
        let line = self.once(bet, false).await?.unwrap_or_else(|| BetLine {
            bet: bet.clone(),
            units: place.stake.units,
            odds: place.odds,
            placed_at: (self.now)(),
            decided: false,
            standing: Standing::Pending,
        });
        if let Standing::Rejected(reason) = &line.standing {
            return Err(rejected(bet, reason));
        }
        Ok(shown(StatusCode::ACCEPTED, &line))
    }

    /// The bet once the book has read its intent, or its decision; `None` if that takes too long.
    async fn once(&self, bet: &BetId, decided: bool) -> Result<Option<BetLine>, Problem> {
        let ask = book::Ask::Once { bet: bet.clone(), decided };
        let Said::Bet(line) = self.ask(ask).await? else {
            return Err(gone());
        };
        Ok(line.map(|line| *line))
    }
}

/// What became of one try.
enum Attempt {
    /// This is the answer.
    Over(Result<Response, Problem>),
    /// Nothing was written. To begin again may help.
    NotTaken { problem: Problem, again: bool },
}

/// The bet that was placed before under the same key.
fn placed(line: &BetLine) -> Result<Response, Problem> {
    match &line.standing {
        Standing::Rejected(reason) => Err(rejected(&line.bet, reason)),
        Standing::Pending | Standing::Won | Standing::Lost | Standing::Void => {
            Ok(shown(StatusCode::CREATED, line))
        }
    }
}

fn shown(status: StatusCode, line: &BetLine) -> Response {
    let mut headers = HeaderMap::new();
    let location = HeaderValue::try_from(format!("{PREFIX}/bets/{}", line.bet));
    headers.extend(location.ok().map(|location| (LOCATION, location)));
    (status, headers, axum::Json(BetBody::from(line))).into_response()
}

fn rejected(bet: &BetId, reason: &RejectReason) -> Problem {
    let why = match reason {
        RejectReason::Declined(code) => format!("the wallet declined the stake ({code})"),
        RejectReason::Expired => "the wallet did not answer in time".to_owned(),
        RejectReason::Closed | RejectReason::NotOpen => "betting had ended".to_owned(),
        RejectReason::Thawed => "it could not be decided".to_owned(),
    };
    let detail = format!("the bet was rejected: {why}; a stake that was taken goes back");
    Problem::new(Kind::BET_REJECTED, detail).bet(named(bet)).is_final(true)
}

fn key_reused() -> Problem {
    let detail = "the Idempotency-Key stands for a bet on another event or of another amount";
    Problem::new(Kind::IDEMPOTENCY_KEY_REUSED, detail)
}

fn over(kind: Kind, event: &EventId) -> Problem {
    Problem::new(kind, format!("betting on event {event} has ended"))
}

fn named(bet: &BetId) -> serde_json::Value {
    serde_json::json!({ "bet_id": bet })
}

fn unnameable(error: IdError) -> Problem {
    Problem::new(Kind::UNENCODABLE, error.to_string())
}

/// The client reference that the caller's key stands for: a key may be longer than a reference.
fn key(headers: &HeaderMap) -> Result<Option<ClientRef>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let wrong = || {
        let why = format!("is not 1 to {KEY_CHARS_MAX} printable characters");
        invalid("Idempotency-Key", why)
    };
    let key = value.to_str().map_err(|_| wrong())?;
    if key.is_empty() || KEY_CHARS_MAX < key.len() {
        return Err(wrong());
    }
    let name = format!("{}{}", book::KEY_PREFIX, ContentHash::of(&["idempotency-key", key]));
    name.parse().map(Some).map_err(unnameable)
}

/// A client reference that nobody had: 128 bits from the random keys of the standard library.
fn fresh_ref() -> Result<ClientRef, IdError> {
    let random = || RandomState::new().hash_one(0_u8);
    format!("once-{:016x}{:016x}", random(), random()).parse()
}
