//! Rounds are closed with partners, and what differs is a case that names the bets (R19).
//!
//! The partner here is rows that the settler's own settlements were applied to, one by one, and a digest
//! written out anew: it shares nothing with the books it is compared with.

use super::reconciling::{admitted, answered};
use super::{Lane, bet, partner, round};
use crate::{CloseAnswer, CloseAsk, CloseCall, Reconciler, ReconcilerAsk, ReconcilerOptions};
use crate::{ReconcilerTold, Standing};
use bytes::Bytes;
use runtime::http::{CallError, HttpAnswer};
use runtime::machine::{Effect, Input, Machine};
use runtime::{Fact, FactKey, Millis};
use schemas::bets::Bet;
use schemas::catalogue::{CASES, SETTLEMENTS};
use schemas::contract::{
    CloseRequest, CloseResponse, CloseTotal, MoneyBody, RoundBetsResponse, RowBody, RowStatus,
};
use schemas::facts::{ACCEPTED, CLOSE, DELIVERED};
use schemas::frame;
use schemas::outgoing::Partitions;
use schemas::rounds::Outcome;
use schemas::settlements::{Settlement, Target};
use schemas::wire::{CaseRecord, CloseRecord, DeliveryOutcome};
use schemas::{Money, Selection};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

mod mutilated;

/// Longer than any wait between two looks.
const LATER_MS: Millis = 11 * 60 * 1_000;

/// The partner's side: its rows, and what it was asked.
#[derive(Clone, Default)]
struct Wallet {
    rows: BTreeMap<String, RowBody>,
    asked: Vec<CloseAsk>,
    /// Answers with this instead.
    instead: Option<CloseAnswer>,
    /// Sums its rows up wrongly.
    miscounts: bool,
}

impl Wallet {
    fn apply(&mut self, settlement: &Settlement) {
        let (status, payout) = match settlement.target {
            Target::Held => (RowStatus::Held, None),
            Target::Settled(units) => {
                (RowStatus::Settled, Some(settlement.stake.with_units(units).into()))
            }
            Target::Voided => (RowStatus::Voided, None),
        };
        let row = self.held(settlement.bet.as_str(), settlement.stake);
        if row.revision < settlement.revision {
            (row.revision, row.status, row.payout) = (settlement.revision, status, payout);
        }
    }

    fn held(&mut self, bet: &str, stake: Money) -> &mut RowBody {
        let row = RowBody {
            bet_id: bet.to_owned(),
            revision: 1,
            status: RowStatus::Held,
            partner_player_id: None,
            stake: Some(stake.into()),
            payout: None,
            collected_net: None,
            shortfall: None,
            code: None,
            partner_ref: None,
        };
        self.rows.entry(bet.to_owned()).or_insert(row)
    }

    fn answer(&mut self, call: &CloseCall) -> CloseAnswer {
        self.asked.push(call.ask.clone());
        if let Some(instead) = &self.instead {
            return instead.clone();
        }
        let body = match &call.ask {
            CloseAsk::Close(body) => serde_json::to_vec(&self.close(body)).unwrap(),
            // Two to a page.
            CloseAsk::Rows { round, after } => {
                let mut rows = self.rows.values().filter(|row| *after < row.bet_id);
                let rows: Vec<RowBody> = rows.by_ref().take(2).cloned().collect();
                let more = self.rows.keys().any(|bet| rows.last().is_some_and(|l| l.bet_id < *bet));
                let next = rows.last().map(|row| row.bet_id.clone()).filter(|_| more);
                let (round_id, ledger_epoch) = (round.to_string(), "1".to_owned());
                let page = RoundBetsResponse { round_id, ledger_epoch, rows, next };
                serde_json::to_vec(&page).unwrap()
            }
        };
        Ok(HttpAnswer { status: 200, retry_after_ms: None, body: body.into() })
    }

