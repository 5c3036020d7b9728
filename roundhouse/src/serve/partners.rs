//! The partners and operators of the configuration, as each part takes them.

use crate::config::{self, Config, CurrencyLimits};
use anyhow::{Context, bail};
use ingest::auth::{Duty, Operators, PlayerKeys};
use ingest::placing;
use partner_dispatcher::PartnerBook;
use schemas::{Currency, Money, PartnerId};

/// Each partner with its index for messages.
fn partners(
    config: &Config,
) -> impl Iterator<Item = anyhow::Result<(PartnerId, &crate::config::Partner)>> {
    config.partners.iter().enumerate().map(|(index, partner)| {
        let id = partner.id.parse().with_context(|| format!("partners[{index}].id"))?;
        Ok((id, partner))
    })
}

/// Who they are.
pub(super) fn ids(config: &Config) -> anyhow::Result<Vec<PartnerId>> {
    partners(config).map(|partner| partner.map(|(id, _)| id)).collect()
}

/// The wallets for settlements.
pub(super) fn wallets(config: &Config) -> anyhow::Result<PartnerBook> {
    let mut book = PartnerBook::default();
    for partner in partners(config) {
        let (id, partner) = partner?;
        book.insert(id, &partner.wallet_url).context("partners[].wallet_url")?;
    }
    Ok(book)
}

/// The wallets for stakes.
pub(super) fn addresses(config: &Config) -> anyhow::Result<Vec<(PartnerId, String)>> {
    partners(config).map(|partner| partner.map(|(id, p)| (id, p.wallet_url.clone()))).collect()
}

/// What each partner takes.
pub(super) fn limits(config: &Config) -> anyhow::Result<placing::PartnerBook> {
    let mut book = placing::PartnerBook::new();
    for partner in partners(config) {
        let (id, partner) = partner?;
        let mut entry = placing::PartnerEntry::default();
        for limits in &partner.currencies {
            let (currency, limits) = currency(limits)
                .with_context(|| format!("partners[].currencies of partner {id}"))?;
            if entry.currencies.insert(currency, limits).is_some() {
                bail!("partners[].currencies of partner {id}: {currency} is there twice");
            }
        }
        book.insert(id, entry);
    }
    Ok(book)
}

fn currency(limits: &CurrencyLimits) -> anyhow::Result<(Currency, placing::CurrencyLimits)> {
    let currency: Currency = limits.currency.parse()?;
    let exponent = Money::new(0, currency, i64::from(limits.exponent))?.exponent;
    let in_order = 1 <= limits.stake_min_units
        && limits.stake_min_units <= limits.stake_max_units
        && 0 < limits.payout_max_units
        && 0 < limits.liability_max_units;
    if !in_order {
        bail!("{currency}: limits must be above 0 and stake_min_units at most stake_max_units");
    }
    Ok((
        currency,
        placing::CurrencyLimits {
            exponent,
            stake_min: limits.stake_min_units,
            stake_max: limits.stake_max_units,
            payout_max: limits.payout_max_units,
            liability_max: limits.liability_max_units,
        },
    ))
}

/// The keys that verify players' tokens.
pub(super) fn player_keys(config: &Config) -> anyhow::Result<PlayerKeys> {
    let mut keys = PlayerKeys::default();
    for partner in partners(config) {
        let (id, partner) = partner?;
        keys.insert(id, &partner.token_key).context("partners[].token_key")?;
    }
    Ok(keys)
}

/// The operators by their keys.
pub(super) fn operators(config: &Config) -> anyhow::Result<Operators> {
    let mut operators = Vec::new();
    for operator in &config.operators {
        let config::Operator { name, key, roles } = operator;
        let duties = match roles {
            None => Duty::ALL.iter().copied().collect(),
            Some(roles) => roles
                .iter()
                .map(|role| Duty::named(role).with_context(|| format!("there is no role {role}")))
                .collect::<anyhow::Result<_>>()
                .context("operators[].roles")?,
        };
        operators.push((name.clone(), key.clone(), duties));
    }
    Operators::with_duties(operators).context("operators[].key")
}
