//! `bets.v1` sorted by what it is about: ticks, the markers of a round, the records of a bet.

use super::books::{BetLine, Books, numbered};
use schemas::bets::{BetSaid, HoldAnswer, Intent, Marker, MarkerBody};
use schemas::rounds::Outcome;
use schemas::{ContentHash, RequestId};
use std::collections::BTreeMap;

/// Something in one partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<T> {
    /// Its offset.
    pub(super) offset: u64,
    /// When its writer said it.
    pub(super) said_at: i64,
    /// What it is.
    pub(super) what: T,
}

/// What one partition says of one bet.
#[derive(Clone, Debug, Default)]
pub(super) struct BetLog<'a> {
    pub(super) intents: Vec<At<&'a Intent>>,
    pub(super) answers: Vec<At<(ContentHash, &'a HoldAnswer)>>,
    pub(super) cancels: Vec<At<(&'a RequestId, &'a schemas::PartnerId)>>,
    /// Offset and reason of the first record that could not be read, or of a thaw.
    pub(super) stopped: Option<(u64, String)>,
}

/// What one partition says of one round.
#[derive(Clone, Debug, Default)]
pub(super) struct RoundLog<'a> {
    /// Markers 1, 2, ... as the first copy of each stands behind the one before.
    pub(super) markers: Vec<At<&'a Marker>>,
    /// Copies whose number stood already with another content, and markers behind a gap.
    pub(super) wrong: Vec<(u64, String)>,
    /// Offset and reason of the first record that could not be read, or of a thaw.
    pub(super) stopped: Option<(u64, String)>,
}

impl<'a> RoundLog<'a> {
    pub(super) fn game(&self) -> Option<&'a str> {
        self.markers.iter().find_map(|marker| match &marker.what.body {
            MarkerBody::Opened { game, .. } => Some(game.as_str()),
            MarkerBody::Closed | MarkerBody::Version { .. } => None,
        })
    }

    pub(super) fn opened(&self) -> Option<u64> {
        let opened = |marker: &&At<&Marker>| matches!(marker.what.body, MarkerBody::Opened { .. });
        self.markers.iter().find(opened).map(|marker| marker.offset)
    }

    pub(super) fn closed(&self) -> Option<At<()>> {
        let closed = self.markers.iter().find(|m| matches!(m.what.body, MarkerBody::Closed));
        closed.map(|m| At { offset: m.offset, said_at: m.said_at, what: () })
    }

    /// The result versions, in order, from 1.
    pub(super) fn versions(&self) -> impl Iterator<Item = At<(u32, &'a Outcome)>> {
        self.markers.iter().filter_map(|marker| match &marker.what.body {
            MarkerBody::Version { version, outcome } => Some(At {
                offset: marker.offset,
                said_at: marker.said_at,
                what: (*version, outcome),
            }),
            MarkerBody::Opened { .. } | MarkerBody::Closed => None,
        })
    }
}

/// One partition of `bets.v1`.
#[derive(Clone, Debug, Default)]
pub(super) struct PartitionLog<'a> {
    /// Offsets and times of the ticks.
    pub(super) ticks: Vec<(u64, i64)>,
    pub(super) rounds: BTreeMap<&'a str, RoundLog<'a>>,
    pub(super) bets: BTreeMap<&'a str, BetLog<'a>>,
}

impl<'a> PartitionLog<'a> {
    /// Every partition of `books`.
    pub(super) fn all(books: &'a Books) -> Vec<Self> {
        numbered(&books.bets)
            .map(|(_, lines)| {
                let mut log = Self::default();
                for (offset, line) in lines {
                    log.add(*offset, line);
                }
                log
            })
            .collect()
    }

    fn add(&mut self, offset: u64, line: &'a BetLine) {
        let event = match line {
            BetLine::Said(event) => event,
            BetLine::Unread(unread) => {
                let why = format!("the record at {offset} cannot be read: {}", unread.error);
                self.stop(offset, unread.round.as_deref(), unread.bet.as_deref(), why);
                return;
            }
        };
        let round = event.round.as_ref().map_or("", |round| round.as_str());
        let said_at = event.said_at;
        match &event.said {
            BetSaid::Tick => self.ticks.push((offset, said_at)),
            BetSaid::Intent(intent) => {
                let bet = self.bets.entry(intent.bet.id.as_str()).or_default();
                bet.intents.push(At { offset, said_at, what: intent });
            }
            BetSaid::Answer { bet, content, answer, .. } => {
                let bet = self.bets.entry(bet.as_str()).or_default();
                bet.answers.push(At { offset, said_at, what: (*content, answer) });
            }
            BetSaid::Cancel { bet, partner, request } => {
                let bet = self.bets.entry(bet.as_str()).or_default();
                bet.cancels.push(At { offset, said_at, what: (request, partner) });
            }
            BetSaid::Marker(marker) => {
                let round = self.rounds.entry(round).or_default();
                round.mark(At { offset, said_at, what: marker });
            }
            BetSaid::Thaw { bet, reason, .. } => {
                let bet = bet.as_ref().map(|(bet, _)| bet.as_str());
                let why = format!("thawed at {offset}: {reason}");
                self.stop(offset, Some(round), bet, why);
            }
        }
    }

    fn stop(&mut self, offset: u64, round: Option<&'a str>, bet: Option<&'a str>, why: String) {
        let stopped = match (round, bet) {
            (_, Some(bet)) => &mut self.bets.entry(bet).or_default().stopped,
            (Some(round), None) => &mut self.rounds.entry(round).or_default().stopped,
            (None, None) => return,
        };
        stopped.get_or_insert((offset, why));
    }
}

impl<'a> RoundLog<'a> {
    fn mark(&mut self, copy: At<&'a Marker>) {
        let number = usize::try_from(copy.what.number).unwrap_or(usize::MAX);
        let offset = copy.offset;
        match number.checked_sub(1).map(|index| (index, self.markers.get(index))) {
            Some((_, Some(stands))) if stands.what == copy.what => {}
            Some((_, Some(stands))) => self.wrong.push((
                offset,
                format!("marker {number} at {offset} differs from the one at {}", stands.offset),
            )),
            Some((index, None)) if index == self.markers.len() => self.markers.push(copy),
            Some((_, None)) | None => self.wrong.push((
                offset,
                format!("marker {number} at {offset} follows marker {}", self.markers.len()),
            )),
        }
    }
}
