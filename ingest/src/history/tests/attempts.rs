//! Attempts: of settlements with the records of tiers and answers, of stakes with rows of their own.

use super::*;
use crate::history::stakes::StakeAttempts;
use runtime::{ApplyError, Assignments, Change, Engine, Lease, Reader, RecordLog};
use schemas::attempts::Attempt;
use schemas::facts::{HISTORY_ATTEMPTS, HISTORY_DELIVERY, HISTORY_PLACE};
use schemas::frame;
use schemas::wire::{HistoryRecord, StoryRecord};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const FAILED: &str = "1 1793000001000 12 500 server_error, 2 1793000001130 2000 - timeout";
const MORE: &str = "1 1793000001000 12 500 server_error, 2 1793000001130 2000 - timeout, \
                    3 1793000008200 9 503 busy";

fn told(story: &Story, revision: u32) -> (i64, String) {
    let tried = story.tried.get(&revision).cloned().unwrap_or_default();
    (tried.count, tried.log.to_string())
}

/// Records of two tiers stand at one offset, and say different things of one settlement.
#[test]
fn what_is_owed_tells_what_was_tried() {
    let (bet, mut log) = (bet("ref"), Log::default());
    log.decide(&bet, Verdict::Accepted);
    log.settle(&bet, 3, Target::Voided);
    log.owe(&bet, RetryTier::S5, FAILED, true);
    assert_eq!(told(&log.all_rows().story(&bet.id), 3), (2, FAILED.to_owned()));
    log.owe(&bet, RetryTier::S30, MORE, true);
    let story = log.all_rows().story(&bet.id);
    assert_eq!((told(&story, 3), story.ended(3)), ((3, MORE.to_owned()), None));
    assert_eq!(log.all_rows().0.keys().filter(|key| key.kind == HISTORY_ATTEMPTS).count(), 2);
}

/// What a partner that is away is owed passes through the tiers in numbers: it is no row, and no write of its own.
#[test]
fn what_was_not_tried_is_passed() {
    let (bet, mut log) = (bet("ref"), Log::default());
    for _ in 0..500 {
        log.owe(&bet, RetryTier::S5, FAILED, false);
    }
    let source = Source { topic: Topic(RetryTier::S5.topic()), partition: partition() };
    let mut world = World::new(log.sources());
    world.read(source, log.topics[&source].clone());
    assert_eq!(world.batch.as_ref().map(|batch| batch.facts.concat()), Some(Vec::new()));
    world.apply(1);
    assert_eq!((world.stored[&source], world.rows.0.len()), (500, 0));
    world.wake();
    assert!(world.batch.is_none());
}

/// The answer has all of them, also where the tier's records were not read.
#[test]
fn an_answer_tells_its_attempts_and_rows_of_earlier_builds_are_read() {
    let (bet, mut log) = (bet("ref"), Log::default());
    log.settle(&bet, 3, Target::Voided);
    log.deliver(&bet, 3, DeliveryOutcome::Applied, "3");
    let source = Source { topic: Topic(schemas::catalogue::DELIVERIES), partition: partition() };
    let without = log.all_rows();
    assert_eq!(told(&without.story(&bet.id), 3), (3, String::new()));
    let record = log.topics.get_mut(&source).unwrap().last_mut().unwrap();
    let headers = record.headers.iter().chain([(HEADER_ATTEMPT_LOG, MORE)]);
    record.headers = headers.collect();
    let story = log.all_rows().story(&bet.id);
    assert_eq!(told(&story, 3), (3, MORE.to_owned()));
    assert_eq!(story.ended(3).unwrap().said.attempt_log, Attempts::read(MORE));
    // As the builds wrote it that did not tell attempts.
    let mut before = without.clone();
    for (key, body) in before.0.iter_mut().filter(|(key, _)| key.kind != HISTORY_PLACE) {
        let StoryRecord { logged_at, attempts, value, .. } = StoryRecord::read(body).unwrap();
        assert_eq!(attempts, (key.kind == HISTORY_DELIVERY).then_some(3));
        *body = frame::encode(&HistoryRecord { logged_at, attempts, value }).unwrap().into();
    }
    assert_ne!(before, without);
    assert_eq!(before.story(&bet.id), without.story(&bet.id));
}

