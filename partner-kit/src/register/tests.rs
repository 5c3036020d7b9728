//! The conformance checklist of the contract, as far as it needs no HTTP; each test bears its number.

mod accounts;
mod checklist;
mod properties;
mod replaying;
mod table;

use super::{ClawBack, LedgerOptions, Refusal, Register};
use crate::movement::{DeclineCode, Entry, Movement};
use schemas::contract::{
    AuthorizeRequest, AuthorizeResponse, HoldDecision, ItemOutcome, MoneyBody, RowStatus,
    StateItem, StateResult, TargetBody, timestamp,
};
use std::collections::BTreeMap;

/// The time of every call that does not say another.
const NOW: i64 = 1_700_000_000_000;
const OPENING: i64 = 10_000;

/// A register whose movements are checked as they come, by a second register that only replays.
struct Case {
    register: Register,
    shadow: Register,
    movements: Vec<Movement>,
}

impl Case {
    fn new(claw_back: ClawBack) -> Self {
        Self::opened_with(claw_back, OPENING)
    }

    fn opened_with(claw_back: ClawBack, opening_units: i64) -> Self {
        let register = Register::new(options(claw_back, opening_units));
        Self { shadow: register.clone(), register, movements: Vec::new() }
    }

    #[track_caller]
    fn note(&mut self, movements: Vec<Movement>) {
        assert!(movements.len() < 2, "one call, one movement at most");
        for movement in movements {
            self.shadow.replay_entry(&Entry::Movement(movement.clone())).unwrap();
            self.movements.push(movement);
        }
        assert_eq!(self.shadow.rows, self.register.rows);
        assert_eq!(self.shadow.accounts, self.register.accounts);
    }

    #[track_caller]
    fn authorize(&mut self, request: &AuthorizeRequest) -> Result<AuthorizeResponse, Refusal> {
        let (answer, movements) = self.register.authorize(NOW, request);
        self.note(movements);
        answer
    }

    #[track_caller]
    fn hold(&mut self, bet: &str, stake: i64) -> AuthorizeResponse {
        self.authorize(&ask(bet, stake)).unwrap()
    }

    #[track_caller]
    fn send(&mut self, item: &StateItem) -> StateResult {
        let (result, movements) = self.register.state(item);
        self.note(movements);
        assert_eq!(result.bet_id, item.bet_id);
        result
    }

    #[track_caller]
    fn deposit(&mut self, player: &str, units: i64) {
        let money = euro(units);
        let entry = self.register.deposit(player, (&money).try_into().unwrap()).unwrap();
        self.shadow.replay_entry(&entry).unwrap();
    }

    fn block(&mut self, player: &str) {
        self.set_blocked(player, true);
    }

    #[track_caller]
    fn set_blocked(&mut self, player: &str, blocked: bool) {
        let entry = self.register.block(player, blocked);
        self.shadow.replay_entry(&entry).unwrap();
        assert_eq!(self.shadow.accounts, self.register.accounts);
    }

    /// The free balance, and what is kept in suspense.
    fn accounts(&self) -> (i64, i64) {
        (self.free(), self.register.suspense("p_9").map_or(0, |money| money.units))
    }

    fn free(&self) -> i64 {
        self.register.balance("p_9").map_or(OPENING, |money| money.units)
    }
}

fn options(claw_back: ClawBack, opening_units: i64) -> LedgerOptions {
    let currencies = [("EUR", 2), ("JPY", 0), ("KWD", 3), ("BTC", 8)];
    LedgerOptions {
        partner: "acme".parse().unwrap(),
        currencies: currencies.map(|(code, exponent)| (code.parse().unwrap(), exponent)).into(),
        opening_units,
        claw_back,
        ledger_epoch: 1,
    }
}

fn euro(units: i64) -> MoneyBody {
    money(units, "EUR", 2)
}

fn money(units: i64, currency: &str, exponent: i64) -> MoneyBody {
    MoneyBody { units: units.to_string(), currency: currency.into(), exponent }
}

/// An authorize of player `p_9` for bet `r_1:<bet>`.
fn ask(bet: &str, stake: i64) -> AuthorizeRequest {
    AuthorizeRequest {
        op: "authorize".into(),
        message_id: format!("r_1:{bet}:1"),
        bet_id: format!("r_1:{bet}"),
        revision: 1,
        round_id: "r_1".into(),
        partner_id: "acme".into(),
        partner_player_id: "p_9".into(),
        session_token: "opaque".into(),
        stake: euro(stake),
        selection: None,
        placed_at: timestamp(NOW),
        expires_at: timestamp(NOW + 4000),
    }
}

/// A target state of bet `r_1:<bet>` of player `p_9` with a stake of 1000.
fn target(bet: &str, revision: u32, target: TargetBody, payout: Option<i64>) -> StateItem {
    StateItem {
        bet_id: format!("r_1:{bet}"),
        revision,
        target,
        round_id: "r_1".into(),
        result_version: revision.checked_sub(2),
        partner_id: "acme".into(),
        partner_player_id: "p_9".into(),
        stake: euro(1000),
        payout: payout.map(euro),
        reason: "result".into(),
        recover: false,
    }
}

fn settled(bet: &str, revision: u32, payout: i64) -> StateItem {
    target(bet, revision, TargetBody::Settled, Some(payout))
}

fn voided(bet: &str, revision: u32) -> StateItem {
    target(bet, revision, TargetBody::Voided, None)
}

fn held(bet: &str, revision: u32) -> StateItem {
    target(bet, revision, TargetBody::Held, None)
}

/// `applied 500`: the outcome and what this message moved; a repeat shows as `again`, a code stands alone.
fn say(result: &StateResult) -> String {
    let moved = result.moved.as_deref().unwrap();
    match (result.outcome, &result.code) {
        (ItemOutcome::Applied, None) if result.replayed => {
            assert_eq!(moved, "0");
            "again".into()
        }
        (ItemOutcome::Applied, None) => format!("applied {moved}"),
        (ItemOutcome::Superseded, None) => format!("superseded by {}", result.revision),
        (ItemOutcome::Rejected, Some(code)) => code.clone(),
        (outcome, code) => panic!("{outcome:?} with {code:?}"),
    }
}
