//! What a record of `partners.v1` says.

mod profile;
#[cfg(test)]
mod tests;

pub use profile::{CurrencyLimits, LimitsError, Profile, StateCalls, StateCallsError};

use crate::PartnerId;
use crate::bets::{Unreadable, need};
use crate::frame::{self, FrameError};
use crate::wire::PartnerRecord;

/// Something that was said of a partner. Of each kind the last one in the log counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartnerSaid {
    /// The partner.
    pub partner: PartnerId,
    /// What.
    pub what: PartnerWord,
    /// Who said it and why.
    pub by: Said,
}

/// What was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartnerWord {
    /// Whether its players' betting is paused from here on, as far as one of those who may pause it says.
    Paused(Pauser, bool),
    /// Which ledger of the partner counts from here on (R20).
    Ledger(LedgerWord),
    /// Where its wallet is, whose tokens it signs and what it takes, from here on.
    Profile(Profile),
}

/// An epoch of a partner's ledger (R20): the first that it ever named, or one that an operator signed off after it
/// was restored from a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerWord {
    /// The epoch, as the partner names it.
    pub epoch: String,
    /// Whether it was signed off as a restored one: bets that it does not know are then told to it anew.
    pub restored: bool,
}

/// Who may pause the betting of a partner's players. Nobody takes back what another said: bets are taken
/// where none of them has it paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pauser {
    /// An operator.
    Operator,
    /// Whoever delivers to the partner: its ledger names another epoch than the one that counts (R20). It ends
    /// with the word of an operator that the epoch counts.
    Restore,
    /// Whoever delivers to the partner: too much of what it was told is not confirmed.
    Deliveries,
    /// Whoever asks the partner for stakes: it does not answer.
    Stakes,
}

impl Pauser {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Operator, Self::Restore, Self::Deliveries, Self::Stakes];

    /// The name in answers and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Deliveries => "deliveries",
            Self::Stakes => "stakes",
            Self::Restore => "restore",
        }
    }

    /// The kind of record.
    const fn kind(self) -> &'static str {
        match self {
            Self::Operator => "pause",
            Self::Deliveries => "health",
            Self::Stakes => "stakes",
            Self::Restore => "restore",
        }
    }
}

/// Who said something, when and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Why, in words.
    pub reason: String,
    /// The operator, or the name of the [`Pauser`].
    pub actor: String,
    /// When it was said, in ms since the Unix epoch.
    pub said_at: i64,
}

const PROFILE: &str = "profile";
const LEDGER: &str = "ledger";

impl PartnerSaid {
    fn kind(&self) -> &'static str {
        match self.what {
            PartnerWord::Paused(by, _) => by.kind(),
            PartnerWord::Profile(_) => PROFILE,
            PartnerWord::Ledger(_) => LEDGER,
        }
    }

    /// The record's key.
    pub fn key(&self) -> String {
        format!("{}/{}", self.partner, self.kind())
    }

    /// Reads a framed record; `None` if it is of another kind.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, Unreadable> {
        let record = PartnerRecord::read(bytes)?;
        let pauser = Pauser::ALL.into_iter().find(|pauser| pauser.kind() == record.kind);
        let what = match (pauser, record.kind.as_str()) {
            (Some(by), _) => PartnerWord::Paused(by, need(record.paused, "paused")?),
            (None, PROFILE) => PartnerWord::Profile(Profile {
                wallet_url: need(record.wallet_url, "wallet_url")?,
                token_key: need(record.token_key, "token_key")?,
                reply_keys: need(record.reply_keys, "reply_keys")?,
                currencies: profile::read(need(record.currencies, "currencies")?)?,
                calls_per_s: profile::count(record.calls_per_s, "calls_per_s")?,
                stakes_per_s: profile::count(record.stakes_per_s, "stakes_per_s")?,
                state_calls: StateCalls {
                    items_max: profile::count(record.items_max, "items_max")?,
                    bytes_max: profile::count(record.bytes_max, "bytes_max")?,
                    gzip: record.gzip.unwrap_or_default(),
                },
            }),
            (None, LEDGER) => PartnerWord::Ledger(LedgerWord {
                epoch: need(record.ledger_epoch, "ledger_epoch")?,
                restored: need(record.restored, "restored")?,
            }),
            (None, _) => return Ok(None),
        };
        let by = Said {
            reason: need(record.reason, "reason")?,
            actor: need(record.actor, "actor")?,
            said_at: need(record.said_at, "said_at")?,
        };
        Ok(Some(Self { partner: record.partner_id.parse()?, what, by }))
    }

    /// Frames the record.
    ///
    /// # Errors
    /// [`FrameError`] if it does not survive its own encoding.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let record = PartnerRecord {
            partner_id: self.partner.to_string(),
            kind: self.kind().to_owned(),
            reason: Some(self.by.reason.clone()),
            actor: Some(self.by.actor.clone()),
            said_at: Some(self.by.said_at),
            ..PartnerRecord::default()
        };
        frame::encode(&match &self.what {
            PartnerWord::Ledger(ledger) => PartnerRecord {
                ledger_epoch: Some(ledger.epoch.clone()),
                restored: Some(ledger.restored),
                ..record
            },
            PartnerWord::Paused(_, paused) => PartnerRecord { paused: Some(*paused), ..record },
            PartnerWord::Profile(profile) => PartnerRecord {
                wallet_url: Some(profile.wallet_url.clone()),
                token_key: Some(profile.token_key.clone()),
                reply_keys: Some(profile.reply_keys.clone()),
                currencies: Some(profile::write(&profile.currencies)),
                calls_per_s: profile.calls_per_s.map(|number| i64::from(number.get())),
                stakes_per_s: profile.stakes_per_s.map(|number| i64::from(number.get())),
                items_max: profile.state_calls.items_max.map(|number| i64::from(number.get())),
                bytes_max: profile.state_calls.bytes_max.map(|number| i64::from(number.get())),
                gzip: Some(profile.state_calls.gzip),
                ..record
            },
        })
    }
}