    fn close(&self, body: &[u8]) -> CloseResponse {
        let request: CloseRequest = serde_json::from_slice(body).unwrap();
        let (mut text, mut open_holds) = (String::new(), 0);
        let mut sums: BTreeMap<(String, i64), (u64, i64, i64, u64)> = BTreeMap::new();
        for row in self.rows.values() {
            open_holds += u64::from(row.revision == 1);
            if row.revision < 3 {
                continue;
            }
            let stake = row.stake.as_ref().unwrap();
            let payout = row.payout.as_ref().map_or("0", |payout| &payout.units);
            let status = row.status.as_str();
            let (bet, units) = (&row.bet_id, &stake.units);
            text += &format!("{bet}|{}|{status}|{units}|{payout}\n", row.revision);
            let sum = sums.entry((stake.currency.clone(), stake.exponent)).or_default();
            sum.0 += 1;
            sum.1 += units.parse::<i64>().unwrap();
            sum.2 += payout.parse::<i64>().unwrap();
            sum.3 += u64::from(row.status == RowStatus::Voided);
        }
        if self.miscounts {
            text += "and one more\n";
        }
        let digest = Sha256::digest(text.as_bytes());
        let total = |((currency, exponent), (bets, stake, payout, voided))| CloseTotal {
            currency,
            exponent,
            bets,
            stake: i64::to_string(&stake),
            payout: i64::to_string(&payout),
            voided,
            parked: 0,
        };
        CloseResponse {
            round_id: request.round_id,
            result_version: request.result_version,
            ledger_epoch: "1".to_owned(),
            totals: sums.into_iter().map(total).collect(),
            open_holds,
            digest: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

/// One partition, its reconciler and its one partner.
struct Street {
    lane: Lane,
    wallet: Wallet,
    reconciler: Reconciler,
    now: Millis,
}

fn fresh() -> Reconciler {
    Reconciler::new(ReconcilerOptions {
        partitions: [0].into(),
        rounds_from: vec![0; 12],
        counts: Partitions::CLUSTER,
        close_after_ms: 60_000,
        stale_ms: 900_000,
        repeat_ms: 86_400_000,
        look_ms: 1_000,
    })
}

fn bets() -> BTreeMap<&'static str, Bet> {
    let selections = [
        ("won", "odd"),
        ("won too", "odd"),
        ("lost", "even"),
        ("void", "6"),
        ("yen", "odd"),
        ("cancelled", "odd"),
        ("rejected", "odd"),
    ];
    let bet = |(name, selection)| {
        let mut bet = bet(name, selection);
        if name == "yen" {
            bet.stake = Money::new(5_000, "JPY".parse().unwrap(), 0).unwrap();
        }
        (name, bet)
    };
    selections.map(bet).into()
}

/// A round that was corrected once; every bet is final, and the partner has what it was told.
fn finished() -> Street {
    let mut lane = Lane::default();
    let bets = bets();
    lane.open();
    for (name, bet) in &bets {
        match *name {
            "rejected" => {
                lane.intent(bet);
            }
            _ => lane.held(bet),
        }
    }
    lane.cancel(&bets["cancelled"]);
    lane.close();
    lane.outcome(1, "2");
    let named = |name: &str| vec![name.parse::<Selection>().unwrap()];
    lane.version(2, Outcome::Named { won: named("odd"), void: named("6") });
    lane.settle();
    let mut street =
        Street { lane, wallet: Wallet::default(), reconciler: fresh(), now: 1_000_000 };
    street.deliver();
    street
}

impl Street {
    /// The partner gets everything that was said so far, and its final answers are facts.
    fn deliver(&mut self) {
        let said: Vec<Settlement> = self
            .lane
            .written
            .iter()
            .filter(|append| append.topic.0 == SETTLEMENTS)
            .map(|append| Settlement::decode(&append.value).unwrap())
            .collect();
        for settlement in said {
            self.wallet.apply(&settlement);
            let bets = bets();
            let bet = bets.values().find(|bet| bet.id == settlement.bet).unwrap();
            answered(&mut self.lane, bet, settlement.revision, DeliveryOutcome::Applied);
        }
    }

    /// Version `version` of the round is read, long after its bets.
    fn read(&mut self, version: u32) {
        self.feed(admitted(1_000, version));
    }

    /// Looks at the round, as late as it is to be looked at.
    fn look(&mut self) {
        self.now += LATER_MS;
        self.feed(Input::Timer { token: 0 });
    }

    fn feed(&mut self, input: Input<Reconciler>) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for effect in self.reconciler.handle(self.now, input) {
                match effect {
                    Effect::Load { token, scope } => {
                        let facts = self.lane.facts.iter().filter(|(key, _)| key.scope == scope);
                        let fact = |(key, body): (&FactKey, &Bytes)| Fact {
                            key: key.clone(),
                            body: body.clone(),
                        };
                        inputs.push(Input::Loaded { token, facts: facts.map(fact).collect() });
                    }
                    Effect::Apply { token, batch } => {
                        self.lane.apply(batch);
                        inputs.push(Input::Applied { token });
                    }
                    Effect::Call { token, call } => {
                        assert_eq!(call.partner, partner());
                        let answer = self.wallet.answer(&call);
                        inputs.push(Input::Answered { token, answer });
                    }
                    Effect::Alarm(alarm) => self.lane.alarms.push(alarm),
                    Effect::Timer { .. } => {}
                    Effect::Peek { .. } | Effect::Reply { .. } => panic!("not asked"),
                }
            }
        }
    }

