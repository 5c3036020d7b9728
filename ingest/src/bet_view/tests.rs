use super::*;
use schemas::bets::Bet;
use schemas::decisions::RejectReason;
use schemas::outgoing;
use schemas::wire::TallyRecord;
use schemas::{BetId, Money, Odds};

fn bet() -> Bet {
    let (partner, player) = ("acme".parse().unwrap(), "p_9".parse().unwrap());
    let (round, client_ref) = ("r".parse().unwrap(), "c1".parse().unwrap());
    Bet {
        id: BetId::of(&round, &partner, &player, &client_ref),
        partner,
        player,
        client_ref,
        selection: "odd".parse().unwrap(),
        stake: Money::new(1_250, "EUR".parse().unwrap(), 2).unwrap(),
        odds: Odds::new(250).unwrap(),
        rules_version: 1,
        placed_at: 100,
    }
}

fn decided(verdict: Verdict, at: u64) -> Fact {
    let decision = Decision { bet: bet(), verdict, at, intent_at: Some(6), caused_at: 110 };
    Fact::from(outgoing::decision_fact(&decision, 0).unwrap().into_parts())
}

fn cancelled() -> Fact {
    decided(Verdict::Cancelled("undo".parse().unwrap()), 9)
}

fn rejected() -> Fact {
    decided(Verdict::Rejected(RejectReason::Expired), 8)
}

fn tally() -> Fact {
    let record = TallyRecord { round_id: "r".to_owned(), ..TallyRecord::default() };
    Fact::from(outgoing::tally_fact(&record, 0, 20).unwrap().into_parts())
}

fn freeze(of_bet: bool, frozen: bool, at: u64) -> Fact {
    let record = FreezeRecord {
        round_id: "r".to_owned(),
        bet_id: of_bet.then(|| bet().id.to_string()),
        frozen,
        ..FreezeRecord::default()
    };
    Fact::from(outgoing::freeze_fact(&record, "acme/0", 0, at).unwrap().into_parts())
}

fn marker(number: u32, said_at: i64, body: MarkerBody) -> Fact {
    let round = "r".parse().unwrap();
    let said = BetSaid::Marker(Marker { number, body });
    let event = BetEvent { round: Some("r".parse().unwrap()), said_at, said };
    let at = 20 + u64::from(number);
    Fact::from(outgoing::marker_fact(&event, &round, 0, at).unwrap().into_parts())
}

fn delivered(revision: u32, outcome: DeliveryOutcome) -> Fact {
    let bet = bet().id.to_string();
    let record = DeliveryRecord {
        bet_id: bet,
        revision: i64::from(revision),
        round_id: "r".to_owned(),
        partner_id: "acme".to_owned(),
        outcome,
        ledger_epoch: "e1".to_owned(),
        ..DeliveryRecord::default()
    }
    .identified();
    Fact::from(outgoing::delivered_fact(&record, 0, 5).unwrap().into_parts())
}

fn told(round: Vec<Fact>, bet: Vec<Fact>, player: &str) -> String {
    let read = Read { round, bet, delivered: Vec::new() };
    match tell(&read, &player.parse().unwrap()).unwrap().standing {
        Standing::Decided(decision) => match decision.verdict {
            Verdict::Accepted => "accepted".to_owned(),
            Verdict::Rejected(reason) => format!("rejected {}", reason.code()),
            Verdict::Cancelled(request) => format!("cancelled {request}"),
        },
        Standing::Pending => "pending".to_owned(),
        Standing::Never => "never".to_owned(),
    }
}

