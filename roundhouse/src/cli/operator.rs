//! Flags of commands that speak to the rounds API as an operator.

use anyhow::{Context, bail};
use feeds::api::RoundsApi;
use std::path::PathBuf;

/// Where the API is, and whose key is used.
#[derive(Debug, clap::Args)]
pub(super) struct Operator {
    /// Base URL of the API
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    target: String,
    /// A file with the operator's key alone; or set ROUNDHOUSE_OPERATOR_KEY
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

/// Where the key is if no file is named. Not an argument: other users of the machine could read it.
const KEY: &str = "ROUNDHOUSE_OPERATOR_KEY";

impl Operator {
    /// The operator with this key at the API at `target`.
    pub(super) fn at(target: String, key_file: Option<PathBuf>) -> Self {
        Self { target, key_file }
    }

    /// A client with the operator's key.
    pub(super) fn api(&self) -> anyhow::Result<RoundsApi> {
        let known = std::env::vars().find(|(name, _)| name == KEY).map(|(_, key)| key);
        let key = match (&self.key_file, known) {
            (Some(path), _) => std::fs::read_to_string(path)
                .with_context(|| format!("the key cannot be read from {}", path.display()))?,
            (None, Some(key)) => key,
            (None, None) => bail!("an operator's key is needed: set {KEY}, or say --key-file"),
        };
        Ok(RoundsApi::new(&self.target, key.trim())?)
    }
}
