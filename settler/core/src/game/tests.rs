use super::{Game, Grade, grade};
use crate::fixtures::{any_outcome, outcome, rows};
use crate::{Disposition, RuleError, check_outcome};
use proptest::prelude::*;
use schemas::Selection;
use std::collections::BTreeSet;

#[test]
fn grades() {
    check(
        "
        # game   selection  outcome             grade
        die      1          1                   won
        die      1          2                   lost
        die      6          6                   won
        die      odd        1                   won
        die      odd        3                   won
        die      odd        5                   won
        die      odd        4                   lost
        die      even       2                   won
        die      even       4                   won
        die      even       6                   won
        die      even       3                   lost
        die      low        3                   won
        die      low        4                   lost
        die      high       4                   won
        die      high       3                   lost
        die      low        won:low             won     # winners by name are allowed in every game
        die      2          won:low             lost    # the name alone counts: 2 is not named
        die      odd        won:/void:odd       void
        die      7          1                   -       # not a selection of the game
        die      7          won:7               -
        die      1          0                   -       # not an outcome of the game
        die      1          7                   -
        die      1          odd                 -       # a selection is no outcome
        die      1          withdrawn           -       # no grade: the bet is held again
        die      1          voided              -       # no grade: the round does not count
        two_way  first      first               won
        two_way  first      second              lost
        two_way  second     second              won
        two_way  second     first               lost
        two_way  first      won:/void:first     void
        two_way  draw       first               -
        two_way  first      draw                -
        direct   ajax       won:ajax            won
        direct   ajax       won:psv             lost    # not named: lost
        direct   ajax       won:                lost
        direct   ajax       won:psv/void:ajax   void
        direct   ajax       won:psv,ajax        won     # several may win
        direct   ajax       won:ajax/void:ajax  -       # both is no grade
        direct   ajax       ajax                -       # no outcomes of its own
        direct   ajax       withdrawn           -
        ",
    );
}

#[track_caller]
fn check(table: &str) {
    for cells in rows(table) {
        let [game, selection, told, wanted] = cells[..] else { panic!("malformed: {cells:?}") };
        let game: Game = game.parse().unwrap();
        let found = match grade(game, &selection.parse().unwrap(), &outcome(told)) {
            Ok(Grade::Won) => "won",
            Ok(Grade::Lost) => "lost",
            Ok(Grade::Void) => "void",
            Err(error) => {
                assert_eq!(error.disposition(), Disposition::FreezeBet, "{cells:?}");
                "-"
            }
        };
        assert_eq!(found, wanted, "{cells:?}");
    }
}

#[test]
fn names_round_trip() {
    for game in Game::ALL {
        assert_eq!(game.to_string().parse(), Ok(*game));
    }
    for unknown in ["", "Die", "die ", "roulette"] {
        let wanted = RuleError::UnknownGame { game: unknown.to_owned() };
        assert_eq!(unknown.parse::<Game>(), Err(wanted));
    }
}

/// The lists and the table are written apart; a selection without a row could never be graded.
#[test]
fn tables_hold_what_the_lists_say() {
    for game in Game::ALL {
        let listed = game.selections().unwrap_or_default();
        let rows: Vec<&str> = game.table().iter().map(|(selection, _)| *selection).collect();
        assert_eq!(listed, rows, "{game}");
        assert_eq!(listed.len(), listed.iter().collect::<BTreeSet<_>>().len(), "{game}");
        for selection in listed {
            assert!(selection.parse::<Selection>().is_ok(), "{selection}");
        }
        for (selection, winning) in game.table() {
            assert!(!winning.is_empty(), "{selection} can never win");
            let outcomes = game.outcomes().unwrap_or_default();
            assert!(winning.iter().all(|name| outcomes.contains(name)), "{selection}");
        }
    }
}

/// Of each family exactly one selection wins, whatever comes out.
#[test]
fn families_have_one_winner() {
    let families: &[(Game, &[&str])] = &[
        (Game::Die, &["1", "2", "3", "4", "5", "6"]),
        (Game::Die, &["odd", "even"]),
        (Game::Die, &["low", "high"]),
        (Game::TwoWay, &["first", "second"]),
    ];
    for (game, family) in families {
        for told in game.outcomes().unwrap() {
            let won = family
                .iter()
                .filter(|name| {
                    grade(*game, &name.parse().unwrap(), &outcome(told)) == Ok(Grade::Won)
                })
                .count();
            assert_eq!(won, 1, "{game} {family:?} {told}");
        }
    }
}

proptest! {
    /// What the herald admits as an outcome grades every selection of the game.
    #[test]
    fn admitted_outcomes_grade_everything(told in any_outcome()) {
        let all: Vec<Selection> =
            Game::Die.selections().unwrap().iter().map(|name| name.parse().unwrap()).collect();
        prop_assert_eq!(check_outcome(Game::Die, &all, &told), Ok(()));
        let graded = !matches!(
            told,
            schemas::rounds::Outcome::Withdrawn | schemas::rounds::Outcome::Voided
        );
        for selection in &all {
            prop_assert_eq!(grade(Game::Die, selection, &told).is_ok(), graded);
        }
    }
}
