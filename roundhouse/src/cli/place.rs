//! Where a command finds the log and the facts of an installation.

use crate::config::{Config, EngineFlags, Overrides};
use std::path::PathBuf;

/// The data directory or the servers.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// The directory that `serve` was given [default: ./data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The configuration file of the server: where its data or its servers are
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineFlags,
}

impl Place {
    /// The configuration in force there.
    ///
    /// # Errors
    /// If it is not one.
    pub(super) fn config(&self) -> anyhow::Result<Config> {
        let flags = Overrides {
            data_dir: self.data_dir.clone(),
            engine: self.engine.clone(),
            ..Overrides::default()
        };
        Config::load(self.config.as_deref(), std::env::vars(), flags)
    }
}
