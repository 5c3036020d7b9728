use super::{Offer, Opened, Outcome, RoundEvent, RoundSaid, Verdict};
use crate::Odds;
use crate::fixtures::{refusal, round_event};
use crate::wire::{RoundKind, RoundRecord};
use proptest::prelude::*;

fn event(said: RoundSaid) -> RoundRecord {
    RoundRecord::from(&RoundEvent {
        round: "r_77".parse().unwrap(),
        request: "req-1".parse().unwrap(),
        actor: "feed".to_owned(),
        said_at: 1_700_000_000_000,
        said,
    })
}

fn offers() -> Vec<Offer> {
    vec![Offer { selection: "odd".parse().unwrap(), odds: Odds::new(195).unwrap() }]
}

fn opened() -> RoundRecord {
    event(RoundSaid::Opened(Opened {
        game: "die".to_owned(),
        rules_version: 1,
        offers: offers(),
        closes_at: 1_700_000_015_000,
        grace_ms: 1_500,
    }))
}

fn version(outcome: Outcome) -> RoundRecord {
    event(RoundSaid::Version { replaces: 0, outcome, reason: "draw".to_owned() })
}

fn verdict(refused: Option<&str>) -> RoundRecord {
    event(RoundSaid::Verdict(Verdict {
        judged: 7,
        kind: RoundKind::Result,
        refused: refused.map(str::to_owned),
        number: 3,
        version: 1,
    }))
}

type Change = fn(&mut RoundRecord);

#[track_caller]
fn check(record: &RoundRecord, table: &[(Change, &str)]) {
    assert_eq!(refusal::<_, RoundEvent>(record, |_| {}), "understood", "{record:?}");
    for (row, (change, wanted)) in table.iter().enumerate() {
        assert_eq!(refusal::<_, RoundEvent>(record, change), *wanted, "row {row} of {record:?}");
    }
}

#[test]
fn every_record_names_round_and_request() {
    let table: &[(Change, &str)] = &[
        (|r| r.round_id.clear(), "round id"),
        (|r| r.round_id = "r 77".to_owned(), "round id"),
        (|r| r.request_id.clear(), "request id"),
        (|r| r.kind = RoundKind::Unknown, "unknown kind"),
    ];
    let amended = RoundSaid::Amended { offers: offers(), closes_at: None };
    for said in [amended, RoundSaid::Closing, RoundSaid::Closed, RoundSaid::Sealed] {
        check(&event(said), table);
    }
    for record in [opened(), version(Outcome::Voided), verdict(None)] {
        check(&record, table);
    }
}

#[test]
fn opened_needs_every_field() {
    check(
        &opened(),
        &[
            (|r| r.game = None, "missing game"),
            (|r| r.rules_version = None, "missing rules_version"),
            (|r| r.rules_version = Some(-1), "range rules_version"),
            (|r| r.closes_at = None, "missing closes_at"),
            (|r| r.grace_ms = None, "missing grace_ms"),
            (|r| r.offers[0].odds = 0, "odds"),
            (|r| r.offers[0].selection.clear(), "selection"),
        ],
    );
}

#[test]
fn versions_name_what_they_replace() {
    let named = Outcome::Named { won: vec!["odd".parse().unwrap()], void: vec![] };
    for outcome in [Outcome::Game("4".to_owned()), named, Outcome::Withdrawn, Outcome::Voided] {
        check(
            &version(outcome),
            &[
                (|r| r.replaces = None, "missing replaces"),
                (|r| r.replaces = Some(-1), "range replaces"),
                (|r| r.replaces = Some(1 << 32), "range replaces"),
                (|r| r.reason = None, "understood"),
            ],
        );
    }
}

#[test]
fn verdicts_need_every_field() {
    for refused in [None, Some("not_sealed")] {
        check(
            &verdict(refused),
            &[
                (|r| r.judged = None, "missing judged"),
                (|r| r.judged = Some(-1), "range judged"),
                (|r| r.judged_kind = None, "missing judged_kind"),
                (|r| r.judged_kind = Some("verdict".to_owned()), "unknown kind"),
                (|r| r.judged_kind = Some("unknown".to_owned()), "unknown kind"),
                (|r| r.admitted = None, "missing admitted"),
                (|r| r.number = None, "missing number"),
                (|r| r.version = None, "missing version"),
                (|r| r.version = Some(-1), "range version"),
            ],
        );
    }
    check(&verdict(Some("not_sealed")), &[(|r| r.code = None, "missing code")]);
}

proptest! {
    /// Everything that can be said is read as it was said, and its kind is that of its record.
    #[test]
    fn events_round_trip(event in round_event()) {
        let bytes = event.encode().unwrap();
        prop_assert_eq!(RoundRecord::from(&event).kind, event.kind());
        prop_assert_eq!(RoundEvent::decode(&bytes).unwrap(), event);
    }
}
