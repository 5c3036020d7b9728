//! Books without a fault, written by hand: one round of a die, five bets, a correction.

use crate::audit::books::{BetLine, Books, FactLine, FactSaid, Movement};
use runtime::{Scope, Source, Topic};
use schemas::bets::{Bet, BetEvent, BetSaid, HoldAnswer, Intent, Marker, MarkerBody};
use schemas::catalogue::{BETS, ROUNDS, SETTLEMENTS};
use schemas::decisions::{CancelRefused, Decision, DecisionSaid, RejectReason, Verdict};
use schemas::outgoing::Partitions;
use schemas::rounds::{self, Offer, Opened, Outcome, RoundEvent, RoundSaid};
use schemas::settlements::{Reason, Settlement, Target};
use schemas::wire::{AmountRecord, DeliveryOutcome, DeliveryRecord, TallyRecord};
use schemas::{BetId, ClientRef, Money, Odds, PartnerId, RoundId, facts};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

pub(super) const PARTNER: &str = "acme";

pub(super) fn partner() -> PartnerId {
    PARTNER.parse().unwrap()
}

pub(super) fn round() -> RoundId {
    "r1".parse().unwrap()
}

/// The partition of the partner's lane.
pub(super) fn lane() -> usize {
    usize::try_from(Partitions::EMBEDDED.of_partner(&partner())).unwrap()
}

/// The partition of the round in `rounds`.
pub(super) fn table() -> usize {
    usize::try_from(Partitions::EMBEDDED.of_round(&round())).unwrap()
}

/// The bet that its player calls `name`.
pub(super) fn bet(name: &str) -> Bet {
    let (selection, stake, odds) = match name {
        "b1" => ("even", 1001, 250),
        "b2" => ("odd", 1, 199),
        "b3" => ("1", 700, 600),
        "b4" => ("low", 500, 200),
        "b5" => ("6", 300, 600),
        other => panic!("no bet {other}"),
    };
    let client_ref: ClientRef = name.parse().unwrap();
    let player = "p_9".parse().unwrap();
    Bet {
        id: BetId::of(&round(), &partner(), &player, &client_ref),
        partner: partner(),
        player,
        client_ref,
        selection: selection.parse().unwrap(),
        stake: Money::new(stake, "EUR".parse().unwrap(), 2).unwrap(),
        odds: Odds::new(odds).unwrap(),
        rules_version: 1,
        placed_at: 1,
    }
}

fn said(round_id: Option<RoundId>, said_at: i64, said: BetSaid) -> BetLine {
    BetLine::Said(BetEvent { round: round_id, said_at, said })
}

fn marker(number: u32, body: MarkerBody) -> BetLine {
    let said_at = i64::from(number) * 1000;
    said(Some(round()), said_at, BetSaid::Marker(Marker { number, body }))
}

fn opened() -> Opened {
    let offer =
        |name: &str| Offer { selection: name.parse().unwrap(), odds: Odds::new(200).unwrap() };
    Opened {
        game: "die".to_owned(),
        rules_version: 1,
        offers: ["1", "2", "3", "4", "5", "6", "odd", "even", "low", "high"].map(offer).to_vec(),
        closes_at: 9_000,
        grace_ms: 200,
    }
}

fn markers() -> [BetLine; 4] {
    let body = MarkerBody::Opened {
        game: "die".to_owned(),
        rules_version: 1,
        selections: opened().offers.into_iter().map(|offer| offer.selection).collect(),
    };
    let version = |version, text: &str| MarkerBody::Version {
        version,
        outcome: Outcome::Game(text.to_owned()),
    };
    [
        marker(1, body),
        marker(2, MarkerBody::Closed),
        marker(3, version(1, "4")),
        marker(4, version(2, "5")),
    ]
}

pub(super) fn intent(name: &str) -> BetLine {
    let intent = Intent::new(bet(name), 4_000);
    said(Some(round()), 1, BetSaid::Intent(intent))
}

pub(super) fn answer(name: &str, answer: HoldAnswer) -> BetLine {
    let bet = bet(name);
    let content = bet.content_hash();
    let answer = BetSaid::Answer { bet: bet.id, partner: partner(), content, answer };
    said(Some(round()), 2, answer)
}

fn cancel(name: &str, request: &str) -> BetLine {
    let request = request.parse().unwrap();
    let cancel = BetSaid::Cancel { bet: bet(name).id, partner: partner(), request };
    said(Some(round()), 3, cancel)
}

fn numbered<T>(lines: Vec<T>) -> Vec<(u64, T)> {
    (0..).zip(lines).collect()
}

