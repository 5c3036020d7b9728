//! What nobody confirmed is said again, and all partitions learn of rounds from one reading.

use crate::house::{Ground, Street, WAIT_MAX, clean};
use crate::roles::part;
use crate::watched::Watched;
use roundhouse::rig::players::place_all;
use roundhouse::rig::watch::Watch;
use roundhouse::serve::Role;
use runtime::{Reader, Source, Topic};
use schemas::catalogue::{ROUNDS, SETTLEMENTS};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::time::{Instant, sleep};

on_every_engine!(what_nobody_confirmed_is_said_again_from_one_reading);

const BETS: usize = 80;
const LOOK_PERIOD: Duration = Duration::from_millis(100);
/// Who reads a partition of rounds in a process that has every role: its herald, the line, bet placing and
/// the reconciler.
const READERS: usize = 4;
/// One for each topic read, and some for readers that are far from each other; not one for each partition.
const CONSUMERS: usize = 8;

/// How often each settlement was said.
async fn said<E: Ground>(engine: &E) -> BTreeMap<String, usize> {
    let mut said = BTreeMap::new();
    for partition in 0..E::PARTITIONS.lanes {
        let source = Source { topic: Topic(SETTLEMENTS), partition };
        let (mut at, end) = engine.range(source).await.unwrap();
        let mut reader = engine.reader(source, at);
        while at < end {
            for record in reader.next(1_000).await.unwrap().0 {
                at = record.offset + 1;
                let key = String::from_utf8(record.key.to_vec()).unwrap();
                *said.entry(key).or_default() += 1;
            }
        }
    }
    said
}

async fn what_nobody_confirmed_is_said_again_from_one_reading<E: Ground>() {
    let mut street = Street::on::<E>(3, 81, &[]).await;
    street.config.reconciler.stale_s = 1;
    let engine = Watched::new(E::open(&street.config).await);
    let roles = [Role::Line, Role::Herald, Role::Bets, Role::Settler, Role::Reconciler];
    let (api, without_dispatcher) = part(&street, &engine, &roles).await;
    api.open_die("r", 60_000, 200).await.unwrap();
    let wagers = street.wagers("r", BETS, 1);
    place_all(&api, wagers, 16, &Arc::new(AtomicUsize::new(0))).await;
    api.close("r").await.unwrap();
    api.result("r", "3").await.unwrap();
    let begun = Instant::now();
    let first = loop {
        let said = said(&engine.inner).await;
        if !said.is_empty() && said.values().all(|times| 2 <= *times) {
            break said;
        }
        assert!(begun.elapsed() < WAIT_MAX, "not said again: {said:?}");
        sleep(LOOK_PERIOD).await;
    };
    for partition in 0..E::PARTITIONS.rounds {
        let readers = engine.readers(Source { topic: Topic(ROUNDS), partition });
        assert!(readers <= READERS, "{readers} readers of partition {partition} of rounds");
    }
    let consumers = engine.inner.consumers();
    assert!(consumers <= CONSUMERS, "{consumers} consumers fetch");

    let watch = Watch::start(engine.inner.clone());
    let (_, dispatcher) = part(&street, &engine, &[Role::Dispatcher]).await;
    assert!(watch.settled(WAIT_MAX).await, "still owed: {:?}", watch.seen().owed);
    drop(watch);
    assert_eq!(said(&engine.inner).await, first, "at most once in `repeat_s`");
    assert!(first.values().all(|times| *times == 2), "{first:?}");
    dispatcher.leave().await.unwrap();
    without_dispatcher.stop().await.unwrap();
    clean::<E>(&street).await;
}
