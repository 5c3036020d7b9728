//! The contract in another language: the example of `docs/data/consumers.md` reads `settlements.v1` from
//! Kafka with the schema files alone, and its sums are the audit's.

use crate::house::{OPERATOR_KEY, Street, WAIT_MAX, journals};
use crate::venv;
use roundhouse::audit::report::Totals;
use roundhouse::audit::{audit, journal, load};
use roundhouse::rig::api::Api;
use roundhouse::rig::players::place_all;
use roundhouse::rig::watch::Watch;
use roundhouse::serve::{Opened, Roles, Running, listen, open};
use runtime::cluster::Cluster;
use runtime::{Append, RecordLog};
use schemas::outgoing::{self, SettlementTopic};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// Bets of each round.
const BETS: usize = 120;

/// Rounds whose bets end in every way there is: lost, won, declined, voided, corrected, held again.
async fn play(street: &Street, api: &Api, watch: &Watch<Cluster>) {
    for (seed, round) in (1..).zip(["plain", "void", "corrected", "taken"]) {
        api.open_die(round, 60_000, 200).await.unwrap();
        let wagers = street.wagers(round, BETS, seed);
        place_all(api, wagers, 32, &Arc::new(AtomicUsize::new(0))).await;
        api.close(round).await.unwrap();
        api.result(round, "4").await.unwrap();
    }
    assert!(watch.settled(WAIT_MAX).await, "still owed: {:?}", watch.seen().owed);
    api.void("void", 1).await.unwrap();
    api.correct("corrected", 1, "5").await.unwrap();
    api.withdraw("taken", 1).await.unwrap();
    assert!(watch.settled(WAIT_MAX).await, "still owed: {:?}", watch.seen().owed);
}

/// The sums that a consumer of settlements alone can know, as it prints them.
fn sums(total: &Totals) -> Value {
    json!({
        "bets": total.bets,
        "stakes": i64::try_from(total.stakes).unwrap(),
        "held": i64::try_from(total.held).unwrap(),
        "lost": i64::try_from(total.lost).unwrap(),
        "won_stakes": i64::try_from(total.won_stakes).unwrap(),
        "payouts": i64::try_from(total.payouts).unwrap(),
        "released": i64::try_from(total.released).unwrap(),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_in_python_sums_up_what_the_audit_does() {
    let requirements = "examples/consumers/requirements.txt";
    let programs = tokio::task::spawn_blocking(|| venv::programs("consumers", requirements));
    let python = programs.await.unwrap().join("python");
    let street = Street::on::<Cluster>(3, 17, &["--decline-rate", "100"]).await;
    let engine = open::cluster(&street.config).await.unwrap();
    let listener = listen(&street.config).await.unwrap();
    let roles = Roles::all();
    let running = Running::with(&street.config, listener, engine.clone(), &roles).await.unwrap();
    let api = Api::new(format!("http://{}", running.address), OPERATOR_KEY.to_owned());
    api.ready(WAIT_MAX).await.unwrap();
    let watch = Watch::start(engine.clone());
    play(&street, &api, &watch).await;
    drop(watch);
    running.leave().await.unwrap();

    // The first word on every bet once more, behind all others: the last arrival is not the newest.
    let mut books = load::read(&engine, Cluster::PARTITIONS).await.unwrap();
    let mut late = Vec::new();
    for (partition, lines) in (0..).zip(&books.settlements) {
        let first: BTreeMap<_, _> = lines.iter().rev().map(|(_, due)| (&due.bet, due)).collect();
        late.extend(first.into_values().map(|due| {
            let outgoing = outgoing::settlement(due, SettlementTopic::Settlements, partition);
            Append::from(outgoing.unwrap().into_parts())
        }));
    }
    assert!(2 * BETS < late.len());
    engine.append(late).await.unwrap();

    books.journals = Some(journal::read_all(&[journals(street.directory.path())]).unwrap());
    let report = audit(&books, true).unwrap();
    engine.close().await;
    assert!(report.clean, "{report}");
    let wanted: BTreeMap<&String, Value> =
        report.totals.iter().map(|(name, total)| (name, sums(total))).collect();
    assert_eq!(wanted.len(), 3);
    for place in ["held", "lost", "won_stakes", "payouts", "released"] {
        assert!(wanted.values().all(|sums| 0 < sums[place].as_i64().unwrap()), "{place}: {report}");
    }

    let cluster = &street.config.cluster;
    let topic = format!("{}{}", cluster.namespace, schemas::catalogue::SETTLEMENTS);
    let mut example = Command::new(python);
    example.arg(venv::root().join("examples/consumers/settlements.py"));
    example.args(["--brokers", &cluster.brokers, "--topic", &topic]);
    let printed = tokio::task::spawn_blocking(move || venv::run(&mut example)).await.unwrap();
    let found: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(found, json!(wanted), "left the example's, right the audit's");
}
