//! Cases on their way to operators: one call at a time, in the order of the log, until it is taken.

use crate::reconciler::ASKED;
use runtime::machine::Alarm;
use runtime::{Millis, Record};
use schemas::frame;
use schemas::wire::CaseRecord;
use std::collections::VecDeque;

/// Cases that wait to be told; above it no more are read.
const WAITING_MAX: usize = 100;
/// The wait after a first call that failed, in ms. It doubles with each.
const AGAIN_MS: Millis = 1_000;
/// The longest wait between two calls, in ms.
const AGAIN_MS_MAX: Millis = 60_000;
/// Age of a first failed call, in ms, behind which the case is left to those who read the topic.
const GIVE_UP_MS: Millis = 24 * 60 * 60 * 1_000;

/// A case to be told.
#[derive(Clone, Debug)]
pub struct Tell {
    /// What the record says.
    pub case: CaseRecord,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It was taken, or there is nobody to tell.
    Taken,
    /// It was not; the text says why.
    Not(String),
}

/// What waits.
#[derive(Debug)]
pub(super) struct Telling {
    waiting: VecDeque<Record>,
    /// The next record behind those that wait.
    read_to: u64,
    is_calling: bool,
    /// Calls for the first in line that failed, when the first of them did, and when the next may go.
    failed: Option<(u32, Millis, Millis)>,
}

impl Telling {
    pub(super) fn new(from: u64) -> Self {
        Self { waiting: VecDeque::new(), read_to: from, is_calling: false, failed: None }
    }

    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < WAITING_MAX
    }

    pub(super) fn take(&mut self, record: Record) {
        self.read_to = record.offset + 1;
        self.waiting.push_back(record);
    }

    /// The lowest case that nobody was told of.
    pub(super) fn storable(&self) -> u64 {
        self.waiting.front().map_or(self.read_to, |record| record.offset)
    }

    /// The next call, if it is time.
    pub(super) fn next(&mut self, now: Millis) -> Option<Tell> {
        let waits = self.failed.is_some_and(|(.., next_at)| now < next_at);
        if self.is_calling || waits {
            return None;
        }
        loop {
            // One that cannot be read says nothing to anybody.
            match frame::decode::<CaseRecord>(&self.waiting.front()?.value) {
                // It needs nobody.
                Ok(case) if case.code == ASKED => self.waiting.pop_front(),
                Ok(case) => {
                    self.is_calling = true;
                    return Some(Tell { case });
                }
                Err(_) => self.waiting.pop_front(),
            };
        }
    }

    /// When the next call may go, if one waits for that.
    pub(super) fn wakes_at(&self) -> Option<Millis> {
        if self.is_calling { None } else { self.failed.map(|(.., next_at)| next_at) }
    }

    pub(super) fn told(&mut self, now: Millis, told: Told) -> Option<Alarm> {
        self.is_calling = false;
        let Told::Not(why) = told else {
            self.waiting.pop_front();
            self.failed = None;
            return None;
        };
        let (failed, since) = self.failed.map_or((0, now), |(failed, since, _)| (failed, since));
        if since.saturating_add(GIVE_UP_MS) <= now {
            self.waiting.pop_front();
            self.failed = None;
            let text =
                format!("a case could not be told for a day and is left to the topic: {why}");
            return Some(Alarm { name: "case_not_told", text });
        }
        let wait = AGAIN_MS.saturating_mul(1 << failed.min(16)).min(AGAIN_MS_MAX);
        self.failed = Some((failed + 1, since, now.saturating_add(wait)));
        let text = format!("a case was not taken: {why}");
        (failed == 0).then_some(Alarm { name: "case_not_told", text })
    }
}
