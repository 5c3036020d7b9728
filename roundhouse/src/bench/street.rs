//! Partners whose wallets keep journals, so that the audit can read them, and the configuration of a house
//! that knows them.

use crate::audit::report::Report;
use crate::audit::{audit, journal, load as books};
use crate::config::Config;
use crate::rig::keys::{PartnerKey, secret, wallet_keys};
use crate::rig::processes::{Wallets, WalletsPlan};
use crate::rig::setup;
use crate::serve::{Opened, Roles, Running, listen};
use anyhow::{Context, anyhow};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Minor units that every player begins with: no stake is ever declined.
const OPENING_BALANCE: &str = "1000000000000";

/// Wallets in a process of their own, and what a house is configured with.
pub(super) struct Street {
    /// Keys by partner.
    pub(super) keys: BTreeMap<String, PartnerKey>,
    /// The wallets.
    pub(super) wallets: Wallets,
    /// The directory of their journals.
    pub(super) journals: PathBuf,
    /// The operator's key.
    pub(super) operator_key: String,
    /// The configuration.
    pub(super) config: Config,
}

impl Street {
    /// Starts the wallets of `partners`, each answering after `latency_ms`, with journals below `data_dir`.
    /// What the journals must survive in a bench is the end of a server, not of the machine: they are not
    /// forced to the disk.
    ///
    /// # Errors
    /// If the wallets cannot be started.
    pub(super) async fn open(
        exe: &Path,
        partners: usize,
        latency_ms: u64,
        seed: u64,
        data_dir: &Path,
    ) -> anyhow::Result<Self> {
        let names = setup::partner_names(partners);
        let key = |name: &String| (name.clone(), PartnerKey::of_seed(name, seed));
        let keys: BTreeMap<String, PartnerKey> = names.iter().map(key).collect();
        let operator_key = secret()?;
        let journals = data_dir.join("wallets");
        let latency_ms = latency_ms.to_string();
        let arguments =
            ["--opening-balance", OPENING_BALANCE, "--latency-ms", &latency_ms, "--no-fsync"];
        let wallets = WalletsPlan {
            exe: exe.to_owned(),
            partners: names,
            keys: wallet_keys(&operator_key, &keys),
            journals: journals.clone(),
            arguments: arguments.map(ToOwned::to_owned).to_vec(),
        };
        let wallets = Wallets::start(wallets, "127.0.0.1:0").await?;
        let with_urls = keys.iter().map(|(name, key)| {
            let url = wallets.urls.get(name).cloned().unwrap_or_default();
            (name.clone(), (key.clone(), url))
        });
        let config = setup::config(&operator_key, &with_urls.collect())?;
        Ok(Self { keys, wallets, journals, operator_key, config })
    }

    /// Runs a house on the engine that `opening` opens, lets `measure` at it, and audits all that is left behind:
    /// log, facts and the wallets' journals.
    ///
    /// # Errors
    /// If a part cannot be started or stopped or read, or `measure` fails.
    pub(super) async fn audited<E: Opened, T>(
        self,
        opening: impl AsyncFnOnce(&Config) -> anyhow::Result<E>,
        measure: impl AsyncFnOnce(&Self, &Running<E>) -> anyhow::Result<T>,
    ) -> anyhow::Result<(T, Report)> {
        let listener = listen(&self.config).await?;
        let engine = opening(&self.config).await?;
        let house = Running::with(&self.config, listener, engine.clone(), &Roles::all()).await?;
        let measured = measure(&self, &house).await;
        house.leave().await.context("the server did not stop well")?;
        self.wallets.stop().await.context("the wallets did not stop well")?;
        let measured = measured?;
        eprintln!("bench: the audit reads everything");
        let mut books = books::read(&engine, E::PARTITIONS).await?;
        engine.close().await;
        books.journals = Some(journal::read_all(&[self.journals])?);
        let audit = audit(&books, true).map_err(|why| anyhow!(why))?;
        Ok((measured, audit))
    }
}
