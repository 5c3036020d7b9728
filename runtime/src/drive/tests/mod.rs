mod probe;
mod toys;

use super::*;
use crate::{
    Assignments, Batch, Change, FactStore, RecordLog, Step, StoreOffset, SystemClock, Topic,
};
use probe::{IN, OUT, Probe};
use std::sync::atomic::Ordering;
use toys::{Copier, Issuer, Steps, append, fact, scope};

const GROUP: &str = "group";

fn at(topic: Topic, partition: u32) -> Source {
    Source { topic, partition }
}

/// Reads `count` values of `out`.
async fn out(engine: &Probe, partition: u32, count: usize) -> Vec<String> {
    let mut reader = engine.reader(at(OUT, partition), 0);
    let mut values = Vec::new();
    while values.len() < count {
        let (records, _) =
            timeout(Duration::from_secs(20), reader.next(1_000)).await.unwrap().unwrap();
        values.extend(records.iter().map(|it| String::from_utf8(it.value.to_vec()).unwrap()));
    }
    values
}

async fn feed(engine: &Probe, partition: u32, values: impl IntoIterator<Item = u32>) {
    let records = values.into_iter().map(|it| append(at(IN, partition), &it.to_string())).collect();
    engine.inner.append(records).await.unwrap();
}

async fn lease(engine: &Probe) -> (Lease, <Probe as RecordLog>::Assignments) {
    let mut member = engine.join(GROUP, IN);
    let Change::Assigned(lease) = member.next().await.unwrap() else { panic!("assigned first") };
    (lease, member)
}

fn store(lease: &Lease, offset: u64) -> Batch {
    let offsets = vec![StoreOffset { source: lease.source, offset }];
    Batch { facts: vec![vec![fact(0, offset, "f")]], offsets, ..Batch::default() }
}

fn unavailable() -> Option<EngineError> {
    Some(EngineError::Unavailable("told to fail".to_owned()))
}

