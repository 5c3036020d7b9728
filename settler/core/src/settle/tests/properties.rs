//! What holds for every bet and every course of versions.

use crate::fixtures::{any_bet, any_decision, any_outcome, any_outcomes, decided};
use crate::{Game, expected, final_void, settlement_at, state};
use proptest::prelude::*;
use proptest::sample::Index;
use schemas::bets::Bet;
use schemas::decisions::Verdict;
use schemas::rounds::Outcome;
use schemas::settlements::{Settlement, Target};

/// The partner's row of one bet, as the contract describes it: the newest revision wins, and the
/// money moved is the difference to what was moved before.
struct Register {
    stake: i64,
    revision: u32,
    collected_net: i64,
    state: Target,
}

impl Register {
    /// The row behind an approved authorize.
    fn held(bet: &Bet) -> Self {
        let stake = bet.stake.units;
        Self { stake, revision: 1, collected_net: -stake, state: Target::Held }
    }

    /// Applies a message and says what it moved.
    fn apply(&mut self, settlement: &Settlement) -> i64 {
        if settlement.revision <= self.revision {
            return 0;
        }
        assert_ne!(self.revision, 2, "a revision above a final void");
        let moved = net(self.stake, settlement.target) - self.collected_net;
        self.collected_net += moved;
        self.revision = settlement.revision;
        self.state = settlement.target;
        moved
    }
}

fn net(stake: i64, target: Target) -> i64 {
    match target {
        Target::Held => -stake,
        Target::Settled(payout) => payout - stake,
        Target::Voided => 0,
    }
}

fn timed(outcomes: &[Outcome]) -> Vec<(Outcome, i64)> {
    outcomes.iter().cloned().zip(1_000..).collect()
}

fn owed(bet: &Bet, outcomes: &[Outcome]) -> Vec<Settlement> {
    expected(Game::Die, &decided(bet.clone(), Verdict::Accepted), &timed(outcomes)).unwrap()
}

/// The states of versions 0, 1, ..., by the definition and not by the code under test.
fn states(bet: &Bet, outcomes: &[Outcome]) -> Vec<Target> {
    std::iter::once(None)
        .chain(outcomes.iter().map(Some))
        .map(|outcome| state(Game::Die, bet, outcome).unwrap())
        .collect()
}

proptest! {
    /// R14: a version speaks exactly if it changes the bet's state, at revision version + 2.
    #[test]
    fn settlements_say_the_differences(bet in any_bet(), outcomes in any_outcomes()) {
        let states = states(&bet, &outcomes);
        for (version, pair) in (1_u32..).zip(states.windows(2)) {
            let found = settlement_at(Game::Die, &bet, &outcomes, version, 9).unwrap();
            prop_assert_eq!(found.is_some(), pair[0] != pair[1], "version {}", version);
            if let Some(settlement) = found {
                prop_assert_eq!(settlement.revision, version + 2);
                prop_assert_eq!(settlement.result_version(), version);
                prop_assert_eq!((settlement.previous, settlement.target), (pair[0], pair[1]));
                prop_assert_eq!(settlement.caused_at, 9);
            }
        }
    }

    /// A later version never changes what an earlier one said: settlers that know more and settlers
    /// that know less write the same facts.
    #[test]
    fn the_past_does_not_change(bet in any_bet(), outcomes in any_outcomes(), cut in any::<Index>()) {
        let known = cut.index(outcomes.len() + 1);
        let all = owed(&bet, &outcomes);
        let early = owed(&bet, &outcomes[..known]);
        prop_assert_eq!(&all[..early.len()], &early[..]);
        for later in &all[early.len()..] {
            prop_assert!(known < usize::try_from(later.result_version()).unwrap());
        }
    }

    /// Settlements form a chain from `held` to the newest state, and end at the newest change.
    #[test]
    fn settlements_form_a_chain(bet in any_bet(), outcomes in any_outcomes()) {
        let owed = owed(&bet, &outcomes);
        let states = states(&bet, &outcomes);
        let mut before = (1, Target::Held);
        for settlement in &owed {
            prop_assert!(before.0 < settlement.revision);
            prop_assert_eq!(settlement.previous, before.1);
            before = (settlement.revision, settlement.target);
        }
        prop_assert_eq!(Some(&before.1), states.last());
        let newest_change = states.windows(2).rposition(|pair| pair[0] != pair[1]);
        let revision = newest_change.map_or(1, |index| u32::try_from(index).unwrap() + 3);
        prop_assert_eq!(before.0, revision);
    }

    /// Any messages in any order, repeated at will, leave the partner at the newest state, as long
    /// as the newest is among them; what was moved adds up to what the bet is worth.
    #[test]
    fn the_register_ends_at_the_newest_state(
        bet in any_bet(),
        outcomes in any_outcomes(),
        picks in proptest::collection::vec(any::<Index>(), 0..24),
        newest_at in any::<Index>(),
    ) {
        let owed = owed(&bet, &outcomes);
        let mut register = Register::held(&bet);
        let mut moved = -bet.stake.units;
        if let Some(newest) = owed.last() {
            let mut sent: Vec<&Settlement> = picks.iter().map(|pick| pick.get(&owed)).collect();
            sent.insert(newest_at.index(sent.len() + 1), newest);
            for settlement in sent {
                moved += register.apply(settlement);
            }
        }
        let wanted = *states(&bet, &outcomes).last().unwrap();
        prop_assert_eq!(register.state, wanted);
        prop_assert_eq!(register.collected_net, net(bet.stake.units, wanted));
        prop_assert_eq!(moved, register.collected_net);
    }

    /// A, then B, then A again is worth what A is worth, and says so with a revision of its own.
    #[test]
    fn there_and_back_is_as_if_never_left(
        bet in any_bet(),
        first in any_outcome(),
        second in any_outcome(),
    ) {
        let mut register = Register::held(&bet);
        let owed = owed(&bet, &[first.clone(), second.clone(), first.clone()]);
        for settlement in &owed {
            register.apply(settlement);
        }
        let stay = state(Game::Die, &bet, Some(&first)).unwrap();
        prop_assert_eq!(register.collected_net, net(bet.stake.units, stay));
        let left = state(Game::Die, &bet, Some(&second)).unwrap() != stay;
        prop_assert_eq!(owed.iter().any(|settlement| settlement.revision == 5), left);
    }

    /// R10, R11: either one void at revision 2, or revisions from 3 on; never both, whatever the
    /// results say; and a bet that is not in moves nothing in the end.
    #[test]
    fn revision_2_or_above_never_both(decision in any_decision(), outcomes in any_outcomes()) {
        let owed = expected(Game::Die, &decision, &timed(&outcomes)).unwrap();
        if decision.verdict == Verdict::Accepted {
            prop_assert!(owed.iter().all(|settlement| 3 <= settlement.revision));
            prop_assert_eq!(final_void(&decision), None);
        } else {
            let mut register = Register::held(&decision.bet);
            owed.iter().for_each(|settlement| { register.apply(settlement); });
            prop_assert_eq!(owed.len(), 1);
            prop_assert_eq!((register.revision, register.collected_net), (2, 0));
            prop_assert_eq!(owed, Vec::from_iter(final_void(&decision)));
        }
    }

    /// What is owed survives the wire.
    #[test]
    fn settlements_survive_their_encoding(decision in any_decision(), outcomes in any_outcomes()) {
        for settlement in expected(Game::Die, &decision, &timed(&outcomes)).unwrap() {
            let bytes = settlement.encode().unwrap();
            prop_assert_eq!(Settlement::decode(&bytes).unwrap(), settlement);
        }
    }
}