    fn cases(&self) -> Vec<CaseRecord> {
        let records = self.lane.written.iter().filter(|append| append.topic.0 == CASES);
        records.map(|append| frame::decode(&append.value).unwrap()).collect()
    }

    fn closes(&self) -> Vec<CloseRecord> {
        let facts = self.lane.facts.iter().filter(|(key, _)| key.kind == CLOSE);
        facts.map(|(_, body)| frame::decode(body).unwrap()).collect()
    }

    /// Closes in which the partner said the same, at this version.
    fn same_at(&self, version: i64) -> usize {
        let same = |close: &CloseRecord| close.case_id.is_none() && close.result_version == version;
        self.closes().into_iter().filter(same).count()
    }

    fn standing(&mut self) -> Standing {
        let asked = Input::Request { token: 7, request: ReconcilerAsk::Standings };
        match &self.reconciler.handle(self.now, asked)[..] {
            [Effect::Reply { reply: ReconcilerTold::Standings(standings), .. }, ..] => {
                standings.get(&partner()).cloned().unwrap_or_default()
            }
            other => panic!("{other:?}"),
        }
    }

    fn row(&mut self, name: &str) -> &mut RowBody {
        self.wallet.rows.get_mut(bets()[name].id.as_str()).unwrap()
    }

    fn asked(&self) -> usize {
        self.wallet.asked.len()
    }
}

fn status(status: u16) -> CloseAnswer {
    Ok(HttpAnswer { status, retry_after_ms: None, body: Bytes::new() })
}

#[test]
fn a_finished_round_is_closed_once_for_each_version() {
    let mut street = finished();
    street.read(2);
    assert_eq!((street.same_at(2), street.asked()), (1, 1));
    let CloseAsk::Close(body) = &street.wallet.asked[0] else {
        panic!("{:?}", street.wallet.asked)
    };
    let request: CloseRequest = serde_json::from_slice(body).unwrap();
    let total = |currency: &str| request.totals.iter().find(|t| t.currency == currency).unwrap();
    let (eur, jpy) = (total("EUR"), total("JPY"));
    assert_eq!((eur.bets, eur.stake.as_str(), eur.payout.as_str()), (4, "4000", "5000"));
    assert_eq!((eur.voided, eur.parked, request.open_holds), (1, 0, 0));
    assert_eq!((jpy.bets, jpy.stake.as_str(), jpy.payout.as_str()), (1, "5000", "12500"));
    street.look();
    // Whoever comes later knows it from the fact.
    street.reconciler = fresh();
    street.read(2);
    street.look();
    assert_eq!((street.closes().len(), street.asked()), (1, 1), "it was closed before");
    assert_eq!(street.standing(), Standing::default());

    street.lane.outcome(3, "2");
    street.lane.settle();
    street.deliver();
    street.read(3);
    street.look();
    assert_eq!((street.same_at(3), street.asked()), (1, 2), "a correction is closed too");
    assert!(street.cases().is_empty() && street.lane.alarms.is_empty());
}

/// Nothing is asked before every settlement and void has its answer, or is set aside.
#[test]
fn what_is_owed_or_not_heard_of_yet_holds_up_the_close() {
    for name in ["won", "cancelled", "rejected"] {
        let mut street = finished();
        let id = bets()[name].id.to_string();
        street.lane.facts.retain(|key, _| key.kind != DELIVERED || key.subject != id);
        street.read(2);
        street.look();
        let standing = street.standing();
        assert_eq!((street.asked(), standing.unclosed), (0, 1), "{name}");
        assert_eq!(
            (standing.unclosed_since, standing.unconfirmed_since),
            (Some(1_000), Some(1_000))
        );
        // Won 25.00 of 10.00, which are held; a final void moves the stake.
        let moves = if name == "won" { 2_500 } else { 1_000 };
        assert_eq!(standing.in_flight[&"EUR".parse().unwrap()], moves, "{name}");
        street.deliver();
        street.look();
        assert_eq!(street.same_at(2), 1, "{name}");
    }
    // The settler is behind: version 3 was admitted and is not in this partition.
    let mut street = finished();
    street.read(3);
    street.look();
    assert_eq!((street.asked(), street.standing().unclosed), (0, 1));
}

