//! Strategies for everything that can be said, for the tests of this crate.

use crate::bets::{Bet, BetEvent, BetSaid, HoldAnswer, Intent, Marker, MarkerBody};
use crate::decisions::{self, CancelRefused, Decision, DecisionSaid, RejectReason};
use crate::rounds::{self, Offer, Opened, Outcome, RoundEvent, RoundSaid};
use crate::settlements::{Reason, Settlement, Target};
use crate::wire::RoundKind;
use crate::{
    BetId, ClientRef, ContentHash, Currency, Money, Odds, PartnerId, PlayerId, RequestId, RoundId,
    Selection,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use std::fmt::Debug;
use std::str::FromStr;

/// Texts of a shape, as ids.
fn id<T>(shape: &'static str) -> BoxedStrategy<T>
where
    T: FromStr<Err: Debug> + Debug + 'static,
{
    shape.prop_map(|text: String| text.parse().unwrap()).boxed()
}

pub(crate) fn partner() -> BoxedStrategy<PartnerId> {
    id("[a-z0-9_-]{1,32}")
}

pub(crate) fn player() -> BoxedStrategy<PlayerId> {
    id("[ -~äЖ漢😀]{1,128}")
}

pub(crate) fn round() -> BoxedStrategy<RoundId> {
    id("[A-Za-z0-9_-]{1,36}")
}

pub(crate) fn selection() -> BoxedStrategy<Selection> {
    id("[A-Za-z0-9_.:-]{1,64}")
}

pub(crate) fn client_ref() -> BoxedStrategy<ClientRef> {
    id("[ -~äЖ漢😀]{1,64}")
}

pub(crate) fn request() -> BoxedStrategy<RequestId> {
    id("[ -~äЖ漢😀]{1,96}")
}

pub(crate) fn currency() -> BoxedStrategy<Currency> {
    id("[A-Z0-9]{3,8}")
}

/// An amount of `units`, in any currency and exponent.
pub(crate) fn money(units: impl Strategy<Value = i64>) -> impl Strategy<Value = Money> {
    (units, currency(), 0..=8_i64)
        .prop_map(|(units, currency, exponent)| Money::new(units, currency, exponent).unwrap())
}

pub(crate) fn odds() -> impl Strategy<Value = Odds> {
    (1..=Odds::HUNDREDTHS_MAX).prop_map(|hundredths| Odds::new(hundredths).unwrap())
}

pub(crate) fn content() -> impl Strategy<Value = ContentHash> {
    any::<[u8; 16]>().prop_map(ContentHash)
}

pub(crate) fn bet_id() -> impl Strategy<Value = BetId> {
    (round(), partner(), player(), client_ref())
        .prop_map(|(round, partner, player, name)| BetId::of(&round, &partner, &player, &name))
}

/// One fixed bet of 12.50 EUR at 2.50.
pub(crate) fn a_bet() -> Bet {
    let (partner, player) = ("acme".parse().unwrap(), "p_9".parse().unwrap());
    let (round, client_ref) = ("r_77".parse().unwrap(), "c1".parse().unwrap());
    Bet {
        id: BetId::of(&round, &partner, &player, &client_ref),
        partner,
        player,
        client_ref,
        selection: "odd".parse().unwrap(),
        stake: Money::new(1_250, "EUR".parse().unwrap(), 2).unwrap(),
        odds: Odds::new(250).unwrap(),
        rules_version: 1,
        placed_at: 1_700_000_000_000,
    }
}

pub(crate) fn bet() -> impl Strategy<Value = Bet> {
    let names = (round(), partner(), player(), client_ref());
    (names, selection(), money(1..=i64::MAX), odds(), any::<u32>(), any::<i64>()).prop_map(
        |(
            (round, partner, player, client_ref),
            selection,
            stake,
            odds,
            rules_version,
            placed_at,
        )| {
            Bet {
                id: BetId::of(&round, &partner, &player, &client_ref),
                partner,
                player,
                client_ref,
                selection,
                stake,
                odds,
                rules_version,
                placed_at,
            }
        },
    )
}

pub(crate) fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        ".{0,20}".prop_map(Outcome::Game),
        (vec(selection(), 0..4), vec(selection(), 0..4))
            .prop_map(|(won, void)| Outcome::Named { won, void }),
        Just(Outcome::Withdrawn),
        Just(Outcome::Voided),
    ]
}

