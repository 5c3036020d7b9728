//! The contract in another language: the wallet of `examples/wallet/wallet.py` is a partner beside the
//! reference wallet, also when it is killed, and the audit reads its journal.

use crate::closing::closed;
use crate::house::{Ground, House, OPERATOR_KEY, Street, clean, journals, movements};
use crate::venv;
use roundhouse::rig::keys::wallet_keys;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::sleep;

on_every_engine!(the_example_in_python_is_a_partner);

const ROUND: &str = "r";
const BETS: usize = 80;
/// Bets are corrected while nobody answers there.
const DEAD: Duration = Duration::from_secs(2);

/// The example, as a process. Killed when dropped.
struct Example {
    python: PathBuf,
    arguments: Vec<String>,
    child: Child,
    url: String,
}

impl Example {
    /// Starts it as the wallet of `partner`, on any free port.
    fn start(street: &Street, partner: &str) -> Self {
        let python = venv::programs("wallet", "examples/wallet/requirements.txt").join("python");
        let (db, keys) = (file(street, "example.db"), file(street, "example-keys.json"));
        std::fs::write(&keys, wallet_keys(OPERATOR_KEY, &street.keys)).unwrap();
        let script = venv::root().join("examples/wallet/wallet.py").display().to_string();
        let balance = "--opening-balance=100000000";
        let arguments = ["serve", "--partner", partner, "--db", &db, "--keys", &keys, balance];
        let arguments: Vec<String> =
            std::iter::once(script).chain(arguments.map(ToOwned::to_owned)).collect();
        let (child, url) = run(&python, &arguments, "127.0.0.1:0");
        Self { python, arguments, child, url }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again where it was.
    fn start_again(&mut self) {
        let listen = self.url.strip_prefix("http://").unwrap();
        (self.child, _) = run(&self.python, &self.arguments, listen);
    }

    /// Its journal, as the audit reads it.
    fn journal(&self, street: &Street) -> String {
        let mut command = Command::new(&self.python);
        command.arg(&self.arguments[0]).args(["journal", "--db", &file(street, "example.db")]);
        venv::run(&mut command)
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn file(street: &Street, name: &str) -> String {
    street.directory.path().join(name).to_str().unwrap().to_owned()
}

fn run(python: &PathBuf, arguments: &[String], listen: &str) -> (Child, String) {
    let mut command = Command::new(python);
    command.args(arguments).args(["--listen", listen]).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    (child, said["url"].as_str().unwrap().to_owned())
}

async fn the_example_in_python_is_a_partner<E: Ground>() {
    let mut street = Street::on::<E>(2, 89, &[]).await;
    let mut example = Example::start(&street, "p02");
    street.config.partners[1].wallet_url.clone_from(&example.url);
    street.config.reconciler.close_after_s = 0;
    let house = House::<E>::open(&street.config).await;
    let partners: BTreeSet<String> = street.keys.keys().cloned().collect();
    let told = house.bet(ROUND, street.wagers(ROUND, BETS, 1)).await;
    assert!(!told.is_empty());
    house.api.result(ROUND, "3").await.unwrap();
    closed(&house, 1, &partners).await;
    example.kill();
    house.api.correct(ROUND, 1, "4").await.unwrap();
    sleep(DEAD).await;
    example.start_again();
    closed(&house, 2, &partners).await;
    house.api.withdraw(ROUND, 2).await.unwrap();
    house.settled().await;
    house.api.void(ROUND, 3).await.unwrap();
    house.settled().await;
    house.close().await;
    let journal = journals(street.directory.path()).join("p02.jsonl");
    std::fs::write(journal, example.journal(&street)).unwrap();
    let (books, _) = clean::<E>(&street).await;
    let of = |partner: &str| movements(&books).filter(|moved| moved.partner == partner).count();
    assert!(BETS < of("p02") && BETS < of("p01"), "{} and {}", of("p01"), of("p02"));
}