#[test]
fn parked_bets_are_listed_and_not_compared() {
    let mut street = finished();
    let id = bets()["won"].id.clone();
    street.lane.facts.retain(|key, _| key.kind != DELIVERED || key.subject != id.as_str());
    answered(&mut street.lane, &bets()["won"], 4, DeliveryOutcome::Parked);
    street.wallet.rows.remove(id.as_str());
    street.wallet.held(id.as_str(), bets()["won"].stake);
    street.read(2);
    let CloseAsk::Close(body) = &street.wallet.asked[0] else {
        panic!("{:?}", street.wallet.asked)
    };
    let request: CloseRequest = serde_json::from_slice(body).unwrap();
    assert_eq!(request.listed, [id.to_string()]);
    let eur = request.totals.iter().find(|total| total.currency == "EUR").unwrap();
    assert_eq!((eur.bets, eur.parked, request.open_holds), (3, 1, 1));
    assert_eq!(street.same_at(2), 1, "{:?}", street.cases());
    // It was sent again and taken: nothing is set aside any more, and that is another close.
    street.deliver();
    street.look();
    assert_eq!(street.same_at(2), 2);
    let CloseAsk::Close(body) = street.wallet.asked.last().unwrap() else { panic!() };
    assert!(serde_json::from_slice::<CloseRequest>(body).unwrap().listed.is_empty());

    // Another bet than the parked one is still compared.
    let mut street = finished();
    street.lane.facts.retain(|key, _| key.kind != DELIVERED || key.subject != id.as_str());
    answered(&mut street.lane, &bets()["won"], 4, DeliveryOutcome::Parked);
    street.row("lost").revision = 3;
    street.read(2);
    street.look();
    assert_eq!(street.cases().len(), 1);
    assert!(street.cases()[0].text.contains(bets()["lost"].id.as_str()));
    assert_eq!(street.same_at(2), 0);
}

#[test]
fn a_difference_is_a_case_that_ends_when_the_partner_agrees() {
    let mut street = finished();
    let before = street.row("won").clone();
    street.row("won").payout.as_mut().unwrap().units = "2400".to_owned();
    street.read(2);
    assert!(street.cases().is_empty(), "what was seen once may be on its way");
    street.look();
    let cases = street.cases();
    let [case] = &cases[..] else { panic!("{cases:?}") };
    let id = bets()["won"].id.to_string();
    assert_eq!((case.step, case.code.as_str(), case.bet_id.as_ref()), (1, "close_rows", Some(&id)));
    assert_eq!((case.revision, case.round_id.as_deref()), (Some(4), Some(round().as_str())));
    let said = "settled at revision 4, stake 1000 EUR, payout 2500 here, settled at revision 4, stake \
                1000 EUR (exponent 2), payout 2400 EUR (exponent 2) there";
    assert!(case.text.contains(said), "{}", case.text);
    assert!(street.lane.alarmed("round_differs"));
    let standing = street.standing();
    assert_eq!((standing.unclosed, standing.cases), (1, 0), "as it was looked at before");
    street.look();
    street.look();
    assert_eq!((street.cases().len(), street.standing().cases), (1, 1), "said once");
    // A restart forgets nothing.
    street.reconciler = fresh();
    street.read(2);
    street.look();
    street.look();
    assert_eq!((street.cases().len(), street.closes().len(), street.same_at(2)), (1, 1, 0));

    *street.row("won") = before;
    street.look();
    let cases = street.cases();
    let [opened, ended] = &cases[..] else { panic!("{cases:?}") };
    assert_eq!((ended.step, &ended.case_id, ended.code.as_str()), (2, &opened.case_id, "resolved"));
    street.look();
    assert_eq!((street.same_at(2), street.cases().len(), street.standing().cases), (1, 2, 0));
}

