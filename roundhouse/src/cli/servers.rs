//! Where the servers of the cluster engine are, for commands that prepare them: the configuration of the
//! services, or flags and variables of the environment over it.

use crate::config::{Cluster, Config, EngineFlags, EngineKind, Overrides, Profile};
use std::path::PathBuf;

/// What such commands have in common.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Servers {
    /// The configuration file of the services; `roundhouse serve --print-config` shows every key, and
    /// those of [cluster] count here. ROUNDHOUSE__CLUSTER__KEY and flags override it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What the servers must promise [default: cluster]
    #[arg(long, value_enum, value_name = "PROFILE")]
    profile: Option<Profile>,
}

impl Servers {
    /// Reads the configuration, with these brokers and nodes if they were given as flags.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub(super) fn load(
        self,
        environment: impl IntoIterator<Item = (String, String)>,
        brokers: Option<String>,
        store_nodes: Vec<String>,
    ) -> anyhow::Result<Cluster> {
        let engine = Some(EngineKind::Cluster);
        let engine =
            EngineFlags { engine, brokers, store_nodes, profile: self.profile, instance: None };
        let flags = Overrides { engine, ..Overrides::default() };
        Ok(Config::load(self.config.as_deref(), environment, flags)?.cluster)
    }
}
