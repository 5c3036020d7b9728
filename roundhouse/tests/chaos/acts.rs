//! What happens, drawn from a seed.

use partner_kit::faults::SplitMix;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

/// A service of which two processes run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Service {
    Ingest,
    Settler,
    Dispatcher,
}

pub(crate) const SERVICES: [Service; 3] = [Service::Ingest, Service::Settler, Service::Dispatcher];
/// Processes of each service.
pub(crate) const OF_EACH: usize = 2;

/// Longer than the session of any group.
const ZOMBIE_AFTER: Duration = Duration::from_secs(20);

/// One disturbance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// `kill -9` of a process, and its start after a while.
    Kill(Service, usize, Duration),
    /// SIGSTOP, and SIGCONT later: beyond its session it comes back as a zombie.
    Freeze(Service, usize, Duration),
    /// SIGTERM and start, several times in a row: the groups do not come to rest.
    Shake(Service, u64),
    /// `kill -9` of one of the brokers, and its start after a while.
    KillBroker(usize, Duration),
    /// The same of a node of the store.
    KillNode(usize, Duration),
    /// SIGSTOP: its connections stay, and it says nothing.
    FreezeBroker(usize, Duration),
    FreezeNode(usize, Duration),
    KillWallets,
    /// Nothing: what was disturbed finds its way back.
    Calm(Duration),
}

/// Every kind of act that disturbs.
pub(crate) const KINDS: [&str; 8] = [
    "kills",
    "freezes",
    "storms",
    "broker kills",
    "node kills",
    "broker freezes",
    "node freezes",
    "wallet kills",
];

impl Act {
    fn kind(self) -> &'static str {
        match self {
            Self::Kill(..) => "kills",
            Self::Freeze(..) => "freezes",
            Self::Shake(..) => "storms",
            Self::KillBroker(..) => "broker kills",
            Self::KillNode(..) => "node kills",
            Self::FreezeBroker(..) => "broker freezes",
            Self::FreezeNode(..) => "node freezes",
            Self::KillWallets => "wallet kills",
            Self::Calm(_) => "calms",
        }
    }
}

/// The sequence of a seed.
pub(crate) struct Acts {
    random: SplitMix,
    opening: VecDeque<Act>,
    counts: BTreeMap<&'static str, u64>,
}

impl Acts {
    pub(crate) fn new(seed: u64) -> Self {
        // Not left to chance, and first: a broker is away for longer than its session; a settler comes back as a zombie.
        let opening = [
            Act::Freeze(Service::Settler, 0, ZOMBIE_AFTER),
            Act::KillWallets,
            Act::Kill(Service::Dispatcher, 0, Duration::from_secs(1)),
            Act::Shake(Service::Ingest, 2),
            Act::KillBroker(0, Duration::from_secs(15)),
            Act::KillNode(1, Duration::from_secs(3)),
            Act::FreezeBroker(2, Duration::from_secs(5)),
            Act::FreezeNode(0, Duration::from_secs(3)),
        ];
        Self { random: SplitMix::new(seed), opening: opening.into(), counts: BTreeMap::new() }
    }

    fn between(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.random.below(most - least + 1))
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.random.below(u64::try_from(count).unwrap())).unwrap()
    }

    fn process(&mut self) -> (Service, usize) {
        (SERVICES[self.below(SERVICES.len())], self.below(OF_EACH))
    }

    fn server(&mut self) -> usize {
        self.below(usize::from(u8::MAX))
    }

    pub(crate) fn next(&mut self) -> Act {
        self.opening.pop_front().unwrap_or_else(|| self.drawn())
    }

    /// Whether what is not left to chance is not over yet.
    pub(crate) fn are_opening(&self) -> bool {
        !self.opening.is_empty()
    }

    /// It was played.
    pub(crate) fn played(&mut self, act: Act) {
        *self.counts.entry(act.kind()).or_default() += 1;
    }

    /// Whether each kind was.
    pub(crate) fn are_all(&self) -> bool {
        KINDS.iter().all(|kind| self.counts.contains_key(kind))
    }

    fn drawn(&mut self) -> Act {
        match self.random.below(22) {
            0..=5 => {
                let (service, index) = self.process();
                Act::Kill(service, index, self.between(0, 3_000))
            }
            6..=9 => {
                let (service, index) = self.process();
                Act::Freeze(service, index, self.between(5_000, 40_000))
            }
            10 | 11 => {
                let (service, _) = self.process();
                Act::Shake(service, 2 + self.random.below(3))
            }
            12 => Act::KillBroker(self.server(), self.between(500, 6_000)),
            13 => Act::KillNode(self.server(), self.between(500, 6_000)),
            14 => Act::FreezeBroker(self.server(), self.between(1_000, 15_000)),
            15 => Act::FreezeNode(self.server(), self.between(1_000, 15_000)),
            16 => Act::KillWallets,
            _ => Act::Calm(self.between(2_000, 8_000)),
        }
    }
}

impl fmt::Display for Acts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts.iter().map(|(kind, count)| format!("{count} {kind}"));
        f.write_str(&counts.collect::<Vec<_>>().join(", "))
    }
}
