//! Rare moments, counted by name: a generator that never gets there proves nothing.

use ingest::placing::NotTaken;
use partner_kit::misbehaviours::Misbehaviour;
use std::collections::BTreeMap;

macro_rules! moments {
    ($($name:ident = $text:literal,)+) => {
        /// A moment that a run must reach.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Moment { $($name,)+ }

        impl Moment {
            pub const ALL: &[Self] = &[$(Self::$name),+];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

moments! {
    CrashBetweenFactAndRecord = "crash between fact and record",
    CrashBetweenRecordAndOffset = "crash between record and offset",
    TakeoverBackToFirstOwner = "takeover back to the first owner",
    TakeoverInRound = "takeover within a round",
    ZombieAppend = "append of a zombie",
    ZombieFenced = "offset of a zombie refused",
    LandedAfterCrash = "effect landed after the crash",
    BatchFailed = "batch failed half-way",
    CancelBeforeAnswer = "cancel before the intent's answer",
    CancelOfAccepted = "cancel of an accepted bet",
    CancelBehindClosed = "cancel behind closed",
    CancelBeforeIntent = "cancel before its intent",
    IntentBehindClosed = "intent behind closed",
    ApprovalBehindClosed = "approval behind closed",
    ApprovalBehindExpiry = "approval behind the expiry",
    ApprovalAfterCancel = "approval after the cancel",
    BetExpired = "bet expired at the 6th tick",
    DeclineWhileHeld = "decline while the stake is held",
    StakeRefused = "stake outside a partner's limits",
    PayoutRefused = "payout above a partner's limit",
    LiabilityRefused = "open payouts of a round above a partner's limit",
    StakesThrottled = "more stakes in a second than a partner takes",
    VoidBeforeAuthorize = "void before authorize",
    DuplicatedIntent = "intent of one bet on two instances",
    OtherContent = "another content under the same reference",
    OtherContentAnswered = "answer about another content",
    LateMarkerCopy = "late copy of a marker",
    ResultRefusedUnsealed = "result refused before sealed",
    ResultConflict = "result refused, wrong base version",
    RequestRepeated = "feed message repeated",
    CorrectionDuringFanOut = "correction during the first fan-out",
    CorrectionOutOfMemory = "correction of a round out of memory",
    BackToFirstOutcome = "result A, then B, then A",
    Withdrawn = "result withdrawn",
    RoundVoided = "round voided",
    VerdictLost = "verdict lost, judged again",
    AnswerLost = "answer lost after the partner applied",
    CallLate = "call applied after the caller gave up",
    CallDoubled = "call applied twice",
    ChunkPartlyAnswered = "chunk partly answered",
    NarrowCall = "call with all that a narrow wallet takes",
    RestAsked = "rest that a busy partner asks for",
    RestOver = "settlements told again behind a rest",
    Superseded = "superseded answer",
    SupersededLie = "superseded said of the newest revision",
    SettlementLost = "settlement lost between fact and topic",
    LostSaidAgain = "lost settlement said again by the reconciler",
    TierVisited = "settlement in a retry tier",
    LastTierVisited = "settlement in the last retry tier",
    PartnerDown = "partner down for a while",
    ReadAhead = "tier read ahead for a partner that is back",
    Parked = "settlement parked",
    ReplayedParked = "parked settlement replayed",
    ToldAgain = "settlement said again because its partner asks",
    AppliedLie = "applied said of a movement not made",
    AnswerGarbled = "answer in other words than the contract's",
    AnsweredFromMemory = "chunk answered from the partner's memory",
    LedgerRestored = "ledger of a partner restored from a backup",
    RowsFellBack = "rows of a partner fell back",
    MisstatementNoticed = "wrong word of a partner about a round noticed",
    RestoreNoticed = "round of a restored ledger found to differ",
    RestoredSentAgain = "settlement sent again to a restored ledger",
    ToldAnew = "bet unknown to a restored ledger told anew",
    Shortfall = "claw-back that a player could not pay",
    ShortfallTold = "shortfall told as it stands",
    RoundClosed = "round closed with a partner",
    RowsCompared = "rows of a partner compared",
    OlderRevisionLate = "older revision published behind a newer",
}

impl Moment {
    /// What a refusal without the log is, if it is a rare moment.
    pub fn of_refusal(code: NotTaken) -> Option<Self> {
        let rare = [
            (NotTaken::StakeLimit, Self::StakeRefused),
            (NotTaken::PayoutLimit, Self::PayoutRefused),
            (NotTaken::LiabilityLimit, Self::LiabilityRefused),
            (NotTaken::Overloaded, Self::StakesThrottled),
        ];
        rare.into_iter().find(|(of, _)| *of == code).map(|(_, moment)| moment)
    }
}

/// Counts by moment, and by misbehaviour of the catalogue.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    moments: BTreeMap<Moment, u64>,
    misbehaviours: BTreeMap<Misbehaviour, u64>,
}

impl Reach {
    pub fn hit(&mut self, moment: Moment) {
        *self.moments.entry(moment).or_default() += 1;
    }

    pub fn count(&self, moment: Moment) -> u64 {
        self.moments.get(&moment).copied().unwrap_or(0)
    }

    pub fn add(&mut self, other: &Self) {
        for (moment, count) in &other.moments {
            *self.moments.entry(*moment).or_default() += count;
        }
        for (which, count) in &other.misbehaviours {
            *self.misbehaviours.entry(*which).or_default() += count;
        }
    }

    /// A partner did this to a call.
    pub fn misbehaved(&mut self, which: Misbehaviour) {
        *self.misbehaviours.entry(which).or_default() += 1;
    }

    /// Everything with its count, by name.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let moments = Moment::ALL.iter().map(|moment| (moment.name(), self.count(*moment)));
        let count = |which| self.misbehaviours.get(&which).copied().unwrap_or(0);
        let played = Misbehaviour::ALL.into_iter();
        moments.chain(played.map(move |which| (which.entry().name, count(which))))
    }

    /// What was never reached, by name.
    pub fn missing(&self) -> impl Iterator<Item = &'static str> {
        self.all().filter(|(_, count)| *count == 0).map(|(name, _)| name)
    }
}
