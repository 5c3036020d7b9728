//! One partition, its reconciler and a partner.
//!
//! The partner is rows that the settler's own settlements were applied to, one by one, and a digest written
//! out anew: it shares nothing with the books it is compared with.

use super::super::reconciling::{admitted, answered};
use super::super::{Lane, bet};
use crate::{
    CloseAnswer, CloseAsk, CloseCall, Reconciler, ReconcilerAsk, ReconcilerOptions, ReconcilerTold,
    Standing,
};
use bytes::Bytes;
use runtime::http::HttpAnswer;
use runtime::machine::{Effect, Input, Machine};
use runtime::{Batch, EngineError, Fact, FactKey, Millis};
use schemas::bets::Bet;
use schemas::catalogue::{CASES, SETTLEMENTS};
use schemas::contract::{
    CloseRequest, CloseResponse, CloseTotal, QueryRequest, QueryResponse, RoundBetsResponse,
    RowBody, RowStatus,
};
use schemas::facts::CLOSE;
use schemas::frame;
use schemas::outgoing::Partitions;
use schemas::rounds::Outcome;
use schemas::settlements::{Settlement, Target};
use schemas::wire::{CaseRecord, CloseRecord, DeliveryOutcome};
use schemas::{Money, PartnerId, Selection};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Ms in which each round is compared again: a day, and with one round in all it has the whole day.
pub(super) const CYCLE_MS: Millis = 24 * 60 * 60 * 1_000;
/// Longer than any wait between two looks.
pub(super) const LATER_MS: Millis = 11 * 60 * 1_000;

/// The partner's side: its rows, and what it was asked.
#[derive(Clone, Default)]
pub(super) struct Wallet {
    pub(super) rows: BTreeMap<String, RowBody>,
    pub(super) asked: Vec<CloseAsk>,
    /// Answers with this instead.
    pub(super) instead: Option<CloseAnswer>,
    /// Says all it says under this status.
    pub(super) status: Option<u16>,
    /// Sums its rows up wrongly.
    pub(super) miscounts: bool,
}

impl Wallet {
    pub(super) fn apply(&mut self, settlement: &Settlement) {
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

    pub(super) fn held(&mut self, bet: &str, stake: Money) -> &mut RowBody {
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
            CloseAsk::Query(body) => serde_json::to_vec(&self.query(body)).unwrap(),
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
        let status = self.status.unwrap_or(200);
        Ok(HttpAnswer { status, retry_after_ms: None, body: body.into() })
    }

    fn query(&self, body: &[u8]) -> QueryResponse {
        let request: QueryRequest = serde_json::from_slice(body).unwrap();
        let row = |bet_id: String| {
            let row = self.rows.get(&bet_id).cloned();
            row.unwrap_or_else(|| RowBody::absent(bet_id))
        };
        let rows = request.bet_ids.into_iter().map(row).collect();
        QueryResponse { ledger_epoch: "1".to_owned(), rows }
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
pub(super) struct Street {
    pub(super) lane: Lane,
    pub(super) wallet: Wallet,
    pub(super) reconciler: Reconciler,
    pub(super) now: Millis,
    /// A partner that never answers.
    pub(super) hangs: Option<PartnerId>,
    /// Whether the log is away; batches that failed since.
    pub(super) is_away: bool,
    pub(super) failed: Vec<Batch>,
}

pub(super) fn fresh() -> Reconciler {
    Reconciler::new(ReconcilerOptions {
        partitions: [0].into(),
        rounds_from: vec![0; 12],
        counts: Partitions::CLUSTER,
        close_after_ms: 60_000,
        stale_ms: 900_000,
        repeat_ms: 86_400_000,
        cycle_ms: CYCLE_MS,
        away: BTreeSet::new(),
        look_ms: 1_000,
    })
}

pub(super) fn bets() -> BTreeMap<&'static str, Bet> {
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
pub(super) fn finished() -> Street {
    let lane = played();
    let mut street = of(lane);
    street.deliver();
    street
}

/// A street whose partner was told nothing yet.
pub(super) fn of(lane: Lane) -> Street {
    Street {
        lane,
        wallet: Wallet::default(),
        reconciler: fresh(),
        now: 1_000_000,
        hangs: None,
        is_away: false,
        failed: Vec::new(),
    }
}

fn played() -> Lane {
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
    lane
}

impl Street {
    /// The partner gets everything that was said so far, and its final answers are facts.
    pub(super) fn deliver(&mut self) {
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
    pub(super) fn read(&mut self, version: u32) {
        self.feed(admitted(1_000, version));
    }

    /// Looks at the round, as late as it is to be looked at.
    pub(super) fn look(&mut self) {
        self.now += LATER_MS;
        self.look_now();
    }

    /// Waits for the next look of the cycle, and whatever is to be looked at then.
    pub(super) fn cycle(&mut self) {
        self.now += CYCLE_MS;
        self.look_now();
    }

    pub(super) fn look_now(&mut self) {
        self.feed(Input::Timer { token: 0 });
    }

    pub(super) fn feed(&mut self, input: Input<Reconciler>) {
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
                    Effect::Apply { token, batch } if self.is_away => {
                        self.failed.push(batch);
                        let error = EngineError::Unavailable("told to fail".to_owned());
                        inputs.push(Input::Failed { token, error });
                    }
                    Effect::Apply { token, batch } => {
                        self.lane.apply(batch);
                        inputs.push(Input::Applied { token });
                    }
                    Effect::Call { token, call } => {
                        let answer = self.wallet.answer(&call);
                        if self.hangs.as_ref() != Some(&call.partner) {
                            inputs.push(Input::Answered { token, answer });
                        }
                    }
                    Effect::Alarm(alarm) => self.lane.alarms.push(alarm),
                    Effect::Timer { .. } => {}
                    Effect::Peek { .. } | Effect::Reply { .. } => panic!("not asked"),
                }
            }
        }
    }

    pub(super) fn cases(&self) -> Vec<CaseRecord> {
        let records = self.lane.written.iter().filter(|append| append.topic.0 == CASES);
        records.map(|append| frame::decode(&append.value).unwrap()).collect()
    }

    pub(super) fn closes(&self) -> Vec<CloseRecord> {
        let facts = self.lane.facts.iter().filter(|(key, _)| key.kind == CLOSE);
        facts.map(|(_, body)| frame::decode(body).unwrap()).collect()
    }

    /// Closes in which the partner said the same, at this version.
    pub(super) fn same_at(&self, version: i64) -> usize {
        let same = |close: &CloseRecord| close.case_id.is_none() && close.result_version == version;
        self.closes().into_iter().filter(same).count()
    }

    pub(super) fn standing(&mut self) -> Standing {
        let asked = Input::Request { token: 7, request: ReconcilerAsk::Standings };
        match &self.reconciler.handle(self.now, asked)[..] {
            [Effect::Reply { reply: ReconcilerTold::Standings(standings), .. }, ..] => {
                standings.get(&super::super::partner()).cloned().unwrap_or_default()
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn row(&mut self, name: &str) -> &mut RowBody {
        self.wallet.rows.get_mut(bets()[name].id.as_str()).unwrap()
    }

    pub(super) fn asked(&self) -> usize {
        self.wallet.asked.len()
    }
}
