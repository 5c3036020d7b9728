//! What may go wrong in one seed: each draws which faults exist and how hot they are.

use crate::rng::Rng;
use partner_kit::misbehaviours::Misbehaviour;

/// Rates are per mille of the occasions; times are ms.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// A process dies right after a part of a batch became durable.
    pub crash_after_part: u64,
    /// A process dies between the facts of a batch and its records, or its records and its offset.
    pub crash_between_steps: u64,
    /// A process dies, per look of the chaos.
    pub crash: u64,
    /// What is in flight at a crash lands all the same.
    pub lands_after_crash: u64,
    /// A process stands still, per look of the chaos.
    pub pause: u64,
    pub pause_ms_max: i64,
    /// A partition changes its owner, per look of the chaos.
    pub rebalance: u64,
    /// How long the old owner goes on.
    pub zombie_ms_max: i64,
    /// A batch fails half-way.
    pub apply_fails: u64,
    /// A part of a batch is slow.
    pub slow: u64,
    pub slow_ms_max: i64,
    /// A settlement that the log acknowledged is not there: a bug in the flow, once in a world.
    pub settlement_lost: u64,
    /// What bet placing writes stands still for up to 9 s, and what it writes behind it.
    pub append_stuck: u64,
    /// A producer's repeat lands a second time, up to 9 s later.
    pub append_twice: u64,
    /// A call never reaches the partner.
    pub call_lost: u64,
    /// The partner applies it; the answer is lost.
    pub answer_lost: u64,
    /// The partner says 500: before it applies, and after.
    pub error_before: u64,
    pub error_after: u64,
    /// The call arrives twice, the second time much later.
    pub call_doubled: u64,
    /// The call arrives long after the caller has given up.
    pub call_late: u64,
    /// 200 in words that are not those of the contract.
    pub garbled: u64,
    /// 200 with a body that is no answer, or that answers a part of the chunk.
    pub nonsense: u64,
    pub partial: u64,
    pub pending: u64,
    /// The partner says `superseded` of its newest revision.
    pub superseded_lie: u64,
    /// The partner says `applied` of what it did not do.
    pub applied_lie: u64,
    /// A partner is down, per look of the chaos.
    pub outage: u64,
    pub outage_ms_max: i64,
    /// A partner restores its ledger from a backup, per mille of the worlds.
    pub ledger_restored: u64,
    /// The partner checks `expires_at` before it looks the row up.
    pub sloppy_expiry: bool,
    /// Clocks of processes are off by up to this.
    pub skew_ms_max: i64,
    /// A feed repeats an old message.
    pub feed_repeats: u64,
    /// What partners do wrong by the catalogue, and how often.
    pub misbehaves: Option<(Misbehaviour, u64)>,
    /// A client sends its bet to a second instance too, and with another stake.
    pub client_doubles: u64,
    pub client_other_content: u64,
}

impl Faults {
    /// 20% of the seeds have no faults, 10% all of them at once and hot.
    pub fn draw(rng: &mut Rng) -> Self {
        match rng.below(10) {
            0 | 1 => Self::default(),
            2 => Self::swarm(rng, 1_000, 3),
            _ => Self::swarm(rng, 500, 1),
        }
    }

    /// Partners do this, and nothing else goes wrong.
    pub fn only(which: Misbehaviour) -> Self {
        Self { misbehaves: Some((which, 300)), ..Self::default() }
    }

    /// True if nothing goes wrong in this seed.
    pub fn is_none(&self) -> bool {
        self.crash_after_part + self.crash_between_steps + self.crash == 0
            && self.rebalance + self.pause + self.apply_fails + self.call_lost == 0
            && self.answer_lost + self.error_before + self.error_after == 0
    }

    /// Each fault exists with `exists` per mille, and is up to `heat` times hot.
    fn swarm(rng: &mut Rng, exists: u64, heat: u64) -> Self {
        let mut rate = |max: u64| {
            if rng.chance(exists) { 1 + rng.below(max * heat) } else { 0 }
        };
        let mut faults = Self {
            crash_after_part: rate(12),
            crash_between_steps: rate(40),
            crash: rate(60),
            lands_after_crash: rate(300),
            pause: rate(60),
            pause_ms_max: 3_000 + 3_000 * i64::from(heat == 3),
            rebalance: rate(250),
            zombie_ms_max: 3_000,
            apply_fails: rate(25),
            slow: rate(120),
            slow_ms_max: 2_500,
            settlement_lost: rate(60),
            append_stuck: rate(20),
            append_twice: rate(120),
            call_lost: rate(150),
            answer_lost: rate(150),
            error_before: rate(100),
            error_after: rate(100),
            call_doubled: rate(200),
            call_late: rate(80),
            nonsense: rate(80),
            garbled: rate(80),
            partial: rate(150),
            pending: rate(80),
            superseded_lie: rate(120),
            applied_lie: rate(60),
            outage: rate(60),
            outage_ms_max: 12_000,
            ledger_restored: rate(400),
            sloppy_expiry: false,
            skew_ms_max: 0,
            feed_repeats: rate(250),
            misbehaves: None,
            client_doubles: rate(250),
            client_other_content: rate(250),
        };
        faults.sloppy_expiry = rng.chance(exists / 2);
        if rng.chance(exists) {
            faults.skew_ms_max = rng.between(1, 400);
        }
        if rng.chance(exists / 3) {
            faults.pause_ms_max = 9_000;
        }
        if rng.chance(exists) {
            let (which, rate) = (*rng.pick(&Misbehaviour::ALL), 50 + rng.below(250));
            // Rounds are asked about seldom, and a difference counts once it is seen twice.
            let rate = if which.entry().cases.is_empty() { rate } else { 900 };
            faults.misbehaves = Some((which, rate));
        }
        // A seed whose draw left almost nothing gets two faults that are always there.
        faults.rebalance = faults.rebalance.max(180);
        faults.call_doubled = faults.call_doubled.max(100);
        faults
    }
}
