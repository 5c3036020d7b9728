//! What is kept, and for how long.

use super::*;

/// Waits until the lowest offset of `source` is `low`.
async fn low_becomes(engine: &Embedded, source: Source, low: u64) {
    let raised = timeout(WAIT_MAX, async {
        while engine.range(source).await.unwrap().0 != low {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    raised.await.unwrap();
}

/// A record goes when it is old and every group has passed it; facts and other topics stay.
#[tokio::test]
async fn old_records_go_when_all_groups_have_passed() {
    let bench = Bench::new(Disk::default());
    let engine = bench.open().unwrap();
    let (leases, _member) = own_all(&engine).await;
    let facts = Batch { facts: vec![vec![fact(0)]], ..Batch::default() };
    engine.apply(None, facts).await.unwrap();
    for value in ["a", "b", "c"] {
        let everywhere = [source(LOG, 0), source(LOG, 1), source(OTHER, 0)];
        engine.append(everywhere.map(|it| record(it, value)).to_vec()).await.unwrap();
        bench.clock.0.fetch_add(600, Ordering::SeqCst);
    }
    // a is 1800 ms old, b 1200, c 600; the group that owns both partitions has stored nothing.
    engine.apply(Some(&leases[1]), store(source(LOG, 1), 3)).await.unwrap();
    low_becomes(&engine, source(LOG, 1), 2).await;
    assert_eq!(engine.range(source(LOG, 0)).await, Ok((0, 3)), "not passed by the group");
    engine.apply(Some(&leases[0]), store(source(LOG, 0), 1)).await.unwrap();
    low_becomes(&engine, source(LOG, 0), 1).await;
    assert_eq!(values(&all(&engine, source(LOG, 0)).await), ["b", "c"]);
    let gone = engine.reader(source(LOG, 0), 0).next(9).await;
    let out_of_range = EngineError::OutOfRange { source_: source(LOG, 0), offset: 0 };
    assert_eq!(gone, Err(out_of_range));
    assert_eq!(values(&all(&engine, source(OTHER, 0)).await), ["a", "b", "c"], "kept for ever");
    assert_eq!(engine.scan(scope()).await.unwrap(), [fact(0)], "facts never expire");
    // Offsets go on where they were though nothing is left.
    engine.apply(Some(&leases[1]), store(source(LOG, 1), 3)).await.unwrap();
    bench.clock.0.fetch_add(5_000, Ordering::SeqCst);
    low_becomes(&engine, source(LOG, 1), 3).await;
    engine.close().await;
    let engine = bench.open().unwrap();
    assert_eq!(engine.range(source(LOG, 1)).await, Ok((3, 3)));
    engine.append(vec![record(source(LOG, 1), "d")]).await.unwrap();
    assert_eq!(all(&engine, source(LOG, 1)).await[0].offset, 3);
}

/// The pages of deleted records are used again: the file stops growing.
#[tokio::test]
async fn the_file_stops_growing() {
    let bench = Bench::new(Disk::default());
    let engine = bench.open().unwrap();
    let mut sizes = Vec::new();
    for _ in 0..40 {
        for _ in 0..20 {
            let records = (0..10).map(|_| record(source(LOG, 0), "x".repeat(10_000)));
            engine.append(records.collect()).await.unwrap();
        }
        bench.clock.0.fetch_add(1_001, Ordering::SeqCst);
        let end = engine.range(source(LOG, 0)).await.unwrap().1;
        low_becomes(&engine, source(LOG, 0), end).await;
        sizes.push(bench.disk.bytes());
    }
    // 80 MB went through it.
    let size_max = sizes.iter().max().unwrap();
    assert!(*size_max < 12 << 20, "{sizes:?}");
}
