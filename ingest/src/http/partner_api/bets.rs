//! A bet as its partner knows it: every revision, and what became of it.

use super::signed::PartnerCaller;
use crate::history::story::{Delivery, Logged, Story};
use crate::http::ApiState;
use crate::http::body::Id;
use crate::http::history_bodies::{Line, TransactionLine};
use crate::problem::{Kind, Problem};
use axum::extract::State;
use runtime::Engine;
use schemas::contract::{MoneyBody, timestamp};
use schemas::settlements::REVISION_HELD;
use schemas::{BetId, RoundId};
use serde::Serialize;
use utoipa::ToSchema;

/// A bet.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Bet)]
pub(super) struct BetBody {
    /// The bet.
    bet_id: BetId,
    /// The round.
    round_id: RoundId,
    /// The player, byte for byte.
    partner_player_id: String,
    /// The stake.
    stake: MoneyBody,
    /// `accepted`, `won`, `lost`, `void`, `rejected` or `cancelled`; absent while no decision is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    /// Every revision that the partner was or is to be told, ordered.
    revisions: Vec<RevisionBody>,
}

/// A revision of the bet.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Revision)]
pub(super) struct RevisionBody {
    #[serde(flatten)]
    line: TransactionLine,
    /// The result version; absent for the hold and for a final void.
    #[serde(skip_serializing_if = "Option::is_none")]
    result_version: Option<u32>,
    /// Every answer and parking, in their order. What was not answered stands in `attempt_log` alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deliveries: Vec<DeliveryBody>,
    /// When it was sent again by command.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sent_again_at: Vec<String>,
}

/// How a delivery ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(super) struct DeliveryBody {
    /// When the log took it, UTC.
    #[schema(format = DateTime)]
    at: String,
    /// `applied`, `superseded` or `parked`.
    outcome: &'static str,
    /// How often it had been sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<i64>,
    /// superseded: the revision that the partner's row is at.
    #[serde(skip_serializing_if = "Option::is_none")]
    superseded_by: Option<i64>,
    /// parked: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// The partner's ledger epoch, if the answer named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger_epoch: Option<String>,
}

/// Show a bet
///
/// All revisions with their reasons, when each was asked for, every attempt with its status and latency, and what was answered.
#[utoipa::path(
    get, path = "/bets/{bet_id}", operation_id = "bet", tag = "partner",
    params(("bet_id" = BetId, Path, description = "The bet.")),
    responses((status = 200, description = "The bet.", body = BetBody)),
)]
pub(super) async fn show<E: Engine>(
    State(api): State<ApiState<E>>,
    PartnerCaller(partner): PartnerCaller,
    Id(bet): Id<BetId>,
) -> Result<axum::Json<BetBody>, Problem> {
    let story = api.story(&bet).await?;
    let unknown =
        || Problem::new(Kind::BET_UNKNOWN, format!("no bet {bet} of yours is known here"));
    // Whichever topic the projection read first.
    let decided = story.bet().map(|bet| (&bet.partner, &bet.player, bet.stake));
    let settled = story.settlements.values().next();
    let settled = settled.map(|Logged { said, .. }| (&said.partner, &said.player, said.stake));
    let of = decided.or(settled).filter(|(whose, ..)| **whose == partner);
    let (_, player, stake) = of.ok_or_else(unknown)?;
    let revisions = [REVISION_HELD].into_iter().chain(story.settlements.keys().copied());
    Ok(axum::Json(BetBody {
        round_id: bet.round(),
        partner_player_id: player.to_string(),
        stake: stake.into(),
        status: story.standing().map(|standing| standing.name()),
        revisions: revisions.filter_map(|revision| RevisionBody::of(&story, revision)).collect(),
        bet_id: bet,
    }))
}

impl RevisionBody {
    fn of(story: &Story, revision: u32) -> Option<Self> {
        let line = TransactionLine::of(story, Some(revision))?;
        let of = |told: &&Logged<Delivery>| told.said.revision() == Some(revision);
        let version = story.settlements.get(&revision).map(|told| told.said.result_version());
        let replays = story.replays.iter().filter(|replay| replay.said == revision);
        Some(Self {
            line,
            result_version: version.filter(|version| 0 < *version),
            deliveries: story.deliveries.iter().filter(of).map(DeliveryBody::from).collect(),
            sent_again_at: replays.map(|replay| timestamp(replay.at)).collect(),
        })
    }
}

impl From<&Logged<Delivery>> for DeliveryBody {
    fn from(Logged { at, said: Delivery { record, attempts, .. } }: &Logged<Delivery>) -> Self {
        Self {
            at: timestamp(*at),
            outcome: record.outcome.name(),
            attempts: *attempts,
            superseded_by: record.superseded_by,
            code: record.code.clone(),
            ledger_epoch: Some(record.ledger_epoch.clone()).filter(|epoch| !epoch.is_empty()),
        }
    }
}