fn bets(books: &mut Books) {
    let [first, closed, v1, v2] = markers();
    for partition in &mut books.bets {
        *partition = numbered(vec![first.clone(), closed.clone(), v1.clone(), v2.clone()]);
    }
    let mut lines = vec![first, intent("b1"), intent("b2"), intent("b3"), intent("b4")];
    lines.push(answer("b1", HoldAnswer::Approved)); // 5
    lines.push(answer("b2", HoldAnswer::Approved));
    lines.push(answer("b3", HoldAnswer::Declined("limit_exceeded".to_owned())));
    lines.push(answer("b4", HoldAnswer::Approved));
    lines.push(cancel("b4", "c4")); // 9
    lines.push(intent("b5"));
    lines.extend((0..6).map(|_| said(None, 7, BetSaid::Tick))); // 11 to 16
    lines.extend([closed, cancel("b1", "c1"), v1, v2]); // 17 to 20
    books.bets[lane()] = numbered(lines);
}

pub(super) fn decision(name: &str, at: u64, verdict: Verdict) -> DecisionSaid {
    let caused_at = match at {
        5..=8 => 2,
        9 => 3,
        16 => 7,
        other => i64::try_from(other).unwrap(),
    };
    let intent_at = match (&verdict, name) {
        (Verdict::Cancelled(_), _) => None,
        (_, "b5") => Some(10),
        (_, name) => name.trim_start_matches('b').parse().ok(),
    };
    DecisionSaid::Decided(Decision { bet: bet(name), verdict, at, caused_at, intent_at })
}

fn decisions(books: &mut Books) {
    let declined = RejectReason::Declined("limit_exceeded".to_owned());
    let lines = vec![
        decision("b1", 5, Verdict::Accepted),
        decision("b2", 6, Verdict::Accepted),
        decision("b3", 7, Verdict::Rejected(declined)),
        decision("b4", 8, Verdict::Accepted),
        decision("b4", 9, Verdict::Cancelled("c4".parse().unwrap())),
        decision("b5", 16, Verdict::Rejected(RejectReason::Expired)),
        DecisionSaid::CancelRefused(CancelRefused {
            bet: bet("b1").id,
            partner: partner(),
            request: "c1".parse().unwrap(),
            reason: "closed".to_owned(),
            at: 18,
            caused_at: 3,
        }),
    ];
    for line in &lines {
        if let DecisionSaid::Decided(decision) = line {
            let fact = FactSaid::Decision(decision.clone());
            books.facts.push(fact_line(BETS, lane(), decision.at, line.kind().name(), fact));
        }
    }
    books.decisions[lane()] = numbered(lines);
}

fn fact_line(
    topic: &'static str,
    partition: usize,
    at: u64,
    kind: &str,
    said: FactSaid,
) -> FactLine {
    let kind = facts::KINDS.iter().copied().find(|known| *known == kind).unwrap();
    let partition = u32::try_from(partition).unwrap();
    let scope = Scope { group: "r1".to_owned(), topic: Topic(topic), partition };
    FactLine { scope, at, kind, said }
}

fn marker_facts(books: &mut Books) {
    for (partition, lines) in books.bets.iter().enumerate() {
        let mut stakes = Vec::new();
        let mut digest = Sha256::new();
        let mut count = 0;
        if partition == lane() {
            let mut held = [bet("b1"), bet("b2")];
            held.sort_by_key(|bet| bet.id.clone());
            for bet in held {
                digest.update(format!("{}|{}\n", bet.id, bet.content_hash()));
            }
            stakes.push(AmountRecord { units: 1002, currency: "EUR".to_owned(), exponent: 2 });
            count = 2;
        }
        let digest = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let tally = TallyRecord { round_id: "r1".to_owned(), bets: count, stakes, digest };
        for (offset, line) in lines {
            let BetLine::Said(event) = line else { continue };
            let BetSaid::Marker(marker) = &event.said else { continue };
            let fact = FactSaid::Marker(event.clone());
            books.facts.push(fact_line(BETS, partition, *offset, facts::MARKER, fact));
            if marker.body == MarkerBody::Closed {
                let fact = FactSaid::Tally(tally.clone());
                books.facts.push(fact_line(BETS, partition, *offset, facts::TALLY, fact));
            }
        }
    }
}

fn round_lines(books: &mut Books) {
    let version = |replaces, text: &str| RoundSaid::Version {
        replaces,
        outcome: Outcome::Game(text.to_owned()),
        reason: String::new(),
    };
    // What is said, its time, the marker's number and the version behind it.
    let records = [
        (RoundSaid::Opened(opened()), 1000, 1, 0),
        (RoundSaid::Closing, 1500, 0, 0),
        (RoundSaid::Closed, 2000, 2, 0),
        (RoundSaid::Sealed, 2500, 0, 0),
        (version(0, "4"), 3000, 3, 1),
        (version(1, "5"), 4000, 4, 2),
    ];
    let mut lines = Vec::new();
    for (judged, (said, said_at, number, version)) in (0_u64..).step_by(2).zip(records) {
        let event = |said| RoundEvent {
            round: round(),
            request: format!("q{judged}").parse().unwrap(),
            actor: "op".to_owned(),
            said_at,
            said,
        };
        let event_said = event(said);
        let kind = event_said.kind();
        let fact = FactSaid::Admitted(event_said.clone());
        books.facts.push(fact_line(ROUNDS, table(), judged, facts::ADMITTED, fact));
        lines.push(event_said);
        let verdict = rounds::Verdict { judged, kind, refused: None, number, version };
        lines.push(event(RoundSaid::Verdict(verdict)));
    }
    books.rounds[table()] = numbered(lines);
}

