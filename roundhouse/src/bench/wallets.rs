//! Wallets in a process of their own that answer from memory, and so cost as little as a wallet can.

use crate::rig::keys::{PartnerKey, platform, wallet_keys};
use anyhow::Context;
use serde::Deserialize;
use signing::SecretKey;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

/// Longest wait until the wallets say where they are.
const START_WAIT_MAX: Duration = Duration::from_secs(30);
/// Minor units that every player begins with: no stake of a bench is ever declined.
const OPENING_BALANCE: &str = "1000000000000";

/// The process. Killed when dropped; ends also when this process does.
#[derive(Debug)]
pub(super) struct MemoryWallets {
    child: Child,
    /// It stops when this is closed.
    _stdin: ChildStdin,
    /// Base URLs by partner.
    pub(super) urls: BTreeMap<String, String>,
    /// What messages to them must be signed with.
    pub(super) platform: SecretKey,
}

#[derive(Deserialize)]
struct Announced {
    partner: String,
    url: String,
}

impl MemoryWallets {
    /// Starts the wallets of `partners` on free ports, each answering after `latency_ms` to the installation
    /// of this operator.
    ///
    /// # Errors
    /// If the process cannot be started or ends at once.
    pub(super) async fn start(
        exe: &Path,
        partners: &BTreeMap<String, PartnerKey>,
        operator_key: &str,
        latency_ms: u64,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(exe);
        command.args(["wallet", "--listen", "127.0.0.1:0", "--in-memory", "--with-parent"]);
        command.args(["--opening-balance", OPENING_BALANCE]);
        command.args(["--latency-ms", &latency_ms.to_string()]);
        command.env("ROUNDHOUSE_WALLET_KEYS", wallet_keys(operator_key, partners));
        for partner in partners.keys() {
            command.args(["--partner", partner]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("this binary cannot be started again")?;
        let stdin = child.stdin.take().context("the wallets have no input")?;
        let mut lines =
            BufReader::new(child.stdout.take().context("the wallets have no output")?).lines();
        let mut urls = BTreeMap::new();
        let announced = async {
            while urls.len() < partners.len() {
                let line = lines.next_line().await?.context("the wallets ended at once")?;
                let said: Announced = serde_json::from_str(&line)
                    .with_context(|| format!("`{line}` is no address"))?;
                urls.insert(said.partner, said.url);
            }
            anyhow::Ok(())
        };
        timeout(START_WAIT_MAX, announced).await.context("the wallets did not start in time")??;
        Ok(Self { child, _stdin: stdin, urls, platform: platform(operator_key) })
    }

    /// The process, for its CPU time.
    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }
}
