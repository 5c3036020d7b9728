//! Bets, outcomes and their text forms, for the tests of this crate.

use crate::Game;
use proptest::prelude::*;
use proptest::sample::select;
use schemas::bets::Bet;
use schemas::decisions::{Decision, RejectReason, Verdict};
use schemas::rounds::Outcome;
use schemas::settlements::Target;
use schemas::{BetId, Money, Odds, RoundId, Selection};

/// The round of every bet here.
pub(crate) fn round() -> RoundId {
    "r_77".parse().unwrap()
}

/// A bet of `stake` minor units of EUR on `selection` at `odds` hundredths, called `client_ref`.
pub(crate) fn bet_called(client_ref: &str, selection: &str, stake: i64, odds: i64) -> Bet {
    let partner = "acme".parse().unwrap();
    let player = "p_9".parse().unwrap();
    let client_ref = client_ref.parse().unwrap();
    Bet {
        id: BetId::of(&round(), &partner, &player, &client_ref),
        partner,
        player,
        client_ref,
        selection: selection.parse().unwrap(),
        stake: euro(stake),
        odds: Odds::new(odds).unwrap(),
        rules_version: 1,
        placed_at: 1_000,
    }
}

/// The same under a fixed reference.
pub(crate) fn bet_on(selection: &str, stake: i64, odds: i64) -> Bet {
    bet_called("c1", selection, stake, odds)
}

pub(crate) fn euro(units: i64) -> Money {
    Money::new(units, "EUR".parse().unwrap(), 2).unwrap()
}

pub(crate) fn decided(bet: Bet, verdict: Verdict) -> Decision {
    Decision { bet, verdict, at: 7, caused_at: 2_000, intent_at: Some(6) }
}

/// `4` is an outcome of the game, `won:a,b` and `won:a/void:b` name, `withdrawn` and `voided` say so.
pub(crate) fn outcome(text: &str) -> Outcome {
    if let Some(named) = text.strip_prefix("won:") {
        let (won, void) = named.split_once("/void:").unwrap_or((named, ""));
        return Outcome::Named { won: selections(won), void: selections(void) };
    }
    match text {
        "withdrawn" => Outcome::Withdrawn,
        "voided" => Outcome::Voided,
        _ => Outcome::Game(text.to_owned()),
    }
}

/// A list as `a,b`.
pub(crate) fn selections(list: &str) -> Vec<Selection> {
    list.split(',').filter(|name| !name.is_empty()).map(|name| name.parse().unwrap()).collect()
}

/// `held`, `voided`, or the payout in minor units.
pub(crate) fn target(target: Target) -> String {
    match target {
        Target::Held => "held".to_owned(),
        Target::Settled(payout) => payout.to_string(),
        Target::Voided => "voided".to_owned(),
    }
}

/// The cells of each row of a table; `#` starts a comment.
pub(crate) fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    table
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().split_whitespace().collect())
        .filter(|cells: &Vec<&str>| !cells.is_empty())
}

/// Any bet on a die, small and huge stakes alike, payable.
pub(crate) fn any_bet() -> impl Strategy<Value = Bet> {
    let selection = select(Game::Die.selections().unwrap());
    let stake = prop_oneof![1..1_000_i64, 1..9_000_000_000_000_i64];
    (selection, stake, 1..=1_000_000_i64)
        .prop_map(|(selection, stake, odds)| bet_on(selection, stake, odds))
}

/// Any outcome that a herald admits for a die, all kinds of it.
pub(crate) fn any_outcome() -> impl Strategy<Value = Outcome> {
    let all = Game::Die.selections().unwrap();
    let named = proptest::collection::vec(0..3_u8, all.len()).prop_map(move |marks| {
        let with = |mark: u8| {
            all.iter()
                .zip(&marks)
                .filter(|(_, found)| **found == mark)
                .map(|(name, _)| name.parse().unwrap())
                .collect()
        };
        Outcome::Named { won: with(1), void: with(2) }
    });
    prop_oneof![
        6 => select(Game::Die.outcomes().unwrap()).prop_map(|name| Outcome::Game(name.to_owned())),
        3 => named,
        1 => Just(Outcome::Withdrawn),
        1 => Just(Outcome::Voided),
    ]
}

/// The outcomes of up to eight versions.
pub(crate) fn any_outcomes() -> impl Strategy<Value = Vec<Outcome>> {
    proptest::collection::vec(any_outcome(), 0..=8)
}

/// Any decision about any bet.
pub(crate) fn any_decision() -> impl Strategy<Value = Decision> {
    let verdict = select(vec![
        Verdict::Accepted,
        Verdict::Rejected(RejectReason::Declined("insufficient_funds".to_owned())),
        Verdict::Rejected(RejectReason::Expired),
        Verdict::Rejected(RejectReason::Closed),
        Verdict::Rejected(RejectReason::NotOpen),
        Verdict::Rejected(RejectReason::Thawed),
        Verdict::Cancelled("cancel-1".parse().unwrap()),
    ]);
    (any_bet(), verdict).prop_map(|(bet, verdict)| decided(bet, verdict))
}
