//! What is frozen, in a data directory of its own.

use super::*;
use runtime::embedded::{Embedded, Options};
use runtime::{Batch, Record, SystemClock};

const COUNTS: Partitions = Partitions::EMBEDDED;

fn freeze(bet: Option<&str>, frozen: bool, partition: u32, at: u64) -> Fact {
    let record = FreezeRecord {
        round_id: "r_1".to_owned(),
        bet_id: bet.map(ToOwned::to_owned),
        frozen,
        code: if frozen { "unreadable" } else { "thawed" }.to_owned(),
        text: format!("at {at}"),
        ..FreezeRecord::default()
    };
    outgoing::freeze_fact(&record, "", partition, at).unwrap().into_parts().into()
}

async fn open(directory: &tempfile::TempDir, facts: Vec<Fact>) -> Embedded {
    let options = Options::new(directory.path());
    let engine = Embedded::open(&options, crate::engine::catalogue(), SystemClock).unwrap();
    engine.apply(None, Batch { facts: vec![facts], ..Batch::default() }).await.unwrap();
    engine
}

fn round() -> BTreeSet<RoundId> {
    BTreeSet::from(["r_1".parse().unwrap()])
}

/// The thaws in the log, with their partitions.
async fn thaws(engine: &Embedded) -> Vec<(u32, Option<(BetId, PartnerId)>, String)> {
    let mut thaws = Vec::new();
    for partition in 0..COUNTS.lanes {
        let source = Source { topic: Topic(BETS), partition };
        let said = |record: &Record| match BetEvent::decode(&record.value).unwrap().said {
            BetSaid::Thaw { bet, reason, .. } => thaws.push((partition, bet, reason)),
            said @ (BetSaid::Intent(_)
            | BetSaid::Answer { .. }
            | BetSaid::Cancel { .. }
            | BetSaid::Marker(_)
            | BetSaid::Tick) => panic!("{said:?}"),
        };
        whole(engine, source, said).await.unwrap();
    }
    thaws
}

#[tokio::test]
async fn frozen_is_what_the_last_fact_says() {
    let directory = tempfile::tempdir().unwrap();
    let facts = vec![
        freeze(None, true, 0, 5),
        freeze(Some("r_1:a"), true, 0, 6),
        freeze(Some("r_1:b"), true, 0, 6),
        freeze(Some("r_1:b"), false, 0, 9),
        freeze(None, true, 3, 4),
        freeze(None, false, 3, 8),
        freeze(None, true, 3, 12),
    ];
    let engine = open(&directory, facts).await;
    let mut told = Vec::new();
    let frozen = read(&engine, COUNTS, &round(), |done| told.push(done)).await.unwrap();
    let of = |item: &Frozen| (item.partition, item.bet.as_ref().map(ToString::to_string), item.at);
    assert_eq!(
        frozen.iter().map(of).collect::<Vec<_>>(),
        [(0, None, 5), (0, Some("r_1:a".to_owned()), 6), (3, None, 12)]
    );
    assert_eq!(told, [1]);
    engine.close().await;
}

#[tokio::test]
async fn a_thaw_goes_to_every_partition_where_the_round_is_frozen() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(&directory, vec![freeze(None, true, 1, 5), freeze(None, true, 2, 7)]).await;
    let frozen = read(&engine, COUNTS, &round(), |_| ()).await.unwrap();
    let items: Vec<&Frozen> = frozen.iter().collect();
    thaw(&engine, &items, "read by hand", 1_000).await.unwrap();
    let why = "read by hand".to_owned();
    assert_eq!(thaws(&engine).await, [(1, None, why.clone()), (2, None, why)]);
    engine.close().await;
}

#[tokio::test]
async fn a_bet_that_nobody_can_name_is_not_thawed() {
    let directory = tempfile::tempdir().unwrap();
    let facts = vec![freeze(Some("r_1:a"), true, 1, 5), freeze(None, true, 2, 7)];
    let engine = open(&directory, facts).await;
    let frozen = read(&engine, COUNTS, &round(), |_| ()).await.unwrap();
    let items: Vec<&Frozen> = frozen.iter().collect();
    let refused = thaw(&engine, &items, "read by hand", 1_000).await.unwrap_err();
    assert!(refused.to_string().contains("r_1:a"), "{refused}");
    assert_eq!(thaws(&engine).await, [], "all or none");
    engine.close().await;
}
