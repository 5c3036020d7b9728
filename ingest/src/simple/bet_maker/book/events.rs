//! The events, and the JSON of those that take bets, written once for all who ask.

use super::super::line::{Begun, Standing};
use crate::rounds_view::{Keeping, RoundStatus, RoundsView};
use crate::simple::bodies::EventBody;
use crate::simple::event::{Ending, is_event, is_open, odds_of};
use bytes::Bytes;
use runtime::{Millis, Source};
use schemas::rounds::RoundEvent;
use schemas::{Odds, RoundId};
use std::collections::BTreeSet;

/// Events kept beside the open ones, about 500 bytes each. Bets on older ones leave the list.
const EVENTS_MAX: usize = 200_000;

/// The events.
#[derive(Debug)]
pub(super) struct Events {
    view: RoundsView,
    /// Those that take bets, oldest first; a deadline may have passed since.
    betting: BTreeSet<(i64, RoundId)>,
    /// The JSON of those open, and until when (ms) it is right if nothing is read.
    open: Option<(Bytes, Millis)>,
}

impl Default for Events {
    fn default() -> Self {
        let keeping = Keeping { rounds_max: EVENTS_MAX, history: false, wants: is_event };
        Self { view: RoundsView::keeping(keeping), betting: BTreeSet::new(), open: None }
    }
}

impl Events {
    /// Takes a record; returns the event if what is shown of it changed.
    pub(super) fn read(
        &mut self,
        source: Source,
        offset: u64,
        event: RoundEvent,
    ) -> Option<RoundId> {
        let round = self.view.read(source, offset, event)?;
        let info = self.view.get(&round)?;
        let place = (info.opened_at, round.clone());
        if info.status == RoundStatus::Betting {
            self.betting.insert(place);
        } else {
            self.betting.remove(&place);
        }
        self.open = None;
        Some(round)
    }

    /// The events that take bets at `now`, newest first, as a JSON array.
    pub(super) fn open(&mut self, now: Millis) -> Bytes {
        match &self.open {
            Some((json, until)) if now < *until => json.clone(),
            Some(_) | None => {
                let newest = self.betting.iter().rev();
                let infos = newest.filter_map(|(_, round)| self.view.get(round));
                let open: Vec<_> = infos.filter(|info| is_open(info, now)).collect();
                let until = open.iter().map(|info| info.closes_at).min().unwrap_or(Millis::MAX);
                let bodies: Vec<_> = open.into_iter().filter_map(EventBody::of).collect();
                let json = Bytes::from(serde_json::to_vec(&bodies).unwrap_or_default());
                self.open = Some((json.clone(), until));
                json
            }
        }
    }

    /// An event as a JSON object.
    pub(super) fn show(&self, event: &RoundId) -> Option<Bytes> {
        let body = EventBody::of(self.view.get(event)?)?;
        serde_json::to_vec(&body).ok().map(Bytes::from)
    }

    /// The odds at which a bet may be placed at `now`, or why none may.
    pub(super) fn odds(&self, event: &RoundId, now: Millis) -> Result<Odds, Begun> {
        let info = self.view.get(event).ok_or(Begun::EventUnknown)?;
        let odds = odds_of(info).ok_or(Begun::EventUnknown)?;
        if info.status != RoundStatus::Betting {
            return Err(Begun::NotBetting);
        }
        if info.closes_at <= now {
            return Err(Begun::DeadlinePassed);
        }
        Ok(odds)
    }

    /// How an accepted bet on the event stands; `None` if the event was let go.
    pub(super) fn standing(&self, event: &RoundId) -> Option<Standing> {
        self.view.get(event).map(|info| Standing::of(Ending::of(info)))
    }
}
