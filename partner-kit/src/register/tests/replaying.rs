use super::*;
use crate::movement::Epoch;
use crate::register::ReplayError;

fn journal() -> Vec<Entry> {
    let mut case = Case::new(ClawBack::CollectAvailable);
    case.hold("b", 1000);
    case.hold("poor", OPENING);
    case.send(&settled("b", 3, 2500));
    case.hold("spent", 11_000);
    case.send(&settled("b", 4, 0));
    case.send(&voided("poor", 2));
    case.send(&voided("unseen", 2));
    case.movements.into_iter().map(Entry::Movement).collect()
}

fn replay(entries: &[Entry]) -> Result<Register, ReplayError> {
    Register::replay(options(ClawBack::CollectAvailable, 0), entries)
}

fn movement(entry: &mut Entry) -> &mut Movement {
    match entry {
        Entry::Movement(movement) => movement,
        Entry::Epoch(_) | Entry::Deposit(_) | Entry::Block(_) => panic!("not a movement"),
    }
}

#[test]
fn a_journal_gives_the_register_again() {
    let register = replay(&journal()).unwrap();
    assert_eq!(register.balance("p_9").unwrap().units, 0);
    let row = register.row("r_1:b").unwrap();
    assert_eq!((row.net(), row.shortfall()), (-1000, 2000));
    assert_eq!(register.seq(), 7);
    let text: Vec<String> =
        journal().iter().map(|entry| serde_json::to_string(entry).unwrap()).collect();
    let read: Vec<Entry> = text.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, journal());
}

#[test]
fn a_second_effect_of_a_revision_is_found() {
    let mut entries = journal();
    let mut twice = entries[2].clone();
    movement(&mut twice).seq = 8;
    entries.push(twice);
    let found = ReplayError::Revision { seq: 8, bet_id: "r_1:b".into(), from: 4, to: 3 };
    assert_eq!(replay(&entries).unwrap_err(), found);
    movement(&mut entries[7]).revision = 4;
    assert!(matches!(replay(&entries), Err(ReplayError::Revision { from: 4, to: 4, .. })));
}

#[test]
fn amounts_that_do_not_add_up_are_found() {
    let spoil: [fn(&mut Movement); 5] = [
        |movement| movement.moved += 1,
        |movement| movement.collected_net += 1,
        |movement| movement.shortfall += 1,
        |movement| movement.payout += 1,
        |movement| movement.player.push('x'),
    ];
    for spoil in spoil {
        let mut entries = journal();
        spoil(movement(&mut entries[4]));
        assert_eq!(
            replay(&entries).unwrap_err(),
            ReplayError::Amounts { seq: 5, bet_id: "r_1:b".into() }
        );
    }
}

#[test]
fn a_missing_or_swapped_entry_is_found() {
    let mut entries = journal();
    entries.remove(1);
    let found = ReplayError::Sequence { expected: 2, found: 3 };
    assert_eq!(replay(&entries).unwrap_err(), found);
    let mut entries = journal();
    movement(&mut entries[0]).opening = None;
    assert!(matches!(replay(&entries), Err(ReplayError::Account { seq: 1, .. })));
}

#[test]
fn an_epoch_belongs_to_its_partner_and_never_falls() {
    let epoch =
        |partner: &str, ledger_epoch| Entry::Epoch(Epoch { partner: partner.into(), ledger_epoch });
    let register = replay(&[epoch("acme", 1), epoch("acme", 7)]).unwrap();
    assert_eq!(register.ledger_epoch(), "7");
    assert!(matches!(replay(&[epoch("rival", 1)]), Err(ReplayError::Epoch { .. })));
    let falls = [epoch("acme", 7), epoch("acme", 6)];
    assert!(matches!(replay(&falls), Err(ReplayError::Epoch { ledger_epoch: 6, .. })));
}