fn marker_body() -> impl Strategy<Value = MarkerBody> {
    prop_oneof![
        (".{1,20}", any::<u32>(), vec(selection(), 0..5)).prop_map(
            |(game, rules_version, selections)| {
                MarkerBody::Opened { game, rules_version, selections }
            }
        ),
        Just(MarkerBody::Closed),
        (1..=u32::MAX, outcome())
            .prop_map(|(version, outcome)| MarkerBody::Version { version, outcome }),
    ]
}

/// Every kind of record of `bets`, about one round.
pub(crate) fn bet_event() -> impl Strategy<Value = BetEvent> {
    let answer = prop_oneof![Just(HoldAnswer::Approved), ".{0,20}".prop_map(HoldAnswer::Declined)];
    let said = prop_oneof![
        (bet(), any::<i64>())
            .prop_map(|(bet, expires_at)| { BetSaid::Intent(Intent::new(bet, expires_at)) }),
        (bet_id(), partner(), content(), answer).prop_map(|(bet, partner, content, answer)| {
            BetSaid::Answer { bet, partner, content, answer }
        }),
        (bet_id(), partner(), request()).prop_map(|(bet, partner, request)| BetSaid::Cancel {
            bet,
            partner,
            request
        }),
        (1..=u32::MAX, marker_body())
            .prop_map(|(number, body)| BetSaid::Marker(Marker { number, body })),
        Just(BetSaid::Tick),
        (option::of((bet_id(), partner())), request(), ".{0,40}")
            .prop_map(|(bet, request, reason)| BetSaid::Thaw { bet, request, reason }),
    ];
    (said, round(), any::<i64>()).prop_map(|(said, other, said_at)| {
        let (round, said_at) = match &said {
            BetSaid::Intent(intent) => (Some(intent.bet.id.round()), intent.bet.placed_at),
            BetSaid::Answer { bet, .. } | BetSaid::Cancel { bet, .. } => {
                (Some(bet.round()), said_at)
            }
            BetSaid::Thaw { bet: Some((bet, _)), .. } => (Some(bet.round()), said_at),
            BetSaid::Thaw { bet: None, .. } | BetSaid::Marker(_) => (Some(other), said_at),
            BetSaid::Tick => (None, said_at),
        };
        BetEvent { round, said_at, said }
    })
}

fn offers() -> impl Strategy<Value = Vec<Offer>> {
    let offer = (selection(), odds()).prop_map(|(selection, odds)| Offer { selection, odds });
    vec(offer, 0..5)
}

fn verdict() -> impl Strategy<Value = rounds::Verdict> {
    let kinds: Vec<RoundKind> =
        RoundKind::ALL.iter().copied().filter(|kind| *kind != RoundKind::Verdict).collect();
    let judged = 0..=u64::try_from(i64::MAX).unwrap();
    (judged, select(kinds), option::of(".{0,20}"), any::<u32>(), any::<u32>()).prop_map(
        |(judged, kind, refused, number, version)| rounds::Verdict {
            judged,
            kind,
            refused,
            number,
            version,
        },
    )
}

