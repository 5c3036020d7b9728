//! The bounds of a dispatcher: how much it keeps, sends and waits.

use schemas::catalogue::TIERS;
use schemas::contract::{STATE_BYTES_MAX, STATE_ITEMS_MAX};
use std::num::NonZeroU32;

/// What one dispatcher, the owner of one partition, may hold and do at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Items in a chunk. Origin: contract 2; a partner answers `too_large` above it.
    pub chunk_items_max: usize,
    /// Bytes of a chunk's body. Origin: contract 2; a partner answers `too_large` above it.
    pub chunk_bytes_max: usize,
    /// Chunks on their way to one partner, per kind of traffic; fewer to one that answers late
    /// ([`concurrency`](crate::concurrency)). Origin: 4 chunks of 500 at 20 ms carry
    /// 100,000 items a second, more than a partition brings; more would only press on a slow wallet.
    pub chunks_in_flight_max: usize,
    /// Calls a second to one partner, per kind of traffic; none for no limit. A partner's own rate stands in its place.
    pub calls_per_s_max: Option<NonZeroU32>,
    /// Calls a second to one partner that carry corrections, also where its own rate is higher; none for no limit.
    /// Origin: contract 6, so that a week that is recalculated delays no live round at the wallet. 50 chunks are 25,000
    /// items, a quarter of what the slots would carry.
    pub corrections_per_s_max: Option<NonZeroU32>,
    /// Items of one partner and kind of traffic in memory that are to be sent, on their way or to be repeated; more
    /// go to the tier. Half as many are read ahead at most. Origin: two full rounds of 10,000 bets. Lower spills a burst
    /// that a healthy partner would take; higher makes a restart read more again.
    pub partner_items_max: usize,
    /// Items of the whole partition above which a partner may have no more than its slots and one chunk take,
    /// and twice which nothing more is read. Origin: about 1 KB each. Without it a few hundred
    /// partners that hang would fill the memory.
    pub items_held_max: usize,
    /// Items whose end waits to be written, or its move to a tier, above which nothing more is read. Origin: four
    /// batches, so that the engine never waits. Without it what is owed to a partner that is down would fill the
    /// memory on its way from one topic to another.
    pub items_unwritten_max: usize,
    /// Records of each tier kept in memory until they are due. Origin: two reads' worth and more; the
    /// head alone decides when the next is due, so more would not be faster, only larger.
    pub tier_items_max: usize,
    /// Rounds looked up in the store at once. More overtake the store, fewer make a drain wait.
    pub loads_in_flight_max: usize,
    /// Items made durable in one batch. More means fewer syncs and a later offset.
    pub apply_items_max: usize,
    /// Moves to a tier in one batch, beside these. Origin: a chunk's worth, so that what a partner that is away is owed
    /// presses on the engine no more than what one that is there is told.
    pub moves_applied_max: usize,
    /// Chunks that a partner may refuse as a whole, with no good answer between, before chunks are no
    /// longer halved. Halving finds the one item that a wallet chokes on (9 halvings of 500, on each of
    /// its 4 slots); a wallet that refuses everything is down, and small chunks would only slow the
    /// drain behind it.
    pub refusals_halved_max: u32,
    /// Shortest wait before the first repeat, in ms. Origin: DESIGN 7.
    pub repeat_wait_ms_min: u64,
    /// Longest wait before the first repeat, in ms. Origin: DESIGN 7 has it within 250 ms of the failure; the rest is
    /// for hearing of the failure, for the way, and for what else a busy moment has to do. Equal bounds would let all
    /// partners that failed together be called again together.
    pub repeat_wait_ms_max: u64,
    /// Repeats from memory that each first call adds to their budget, in thousandths. Origin: that of Finagle and Envoy, a fifth.
    pub repeats_per_mille: u64,
    /// Repeats a second that there may be whatever there is of first calls. Origin: as many as slots, so that one that
    /// fails now and then notices nothing.
    pub repeats_per_s_min: u64,
    /// Repeats that the budget keeps at most. Origin: all that halve a chunk down to one item, or that a breaker needs
    /// to open, twice; more would let one moment ask for more than a wallet has to spare.
    pub repeats_kept_max: u64,
    /// Longest pause that a partner can ask for, in ms. Origin: that of closes, and the wait of the tier of the first day.
    /// Unbounded, one wrong header would stop a partner's money for a year.
    pub retry_after_ms_max: u64,
    /// Longest pause that is waited for in memory, in ms: what is longer is waited for in the tiers. Origin: the wait of
    /// the first tier, which is the shortest.
    pub retry_after_held_ms_max: u64,
    /// How long a record rests in each tier, in ms, in their order. Origin: DESIGN 7; the tiers' names say
    /// it.
    pub tier_wait_ms: [u64; TIERS],
    /// Age of an item, in ms since it first went to a tier, from which it goes to the last tier.
    /// Origin: DESIGN 7, a day.
    pub last_tier_after_ms: u64,
    /// Age of an item, in ms since it first went to a tier, from which it is parked instead of resting
    /// again. Origin: DESIGN 7, 35 days; the log keeps a record of a tier for as long.
    pub park_after_ms: u64,
    /// Failed calls in a row, of one partner and kind of traffic, that open the breaker; see
    /// [`Self::breaker_failures`].
    pub breaker_failures_min: u32,
    /// Longest wait before the first probe of an open breaker, in ms; half of it is the shortest.
    pub probe_wait_ms_min: u64,
    /// Longest wait between two probes, in ms. It bounds how late the return of a partner is noticed; one
    /// item each time is nothing for a partner that is down.
    pub probe_wait_ms_max: u64,
    /// Items kept as probes of one partner and kind of traffic. More than one, since a wallet may choke
    /// on the one.
    pub probes_kept_max: usize,
    /// Reads ahead of the tiers' heads at once, for all partners together.
    pub peeks_in_flight_max: usize,
}

