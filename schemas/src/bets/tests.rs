use super::{BetEvent, BetSaid, HoldAnswer, Intent, Marker, MarkerBody};
use crate::fixtures::{a_bet, bet_event, refusal};
use crate::frame;
use crate::rounds::Outcome;
use crate::wire::{BetKind, BetRecord};
use proptest::prelude::*;

fn event(said: BetSaid) -> BetRecord {
    let round = Some(a_bet().id.round());
    let event = BetEvent { round, said_at: a_bet().placed_at, said };
    frame::decode(&event.encode().unwrap()).unwrap()
}

fn intent() -> BetRecord {
    event(BetSaid::Intent(Intent::new(a_bet(), 1_700_000_004_000)))
}

fn answer(answer: HoldAnswer) -> BetRecord {
    let bet = a_bet();
    let content = bet.content_hash();
    event(BetSaid::Answer { bet: bet.id, partner: bet.partner, content, answer })
}

fn cancel() -> BetRecord {
    let bet = a_bet();
    let request = "cancel-1".parse().unwrap();
    event(BetSaid::Cancel { bet: bet.id, partner: bet.partner, request })
}

fn marker(body: MarkerBody) -> BetRecord {
    event(BetSaid::Marker(Marker { number: 3, body }))
}

fn opened() -> BetRecord {
    let selections = vec!["odd".parse().unwrap(), "even".parse().unwrap()];
    marker(MarkerBody::Opened { game: "die".to_owned(), rules_version: 1, selections })
}

fn version(outcome: Outcome) -> BetRecord {
    marker(MarkerBody::Version { version: 1, outcome })
}

fn thaw() -> BetRecord {
    let bet = a_bet();
    let (request, reason) = ("thaw-1".parse().unwrap(), "looked at".to_owned());
    event(BetSaid::Thaw { bet: Some((bet.id, bet.partner)), request, reason })
}

type Change = fn(&mut BetRecord);

#[track_caller]
fn check(record: &BetRecord, table: &[(Change, &str)]) {
    assert_eq!(refusal::<_, BetEvent>(record, |_| {}), "understood", "{record:?}");
    for (row, (change, wanted)) in table.iter().enumerate() {
        assert_eq!(refusal::<_, BetEvent>(record, change), *wanted, "row {row} of {record:?}");
    }
}

#[test]
fn intents_need_every_field() {
    check(
        &intent(),
        &[
            (|r| r.bet_id = None, "missing bet_id"),
            (|r| r.partner_id = None, "missing partner_id"),
            (|r| r.partner_player_id = None, "missing partner_player_id"),
            (|r| r.client_ref = None, "missing client_ref"),
            (|r| r.selection = None, "missing selection"),
            (|r| r.stake_units = None, "missing stake_units"),
            (|r| r.currency = None, "missing currency"),
            (|r| r.exponent = None, "missing exponent"),
            (|r| r.odds = None, "missing odds"),
            (|r| r.rules_version = None, "missing rules_version"),
            (|r| r.expires_at = None, "missing expires_at"),
            (|r| r.content_hash = None, "missing content_hash"),
        ],
    );
}

#[test]
fn intents_need_sound_fields() {
    check(
        &intent(),
        &[
            (|r| r.round_id.clear(), "range round_id"),
            (|r| r.round_id = "r_78".to_owned(), "range round_id"),
            (|r| r.bet_id = Some("r_77".to_owned()), "bet id"),
            (|r| r.bet_id = Some("r_78:x".to_owned()), "range round_id"),
            (|r| r.partner_id = Some("Acme".to_owned()), "partner id"),
            (|r| r.partner_player_id = Some(String::new()), "player id"),
            (|r| r.client_ref = Some("a\nb".to_owned()), "client reference"),
            (|r| r.selection = Some("a b".to_owned()), "selection"),
            (|r| r.stake_units = Some(0), "range stake_units"),
            (|r| r.stake_units = Some(-1_250), "range stake_units"),
            (|r| r.currency = Some("eur".to_owned()), "money"),
            (|r| r.exponent = Some(9), "money"),
            (|r| r.exponent = Some(-1), "money"),
            (|r| r.odds = Some(0), "odds"),
            (|r| r.odds = Some(100_000_001), "odds"),
            (|r| r.rules_version = Some(-1), "range rules_version"),
            (|r| r.rules_version = Some(1 << 32), "range rules_version"),
            (|r| r.content_hash = Some("x".to_owned()), "content hash"),
            (|r| r.kind = BetKind::Unknown, "unknown kind"),
        ],
    );
}

