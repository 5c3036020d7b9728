//! Revisions 2 and above: target states.

use super::{Account, ClawBack, Register, Row, bet_of_round, net};
use crate::movement::Movement;
use schemas::contract::{ItemOutcome, RowStatus, StateItem, StateResult, TargetBody};
use schemas::settlements::REVISION_VOID;
use schemas::{Money, PlayerId};
use std::cmp::Ordering;
use std::sync::Arc;

/// Why an item was refused; the words of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reject {
    BadRequest,
    WrongPartner,
    UnknownBet,
    InvalidTransition,
    RevisionConflict,
    /// The balance, or what was collected on the bet, would not fit into 64 bits.
    AmountTooLarge,
}

impl Reject {
    const fn code(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::WrongPartner => "wrong_partner",
            Self::UnknownBet => "unknown_bet",
            Self::InvalidTransition => "invalid_transition",
            Self::RevisionConflict => "revision_conflict",
            Self::AmountTooLarge => "amount_too_large",
        }
    }
}

/// The content of an item: what two messages of one revision must agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Content {
    status: RowStatus,
    stake: Money,
    payout: i64,
}

impl Content {
    fn read(item: &StateItem) -> Result<Self, Reject> {
        let stake = Money::try_from(&item.stake).map_err(|_| Reject::BadRequest)?;
        let status = match item.target {
            TargetBody::Held => RowStatus::Held,
            TargetBody::Settled => RowStatus::Settled,
            TargetBody::Voided => RowStatus::Voided,
        };
        let payout = match &item.payout {
            Some(payout) => Money::try_from(payout).map_err(|_| Reject::BadRequest)?,
            None if status == RowStatus::Settled => return Err(Reject::BadRequest),
            None => stake.zero(),
        };
        let fits = payout.currency == stake.currency
            && payout.exponent == stake.exponent
            && 0 <= payout.units
            && (payout.units == 0 || status == RowStatus::Settled);
        if !fits || stake.units <= 0 {
            return Err(Reject::BadRequest);
        }
        Ok(Self { status, stake, payout: payout.units })
    }

    fn of(row: &Row) -> Self {
        Self { status: row.status, stake: row.stake, payout: row.payout }
    }
}

pub(super) fn state(register: &mut Register, item: &StateItem) -> (StateResult, Option<Movement>) {
    match try_state(register, item) {
        Ok(done) => done,
        Err(reject) => (rejected(register.rows.get(&item.bet_id), item, reject), None),
    }
}

fn try_state(
    register: &mut Register,
    item: &StateItem,
) -> Result<(StateResult, Option<Movement>), Reject> {
    check(register, item)?;
    let content = Content::read(item)?;
    let final_void = item.revision == REVISION_VOID;
    if final_void && content.status != RowStatus::Voided {
        return Err(Reject::InvalidTransition);
    }
    let Some(row) = register.rows.get(&item.bet_id) else {
        return if content.status == RowStatus::Voided {
            tombstone(register, item, content)
        } else if item.recover {
            recovered(register, item, content)
        } else {
            Err(Reject::UnknownBet)
        };
    };
    if *row.player != *item.partner_player_id {
        return Err(Reject::RevisionConflict);
    }
    match item.revision.cmp(&row.revision) {
        Ordering::Less => Ok((standing(row, item, ItemOutcome::Superseded), None)),
        Ordering::Equal if Content::of(row) == content => {
            Ok((standing(row, item, ItemOutcome::Applied), None))
        }
        Ordering::Equal => Err(Reject::RevisionConflict),
        Ordering::Greater => {
            let next = step(row, item, content)?;
            move_to(register, item, next, None)
        }
    }
}

/// What must be right before the row is looked up.
fn check(register: &Register, item: &StateItem) -> Result<(), Reject> {
    if !register.serves(&item.partner_id) {
        return Err(Reject::WrongPartner);
    }
    let well_formed = REVISION_VOID <= item.revision
        && item.result_version != Some(0)
        && bet_of_round(&item.bet_id, &item.round_id)
        && item.partner_player_id.parse::<PlayerId>().is_ok();
    if well_formed { Ok(()) } else { Err(Reject::BadRequest) }
}

/// A void for a bet that was never seen: it stands from here on, so that a late hold is not taken.
fn tombstone(
    register: &mut Register,
    item: &StateItem,
    content: Content,
) -> Result<(StateResult, Option<Movement>), Reject> {
    let player = match register.accounts.get_key_value(item.partner_player_id.as_str()) {
        Some((name, _)) => Arc::clone(name),
        None => Arc::from(item.partner_player_id.as_str()),
    };
    let row = Row {
        player,
        revision: item.revision,
        status: RowStatus::Voided,
        code: None,
        stake: content.stake,
        payout: 0,
        collected_net: 0,
        dead: true,
        astray: 0,
        seq: 0,
    };
    move_to(register, item, row, None)
}

