use super::{REVISION_VOID, Reason, Settlement, Target, revision_of};
use crate::fixtures::{a_bet, refusal, settlement};
use crate::frame;
use crate::wire::{SettlementRecord, TargetKind};
use proptest::prelude::*;

fn won() -> SettlementRecord {
    let (before, now) = (Target::Held, Target::Settled(3_125));
    let settlement = Settlement::of(&a_bet(), 3, before, now, Reason::Result, 1);
    frame::decode(&settlement.encode().unwrap()).unwrap()
}

#[test]
fn revisions() {
    assert_eq!((revision_of(1), revision_of(2)), (3, 4));
    assert_eq!(revision_of(u32::MAX), u32::MAX);
    let of = |revision| {
        Settlement::of(&a_bet(), revision, Target::Held, Target::Voided, Reason::RoundVoided, 1)
    };
    assert_eq!(of(REVISION_VOID).result_version(), 0);
    assert_eq!(of(revision_of(5)).result_version(), 5);
    assert_eq!(of(7).id(), format!("{}/7", a_bet().id));
}

#[test]
fn a_credit_is_what_the_partner_is_to_give() {
    use Target::{Held, Settled, Voided};
    let stake = i128::from(a_bet().stake.units);
    for (previous, target, credit) in [
        (Held, Settled(3_125), 3_125),
        (Held, Settled(0), 0),
        (Held, Voided, stake),
        (Settled(0), Settled(40), 40),
        (Settled(50), Settled(40), 0),
        (Settled(0), Held, 0),
        (Voided, Settled(0), 0),
    ] {
        let one = Settlement::of(&a_bet(), 4, previous, target, Reason::ResultCorrected, 1);
        assert_eq!(one.credit(), credit, "{previous:?} -> {target:?}");
    }
}

type Change = fn(&mut SettlementRecord);

#[test]
fn refusals() {
    let table: &[(Change, &str)] = &[
        (|_| {}, "understood"),
        (|r| r.settlement_id.clear(), "range settlement_id"),
        (|r| r.settlement_id = r.settlement_id.replace("/3", "/4"), "range settlement_id"),
        (|r| r.settlement_id = r.settlement_id.replace("/3", "/03"), "range settlement_id"),
        (|r| r.settlement_id = r.settlement_id.replace("/3", "/+3"), "range settlement_id"),
        (|r| r.settlement_id = r.settlement_id.replace("/3", "/3/3"), "range settlement_id"),
        (|r| r.settlement_id = r.settlement_id.replace("/3", ""), "range settlement_id"),
        (|r| r.settlement_id.insert(0, 'x'), "range settlement_id"),
        (|r| r.bet_id.clear(), "bet id"),
        (|r| r.round_id = "r_78".to_owned(), "range round_id"),
        (|r| r.result_version = 2, "range result_version"),
        (|r| r.revision = 1, "range revision"),
        (|r| r.revision = -1, "range revision"),
        (|r| r.revision = 1 << 32, "range revision"),
        (|r| r.partner_id.clear(), "partner id"),
        (|r| r.partner_player_id.clear(), "player id"),
        (|r| r.currency.clear(), "money"),
        (|r| r.exponent = 9, "money"),
        (|r| r.payout_units = -1, "range payout_units"),
        (|r| r.target = TargetKind::Voided, "range payout_units"), // a void has no payout
        (|r| r.target = TargetKind::Held, "range payout_units"),
        (|r| r.target = TargetKind::Unknown, "unknown kind"),
        (|r| r.previous_target = TargetKind::Unknown, "unknown kind"),
        (|r| r.previous_payout_units = 1, "range payout_units"),
        (|r| r.reason = "because".to_owned(), "range reason"),
    ];
    for (row, (change, wanted)) in table.iter().enumerate() {
        assert_eq!(refusal::<_, Settlement>(&won(), change), *wanted, "row {row}");
    }
}

#[test]
fn reasons_have_codes_of_their_own() {
    let codes: std::collections::BTreeSet<&str> =
        Reason::ALL.iter().map(|reason| reason.code()).collect();
    assert_eq!(codes.len(), Reason::ALL.len());
}

proptest! {
    /// Every settlement is read as it was written.
    #[test]
    fn settlements_round_trip(settlement in settlement()) {
        let bytes = settlement.encode().unwrap();
        prop_assert_eq!(Settlement::decode(&bytes).unwrap(), settlement);
    }
}
