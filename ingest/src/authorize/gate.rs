//! Who may call a partner now: as many at once as its wallet answers without making them wait, in the order in which they
//! came.

use runtime::calls::{Concurrency, Sent};
use runtime::{Clock, Millis};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The slots of one partner, and the line before them.
#[derive(Debug)]
pub(super) struct Gate {
    ceiling: usize,
    slots: Mutex<Slots>,
    /// Held by the first of those that wait. It is given on in the order in which they came.
    line: tokio::sync::Mutex<()>,
    /// Wakes the first.
    freed: Notify,
}

#[derive(Debug, Default)]
struct Slots {
    concurrency: Concurrency,
    taken: usize,
}

/// A slot for one call. Dropping it gives it back.
pub(super) struct Slot {
    gate: Arc<Gate>,
    sent: Sent,
    ended: Ended,
}

#[derive(Clone, Copy)]
enum Ended {
    Answered(Millis),
    Failed,
    Untold,
}

impl Gate {
    /// At most `ceiling` at once.
    pub(super) fn new(ceiling: usize) -> Self {
        let (slots, line, freed) = (Mutex::default(), tokio::sync::Mutex::default(), Notify::new());
        Self { ceiling, slots, line, freed }
    }

    /// Calls that may be on their way.
    pub(super) fn max(&self) -> usize {
        self.lock().concurrency.max(self.ceiling)
    }

    /// Waits for a slot. Whoever stops waiting has taken none.
    pub(super) async fn enter(self: &Arc<Self>, clock: &impl Clock) -> Slot {
        let _first = self.line.lock().await;
        loop {
            if let Some(sent) = self.take(clock.now()) {
                return Slot { gate: Arc::clone(self), sent, ended: Ended::Untold };
            }
            self.freed.notified().await;
        }
    }

    fn take(&self, now: Millis) -> Option<Sent> {
        let mut slots = self.lock();
        let (others, max) = (slots.taken, slots.concurrency.max(self.ceiling));
        if max <= others {
            return None;
        }
        slots.taken += 1;
        // The last slot is the one with something behind it to limit.
        let full = max == slots.taken;
        Some(slots.concurrency.sent(now, full, others, self.ceiling))
    }

    #[cfg(test)]
    pub(super) fn is_full(&self) -> bool {
        let slots = self.lock();
        slots.concurrency.max(self.ceiling) <= slots.taken
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// The partner answered.
    pub(super) fn answered(mut self, now: Millis) {
        self.ended = Ended::Answered(now);
    }

    /// It did not, or said that it is busy.
    pub(super) fn failed(mut self) {
        self.ended = Ended::Failed;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let gate = &self.gate;
        let mut slots = gate.lock();
        slots.taken -= 1;
        let (concurrency, sent) = (&mut slots.concurrency, self.sent);
        match self.ended {
            Ended::Answered(now) => concurrency.answered(now, sent, gate.ceiling),
            Ended::Failed => concurrency.failed(sent, gate.ceiling),
            Ended::Untold => concurrency.ended(sent),
        }
        drop(slots);
        gate.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::SystemClock;
    use std::time::Duration;
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    /// Also where one that waited has gone meanwhile.
    #[tokio::test]
    async fn whoever_came_first_has_the_next_slot() {
        let gate = Arc::new(Gate::new(1));
        let first = gate.enter(&SystemClock).await;
        let (entered, mut slots) = mpsc::unbounded_channel();
        let mut waiting = Vec::new();
        for number in 0..4 {
            let (gate, entered) = (Arc::clone(&gate), entered.clone());
            waiting.push(tokio::spawn(async move {
                let slot = gate.enter(&SystemClock).await;
                entered.send((number, slot)).map_err(|_| "nobody listens").unwrap();
            }));
            tokio::task::yield_now().await;
        }
        for number in [0, 2] {
            waiting[number].abort();
        }
        tokio::task::yield_now().await;
        drop(first);
        for wanted in [1, 3] {
            let next = timeout(Duration::from_secs(10), slots.recv()).await.unwrap();
            let (number, slot) = next.unwrap();
            assert_eq!((number, slots.is_empty()), (wanted, true), "one at a time");
            drop(slot);
        }
    }
}