/// A bet whose row was lost with the ledger that held it (R20): as if its hold stood, stake and payout move at once.
fn recovered(
    register: &mut Register,
    item: &StateItem,
    content: Content,
) -> Result<(StateResult, Option<Movement>), Reject> {
    let account = register.account_for(&item.partner_player_id, content.stake);
    let (player, free, opening) = account.map_err(|_| Reject::BadRequest)?;
    if free.currency != content.stake.currency || free.exponent != content.stake.exponent {
        return Err(Reject::BadRequest);
    }
    register.put(Arc::clone(&player), free);
    let row = Row {
        player,
        revision: item.revision,
        status: content.status,
        code: None,
        stake: content.stake,
        payout: content.payout,
        collected_net: 0,
        astray: 0,
        dead: false,
        seq: 0,
    };
    move_to(register, item, row, opening)
}

/// The row as it will be, before any money moved: the table of contract section 1.
fn step(row: &Row, item: &StateItem, content: Content) -> Result<Row, Reject> {
    let voided = content.status == RowStatus::Voided;
    let declined = row.status == RowStatus::Declined;
    if (row.dead || declined) && !voided {
        return Err(Reject::InvalidTransition);
    }
    let final_void = item.revision == REVISION_VOID;
    let nothing_held = row.dead || declined;
    // A final void ends whatever was held; any later state is about the stake that was.
    if !final_void && !nothing_held && row.stake != content.stake {
        return Err(Reject::RevisionConflict);
    }
    Ok(Row {
        player: Arc::clone(&row.player),
        revision: item.revision,
        status: content.status,
        code: None,
        stake: content.stake,
        payout: content.payout,
        collected_net: row.collected_net,
        dead: final_void || nothing_held,
        astray: 0,
        seq: 0,
    })
}

/// Moves `net(new) - collected_net` and writes the row; `opening` is what an account began with that is new.
fn move_to(
    register: &mut Register,
    item: &StateItem,
    mut row: Row,
    opening: Option<i64>,
) -> Result<(StateResult, Option<Movement>), Reject> {
    let target = net(row.status, row.stake.units, row.payout);
    let owed = target.checked_sub(row.collected_net).ok_or(Reject::AmountTooLarge)?;
    let blocked = register.is_blocked(&row.player);
    let (moved, suspense) = match (owed, register.accounts.get_mut(&row.player)) {
        (0, _) => (0, 0),
        // Money only ever moved on this bet through an account.
        (_, None) => return Err(Reject::UnknownBet),
        (owed, Some(account)) => {
            let moved = collect(register.options.claw_back, account, owed);
            let (after, aside) = account.moved(moved, blocked).ok_or(Reject::AmountTooLarge)?;
            *account = after;
            (moved, aside)
        }
    };
    row.collected_net = row.collected_net.saturating_add(moved);
    let mut result = standing(&row, item, ItemOutcome::Applied);
    let movement = register.write(&item.bet_id, row, moved, opening);
    let movement = Movement { suspense, ..movement };
    result.moved = Some(moved.to_string());
    result.replayed = false;
    result.partner_ref = Some(format!("tx-{}", movement.seq));
    Ok((result, Some(movement)))
}

/// How much of `owed` moves: all of it, or under `collect_available` what the player has.
fn collect(claw_back: ClawBack, account: &Account, owed: i64) -> i64 {
    match claw_back {
        ClawBack::CollectAvailable if owed < 0 => owed.max(account.available().saturating_neg()),
        ClawBack::CollectAvailable | ClawBack::Negative => owed,
    }
}

/// The answer that a standing row gives: nothing moved by this message.
fn standing(row: &Row, item: &StateItem, outcome: ItemOutcome) -> StateResult {
    let shortfall = row.shortfall();
    StateResult {
        bet_id: item.bet_id.clone(),
        revision: row.revision,
        outcome,
        status: Some(row.status),
        moved: Some("0".to_owned()),
        collected_net: Some(row.collected_net.to_string()),
        shortfall: if shortfall == 0 { None } else { Some(shortfall.to_string()) },
        replayed: outcome == ItemOutcome::Applied,
        code: None,
        partner_ref: Some(row.partner_ref()),
    }
}

/// The answer to an item that was refused: echoes the item's revision, tells how the row stands.
fn rejected(row: Option<&Row>, item: &StateItem, reject: Reject) -> StateResult {
    StateResult {
        bet_id: item.bet_id.clone(),
        revision: item.revision,
        outcome: ItemOutcome::Rejected,
        status: row.map(|row| row.status),
        moved: Some("0".to_owned()),
        collected_net: row.map(|row| row.collected_net.to_string()),
        shortfall: None,
        replayed: false,
        code: Some(reject.code().to_owned()),
        partner_ref: None,
    }
}
