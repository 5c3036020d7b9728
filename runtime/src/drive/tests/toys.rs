//! Small machines.
#![expect(clippy::wildcard_enum_match_arm, reason = "a toy names the inputs it can get")]

use super::probe::{IN, KIND, OUT};
use crate::{
    Append, Batch, Effect, EngineError, Fact, FactKey, Input, Lease, Machine, Millis, Scope,
    Source, StoreOffset,
};
use bytes::Bytes;
use std::convert::Infallible;
use std::sync::Arc;

pub(super) fn append(source: Source, value: &str) -> Append {
    let Source { topic, partition } = source;
    let value = Bytes::from(value.to_owned());
    Append { topic, partition, key: Bytes::new(), headers: Vec::new(), value }
}

pub(super) fn scope(partition: u32) -> Scope {
    Scope { group: "round".to_owned(), topic: IN, partition }
}

/// Records that the copier takes at once.
const COPIED_MAX: usize = 2;

/// Copies each record of `in` to `out`, numbered by how many it has seen in its life; a fact for each.
#[derive(Debug)]
pub(super) struct Copier {
    lease: Lease,
    from: u64,
    seen: u64,
    in_flight: bool,
    /// Its strong count is the number of machines alive.
    _alive: Arc<()>,
}

impl Copier {
    pub(super) fn new(lease: Lease, from: u64, alive: Arc<()>) -> Self {
        Self { lease, from, seen: 0, in_flight: false, _alive: alive }
    }
}

impl Machine for Copier {
    type Call = Infallible;
    type Answer = Infallible;
    type Request = ();
    type Reply = u64;

    fn sources(&self) -> Vec<(Source, u64)> {
        vec![(self.lease.source, self.from)]
    }

    fn handle(&mut self, _now: Millis, input: Input<Self>) -> Vec<Effect<Self>> {
        match input {
            Input::Records { source, records, .. } => {
                assert!(records.len() <= COPIED_MAX, "no more than it asked for");
                let mut batch =
                    Batch { facts: vec![vec![]], records: vec![vec![]], ..Batch::default() };
                for record in &records {
                    self.seen += 1;
                    let text = String::from_utf8(record.value.to_vec()).unwrap();
                    let out = Source { topic: OUT, partition: source.partition };
                    batch.records[0].push(append(out, &format!("{text}/{}", self.seen)));
                    batch.facts[0].push(fact(source.partition, record.offset, &text));
                }
                let offset = records.last().unwrap().offset + 1;
                batch.offsets.push(StoreOffset { source, offset });
                self.in_flight = true;
                vec![Effect::Apply { token: 1, batch }]
            }
            Input::Applied { .. } => {
                self.in_flight = false;
                vec![]
            }
            Input::Request { token, request: () } => {
                vec![Effect::Reply { token, reply: self.seen }]
            }
            other => panic!("not expected: {other:?}"),
        }
    }

    fn ready_for(&self, _source: Source) -> bool {
        !self.in_flight
    }

    fn records_max(&self) -> usize {
        COPIED_MAX
    }
}

pub(super) fn fact(partition: u32, at: u64, text: &str) -> Fact {
    let (lane, subject) = (String::new(), text.to_owned());
    let key = FactKey { scope: scope(partition), lane, subject, kind: KIND, at, hash: [0; 16] };
    Fact { key, body: Bytes::from(text.to_owned()) }
}

/// Issues the given batches at once when it starts, and says on request how they ended.
#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) batches: Vec<Batch>,
    pub(super) survives: bool,
    ended: Vec<(u64, Result<(), EngineError>)>,
    asker: Option<u64>,
}

impl Issuer {
    pub(super) fn new(batches: Vec<Batch>, survives: bool) -> Self {
        Self { batches, survives, ended: Vec::new(), asker: None }
    }

    fn tell(&mut self) -> Vec<Effect<Self>> {
        let all = self.ended.len() == self.batches.len();
        let token = if all { self.asker.take() } else { None };
        let reply = self.ended.clone();
        token.map(|token| Effect::Reply { token, reply }).into_iter().collect()
    }
}

impl Machine for Issuer {
    type Call = Infallible;
    type Answer = Infallible;
    type Request = ();
    type Reply = Vec<(u64, Result<(), EngineError>)>;

    fn sources(&self) -> Vec<(Source, u64)> {
        vec![]
    }

    fn start(&mut self, _now: Millis) -> Vec<Effect<Self>> {
        let batches = (0..).zip(self.batches.clone());
        batches.map(|(token, batch)| Effect::Apply { token, batch }).collect()
    }

    fn handle(&mut self, _now: Millis, input: Input<Self>) -> Vec<Effect<Self>> {
        match input {
            Input::Applied { token } => self.ended.push((token, Ok(()))),
            Input::Failed { token, error } => self.ended.push((token, Err(error))),
            Input::Request { token, request: () } => self.asker = Some(token),
            other => panic!("not expected: {other:?}"),
        }
        self.tell()
    }

    fn ready_for(&self, _source: Source) -> bool {
        false
    }

    fn survives_failure(&self) -> bool {
        self.survives
    }
}

/// Answers a request after a call, a timer and a load, in this order.
#[derive(Debug)]
pub(super) struct Steps {
    pub(super) request: Option<(u64, u32)>,
}

impl Machine for Steps {
    type Call = u32;
    type Answer = u32;
    type Request = u32;
    type Reply = (u32, usize, Millis);

    fn sources(&self) -> Vec<(Source, u64)> {
        vec![]
    }

    fn handle(&mut self, now: Millis, input: Input<Self>) -> Vec<Effect<Self>> {
        match input {
            Input::Request { token, request } => {
                self.request = Some((token, request));
                vec![Effect::Call { token: 1, call: request }]
            }
            Input::Answered { token: 1, answer } => {
                self.request = self.request.map(|(token, _)| (token, answer));
                vec![
                    Effect::Timer { token: 3, at: now + 60_000 },
                    Effect::Timer { token: 2, at: now + 5_000 },
                ]
            }
            Input::Timer { token: 2 } => vec![Effect::Load { token: 4, scope: scope(0) }],
            Input::Loaded { token: 4, facts } => {
                let (token, answer) = self.request.unwrap();
                vec![Effect::Reply { token, reply: (answer, facts.len(), now) }]
            }
            other => panic!("not expected: {other:?}"),
        }
    }

    fn ready_for(&self, _source: Source) -> bool {
        false
    }
}
