//! Is the world at rest, and is everything as the log says? And which rare moments did the log hold?

use super::World;
use super::checks::expected;
use super::reach::Moment;
use super::slot::SlotRef;
use crate::oracle::{self, Event, Said};
use runtime::{Alarm, Source};
use schemas::facts::HEADER_KIND;
use std::collections::{BTreeMap, BTreeSet};

/// Most reasons that are told why a world is not at rest.
const REASONS_MAX: usize = 6;

impl World {
    pub(super) fn alarmed(&mut self, at: SlotRef, alarm: &Alarm) {
        self.note(40, at.epoch, 0, || format!("{at} alarm {}: {}", alarm.name, alarm.text));
        if alarm.name == "round_differs" {
            let misstated = self.checks.misstates();
            self.reach.hit(if misstated {
                Moment::MisstatementNoticed
            } else {
                Moment::RestoreNoticed
            });
        }
        self.checks.alarmed(alarm.name, &alarm.text);
    }

    /// What is still open; empty at rest.
    pub(super) fn at_rest(&mut self) -> Vec<String> {
        let mut open = Vec::new();
        if 0 < self.clients.unfinished() {
            open.push(format!("{} operators are not done", self.clients.unfinished()));
        }
        if let Some(partner) = self.restoring.unfinished() {
            open.push(format!("the ledger of {partner} is not signed off"));
        }
        self.open_offsets(&mut open);
        let mut known = BTreeSet::new();
        for partition in 0..self.partitions.lanes {
            for (bet, judged) in oracle::judge(self.checks.story(partition)) {
                self.open_bet(&bet, &judged, &mut open);
                known.insert(bet);
            }
        }
        for (partner, bet, net) in self.wallets.rows() {
            if !known.contains(bet) && net != 0 {
                open.push(format!("{partner} holds {net} for {bet}, which nobody wrote down"));
            }
        }
        open.truncate(REASONS_MAX);
        if open.is_empty() {
            self.checks.books(&self.wallets, &mut self.reach);
            self.reached();
        }
        open
    }

    /// Invariant 1 and 10 on one bet.
    fn open_bet(&self, bet: &str, judged: &oracle::Judged, open: &mut Vec<String>) {
        if judged.accepted.or(judged.rejected).or(judged.cancelled).is_none() {
            open.push(format!("{bet} is undecided"));
            return;
        }
        let Some(partner) = self.checks.partner_of(bet) else { return };
        let net = i128::from(self.wallets.net_of(partner, bet));
        if net != judged.net() {
            open.push(format!("{partner} has moved {net} for {bet}, owed {}", judged.net()));
        }
        let Some((revision, _)) = expected(judged).last().copied() else { return };
        if self.wallets.is_wrong(partner, bet, revision) {
            if !self.checks.is_parked(bet, revision) {
                open.push(format!("nobody noticed that {partner} moved wrong money for {bet}"));
            }
        } else if self.checks.final_revision(bet) < revision {
            open.push(format!("{bet}/{revision} has no final answer"));
        }
    }

    /// Every record but ticks lies below the stored offset.
    fn open_offsets(&self, open: &mut Vec<String>) {
        for group in self.groups.values() {
            for partition in 0..group.partitions() {
                for topic in std::iter::once(group.topic).chain(group.also.iter().copied()) {
                    let source = Source { topic, partition };
                    let stored = group.stored(source).unwrap_or(0);
                    let left = self.log.from(source, stored);
                    let left =
                        left.iter().filter(|record| record.header(HEADER_KIND) != Some("tick"));
                    let count = left.count();
                    if 0 < count {
                        open.push(format!("{count} records of {source} from {stored} on"));
                    }
                }
            }
        }
    }

    /// Counts the rare moments that can be seen in the log as a whole.
    fn reached(&mut self) {
        let mut moments = Vec::new();
        for partition in 0..self.partitions.lanes {
            let story = self.checks.story(partition);
            let judged = oracle::judge(story);
            let mut closed = BTreeMap::<&str, u64>::new();
            for event in story {
                if matches!(event.said, Said::Closed) {
                    closed.entry(&event.round).or_insert(event.at);
                }
            }
            let mut intents = BTreeMap::<&str, (u64, &str)>::new();
            for event in story.iter().filter(|event| !event.bet.is_empty()) {
                let closed = closed.get(event.round.as_str()).is_some_and(|at| *at < event.at);
                let first = intents.get(event.bet.as_str()).copied();
                if let Said::Intent(hash, ..) = &event.said {
                    intents.entry(&event.bet).or_insert((event.at, hash));
                }
                let Some(judged) = judged.get(&event.bet) else { continue };
                moments.extend(moments_of(event, first, closed, judged));
            }
            let ticks: BTreeSet<u64> =
                story.iter().filter(|e| matches!(e.said, Said::Tick)).map(|e| e.at).collect();
            for judged in judged.values() {
                if judged.rejected.is_some_and(|at| ticks.contains(&at)) {
                    moments.push(Moment::BetExpired);
                }
            }
        }
        for moment in moments {
            self.reach.hit(moment);
        }
    }
}

/// The rare moments that one record about a bet is.
fn moments_of(
    event: &Event,
    first: Option<(u64, &str)>,
    closed: bool,
    judged: &oracle::Judged,
) -> Vec<Moment> {
    let before = |at: Option<u64>| at.is_some_and(|at| at < event.at);
    let mut moments = Vec::new();
    match (&event.said, first) {
        (Said::Intent(..), None) if closed => moments.push(Moment::IntentBehindClosed),
        (Said::Intent(hash, ..), Some((_, content))) => {
            moments.push(Moment::DuplicatedIntent);
            if hash != content {
                moments.push(Moment::OtherContent);
            }
        }
        (Said::Approved(hash), Some((_, content))) => {
            if hash != content {
                moments.push(Moment::OtherContentAnswered);
            }
            if closed {
                moments.push(Moment::ApprovalBehindClosed);
            }
            if before(judged.cancelled) {
                moments.push(Moment::ApprovalAfterCancel);
            }
            if !closed && before(judged.rejected) {
                moments.push(Moment::ApprovalBehindExpiry);
            }
        }
        (Said::Cancel, None) => moments.push(Moment::CancelBeforeIntent),
        (Said::Cancel, Some(_)) if judged.cancelled == Some(event.at) => {
            let accepted = before(judged.accepted);
            moments.push(if accepted {
                Moment::CancelOfAccepted
            } else {
                Moment::CancelBeforeAnswer
            });
        }
        (_, _) => {}
    }
    moments
}
