//! The topics, as data: who writes them, how they are keyed and partitioned, what they need to be safe.

mod tier;

pub use tier::{RetryTier, TIERS};

/// One topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: &'static str,
    /// What the partition is chosen by; consumers must re-key before a join.
    pub partitioned_by: PartitionedBy,
    /// Partitions on the embedded engine. Never changes (R9).
    pub partitions_embedded: u32,
    /// Partitions on the cluster engine. Never changes (R9).
    pub partitions_cluster: u32,
    /// What a record's key is.
    pub key: &'static str,
    /// Whether losing a record could lose money: at least 35 days of retention, never compacted (R15).
    pub money: bool,
    /// Kept for ever.
    pub forever: bool,
    /// Who reads a partition of it.
    pub what: &'static str,
}

/// The field whose hash chooses the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionedBy {
    /// The lane, `<partner_id>/0`.
    Lane,
    /// The round.
    Round,
    /// The partner.
    Partner,
}

/// Everything said about a round, and the herald's verdicts.
pub const ROUNDS: &str = "rounds.v1";
/// Intents, hold answers, cancels, markers and ticks.
pub const BETS: &str = "bets.v1";
/// Accepted, rejected, cancelled, with the whole bet.
pub const DECISIONS: &str = "decisions.v1";
/// The target state of a bet at a revision.
pub const SETTLEMENTS: &str = "settlements.v1";
/// Settlements to be tried again after 5 s.
pub const RETRY_5S: &str = "settlements.v1.dispatcher.retry.5s";
/// Settlements to be tried again after 30 s.
pub const RETRY_30S: &str = "settlements.v1.dispatcher.retry.30s";
/// Settlements to be tried again after 2 minutes.
pub const RETRY_2M: &str = "settlements.v1.dispatcher.retry.2m";
/// Settlements to be tried again after 10 minutes, for a day.
pub const RETRY_10M: &str = "settlements.v1.dispatcher.retry.10m";
/// Settlements to be tried again after an hour, until they are parked.
pub const RETRY_1H: &str = "settlements.v1.dispatcher.retry.1h";
/// Settlements set aside for a human, still owed.
pub const PARKED: &str = "settlements.v1.dispatcher.parked";
/// How deliveries ended.
pub const DELIVERIES: &str = "deliveries.v1";
/// Differences, freezes, and how they were closed.
pub const CASES: &str = "cases.v1";
/// Keys, wallets, limits and health of partners.
pub const PARTNERS: &str = "partners.v1";

/// Every topic of version 1.
pub const TOPICS: &[TopicSpec] = &[
    TopicSpec {
        name: ROUNDS,
        partitioned_by: PartitionedBy::Round,
        partitions_embedded: 2,
        partitions_cluster: 12,
        key: "round_id",
        money: true,
        forever: false,
        what: "everything said about a round, and the herald's verdicts",
    },
    TopicSpec {
        name: BETS,
        partitioned_by: PartitionedBy::Lane,
        partitions_embedded: 4,
        partitions_cluster: 24,
        key: "bet_id; round_id for markers; none for ticks",
        money: true,
        forever: false,
        what: "intents, hold answers, cancel requests, and markers and ticks in every partition",
    },
    TopicSpec {
        name: DECISIONS,
        partitioned_by: PartitionedBy::Lane,
        partitions_embedded: 4,
        partitions_cluster: 24,
        key: "<bet_id>/<rank>, or <bet_id>/refused/<offset>",
        money: true,
        forever: false,
        what: "accepted, rejected, cancelled, with the reason and the whole bet",
    },
    TopicSpec {
        name: SETTLEMENTS,
        partitioned_by: PartitionedBy::Lane,
        partitions_embedded: 4,
        partitions_cluster: 24,
        key: "<bet_id>/<revision>",
        money: true,
        forever: false,
        what: "target state of a bet at a revision, with the previous one",
    },
    retry(RETRY_5S, "settlements to be tried again after 5 s"),
    retry(RETRY_30S, "settlements to be tried again after 30 s"),
    retry(RETRY_2M, "settlements to be tried again after 2 minutes"),
    retry(RETRY_10M, "settlements to be tried again after 10 minutes"),
    retry(RETRY_1H, "settlements to be tried again after an hour"),
    TopicSpec {
        name: PARKED,
        partitioned_by: PartitionedBy::Lane,
        partitions_embedded: 4,
        partitions_cluster: 24,
        key: "<bet_id>/<revision>",
        money: true,
        forever: true,
        what: "settlements set aside for a human, still owed",
    },
    TopicSpec {
        name: DELIVERIES,
        partitioned_by: PartitionedBy::Lane,
        partitions_embedded: 4,
        partitions_cluster: 24,
        key: "<bet_id>/<revision>/<ledger_epoch>/<outcome>",
        money: true,
        forever: false,
        what: "how each delivery ended",
    },
    TopicSpec {
        name: CASES,
        partitioned_by: PartitionedBy::Round,
        partitions_embedded: 2,
        partitions_cluster: 12,
        key: "<case_id>/<step>",
        money: true,
        forever: false,
        what: "differences, freezes, and how they were closed",
    },
    TopicSpec {
        name: PARTNERS,
        partitioned_by: PartitionedBy::Partner,
        partitions_embedded: 1,
        partitions_cluster: 12,
        key: "<partner_id>/profile, /pause, /restore, /health, /stakes or /ledger",
        money: false,
        forever: true,
        what: "keys, wallet, limits; betting paused or not, and why; the ledger that counts",
    },
];

/// A retry tier: partition p of each is read by the owner of partition p of `settlements.v1`.
const fn retry(name: &'static str, what: &'static str) -> TopicSpec {
    TopicSpec {
        name,
        partitioned_by: PartitionedBy::Lane,
        partitions_embedded: 4,
        partitions_cluster: 24,
        key: "<bet_id>/<revision>",
        money: true,
        forever: false,
        what,
    }
}

/// The partition of `key` among `partitions`: Kafka's own murmur2, so that any producer agrees.
///
/// # Source
/// `org.apache.kafka.common.utils.Utils.murmur2` and `toPositive`.
pub fn partition_of(key: &str, partitions: u32) -> u32 {
    (murmur2(key.as_bytes()) & 0x7fff_ffff) % partitions.max(1)
}

fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut h = 0x9747_b28c ^ length;
    let chunks = data.chunks_exact(4);
    let tail = chunks.remainder();
    for chunk in chunks {
        let mut k = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        k = k.wrapping_mul(M);
        k ^= k >> 24;
        k = k.wrapping_mul(M);
        h = h.wrapping_mul(M) ^ k;
    }
    if !tail.is_empty() {
        for (index, byte) in tail.iter().enumerate().rev() {
            h ^= u32::from(*byte) << (8 * index);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

#[cfg(test)]
mod tests;
