//! A power cut at every write and every sync.

use super::fault::Random;
use super::*;
use std::sync::Mutex;

const ROUNDS: u64 = 4;

/// What the outside knows when the power goes.
#[derive(Debug, Default)]
struct Known {
    /// Acknowledged appends to partition 1, in order.
    appended: Vec<String>,
    /// Acknowledged batches: the offset each stored.
    applied: Vec<u64>,
    /// What a reader of partition 1 of `other` saw, with its offset.
    seen: Vec<(u64, String)>,
    generation: u64,
}

/// Works until it is done or the disk is gone.
async fn work(engine: &Embedded, disk: &Disk, known: &mut Known) -> Result<(), EngineError> {
    let mut member = engine.join(GROUP, LOG);
    let mut lease = None;
    while lease.is_none() {
        let change = match timeout(Duration::from_millis(20), member.next()).await {
            Ok(change) => change?,
            Err(_) if disk.crashed() => return Err(EngineError::Closed),
            Err(_) => continue,
        };
        let Change::Assigned(found) = change else { panic!("revoked") };
        lease = Some(found).filter(|lease| lease.source.partition == 0);
    }
    let lease = lease.unwrap();
    known.generation = lease.generation;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let reading = tokio::spawn(read(engine.reader(source(OTHER, 1), 0), Arc::clone(&seen)));
    let worked = rounds(engine, &lease, known).await;
    reading.abort();
    known.seen = seen.lock().unwrap().clone();
    worked
}

async fn read(mut reader: EmbeddedReader, seen: Arc<Mutex<Vec<(u64, String)>>>) {
    while let Ok((records, _)) = reader.next(3).await {
        let records = records.iter().map(|it| it.offset).zip(values(&records));
        seen.lock().unwrap().extend(records);
    }
}

async fn rounds(engine: &Embedded, lease: &Lease, known: &mut Known) -> Result<(), EngineError> {
    let value = |round, index| format!("{round}/{index}/{}", "x".repeat(700));
    for round in 1..=ROUNDS {
        let appends = (0..3).map(|index| {
            let (one, other) = (source(LOG, 1), source(OTHER, 1));
            engine
                .append(vec![record(one, value(round, index)), record(other, value(round, index))])
        });
        let appended: Vec<_> = futures_util::future::join_all(appends).await;
        for (index, appended) in (0..).zip(&appended) {
            if appended.is_ok() {
                known.appended.push(value(round, index));
            }
        }
        engine.apply(Some(lease), batch(round)).await?;
        known.applied.push(round);
        appended.into_iter().collect::<Result<(), EngineError>>()?;
    }
    Ok(())
}

/// Facts, records in two partitions and waves, and an offset: all of them name `round`.
fn batch(round: u64) -> Batch {
    let mut batch = store(source(LOG, 0), round);
    batch.facts = vec![(0..20).map(|index| fact(round * 100 + index)).collect(), vec![fact(round)]];
    let wave = |partition| {
        vec![record(source(OTHER, 0), format!("{round}")), record(source(LOG, partition), "wave")]
    };
    batch.records = vec![wave(0), wave(0)];
    batch
}

/// Everything known is there, and of what is not known each batch is there as a whole or not at all.
async fn verify(engine: &Embedded, known: &Known) {
    let appended = values(&all(engine, source(LOG, 1)).await);
    let acknowledged: Vec<_> =
        appended.iter().filter(|value| known.appended.contains(value)).cloned().collect();
    assert_eq!(acknowledged, known.appended, "acknowledged appends are there, in order");
    let seen = all(engine, source(OTHER, 1)).await;
    assert_eq!(values(&seen), appended, "an append is there as a whole or not at all");
    let seen: Vec<_> = seen.iter().map(|it| it.offset).zip(values(&seen)).collect();
    assert!(seen.starts_with(&known.seen), "nothing that was seen is gone");

    let stored = engine.stored(GROUP, source(LOG, 0)).await.unwrap().unwrap_or(0);
    let applied = known.applied.last().copied().unwrap_or(0);
    assert!(applied <= stored, "acknowledged offsets are there");
    let facts: Vec<u64> = engine.scan(scope()).await.unwrap().iter().map(|it| it.key.at).collect();
    let records = values(&all(engine, source(OTHER, 0)).await);
    let waves = all(engine, source(LOG, 0)).await.len();
    let mut wanted: Vec<u64> = (1..=stored)
        .flat_map(|round| (0..20).map(move |index| round * 100 + index).chain([round]))
        .collect();
    wanted.sort_by_key(|at| fact(*at).key);
    assert_eq!(facts, wanted, "facts of exactly the batches whose offset is stored");
    let wanted: Vec<String> =
        (1..=stored).flat_map(|round| [round, round]).map(|it| it.to_string()).collect();
    assert_eq!(records, wanted, "records of exactly the batches whose offset is stored");
    assert_eq!(waves, records.len());
}

/// One life: work on `disk` until it is done or gone, and a power cut.
fn live(disk: Disk, crash_at: u64, random: &mut Random) -> (Disk, Known, bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let bench = Bench::new(disk);
        bench.disk.crash_at(crash_at);
        let mut known = Known::default();
        if let Ok(engine) = bench.open() {
            let worked = work(&engine, &bench.disk, &mut known).await;
            assert_eq!(worked.is_err(), bench.disk.crashed(), "{worked:?}");
            engine.close().await;
        }
        (bench.disk.power_cut(random), known, bench.disk.crashed())
    })
}

fn check(disk: Disk, known: &Known) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let engine = Bench::new(disk).open().unwrap();
        verify(&engine, known).await;
        let (leases, _member) = own_all(&engine).await;
        assert!(known.generation < leases[0].generation, "generations are not given twice");
        engine.append(vec![record(source(LOG, 1), "after")]).await.unwrap();
        engine.close().await;
    });
}

/// Every point of the life of a file, from its creation on, with several outcomes of the power cut each.
#[test]
fn a_power_cut_at_any_point_loses_nothing_known() {
    let mut points = 0;
    let mut acknowledged = 0;
    for crash_at in 1.. {
        let mut over = false;
        for seed in 0..4 {
            let mut random = Random(crash_at * 1_000 + seed);
            let (disk, known, crashed) = live(Disk::default(), crash_at, &mut random);
            println!(
                "point {crash_at} seed {seed}: {} {}",
                known.appended.len(),
                known.applied.len()
            );
            acknowledged += known.applied.len();
            // The power goes again while the file is opened.
            let disk = if seed % 2 == 0 {
                let again = Bench::new(disk);
                again.disk.crash_at(u64::try_from(1 + random.below(12)).unwrap());
                drop(again.open());
                again.disk.power_cut(&mut random)
            } else {
                disk
            };
            check(disk, &known);
            over = !crashed;
        }
        if over {
            break;
        }
        points = crash_at;
    }
    println!("{points} points");
    assert!(60 < points, "{points}");
    assert!(0 < acknowledged);
}
