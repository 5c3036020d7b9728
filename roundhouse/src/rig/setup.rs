//! A configuration for partners that are made up here.

use super::api::Api;
use super::keys::{PartnerKey, platform};
use crate::config::{Config, CurrencyLimits, Operator, Overrides, Partner};
use anyhow::{Context, bail};
use http::Method;
use ingest::auth::Duty;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use toml::Table;

/// The currency of demos and sandboxes.
pub const CURRENCY: &str = "EUR";
/// Its decimals.
pub const EXPONENT: u8 = 2;
/// The operator's name.
pub const OPERATOR: &str = "desk";

/// Rounds that may have failed before betting is paused: they come a second after the other here, where those of
/// players take 20 s.
const FAILED_ROUNDS: usize = 60;

/// The names `p01`, `p02`, ...
pub fn partner_names(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("p{number:02}")).collect()
}

/// The defaults, with an operator and these partners, on free ports of this machine without a load balancer
/// before them.
///
/// # Errors
/// If the defaults do not load.
pub fn config(
    operator_key: &str,
    partners: &BTreeMap<String, (PartnerKey, String)>,
) -> anyhow::Result<Config> {
    let mut config = Config::load(None, Vec::new(), Overrides::default())?;
    config.server.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    config.server.admin_listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    config.server.drain_notice_ms = 0;
    config.pausing.failed_rounds = FAILED_ROUNDS;
    let (name, key) = (OPERATOR.to_owned(), operator_key.to_owned());
    // One who may do everything: what is tried out here needs no second person.
    let roles = Duty::ALL.iter().map(|duty| duty.name().to_owned()).collect();
    config.operators = vec![Operator { name, key, roles: Some(roles) }];
    // Its wallets are processes of this machine.
    config.wallets.allow = ["127.0.0.0/8", "::1/128"].map(str::to_owned).into();
    config.wallets.plain_http = true;
    config.signing.keys = vec![platform(operator_key).reveal()];
    config.partners = partners.iter().map(|(id, (key, url))| partner(id, key, url)).collect();
    Ok(config)
}

fn partner(id: &str, key: &PartnerKey, wallet_url: &str) -> Partner {
    Partner {
        id: id.to_owned(),
        wallet_url: wallet_url.to_owned(),
        token_key: key.public(),
        reply_keys: key.replies().verifying().public().into_iter().collect(),
        shared_secrets: Vec::new(),
        calls_per_s: None,
        stakes_per_s: None,
        items_max: None,
        bytes_max: None,
        gzip: false,
        currencies: vec![CurrencyLimits {
            currency: CURRENCY.to_owned(),
            exponent: EXPONENT,
            stake_min_units: 1,
            stake_max_units: 1_000_000,
            payout_max_units: 1_000_000_000,
            liability_max_units: 1_000_000_000_000,
        }],
    }
}

/// Gives `player` money at the reference wallet at `wallet`, so that the free balance is at least `units`.
///
/// # Errors
/// If the wallet does not answer.
pub async fn top_up(wallet: &str, player: &str, units: i64) -> anyhow::Result<()> {
    let api = Api::new(wallet.to_owned(), String::new());
    let has = api.call(Method::GET, &format!("/players?player={player}"), "", None).await?;
    let has: i64 = has.body["balance"]["units"].as_str().unwrap_or("0").parse()?;
    if units <= has {
        return Ok(());
    }
    let missing = units.saturating_sub(has).to_string();
    let deposit = json!({"units": missing, "currency": CURRENCY, "exponent": EXPONENT});
    let body = json!({"player": player, "deposit": deposit});
    let reply = api.call(Method::POST, "/players", "", Some(&body)).await?;
    if reply.status != 200 {
        bail!("the wallet does not top {player} up: {}", reply.body);
    }
    Ok(())
}

/// Writes a configuration file with the operators, partners, networks of wallets, keys and pauses of `config`, and the tables of `further`; for
/// processes that no load balancer stands before, unless `further` says of `server` what it is.
///
/// # Errors
/// If the file cannot be written.
pub fn write(config: &Config, further: Table, path: &Path) -> anyhow::Result<()> {
    let mut file = further;
    let notice = toml::Value::try_from(config.server.drain_notice_ms);
    let notice = notice.context("the configuration is not TOML")?;
    let server = Table::from_iter([("drain_notice_ms".to_owned(), notice)]);
    file.entry("server").or_insert_with(|| server.into());
    for (key, list) in [
        ("operators", toml::Value::try_from(&config.operators)),
        ("partners", toml::Value::try_from(&config.partners)),
        ("wallets", toml::Value::try_from(&config.wallets)),
        ("signing", toml::Value::try_from(&config.signing)),
        ("pausing", toml::Value::try_from(&config.pausing)),
    ] {
        file.insert(key.to_owned(), list.context("the configuration is not TOML")?);
    }
    std::fs::write(path, toml::to_string(&file).context("the configuration is not TOML")?)
        .with_context(|| format!("{} cannot be written", path.display()))
}
