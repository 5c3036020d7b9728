//! Bets: place, look, take back.
//!
//! A player sees the bets that the token's partner and player placed, and no others: somebody else's is
//! answered in the words for one that does not exist.

use super::ApiState;
use super::bet_bodies::{BetBody, CancelBody, PlaceBody, StakeBody};
use super::body::{Id, Json, OptionalJson, invalid};
use super::credentials::Bearer;
use crate::auth::Player;
use crate::bet_view::{self, BetView, Read, Standing};
use crate::placing::{Ask, Cancel, NotTaken, Place, Told};
use crate::problem::{Kind, Problem};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{HeaderMap, HeaderValue, LOCATION};
use runtime::{Engine, EngineError, FactStore, Scope, Topic};
use schemas::bets::Bet;
use schemas::catalogue::{BETS, SETTLEMENTS};
use schemas::contract::parse_units;
use schemas::decisions::{Decision, Verdict};
use schemas::{BetId, ContentHash, Lane, Money, PartnerId, RequestId, RoundId};

type Answer = Result<Response, Problem>;

pub(super) async fn place<E: Engine>(
    State(api): State<ApiState<E>>,
    Bearer { player, token }: Bearer,
    Json(body): Json<PlaceBody>,
) -> Answer {
    let place = Place {
        stake: stake(&player, &body.stake.0)?,
        partner: player.partner,
        player: player.player,
        client_ref: body.client_ref,
        round: body.round_id,
        selection: body.selection,
        odds: body.odds,
        session_token: token,
    };
    let bet = place.bet_id();
    match api.ask_placing(Ask::Place(place), &bet).await? {
        Told::Decided(decision) => match decision.verdict {
            Verdict::Accepted => Ok(decided(StatusCode::CREATED, &decision)),
            Verdict::Cancelled(_) => Ok(decided(StatusCode::OK, &decision)),
            Verdict::Rejected(_) => Err(rejected(&decision)),
        },
        Told::Undecided { bet } => Ok(pending(bet)),
        Told::ReferenceReused { bet } => {
            let detail = "the reference stands for a bet with another content";
            Err(Problem::new(Kind::REFERENCE_REUSED, detail).bet(named(&bet)).is_final(false))
        }
        Told::NotTaken { code, detail } => Err(not_taken(code, detail, &bet)),
        Told::CancelRefused(_) | Told::Recent(_) | Told::Noted | Told::Started => Err(gone(&bet)),
    }
}

pub(super) async fn show<E: Engine>(
    State(api): State<ApiState<E>>,
    Bearer { player, .. }: Bearer,
    Id(bet): Id<BetId>,
) -> Answer {
    let view = api.bet(&bet, &player).await?;
    let body = match &view.standing {
        Standing::Decided(decision) => BetBody::decided(decision),
        Standing::Pending => BetBody::pending(bet),
        Standing::Never => return Err(unknown(&bet, true)),
    };
    Ok(axum::Json(body.with_timeline(&view.timeline)).into_response())
}

pub(super) async fn cancel<E: Engine>(
    State(api): State<ApiState<E>>,
    Bearer { player, .. }: Bearer,
    Id(bet): Id<BetId>,
    OptionalJson(body): OptionalJson<CancelBody>,
) -> Answer {
    let view = api.bet(&bet, &player).await?;
    match &view.standing {
        Standing::Decided(decision) => match decision.verdict {
            Verdict::Accepted => {}
            Verdict::Rejected(_) | Verdict::Cancelled(_) => {
                return Ok(decided(StatusCode::OK, decision));
            }
        },
        Standing::Never => return Err(unknown(&bet, true)),
        // The log does not tell whose bet it is, but the bet's id does.
        Standing::Pending => match &body.client_ref {
            Some(client_ref)
                if BetId::of(&bet.round(), &player.partner, &player.player, client_ref) == bet => {}
            Some(_) => return Err(unknown(&bet, false)),
            None => {
                let detail = "name the bet's `client_ref`, or wait for its decision";
                let problem = Problem::new(Kind::BET_PENDING, detail);
                return Err(problem.bet(named(&bet)).is_final(false));
            }
        },
    }
    let request = match body.request_id {
        Some(request) => request,
        None => derived(&bet)?,
    };
    let Player { partner, player, .. } = player;
    let cancel = Cancel { bet: bet.clone(), partner, player, request: request.clone() };
    match api.ask_placing(Ask::Cancel(cancel), &bet).await? {
        Told::Decided(decision) => Ok(decided(StatusCode::OK, &decision)),
        Told::CancelRefused(refused) => {
            let detail = format!("the cancel of {bet} was refused: {}", refused.reason);
            let problem = Problem::new(Kind::CANCEL_REFUSED, detail).request(request);
            Err(problem.bet(named(&bet)).is_final(true))
        }
        Told::Undecided { bet } => Ok(pending(bet)),
        Told::NotTaken { code, detail } => Err(not_taken(code, detail, &bet).request(request)),
        Told::ReferenceReused { .. } | Told::Recent(_) | Told::Noted | Told::Started => {
            Err(gone(&bet))
        }
    }
}

impl<E: Engine> ApiState<E> {
    async fn ask_placing(&self, ask: Ask, bet: &BetId) -> Result<Told, Problem> {
        let placing = self.placing.as_ref().ok_or_else(|| gone(bet))?;
        placing.ask(ask).await.map_err(|_| gone(bet))
    }

