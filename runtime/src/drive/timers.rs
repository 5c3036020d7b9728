//! The timers of one machine, behind one timer of tokio.

use crate::{Clock, Millis};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// Longest sleep in one piece: the wall clock may be set while we sleep.
const SLEEP_MS_MAX: Millis = 10_000;

/// Timers, due in the order of their time and then of their setting.
pub(super) struct Timers<K> {
    clock: K,
    set: BinaryHeap<Reverse<(Millis, u64, u64)>>,
    count: u64,
    /// The sleep until `next`, the earliest timer when it began.
    sleep: Pin<Box<Sleep>>,
    next: Option<Millis>,
}

impl<K: Clock> Timers<K> {
    pub(super) fn new(clock: K) -> Self {
        let sleep = Box::pin(sleep(Duration::ZERO));
        Self { clock, set: BinaryHeap::new(), count: 0, sleep, next: None }
    }

    pub(super) fn set(&mut self, at: Millis, token: u64) {
        self.count += 1;
        self.set.push(Reverse((at, self.count, token)));
    }

    /// The tokens of the timers whose time has come, at least one; pending while none is set.
    /// Cancel-safe.
    pub(super) async fn due(&mut self) -> Vec<u64> {
        loop {
            let now = self.clock.now();
            let due = self.take(now);
            if !due.is_empty() {
                return due;
            }
            let Some(at) = self.set.peek().map(|Reverse((at, _, _))| *at) else {
                return std::future::pending().await;
            };
            if self.next != Some(at) || self.sleep.is_elapsed() {
                let wait_ms = u64::try_from((at - now).clamp(1, SLEEP_MS_MAX)).unwrap_or(1);
                self.sleep.as_mut().reset(Instant::now() + Duration::from_millis(wait_ms));
                self.next = Some(at);
            }
            self.sleep.as_mut().await;
        }
    }

    fn take(&mut self, now: Millis) -> Vec<u64> {
        let mut due = Vec::new();
        while let Some(Reverse((at, _, token))) = self.set.peek() {
            if now < *at {
                break;
            }
            due.push(*token);
            self.set.pop();
        }
        due
    }
}
