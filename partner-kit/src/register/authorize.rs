//! Revision 1: the stake.

use super::{Register, Row, bet_of_round, session};
use crate::movement::{DeclineCode, Movement};
use schemas::contract::{
    AuthorizeRequest, AuthorizeResponse, HoldDecision, RowStatus, parse_timestamp, timestamp,
};
use schemas::settlements::{REVISION_HELD, REVISION_VOID};
use schemas::{Money, PlayerId};
use std::sync::Arc;
use thiserror::Error;

/// Why a request has no answer: nothing moved and no row was written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// A field is missing, malformed or contradicts another.
    #[error("bad request: {0}")]
    BadRequest(&'static str),
    /// The request is for another partner.
    #[error("this wallet serves another partner")]
    WrongPartner,
    /// A currency that is not taken, or with another exponent.
    #[error("the currency is not taken with this exponent")]
    CurrencyUnknown,
    /// The bet stands with another stake, player or currency.
    #[error("the bet stands with another stake, player or currency")]
    RevisionConflict,
}

impl Refusal {
    /// The contract's code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::WrongPartner => "wrong_partner",
            Self::CurrencyUnknown => "currency_unknown",
            Self::RevisionConflict => "revision_conflict",
        }
    }
}

type Authorized = (AuthorizeResponse, Option<Movement>);

pub(super) fn authorize(
    register: &mut Register,
    request: &AuthorizeRequest,
    decline: Option<DeclineCode>,
) -> Result<Authorized, Refusal> {
    let stake = check(register, request)?;
    if let Some(row) = register.rows.get(&request.bet_id) {
        let same = row.stake == stake && *row.player == *request.partner_player_id;
        // A dead row was never held, or came back: whatever was asked for, nothing is held.
        if !same && !row.dead {
            return Err(Refusal::RevisionConflict);
        }
        return Ok((answer(register, request, row, true), None));
    }
    let expires_at = parse_timestamp(&request.expires_at)
        .ok_or(Refusal::BadRequest("expires_at is not an RFC 3339 time"))?;
    let player = &request.partner_player_id;
    let (name, free, opening) = register.account_for(player, stake)?;
    let code = if expires_at <= register.now {
        Some(DeclineCode::BetExpired)
    } else if session::expired(&request.session_token, register.now) {
        Some(DeclineCode::SessionInvalid)
    } else if register.blocked.contains(player) {
        Some(DeclineCode::PlayerBlocked)
    } else if free.currency != stake.currency || free.exponent != stake.exponent {
        Some(DeclineCode::CurrencyMismatch)
    } else if free.units < stake.units {
        Some(DeclineCode::InsufficientFunds)
    } else {
        decline
    };
    let movement = write(register, request, stake, code, (name, free, opening));
    let row = register.rows.get(&request.bet_id).ok_or(Refusal::BadRequest("no row"))?;
    Ok((answer(register, request, row, false), Some(movement)))
}

/// What must be right before the row is looked up; gives the stake.
fn check(register: &Register, request: &AuthorizeRequest) -> Result<Money, Refusal> {
    if !register.serves(&request.partner_id) {
        return Err(Refusal::WrongPartner);
    }
    if request.op != "authorize" || request.revision != REVISION_HELD {
        return Err(Refusal::BadRequest("op must be `authorize` and revision 1"));
    }
    if !bet_of_round(&request.bet_id, &request.round_id) {
        return Err(Refusal::BadRequest("bet_id must be `<round_id>:<hash>`"));
    }
    if request.partner_player_id.parse::<PlayerId>().is_err() {
        return Err(Refusal::BadRequest("partner_player_id is not 1 to 128 printable characters"));
    }
    match Money::try_from(&request.stake) {
        Ok(stake) if 0 < stake.units => Ok(stake),
        Ok(_) => Err(Refusal::BadRequest("the stake must be above 0")),
        Err(_) => Err(Refusal::BadRequest("the stake is not money")),
    }
}

/// Writes the row of a bet that has none, held or declined; a hold was found to be covered.
fn write(
    register: &mut Register,
    request: &AuthorizeRequest,
    stake: Money,
    code: Option<DeclineCode>,
    (name, free, opening): (Arc<str>, Money, Option<i64>),
) -> Movement {
    let (status, moved) = match code {
        Some(_) => (RowStatus::Declined, 0),
        None => (RowStatus::Held, stake.units.saturating_neg()),
    };
    let free = free.with_units(free.units.saturating_add(moved));
    register.put(Arc::clone(&name), free);
    let row = Row {
        player: name,
        revision: REVISION_HELD,
        status,
        code,
        stake,
        payout: 0,
        collected_net: moved,
        dead: false,
        astray: 0,
        seq: 0,
    };
    register.write(&request.bet_id, row, moved, opening)
}

fn answer(
    register: &Register,
    request: &AuthorizeRequest,
    row: &Row,
    replayed: bool,
) -> AuthorizeResponse {
    let decision = match row.status {
        _ if REVISION_VOID < row.revision => None,
        RowStatus::Held => Some(HoldDecision::Approved),
        RowStatus::Declined => Some(HoldDecision::Declined),
        RowStatus::Voided => Some(HoldDecision::Voided),
        RowStatus::Settled | RowStatus::Absent | RowStatus::Other => None,
    };
    AuthorizeResponse {
        message_id: request.message_id.clone(),
        bet_id: request.bet_id.clone(),
        revision: row.revision,
        decision,
        status: row.status,
        code: row.code.map(|code| code.as_str().to_owned()),
        player_message: row.code.map(|code| player_message(code).to_owned()),
        replayed,
        partner_ref: Some(row.partner_ref()),
        processed_at: Some(timestamp(register.now)),
        balance: register.balance(&row.player).map(Into::into),
    }
}

/// Words for the player.
const fn player_message(code: DeclineCode) -> &'static str {
    match code {
        DeclineCode::InsufficientFunds => "Your balance is too low for this stake.",
        DeclineCode::PlayerBlocked => "Your account cannot place bets.",
        DeclineCode::LimitExceeded => "This bet is above your limit.",
        DeclineCode::SessionInvalid => "Please sign in again.",
        DeclineCode::CurrencyMismatch => "Your account is in another currency.",
        DeclineCode::BetExpired => "The bet came too late.",
    }
}
