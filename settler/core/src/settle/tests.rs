mod properties;

use super::{expected, final_void, settlement_at, state};
use crate::fixtures::{bet_on, decided, outcome, rows, target};
use crate::{Disposition, Game, RuleError};
use schemas::decisions::{RejectReason, Verdict};
use schemas::rounds::Outcome;

#[test]
fn states() {
    check_state(
        "
        # game   selection  outcome           state of 10.00 at 2.50
        die      odd        -                 held      # no result yet
        die      odd        3                 2500
        die      odd        4                 0
        die      odd        withdrawn         held
        die      odd        voided            voided
        die      odd        won:/void:odd     voided    # never settled with the stake
        two_way  first      first             2500
        two_way  first      second            0
        direct   ajax       won:ajax          2500
        direct   ajax       won:psv           0
        ",
    );
}

#[track_caller]
fn check_state(table: &str) {
    for cells in rows(table) {
        let [game, selection, told, wanted] = cells[..] else { panic!("malformed: {cells:?}") };
        let told = (told != "-").then(|| outcome(told));
        let found =
            state(game.parse().unwrap(), &bet_on(selection, 1_000, 250), told.as_ref()).unwrap();
        assert_eq!(target(found), wanted, "{cells:?}");
    }
}

#[test]
fn result_versions() {
    check_versions(
        "
        # a bet of 10.00 at 2.50 on `odd`; a version that changes nothing says nothing
        # versions                   settlements: revision:previous>target:reason
        3                            3:held>2500:result
        4                            3:held>0:result
        voided                       3:held>voided:round_voided
        won:/void:odd                3:held>voided:result
        3,4                          3:held>2500:result 4:2500>0:result_corrected
        4,3                          3:held>0:result 4:0>2500:result_corrected
        3,5                          3:held>2500:result                               # both odd
        3,5,4                        3:held>2500:result 5:2500>0:result_corrected
        3,4,3                        3:held>2500:result 4:2500>0:result_corrected 5:0>2500:result_corrected
        3,withdrawn                  3:held>2500:result 4:2500>held:result_withdrawn
        3,withdrawn,3                3:held>2500:result 4:2500>held:result_withdrawn 5:held>2500:result_corrected
        3,withdrawn,withdrawn,4      3:held>2500:result 4:2500>held:result_withdrawn 6:held>0:result_corrected
        4,voided                     3:held>0:result 4:0>voided:round_voided
        voided,4                     3:held>voided:round_voided 4:voided>0:result_corrected
        voided,voided                3:held>voided:round_voided
        voided,won:/void:odd         3:held>voided:round_voided
        3,voided,3                   3:held>2500:result 4:2500>voided:round_voided 5:voided>2500:result_corrected
        withdrawn                                                                     # held before and after
        ",
    );
}

#[track_caller]
fn check_versions(table: &str) {
    for mut cells in rows(table) {
        let versions: Vec<(Outcome, i64)> = (5_000..)
            .zip(cells.remove(0).split(','))
            .map(|(at, text)| (outcome(text), at))
            .collect();
        let decision = decided(bet_on("odd", 1_000, 250), Verdict::Accepted);
        let found = expected(Game::Die, &decision, &versions).unwrap();
        let told: Vec<String> = found
            .iter()
            .map(|settlement| {
                let (previous, target) = (target(settlement.previous), target(settlement.target));
                let reason = settlement.reason.code();
                format!("{}:{previous}>{target}:{reason}", settlement.revision)
            })
            .collect();
        assert_eq!(told, cells);
        for settlement in &found {
            assert_eq!(settlement.caused_at, 4_997 + i64::from(settlement.revision), "{cells:?}");
            assert_eq!(settlement.stake, decision.bet.stake);
            assert_eq!(settlement.bet, decision.bet.id);
            assert_eq!(settlement.partner, decision.bet.partner);
            assert_eq!(settlement.player, decision.bet.player);
        }
    }
}

#[test]
fn final_voids() {
    use RejectReason::{Closed, Declined, Expired, NotOpen, Thawed};
    let table = [
        (Verdict::Accepted, None),
        (Verdict::Rejected(Declined("player_blocked".to_owned())), Some("bet_rejected")),
        (Verdict::Rejected(Expired), Some("bet_rejected")),
        (Verdict::Rejected(Closed), Some("bet_rejected")),
        (Verdict::Rejected(NotOpen), Some("bet_rejected")),
        (Verdict::Rejected(Thawed), Some("thawed")),
        (Verdict::Cancelled("cancel-1".parse().unwrap()), Some("bet_cancelled")),
    ];
    for (verdict, wanted) in table {
        let decision = decided(bet_on("odd", 1_000, 250), verdict);
        let void = final_void(&decision);
        assert_eq!(void.as_ref().map(|void| void.reason.code()), wanted, "{decision:?}");
        if let Some(void) = void {
            assert_eq!(void.id(), format!("{}/2", decision.bet.id));
            assert_eq!(void.result_version(), 0);
            assert_eq!(
                (target(void.previous), target(void.target)),
                ("held".into(), "voided".into())
            );
            assert_eq!(void.caused_at, decision.caused_at);
            assert_eq!(void.stake, decision.bet.stake);
        }
    }
}

/// R6: nothing is said of a bet under rules that this build does not have.
#[test]
fn unknown_rules_stop_the_partition() {
    for rules_version in [0, crate::RULES_VERSION + 1, u32::MAX] {
        let mut bet = bet_on("odd", 1_000, 250);
        bet.rules_version = rules_version;
        for told in [None, Some(Outcome::Voided), Some(Outcome::Withdrawn), Some(outcome("3"))] {
            let error = state(Game::Die, &bet, told.as_ref()).unwrap_err();
            assert_eq!(error, RuleError::UnknownRules { rules_version });
            assert_eq!(error.disposition(), Disposition::StopPartition);
        }
        let error = settlement_at(Game::Die, &bet, &[outcome("3")], 1, 0).unwrap_err();
        assert_eq!(error.disposition(), Disposition::StopPartition);
    }
}

#[test]
fn versions_that_are_not_there() {
    let bet = bet_on("odd", 1_000, 250);
    let outcomes = [outcome("3"), outcome("4")];
    for version in [0, 3, u32::MAX] {
        let error = settlement_at(Game::Die, &bet, &outcomes, version, 0).unwrap_err();
        let wanted = RuleError::MissingVersion { bet: bet.id.clone(), version, known: 2 };
        assert_eq!(error, wanted);
        assert_eq!(error.disposition(), Disposition::FreezeBet);
    }
}

/// A bet that cannot be graded says so at every version that touches the grade.
#[test]
fn ungraded_bets_freeze() {
    let bet = bet_on("seven", 1_000, 250);
    let outcomes = [outcome("3"), Outcome::Voided, Outcome::Withdrawn];
    for (version, graded) in [(1, false), (2, false), (3, true)] {
        let found = settlement_at(Game::Die, &bet, &outcomes, version, 0);
        assert_eq!(found.is_ok(), graded, "version {version}");
    }
}
