//! What a demo against servers of others shares with them: partners, keys, the wallets' journals, and
//! where the log is. Made once, into one directory; not for real money.
//!
//! | file | for |
//! |---|---|
//! | `server.toml` | `--config` of every server: the operator, the partners with their wallets |
//! | `wallets.args` | arguments of `roundhouse wallet` |
//! | `wallet-keys.json` | the keys of the wallets |
//! | `journals/` | the wallets write there, the audit reads |
//! | `demo.toml` | where the demo finds the log |
//! | `keys.json` | the demo's secrets |

use crate::config::Config;
use crate::rig::keys::{PartnerKey, secret, wallet_keys};
use crate::rig::setup;
use anyhow::{Context, bail};
use http::Uri;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use toml::Table;

const KEYS: &str = "keys.json";
const SERVER: &str = "server.toml";
const DEMO: &str = "demo.toml";
const WALLETS: &str = "wallets.args";
const WALLET_KEYS: &str = "wallet-keys.json";
const JOURNALS: &str = "journals";
/// The partner whose player bets through `/bet-maker`.
const SANDBOX: &str = "sandbox";

/// Where containers and the machines beside this one are: the wallets have no certificates.
const PRIVATE: [&str; 4] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

/// The keys of a prepared demo.
#[derive(Serialize, Deserialize)]
struct Keys {
    operator_key: String,
    /// Secrets by partner.
    partners: BTreeMap<String, String>,
}

/// A prepared demo.
pub struct Prepared {
    /// The operator's key.
    pub operator_key: String,
    /// The partners.
    pub keys: BTreeMap<String, PartnerKey>,
    /// Where the wallets' journals are.
    pub journals: PathBuf,
}

impl Prepared {
    /// Reads what was prepared in `directory`.
    ///
    /// # Errors
    /// If nothing was.
    pub fn read(directory: &Path) -> anyhow::Result<Self> {
        let Some(kept) = kept(directory)? else {
            bail!(
                "nothing is prepared in {}: run `roundhouse demo --prepare` first (--prepared)",
                directory.display()
            );
        };
        let key = |(partner, secret): (&String, &String)| {
            Ok((partner.clone(), PartnerKey::of_secret(partner, secret)?))
        };
        let keys = kept.partners.iter().map(key).collect::<anyhow::Result<_>>()?;
        Ok(Self { operator_key: kept.operator_key, keys, journals: directory.join(JOURNALS) })
    }

    /// The configuration that says where the log is.
    pub fn config(directory: &Path) -> PathBuf {
        directory.join(DEMO)
    }
}

/// Prepares a demo with at least `partners` partners in `directory`. Keys that are there stay, so that it
/// can be done again; `config` says where the demo will find the log.
///
/// The first partner's wallet is at `wallet_url`, the next ones on the ports behind it. With `sandbox` there
/// is a partner of that name too, and the simple APIs are served to anybody.
///
/// # Errors
/// If the directory cannot be written, or the URL is none with a host and a port.
pub fn prepare(
    directory: &Path,
    partners: usize,
    sandbox: bool,
    wallet_url: &str,
    config: &Config,
) -> anyhow::Result<()> {
    let (host, port) = base(wallet_url)?;
    let journals = directory.join(JOURNALS);
    std::fs::create_dir_all(&journals)
        .with_context(|| format!("{} cannot be made", journals.display()))?;
    let mut keys = match kept(directory)? {
        Some(keys) => keys,
        None => Keys { operator_key: secret()?, partners: BTreeMap::new() },
    };
    let sandbox = sandbox.then(|| SANDBOX.to_owned());
    for name in setup::partner_names(partners).into_iter().chain(sandbox) {
        if let Entry::Vacant(vacant) = keys.partners.entry(name) {
            vacant.insert(secret()?);
        }
    }
    let json = serde_json::to_string_pretty(&keys).context("the keys are not JSON")?;
    write(directory, KEYS, &json)?;

    let mut with_urls = BTreeMap::new();
    for (index, (name, secret)) in (0_u16..).zip(&keys.partners) {
        let port = port.checked_add(index).context("--wallet-url: there are not so many ports")?;
        let key = PartnerKey::of_secret(name, secret)?;
        with_urls.insert(name.clone(), (key, format!("http://{host}:{port}")));
    }
    let mut server = setup::config(&keys.operator_key, &with_urls)?;
    server.wallets.allow.extend(PRIVATE.map(str::to_owned));
    setup::write(&server, further(&keys)?, &directory.join(SERVER))?;

    let keys_of = with_urls.into_iter().map(|(name, (key, _))| (name, key)).collect();
    write(directory, WALLET_KEYS, &wallet_keys(&keys.operator_key, &keys_of))?;
    let mut arguments = vec![format!("--listen 0.0.0.0:{port}")];
    arguments.push(format!("--keys {}", directory.join(WALLET_KEYS).display()));
    arguments.push(format!("--journal-dir {}", journals.display()));
    arguments.push("--opening-balance 100000000".to_owned());
    arguments.extend(keys.partners.keys().map(|name| format!("--partner {name}")));
    write(directory, WALLETS, &(arguments.join(" ") + "\n"))?;

    let mut demo = Table::new();
    let not_toml = "the configuration is not TOML";
    demo.insert("engine".to_owned(), toml::Value::try_from(&config.engine).context(not_toml)?);
    demo.insert("cluster".to_owned(), toml::Value::try_from(&config.cluster).context(not_toml)?);
    write(directory, DEMO, &toml::to_string(&demo).context(not_toml)?)
}

