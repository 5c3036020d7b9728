//! The retry tiers: one topic per delay.

use super::{RETRY_1H, RETRY_2M, RETRY_5S, RETRY_10M, RETRY_30S};

/// How many tiers there are.
pub const TIERS: usize = RetryTier::ALL.len();

/// A retry tier: a topic in which every record rests equally long, so that its order is the order in
/// which records are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RetryTier {
    /// 5 s.
    S5,
    /// 30 s.
    S30,
    /// 2 minutes.
    M2,
    /// 10 minutes.
    M10,
    /// An hour.
    H1,
}

impl RetryTier {
    /// Every tier, the shortest wait first.
    pub const ALL: [Self; 5] = [Self::S5, Self::S30, Self::M2, Self::M10, Self::H1];

    /// The topic.
    pub const fn topic(self) -> &'static str {
        match self {
            Self::S5 => RETRY_5S,
            Self::S30 => RETRY_30S,
            Self::M2 => RETRY_2M,
            Self::M10 => RETRY_10M,
            Self::H1 => RETRY_1H,
        }
    }

    /// The tier whose topic is `name`.
    pub fn of_topic(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.topic() == name)
    }

    /// The last part of the topic's name, which is also its label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::S5 => "5s",
            Self::S30 => "30s",
            Self::M2 => "2m",
            Self::M10 => "10m",
            Self::H1 => "1h",
        }
    }

    /// Its place in [`Self::ALL`].
    pub const fn index(self) -> usize {
        match self {
            Self::S5 => 0,
            Self::S30 => 1,
            Self::M2 => 2,
            Self::M10 => 3,
            Self::H1 => 4,
        }
    }
}
