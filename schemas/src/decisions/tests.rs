use super::{CancelRefused, Decision, DecisionSaid, RejectReason, Verdict};
use crate::fixtures::{a_bet, decision, refusal};
use crate::frame;
use crate::wire::{DecisionKind, DecisionRecord};
use proptest::prelude::*;

fn owned(said: &DecisionSaid) -> DecisionRecord {
    frame::decode(&said.encode().unwrap()).unwrap()
}

fn decided(verdict: Verdict) -> DecisionRecord {
    owned(&DecisionSaid::Decided(Decision {
        bet: a_bet(),
        verdict,
        at: 7,
        caused_at: 1_700_000_001_000,
        intent_at: Some(5),
    }))
}

fn rejected(reason: RejectReason) -> DecisionRecord {
    decided(Verdict::Rejected(reason))
}

fn cancelled() -> DecisionRecord {
    decided(Verdict::Cancelled("cancel-1".parse().unwrap()))
}

fn refused() -> DecisionRecord {
    let bet = a_bet();
    owned(&DecisionSaid::CancelRefused(CancelRefused {
        bet: bet.id,
        partner: bet.partner,
        request: "cancel-1".parse().unwrap(),
        reason: "closed".to_owned(),
        at: 9,
        caused_at: 1_700_000_002_000,
    }))
}

type Change = fn(&mut DecisionRecord);

#[track_caller]
fn check(record: &DecisionRecord, table: &[(Change, &str)]) {
    assert_eq!(refusal::<_, DecisionSaid>(record, |_| {}), "understood", "{record:?}");
    for (row, (change, wanted)) in table.iter().enumerate() {
        assert_eq!(refusal::<_, DecisionSaid>(record, change), *wanted, "row {row} of {record:?}");
    }
}

#[test]
fn decisions_need_the_whole_bet() {
    let table: &[(Change, &str)] = &[
        (|r| r.content_hash = None, "missing content_hash"),
        (|r| r.partner_player_id = None, "missing partner_player_id"),
        (|r| r.client_ref = None, "missing client_ref"),
        (|r| r.selection = None, "missing selection"),
        (|r| r.stake_units = None, "missing stake_units"),
        (|r| r.currency = None, "missing currency"),
        (|r| r.exponent = None, "missing exponent"),
        (|r| r.odds = None, "missing odds"),
        (|r| r.rules_version = None, "missing rules_version"),
        (|r| r.placed_at = None, "missing placed_at"),
        (|r| r.stake_units = Some(1_251), "range content_hash"),
        (|r| r.partner_id = "other".to_owned(), "range content_hash"),
        (|r| r.odds = Some(251), "range content_hash"),
        (|r| r.odds = Some(0), "odds"),
        (|r| r.exponent = Some(9), "money"),
        (|r| r.intent_at = Some(-1), "range intent_at"),
        (|r| r.intent_at = None, "understood"),
    ];
    for record in [decided(Verdict::Accepted), rejected(RejectReason::Expired), cancelled()] {
        check(&record, table);
    }
}

#[test]
fn every_record_names_bet_round_and_offset() {
    let table: &[(Change, &str)] = &[
        (|r| r.bet_id.clear(), "bet id"),
        (|r| r.partner_id.clear(), "partner id"),
        (|r| r.round_id = "r_78".to_owned(), "range round_id"),
        (|r| r.round_id.clear(), "range round_id"),
        (|r| r.at = -1, "range at"),
        (|r| r.kind = DecisionKind::Unknown, "unknown kind"),
    ];
    for record in [decided(Verdict::Accepted), refused()] {
        check(&record, table);
    }
}

#[test]
fn reasons_and_requests() {
    let reason: &[(Change, &str)] = &[(|r| r.reason = None, "missing reason")];
    check(&refused(), reason);
    check(&rejected(RejectReason::Expired), reason);
    check(
        &rejected(RejectReason::Thawed),
        &[(|r| r.reason = Some("x".to_owned()), "range reason")],
    );
    let declined = rejected(RejectReason::Declined("insufficient_funds".to_owned()));
    check(&declined, &[(|r| r.decline_code = None, "missing decline_code")]);
    for record in [cancelled(), refused()] {
        check(
            &record,
            &[
                (|r| r.request_id = None, "missing request_id"),
                (|r| r.request_id = Some("\n".to_owned()), "request id"),
            ],
        );
    }
}

/// Keys are the facts' ids: accepted and rejected share a rank, so that a bet can only be one of them.
#[test]
fn keys() {
    let key = |record: DecisionRecord| DecisionSaid::try_from(record).unwrap().key();
    let id = a_bet().id;
    assert_eq!(key(decided(Verdict::Accepted)), format!("{id}/1"));
    assert_eq!(key(rejected(RejectReason::Closed)), format!("{id}/1"));
    assert_eq!(key(cancelled()), format!("{id}/2"));
    assert_eq!(key(refused()), format!("{id}/refused/9"));
}

proptest! {
    /// Everything that can be decided is read as it was said, under the same key.
    #[test]
    fn decisions_round_trip(said in decision()) {
        let bytes = said.encode().unwrap();
        let read = DecisionSaid::decode(&bytes).unwrap();
        prop_assert_eq!(read.key(), said.key());
        prop_assert_eq!(owned(&said).kind, said.kind());
        prop_assert_eq!(read, said);
    }
}