#[test]
fn a_correction_ends_the_case_of_the_version_before() {
    let mut street = finished();
    street.row("lost").status = RowStatus::Voided;
    street.read(2);
    street.look();
    street.lane.outcome(3, "2");
    street.lane.settle();
    street.deliver();
    street.read(3);
    street.look();
    let steps: Vec<i64> = street.cases().iter().map(|case| case.step).collect();
    assert_eq!((steps, street.same_at(3)), (vec![1, 2], 1));
}

#[test]
fn holds_and_sums_that_nobody_can_explain_are_cases_of_their_own() {
    let mut street = finished();
    street.wallet.held("r1:forgotten", Money::new(900, "EUR".parse().unwrap(), 2).unwrap());
    street.read(2);
    street.look();
    let cases = street.cases();
    assert_eq!((cases.len(), cases[0].code.as_str()), (1, "close_holds"));
    assert_eq!(cases[0].bet_id.as_deref(), Some("r1:forgotten"));

    let mut street = finished();
    street.wallet.miscounts = true;
    street.read(2);
    street.look();
    let cases = street.cases();
    assert_eq!((cases.len(), cases[0].code.as_str()), (1, "close_unexplained"));
    assert!(cases[0].text.contains("every row is as it should be"), "{}", cases[0].text);
}

/// Only a whole 200 that echoes round and version is an answer, and who does not answer is asked ever later.
#[test]
fn what_is_no_answer_says_nothing_and_is_asked_again_later() {
    let echo = |text: &str| -> CloseAnswer {
        let body = Bytes::copy_from_slice(text.as_bytes());
        Ok(HttpAnswer { status: 200, retry_after_ms: None, body })
    };
    let other = r#"{"round_id":"r2","result_version":2,"totals":[],"open_holds":0,"digest":""}"#;
    let older = r#"{"round_id":"r1","result_version":1,"totals":[],"open_holds":0,"digest":""}"#;
    for instead in [
        status(500),
        status(404),
        status(302),
        Err(CallError::Timeout),
        Err(CallError::TooLarge),
        echo("<html>ok</html>"),
        echo("{}"),
        echo(other),
        echo(older),
    ] {
        let mut street = finished();
        street.wallet.instead = Some(instead.clone());
        street.read(2);
        street.look();
        street.look();
        assert!(street.closes().is_empty() && street.cases().is_empty(), "{instead:?}");
        assert_eq!((street.asked(), street.standing().unclosed), (3, 1), "{instead:?}");
        street.wallet.instead = None;
        street.look();
        assert_eq!(street.same_at(2), 1, "{instead:?}");
    }
}

#[test]
fn a_partner_that_fails_is_left_alone_for_longer_each_time() {
    let mut street = finished();
    street.wallet.instead = Some(status(503));
    street.read(2);
    let mut waits = Vec::new();
    for _ in 0..4 {
        let (before, asked) = (street.now, street.asked());
        while street.asked() == asked {
            street.now += 1_000;
            street.feed(admitted(1_000, 2));
        }
        waits.push(street.now - before);
    }
    assert_eq!(waits, [1_000, 2_000, 4_000, 8_000]);
    street.wallet.instead =
        Some(Ok(HttpAnswer { status: 503, retry_after_ms: Some(300_000), body: Bytes::new() }));
    street.now += 16_000;
    street.feed(admitted(1_000, 2));
    let asked = street.asked();
    street.now += 299_000;
    street.feed(admitted(1_000, 2));
    assert_eq!(street.asked(), asked, "it asked for five minutes");
    street.now += 1_000;
    street.feed(admitted(1_000, 2));
    assert_eq!(street.asked(), asked + 1);
}

/// The records of a case are acknowledged before the fact that says so.
#[test]
fn a_case_that_may_be_lost_is_said_again() {
    let mut street = finished();
    street.row("won").revision = 3;
    street.read(2);
    street.now += LATER_MS;
    let mut inputs = vec![Input::Timer { token: 0 }];
    let mut failed = 0;
    while let Some(input) = inputs.pop() {
        for effect in street.reconciler.handle(street.now, input) {
            match effect {
                Effect::Load { token, scope } => {
                    let facts = street.lane.facts.iter().filter(|(key, _)| key.scope == scope);
                    let fact = |(key, body): (&FactKey, &Bytes)| Fact {
                        key: key.clone(),
                        body: body.clone(),
                    };
                    inputs.push(Input::Loaded { token, facts: facts.map(fact).collect() });
                }
                Effect::Apply { token, batch } => {
                    assert!(batch.facts.is_empty(), "the record comes first: {batch:?}");
                    failed += 1;
                    let error = runtime::EngineError::Unavailable("told to fail".to_owned());
                    inputs.push(Input::Failed { token, error });
                }
                Effect::Call { token, call } => {
                    let answer = street.wallet.answer(&call);
                    inputs.push(Input::Answered { token, answer });
                }
                Effect::Alarm(_) | Effect::Timer { .. } => {}
                Effect::Peek { .. } | Effect::Reply { .. } => panic!("not asked"),
            }
        }
    }
    assert_eq!((failed, street.closes().len()), (1, 0));
    street.look();
    street.look();
    assert_eq!((street.cases().len(), street.closes().len()), (1, 1));
}