/// Without this a batch behind a failed one stores an offset above effects that are not there (R3).
#[tokio::test]
async fn with_a_lease_nothing_behind_a_failed_batch_is_applied() {
    let engine = Probe::new(1);
    let (lease, _member) = lease(&engine).await;
    let machine = Issuer::new((1..=3).map(|offset| store(&lease, offset)).collect(), false);
    engine.fail_next([None, unavailable()]);
    let (_handle, requests) = Handle::channel();
    let shutdown = CancellationToken::new();
    let ended = drive(
        machine,
        engine.clone(),
        Some(lease),
        Arc::new(NoCalls),
        requests,
        SystemClock,
        shutdown,
    );
    assert!(matches!(ended.await, Err(DriveError::Apply(EngineError::Unavailable(_)))));
    assert_eq!(engine.stored(GROUP, at(IN, 0)).await, Ok(Some(1)));
    assert_eq!(engine.scan(scope(0)).await.unwrap(), [fact(0, 1, "f")]);
    assert_eq!(engine.state.in_flight_max.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn without_a_lease_records_become_few_requests_in_order() {
    // New work is appended, and so may be refused; what is under way is applied, and never is.
    few_requests(Batch::of_new_work, (5, 0)).await;
    few_requests(Batch::of_records, (0, 5)).await;
}

async fn few_requests(of: fn(Vec<crate::Append>) -> Batch, wanted: (usize, usize)) {
    let engine = Probe::new(1);
    let values: Vec<String> = (0..5_000).map(|index: u32| index.to_string()).collect();
    let batch = |value: &String| of(vec![append(at(OUT, 0), value)]);
    let machine = Issuer::new(values.iter().map(batch).collect(), true);
    let (handle, requests) = Handle::channel();
    let shutdown = CancellationToken::new();
    let drive = drive(
        machine,
        engine.clone(),
        None,
        Arc::new(NoCalls),
        requests,
        SystemClock,
        shutdown.clone(),
    );
    let asking = async {
        let ended = handle.ask(()).await.unwrap();
        shutdown.cancel();
        ended
    };
    let (exit, ended) = tokio::join!(drive, asking);
    assert_eq!(exit.unwrap(), Exit::Drained);
    assert_eq!(ended, (0..5_000).map(|token| (token, Ok(()))).collect::<Vec<_>>());
    assert_eq!(out(&engine, 0, 5_000).await, values);
    let appends = engine.state.appends.load(Ordering::SeqCst);
    assert_eq!((appends, engine.state.applies.load(Ordering::SeqCst)), wanted);
}

#[test]
fn what_closes_is_written_behind_what_was_said_and_the_offset_last() {
    let (first, last, said) = (fact(0, 1, "f"), fact(0, 2, "f"), append(at(OUT, 0), "v"));
    let offsets = vec![StoreOffset { source: at(IN, 0), offset: 1 }];
    let batch = Batch {
        offsets: offsets.clone(),
        closing: vec![last.clone()],
        facts: vec![vec![first.clone()], Vec::new()],
        ..Batch::of_records(vec![said.clone()])
    };
    let wanted = [
        Step::Facts(vec![first]),
        Step::Records(vec![said]),
        Step::Facts(vec![last]),
        Step::Offsets(offsets),
    ];
    assert_eq!(batch.steps(), wanted);
}

/// Without this what closes is lost where records are joined.
#[tokio::test]
async fn without_a_lease_what_closes_is_written_too() {
    let engine = Probe::new(1);
    let closing = |offset| Batch {
        closing: vec![fact(0, offset, "f")],
        ..Batch::of_records(vec![append(at(OUT, 0), "v")])
    };
    let machine = Issuer::new((1..=3).map(closing).collect(), true);
    let (handle, requests) = Handle::channel();
    let (calls, shutdown) = (Arc::new(NoCalls), CancellationToken::new());
    let drive = drive(machine, engine.clone(), None, calls, requests, SystemClock, shutdown);
    tokio::select! {
        ended = handle.ask(()) => assert_eq!(ended.unwrap().len(), 3),
        exit = drive => panic!("{exit:?}"),
    }
    assert_eq!(engine.scan(scope(0)).await.unwrap(), [1, 2, 3].map(|offset| fact(0, offset, "f")));
}

#[tokio::test]
async fn a_machine_that_survives_is_told_of_failures() {
    let engine = Probe::new(1);
    let full = EngineError::Full("told to fail".to_owned());
    engine.fail_next([Some(full.clone()), None]);
    let facts = Batch { facts: vec![vec![fact(0, 1, "f")]], ..Batch::default() };
    let records = Batch::of_records(vec![append(at(OUT, 0), "v")]);
    let machine = Issuer::new(vec![records, facts], true);
    let (handle, requests) = Handle::channel();
    let drive = drive(
        machine,
        engine.clone(),
        None,
        Arc::new(NoCalls),
        requests,
        SystemClock,
        CancellationToken::new(),
    );
    let mut ended = tokio::select! {
        ended = handle.ask(()) => ended.unwrap(),
        exit = drive => panic!("{exit:?}"),
    };
    ended.sort_by_key(|(token, _)| *token);
    assert_eq!(ended, [(0, Err(full)), (1, Ok(()))]);
}

struct Doubling;

impl Caller<Steps> for Doubling {
    async fn call(&self, call: u32) -> u32 {
        call * 2
    }
}

#[derive(Clone)]
struct PausedClock(tokio::time::Instant);

impl Clock for PausedClock {
    fn now(&self) -> crate::Millis {
        i64::try_from(self.0.elapsed().as_millis()).unwrap()
    }
}

#[tokio::test]
async fn calls_timers_and_loads_are_answered() {
    let engine = Probe::new(1);
    let facts = vec![fact(0, 1, "f"), fact(0, 2, "f")];
    engine.apply(None, Batch { facts: vec![facts], ..Batch::default() }).await.unwrap();
    tokio::time::pause();
    let clock = PausedClock(tokio::time::Instant::now());
    let (handle, requests) = Handle::channel();
    let (machine, shutdown) = (Steps { request: None }, CancellationToken::new());
    let drive = drive(machine, engine, None, Arc::new(Doubling), requests, clock, shutdown);
    let driven = tokio::spawn(drive);
    let (answer, facts, replied_at) = handle.ask(21).await.unwrap();
    assert_eq!((answer, facts), (42, 2));
    assert!((5_000..60_000).contains(&replied_at), "the nearer timer came first: {replied_at}");
    driven.abort();
    assert!(driven.await.unwrap_err().is_cancelled());
    assert_eq!(handle.ask(21).await, Err(Gone));
}

#[tokio::test]
async fn shutdown_waits_for_batches_in_flight() {
    let engine = Probe::new(1);
    let (lease, _member) = lease(&engine).await;
    let machine = Issuer::new((1..=3).map(|offset| store(&lease, offset)).collect(), false);
    engine.state.gate.forget_permits(usize::MAX);
    let (handle, requests) = Handle::channel();
    let shutdown = CancellationToken::new();
    let drive = drive(
        machine,
        engine.clone(),
        Some(lease),
        Arc::new(NoCalls),
        requests,
        SystemClock,
        shutdown.clone(),
    );
    let driven = tokio::spawn(drive);
    let asking = tokio::spawn(async move { handle.ask(()).await });
    while engine.state.applies.load(Ordering::SeqCst) < 1 {
        tokio::task::yield_now().await;
    }
    shutdown.cancel();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!driven.is_finished(), "a batch is still in flight");
    engine.state.gate.add_permits(3);
    assert_eq!(driven.await.unwrap().unwrap(), Exit::Drained);
    assert_eq!(engine.stored(GROUP, at(IN, 0)).await, Ok(Some(3)));
    let ended = asking.await.unwrap();
    assert!(ended.is_err() || ended.unwrap().len() == 3);
}

type Supervised = tokio::task::JoinHandle<Result<(), EngineError>>;

fn supervised(engine: &Probe, alive: &Arc<()>) -> (Supervised, Handles<Copier>, CancellationToken) {
    let (handles, shutdown) = (Handles::default(), CancellationToken::new());
    let alive = Arc::clone(alive);
    let build = move |lease: Lease, positions: Vec<(Source, u64)>| {
        Copier::new(lease, positions[0].1, Arc::clone(&alive))
    };
    let job = Job { group: GROUP, topic: IN, also: vec![OUT] };
    let supervise = supervise(
        engine.clone(),
        job,
        build,
        Arc::new(NoCalls),
        handles.clone(),
        SystemClock,
        shutdown.clone(),
    );
    (tokio::spawn(supervise), handles, shutdown)
}

/// A machine that failed is built again from the stored offset, and has forgotten what it knew (R4).
#[tokio::test]
async fn a_failed_machine_is_built_again() {
    let engine = Probe::new(1);
    let alive = Arc::new(());
    let (supervised, handles, shutdown) = supervised(&engine, &alive);
    feed(&engine, 0, [1]).await;
    assert_eq!(out(&engine, 0, 1).await, ["1/1"]);
    engine.fail_next([unavailable(), unavailable()]);
    feed(&engine, 0, [2]).await;
    assert_eq!(out(&engine, 0, 2).await, ["1/1", "2/1"]);
    let handle = handles.get(0).unwrap();
    assert_eq!(handle.ask(()).await, Ok(1));
    shutdown.cancel();
    assert_eq!(supervised.await.unwrap(), Ok(()));
    assert_eq!(Arc::strong_count(&alive), 1, "no machine is left");
    assert_eq!(engine.stored(GROUP, at(IN, 0)).await, Ok(Some(2)));
}

/// Two members share the partitions; when one goes the other goes on where it stopped, with new machines.
#[tokio::test]
async fn partitions_move_between_members() {
    let engine = Probe::new(4);
    let alive = Arc::new(());
    let (one, handles_of_one, shutdown_one) = supervised(&engine, &alive);
    for partition in 0..4 {
        feed(&engine, partition, [1]).await;
        assert_eq!(out(&engine, partition, 1).await, ["1/1"]);
    }
    let (other, handles_of_other, shutdown_other) = supervised(&engine, &alive);
    let owned = |handles: &Handles<Copier>| (0..4).filter(|it| handles.get(*it).is_some()).count();
    // Four machines, two closures that build them, and this test. Nothing is fed meanwhile: a machine
    // that should be gone would find out for itself that it is fenced.
    let moved = timeout(Duration::from_secs(20), async {
        while owned(&handles_of_other) != 2 || Arc::strong_count(&alive) != 7 {
            tokio::task::yield_now().await;
        }
    });
    moved.await.expect("the machines of revoked partitions are dropped");
    assert_eq!(owned(&handles_of_one), 2);
    for partition in 0..4 {
        feed(&engine, partition, [2]).await;
        let second = out(&engine, partition, 2).await.remove(1);
        assert!(["2/1", "2/2"].contains(&second.as_str()), "{second}");
    }
    shutdown_one.cancel();
    assert_eq!(one.await.unwrap(), Ok(()));
    for partition in 0..4 {
        feed(&engine, partition, [3]).await;
        let third = out(&engine, partition, 3).await.remove(2);
        assert!(["3/1", "3/2"].contains(&third.as_str()), "{third}");
        assert_eq!(engine.scan(scope(partition)).await.unwrap().len(), 3);
    }
    shutdown_other.cancel();
    assert_eq!(other.await.unwrap(), Ok(()));
    assert_eq!(Arc::strong_count(&alive), 1, "no machine is left");
}

#[tokio::test]
async fn a_source_is_read_only_while_the_machine_is_ready() {
    let engine = Probe::new(1);
    engine.state.gate.forget_permits(usize::MAX);
    let alive = Arc::new(());
    let (supervised, handles, shutdown) = supervised(&engine, &alive);
    feed(&engine, 0, [1]).await;
    while engine.state.applies.load(Ordering::SeqCst) < 1 {
        tokio::task::yield_now().await;
    }
    feed(&engine, 0, [2]).await;
    let handle = handles.get(0).unwrap();
    for _ in 0..50 {
        assert_eq!(handle.ask(()).await, Ok(1), "its batch is still in flight");
    }
    engine.state.gate.add_permits(2);
    assert_eq!(out(&engine, 0, 2).await, ["1/1", "2/2"]);
    shutdown.cancel();
    assert_eq!(supervised.await.unwrap(), Ok(()));
}
