//! The bodies of the partners' API. Limits are minor units, as text like all units.

use super::body::{Object, invalid};
use crate::partners::Partner;
use crate::problem::Problem;
use schemas::contract::{CapabilitiesResponse, parse_units, timestamp};
use schemas::partners::{CurrencyLimits, Profile, Said, StateCalls};
use schemas::{Currency, PartnerId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// Currencies of one partner.
const CURRENCIES_MAX: usize = 64;

/// A partner, as operators see it.
#[derive(Debug, Serialize)]
pub(super) struct PartnerBody {
    partner_id: PartnerId,
    /// `open` or `paused`.
    betting: &'static str,
    /// Who has it paused: `operator`, `deliveries`, `stakes`. It is open when nobody has.
    paused_by: Vec<&'static str>,
    /// Why it is paused, or was resumed the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Who said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    /// When, RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    /// The epoch of its ledger that counts; absent before it named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger_epoch: Option<String>,
    profile: ProfileBody,
}

#[derive(Debug, Serialize)]
pub(super) struct ProfileBody {
    wallet_url: String,
    token_key: String,
    reply_keys: Vec<String>,
    currencies: Vec<CurrencyBody>,
    /// Absent where it has no rate of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    calls_per_s: Option<NonZeroU32>,
    /// Absent where it has no rate of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    stakes_per_s: Option<NonZeroU32>,
    /// Absent where a state call may carry as many as the contract has.
    #[serde(skip_serializing_if = "Option::is_none")]
    items_max: Option<NonZeroU32>,
    /// Absent where the body of a state call may have as many as the contract has.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_max: Option<NonZeroU32>,
    gzip: bool,
    /// Who said so and why; absent for what the configuration says.
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<SetByBody>,
}

#[derive(Debug, Serialize)]
struct SetByBody {
    reason: String,
    actor: String,
    /// RFC 3339 in UTC.
    at: String,
}

/// All partners, ordered by id.
#[derive(Debug, Serialize)]
pub(super) struct PartnersBody {
    pub(super) partners: Vec<PartnerBody>,
}

/// What a partner's wallet was found to be.
#[derive(Debug, Serialize)]
pub(super) struct CheckBody {
    pub(super) partner_id: PartnerId,
    /// A sentence for each thing that is not as it should be.
    pub(super) differences: Vec<String>,
    /// What it says that it can do; absent if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) capabilities: Option<CapabilitiesResponse>,
    /// What it is from now on, if what its wallet says was taken over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) profile: Option<ProfileBody>,
}

/// Limits in one currency.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CurrencyBody {
    currency: Currency,
    exponent: u8,
    stake_min_units: String,
    stake_max_units: String,
    payout_max_units: String,
    liability_max_units: String,
}

/// Why betting is paused or resumed, or what a wallet says is taken over.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReasonBody {
    pub(super) reason: String,
}

/// What a partner is from now on, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetBody {
    /// Who a new one is; of one that is there the path says it.
    #[serde(default)]
    pub(super) partner_id: Option<PartnerId>,
    wallet_url: String,
    token_key: String,
    /// Public keys of its replies; none only where a secret is shared.
    #[serde(default)]
    reply_keys: Vec<String>,
    currencies: Vec<Object<CurrencyBody>>,
    /// State calls a second that its wallet takes of each kind of traffic; without it, as configured for all.
    #[serde(default)]
    calls_per_s: Option<NonZeroU32>,
    /// Stakes that its wallet is asked for in a second by each process that takes bets; without it, as configured for
    /// all.
    #[serde(default)]
    stakes_per_s: Option<NonZeroU32>,
    /// Items that a state call may carry; without it, as many as the contract has.
    #[serde(default)]
    items_max: Option<NonZeroU32>,
    /// Bytes that the body of a state call may have before it is packed; without it, as many as the contract has.
    #[serde(default)]
    bytes_max: Option<NonZeroU32>,
    /// Whether the body of a state call may be packed.
    #[serde(default)]
    gzip: bool,
    reason: String,
}

