//! Which misbehaviours are switched on, how often, and how long they last.

use super::{ByName, Misbehaviour, UnknownName};
use crate::faults::{RATE_MAX, SplitMix};
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use thiserror::Error;

/// Ms of an hour.
const HOUR_MS: u64 = 3_600_000;

/// The switches of the misbehaviours. All off: behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MisbehaveSettings {
    /// Each by itself, per mille of the calls.
    pub only: ByName<u32>,
    /// Any of all, per mille of the calls.
    pub mix: u32,
    /// How much later a call is applied that was not answered, in ms.
    pub late_ms: u64,
    /// After how many ms what was applied is forgotten.
    pub forget_ms: u64,
    /// How long a maintenance lasts, in ms.
    pub maintenance_ms: u64,
    /// From byte to byte of a slow answer, in ms.
    pub byte_ms: u64,
}

impl MisbehaveSettings {
    /// None is on.
    pub const NONE: Self = Self {
        only: ByName::all(0),
        mix: 0,
        late_ms: 12 * HOUR_MS,
        forget_ms: 24 * HOUR_MS,
        maintenance_ms: 6 * HOUR_MS,
        byte_ms: 1_000,
    };

    /// Whether none is on.
    pub fn is_quiet(&self) -> bool {
        self.mix == 0 && self.rates().all(|rate| rate == 0)
    }

    /// Every rate.
    pub(crate) fn rates(&self) -> impl Iterator<Item = u32> {
        self.only.iter().map(|(_, rate)| rate).chain([self.mix])
    }

    /// Which one befalls a call, if any: the first by number whose turn it is, else one of the mix. Takes as
    /// many numbers whatever the switches.
    pub(crate) fn draw(&self, random: &mut SplitMix) -> Option<Misbehaviour> {
        let mut hit = |rate: u32| random.below(u64::from(RATE_MAX)) < u64::from(rate);
        let mut alone = None;
        for (one, rate) in self.only.iter() {
            if hit(rate) && alone.is_none() {
                alone = Some(one);
            }
        }
        let mixed = hit(self.mix);
        let count = u64::try_from(Misbehaviour::COUNT).unwrap_or(u64::MAX);
        let any = usize::try_from(random.below(count)).unwrap_or(0);
        alone.or_else(|| Misbehaviour::ALL.get(any).copied().filter(|_| mixed))
    }
}

impl Default for MisbehaveSettings {
    fn default() -> Self {
        Self::NONE
    }
}

/// `NAME` or `NAME=PER_MILLE`: a misbehaviour and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Only {
    /// Which.
    pub which: Misbehaviour,
    /// Per mille of the calls.
    pub rate: u32,
}

/// Text that is no [`Only`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OnlyError {
    /// An unknown name.
    #[error(transparent)]
    Name(#[from] UnknownName),
    /// No rate behind `=`.
    #[error("`{0}` is no rate: per mille, 0 to 1000")]
    Rate(String),
}

impl FromStr for Only {
    type Err = OnlyError;

    fn from_str(text: &str) -> Result<Self, OnlyError> {
        let (name, rate) = text.split_once('=').unwrap_or((text, "1000"));
        let per_mille = rate.parse().ok().filter(|rate| *rate <= RATE_MAX);
        let rate = per_mille.ok_or_else(|| OnlyError::Rate(rate.chars().take(40).collect()))?;
        Ok(Self { which: name.parse()?, rate })
    }
}
