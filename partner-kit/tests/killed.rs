//! A wallet process is killed amid load, again and again; what it answered is there after the restart.
//!
//! The process is this program itself, started with `wallet` and the arguments of `roundhouse wallet`.
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(dead_code, reason = "the client has more than this test needs")]

#[path = "it/client.rs"]
mod client;

use clap::Parser;
use client::{AUTHORIZE, Line, STATE, ask, chunk, settled};
use partner_kit::WalletArgs;
use partner_kit::journal::read;
use partner_kit::movement::Entry;
use partner_kit::register::Register;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const ROUNDS: u32 = 4;
const WORKERS: u32 = 8;
/// Answers after which the process is killed.
const ANSWERS: usize = 400;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    wallet: WalletArgs,
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args();
    let name = arguments.next().unwrap_or_default();
    match arguments.next().as_deref() {
        Some("wallet") => {
            let wallet = Arguments::parse_from(std::iter::once(name).chain(arguments)).wallet;
            partner_kit::run(wallet, CancellationToken::new()).await.unwrap();
        }
        Some(_) | None => killed().await,
    }
}

/// What was answered: per bet the highest revision, with the money that its row had collected.
type Answered = Arc<Mutex<BTreeMap<String, (u64, Option<String>)>>>;

async fn killed() {
    let dir = tempfile::TempDir::new().unwrap();
    let answered = Answered::default();
    for round in 0..ROUNDS {
        let (mut child, address) = start(dir.path(), round);
        check(address, &answered).await;
        let before = answered.lock().unwrap().len();
        let mut load = JoinSet::new();
        for worker in 0..WORKERS {
            load.spawn(work(address, format!("{round}-{worker}"), Arc::clone(&answered)));
        }
        while answered.lock().unwrap().len() < before + ANSWERS {
            tokio::task::yield_now().await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        load.join_all().await;
        books(dir.path());
    }
    let (mut child, address) = start(dir.path(), ROUNDS);
    check(address, &answered).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let moved = books(dir.path());
    println!(
        "killed {ROUNDS} times: {} bets answered, {moved} moved",
        answered.lock().unwrap().len()
    );
}

fn start(dir: &Path, seed: u32) -> (Child, SocketAddr) {
    let platform = client::platform_key().verifying().public().unwrap();
    let keys = json!({
        "platform": [platform],
        "partners": {"acme": [client::wallet_key().reveal()]},
    });
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["wallet", "--partner", "acme", "--listen", "127.0.0.1:0"])
        .args(["--opening-balance", "1000000000", "--journal-dir"])
        .arg(dir)
        .args(["--reset-rate", "20", "--repeat-rate", "20", "--error-500-after-apply-rate", "20"])
        .args(["--seed", &seed.to_string()])
        .env("ROUNDHOUSE_WALLET_KEYS", keys.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let told: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(told["partner"], "acme");
    let address = told["url"].as_str().unwrap().strip_prefix("http://").unwrap();
    (child, address.parse().unwrap())
}

/// Holds and settles bets until the process is gone; a lost answer is asked for again.
async fn work(address: SocketAddr, name: String, answered: Answered) {
    let mut line = None;
    for number in 0_u32.. {
        let bet = format!("b{name}-{number}");
        for (path, body) in [(AUTHORIZE, ask(&bet)), (STATE, chunk([settled(&bet, 3, 2500)]))] {
            let body = loop {
                let mut open = match line.take() {
                    Some(line) => line,
                    None => match Line::try_to(address).await {
                        Ok(line) => line,
                        Err(_) => return,
                    },
                };
                if let Ok(answer) = open.post(path, &body).await {
                    line = Some(open);
                    if answer.status == 200 {
                        break answer.body;
                    }
                }
            };
            let told = match path {
                AUTHORIZE => (1, Some("-1000".to_owned())),
                _ => (3, body["results"][0]["collected_net"].as_str().map(str::to_owned)),
            };
            answered.lock().unwrap().insert(client::id(&bet), told);
        }
    }
}

/// Every answer still holds: the row is there, at that revision or above, with that money.
async fn check(address: SocketAddr, answered: &Answered) {
    let answered = answered.lock().unwrap().clone();
    let bets: Vec<&String> = answered.keys().collect();
    for some in bets.chunks(500) {
        let answer = loop {
            let answer = Line::to(address).await;
            let mut line = answer;
            let asked = line.post(schemas::contract::QUERY_PATH, &json!({"bet_ids": some})).await;
            if let Ok(answer) = asked
                && answer.status == 200
            {
                break answer.body;
            }
        };
        for row in answer["rows"].as_array().unwrap() {
            let bet = row["bet_id"].as_str().unwrap();
            let (revision, collected) = &answered[bet];
            let found = row["revision"].as_u64().unwrap();
            assert!(*revision <= found, "{bet} was answered at {revision} and is at {found}");
            if *revision == found {
                assert_eq!(row["collected_net"].as_str(), collected.as_deref(), "{bet}");
            }
        }
    }
}

/// The journal keeps every promise of `Register::replay`; gives its number of movements.
fn books(dir: &Path) -> usize {
    let entries = read(&dir.join("acme.jsonl")).unwrap();
    let mut options = client::options(partner_kit::Keep::InMemory).ledger;
    options.ledger_epoch = 0;
    let register = Register::replay(options, &entries).unwrap();
    let collected: i64 = register.rows().map(|(_, row)| row.collected_net).sum();
    assert_eq!(register.balance("p_9").unwrap().units, 1_000_000_000 + collected);
    entries.iter().filter(|entry| matches!(entry, Entry::Movement(_))).count()
}
