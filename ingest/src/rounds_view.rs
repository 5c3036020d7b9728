//! The rounds as an outsider of the herald sees them: what `rounds.v1` says and the herald admitted.
//!
//! Reads `rounds.v1` in the order of each partition and writes nothing. A record counts only when the
//! herald's verdict that names its offset has been read (R7): so `betting` begins when `opened` stands
//! in every partition of `bets`, and two views that read the same records show the same rounds. What is
//! kept is a cache: a view that starts again from the beginning of the log ends at the same state.

mod info;
mod proposals;
#[cfg(test)]
mod tests;

pub use info::{HISTORY_LINES_MAX, HistoryLine, RoundInfo, RoundStatus};
pub use proposals::{Proposal, ProposalEnd};

use runtime::Source;
use schemas::rounds::{Opened, RoundEvent, RoundSaid, Verdict};
use schemas::{RequestId, RoundId};
use std::collections::{BTreeMap, BTreeSet};

/// Rounds kept in memory. Above it the oldest closed rounds go; an open round never does.
pub const ROUNDS_MAX: usize = 10_000;
/// Records kept until their verdict comes, over all partitions. Above it the oldest go, and a round
/// that they would have shown stays unknown to this view; a herald that works keeps this near zero.
pub const UNJUDGED_MAX: usize = 50_000;
/// Amendments remembered per round, so that a repeat of an old one does not bring old odds back.
const AMENDMENTS_MAX: usize = 10_000;

/// A place in `rounds.v1`.
type Place = (Source, u64);

/// What a view keeps.
#[derive(Clone, Copy, Debug)]
pub struct Keeping {
    /// Rounds beside the open ones.
    pub rounds_max: usize,
    /// Whether each round keeps what was said about it.
    pub history: bool,
    /// Whether the view shows the round that an `opened` opens.
    pub wants: fn(&RoundEvent, &Opened) -> bool,
}

/// The rounds that the herald admitted.
#[derive(Debug)]
pub struct RoundsView {
    keeping: Keeping,
    rounds: BTreeMap<RoundId, Kept>,
    /// Every round kept, oldest first.
    by_age: BTreeSet<(i64, RoundId)>,
    /// The rounds that may be dropped, oldest first.
    closed: BTreeSet<(i64, RoundId)>,
    /// Each with the number of its arrival.
    unjudged: BTreeMap<Place, (u64, RoundEvent)>,
    /// The unjudged in the order of their arrival, for dropping the oldest.
    arrivals: BTreeMap<u64, Place>,
    arrivals_count: u64,
}

#[derive(Debug)]
struct Kept {
    info: RoundInfo,
    amended_by: BTreeSet<RequestId>,
}

impl Default for RoundsView {
    fn default() -> Self {
        Self::with_rounds_max(ROUNDS_MAX)
    }
}

impl RoundsView {
    /// An empty view that keeps at most `rounds_max` rounds beside the open ones.
    pub fn with_rounds_max(rounds_max: usize) -> Self {
        Self::keeping(Keeping { rounds_max, history: true, wants: |_, _| true })
    }

    /// An empty view that keeps what `keeping` says.
    pub fn keeping(keeping: Keeping) -> Self {
        Self {
            keeping,
            rounds: BTreeMap::new(),
            by_age: BTreeSet::new(),
            closed: BTreeSet::new(),
            unjudged: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            arrivals_count: 0,
        }
    }

    /// Takes the record at `offset` of `source`; returns the round if what is shown of it changed.
    ///
    /// Records of one source must come in their order. A record or verdict read twice changes nothing.
    pub fn read(&mut self, source: Source, offset: u64, event: RoundEvent) -> Option<RoundId> {
        let RoundSaid::Verdict(verdict) = &event.said else {
            self.remember((source, offset), event);
            return None;
        };
        let (arrival, judged) = self.unjudged.remove(&(source, verdict.judged))?;
        self.arrivals.remove(&arrival);
        self.judge(&judged, verdict)
    }

    /// The record at `offset` of `source`, if its verdict has not been read yet.
    pub fn unjudged(&self, source: Source, offset: u64) -> Option<&RoundEvent> {
        self.unjudged.get(&(source, offset)).map(|(_, event)| event)
    }

    /// A round that was admitted and is still in memory.
    pub fn get(&self, round: &RoundId) -> Option<&RoundInfo> {
        self.rounds.get(round).map(|kept| &kept.info)
    }

    /// Up to `limit` rounds, newest first, that come after `after` in that order.
    ///
    /// `after` is `opened_at` and id of the last round of the page before; `open_only` leaves out the
    /// rounds that are closed.
    pub fn list(
        &self,
        after: Option<(i64, RoundId)>,
        limit: usize,
        open_only: bool,
    ) -> Vec<&RoundInfo> {
        let older = match &after {
            Some(last) => self.by_age.range(..last.clone()),
            None => self.by_age.range(..),
        };
        older
            .rev()
            .filter_map(|(_, round)| self.get(round))
            .filter(|info| !open_only || info.status.is_open())
            .take(limit)
            .collect()
    }

    fn remember(&mut self, place: Place, event: RoundEvent) {
        if self.unjudged.contains_key(&place) {
            return;
        }
        self.arrivals_count += 1;
        self.arrivals.insert(self.arrivals_count, place);
        self.unjudged.insert(place, (self.arrivals_count, event));
        while UNJUDGED_MAX < self.arrivals.len() {
            let Some((_, oldest)) = self.arrivals.pop_first() else { return };
            self.unjudged.remove(&oldest);
        }
    }

    fn judge(&mut self, judged: &RoundEvent, verdict: &Verdict) -> Option<RoundId> {
        let changed = match &verdict.refused {
            Some(_) => false,
            None => self.admit(judged, verdict.version),
        };
        let kept = self.rounds.get_mut(&judged.round)?;
        let line = || HistoryLine::of(judged, verdict.refused.clone(), verdict.version);
        let noted = self.keeping.history && kept.info.note(line());
        self.drop_old();
        (changed || noted).then(|| judged.round.clone())
    }

    fn admit(&mut self, judged: &RoundEvent, version: u32) -> bool {
        if let RoundSaid::Opened(opened) = &judged.said {
            if self.rounds.contains_key(&judged.round) || !(self.keeping.wants)(judged, opened) {
                return false;
            }
            let info = RoundInfo::betting(judged, opened);
            self.by_age.insert((info.opened_at, info.round.clone()));
            let kept = Kept { info, amended_by: BTreeSet::new() };
            self.rounds.insert(judged.round.clone(), kept);
            return true;
        }
        let Some(kept) = self.rounds.get_mut(&judged.round) else { return false };
        if let RoundSaid::Amended { .. } = &judged.said {
            // A repeat gets its first verdict again, long after other odds were admitted.
            if !kept.amended_by.insert(judged.request.clone()) {
                return false;
            }
            if AMENDMENTS_MAX < kept.amended_by.len() {
                kept.amended_by.pop_first();
            }
        }
        let proposed = kept.info.take_step(judged, version);
        let changed = kept.info.admit(&judged.said, version) || proposed;
        if !kept.info.status.is_open() {
            kept.amended_by.clear();
            self.closed.insert((kept.info.opened_at, judged.round.clone()));
        }
        changed
    }

    fn drop_old(&mut self) {
        while self.keeping.rounds_max < self.rounds.len() {
            let Some(oldest) = self.closed.pop_first() else { return };
            self.by_age.remove(&oldest);
            self.rounds.remove(&oldest.1);
        }
    }
}
