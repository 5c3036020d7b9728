//! The line before a partner's slots: whoever came first has the next one.

use super::slots::{Slots, Taken, Told};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// One partner's.
#[derive(Debug)]
pub(super) struct Gate {
    slots: Mutex<Slots>,
    /// Held by the first of those that wait. It is given on in the order in which they came.
    line: tokio::sync::Mutex<()>,
    /// Wakes the first.
    freed: Notify,
    /// Until when it wants to be left alone.
    rests_until: Mutex<Option<Instant>>,
}

/// A slot for one call. Dropping it gives it back.
pub(super) struct Slot {
    gate: Arc<Gate>,
    taken: Taken,
    told: Told,
}

impl Gate {
    pub(super) fn new(slots: Slots) -> Self {
        let (slots, line) = (Mutex::new(slots), tokio::sync::Mutex::default());
        Self { slots, line, freed: Notify::new(), rests_until: Mutex::default() }
    }

    /// Calls that may be on their way.
    pub(super) fn max(&self) -> usize {
        self.lock().max()
    }

    /// Nobody is to be called before `until`.
    pub(super) fn rest(&self, until: Instant) {
        let mut rests_until = self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        *rests_until = (*rests_until).max(Some(until));
    }

    /// It takes stakes after all: one busy backend of several is not to stop the others.
    pub(super) fn rest_ends(&self) {
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether nobody is to be called now.
    pub(super) fn rests(&self, now: Instant) -> bool {
        let rests_until = self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        rests_until.is_some_and(|until| now < until)
    }

    /// Waits for a slot. Whoever stops waiting has taken none.
    pub(super) async fn enter(self: &Arc<Self>) -> Slot {
        let _first = self.line.lock().await;
        loop {
            let taken = self.lock().take();
            if let Some(taken) = taken {
                return Slot { gate: Arc::clone(self), taken, told: Told::Nothing };
            }
            self.freed.notified().await;
        }
    }

    #[cfg(test)]
    pub(super) fn is_full(&self) -> bool {
        self.lock().are_full()
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Gives it back with what the call told.
    pub(super) fn end(mut self, told: Told) {
        self.told = told;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.gate.lock().give(self.taken, self.told);
        self.gate.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    /// Also where one that waited has gone meanwhile.
    #[tokio::test]
    async fn whoever_came_first_has_the_next_slot() {
        let gate = Arc::new(Gate::new(Slots::new(1)));
        let first = gate.enter().await;
        let (entered, mut slots) = mpsc::unbounded_channel();
        let mut waiting = Vec::new();
        for number in 0..4 {
            let (gate, entered) = (Arc::clone(&gate), entered.clone());
            waiting.push(tokio::spawn(async move {
                let slot = gate.enter().await;
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
