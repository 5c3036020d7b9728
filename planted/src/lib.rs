//! Deliberately broken guards, so that the tests can show that they would notice.
//!
//! Production code asks [`active`] at each guard that has a planted variant. Without the feature
//! `armed` the answer is the constant `false` and the variant does not exist in the binary; with it,
//! a build without debug assertions is refused. The simulation arms one bug per thread, the demo's
//! test build one per process.

#[cfg(all(feature = "armed", not(debug_assertions)))]
compile_error!("planted bugs must not exist in a release build");

macro_rules! bugs {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// A guard that can be broken on purpose.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Bug { $($(#[doc = $doc])+ $name,)+ }

        impl Bug {
            /// Every bug, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The name used on the command line and in reports.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

bugs! {
    /// R1: the stored offset passes an undecided intent.
    OffsetPastIntent = "offset-past-intent",
    /// R2: a takeover does not load accepted bets.
    AcceptedForgotten = "accepted-forgotten",
    /// R2: a takeover does not load rejected bets.
    RejectedForgotten = "rejected-forgotten",
    /// R2: a takeover does not load cancelled bets.
    CancelledForgotten = "cancelled-forgotten",
    /// R2: a takeover does not load the round's markers.
    MarkersForgotten = "markers-forgotten",
    /// R2: facts at or above the record count as done.
    FactMeansDone = "fact-means-done",
    /// R3: records go out before the facts are durable.
    PublishBeforeFact = "publish-before-fact",
    /// R3: what closes a settlement is written before it is said.
    ClosedBeforeSaid = "closed-before-said",
    /// R3: the offset is stored before the effects are durable.
    OffsetBeforeEffects = "offset-before-effects",
    /// R4: the memory of a revoked partition is kept and used again.
    MemoryKept = "memory-kept",
    /// R7: a result is admitted on `closed`, before `sealed`.
    ResultBeforeSealed = "result-before-sealed",
    /// R7: the next marker, the verdict and `sealed` do not wait for the copies.
    MarkerUnacknowledged = "marker-unacknowledged",
    /// R7: a result need not name the version it replaces.
    NoBaseVersion = "no-base-version",
    /// R11: a declined bet gets no void.
    DeclineNotVoided = "decline-not-voided",
    /// R12: an answer counts for whatever content stands first.
    HashIgnored = "hash-ignored",
    /// R14: a result is compared with the first version, not with the one before it.
    ComparedWithFirst = "compared-with-first",
    /// R15: the dispatcher takes the last arrival as the newest revision.
    LastArrivalNewest = "last-arrival-newest",
    /// R16, H20: a chunk is named by its round and place, not by what is in it.
    ChunkIdByPosition = "chunk-id-by-position",
    /// R17, H21: `applied` is believed whatever the partner says it moved.
    NetBelieved = "net-believed",
    /// R18, H22: a parked revision closes the newer ones of its bet.
    ParkedBlocksNewer = "parked-blocks-newer",
    /// R18, H22: a parking counts as a final answer, so that a replay of it is never sent.
    ParkedMeansDone = "parked-means-done",
    /// R18, H22: what is not answered in time is dropped instead of parked.
    RetriesDropped = "retries-dropped",
    /// DESIGN 7: the item kept as the probe is not moved to a tier like the others.
    ProbeNotMoved = "probe-not-moved",
    /// Contract 6: a partner that asks for a rest is called all the same.
    RestIgnored = "rest-ignored",
    /// Contract 6: a rest that was asked for never ends.
    RestUnended = "rest-unended",
    /// R17: `superseded` is believed whatever it names.
    SupersededBelieved = "superseded-believed",
    /// R19, H23: what rejected and cancelled bets are owed is not compared with answers.
    ReconcilerAcceptedOnly = "reconciler-accepted-only",
    /// R20, H24: final answers count whatever epoch of the partner's ledger gave them.
    LedgerEpochIgnored = "ledger-epoch-ignored",
    /// R22: the partner is asked before the intent is acknowledged.
    AskedBeforeIntent = "asked-before-intent",
    /// Contract 4: an unknown answer to authorize is taken as a decline.
    UnknownMeansDeclined = "unknown-means-declined",
    /// Contract 4: a status of 200 closes a delivery without looking at the item.
    StatusMeansApplied = "status-means-applied",
    /// Payouts are rounded up.
    PayoutCeiled = "payout-ceiled",
}

impl std::str::FromStr for Bug {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|bug| bug.name() == text)
            .ok_or_else(|| format!("no planted bug is called {text}"))
    }
}

#[cfg(feature = "armed")]
mod armed {
    use super::Bug;
    use std::cell::Cell;
    use std::sync::OnceLock;

    thread_local! {
        static THREAD: Cell<Option<Bug>> = const { Cell::new(None) };
    }
    static PROCESS: OnceLock<Bug> = OnceLock::new();

    /// True if `bug` is armed in this thread or in this process.
    pub fn active(bug: Bug) -> bool {
        THREAD.get() == Some(bug) || PROCESS.get() == Some(&bug)
    }

    /// Arms `bug` in this thread, or disarms the thread.
    pub fn arm_thread(bug: Option<Bug>) {
        THREAD.set(bug);
    }

    /// Arms `bug` in every thread of this process, for good; the first call wins.
    pub fn arm_process(bug: Bug) {
        PROCESS.get_or_init(|| bug);
    }
}
#[cfg(feature = "armed")]
pub use armed::{active, arm_process, arm_thread};

/// Always false: this build has no planted bugs.
#[cfg(not(feature = "armed"))]
#[inline(always)]
pub const fn active(_bug: Bug) -> bool {
    false
}