/// A partner whose page never ends, or runs backwards, is not believed, and not asked for ever.
#[test]
fn pages_of_no_order_are_no_answer() {
    let mut street = finished();
    street.row("won").revision = 3;
    let ids: BTreeSet<String> = street.wallet.rows.keys().cloned().collect();
    let first = ids.first().unwrap().clone();
    // The same row under two names: its page says it twice.
    let twice = street.wallet.rows[&first].clone();
    street.wallet.rows.insert(format!("{first}x"), twice);
    street.read(2);
    street.look();
    street.look();
    assert!(street.closes().is_empty() && street.cases().is_empty());
    assert_eq!(street.standing().unclosed, 1);
}

/// Conservation is 0, and is not 0 once the accounts of a round do not add up.
#[test]
fn the_accounts_add_up_or_show_by_how_much_they_do_not() {
    let mut street = finished();
    let id = bets()["won"].id.to_string();
    street.lane.facts.retain(|key, _| key.kind != DELIVERED || key.subject != id);
    street.read(2);
    let gap = street.standing().gap;
    assert!(!gap.is_empty() && gap.values().all(|units| *units == 0), "{gap:?}");
    // An answer to a revision that was never said: what the partner was told is not known.
    answered(&mut street.lane, &bets()["won"], 9, DeliveryOutcome::Applied);
    street.look();
    assert_eq!(street.standing().gap[&"EUR".parse().unwrap()], 1_500);
}

/// Each partner is closed by itself: the one that hangs waits alone.
#[test]
fn a_partner_that_hangs_holds_up_no_other_partner() {
    let mut street = finished();
    let other: schemas::PartnerId = "bolt".parse().unwrap();
    let mut lane = Lane::default();
    let theirs = Bet { partner: other.clone(), ..bet("theirs", "odd") };
    lane.open();
    lane.held(&bets()["won"]);
    lane.held(&theirs);
    lane.close();
    lane.outcome(1, "3");
    lane.settle();
    street.lane = lane;
    for bet in [&bets()["won"], &theirs] {
        answered(&mut street.lane, bet, 3, DeliveryOutcome::Applied);
    }
    let mut inputs = vec![admitted(1_000, 1)];
    let mut asked = BTreeMap::new();
    while let Some(input) = inputs.pop() {
        for effect in street.reconciler.handle(street.now, input) {
            match effect {
                Effect::Load { token, scope } => {
                    let facts = street.lane.facts.iter().filter(|(key, _)| key.scope == scope);
                    let fact = |(key, body): (&FactKey, &Bytes)| Fact {
                        key: key.clone(),
                        body: body.clone(),
                    };
                    inputs.push(Input::Loaded { token, facts: facts.map(fact).collect() });
                }
                Effect::Call { token, call } => {
                    asked.insert(call.partner.clone(), (token, call));
                }
                Effect::Apply { token, batch } => {
                    street.lane.apply(batch);
                    inputs.push(Input::Applied { token });
                }
                Effect::Timer { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        // acme never answers.
        if inputs.is_empty()
            && let Some((token, call)) = asked.remove(&other)
        {
            let settlements = street.lane.settlements(&theirs);
            let mut wallet = Wallet::default();
            settlements.iter().for_each(|settlement| wallet.apply(settlement));
            inputs.push(Input::Answered { token, answer: wallet.answer(&call) });
        }
    }
    let closed: Vec<String> = street.closes().into_iter().map(|close| close.partner_id).collect();
    assert_eq!(closed, ["bolt"]);
    assert!(asked.contains_key(&partner()), "acme was asked, and hangs");
}