    /// The bet as its facts tell it to `player`. Of a round that nobody opened there is none.
    async fn bet(&self, bet: &BetId, player: &Player) -> Result<BetView, Problem> {
        let unavailable =
            |why: String| Problem::new(Kind::STORAGE_UNAVAILABLE, why).bet(named(bet));
        let partition = self.partitions.of_partner(&player.partner);
        let read = read(&self.engine, partition, bet, &player.partner)
            .await
            .map_err(|error| unavailable(error.to_string()))?;
        let view = bet_view::tell(&read, &player.player)
            .map_err(|error| unavailable(error.to_string()))?;
        let opened = match view.standing {
            Standing::Pending if read.round.is_empty() => self.is_opened(&bet.round()).await?,
            Standing::Pending | Standing::Decided(_) | Standing::Never => true,
        };
        if opened { Ok(view) } else { Err(unknown(bet, false)) }
    }

    /// From the line's memory, or from what the herald admitted where there is no line.
    async fn is_opened(&self, round: &RoundId) -> Result<bool, Problem> {
        let found = match self.line {
            Some(_) => self.round(round).await?,
            None => self.old_round(round).await?,
        };
        Ok(found.is_some())
    }
}

/// Reads what R13 asks for, the tally before the decision: a decision written between the two is
/// seen, and a tally written between them is not.
pub(super) async fn read<S: FactStore>(
    store: &S,
    partition: u32,
    bet: &BetId,
    partner: &PartnerId,
) -> Result<Read, EngineError> {
    let lane = || String::from(Lane::of(partner));
    let of = |topic| Scope { group: bet.round_str().to_owned(), topic: Topic(topic), partition };
    let round = store.about(of(BETS), String::new(), String::new()).await?;
    let decided = store.about(of(BETS), lane(), bet.to_string()).await?;
    let delivered = store.about(of(SETTLEMENTS), lane(), bet.to_string()).await?;
    Ok(Read { round, bet: decided, delivered })
}

fn stake(player: &Player, body: &StakeBody) -> Result<Money, Problem> {
    let units = parse_units(&body.units)
        .ok_or_else(|| invalid("stake.units", "not an integer of minor units as text"))?;
    if units <= 0 {
        return Err(invalid("stake.units", "not above zero"));
    }
    if let Some(currency) = player.currency
        && currency != body.currency
    {
        let detail = format!("the token is for {currency}");
        return Err(Problem::new(Kind::CURRENCY_MISMATCH, detail).is_final(false));
    }
    Money::new(units, body.currency, body.exponent).map_err(|error| invalid("stake", error))
}

fn decided(status: StatusCode, decision: &Decision) -> Response {
    let Bet { id, .. } = &decision.bet;
    (status, location(id), axum::Json(BetBody::decided(decision))).into_response()
}

fn pending(bet: BetId) -> Response {
    let location = location(&bet);
    (StatusCode::ACCEPTED, location, axum::Json(BetBody::pending(bet))).into_response()
}

fn rejected(decision: &Decision) -> Problem {
    let bet = serde_json::to_value(BetBody::decided(decision)).unwrap_or_default();
    let detail = "the bet was rejected; a stake that was taken goes back";
    Problem::new(Kind::BET_REJECTED, detail).bet(bet).is_final(true)
}

/// Refused without the log: never the last word (R13).
fn not_taken(code: NotTaken, detail: String, bet: &BetId) -> Problem {
    let kind = Kind::of(code.code()).unwrap_or(Kind::UNAVAILABLE);
    let problem = Problem::new(kind, detail).bet(named(bet)).is_final(false);
    match code {
        // The address exists; what the body names does not.
        NotTaken::RoundUnknown => problem.with_status(StatusCode::UNPROCESSABLE_ENTITY),
        NotTaken::Starting
        | NotTaken::PartnerUnknown
        | NotTaken::BettingPaused
        | NotTaken::CurrencyUnknown
        | NotTaken::NotBetting
        | NotTaken::DeadlinePassed
        | NotTaken::SelectionUnknown
        | NotTaken::OddsChanged
        | NotTaken::StakeLimit
        | NotTaken::PayoutLimit
        | NotTaken::LiabilityLimit
        | NotTaken::BetUnknown
        | NotTaken::Overloaded
        | NotTaken::StorageFull
        | NotTaken::StorageUnavailable
        | NotTaken::ClockOffset
        | NotTaken::Unencodable => problem,
    }
}

fn unknown(bet: &BetId, last: bool) -> Problem {
    Problem::new(Kind::BET_UNKNOWN, format!("no bet {bet} is known here")).is_final(last)
}

fn gone(bet: &BetId) -> Problem {
    let problem = Problem::new(Kind::UNAVAILABLE, "bet placing is being started again");
    problem.bet(named(bet)).is_final(false)
}

fn named(bet: &BetId) -> serde_json::Value {
    serde_json::json!({ "bet_id": bet })
}

/// The request id of a cancel that names none: one cancel per bet.
fn derived(bet: &BetId) -> Result<RequestId, Problem> {
    let text = format!("auto-{}", ContentHash::of(&["cancel", bet.as_str()]));
    text.parse().map_err(|error: schemas::IdError| invalid("request_id", error))
}

fn location(bet: &BetId) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let path = HeaderValue::try_from(format!("/v1/bets/{bet}"));
    headers.extend(path.ok().map(|path| (LOCATION, path)));
    headers
}