#[test]
fn standings() {
    let accepted = || decided(Verdict::Accepted, 7);
    let opposite = decided(Verdict::Accepted, 12);
    for (round, bet, wanted) in [
        (vec![], vec![], "pending"),
        (vec![tally()], vec![], "never"),
        (vec![], vec![accepted()], "accepted"),
        (vec![tally()], vec![accepted()], "accepted"),
        (vec![tally()], vec![rejected()], "rejected expired"),
        (vec![], vec![cancelled(), accepted()], "cancelled undo"),
        (vec![], vec![cancelled()], "cancelled undo"),
        // Frozen counts as decided for the tally, so its absence there says nothing.
        (vec![tally()], vec![freeze(true, true, 9)], "pending"),
        (vec![tally()], vec![freeze(true, true, 9), freeze(true, false, 30)], "never"),
        (vec![tally(), freeze(false, true, 21)], vec![], "pending"),
        (vec![tally(), freeze(false, true, 21)], vec![accepted()], "accepted"),
        (vec![tally()], vec![rejected(), opposite], "pending"),
    ] {
        assert_eq!(told(round.clone(), bet.clone(), "p_9"), wanted, "{round:?} {bet:?}");
    }
}

#[test]
fn another_players_bet_looks_like_none() {
    for round in [vec![], vec![tally()]] {
        let none = told(round.clone(), vec![], "p_8");
        for bet in [decided(Verdict::Accepted, 7), rejected(), cancelled()] {
            let read = Read {
                round: round.clone(),
                bet: vec![bet.clone(), freeze(true, true, 30)],
                delivered: vec![delivered(2, DeliveryOutcome::Applied)],
            };
            let view = tell(&read, &"p_8".parse().unwrap()).unwrap();
            assert!(view.timeline.is_empty());
            assert_eq!(told(round.clone(), vec![bet], "p_8"), none);
        }
    }
}

#[test]
fn a_corrected_life() {
    let four = Outcome::Game("4".to_owned());
    let first = MarkerBody::Version { version: 1, outcome: four.clone() };
    let second = MarkerBody::Version { version: 2, outcome: Outcome::Withdrawn };
    let opened =
        MarkerBody::Opened { game: "die".to_owned(), rules_version: 1, selections: Vec::new() };
    let read = Read {
        round: vec![
            marker(4, 400, second),
            marker(3, 300, first.clone()),
            marker(3, 300, first),
            marker(2, 200, MarkerBody::Closed),
            marker(1, 50, opened),
            tally(),
        ],
        bet: vec![decided(Verdict::Accepted, 7)],
        delivered: vec![
            delivered(3, DeliveryOutcome::Superseded),
            delivered(4, DeliveryOutcome::Applied),
        ],
    };
    let view = tell(&read, &"p_9".parse().unwrap()).unwrap();
    let answered = |revision, outcome| vec![Delivered { revision, outcome }];
    let wanted = vec![
        Moment::Placed { at: 100 },
        Moment::Decided { at: 110, verdict: Verdict::Accepted },
        Moment::Closed { at: 200 },
        Moment::Version {
            at: 300,
            version: 1,
            outcome: four,
            delivered: answered(3, DeliveryOutcome::Superseded),
        },
        Moment::Version {
            at: 400,
            version: 2,
            outcome: Outcome::Withdrawn,
            delivered: answered(4, DeliveryOutcome::Applied),
        },
    ];
    assert_eq!(view.timeline, wanted);
}

#[test]
fn a_void_ends_a_bet_that_never_was() {
    let read = Read {
        round: vec![tally(), marker(2, 200, MarkerBody::Closed)],
        bet: vec![rejected()],
        delivered: vec![delivered(2, DeliveryOutcome::Applied)],
    };
    let view = tell(&read, &"p_9".parse().unwrap()).unwrap();
    assert_eq!(view.timeline.len(), 3);
    let answer = Delivered { revision: 2, outcome: DeliveryOutcome::Applied };
    assert_eq!(view.timeline[2], Moment::Voided { delivered: vec![answer] });
}

#[test]
fn a_fact_that_cannot_be_read_is_an_error_and_no_answer() {
    let mut broken = decided(Verdict::Accepted, 7);
    broken.body = bytes::Bytes::from_static(b"x");
    let read = Read { bet: vec![broken], round: vec![tally()], ..Read::default() };
    assert!(tell(&read, &"p_9".parse().unwrap()).is_err());
}
