//! What a bench runs against: wallets that answer from memory, and the server in this process.

use super::ground::Ground;
use super::report::Memory;
use super::wallets::MemoryWallets;
use crate::config::Config;
use crate::rig::api::Api;
use crate::rig::keys::{PartnerKey, secret};
use crate::rig::setup;
use crate::serve::{Opened, Roles, Running, listen};
use anyhow::Context;
use runtime::embedded::Embedded;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Longest wait for the server, and for the seal of a round.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(30);
/// Seed of the partners' keys.
pub(super) const SEED: u64 = 1;
/// Age at which rounds are closed with partners, in s: behind every bench.
const CLOSE_AFTER_S: i64 = 86_400;

/// Wallets, server, and a client for the operator.
pub(super) struct House<E: Opened = Embedded> {
    /// Keys by partner.
    pub(super) keys: BTreeMap<String, PartnerKey>,
    /// The wallets.
    pub(super) wallets: MemoryWallets,
    /// The server.
    pub(super) running: Running<E>,
    /// The operator.
    pub(super) api: Api,
    /// Memory since it was ready.
    pub(super) memory: Memory,
}

impl<E: Opened> House<E> {
    /// Starts everything on `ground`, after `configure`.
    ///
    /// # Errors
    /// If a part of it cannot be started.
    pub(super) async fn start(
        exe: &Path,
        partners: usize,
        latency_ms: u64,
        ground: &impl Ground<Engine = E>,
        configure: impl FnOnce(&mut Config),
    ) -> anyhow::Result<Self> {
        let names = setup::partner_names(partners);
        let key = |name: &String| (name.clone(), PartnerKey::of_seed(name, SEED));
        let keys: BTreeMap<String, PartnerKey> = names.iter().map(key).collect();
        let operator_key = secret()?;
        let wallets = MemoryWallets::start(exe, &keys, &operator_key, latency_ms).await?;
        let with_urls = keys.iter().map(|(name, key)| {
            let url = wallets.urls.get(name).cloned().unwrap_or_default();
            (name.clone(), (key.clone(), url))
        });
        let mut config = setup::config(&operator_key, &with_urls.collect())?;
        // The plain program plays rounds of its own with the same bets at the same wallets, which then say
        // something else of them than the log does.
        config.reconciler.close_after_s = CLOSE_AFTER_S;
        ground.configure(&mut config);
        configure(&mut config);
        let listener = listen(&config).await?;
        let engine = ground.open().await?;
        let running = Running::with(&config, listener, engine, &Roles::all()).await?;
        let api = Api::new(format!("http://{}", running.address), operator_key);
        api.ready(WAIT_MAX).await?;
        Ok(Self { keys, wallets, running, api, memory: Memory::at_rest() })
    }

    /// Stops the server, and says what memory it took; the wallets end with this value.
    ///
    /// # Errors
    /// If a part of it broke down.
    pub(super) async fn close(self) -> anyhow::Result<Memory> {
        let memory = self.memory.with_peak();
        self.running.stop().await.context("the server did not stop well")?;
        Ok(memory)
    }
}
