//! The partners and operators: those of the configuration, and what operators said of partners since, in
//! `partners.v1`.

use super::{Opened, Role, Roles};
use crate::config::{self, Config, CurrencyLimits};
use anyhow::{Context, anyhow, bail};
use ingest::auth::{Duty, Operators};
use ingest::partners::{Partners, Secrets};
use ingest::placing::{Ask, Note, Placing};
use runtime::http::Outbound;
use runtime::{Alarm, EngineError, Handle, Reader, Record, Source, Topic, telemetry};
use schemas::catalogue::PARTNERS;
use schemas::partners::{self, PartnerSaid, Profile};
use schemas::{Currency, PartnerId};
use signing::SecretKey;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Records read at once.
const RECORDS_MAX: usize = 1_000;
/// Wait before a log that is away is read again.
const AGAIN_WAIT: Duration = Duration::from_millis(200);

/// The operators by their keys.
pub(super) fn operators(config: &Config) -> anyhow::Result<Operators> {
    let mut operators = Vec::new();
    for operator in &config.operators {
        let config::Operator { name, key, roles } = operator;
        let duties = match roles {
            None => Duty::USUAL.iter().copied().collect(),
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

/// What messages to partners are signed with.
fn secrets(config: &Config) -> anyhow::Result<Secrets> {
    let read = |path: &str, texts: &[String]| -> anyhow::Result<Vec<SecretKey>> {
        let key = |(index, text): (usize, &String)| {
            text.parse().with_context(|| format!("{path}[{index}]"))
        };
        texts.iter().enumerate().map(key).collect()
    };
    let keys = read("signing.keys", &config.signing.keys)?;
    let mut secrets = Secrets { keys, ..Secrets::default() };
    for partner in config.partners.iter().filter(|partner| !partner.shared_secrets.is_empty()) {
        let shared = read("shared_secrets", &partner.shared_secrets).context(partner.id.clone())?;
        secrets.shared.insert(partner.id.parse()?, shared);
    }
    Ok(secrets)
}

/// The partners of the configuration.
fn configured(config: &Config, calls: bool) -> anyhow::Result<Partners> {
    let mut outbound = Outbound { guard: config.wallets.guard()?, tls: None };
    if calls {
        outbound = config.wallets.outbound()?;
    }
    let known = Partners::new(secrets(config)?, outbound);
    for (index, partner) in config.partners.iter().enumerate() {
        let path = || format!("partners[{index}]");
        let id: PartnerId = partner.id.parse().with_context(path)?;
        let profile = profile(partner).with_context(path)?;
        known.configure(id, profile).with_context(path)?;
    }
    Ok(known)
}

/// What a configuration says of a partner.
fn profile(partner: &config::Partner) -> anyhow::Result<Profile> {
    let mut profile = Profile {
        wallet_url: partner.wallet_url.clone(),
        token_key: partner.token_key.clone(),
        reply_keys: partner.reply_keys.clone(),
        currencies: Default::default(),
        calls_per_s: partner.calls_per_s,
        stakes_per_s: partner.stakes_per_s,
        state_calls: partner.state_calls(),
    };
    profile.state_calls.check().map_err(|error| anyhow!("{}: {error}", error.field))?;
    for limits in &partner.currencies {
        let currency: Currency = limits.currency.parse()?;
        let limits = of_currency(limits);
        limits.check(currency).with_context(|| currency.to_string())?;
        if profile.currencies.insert(currency, limits).is_some() {
            bail!("{currency} is there twice");
        }
    }
    Ok(profile)
}

/// The limits as the rest of the process has them.
fn of_currency(limits: &CurrencyLimits) -> partners::CurrencyLimits {
    partners::CurrencyLimits {
        exponent: limits.exponent,
        stake_min: limits.stake_min_units,
        stake_max: limits.stake_max_units,
        payout_max: limits.payout_max_units,
        liability_max: limits.liability_max_units,
    }
}

/// What all parts of a process know of the partners, and the place in `partners.v1` from which it is
/// followed. Nothing starts before all that was said is known: a wallet that was moved must not be called
/// where it was.
pub(super) struct Directory<R> {
    pub(super) partners: Partners,
    tails: Vec<(Source, R)>,
}

/// Reads the configuration and all of `partners.v1`.
///
/// # Errors
/// If a partner of the configuration cannot be, the log is not there, or nothing could be signed although
/// one of `roles` calls partners or answers them.
pub(super) async fn read<E: Opened>(
    engine: &E,
    config: &Config,
    roles: &Roles,
) -> anyhow::Result<Directory<E::Reader>> {
    let calling = [Role::Bets, Role::BetMaker, Role::Dispatcher, Role::Reconciler];
    let calls = calling.iter().any(|role| roles.has(*role));
    let partners = configured(config, calls)?;
    let signs = calls || roles.has(Role::History);
    if config.signing.keys.is_empty() && signs {
        bail!(
            "nothing could be signed: put a key into signing.keys (`roundhouse key new` makes one), and give \
             the partners its public half"
        );
    }
    let topic = Topic(PARTNERS);
    let mut tails = Vec::new();
    for partition in 0..engine.partitions(topic) {
        let source = Source { topic, partition };
        let (begin, end) = engine.range(source).await?;
        let (mut reader, mut next) = (engine.reader(source, begin), begin);
        while next < end {
            let (records, _) = reader.next(RECORDS_MAX).await?;
            for record in &records {
                take(&partners, source, record);
                next = record.offset + 1;
            }
        }
        tails.push((source, reader));
    }
    Ok(Directory { partners, tails })
}

/// Notes what was said; whom it was said of.
fn take(partners: &Partners, source: Source, record: &Record) -> Option<PartnerId> {
    let unreadable = |error: &dyn std::fmt::Display| {
        let text = format!("{source} at {}: {error}", record.offset);
        telemetry::alarm(&Alarm { name: "unreadable_record", text });
    };
    let said = match PartnerSaid::decode(&record.value) {
        Ok(said) => said?,
        Err(error) => {
            unreadable(&error);
            return None;
        }
    };
    let partner = said.partner.clone();
    match partners.note(said) {
        Ok(()) => Some(partner),
        Err(error) => {
            let text = format!("{partner} is what it was before: {error}");
            telemetry::alarm(&Alarm { name: "partner_refused", text });
            None
        }
    }
}

impl<R: Reader> Directory<R> {
    /// Follows what is said, and tells bet placing, until `stop`.
    ///
    /// # Errors
    /// If the log is closed.
    pub(super) async fn follow(
        self,
        placing: Option<Handle<Placing>>,
        stop: CancellationToken,
    ) -> Result<(), EngineError> {
        let mut followers = JoinSet::new();
        for (source, reader) in self.tails {
            let (partners, placing) = (self.partners.clone(), placing.clone());
            followers.spawn(follow(source, reader, partners, placing));
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            Some(ended) = followers.join_next() => ended.unwrap_or(Err(EngineError::Closed)),
        }
    }
}

async fn follow<R: Reader>(
    source: Source,
    mut reader: R,
    partners: Partners,
    placing: Option<Handle<Placing>>,
) -> Result<(), EngineError> {
    loop {
        let records = match reader.next(RECORDS_MAX).await {
            Ok((records, _)) => records,
            // It may come back.
            Err(EngineError::Unavailable(_)) => {
                sleep(AGAIN_WAIT).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        for record in &records {
            let Some(partner) = take(&partners, source, record) else { continue };
            let Some(entry) = partners.entry(&partner) else { continue };
            if let Some(placing) = &placing {
                // Nobody there is one that is being built: it begins with what was noted.
                drop(placing.ask(Ask::Note(Note::Partner(partner, entry))).await);
            }
        }
    }
}
