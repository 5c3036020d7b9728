//! Chaos on Kafka and a CQL store: processes killed and stopped for longer than their session, brokers and
//! nodes killed and stopped, groups shaken, wallets that fail; and not a cent is amiss.
//!
//! `ROUNDHOUSE_TEST_CHAOS_SECONDS` says for how long, `ROUNDHOUSE_TEST_SEED` with which chance; `cargo xtask chaos`
//! sets both.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod acts;
mod cast;
#[path = "../it/house.rs"]
#[expect(dead_code, reason = "shared with the tests of one process")]
mod house;
mod load;
#[path = "../it/second.rs"]
mod second;

use acts::Acts;
use cast::Cast;
use house::WAIT_MAX;
use partner_kit::faults::FaultSettings;
use roundhouse::audit::{audit, journal, load as books};
use roundhouse::rig::watch::Watch;
use roundhouse::serve::Opened;
use runtime::cluster::Cluster;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

const SEED: u64 = 4;
/// Longest time, once everything is whole again, until nothing is undecided or owed.
const REST_MAX: Duration = Duration::from_secs(240);

fn from_environment(name: &str, default: u64) -> u64 {
    let found = std::env::vars().find(|(found, _)| found == name);
    found.map_or(default, |(_, value)| value.parse().unwrap())
}

/// While the only broker or node is away nobody can write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_a_cent_is_amiss_on_one_of_each() {
    play(1, 200).await;
}

/// Two of three stay: leaders move, and the work goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_a_cent_is_amiss_on_three_of_each() {
    play(3, 100).await;
}

/// Plays with so many brokers and nodes.
async fn play(members: u16, seconds: u64) {
    // One at a time: the machine is to be busy with one.
    static ALONE: Mutex<()> = Mutex::const_new(());
    let _alone = ALONE.lock().await;
    let seconds = from_environment("ROUNDHOUSE_TEST_CHAOS_SECONDS", seconds);
    let seed = from_environment("ROUNDHOUSE_TEST_SEED", SEED);
    eprintln!("chaos: {seconds} s, seed {seed}, {members} brokers and nodes");
    let mut cast = Cast::open(seed, members).await;
    let begun = Instant::now();
    let stop = CancellationToken::new();
    let load = load::start(&cast, seed, &stop);
    let mut acts = Acts::new(seed);
    while acts.are_opening() || begun.elapsed() < Duration::from_secs(seconds) {
        let act = acts.next();
        eprintln!("chaos: {:>4} s: {act:?}", begun.elapsed().as_secs());
        if cast.play(act).await {
            acts.played(act);
        } else {
            eprintln!("chaos: nobody to play it");
        }
    }
    stop.cancel();
    cast.make_whole().await;
    cast.street.faults(FaultSettings::NONE).await;
    let (told, rounds) = load.await.unwrap();
    assert!(acts.are_all(), "not one of each kind: {acts}");
    eprintln!("chaos: {acts}; {rounds} rounds, {} bets told", told.len());

    let engine = cast.engine().await;
    let rested = Instant::now();
    let watch = Watch::start(engine.clone());
    let settled = watch.settled(REST_MAX).await;
    {
        let seen = watch.seen();
        assert!(settled, "undecided {:?}\nowed {:?}", seen.undecided, seen.owed);
    }
    drop(watch);
    eprintln!("chaos: at rest after {:.1} s", rested.elapsed().as_secs_f32());
    cast.stop().await;
    // What was handed over last is stored by now, and nobody writes any more.
    sleep(Duration::from_millis(200)).await;
    let mut books = books::read(&engine, Cluster::PARTITIONS).await.unwrap();
    books.journals =
        Some(journal::read_all(&[house::journals(cast.street.directory.path())]).unwrap());
    engine.close().await;
    let report = audit(&books, true).unwrap();
    eprintln!("{report}");
    assert!(report.clean, "seed {seed}: {report}");
    second::agrees(&books);
    load::as_told(&books, &told);
    assert!(begun.elapsed() < Duration::from_secs(seconds) + REST_MAX + WAIT_MAX);
}
