//! The requests that were admitted, so that a repeat is answered without a new record.

use super::Judged;
use schemas::outgoing::round_content;
use schemas::rounds::{Opened, RoundEvent, RoundSaid};
use schemas::{ContentHash, RequestId, RoundId};
use std::collections::BTreeMap;

/// Admitted requests remembered, newest first to stay. A repeat of a forgotten one is appended and
/// gets the herald's verdict again.
pub(super) const KNOWN_MAX: usize = 50_000;

/// What one request says, apart from its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    content: ContentHash,
    /// opened: the content with the deadline counted from when it was said. A caller who gives a
    /// duration says the same at another time.
    relative: Option<ContentHash>,
}

impl Call {
    pub(super) fn of(event: &RoundEvent) -> Self {
        let relative = match &event.said {
            RoundSaid::Opened(opened) => {
                let closes_at = opened.closes_at.saturating_sub(event.said_at);
                let said = RoundSaid::Opened(Opened { closes_at, ..opened.clone() });
                Some(round_content(&RoundEvent { said, ..event.clone() }))
            }
            RoundSaid::Amended { .. }
            | RoundSaid::Closing
            | RoundSaid::Closed
            | RoundSaid::Sealed
            | RoundSaid::Version { .. }
            | RoundSaid::Proposed { .. }
            | RoundSaid::Rejected { .. }
            | RoundSaid::Verdict(_) => None,
        };
        Self { content: round_content(event), relative }
    }

    /// Whether both say the same.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.content == other.content
            || (self.relative.is_some() && self.relative == other.relative)
    }
}

/// Admitted requests with their verdicts.
#[derive(Debug, Default)]
pub(super) struct Known {
    requests: BTreeMap<(RoundId, RequestId), (Call, Judged)>,
    order: BTreeMap<u64, (RoundId, RequestId)>,
    count: u64,
}

impl Known {
    pub(super) fn get(&self, round: &RoundId, request: &RequestId) -> Option<(&Call, &Judged)> {
        let key = (round.clone(), request.clone());
        self.requests.get(&key).map(|(call, judged)| (call, judged))
    }

    /// Remembers an admitted request; the first verdict stays.
    pub(super) fn admitted(&mut self, call: Call, judged: &Judged) {
        let key = (judged.round.clone(), judged.request.clone());
        if self.requests.contains_key(&key) {
            return;
        }
        self.count += 1;
        self.order.insert(self.count, key.clone());
        self.requests.insert(key, (call, judged.clone()));
        while KNOWN_MAX < self.order.len() {
            let Some((_, oldest)) = self.order.pop_first() else { return };
            self.requests.remove(&oldest);
        }
    }
}