impl Limits {
    /// The bounds in production.
    pub const PRODUCTION: Self = Self {
        chunk_items_max: STATE_ITEMS_MAX,
        chunk_bytes_max: STATE_BYTES_MAX,
        chunks_in_flight_max: 4,
        calls_per_s_max: None,
        corrections_per_s_max: NonZeroU32::new(50),
        partner_items_max: 20_000,
        items_held_max: 200_000,
        items_unwritten_max: 20_000,
        tier_items_max: 5_000,
        loads_in_flight_max: 16,
        apply_items_max: 5_000,
        moves_applied_max: STATE_ITEMS_MAX,
        refusals_halved_max: 36,
        repeat_wait_ms_min: 100,
        repeat_wait_ms_max: 150,
        repeats_per_mille: 200,
        repeats_per_s_min: 4,
        repeats_kept_max: 40,
        retry_after_ms_max: 10 * MINUTE_MS,
        retry_after_held_ms_max: 5_000,
        tier_wait_ms: [5_000, 30_000, 2 * MINUTE_MS, 10 * MINUTE_MS, 60 * MINUTE_MS],
        last_tier_after_ms: DAY_MS,
        park_after_ms: 35 * DAY_MS,
        breaker_failures_min: 5,
        probe_wait_ms_min: 500,
        probe_wait_ms_max: 5_000,
        probes_kept_max: 4,
        peeks_in_flight_max: 4,
    };

    /// The most items of one partner and kind of traffic in memory, whatever it is owed, if no read gives more than `read`
    /// records: its room; half as much and a read ahead; probes; what waits to be written, with the batch on its way, one
    /// more read, and what a breaker that opens moves at once; in each tier what rests, and a read.
    pub const fn partner_held_max(&self, read: usize) -> usize {
        let room = self.partner_items_max;
        let ahead = (room / 2).saturating_add(read);
        let on_its_way = self.apply_items_max.saturating_add(self.moves_applied_max);
        let unwritten = self.items_unwritten_max.saturating_add(on_its_way);
        let unwritten = unwritten.saturating_add(read).saturating_add(room);
        let resting = self.tier_items_max.saturating_add(read).saturating_mul(TIERS);
        let of_calls = room.saturating_add(ahead).saturating_add(self.probes_kept_max);
        of_calls.saturating_add(unwritten).saturating_add(resting)
    }

    /// Items of one partner and kind of traffic where too much is held: what may be on its way, and a chunk to follow.
    pub(crate) fn partner_items_crowded_max(&self) -> usize {
        let chunks = self.chunks_in_flight_max.saturating_add(1);
        self.partner_items_max.min(self.chunk_items_max.saturating_mul(chunks))
    }

    /// Failed calls in a row that open a breaker: more than the slots, so that the failures of one moment
    /// alone do not.
    pub fn breaker_failures(&self) -> u32 {
        let slots = u32::try_from(self.chunks_in_flight_max).unwrap_or(u32::MAX);
        self.breaker_failures_min.max(slots.saturating_add(1))
    }
}

const MINUTE_MS: u64 = 60 * 1_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

const _: () = {
    let limits = Limits::PRODUCTION;
    assert!(limits.chunk_items_max <= limits.partner_items_max, "a full chunk must fit");
    assert!(
        limits.partner_items_max < limits.items_held_max,
        "one partner must not fill a partition"
    );
    assert!(limits.repeat_wait_ms_min < limits.repeat_wait_ms_max, "jitter needs room");
    assert!(limits.repeat_wait_ms_max < limits.tier_wait_ms[0], "memory comes before the tiers");
};
