//! A record about a bet that cannot be read: its bet alone stops, and goes on when a person says so.

use crate::house::{EXE, Ground, House, Street, WAIT_MAX, books, nets, payout};
use roundhouse::audit::audit;
use roundhouse::frozen;
use runtime::{Append, Reader, Source, Topic};
use schemas::bets::{Bet, BetEvent, BetSaid};
use schemas::catalogue::BETS;
use schemas::facts;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tokio::time::{Instant, sleep};

on_every_engine!(a_frozen_bet_goes_on_by_command);

const COUNT: usize = 60;
const LOOK_PERIOD: Duration = Duration::from_millis(50);

/// The bet of some intent, and its partition.
async fn some_bet<E: Ground>(engine: &E) -> (Bet, u32) {
    for partition in 0..E::PARTITIONS.lanes {
        let source = Source { topic: Topic(BETS), partition };
        let (mut at, end) = engine.range(source).await.unwrap();
        let mut reader = engine.reader(source, at);
        while at < end {
            for record in reader.next(1_000).await.unwrap().0 {
                at = record.offset + 1;
                let said = BetEvent::decode(&record.value).unwrap().said;
                if let BetSaid::Intent(intent) = said {
                    return (intent.bet, partition);
                }
            }
        }
    }
    panic!("no intent");
}

/// What the command says.
fn say(config: &Path, arguments: &[&str]) -> Value {
    let mut process = Command::new(EXE);
    process.arg("frozen").args(arguments).arg("--json").arg("--config").arg(config);
    let output = process.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn a_frozen_bet_goes_on_by_command<E: Ground>() {
    let street = Street::on::<E>(2, 83, &[]).await;
    let house = House::<E>::open(&street.config).await;
    let mut wagers = street.wagers("r", COUNT, 1);
    wagers.iter_mut().for_each(|wager| wager.cancel = false);
    house.bet("r", wagers).await;
    house.settled().await;
    let engine = house.running.engine();
    let (bet, partition) = some_bet(engine).await;
    let broken = Append {
        topic: Topic(BETS),
        partition,
        key: bet.id.to_string().into(),
        headers: [
            (facts::HEADER_KIND, "approved".to_owned()),
            (facts::HEADER_ROUND, "r".to_owned()),
            (facts::HEADER_BET, bet.id.to_string()),
            (facts::HEADER_PARTNER, bet.partner.to_string()),
        ]
        .into_iter()
        .collect(),
        value: vec![0, 0, 0, 0, 2, 255].into(),
    };
    engine.append(vec![broken]).await.unwrap();
    let (begun, rounds) = (Instant::now(), BTreeSet::from(["r".parse().unwrap()]));
    loop {
        let found = frozen::read(engine, E::PARTITIONS, &rounds, |_| ()).await.unwrap();
        if let [one] = found.as_slice() {
            assert_eq!((one.bet.as_ref(), one.code.as_str()), (Some(&bet.id), "unreadable"));
            break;
        }
        assert!(begun.elapsed() < WAIT_MAX, "{found:?}");
        sleep(LOOK_PERIOD).await;
    }
    house.api.result("r", "3").await.unwrap();
    house.settled().await;
    house.close().await;
    let stake = i128::from(bet.stake.units);
    let stopped = books::<E>(&street).await;
    assert_eq!(nets(&stopped)[bet.id.as_str()], -stake, "held, and nothing more");
    assert_eq!(nets(&stopped).len(), COUNT);

    let config = street.file("");
    let listed = say(&config, &["list"]);
    assert_eq!(listed["frozen"][0]["bet"], bet.id.as_str(), "{listed}");
    assert_eq!(listed["frozen"][0]["partner"], bet.partner.as_str());
    let thaw = ["thaw", "--bet", bet.id.as_str()];
    let dry = say(&config, &[&thaw[..], &["--dry-run"]].concat());
    assert_eq!(dry["thawed"].as_array().unwrap().len(), 1);
    assert_eq!(say(&config, &["list"]), listed, "a dry run writes nothing");
    // Twice: the settler says the same again.
    for _ in 0..2 {
        say(
            &config,
            &[&thaw[..], &["--by", "ann", "--reason", "the record was read by hand"]].concat(),
        );
    }
    let house = House::<E>::open(&street.config).await;
    house.settled().await;
    house.close().await;
    assert_eq!(say(&config, &["list"])["frozen"].as_array().unwrap().len(), 0);
    let after = books::<E>(&street).await;
    assert_eq!(nets(&after)[bet.id.as_str()], payout(&bet, 3) - stake, "paid once");
    let report = audit(&after, false).unwrap();
    assert!(report.clean, "{report}");
}
