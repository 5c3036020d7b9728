//! `roundhouse topics list|tail` over what a server has written.

use crate::house::{EXE, Ground, House, Street};
use roundhouse::config::EngineKind;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Command, Output, Stdio};

on_every_engine!(what_was_written_is_read_as_lines);

const ROUND: &str = "tailed";
const BETS: usize = 40;

fn command(street: &Street, arguments: &[&str]) -> Command {
    let mut command = Command::new(EXE);
    command.arg("topics").args(arguments).arg("--config").arg(street.file(""));
    command
}

fn run(street: &Street, arguments: &[&str]) -> Output {
    let output = command(street, arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn lines(street: &Street, arguments: &[&str]) -> Vec<Value> {
    let output = run(street, arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn what_was_written_is_read_as_lines<E: Ground>() {
    let street = Street::on::<E>(2, 141, &[]).await;
    let house = House::<E>::open(&street.config).await;
    house.bet(ROUND, street.wagers(ROUND, BETS, 1)).await;
    house.api.result(ROUND, "3").await.unwrap();
    house.settled().await;
    house.close().await;

    let said = lines(&street, &["tail", "rounds", "--round", ROUND]);
    assert_eq!(said[0]["value"]["kind"], "opened");
    for kind in ["closing", "closed", "sealed", "result", "verdict"] {
        assert!(said.iter().any(|line| line["value"]["kind"] == kind), "{kind}: {said:?}");
    }

    // Offsets rise in each partition; money stands there as in the record.
    let mut next = BTreeMap::new();
    for line in lines(&street, &["tail", "bets.v1"]) {
        let offset = line["offset"].as_u64().unwrap();
        let before = next.insert(line["partition"].as_u64().unwrap(), offset);
        assert!(before.is_none_or(|before| before < offset), "{line}");
        assert!(line["value"]["stake_units"].is_null() || line["value"]["stake_units"].is_i64());
    }
    let decided = lines(&street, &["tail", "decisions"]);
    assert!(BETS / 2 <= decided.len(), "only {} are decided", decided.len());
    let settled = lines(&street, &["tail", "settlements", "--partner", "p01"]);
    assert!(settled.iter().all(|line| line["value"]["partner_id"] == "p01"));
    let bet = settled[0]["value"]["bet_id"].as_str().unwrap();
    for line in lines(&street, &["tail", "bets", "--bet", bet]) {
        assert_eq!(line["headers"]["bet"], bet, "{line}");
    }
    assert_eq!(lines(&street, &["tail", "bets", "--limit", "3"]).len(), 3);
    assert_eq!(lines(&street, &["tail", "bets", "--from", "end"]).len(), 0);
    let partition = settled[0]["partition"].to_string();
    let offset = settled[0]["offset"].to_string();
    let from =
        ["tail", "settlements", "--partition", &partition, "--from", &offset, "--limit", "1"];
    assert_eq!(lines(&street, &from), settled[..1]);

    // Whoever reads may stop, as `head` does.
    let mut tail = command(&street, &["tail", "bets"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 16];
    tail.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(tail.wait().unwrap().code(), Some(0));

    let listed = run(&street, &["list", "--offsets", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let decisions =
        listed.as_array().unwrap().iter().find(|topic| topic["topic"] == "decisions.v1");
    let offsets = decisions.unwrap()["offsets"].as_array().unwrap();
    let ends: u64 = offsets.iter().map(|one| one["end"].as_u64().unwrap()).sum();
    assert_eq!(ends, u64::try_from(decided.len()).unwrap());

    if street.config.engine.kind == EngineKind::Embedded {
        let refused = command(&street, &["tail", "bets", "--follow"]).output().unwrap();
        assert_eq!(refused.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("needs the cluster engine"));
    }
}

/// Without a server, data or brokers: what there is to read is known.
#[test]
fn topics_are_listed_without_a_server() {
    let output = Command::new(EXE).args(["topics", "list"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for words in ["bets.v1", "<bet_id>/<revision>", "4 by lane", "35 days", "for ever"] {
        assert!(text.contains(words), "`{words}` is not in: {text}");
    }
}
