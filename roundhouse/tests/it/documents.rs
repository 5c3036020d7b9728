//! The OpenAPI documents are true: schemathesis makes requests from each, good and bad, and the answers are
//! those that the document promises.

use crate::house::{EXE, House, OPERATOR_KEY, Street, WAIT_MAX};
use crate::venv;
use crate::wallet::Example;
use http::Method;
use roundhouse::rig::api::Api;
use roundhouse::rig::keys::{PartnerKey, platform, wallet_keys};
use roundhouse::rig::players::place_all;
use roundhouse::rig::processes::{ServerProcess, Wallets, WalletsPlan};
use runtime::embedded::Embedded;
use runtime::{Clock, SystemClock};
use schemas::contract::timestamp;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// Where its requirements and its configuration are.
const FILES: &str = "roundhouse/tests/schemathesis";
/// The event of the documents' examples takes bets for longer than the test, in ms.
const BETTING_MS: i64 = 3_600_000;
/// Whose wallet is asked: the partner of the recorded examples, with which schemathesis begins.
const PARTNER: &str = "acme";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_nothing() {
    let requirements = format!("{FILES}/requirements.txt");
    let programs =
        tokio::task::spawn_blocking(move || venv::programs("schemathesis", &requirements));
    let schemathesis = programs.await.unwrap().join("st");
    // Each on a server of its own: the one finishes events, the other bets on one that is open.
    tokio::join!(
        keeps(schemathesis.clone(), "line-provider"),
        keeps(schemathesis.clone(), "bet-maker"),
        wallets_keep(schemathesis.clone()),
        partner_api_keeps(schemathesis.clone()),
    );
}

async fn keeps(schemathesis: PathBuf, name: &'static str) {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    let serve = ["serve", "--sandbox", "--announce", "--log", "warn", "--listen", "127.0.0.1:0"];
    let mut arguments: Vec<String> = serve.iter().map(ToString::to_string).collect();
    arguments.extend(["--data-dir".to_owned(), data_dir.display().to_string()]);
    let server = ServerProcess::run(Path::new(EXE), &arguments).await.unwrap();
    let api = Api::new(server.url.clone(), String::new());
    api.ready(WAIT_MAX).await.unwrap();
    if name == "bet-maker" {
        let deadline = timestamp(SystemClock.now() + BETTING_MS);
        let event = json!({"event_id": "match-1", "coefficient": "1.50", "deadline": deadline});
        let path = "/line-provider/events";
        let told = api.call(Method::POST, path, "", Some(&event)).await.unwrap();
        assert_eq!(told.status, 201, "{}", told.body);
    }
    let mut command = Command::new(schemathesis);
    command.arg("--config-file").arg(venv::root().join(FILES).join("schemathesis.toml"));
    command.args(["run", "--no-color", &format!("{}/{name}/openapi.json", server.url)]);
    let refused = refused(command, directory.path()).await;
    let never: &[&str] = if name == "bet-maker" { &["PATCH /bets/update/"] } else { &[] };
    assert_eq!(refused, never, "operations that were always refused");
    server.stop().await.unwrap();
    // Which ends with 1 if a cent is amiss.
    venv::run(Command::new(EXE).arg("audit").arg("--data-dir").arg(data_dir));
}

/// The reference wallet is what the document of the wallet API promises, and the example is, too.
async fn wallets_keep(schemathesis: PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let keys = [(PARTNER.to_owned(), PartnerKey::of_seed(PARTNER, 1))];
    let keys = wallet_keys(OPERATOR_KEY, &keys.into());
    let plan = WalletsPlan {
        exe: EXE.into(),
        partners: vec![PARTNER.to_owned()],
        keys: keys.clone(),
        journals: directory.path().join("journals"),
        arguments: Vec::new(),
    };
    let wallets = Wallets::start(plan, "127.0.0.1:0").await.unwrap();
    let place = directory.path().to_owned();
    let example = tokio::task::spawn_blocking(move || Example::with(&place, &keys, PARTNER));
    let example = example.await.unwrap();
    for url in [&wallets.urls[PARTNER], &example.url] {
        let mut command = Command::new(&schemathesis);
        let file = |name: &str| venv::root().join(FILES).join(name);
        command.arg("--config-file").arg(file("wallet.toml"));
        command.env("SCHEMATHESIS_HOOKS", file("signed.py"));
        command.env("SIGNING_KEY", platform(OPERATOR_KEY).reveal()).env("PARTNER", PARTNER);
        command.args(["run", "--no-color", "--url", url]);
        command.arg(venv::root().join("docs/partner/wallet.openapi.json"));
        let refused = refused(command, directory.path()).await;
        assert_eq!(refused, [""; 0], "{url}: operations that were always refused");
    }
    wallets.stop().await.unwrap();
}

/// What partners may ask is what its document promises, of a bet that was settled.
async fn partner_api_keeps(schemathesis: PathBuf) {
    let street = Street::on::<Embedded>(1, 97, &[]).await;
    let house = House::<Embedded>::open(&street.config).await;
    house.api.open_die("r", 600_000, 200).await.unwrap();
    let told =
        place_all(&house.api, street.wagers("r", 5, 1), 5, &Arc::new(AtomicUsize::new(0))).await;
    house.api.close("r").await.unwrap();
    house.api.result("r", "3").await.unwrap();
    house.settled().await;
    let (partner, key) = street.keys.first_key_value().unwrap();
    let (bet, now) = (told.keys().next().unwrap(), timestamp(SystemClock.now()));
    let file = |name: &str| venv::root().join(FILES).join(name);
    let url = format!("http://{}/partner/v1", house.running.address);
    let named = [("BET", bet.as_str()), ("ROUND", "r"), ("DAY", &now[..10])];
    // What is made up names nothing that is there.
    let unnamed = ["GET /bets/{bet_id}", "GET /rounds/{round_id}/statement", "POST /replay"];
    for (config, named, never) in
        [("partner.toml", &named[..], &[][..]), ("partner.unpinned.toml", &[][..], &unnamed[..])]
    {
        let mut command = Command::new(&schemathesis);
        command.arg("--config-file").arg(file(config));
        command.env("SCHEMATHESIS_HOOKS", file("signed.py"));
        command.env("SIGNING_KEY", key.replies().reveal()).env("PARTNER", partner);
        command.envs(named.iter().copied());
        command.args(["run", "--no-color", "--url", &url]);
        command.arg(venv::root().join("docs/partner/platform.openapi.json"));
        let refused = refused(command, street.directory.path()).await;
        assert!(refused.iter().all(|one| never.contains(&one.as_str())), "{config}: {refused:?}");
    }
    house.close().await;
}

/// Runs schemathesis, which must find nothing; gives the operations that were never done. Refusals alone
/// would show little: each operation has to have done what it is for.
async fn refused(mut command: Command, directory: &Path) -> Vec<String> {
    let report = directory.join("report.json");
    command.args(["--report", "json", "--report-json-path"]).arg(&report);
    // What it leaves behind goes with the directory.
    command.current_dir(directory);
    let printed = tokio::task::spawn_blocking(move || venv::run(&mut command)).await.unwrap();
    println!("{printed}");
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let operations = &report["operations"];
    assert_eq!(operations["tested"], operations["total"], "{operations}");
    let rates = report["valid_rates"].as_object().unwrap().iter();
    let never = rates.filter(|(_, phases)| {
        let phases = phases.as_object().unwrap().values();
        phases.filter_map(|phase| phase["accepted"].as_u64()).sum::<u64>() == 0
    });
    never.map(|(operation, _)| operation.clone()).collect()
}