/// A field that the content covers cannot change under way: the hash no longer fits (R12).
#[test]
fn intents_carry_the_hash_of_their_content() {
    check(
        &intent(),
        &[
            (|r| r.partner_id = Some("other".to_owned()), "range content_hash"),
            (|r| r.partner_player_id = Some("p_10".to_owned()), "range content_hash"),
            (|r| r.selection = Some("even".to_owned()), "range content_hash"),
            (|r| r.stake_units = Some(1_251), "range content_hash"),
            (|r| r.currency = Some("USD".to_owned()), "range content_hash"),
            (|r| r.exponent = Some(3), "range content_hash"),
            (|r| r.odds = Some(251), "range content_hash"),
            (|r| r.expires_at = Some(0), "understood"),
            (|r| r.said_at += 1, "understood"),
        ],
    );
}

#[test]
fn answers_and_cancels() {
    let names: &[(Change, &str)] = &[
        (|r| r.bet_id = None, "missing bet_id"),
        (|r| r.partner_id = None, "missing partner_id"),
        (|r| r.round_id = "r_78".to_owned(), "range round_id"),
    ];
    let hash: &[(Change, &str)] = &[
        (|r| r.content_hash = None, "missing content_hash"),
        (|r| r.content_hash = Some("+".repeat(32)), "content hash"),
    ];
    let declined = answer(HoldAnswer::Declined("insufficient_funds".to_owned()));
    for record in [answer(HoldAnswer::Approved), declined.clone()] {
        check(&record, names);
        check(&record, hash);
    }
    check(&declined, &[(|r| r.code = None, "missing code")]);
    check(&cancel(), names);
    check(
        &cancel(),
        &[
            (|r| r.request_id = None, "missing request_id"),
            (|r| r.request_id = Some(String::new()), "request id"),
        ],
    );
}

#[test]
fn markers() {
    let numbered: &[(Change, &str)] = &[
        (|r| r.number = None, "missing number"),
        (|r| r.number = Some(0), "range number"),
        (|r| r.number = Some(-1), "range number"),
        (|r| r.number = Some(1 << 32), "range number"),
        (|r| r.round_id.clear(), "round id"),
    ];
    let versioned: &[(Change, &str)] = &[
        (|r| r.version = None, "missing version"),
        (|r| r.version = Some(0), "range version"),
        (|r| r.version = Some(1 << 32), "range version"),
    ];
    let named = Outcome::Named { won: vec!["odd".parse().unwrap()], void: vec![] };
    for outcome in
        [Outcome::Game("4".to_owned()), named.clone(), Outcome::Withdrawn, Outcome::Voided]
    {
        check(&version(outcome.clone()), numbered);
        check(&version(outcome), versioned);
    }
    check(&version(named), &[(|r| r.won = vec!["a b".to_owned()], "selection")]);
    check(&marker(MarkerBody::Closed), numbered);
    check(&opened(), numbered);
    check(
        &opened(),
        &[
            (|r| r.game = None, "missing game"),
            (|r| r.rules_version = None, "missing rules_version"),
            (|r| r.selections.push(String::new()), "selection"),
        ],
    );
}

#[test]
fn ticks_and_thaws() {
    let tick = BetRecord { round_id: String::new(), ..event(BetSaid::Tick) };
    check(&tick, &[(|r| r.kind = BetKind::Unknown, "unknown kind")]);
    check(
        &thaw(),
        &[
            (|r| r.request_id = None, "missing request_id"),
            (|r| r.partner_id = None, "missing partner_id"),
            (|r| (r.bet_id, r.partner_id) = (None, None), "understood"),
            (|r| (r.bet_id, r.round_id) = (None, String::new()), "round id"),
        ],
    );
}

proptest! {
    /// Everything that can be said is read as it was said, and its kind is that of its record.
    #[test]
    fn events_round_trip(event in bet_event()) {
        let bytes = event.encode().unwrap();
        prop_assert_eq!(BetRecord::of(&event, None).kind, event.kind());
        prop_assert_eq!(BetEvent::decode(&bytes).unwrap(), event);
    }

    /// Equal content, equal hash; other names for the same stake are the same content.
    #[test]
    fn the_hash_covers_the_content_alone(one in crate::fixtures::bet(), placed_at: i64, rules: u32) {
        let mut two = one.clone();
        (two.placed_at, two.rules_version) = (placed_at, rules);
        prop_assert_eq!(one.content_hash(), two.content_hash());
        two.stake.units -= 1;
        prop_assert_ne!(one.content_hash(), two.content_hash());
    }
}
