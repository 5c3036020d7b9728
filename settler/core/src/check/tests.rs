use super::{OPEN_MS_MAX, check_amended, check_opened, check_outcome};
use crate::fixtures::{outcome, rows, selections};
use crate::{Disposition, RULES_VERSION};
use proptest::prelude::*;
use schemas::rounds::{Offer, Opened};
use schemas::{Odds, Selection};

const SAID_AT: i64 = 1_000_000;

fn offers(list: &[Selection]) -> Vec<Offer> {
    let odds = Odds::new(250).unwrap();
    list.iter().map(|selection| Offer { selection: selection.clone(), odds }).collect()
}

fn opened(game: &str, list: &str) -> Opened {
    Opened {
        game: game.to_owned(),
        rules_version: RULES_VERSION,
        offers: offers(&selections(list)),
        closes_at: SAID_AT + 15_000,
        grace_ms: 1_500,
    }
}

#[test]
fn rounds() {
    check_rounds(
        "
        # game   selections                         verdict
        die      1,2,3,4,5,6,odd,even,low,high      ok
        die      odd,even                           ok                   # a subset
        die      high,1                             ok                   # in any order
        die      1,7                                foreign_selection
        die      first                              foreign_selection
        die      1,1                                repeated_selection
        die      ,                                  no_selections
        two_way  first,second                       ok
        two_way  first,second,draw                  foreign_selection
        direct   ajax,psv,draw                      ok
        direct   ajax,psv,ajax                      repeated_selection
        direct   ,                                  no_selections
        roulette red                                unknown_game
        Die      1                                  unknown_game
        ",
    );
}

#[track_caller]
fn check_rounds(table: &str) {
    for cells in rows(table) {
        let [game, list, wanted] = cells[..] else { panic!("malformed: {cells:?}") };
        assert_verdict(check_opened(&opened(game, list), SAID_AT), wanted);
    }
}

#[track_caller]
fn assert_verdict(found: Result<(), crate::RuleError>, wanted: &str) {
    match found {
        Ok(()) => assert_eq!("ok", wanted),
        Err(error) => {
            assert_eq!(error.code(), wanted);
            assert_eq!(error.disposition(), Disposition::Refuse, "{error}");
        }
    }
}

#[test]
fn bounds_of_a_round() {
    let many = |count: usize| (0..count).map(|n| format!("s{n}")).collect::<Vec<_>>().join(",");
    assert_verdict(check_opened(&opened("direct", &many(64)), SAID_AT), "ok");
    assert_verdict(check_opened(&opened("direct", &many(65)), SAID_AT), "too_many_selections");
    for (grace_ms, wanted) in [
        (0, "ok"),
        (60_000, "ok"),
        (-1, "grace_out_of_range"),
        (60_001, "grace_out_of_range"),
        (i64::MIN, "grace_out_of_range"),
    ] {
        let round = Opened { grace_ms, ..opened("die", "odd") };
        assert_verdict(check_opened(&round, SAID_AT), wanted);
    }
    for (closes_at, wanted) in [
        (SAID_AT + 1, "ok"),
        (SAID_AT + OPEN_MS_MAX, "ok"),
        (SAID_AT, "deadline_out_of_range"),
        (SAID_AT + OPEN_MS_MAX + 1, "deadline_out_of_range"),
        (i64::MAX, "deadline_out_of_range"),
        (i64::MIN, "deadline_out_of_range"),
    ] {
        let round = Opened { closes_at, ..opened("die", "odd") };
        assert_verdict(check_opened(&round, SAID_AT), wanted);
        let offered = selections("odd");
        assert_verdict(check_amended(&offered, &[], Some(closes_at), SAID_AT), wanted);
    }
    assert_eq!(OPEN_MS_MAX, 2_592_000_000, "30 days in ms");
    // Apart by more than 64 bits hold, which wrapped around would be a second ahead.
    let round = Opened { closes_at: i64::MIN + 999, ..opened("die", "odd") };
    assert_verdict(check_opened(&round, i64::MAX), "deadline_out_of_range");
}

/// R6: a newer build's round is not refused by an older one, which would give two verdicts; it stops.
#[test]
fn unknown_rules_stop() {
    for rules_version in [0, RULES_VERSION + 1, u32::MAX] {
        let round = Opened { rules_version, ..opened("die", "odd") };
        let error = check_opened(&round, SAID_AT).unwrap_err();
        assert_eq!(error.code(), "unknown_rules");
        assert_eq!(error.disposition(), Disposition::StopPartition);
    }
}

#[test]
fn amendments() {
    let offered = selections("odd,even");
    for (list, wanted) in [
        ("", "ok"),
        ("odd", "ok"),
        ("even,odd", "ok"),
        ("odd,odd", "repeated_selection"),
        ("low", "not_offered"),
    ] {
        let found = check_amended(&offered, &offers(&selections(list)), None, SAID_AT);
        assert_verdict(found, wanted);
    }
}

#[test]
fn outcomes() {
    check_outcomes(
        "
        # game   outcome                verdict
        die      1                      ok
        die      6                      ok
        die      0                      unknown_outcome
        die      7                      unknown_outcome
        die      odd                    unknown_outcome
        die      won:odd/void:even      ok
        die      won:                   ok                   # all have lost
        die      won:low                not_offered          # the game has it, the round does not
        die      won:/void:low          not_offered
        die      won:odd,odd            repeated_selection
        die      won:/void:odd,odd      repeated_selection
        die      won:odd/void:odd       won_and_void
        die      withdrawn              ok
        die      voided                 ok
        two_way  first                  ok
        two_way  second                 ok
        two_way  draw                   unknown_outcome
        direct   odd                    winners_unnamed
        direct   won:odd                ok
        direct   won:odd,even           ok
        direct   won:ajax               not_offered
        direct   voided                 ok
        ",
    );
}

#[track_caller]
fn check_outcomes(table: &str) {
    let offered = selections("odd,even");
    for cells in rows(table) {
        let [game, told, wanted] = cells[..] else { panic!("malformed: {cells:?}") };
        assert_verdict(check_outcome(game.parse().unwrap(), &offered, &outcome(told)), wanted);
    }
}

proptest! {
    /// No time, however absurd, makes a check fail in any other way than by its verdict.
    #[test]
    fn any_times_get_a_verdict(closes_at: i64, said_at: i64, grace_ms: i64) {
        let round = Opened { closes_at, grace_ms, ..opened("die", "odd") };
        let ahead = i128::from(closes_at) - i128::from(said_at);
        let fine = (0..=60_000).contains(&grace_ms) && (1..=2_592_000_000).contains(&ahead);
        prop_assert_eq!(check_opened(&round, said_at).is_ok(), fine);
    }
}