/// A store that takes some writes and refuses others, and no log.
#[derive(Clone, Default)]
struct Store {
    rows: Arc<Mutex<Rows>>,
    writes: Arc<Mutex<Vec<usize>>>,
    refused: Arc<Mutex<u32>>,
}

impl FactStore for Store {
    async fn scan(&self, scope: Scope) -> Result<Vec<Fact>, EngineError> {
        Ok(self.rows.lock().unwrap().of(|key| key.scope == scope))
    }

    async fn about(
        &self,
        scope: Scope,
        lane: String,
        subject: String,
    ) -> Result<Vec<Fact>, EngineError> {
        let rows = self.rows.lock().unwrap().clone();
        rows.about(scope, lane, subject).await
    }
}

struct Nothing;

impl Reader for Nothing {
    async fn next(&mut self, _: usize) -> Result<(Vec<Record>, u64), EngineError> {
        std::future::pending().await
    }
}

impl Assignments for Nothing {
    async fn next(&mut self) -> Result<Change, EngineError> {
        std::future::pending().await
    }
}

impl RecordLog for Store {
    type Reader = Nothing;
    type Assignments = Nothing;

    async fn append(&self, _: Vec<Append>) -> Result<(), EngineError> {
        Err(EngineError::Closed)
    }

    fn reader(&self, _: Source, _: u64) -> Nothing {
        Nothing
    }

    fn partitions(&self, _: Topic) -> u32 {
        0
    }

    async fn range(&self, _: Source) -> Result<(u64, u64), EngineError> {
        Ok((0, 0))
    }

    async fn stored(&self, _: &'static str, _: Source) -> Result<Option<u64>, EngineError> {
        Ok(None)
    }

    fn join(&self, _: &'static str, _: Topic) -> Nothing {
        Nothing
    }
}

impl Engine for Store {
    async fn apply(&self, lease: Option<&Lease>, batch: Batch) -> Result<(), ApplyError> {
        assert_eq!((lease, batch.records.len(), batch.offsets.len()), (None, 0, 0));
        let facts = batch.facts.concat();
        self.writes.lock().unwrap().push(facts.len());
        // Also what is refused may stand.
        self.rows.lock().unwrap().write(facts);
        let mut refused = self.refused.lock().unwrap();
        if *refused == 0 {
            return Ok(());
        }
        *refused -= 1;
        Err(EngineError::Unavailable("it is away".to_owned()))
    }
}

fn stake(number: u32, outcome: &'static str) -> Attempt {
    let at = PLACED_AT + 100 * i64::from(number);
    Attempt { at, number, latency_ms: 5, status: Some(500), outcome: outcome.into() }
}

#[tokio::test(start_paused = true)]
async fn stakes_are_told_in_few_writes_and_again_after_a_failure() {
    let (store, stakes) = (Store::default(), StakeAttempts::default());
    *store.refused.lock().unwrap() = 2;
    for number in 1..=3 {
        stakes.note(bet("ref").id, stake(number, "server_error"));
    }
    for number in 0..600 {
        stakes.note(bet(&number.to_string()).id, stake(1, "busy"));
    }
    let kept = stakes.keep(&store, PARTITIONS);
    assert!(tokio::time::timeout(Duration::from_secs(60), kept).await.is_err());
    assert_eq!(*store.writes.lock().unwrap(), [250, 250, 250, 250, 103]);
    let story = store.rows.lock().unwrap().story(&bet("ref").id);
    let log = "1 1793000000100 5 500 server_error, 2 1793000000200 5 500 server_error, \
               3 1793000000300 5 500 server_error";
    assert_eq!(told(&story, 1), (3, log.to_owned()));
    assert_eq!(store.rows.lock().unwrap().0.len(), 603);
    // What came since is written at the end.
    stakes.note(bet("late").id, stake(1, "timeout"));
    stakes.flush(&store, PARTITIONS).await;
    assert_eq!(told(&store.rows.lock().unwrap().story(&bet("late").id), 1).0, 1);
}

/// A store that is away costs neither memory without end nor the calls.
#[tokio::test]
async fn what_does_not_fit_is_forgotten() {
    let (store, stakes) = (Store::default(), StakeAttempts::default());
    for number in 0..20_050 {
        stakes.note(bet("ref").id, stake(number, "busy"));
    }
    stakes.flush(&store, PARTITIONS).await;
    assert_eq!(told(&store.rows.lock().unwrap().story(&bet("ref").id), 1).0, 20_000);
}
