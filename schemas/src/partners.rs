//! What a record of `partners.v1` says.

use crate::PartnerId;
use crate::bets::{Unreadable, need};
use crate::frame::{self, FrameError};
use crate::wire::PartnerRecord;

/// The kind of an operator's word on a partner's betting.
const PAUSE: &str = "pause";

/// An operator's word on whether a partner's players may bet. The last one in the log counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// The partner.
    pub partner: PartnerId,
    /// Whether betting is paused from here on.
    pub paused: bool,
    /// Why, in words.
    pub reason: String,
    /// The operator.
    pub actor: String,
    /// When it was said, in ms since the Unix epoch.
    pub said_at: i64,
}

impl Pause {
    /// The record's key.
    pub fn key(&self) -> String {
        format!("{}/{PAUSE}", self.partner)
    }

    /// Reads a framed record; `None` if it says something else of a partner.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, Unreadable> {
        let record: PartnerRecord = frame::decode(bytes)?;
        if record.kind != PAUSE {
            return Ok(None);
        }
        Ok(Some(Self {
            partner: record.partner_id.parse()?,
            paused: need(record.paused, "paused")?,
            reason: need(record.reason, "reason")?,
            actor: need(record.actor, "actor")?,
            said_at: need(record.said_at, "said_at")?,
        }))
    }

    /// Frames the record.
    ///
    /// # Errors
    /// [`FrameError`] if it does not survive its own encoding.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        frame::encode(&PartnerRecord {
            partner_id: self.partner.to_string(),
            kind: PAUSE.to_owned(),
            paused: Some(self.paused),
            reason: Some(self.reason.clone()),
            actor: Some(self.actor.clone()),
            said_at: Some(self.said_at),
            ..PartnerRecord::default()
        })
    }
}
