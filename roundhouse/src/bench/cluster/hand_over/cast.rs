//! The processes: wallets with journals, a house with every role but the settler's, and settlers.

use super::HandOverPlan;
use crate::bench::cluster::ground::ClusterGround;
use crate::bench::street::{Street, StreetPlan};
use crate::rig::api::Api;
use crate::rig::keys::PartnerKey;
use crate::rig::processes::{ServerProcess, Wallets};
use crate::rig::setup;
use crate::serve::{Role, Roles, Running, listen};
use anyhow::{Context, bail};
use clap::ValueEnum;
use runtime::cluster::{Cluster, Profile};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::{Table, Value};

/// Longest wait for the house.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// All processes.
pub(super) struct Cast {
    /// The operator, and the players' way in.
    pub(super) api: Api,
    /// Keys by partner.
    pub(super) keys: BTreeMap<String, PartnerKey>,
    wallets: Wallets,
    journals: PathBuf,
    house: Running<Cluster>,
    exe: PathBuf,
    /// What settlers are started with.
    config: PathBuf,
    settlers: BTreeMap<usize, ServerProcess>,
}

impl Cast {
    /// Starts wallets and house; there is no settler yet.
    ///
    /// # Errors
    /// If one of them cannot be started.
    pub(super) async fn open(plan: &HandOverPlan, ground: &ClusterGround) -> anyhow::Result<Self> {
        let HandOverPlan { exe, partners, wallet_latency_ms, seed, data_dir, .. } = plan;
        let street = Street::open(&StreetPlan {
            exe,
            partners: *partners,
            latency_ms: *wallet_latency_ms,
            seed: *seed,
            data_dir,
            doors: false,
        })
        .await?;
        let Street { keys, wallets, journals, operator_key, config, .. } = street;
        let file = data_dir.join("settler.toml");
        setup::write(&config, engine_of(ground), &file)?;
        let listener = listen(&config).await?;
        let engine = ground.open_as("bench-house").await?;
        let roles = Role::value_variants().iter().copied().filter(|role| *role != Role::Settler);
        let roles: Roles = roles.collect();
        let house = Running::with(&config, listener, engine, &roles).await?;
        let api = Api::new(format!("http://{}", house.address), operator_key);
        api.ready(WAIT_MAX).await?;
        let exe = exe.clone();
        Ok(Self {
            api,
            keys,
            wallets,
            journals,
            house,
            exe,
            config: file,
            settlers: BTreeMap::new(),
        })
    }

    /// The engine of the house.
    pub(super) fn engine(&self) -> &Cluster {
        self.house.engine()
    }

    /// Starts a settler and returns when its API can be asked.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(super) async fn start(&mut self, number: usize) -> anyhow::Result<()> {
        let arguments = arguments(&self.config, number);
        let settler = ServerProcess::run(&self.exe, &arguments).await;
        let settler = settler.with_context(|| format!("settler-{number}"))?;
        self.settlers.insert(number, settler);
        Ok(())
    }

    /// Asks a settler to stop (SIGTERM) and waits for its end.
    ///
    /// # Errors
    /// If it does not end well.
    pub(super) async fn stop(&mut self, number: usize) -> anyhow::Result<()> {
        let settler = self.settlers.remove(&number);
        let settler = settler.with_context(|| format!("there is no settler-{number}"))?;
        settler.stop().await.with_context(|| format!("settler-{number}"))
    }

    /// Kills a settler (SIGKILL).
    ///
    /// # Errors
    /// If it cannot be killed.
    pub(super) async fn kill(&mut self, number: usize) -> anyhow::Result<()> {
        let settler = self.settlers.remove(&number);
        let settler = settler.with_context(|| format!("there is no settler-{number}"))?;
        settler.kill().await.with_context(|| format!("settler-{number}"))
    }

    /// Checks that no settler has ended by itself.
    ///
    /// # Errors
    /// If one has.
    pub(super) fn all_live(&mut self) -> anyhow::Result<()> {
        for (number, settler) in &mut self.settlers {
            if let Some(status) = settler.has_ended()? {
                bail!("settler-{number} ended by itself with {status}");
            }
        }
        Ok(())
    }

    /// Stops everything; the engine of the house stays open. Gives the directory of the journals.
    ///
    /// # Errors
    /// If a part of it does not end well.
    pub(super) async fn close(self) -> anyhow::Result<PathBuf> {
        for (number, settler) in self.settlers {
            settler.stop().await.with_context(|| format!("settler-{number}"))?;
        }
        self.house.leave().await.context("the house did not stop well")?;
        self.wallets.stop().await.context("the wallets did not stop well")?;
        Ok(self.journals)
    }
}

fn arguments(config: &Path, number: usize) -> Vec<String> {
    let (config, instance) = (config.to_string_lossy(), format!("settler-{number}"));
    let plain = ["settler", "--announce", "--log", "error", "--listen", "127.0.0.1:0"];
    let further = ["--config", config.as_ref(), "--instance", &instance];
    plain.into_iter().chain(further).map(ToOwned::to_owned).collect()
}

/// The tables of a configuration file that say where the ground is.
fn engine_of(ground: &ClusterGround) -> Table {
    let servers = &ground.servers;
    let profile = match servers.profile {
        Profile::Cluster => "cluster",
        Profile::Single => "single",
    };
    let nodes = servers.store_nodes.iter().cloned().map(Value::String).collect();
    let text = |text: &str| Value::String(text.to_owned());
    let table = |entries: Vec<(&str, Value)>| {
        let entries = entries.into_iter().map(|(key, value)| (key.to_owned(), value));
        Value::Table(entries.collect())
    };
    let properties = servers.properties.iter().map(|(name, value)| (name.as_str(), text(value)));
    let cluster = [
        ("profile", text(profile)),
        ("brokers", text(&servers.brokers)),
        ("store_nodes", Value::Array(nodes)),
        ("given_addresses_only", Value::Boolean(servers.given_addresses_only)),
        ("namespace", text(&ground.namespace)),
        ("keyspace", text(&ground.keyspace)),
        ("properties", table(properties.collect())),
    ];
    let engine = table(vec![("kind", text("cluster"))]);
    let tables = [("engine", engine), ("cluster", table(cluster.to_vec()))];
    tables.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::cluster::ground::tests::ground;
    use crate::config::{Config, Overrides};

    #[test]
    fn settlers_are_where_the_house_is_with_the_same_settings() {
        let ground = ground();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), toml::to_string(&engine_of(&ground)).unwrap()).unwrap();
        let config = Config::load(Some(file.path()), Vec::new(), Overrides::default()).unwrap();
        let (found, given) = (config.cluster, ground.servers);
        assert_eq!((found.brokers, found.properties), (given.brokers, given.properties));
        assert_eq!((found.store_nodes, found.namespace), (given.store_nodes, ground.namespace));
    }
}
