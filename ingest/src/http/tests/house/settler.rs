//! A toy settler.

use runtime::embedded::Embedded;
use runtime::{Append, Batch, Engine, Fact, Reader, RecordLog, Source, Topic};
use schemas::bets::{Bet, BetEvent, BetSaid, HoldAnswer, Marker, MarkerBody};
use schemas::catalogue::BETS;
use schemas::decisions::{CancelRefused, Decision, DecisionSaid, RejectReason, Verdict};
use schemas::outgoing;
use schemas::wire::TallyRecord;
use schemas::{BetId, RoundId};
use std::collections::{BTreeMap, BTreeSet};

/// Decides in log order, with no memory but this.
#[derive(Default)]
struct Bets {
    known: BTreeMap<BetId, Bet>,
    over: BTreeSet<BetId>,
    closed: BTreeSet<RoundId>,
}

pub(super) async fn settle(engine: Embedded, partition: u32) {
    let mut reader = engine.reader(Source { topic: Topic(BETS), partition }, 0);
    let mut bets = Bets::default();
    while let Ok((records, _)) = reader.next(100).await {
        for record in records {
            let event = BetEvent::decode(&record.value).unwrap();
            let batch = bets.judge(&event, record.offset, partition);
            if engine.apply(None, batch).await.is_err() {
                return;
            }
        }
    }
}

impl Bets {
    fn judge(&mut self, event: &BetEvent, at: u64, partition: u32) -> Batch {
        match &event.said {
            BetSaid::Intent(intent) => {
                self.known.insert(intent.bet.id.clone(), intent.bet.clone());
                Batch::default()
            }
            BetSaid::Answer { bet, answer, .. } => {
                let verdict = match answer {
                    HoldAnswer::Approved => Verdict::Accepted,
                    HoldAnswer::Declined(code) => {
                        Verdict::Rejected(RejectReason::Declined(code.clone()))
                    }
                };
                self.decide(bet, verdict, at, partition)
            }
            BetSaid::Cancel { bet, partner, request } => {
                if self.closed.contains(&bet.round()) {
                    let refused = CancelRefused {
                        bet: bet.clone(),
                        partner: partner.clone(),
                        request: request.clone(),
                        reason: "closed".to_owned(),
                        at,
                        caused_at: event.said_at,
                    };
                    return record(&DecisionSaid::CancelRefused(refused), partition);
                }
                self.over.remove(bet);
                self.decide(bet, Verdict::Cancelled(request.clone()), at, partition)
            }
            BetSaid::Marker(Marker { body, .. }) => {
                let round = event.round.clone().unwrap();
                let mut facts = vec![outgoing::marker_fact(event, &round, partition, at).unwrap()];
                if matches!(body, MarkerBody::Closed) {
                    let round_id = round.to_string();
                    let tally = TallyRecord { round_id, ..TallyRecord::default() };
                    facts.push(outgoing::tally_fact(&tally, partition, at).unwrap());
                    self.closed.insert(round);
                }
                let facts = facts.into_iter().map(|row| Fact::from(row.into_parts())).collect();
                Batch { facts: vec![facts], ..Batch::default() }
            }
            BetSaid::Tick | BetSaid::Thaw { .. } => Batch::default(),
        }
    }

    fn decide(&mut self, bet: &BetId, verdict: Verdict, at: u64, partition: u32) -> Batch {
        if !self.over.insert(bet.clone()) {
            return Batch::default();
        }
        let Some(bet) = self.known.get(bet).cloned() else { return Batch::default() };
        let caused_at = bet.placed_at;
        let decision = Decision { bet, verdict, at, intent_at: Some(0), caused_at };
        let row = outgoing::decision_fact(&decision, partition).unwrap();
        let facts = vec![vec![Fact::from(row.into_parts())]];
        Batch { facts, ..record(&DecisionSaid::Decided(decision), partition) }
    }
}

fn record(said: &DecisionSaid, partition: u32) -> Batch {
    let outgoing = outgoing::decision(said, partition).unwrap();
    Batch::of_records(vec![Append::from(outgoing.into_parts())])
}
