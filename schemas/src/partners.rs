//! What a record of `partners.v1` says.

mod profile;
#[cfg(test)]
mod tests;

pub use profile::{CurrencyLimits, LimitsError, Profile};

use crate::PartnerId;
use crate::bets::{Unreadable, need};
use crate::frame::{self, FrameError};
use crate::wire::PartnerRecord;

/// Something that an operator said of a partner. Of each kind the last one in the log counts.
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
    /// Whether its players' betting is paused from here on.
    Paused(bool),
    /// Where its wallet is, whose tokens it signs and what it takes, from here on.
    Profile(Profile),
}

/// Who said something, when and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Why, in words.
    pub reason: String,
    /// The operator.
    pub actor: String,
    /// When it was said, in ms since the Unix epoch.
    pub said_at: i64,
}

const PAUSE: &str = "pause";
const PROFILE: &str = "profile";

impl PartnerSaid {
    fn kind(&self) -> &'static str {
        match self.what {
            PartnerWord::Paused(_) => PAUSE,
            PartnerWord::Profile(_) => PROFILE,
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
        let record: PartnerRecord = frame::decode(bytes)?;
        let what = match record.kind.as_str() {
            PAUSE => PartnerWord::Paused(need(record.paused, "paused")?),
            PROFILE => PartnerWord::Profile(Profile {
                wallet_url: need(record.wallet_url, "wallet_url")?,
                token_key: need(record.token_key, "token_key")?,
                reply_keys: need(record.reply_keys, "reply_keys")?,
                currencies: profile::read(need(record.currencies, "currencies")?)?,
            }),
            _ => return Ok(None),
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
            PartnerWord::Paused(paused) => PartnerRecord { paused: Some(*paused), ..record },
            PartnerWord::Profile(profile) => PartnerRecord {
                wallet_url: Some(profile.wallet_url.clone()),
                token_key: Some(profile.token_key.clone()),
                reply_keys: Some(profile.reply_keys.clone()),
                currencies: Some(profile::write(&profile.currencies)),
                ..record
            },
        })
    }
}
