//! Invariant 6: no offset is stored before the effects of everything below it are durable.

use super::super::slot::Role;
use super::{Checks, Published, expected};
use crate::oracle::{Judged, State};
use runtime::{Source, StoreOffset};
use schemas::facts;

impl Checks {
    /// Invariant 6: an offset is never stored before the effects of everything below it are durable.
    pub(in crate::world) fn offset(&mut self, role: Role, stored: StoreOffset, end: u64) {
        let StoreOffset { source, offset } = stored;
        if end < offset {
            self.broken("6", format!("offset {offset} of {source} is behind the end {end}"));
        }
        match role {
            Role::Settler => self.settler_offset(source.partition, offset),
            Role::Herald => self.herald_offset(source, offset),
            Role::Dispatcher => self.dispatcher_offset(source, offset),
            Role::Placing | Role::Reconciler => {}
        }
    }

    /// Everything below is final or parked, or stands in a tier where it is still to be read, or gave way to a newer revision that is
    /// durable itself (R15).
    fn dispatcher_offset(&mut self, source: Source, offset: u64) {
        let from = self.checked.get(&source).copied().unwrap_or(0).min(offset);
        let lost = self.owed.range((source, from)..(source, offset)).find(|((_, at), id)| {
            let closed = self.final_revision(&id.0) >= id.1;
            let newer = self.bets.get(&id.0).is_some_and(|bet| id.1 < bet.highest_revision);
            let ahead = |(tier, place): (&Source, &u64)| {
                let read = self.checked.get(tier).copied().unwrap_or(0);
                if *tier == source { at < place } else { read <= *place }
            };
            let moved_on = self.moved_on.get(*id).is_some_and(|places| places.iter().any(ahead));
            !closed && !newer && !moved_on && !self.parked.contains_key(*id)
        });
        if let Some(((_, at), (bet, revision))) = lost {
            let text = format!("offset {offset} of {source} passes {bet}/{revision} at {at}");
            self.broken("6", text);
        }
        let highest = self.checked.entry(source).or_insert(0);
        *highest = offset.max(*highest);
    }

    /// Effects below the offset are durable; a bet whose decision stands at or above it is kept by the
    /// fact of that decision, which is durable too.
    fn settler_offset(&mut self, partition: u32, offset: u64) {
        let mut by_now = None;
        for (bet, judged) in self.judge(partition, offset) {
            let seen = (judged.states.len(), judged.cancelled.is_some());
            let place = (partition, bet);
            if self.settled.get(&place) == Some(&seen) {
                continue;
            }
            let bet = &place.1;
            if judged.first_decision().is_none() {
                let by_now = by_now.get_or_insert_with(|| self.judge(partition, u64::MAX));
                let decided = by_now.get(bet).and_then(Judged::first_decision);
                let kinds = [facts::ACCEPTED, facts::REJECTED, facts::CANCELLED];
                let kept = decided.is_some_and(|at| {
                    kinds.iter().any(|kind| self.fact_keys.contains(&(*kind, bet.clone(), at)))
                });
                if !kept {
                    let text = format!("offset {offset} passes the undecided intent of {bet}");
                    self.broken("R1", text);
                    return;
                }
                continue;
            }
            if let Some(missing) = self.missing(bet, &judged) {
                self.broken("6", format!("offset {offset} is stored, {bet} lacks {missing}"));
                return;
            }
            self.settled.insert(place, seen);
        }
    }

    /// The first effect that the log demands and nobody has written yet.
    fn missing(&self, bet: &str, judged: &Judged) -> Option<String> {
        let nothing = Published::default();
        let published = self.bets.get(bet).unwrap_or(&nothing);
        let decisions = [
            (facts::ACCEPTED, judged.accepted),
            (facts::REJECTED, judged.rejected),
            (facts::CANCELLED, judged.cancelled),
        ];
        for (kind, at) in decisions {
            let Some(at) = at else { continue };
            if !self.fact_keys.contains(&(kind, bet.to_owned(), at)) {
                return Some(format!("the fact {kind} at {at}"));
            }
            if !published.decisions.contains_key(kind) {
                return Some(format!("the decision {kind}"));
            }
        }
        let lost =
            self.lost.as_ref().filter(|(lost, _)| lost == bet).map(|(_, revision)| *revision);
        let missing = |(revision, _): &(u32, State)| {
            lost != Some(*revision) && !published.settlements.contains_key(revision)
        };
        expected(judged).into_iter().find(missing).map(|(r, _)| format!("revision {r}"))
    }

    /// Every record below has its verdict, and no unsealed round is passed (R7).
    fn herald_offset(&mut self, source: Source, offset: u64) {
        let from = self.checked.get(&source).copied().unwrap_or(0).min(offset);
        let below = (source.partition, from)..(source.partition, offset);
        let unjudged = self.said.range(below).find(|(place, _)| !self.verdicts.contains_key(place));
        if let Some((place, event)) = unjudged {
            let text = format!("offset {offset} passes {:?} at {place:?}", event.kind());
            self.broken("6", text);
        }
        let highest = self.checked.entry(source).or_insert(0);
        *highest = offset.max(*highest);
    }
}

trait Decided {
    /// Where the bet was decided first.
    fn first_decision(&self) -> Option<u64>;
}

impl Decided for Judged {
    fn first_decision(&self) -> Option<u64> {
        self.accepted.or(self.rejected).or(self.cancelled)
    }
}
