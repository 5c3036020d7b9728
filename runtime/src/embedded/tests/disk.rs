//! Disks that stall, fill up and fail.

use super::*;
use std::sync::mpsc;

/// With one worker and a stalled sync everything else goes on, and nobody sees what is not synced (R21).
#[tokio::test(flavor = "current_thread")]
async fn a_stalled_sync_stops_no_worker() {
    let bench = Bench::new(Disk::default());
    let engine = bench.open().unwrap();
    engine.append(vec![record(source(LOG, 0), "before")]).await.unwrap();
    let (_, member) = own_all(&engine).await;
    bench.disk.stall();
    // If the one worker is blocked nobody but this thread can end the stall, and the test fails.
    let (watchdog_done, watchdog) = mpsc::channel::<()>();
    let disk = bench.disk.clone();
    let watchdog = std::thread::spawn(move || {
        let blocked = watchdog.recv_timeout(WAIT_MAX).is_err();
        disk.release();
        blocked
    });
    let (appending, applying) = (engine.clone(), engine.clone());
    let append =
        tokio::spawn(async move { appending.append(vec![record(source(LOG, 0), "a")]).await });
    let facts = Batch { facts: vec![vec![fact(1)]], ..Batch::default() };
    let apply = tokio::spawn(async move { applying.apply(None, facts).await });
    while bench.disk.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    let mut reader = engine.reader(source(LOG, 0), 0);
    assert_eq!(values(&reader.next(9).await.unwrap().0), ["before"]);
    let mut unsynced = Box::pin(reader.next(9));
    let scanning = engine.clone();
    let scan = tokio::spawn(async move { scanning.scan(scope()).await });
    for _ in 0..50 {
        tokio::select! {
            biased;
            read = &mut unsynced => panic!("not synced yet: {read:?}"),
            () = tokio::time::sleep(Duration::from_millis(1)) => {}
        }
        assert_eq!(engine.stored(GROUP, source(LOG, 0)).await, Ok(None));
        assert_eq!(engine.range(source(LOG, 0)).await, Ok((0, 1)));
    }
    drop(member);
    assert!(!append.is_finished() && !apply.is_finished());
    watchdog_done.send(()).unwrap();
    append.await.unwrap().unwrap();
    apply.await.unwrap().unwrap();
    assert_eq!(values(&unsynced.await.unwrap().0), ["a"]);
    scan.await.unwrap().unwrap();
    assert!(!watchdog.join().unwrap(), "the worker was blocked");
}

/// New work is refused while the reserve is touched; what is owed for old work is not.
#[tokio::test]
async fn the_reserve_is_for_batches() {
    let bench = Bench::new(Disk::default());
    let engine = bench.open().unwrap();
    bench.free_bytes.store(999, Ordering::SeqCst);
    let refused = engine.append(vec![record(source(LOG, 0), "a")]).await;
    let text = "999 bytes are free in simulated, fewer than the 1000 in reserve";
    assert_eq!(refused, Err(EngineError::Full(text.to_owned())));
    engine.apply(None, Batch::of_records(vec![record(source(LOG, 0), "b")])).await.unwrap();
    bench.free_bytes.store(1_000, Ordering::SeqCst);
    engine.append(vec![record(source(LOG, 0), "c")]).await.unwrap();
    assert_eq!(values(&all(&engine, source(LOG, 0)).await), ["b", "c"]);
}

/// Writes until it fails, raises the quota, and goes on; nothing acknowledged is gone.
#[tokio::test]
async fn a_full_disk_loses_nothing() {
    let bench = Bench::new(Disk::default());
    let engine = bench.open().unwrap();
    let (leases, _member) = own_all(&engine).await;
    let text = "x".repeat(20_000);
    let mut acknowledged = Vec::new();
    for (round, quota) in (0..).zip([bench.disk.bytes() + (1 << 20), 6 << 20, 12 << 20]) {
        bench.disk.quota(Some(quota));
        let before = acknowledged.len();
        let error = loop {
            let at = u64::try_from(acknowledged.len()).unwrap() + 1;
            let mut batch = store(source(LOG, 0), at);
            batch.records = vec![vec![record(source(LOG, 0), format!("{round}/{at}/{text}"))]];
            batch.facts = vec![vec![fact(at)]];
            match engine.apply(Some(&leases[0]), batch).await {
                Ok(()) => acknowledged.push(format!("{round}/{at}/{text}")),
                // Until it is open again nothing is taken.
                Err(_) if before == acknowledged.len() => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => break error,
            }
        };
        let refused = matches!(error, EngineError::Full(_) | EngineError::Unavailable(_));
        assert!(refused, "{error:?}");
        let refused = engine.append(vec![record(source(LOG, 1), "no")]).await;
        assert!(refused.is_err(), "the file is not open again, or it is still full");
        let stored = engine.stored(GROUP, source(LOG, 0)).await.unwrap();
        assert_eq!(stored, u64::try_from(acknowledged.len()).ok());
    }
    bench.disk.quota(None);
    while engine.append(vec![record(source(LOG, 1), "yes")]).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(values(&all(&engine, source(LOG, 0)).await), acknowledged);
    assert_eq!(engine.scan(scope()).await.unwrap().len(), acknowledged.len());
    engine.close().await;
    let engine = bench.open().unwrap();
    assert_eq!(values(&all(&engine, source(LOG, 0)).await), acknowledged);
}

/// A sync that fails leaves its commit in doubt; those before it and after it are certain.
#[tokio::test]
async fn a_failed_sync_is_told_and_survived() {
    let bench = Bench::new(Disk::default());
    let engine = bench.open().unwrap();
    let mut reader = engine.reader(source(LOG, 0), 0);
    engine.append(vec![record(source(LOG, 0), "a")]).await.unwrap();
    bench.disk.fail_syncs(1);
    let member = engine.join(GROUP, LOG);
    let failed = engine.append(vec![record(source(LOG, 0), "doubt")]).await;
    assert!(matches!(failed, Err(EngineError::Unavailable(_))), "{failed:?}");
    // The claim was owed, and comes through without being asked for again.
    let mut member = member;
    let change = timeout(WAIT_MAX, member.next()).await.unwrap().unwrap();
    let Change::Assigned(lease) = change else { panic!("{change:?}") };
    engine.apply(Some(&lease), store(source(LOG, 0), 1)).await.unwrap();
    engine.append(vec![record(source(LOG, 0), "b")]).await.unwrap();
    let mut read = Vec::new();
    while read.last().map(String::as_str) != Some("b") {
        read.extend(values(&timeout(WAIT_MAX, reader.next(9)).await.unwrap().unwrap().0));
    }
    read.retain(|value| value != "doubt");
    assert_eq!(read, ["a", "b"]);
    let power_cut = Bench::new(bench.disk.power_cut(&mut fault::Random(1)));
    let engine = power_cut.open().unwrap();
    let mut found = values(&all(&engine, source(LOG, 0)).await);
    found.retain(|value| value != "doubt");
    assert_eq!(found, ["a", "b"]);
}
