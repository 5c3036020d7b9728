//! What a player owns after a restored backup, and while blocked.

use super::*;

/// R20: a bet whose row was lost is told anew, and only where it is said to be; then it is a row like any other.
#[test]
fn a_bet_that_was_lost_with_its_ledger_is_recovered() {
    let anew = |item: StateItem| StateItem { recover: true, ..item };
    for (item, moved) in [
        (settled("b", 3, 2500), "applied 1500"),
        (settled("b", 4, 0), "applied -1000"),
        (held("b", 4), "applied -1000"),
        (voided("b", 3), "applied 0"),
    ] {
        let mut case = Case::new(ClawBack::Negative);
        case.hold("other", 100);
        case.send(&voided("other", 2));
        assert_eq!(say(&case.send(&anew(item.clone()))), moved, "{item:?}");
        assert_eq!(say(&case.send(&anew(item.clone()))), "again");
        let row = case.register.row(&item.bet_id).unwrap();
        assert_eq!(row.shortfall(), 0);
    }
    // The account is of the time after the backup, too.
    let mut case = Case::new(ClawBack::Negative);
    assert_eq!(say(&case.send(&settled("b", 3, 2500))), "unknown_bet");
    assert_eq!(say(&case.send(&anew(settled("b", 3, 2500)))), "applied 1500");
    assert_eq!(case.free(), OPENING + 1500);
    assert_eq!(say(&case.send(&settled("b", 4, 0))), "applied -2500");
    assert_eq!(say(&case.send(&voided("b", 5))), "applied 1000");
    // What was never held stays so.
    case.send(&voided("c", 2));
    assert_eq!(say(&case.send(&anew(settled("c", 3, 2500)))), "invalid_transition");
    case.authorize(&AuthorizeRequest { stake: euro(OPENING * 2), ..ask("d", 0) }).unwrap();
    assert_eq!(say(&case.send(&anew(settled("d", 3, 2500)))), "invalid_transition");
}

/// What is paid to a blocked player stands apart, claw-backs take it first, and it is the player's once not blocked.
#[test]
fn a_blocked_player_is_paid_into_suspense() {
    let mut case = Case::new(ClawBack::CollectAvailable);
    for bet in ["won", "void", "corrected"] {
        case.hold(bet, 1_000);
    }
    let free = case.free();
    case.block("p_9");
    assert_eq!(say(&case.send(&settled("won", 3, 2_500))), "applied 2500");
    assert_eq!(say(&case.send(&voided("void", 2))), "applied 1000");
    assert_eq!(say(&case.send(&settled("corrected", 3, 700))), "applied 700");
    assert_eq!(case.accounts(), (free, 4_200));
    assert_eq!(case.movements.last().unwrap().suspense, 700);
    // A stake that is declined, and a deposit, leave it where it is.
    assert_eq!(case.hold("late", 10).code.unwrap(), "player_blocked");
    case.deposit("p_9", -free);
    assert_eq!(case.accounts(), (0, 4_200));
    // Of what was paid at all, 4,200 is there.
    let result = case.send(&settled("corrected", 4, 0));
    assert_eq!((say(&result), result.shortfall), ("applied -700".to_owned(), None));
    assert_eq!((case.accounts(), case.movements.last().unwrap().suspense), ((0, 3_500), -700));
    case.set_blocked("p_9", false);
    assert_eq!(case.accounts(), (3_500, 0));
    assert_eq!(say(&case.send(&settled("corrected", 5, 400))), "applied 400");
    assert_eq!(case.accounts(), (3_900, 0));
}