pub(super) fn settlement(
    name: &str,
    revision: u32,
    previous: Target,
    target: Target,
    reason: Reason,
    caused_at: i64,
) -> Settlement {
    Settlement::of(&bet(name), revision, previous, target, reason, caused_at)
}

fn settlements(books: &mut Books) {
    use Target::{Held, Settled, Voided};
    let lines = vec![
        settlement("b3", 2, Held, Voided, Reason::BetRejected, 2),
        settlement("b4", 2, Held, Voided, Reason::BetCancelled, 3),
        settlement("b5", 2, Held, Voided, Reason::BetRejected, 7),
        settlement("b1", 3, Held, Settled(2502), Reason::Result, 3000),
        settlement("b2", 3, Held, Settled(0), Reason::Result, 3000),
        settlement("b1", 4, Settled(2502), Settled(0), Reason::ResultCorrected, 4000),
        settlement("b2", 4, Settled(0), Settled(1), Reason::ResultCorrected, 4000),
    ];
    let mut answers = Vec::new();
    for (at, due) in (0..).zip(&lines) {
        // The dispatcher saw the correction of b1 before its first result was confirmed.
        let superseded = due.bet == bet("b1").id && due.revision == 3;
        let outcome =
            if superseded { DeliveryOutcome::Superseded } else { DeliveryOutcome::Applied };
        let answer = DeliveryRecord {
            delivery_id: format!("{}/{}/1/{}", due.bet, due.revision, outcome.name()),
            bet_id: due.bet.to_string(),
            revision: due.revision.into(),
            round_id: "r1".to_owned(),
            partner_id: PARTNER.to_owned(),
            ledger_epoch: "1".to_owned(),
            outcome,
            superseded_by: superseded.then_some(4),
            code: None,
        };
        let fact = FactSaid::Delivered(answer.clone());
        books.facts.push(fact_line(SETTLEMENTS, lane(), at, facts::DELIVERED, fact));
        answers.push(answer);
    }
    books.settlements[lane()] = numbered(lines);
    books.deliveries[lane()] = numbered(answers);
}

pub(super) fn movement(name: &str, revision: u32, target: Option<Target>, moved: i64) -> Movement {
    let bet = bet(name);
    Movement {
        partner: PARTNER.to_owned(),
        player: bet.player.to_string(),
        bet: bet.id.to_string(),
        revision,
        target,
        stake: bet.stake.units,
        currency: ("EUR".to_owned(), 2),
        moved,
        shortfall: 0,
    }
}

fn journal() -> Vec<Movement> {
    use Target::{Held, Settled, Voided};
    vec![
        movement("b1", 1, Some(Held), -1001),
        movement("b2", 1, Some(Held), -1),
        movement("b3", 1, None, 0),
        movement("b4", 1, Some(Held), -500),
        movement("b5", 1, Some(Held), -300),
        movement("b3", 2, Some(Voided), 0),
        movement("b4", 2, Some(Voided), 500),
        movement("b5", 2, Some(Voided), 300),
        movement("b1", 3, Some(Settled(2502)), 2502),
        movement("b2", 3, Some(Settled(0)), 0),
        movement("b1", 4, Some(Settled(0)), -2502),
        movement("b2", 4, Some(Settled(1)), 1),
    ]
}

/// Books that every invariant holds for, at rest.
pub(super) fn books() -> Books {
    let mut books = Books::empty(Partitions::EMBEDDED);
    bets(&mut books);
    decisions(&mut books);
    marker_facts(&mut books);
    round_lines(&mut books);
    settlements(&mut books);
    books.journals = Some(BTreeMap::from([(PARTNER.to_owned(), journal())]));
    for (group, topic, ends) in [
        ("settler", BETS, ends(&books.bets)),
        ("dispatcher", SETTLEMENTS, ends(&books.settlements)),
        ("herald", ROUNDS, ends(&books.rounds)),
    ] {
        for (partition, end) in (0..).zip(ends) {
            let source = Source { topic: Topic(topic), partition };
            books.stored.insert((group.to_owned(), source), end);
        }
    }
    books
}

fn ends<T>(partitions: &[Vec<(u64, T)>]) -> Vec<u64> {
    partitions.iter().map(|lines| lines.last().map_or(0, |(last, _)| last + 1)).collect()
}
