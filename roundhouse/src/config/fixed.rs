//! What of a configuration is in force until a restart, and which keys of it another one has otherwise.

use super::Config;
use anyhow::Context;
use serde::Serializer;
use std::collections::BTreeSet;
use std::path::Path;
use toml::{Table, Value};

/// The list that may change while a process runs.
const OPERATORS: &str = "operators";

/// All of a configuration but its operators. No `Debug`: it has secrets.
#[derive(Clone)]
pub struct Fixed(Table);

impl Config {
    /// What stays as it is while a process runs.
    ///
    /// # Errors
    /// If it cannot be rendered.
    pub fn fixed(&self) -> anyhow::Result<Fixed> {
        let mut table = Table::try_from(self).context("the configuration cannot be rendered")?;
        table.remove(OPERATORS);
        Ok(Fixed(table))
    }
}

impl Fixed {
    /// The paths of the keys that `other` has otherwise, and never their values. Of a list with more or fewer entries
    /// the list.
    pub fn changed(&self, other: &Self) -> Vec<String> {
        let mut paths = Vec::new();
        tables("", &self.0, &other.0, &mut paths);
        paths
    }
}

/// A path that is no text, which a flag may give, is one all the same.
pub(super) fn path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

fn tables(path: &str, one: &Table, other: &Table, paths: &mut Vec<String>) {
    let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    for key in keys {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (one.get(key), other.get(key)) {
            (Some(one), Some(other)) => values(path, one, other, paths),
            (_, _) => paths.push(path),
        }
    }
}

fn values(path: String, one: &Value, other: &Value, paths: &mut Vec<String>) {
    match (one, other) {
        (Value::Table(one), Value::Table(other)) => tables(&path, one, other, paths),
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                values(format!("{path}[{index}]"), one, other, paths);
            }
        }
        (_, _) if one != other => paths.push(path),
        (_, _) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;
    use crate::rig::keys::PartnerKey;
    use signing::SecretKey;
    use std::net::SocketAddr;

    fn load(file: &str) -> Config {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("roundhouse.toml");
        std::fs::write(&path, file).unwrap();
        Config::load(Some(&path), Vec::new(), Overrides::default()).unwrap()
    }

    /// What changes at a restart alone is named, and no value of it.
    #[test]
    fn what_another_configuration_has_otherwise_is_named() {
        let partner = |url: &str, currency: &str, minimum: u8| {
            format!(
                "[[partners]]\nid = \"acme\"\nwallet_url = \"{url}\"\ntoken_key = \"{}\"\n\
                 shared_secrets = [\"{}\"]\n[[partners.currencies]]\ncurrency = \"{currency}\"\nexponent = 2\n\
                 stake_min_units = {minimum}\nstake_max_units = 9\npayout_max_units = 9\nliability_max_units = 9\n",
                PartnerKey::of_seed("acme", 1).public(),
                SecretKey::Shared(vec![minimum; 32]).reveal(),
            )
        };
        let first = partner("https://wallet.example", "EUR", 1);
        let desk = "[[operators]]\nname = \"desk\"\nkey = \"a key of twenty letters or more\"\n";
        for (one, other, wanted) in [
            ("", "", &[][..]),
            (&*first, &*first, &[]),
            ("", desk, &[]),
            ("", "[server]\nconnections_max = 20000", &[]),
            ("", "[server]\nconnections_max = 7", &["server.connections_max"]),
            ("", &first, &["partners"]),
            (&first, &partner("https://other.example", "EUR", 1), &["partners[0].wallet_url"]),
            (
                &first,
                &partner("https://wallet.example", "USD", 2),
                &[
                    "partners[0].currencies[0].currency",
                    "partners[0].currencies[0].stake_min_units",
                    "partners[0].shared_secrets[0]",
                ],
            ),
            (
                "[cluster.properties]\n\"sasl.password\" = \"one\"",
                "[cluster.properties]\n\"sasl.password\" = \"two\"\n\"linger.ms\" = \"1\"",
                &["cluster.properties.linger.ms", "cluster.properties.sasl.password"],
            ),
            (
                "[cases]\nwebhook_authorization = \"a\"",
                "[cases]\nwebhook_url = \"http://b\"",
                &["cases.webhook_authorization", "cases.webhook_url"],
            ),
        ] {
            let fixed = |text| load(text).fixed().unwrap();
            assert_eq!(fixed(one).changed(&fixed(other)), wanted, "{other}");
        }
        let port = |port: u16| {
            let listen = Some(SocketAddr::from(([127, 0, 0, 1], port)));
            let flags = Overrides { listen, ..Overrides::default() };
            Config::load(None, Vec::new(), flags).unwrap().fixed().unwrap()
        };
        assert_eq!(port(1).changed(&port(2)), ["server.listen"]);
    }
}