impl From<Partner> for PartnerBody {
    fn from(partner: Partner) -> Self {
        let paused_by: Vec<_> = partner.betting.paused().map(|(by, _)| by.name()).collect();
        let said = partner.betting.word();
        let (reason, actor) = said.map(|said| (said.reason.clone(), said.actor.clone())).unzip();
        Self {
            partner_id: partner.id,
            betting: if paused_by.is_empty() { "open" } else { "paused" },
            paused_by,
            reason,
            actor,
            since: said.map(|said| timestamp(said.said_at)),
            ledger_epoch: partner.ledger.map(|(ledger, _)| ledger.epoch),
            profile: (partner.profile, partner.set).into(),
        }
    }
}

impl From<(Profile, Option<Said>)> for ProfileBody {
    fn from((profile, set): (Profile, Option<Said>)) -> Self {
        let StateCalls { items_max, bytes_max, gzip } = profile.state_calls;
        Self {
            wallet_url: profile.wallet_url,
            token_key: profile.token_key,
            reply_keys: profile.reply_keys,
            currencies: profile.currencies.into_iter().map(Into::into).collect(),
            calls_per_s: profile.calls_per_s,
            stakes_per_s: profile.stakes_per_s,
            items_max,
            bytes_max,
            gzip,
            set: set.map(Into::into),
        }
    }
}

impl From<Said> for SetByBody {
    fn from(Said { reason, actor, said_at }: Said) -> Self {
        Self { reason, actor, at: timestamp(said_at) }
    }
}

impl From<(Currency, CurrencyLimits)> for CurrencyBody {
    fn from((currency, limits): (Currency, CurrencyLimits)) -> Self {
        Self {
            currency,
            exponent: limits.exponent,
            stake_min_units: limits.stake_min.to_string(),
            stake_max_units: limits.stake_max.to_string(),
            payout_max_units: limits.payout_max.to_string(),
            liability_max_units: limits.liability_max.to_string(),
        }
    }
}

impl SetBody {
    /// The profile and the reason. The decimals of a currency that `before` has stay as they are: bets in
    /// them may be open.
    pub(super) fn read(self, before: Option<&Profile>) -> Result<(Profile, String), Problem> {
        let said = self.currencies;
        if said.is_empty() || CURRENCIES_MAX < said.len() {
            let why = format!("a partner takes bets in 1 to {CURRENCIES_MAX} currencies");
            return Err(invalid("currencies", why));
        }
        let mut currencies = BTreeMap::new();
        for (index, Object(body)) in said.iter().enumerate() {
            let refused = |field: &str, why: &dyn std::fmt::Display| {
                invalid(&format!("currencies[{index}].{field}"), why)
            };
            let limits = body
                .limits()
                .map_err(|field| refused(field, &"not an integer of minor units as text"))?;
            limits.check(body.currency).map_err(|error| refused(error.field(), &error))?;
            let had = before.and_then(|before| before.currencies.get(&body.currency));
            if had.is_some_and(|had| had.exponent != limits.exponent) {
                return Err(refused(
                    "exponent",
                    &"cannot be changed: bets with the other may be open",
                ));
            }
            if currencies.insert(body.currency, limits).is_some() {
                return Err(refused("currency", &"is there twice"));
            }
        }
        let Self { items_max, bytes_max, gzip, .. } = self;
        let state_calls = StateCalls { items_max, bytes_max, gzip };
        state_calls.check().map_err(|error| invalid(error.field, error))?;
        let profile = Profile {
            wallet_url: self.wallet_url,
            token_key: self.token_key,
            reply_keys: self.reply_keys,
            currencies,
            calls_per_s: self.calls_per_s,
            stakes_per_s: self.stakes_per_s,
            state_calls,
        };
        Ok((profile, self.reason))
    }
}

impl CurrencyBody {
    /// The limits, or the field that is no number.
    fn limits(&self) -> Result<CurrencyLimits, &'static str> {
        let units = |field, text: &str| parse_units(text).ok_or(field);
        Ok(CurrencyLimits {
            exponent: self.exponent,
            stake_min: units("stake_min_units", &self.stake_min_units)?,
            stake_max: units("stake_max_units", &self.stake_max_units)?,
            payout_max: units("payout_max_units", &self.payout_max_units)?,
            liability_max: units("liability_max_units", &self.liability_max_units)?,
        })
    }
}
