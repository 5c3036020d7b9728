//! What an answer of a partner is worth.
//!
//! [`judge`] is the one place where an answer becomes a verdict; that a 200 is the partner's was verified
//! before, by its signature. What counts is a status of 200, a body that echoes the chunk, and in it an item that echoes bet and revision. All
//! else (another status, a redirect, HTML, half a body, a word that this build does not know) is no
//! answer: the item stays owed and is sent again.

mod answer;
mod item;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Came};
pub use item::ParkCode;
#[cfg(test)]
pub(crate) use item::net as net_of;

use planted::Bug;
use runtime::http::CallError;
use schemas::contract::{StateItem, StateRequest, StateResult};
use schemas::settlements::Settlement;
use std::collections::BTreeMap;

/// Statuses that say no more than "not now" (contract 4, `overloaded`).
const BUSY: [u16; 2] = [429, 503];
/// Statuses of 4xx that are no "fix, then retry" of the contract: it took too long, the same is being handled, not yet.
const NOTHING_TO_FIX: [u16; 4] = [408, 409, 425, 429];
/// Statuses with which no item of a chunk has to do: who calls, and in which version (contract 4).
const WHOLE_CALL: [u16; 2] = [401, 406];
/// Characters a ledger epoch may have. It is part of keys; a longer one is no answer.
const EPOCH_CHARS_MAX: usize = 64;

/// One item that was sent.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What was sent.
    pub settlement: &'a Settlement,
    /// The highest revision of the bet that this dispatcher has read from a log (R17).
    pub newest_read: u32,
}

/// What became of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Final: the partner's row is in the target state and the money says so.
    Applied {
        /// What it could not take back, in minor units; 0 or above.
        shortfall: i64,
    },
    /// Final: the partner's row is at a higher revision that was read from a log.
    Superseded {
        /// The row's revision.
        by: u32,
    },
    /// Final only if an answer to this revision, or a higher one, stands in the store; else owed.
    Claimed {
        /// The row's revision, as the partner says.
        by: u32,
    },
    /// Not final: the partner asks for patience. To be sent again.
    Pending,
    /// Not final, and no word of it counts: to be sent again.
    Owed,
    /// For a human: sending it again would not help.
    Park {
        /// Why.
        code: ParkCode,
        /// What the partner said, for people.
        said: String,
    },
}

impl Verdict {
    /// What became of the item in a 200, for people.
    fn word(&self) -> &'static str {
        match self {
            Self::Applied { .. } => "applied",
            Self::Superseded { .. } | Self::Claimed { .. } => "superseded",
            Self::Pending => "pending",
            Self::Owed => "nonsense",
            Self::Park { code, .. } => code.code(),
        }
    }
}

/// What one answer is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The ledger epoch, if the answer is one. Empty where the partner names none.
    pub epoch: Option<String>,
    /// True if the partner answered and said nothing of any item, other than that it is busy: something
    /// in the chunk may be more than it can take.
    pub refused: bool,
    /// The status, if somebody must mend something before it is another (contract 4, `fix_then_retry`).
    pub to_fix: Option<u16>,
    /// How long the partner wants to be left alone, in ms.
    pub retry_after_ms: Option<u64>,
    /// A verdict per item sent, in the order sent.
    pub verdicts: Vec<Verdict>,
}

impl Judgement {
    fn owed(sent: &[Asked<'_>], refused: bool, retry_after_ms: Option<u64>) -> Self {
        let verdicts = vec![Verdict::Owed; sent.len()];
        Self { epoch: None, refused, to_fix: None, retry_after_ms, verdicts }
    }

    /// True if whatever is sent to the partner is refused, until something is mended.
    pub(crate) fn refuses_all(&self) -> bool {
        self.to_fix.is_some_and(|status| WHOLE_CALL.contains(&status))
    }

    /// True if one of the items may be to blame that the chunk was refused.
    pub(crate) fn blames_items(&self) -> bool {
        self.refused && !self.refuses_all()
    }
}

/// Judges an answer to the chunk `chunk_id`, item by item. Pure: equal inputs, equal verdicts.
///
/// `sent` holds no bet twice.
///
/// # Source
/// Contract 2 and 4; R17.
pub fn judge(chunk_id: &str, sent: &[Asked<'_>], answer: &Answer) -> Judgement {
    let status = match answer.came {
        Ok(status) => status,
        Err(CallError::TooLarge) => return Judgement::owed(sent, true, None),
        Err(
            CallError::Timeout
            | CallError::Connect
            | CallError::Tls
            | CallError::Forbidden
            | CallError::Broken
            | CallError::Signature(_)
            | CallError::Unknown,
        ) => return Judgement::owed(sent, false, None),
    };
    if status != 200 {
        let owed = Judgement::owed(sent, !BUSY.contains(&status), answer.retry_after_ms);
        let fixes = (400..500).contains(&status) && !NOTHING_TO_FIX.contains(&status);
        return Judgement { to_fix: fixes.then_some(status), ..owed };
    }
    if planted::active(Bug::StatusMeansApplied) {
        let verdicts = vec![Verdict::Applied { shortfall: 0 }; sent.len()];
        let epoch = Some(String::new());
        return Judgement { epoch, verdicts, ..Judgement::owed(sent, false, None) };
    }
    let Some(body) = answer.to(chunk_id) else {
        return Judgement::owed(sent, true, answer.retry_after_ms);
    };
    let results = by_bet(&body.results);
    let verdicts = sent.iter().map(|asked| {
        let result = results.get(asked.settlement.bet.as_str()).copied().flatten();
        result.map_or(Verdict::Owed, |result| item::judge(*asked, result))
    });
    Judgement {
        verdicts: verdicts.collect(),
        refused: false,
        to_fix: None,
        retry_after_ms: answer.retry_after_ms,
        epoch: Some(body.ledger_epoch.clone()),
    }
}

/// Whether an answer to `request` is a 200 that says nothing of some of its items: it is no answer to this chunk,
/// leaves the item out, or uses words that this build does not know.
pub(crate) fn is_nonsense(request: &StateRequest, answer: &Answer) -> bool {
    if answer.came != Ok(200) {
        return false;
    }
    let Some(body) = answer.to(&request.chunk_id) else { return true };
    let results = by_bet(&body.results);
    let says = |item: &StateItem| {
        let result = results.get(item.bet_id.as_str()).copied().flatten();
        result.is_some_and(|result| item::says(item.revision, result))
    };
    !request.items.iter().all(says)
}

/// Whether an epoch can stand in keys: at most 64 letters, digits, `_`, `-`, `.` and `:`; empty where a partner names none.
pub fn is_epoch(epoch: &str) -> bool {
    epoch.len() <= EPOCH_CHARS_MAX
        && epoch.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte))
}

/// The results by bet; `None` for a bet with two results that differ, which say nothing.
fn by_bet(results: &[StateResult]) -> BTreeMap<&str, Option<&StateResult>> {
    let mut found: BTreeMap<&str, Option<&StateResult>> = BTreeMap::new();
    for result in results {
        let entry = found.entry(&result.bet_id).or_insert(Some(result));
        if *entry != Some(result) {
            *entry = None;
        }
    }
    found
}
