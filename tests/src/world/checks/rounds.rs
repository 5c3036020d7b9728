//! R7 and R22: markers, verdicts, and what is admitted.

use super::super::reach::{Moment, Reach};
use super::{Checks, RoundSeen};
use runtime::Record;
use schemas::bets::{Marker, MarkerBody};
use schemas::rounds::{Outcome, RoundEvent, RoundSaid};
use std::collections::BTreeSet;

impl Checks {
    /// R7: every partition has the same markers in the same order, and no result before every cut-off.
    pub(super) fn marker(
        &mut self,
        partition: u32,
        round: &str,
        marker: &Marker,
        reach: &mut Reach,
    ) {
        let lanes = usize::try_from(self.partitions.lanes).unwrap_or(0);
        let seen = self.rounds.entry(round.to_owned()).or_default();
        let before = marker.number.saturating_sub(1);
        let gap =
            0 < before && !seen.markers.get(&before).is_some_and(|(_, at)| at.contains(&partition));
        let everywhere = |number: u32, seen: &RoundSeen| {
            seen.markers.get(&number).is_some_and(|(_, at)| at.len() == lanes)
        };
        let early = 0 < before && !everywhere(before, seen);
        let (first, at) =
            seen.markers.entry(marker.number).or_insert((marker.clone(), BTreeSet::new()));
        let differs = *first != *marker;
        if !at.insert(partition) {
            reach.hit(Moment::LateMarkerCopy);
        }
        if matches!(marker.body, MarkerBody::Closed) {
            seen.closed_in.insert(partition);
        }
        let open =
            matches!(marker.body, MarkerBody::Version { .. }) && seen.closed_in.len() < lanes;
        if let MarkerBody::Version { version, .. } = marker.body
            && 1 < version
        {
            let fanning = self.bets.iter().any(|(bet, published)| {
                bet.split(':').next() == Some(round)
                    && published.settlements.contains_key(&(version + 1))
                    && self.finals.get(bet).is_none_or(|at| *at < version + 1)
            });
            if fanning {
                reach.hit(Moment::CorrectionDuringFanOut);
            }
        }
        let number = marker.number;
        if differs {
            self.broken("R7", format!("{round}: marker {number} has two contents"));
        } else if gap {
            self.broken("R7", format!("{round}: marker {number} before {before} in {partition}"));
        } else if open {
            self.broken("R7", format!("{round}: a result while a partition is not closed"));
        } else if early {
            self.broken("R22", format!("{round}: marker {number} before {before} is everywhere"));
        }
    }

    pub(super) fn rounds_record(&mut self, partition: u32, record: &Record, reach: &mut Reach) {
        let Ok(event) = RoundEvent::decode(&record.value) else { return };
        let RoundSaid::Verdict(verdict) = &event.said else {
            self.said.insert((partition, record.offset), event);
            return;
        };
        let place = (partition, verdict.judged);
        let Some(judged) = self.said.get(&place).cloned() else {
            self.broken("R7", format!("a verdict on nothing at {place:?}"));
            return;
        };
        if let Some(before) = self.verdicts.get(&place) {
            reach.hit(Moment::VerdictLost);
            if before.said != event.said {
                self.broken("R7", format!("two verdicts on {place:?}"));
            }
            return;
        }
        let lanes = usize::try_from(self.partitions.lanes).unwrap_or(0);
        let seen = self.rounds.entry(event.round.to_string()).or_default();
        let closed_everywhere = seen.closed_in.len() == lanes;
        let copied = verdict.number == 0
            || seen.markers.get(&verdict.number).is_some_and(|(_, at)| at.len() == lanes);
        match (&verdict.refused, &judged.said) {
            (None, RoundSaid::Version { replaces, outcome, .. }) => {
                // A repeat of an admitted request gets its verdict again.
                if usize::try_from(verdict.version) == Ok(seen.versions.len() + 1) {
                    seen.versions.push(outcome.clone());
                    if let [.., first, second, third] = seen.versions.as_slice()
                        && first == third
                        && first != second
                    {
                        reach.hit(Moment::BackToFirstOutcome);
                    }
                    match outcome {
                        Outcome::Withdrawn => reach.hit(Moment::Withdrawn),
                        Outcome::Voided => reach.hit(Moment::RoundVoided),
                        Outcome::Game(_) | Outcome::Named { .. } => {}
                    }
                } else {
                    reach.hit(Moment::RequestRepeated);
                }
                if *replaces + 1 != verdict.version {
                    let (round, version) = (&event.round, verdict.version);
                    self.broken("R7", format!("{round}: version {version} replaces {replaces}"));
                }
            }
            (None, RoundSaid::Sealed) => {
                seen.sealed = true;
                if !closed_everywhere {
                    self.broken("R7", format!("{}: sealed while not closed", event.round));
                }
            }
            (None, RoundSaid::Opened(_)) => seen.opened = true,
            (Some(code), RoundSaid::Version { .. }) if code == "not_sealed" => {
                reach.hit(Moment::ResultRefusedUnsealed);
            }
            (Some(code), RoundSaid::Version { .. }) if code == "version_conflict" => {
                reach.hit(Moment::ResultConflict);
            }
            (_, _) => {}
        }
        if verdict.refused.is_none() && !copied {
            let number = verdict.number;
            self.broken("R22", format!("{}: verdict before {number} is everywhere", event.round));
        }
        self.verdicts.insert(place, event);
    }
}
