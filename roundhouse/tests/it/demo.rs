//! The demo as a user runs it: of its own, or against a server on the cluster engine.

use crate::house::{EXE, Ground};
use crate::venv;
use roundhouse::config::{Config, Overrides};
use roundhouse::demo::FAULTS;
use roundhouse::engine::JOURNALS;
use roundhouse::rig::processes::{ServerProcess, Wallets, WalletsPlan, free_ports};
use roundhouse::rig::setup;
use runtime::cluster::Cluster;
use runtime::embedded::Embedded;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

on_every_engine!(
    with_faults_not_a_cent_is_amiss,
    payouts_that_are_rounded_up_are_noticed,
    stakes_that_do_not_go_back_are_noticed,
);

const PARTNERS: usize = 5;
const GAME: &[&str] = &["demo", "--json", "--rounds", "2", "--bets", "400", "--seed", "1"];
/// An engine on which a demo is played, with wallets that misbehave.
trait Stage: Ground {
    /// Plays a demo; a `bug` is a guard of its server that is broken.
    async fn demo(bug: Option<&str>) -> Output;
}

impl Stage for Embedded {
    async fn demo(bug: Option<&str>) -> Output {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(EXE);
        command.args(GAME).args(["--faults", "--partners", &PARTNERS.to_string()]);
        command.arg("--data-dir").arg(directory.path());
        command.args(bug.into_iter().flat_map(|bug| ["--planted", bug]));
        output(command).await
    }
}

impl Stage for Cluster {
    /// Prepares a demo, starts wallets and a server as others would, and plays on it.
    async fn demo(bug: Option<&str>) -> Output {
        let mut config = Config::load(None, Vec::new(), Overrides::default()).unwrap();
        Self::prepare(&mut config).await;
        let directory = tempfile::tempdir().unwrap();
        let port = free_ports(PARTNERS).unwrap();
        prepare(&directory, &config, port).await;
        let plan = WalletsPlan {
            exe: EXE.into(),
            partners: setup::partner_names(PARTNERS),
            keys: std::fs::read_to_string(directory.path().join("wallet-keys.json")).unwrap(),
            journals: directory.path().join("journals"),
            arguments: ["--opening-balance", "100000000"]
                .iter()
                .chain(FAULTS)
                .map(|argument| (*argument).to_owned())
                .collect(),
        };
        let wallets = Wallets::start(plan, &format!("127.0.0.1:{port}")).await.unwrap();
        let server = serve(&directory, bug).await;
        let mut command = Command::new(EXE);
        command.args(GAME).args(["--target", &server.url, "--prepared"]).arg(directory.path());
        let output = output(command).await;
        server.stop().await.unwrap();
        wallets.stop().await.unwrap();
        output
    }
}

async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// Makes keys and files; where the servers are is told through the environment, as in containers.
async fn prepare(directory: &TempDir, config: &Config, port: u16) {
    let mut command = Command::new(EXE);
    command.arg("demo").arg("--prepare").arg(directory.path());
    command.args(["--partners", &PARTNERS.to_string()]);
    command.args(["--wallet-url", &format!("http://127.0.0.1:{port}")]);
    command.args(["--profile", "single"]);
    let cluster = &config.cluster;
    for (key, value) in [
        ("BROKERS", &cluster.brokers),
        ("STORE_NODES", &cluster.store_nodes.join(",")),
        ("NAMESPACE", &cluster.namespace),
        ("KEYSPACE", &cluster.keyspace),
        ("INSTANCE", &cluster.instance),
        ("GIVEN_ADDRESSES_ONLY", &cluster.given_addresses_only.to_string()),
    ] {
        command.env(format!("ROUNDHOUSE__CLUSTER__{key}"), value);
    }
    let output = output(command).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A server for what was prepared, on the log that the demo will read.
async fn serve(directory: &TempDir, bug: Option<&str>) -> ServerProcess {
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    let config = directory.path().join("roundhouse.toml");
    std::fs::write(&config, read("server.toml") + "\n" + &read("demo.toml")).unwrap();
    let config = config.to_string_lossy();
    let plain = ["serve", "--announce", "--log", "warn", "--listen", "127.0.0.1:0", "--config"];
    let mut arguments: Vec<String> = plain.map(ToOwned::to_owned).to_vec();
    arguments.push(config.into_owned());
    arguments.extend(bug.into_iter().flat_map(|bug| ["--planted".to_owned(), bug.to_owned()]));
    ServerProcess::run(Path::new(EXE), &arguments).await.unwrap()
}

#[track_caller]
fn report(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {text}"))
}

async fn with_faults_not_a_cent_is_amiss<E: Stage>() {
    let output = E::demo(None).await;
    let report = report(&output);
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert_eq!(report["ok"], true);
    assert_eq!(report["audit"]["clean"], true);
    assert_eq!(report["audit"]["owed"], 0);
    assert_eq!(report["figures"]["decided"], 800);
    let accepted = report["figures"]["accepted"].as_u64().unwrap();
    assert!(700 < accepted, "{accepted} of 800 were accepted");
}

/// Plays a demo with a broken guard: the audit must name an invariant that is violated.
async fn noticed<E: Stage>(bug: &str, invariant: &str) {
    let output = E::demo(Some(bug)).await;
    let report = report(&output);
    assert_eq!(output.status.code(), Some(1), "{report:#}");
    assert_eq!(report["ok"], false);
    let invariants = report["audit"]["invariants"].as_array().unwrap();
    let finding = invariants.iter().find(|finding| finding["name"] == invariant).unwrap();
    assert!(0 < finding["violations"].as_u64().unwrap(), "{bug}: {report:#}");
}

async fn payouts_that_are_rounded_up_are_noticed<E: Stage>() {
    noticed::<E>("payout-ceiled", "settlements-defined").await;
}

async fn stakes_that_do_not_go_back_are_noticed<E: Stage>() {
    noticed::<E>("decline-not-voided", "settlements-defined").await;
}

/// The contract in another language, in the middle of everything, and the audit reads its journal too.
#[tokio::test]
async fn a_wallet_in_python_takes_part() {
    let python = venv::programs("wallet", "examples/wallet/requirements.txt").join("python");
    let script = venv::root().join("examples/wallet/wallet.py");
    let wallet = format!("{} {} serve", python.display(), script.display());
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(EXE);
    command.args(["demo", "--json", "--rounds", "2", "--bets", "100", "--partners", "2"]);
    command.args(["--wallet-command", &wallet, "--data-dir"]).arg(directory.path());
    let output = output(command).await;
    let report = report(&output);
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert_eq!(report["audit"]["clean"], true);
    let journal = directory.path().join(JOURNALS).join("p02.jsonl");
    let moved = std::fs::read_to_string(journal).unwrap().lines().count();
    assert!(200 < moved, "100 stakes and what became of them, not {moved} lines");
}
