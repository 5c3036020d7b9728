//! Partners whose wallets keep journals, so that the audit can read them, and the configuration of a house
//! that knows them.

use super::doors::Doors;
use crate::config::Config;
use crate::rig::keys::{PartnerKey, secret, wallet_keys};
use crate::rig::processes::{Wallets, WalletsPlan};
use crate::rig::setup;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Minor units that every player begins with: no stake is ever declined.
const OPENING_BALANCE: &str = "1000000000000";

/// Which partners there are.
#[derive(Clone, Copy, Debug)]
pub struct StreetPlan<'a> {
    /// The binary whose `wallet` is started.
    pub exe: &'a Path,
    /// How many partners, each with a wallet.
    pub partners: usize,
    /// How long each wallet takes to answer, in ms.
    pub latency_ms: u64,
    /// Seed of their keys.
    pub seed: u64,
    /// An empty directory.
    pub data_dir: &'a Path,
    /// Whether there is a door before each wallet.
    pub doors: bool,
}

/// Wallets in a process of their own, and what a house is configured with.
pub struct Street {
    /// Keys by partner.
    pub(super) keys: BTreeMap<String, PartnerKey>,
    /// The wallets.
    pub(super) wallets: Wallets,
    /// What the house finds in their place, if there are doors.
    pub(super) doors: Option<Doors>,
    /// The directory of their journals.
    pub(super) journals: PathBuf,
    /// The operator's key.
    pub(super) operator_key: String,
    /// The configuration.
    pub(super) config: Config,
}

impl Street {
    /// Starts the wallets, with journals below the directory. What these must survive in a bench is the end of a
    /// server, not of the machine: they are not forced to the disk.
    ///
    /// # Errors
    /// If the wallets cannot be started.
    pub(super) async fn open(plan: &StreetPlan<'_>) -> anyhow::Result<Self> {
        let StreetPlan { exe, partners, latency_ms, seed, data_dir, doors } = *plan;
        let names = setup::partner_names(partners);
        let key = |name: &String| (name.clone(), PartnerKey::of_seed(name, seed));
        let keys: BTreeMap<String, PartnerKey> = names.iter().map(key).collect();
        let operator_key = secret()?;
        let journals = data_dir.join("wallets");
        let latency = Duration::from_millis(latency_ms);
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
        let doors = match doors {
            true => Some(Doors::open(&wallets.urls, latency).await?),
            false => None,
        };
        let urls = doors.as_ref().map_or(&wallets.urls, |doors| &doors.urls);
        let with_urls = keys.iter().map(|(name, key)| {
            let url = urls.get(name).cloned().unwrap_or_default();
            (name.clone(), (key.clone(), url))
        });
        let config = setup::config(&operator_key, &with_urls.collect())?;
        Ok(Self { keys, wallets, doors, journals, operator_key, config })
    }
}