/// Every kind of record of `rounds`.
pub(crate) fn round_event() -> impl Strategy<Value = RoundEvent> {
    let opened = (".{1,20}", any::<u32>(), offers(), any::<i64>(), any::<i64>()).prop_map(
        |(game, rules_version, offers, closes_at, grace_ms)| {
            RoundSaid::Opened(Opened { game, rules_version, offers, closes_at, grace_ms })
        },
    );
    let said = prop_oneof![
        opened,
        (offers(), option::of(any::<i64>()))
            .prop_map(|(offers, closes_at)| RoundSaid::Amended { offers, closes_at }),
        Just(RoundSaid::Closing),
        Just(RoundSaid::Closed),
        Just(RoundSaid::Sealed),
        (any::<u32>(), outcome(), ".{0,40}").prop_map(|(replaces, outcome, reason)| {
            RoundSaid::Version { replaces, outcome, reason }
        }),
        (any::<u32>(), outcome(), ".{0,40}").prop_map(|(replaces, outcome, reason)| {
            RoundSaid::Proposed { replaces, outcome, reason }
        }),
        ".{0,40}".prop_map(|reason| RoundSaid::Rejected { reason }),
        verdict().prop_map(RoundSaid::Verdict),
    ];
    (round(), request(), ".{0,20}", any::<i64>(), said).prop_map(
        |(round, request, actor, said_at, said)| RoundEvent {
            round,
            request,
            actor,
            said_at,
            said,
        },
    )
}

fn decided() -> impl Strategy<Value = decisions::Verdict> {
    prop_oneof![
        Just(decisions::Verdict::Accepted),
        prop_oneof![
            ".{0,20}".prop_map(RejectReason::Declined),
            Just(RejectReason::Expired),
            Just(RejectReason::Closed),
            Just(RejectReason::NotOpen),
            Just(RejectReason::Thawed),
        ]
        .prop_map(decisions::Verdict::Rejected),
        request().prop_map(decisions::Verdict::Cancelled),
    ]
}

/// Every kind of record of `decisions`.
pub(crate) fn decision() -> impl Strategy<Value = DecisionSaid> {
    let at = || 0..=u64::try_from(i64::MAX).unwrap();
    let refused = (bet_id(), partner(), request(), ".{0,20}", at(), any::<i64>()).prop_map(
        |(bet, partner, request, reason, at, caused_at)| {
            DecisionSaid::CancelRefused(CancelRefused {
                bet,
                partner,
                request,
                reason,
                at,
                caused_at,
            })
        },
    );
    let decided = (bet(), decided(), at(), any::<i64>(), option::of(at())).prop_map(
        |(bet, verdict, at, caused_at, intent_at)| {
            DecisionSaid::Decided(Decision { bet, verdict, at, caused_at, intent_at })
        },
    );
    prop_oneof![3 => decided, 1 => refused]
}

/// Every target, reason and revision.
pub(crate) fn settlement() -> impl Strategy<Value = Settlement> {
    let target = || {
        prop_oneof![
            Just(Target::Held),
            (0..=i64::MAX).prop_map(Target::Settled),
            Just(Target::Voided),
        ]
    };
    let reason = select(Reason::ALL);
    (bet(), 2..=u32::MAX, target(), target(), reason, any::<i64>()).prop_map(
        |(bet, revision, previous, target, reason, caused_at)| {
            Settlement::of(&bet, revision, previous, target, reason, caused_at)
        },
    )
}

/// Tries `change` on the wire form of something that decodes, and gives the refusal as text:
/// the name of the error, and the field it is about.
pub(crate) fn refusal<R, T>(record: &R, change: impl FnOnce(&mut R)) -> String
where
    R: Clone,
    T: TryFrom<R, Error = crate::bets::Unreadable> + Debug,
{
    use crate::bets::Unreadable;
    let mut record = record.clone();
    change(&mut record);
    match T::try_from(record) {
        Ok(_) => "understood".to_owned(),
        Err(Unreadable::Missing(field)) => format!("missing {field}"),
        Err(Unreadable::Range(field)) => format!("range {field}"),
        Err(Unreadable::Id(error)) => error.kind.to_owned(),
        Err(Unreadable::Money(_)) => "money".to_owned(),
        Err(Unreadable::Odds(_)) => "odds".to_owned(),
        Err(Unreadable::UnknownKind) => "unknown kind".to_owned(),
        Err(Unreadable::Frame(_)) => "frame".to_owned(),
    }
}