/// What servers of a demo need besides.
fn further(keys: &Keys) -> anyhow::Result<Table> {
    let mut text = format!("[dispatcher]\ncall_ms_max = {}\n", super::CALL_MS_MAX);
    if let Some(secret) = keys.partners.get(SANDBOX) {
        let who = format!("partner = \"{SANDBOX}\"\npartner_secret = \"{secret}\"\n");
        text.push_str(&format!("[simple]\nopen = true\n{who}"));
    }
    text.parse().context("the configuration is not TOML")
}

fn kept(directory: &Path) -> anyhow::Result<Option<Keys>> {
    let path = directory.join(KEYS);
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read(&path)
        .with_context(|| format!("the demo's keys {} cannot be read", path.display()))?;
    let keys = serde_json::from_slice(&text)
        .with_context(|| format!("{} holds no demo's keys; remove it", path.display()))?;
    Ok(Some(keys))
}

fn write(directory: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = directory.join(name);
    std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))
}

/// Host and port of the first wallet.
fn base(url: &str) -> anyhow::Result<(String, u16)> {
    let parsed: Uri = url.parse().with_context(|| format!("--wallet-url: `{url}` is no URL"))?;
    match (parsed.scheme_str(), parsed.host(), parsed.port_u16(), parsed.path()) {
        (Some("http"), Some(host), Some(port), "/" | "") => Ok((host.to_owned(), port)),
        _ => bail!("--wallet-url: `{url}` must be like http://wallets:9100"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{EngineFlags, EngineKind, Overrides};

    fn config() -> Config {
        let brokers = Some("localhost:19092".to_owned());
        let engine =
            EngineFlags { engine: Some(EngineKind::Cluster), brokers, ..EngineFlags::default() };
        let flags = Overrides { engine, ..Overrides::default() };
        Config::load(None, Vec::new(), flags).unwrap()
    }

    #[test]
    fn what_is_prepared_fits_together() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        prepare(directory, 3, false, "http://wallets:9000", &config()).unwrap();
        let load = |name: &str| {
            Config::load(Some(&directory.join(name)), Vec::new(), Overrides::default()).unwrap()
        };
        let (prepared, server) = (Prepared::read(directory).unwrap(), load(SERVER));
        assert_eq!(server.operators[0].key, prepared.operator_key);
        assert_eq!(server.partners[2].wallet_url, "http://wallets:9002");
        for partner in &server.partners {
            assert_eq!(partner.token_key, prepared.keys[&partner.id].public());
        }
        let demo = load(DEMO);
        assert_eq!(demo.engine.kind, EngineKind::Cluster);
        assert_eq!(demo.cluster.brokers, "localhost:19092");
        let arguments = std::fs::read_to_string(directory.join(WALLETS)).unwrap();
        assert!(arguments.contains("--listen 0.0.0.0:9000 "), "{arguments}");
        assert!(arguments.contains("--partner p01 --partner p02 --partner p03"), "{arguments}");
        let keys = directory.join(WALLET_KEYS);
        assert!(arguments.contains(&format!("--keys {} ", keys.display())), "{arguments}");
        assert!(keys.is_file());
        assert!(prepared.journals.is_dir());

        // Servers that run with the first keys go on with them.
        prepare(directory, 4, true, "http://wallets:9000", &config()).unwrap();
        let again = Prepared::read(directory).unwrap();
        assert_eq!(again.operator_key, prepared.operator_key);
        assert_eq!(again.keys["p02"].public(), prepared.keys["p02"].public());
        assert_eq!(again.keys.len(), 5);
        assert!(!server.simple.open);
        let server = load(SERVER);
        assert!(server.simple.open);
        assert_eq!(server.partners.last().unwrap().id, server.simple.partner);
        let key = PartnerKey::of_secret(SANDBOX, &server.simple.partner_secret).unwrap();
        assert_eq!(server.partners.last().unwrap().token_key, key.public());
    }

    #[test]
    fn what_is_not_there_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let error = Prepared::read(directory.path()).err().unwrap().to_string();
        assert!(error.contains("--prepare"), "{error}");
        for url in ["wallets", "http://wallets", "https://wallets:1", "http://wallets:1/x"] {
            let error = prepare(directory.path(), 1, false, url, &config()).unwrap_err();
            assert!(format!("{error:#}").contains("--wallet-url"), "{error:#}");
        }
    }
}
