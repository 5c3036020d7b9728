//! Chunks: the body of one state call.

use bytes::Bytes;
use planted::Bug;
use runtime::Millis;
use schemas::PartnerId;
use schemas::contract::{StateItem, StateRequest, Traffic};
use schemas::settlements::Settlement;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::Arc;

/// One chunk on its way to one partner. The bytes are the request, written once: every repeat of the
/// same items is the same chunk and the same bytes.
#[derive(Clone, Debug)]
pub struct StateCall {
    /// The partner.
    pub partner: PartnerId,
    /// The path below the wallet's base.
    pub path: &'static str,
    /// What is asked.
    pub request: Arc<StateRequest>,
    /// The request as JSON.
    pub bytes: Bytes,
    /// Whether the bytes are packed on their way.
    pub gzip: bool,
    /// 1 for items that were never sent, else one more than the most often sent item was. Only for a
    /// header: it never changes the bytes.
    pub attempt: u32,
    /// `said_at` of the oldest record that caused one of the items, in ms since the Unix epoch.
    pub caused_at_min: Millis,
}

/// The id of a chunk: a hash over its sorted (bet, revision, recover) and nothing else (R16).
///
/// Do not change: a partner that meets one id with two contents may answer from memory.
pub fn chunk_id<'a>(sorted: impl Iterator<Item = (&'a str, u32, bool)>) -> String {
    let mut hash = Sha256::new();
    for (bet, revision, recover) in sorted {
        hash.update(bet.as_bytes());
        // No bet id has a line break, so no two lists look alike. Nor has it a bell.
        hash.update(if recover { b"\x07" } else { b"\n" });
        hash.update(revision.to_be_bytes());
    }
    let mut id = "c_".to_owned();
    for byte in &hash.finalize()[..16] {
        // Writing to a String cannot fail.
        if write!(id, "{byte:02x}").is_err() {
            break;
        }
    }
    id
}

/// A chunk that is being filled.
#[derive(Debug)]
pub(crate) struct Filling {
    items: Vec<(u64, StateItem, Vec<u8>)>,
    bytes: usize,
    attempt: u32,
    caused_at_min: Millis,
}

/// A filled chunk and the numbers of its items, in the order of the request.
#[derive(Debug)]
pub(crate) struct Filled {
    pub(crate) ids: Vec<u64>,
    pub(crate) call: StateCall,
}

/// Bytes around the items: `op`, a chunk id of 34 characters, the longest traffic, and brackets.
const ENVELOPE_BYTES_MAX: usize = 128;

impl Filling {
    pub(crate) fn new() -> Self {
        let (items, bytes) = (Vec::new(), ENVELOPE_BYTES_MAX);
        Self { items, bytes, attempt: 1, caused_at_min: Millis::MAX }
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Adds an item, sent so often before, unless the body would grow above `bytes_max`; the first always fits.
    ///
    /// # Errors
    /// If the item cannot be written as JSON.
    pub(crate) fn add(
        &mut self,
        id: u64,
        settlement: &Settlement,
        (attempts, recover): (u32, bool),
        bytes_max: usize,
    ) -> Result<bool, serde_json::Error> {
        let item = StateItem { recover, ..StateItem::from(settlement) };
        let json = serde_json::to_vec(&item)?;
        let grown = self.bytes + json.len() + 1;
        if bytes_max < grown && !self.items.is_empty() {
            return Ok(false);
        }
        self.bytes = grown;
        self.attempt = self.attempt.max(attempts.saturating_add(1));
        self.caused_at_min = self.caused_at_min.min(settlement.caused_at);
        self.items.push((id, item, json));
        Ok(true)
    }

    /// The call, its items sorted by (bet, revision).
    pub(crate) fn finish(mut self, partner: PartnerId, traffic: Traffic) -> Filled {
        self.items.sort_by(|(_, a, _), (_, b, _)| {
            (a.bet_id.as_str(), a.revision).cmp(&(b.bet_id.as_str(), b.revision))
        });
        let mut named =
            self.items.iter().map(|(_, i, _)| (i.bet_id.as_str(), i.revision, i.recover));
        let chunk_id = match self.items.first() {
            Some((_, first, _)) if planted::active(Bug::ChunkIdByPosition) => {
                chunk_id(std::iter::once((first.round_id.as_str(), first.revision, false)))
            }
            Some(_) | None => chunk_id(&mut named),
        };
        let mut bytes = Vec::with_capacity(self.bytes);
        bytes.extend_from_slice(br#"{"op":"state","chunk_id":""#);
        bytes.extend_from_slice(chunk_id.as_bytes());
        bytes.extend_from_slice(match traffic {
            Traffic::Void => br#"","traffic":"void","items":["#,
            Traffic::Live => br#"","traffic":"live","items":["#,
            Traffic::Correction => br#"","traffic":"correction","items":["#.as_slice(),
        });
        let mut ids = Vec::with_capacity(self.items.len());
        let mut items = Vec::with_capacity(self.items.len());
        for (id, item, json) in self.items {
            if !items.is_empty() {
                bytes.push(b',');
            }
            bytes.extend_from_slice(&json);
            ids.push(id);
            items.push(item);
        }
        bytes.extend_from_slice(b"]}");
        let request = Arc::new(StateRequest { op: "state".to_owned(), chunk_id, traffic, items });
        let call = StateCall {
            partner,
            path: schemas::contract::STATE_PATH,
            request,
            bytes: bytes.into(),
            gzip: false,
            attempt: self.attempt,
            caused_at_min: self.caused_at_min,
        };
        Filled { ids, call }
    }
}

#[cfg(test)]
mod tests;
