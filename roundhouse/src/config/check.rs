//! What a configuration must be beside having the right form. Decides from the values alone.

use super::finding::Finding;
use super::{Config, CurrencyLimits, EngineKind, Partner};
use crate::rig::keys::PartnerKey;
use ingest::auth::{Duty, Operators, Tokens};
use runtime::http::Outbound;
use runtime::telemetry;
use schemas::acts::HERALD;
use schemas::contract::STATE_ITEMS_MAX;
use schemas::{Currency, Money, PartnerId, PlayerId};
use signing::{KEYS_MAX, SecretKey, VerifyingKey};
use std::collections::BTreeSet;

/// Days a record is kept at least: corrections come for 30 days, retries for 35.
const RETENTION_DAYS_MIN: u32 = 35;
/// Decimals of the currency in which bet-maker's player bets.
const SIMPLE_EXPONENT: u8 = 2;

/// Everything that is wrong, in the order of the keys.
pub(super) fn check(config: &Config) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    findings.numbers(config);
    findings.ports(config);
    if config.engine.kind == EngineKind::Cluster {
        findings.0.extend(config.cluster.check());
    }
    if let Err(error) = telemetry::check_filter(&config.telemetry.log) {
        findings.add("telemetry.log", format!("{:#}", anyhow::Error::from(error)));
    }
    findings.operators(config);
    findings.partners(config);
    findings.0.extend(config.wallets.check());
    findings.signing(config);
    findings.simple(config);
    findings.0
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.0.push(Finding::new(path, text));
    }

    fn numbers(&mut self, config: &Config) {
        let Config { server, storage, placing, settler, reconciler, cases, .. } = config;
        let Config { dispatcher, pausing, .. } = config;
        let at_least_1 = |number: usize| 1 <= number;
        for (path, good) in [
            ("server.connections_max", at_least_1(server.connections_max)),
            ("placing.answer_within_ms", 1 <= placing.answer_within_ms),
            ("placing.attempt_ms", 1 <= placing.attempt_ms),
            ("placing.attempts_max", 1 <= placing.attempts_max),
            ("placing.in_flight_max", at_least_1(placing.in_flight_max)),
            ("placing.partner_in_flight_max", at_least_1(placing.partner_in_flight_max)),
            ("placing.partner_calls_max", at_least_1(placing.partner_calls_max)),
            ("settler.rounds_kept", at_least_1(settler.rounds_kept)),
            ("reconciler.close_after_s", 0 <= reconciler.close_after_s),
            ("reconciler.stale_s", 1 <= reconciler.stale_s),
            ("reconciler.repeat_s", 1 <= reconciler.repeat_s),
            ("reconciler.cycle_s", 1 <= reconciler.cycle_s),
            ("cases.result_overdue_s", 1 <= cases.result_overdue_s),
            ("cases.payout_percent_max", 1 <= cases.payout_percent_max),
            ("cases.payout_bets_min", 1 <= cases.payout_bets_min),
            ("dispatcher.chunk_items_max", at_least_1(dispatcher.chunk_items_max)),
            ("dispatcher.chunks_in_flight_max", at_least_1(dispatcher.chunks_in_flight_max)),
            ("dispatcher.call_ms_max", 1 <= dispatcher.call_ms_max),
            ("pausing.void_s", 1 <= pausing.void_s),
            ("pausing.failed_rounds", at_least_1(pausing.failed_rounds)),
            ("pausing.failed_stakes", 1 <= pausing.failed_stakes),
        ] {
            if !good {
                self.add(path, "must be at least 1");
            }
        }
        for (currency, _) in pausing.failed_units_max.iter().filter(|(_, most)| **most < 1) {
            self.add(format!("pausing.failed_units_max.{currency}"), "must be at least 1");
        }
        if storage.retention_days < RETENTION_DAYS_MIN {
            let text = format!(
                "is {}; it must be at least {RETENTION_DAYS_MIN}, because corrections come for 30 days \
                 and retries for 35",
                storage.retention_days
            );
            self.add("storage.retention_days", text);
        }
        if STATE_ITEMS_MAX < dispatcher.chunk_items_max {
            let text = format!("must be at most {STATE_ITEMS_MAX}: partners take no more");
            self.add("dispatcher.chunk_items_max", text);
        }
    }

    fn ports(&mut self, config: &Config) {
        let (api, admin) = (config.server.listen, config.server.admin_listen);
        let everywhere = api.ip().is_unspecified() || admin.ip().is_unspecified();
        if api.port() != 0 && api.port() == admin.port() && (everywhere || api.ip() == admin.ip()) {
            self.add("server.admin_listen", format!("is the port of server.listen, {api}"));
        }
    }

    fn operators(&mut self, config: &Config) {
        let (mut names, mut keys) = (BTreeSet::new(), BTreeSet::new());
        for (index, operator) in config.operators.iter().enumerate() {
            let path = format!("operators[{index}]");
            if operator.name.is_empty() {
                self.add(format!("{path}.name"), "is empty");
            } else if operator.name == HERALD {
                self.add(format!("{path}.name"), "is what verdicts are said under: take another");
            } else if !names.insert(&operator.name) {
                self.add(
                    format!("{path}.name"),
                    format!("there are two operators {}", operator.name),
                );
            }
            if let Err(error) = Operators::new([(operator.name.clone(), operator.key.clone())]) {
                self.add(format!("{path}.key"), error.to_string());
            } else if !keys.insert(&operator.key) {
                let text = "another operator has the same key: nobody could tell who said what";
                self.add(format!("{path}.key"), text);
            }
            let known: Vec<String> = Duty::ALL.iter().map(|duty| duty.name().to_owned()).collect();
            for (index, role) in operator.roles.iter().flatten().enumerate() {
                if Duty::named(role).is_none() {
                    let path = format!("{path}.roles[{index}]");
                    self.0.push(Finding::unknown(path, role, known.iter()));
                }
            }
        }
    }

    fn partners(&mut self, config: &Config) {
        // Of networks that cannot be read another finding tells, and nothing more of where wallets are.
        let guard = config.wallets.guard().ok();
        let outbound = guard.map(|guard| Outbound { guard, tls: None });
        let mut seen = BTreeSet::new();
        for (index, partner) in config.partners.iter().enumerate() {
            let path = format!("partners[{index}]");
            if !seen.insert(&partner.id) {
                self.add(format!("{path}.id"), format!("there are two partners {}", partner.id));
            }
            self.partner(&path, partner, outbound.as_ref());
        }
    }

    fn partner(&mut self, path: &str, partner: &Partner, outbound: Option<&Outbound>) {
        // What is said of the other keys does not depend on the id.
        let id: PartnerId = match partner.id.parse() {
            Ok(id) => id,
            Err(error) => {
                self.add(format!("{path}.id"), format!("{error}"));
                return self.currencies(path, partner);
            }
        };
        let checked = outbound.map(|outbound| outbound.checked(&partner.wallet_url));
        if let Some(Err(error)) = checked {
            self.add(format!("{path}.wallet_url"), error.to_string());
        }
        if let Err(error) = Tokens::default().set_key(id, &partner.token_key) {
            self.add(format!("{path}.token_key"), error.to_string());
        }
        if let Err(error) = partner.state_calls().check() {
            self.add(format!("{path}.{}", error.field), error.to_string());
        }
        self.keys(path, partner);
        self.currencies(path, partner);
    }

    fn keys(&mut self, path: &str, partner: &Partner) {
        let Partner { reply_keys, shared_secrets, .. } = partner;
        for (index, key) in reply_keys.iter().enumerate() {
            let path = format!("{path}.reply_keys[{index}]");
            match key.parse::<VerifyingKey>() {
                Ok(key) if key.public().is_some() => {}
                Ok(_) => self.add(path, "is a shared secret: it belongs into shared_secrets"),
                Err(error) => self.add(path, error.to_string()),
            }
        }
        for (index, secret) in shared_secrets.iter().enumerate() {
            let path = format!("{path}.shared_secrets[{index}]");
            match secret.parse() {
                Ok(SecretKey::Shared(_)) => {}
                Ok(SecretKey::Ed25519(_)) => self.add(path, "must begin with whsec_"),
                Err(error) => self.add(path, error.to_string()),
            }
        }
        let count = reply_keys.len() + shared_secrets.len();
        if !(1..=KEYS_MAX).contains(&count) {
            let text = format!(
                "{} has {count} keys; one or two of reply_keys and shared_secrets verify its replies, \
                 and no other answer counts",
                partner.id
            );
            self.add(format!("{path}.reply_keys"), text);
        }
    }

    /// What messages to partners are signed with.
    fn signing(&mut self, config: &Config) {
        let keys = &config.signing.keys;
        for (index, key) in keys.iter().enumerate() {
            let path = format!("signing.keys[{index}]");
            match key.parse() {
                Ok(SecretKey::Ed25519(_)) => {}
                Ok(SecretKey::Shared(_)) => {
                    self.add(path, "is a shared secret: it belongs to one of the partners");
                }
                Err(error) => self.add(path, error.to_string()),
            }
        }
        let owed = config.partners.iter().any(|partner| partner.shared_secrets.is_empty());
        if keys.is_empty() && owed {
            let text = "is empty: nothing could be signed; `roundhouse key new` makes a key";
            self.add("signing.keys", text);
        }
        if KEYS_MAX < keys.len() {
            self.add("signing.keys", format!("has {}; at most {KEYS_MAX}", keys.len()));
        }
    }

    fn currencies(&mut self, path: &str, partner: &Partner) {
        if partner.currencies.is_empty() {
            self.add(format!("{path}.currencies"), format!("{} takes bets in none", partner.id));
        }
        let mut seen = BTreeSet::new();
        for (index, limits) in partner.currencies.iter().enumerate() {
            let path = format!("{path}.currencies[{index}]");
            if !seen.insert(&limits.currency) {
                self.add(format!("{path}.currency"), format!("{} is there twice", limits.currency));
            }
            self.currency(&path, limits);
        }
    }

    fn currency(&mut self, path: &str, limits: &CurrencyLimits) {
        match limits.currency.parse::<Currency>() {
            Ok(currency) => {
                if let Err(error) = Money::new(0, currency, i64::from(limits.exponent)) {
                    self.add(format!("{path}.exponent"), error.to_string());
                }
            }
            Err(error) => self.add(format!("{path}.currency"), error.to_string()),
        }
        for (key, units) in [
            ("stake_min_units", limits.stake_min_units),
            ("stake_max_units", limits.stake_max_units),
            ("payout_max_units", limits.payout_max_units),
            ("liability_max_units", limits.liability_max_units),
        ] {
            if units < 1 {
                self.add(format!("{path}.{key}"), format!("is {units}; it must be above 0"));
            }
        }
        if limits.stake_max_units < limits.stake_min_units {
            self.add(format!("{path}.stake_min_units"), "must be at most stake_max_units");
        }
    }

    /// Whose bets bet-maker places; nobody's with an empty partner.
    fn simple(&mut self, config: &Config) {
        let simple = &config.simple;
        if simple.partner.is_empty() {
            return;
        }
        if let Err(error) = simple.player.parse::<PlayerId>() {
            self.add("simple.player", error.to_string());
        }
        let Some(partner) = config.partners.iter().find(|partner| partner.id == simple.partner)
        else {
            let text = format!("there is no partner {} in partners", simple.partner);
            return self.add("simple.partner", text);
        };
        match PartnerKey::of_secret(&simple.partner, &simple.partner_secret) {
            Ok(key) if key.public() == partner.token_key => {}
            Ok(_) => {
                let text = format!("does not belong to the token_key of {}", simple.partner);
                self.add("simple.partner_secret", text);
            }
            Err(error) => self.add("simple.partner_secret", format!("{error}")),
        }
        let currency = partner.currencies.iter().find(|known| known.currency == simple.currency);
        if currency.is_none_or(|known| known.exponent != SIMPLE_EXPONENT) {
            let text = format!("{} takes no {} of two decimals", simple.partner, simple.currency);
            self.add("simple.currency", text);
        }
    }
}
