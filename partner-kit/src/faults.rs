//! How to misbehave: switches, a seeded generator that throws them, and counters of what was thrown.
//!
//! Pure, so that a simulation can use the same switches. Rates are per mille of the calls.

use crate::misbehaviours::{ByName, MisbehaveSettings, Misbehaviour};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::ops::RangeInclusive;
use thiserror::Error;

/// A rate of "always".
pub(crate) const RATE_MAX: u32 = 1000;
/// Statuses with which a call can be refused.
const REFUSALS: RangeInclusive<i64> = 400..=499;

/// The switches. All 0: behave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Args)]
#[serde(deny_unknown_fields)]
pub struct FaultSettings {
    /// Wait this long before every call is looked at, in ms
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub latency_ms: u64,
    /// Wait up to this much longer, drawn evenly, in ms
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub jitter_ms: u64,
    /// Answer 500 without applying the call, per mille
    #[arg(long, value_name = "PER_MILLE", default_value_t = 0, value_parser = rate())]
    pub error_500_rate: u32,
    /// Answer every call with this status, one of 4xx, without applying it
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(REFUSALS))]
    #[serde(default)]
    pub refuse_with: Option<u16>,
    /// Apply the call, then answer 500, per mille
    #[arg(long, value_name = "PER_MILLE", default_value_t = 0, value_parser = rate())]
    pub error_500_after_apply_rate: u32,
    /// Apply the call, then stay silent for --timeout-ms and drop the connection, per mille
    #[arg(long, value_name = "PER_MILLE", default_value_t = 0, value_parser = rate())]
    pub timeout_after_apply_rate: u32,
    /// How long a silent answer stays silent, in ms
    #[arg(long, value_name = "MS", default_value_t = 30_000)]
    pub timeout_ms: u64,
    /// Reset the connection, before or after applying the call, per mille
    #[arg(long, value_name = "PER_MILLE", default_value_t = 0, value_parser = rate())]
    pub reset_rate: u32,
    /// Answer the items of a chunk in reverse, and only after a later call was answered, per mille
    #[arg(long, value_name = "PER_MILLE", default_value_t = 0, value_parser = rate())]
    pub swap_rate: u32,
    /// Apply the call twice and answer every item twice, per mille
    #[arg(long, value_name = "PER_MILLE", default_value_t = 0, value_parser = rate())]
    pub repeat_rate: u32,
    /// Apply the call, then sign something else than the answer, per mille
    #[arg(long, value_name = "PER_MILLE", default_value_t = 0, value_parser = rate())]
    pub forge_rate: u32,
    /// Decline stakes for the wallet's own reasons, per mille
    #[arg(long, value_name = "PER_MILLE", default_value_t = 0, value_parser = rate())]
    pub decline_rate: u32,
    /// Answer every item of a chunk `pending`, and apply none, per mille
    #[arg(long, value_name = "PER_MILLE", default_value_t = 0, value_parser = rate())]
    #[serde(default)]
    pub pending_rate: u32,
    /// Leave so many rows of each round, from the first, out of its close and of its list of rows
    #[arg(long, value_name = "ROWS", default_value_t = 0)]
    pub rows_lost: usize,
    /// What is worse than losing answers, by name.
    #[arg(skip)]
    #[serde(default)]
    pub misbehave: MisbehaveSettings,
}

pub(crate) fn rate() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(0..=i64::from(RATE_MAX))
}

/// Why a change of the switches was refused.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// Not an object of known switches with whole numbers.
    #[error("not a set of switches: {0}")]
    Syntax(#[from] serde_json::Error),
    /// A rate above 1000.
    #[error("a rate is per mille: 0 to 1000")]
    Rate,
    /// A status that refuses nothing.
    #[error("a call is refused with 400 to 499")]
    Status,
}

impl FaultSettings {
    /// No faults. Silence, if it is switched on, lasts 30 s.
    pub const NONE: Self = Self {
        latency_ms: 0,
        jitter_ms: 0,
        error_500_rate: 0,
        refuse_with: None,
        error_500_after_apply_rate: 0,
        timeout_after_apply_rate: 0,
        timeout_ms: 30_000,
        reset_rate: 0,
        swap_rate: 0,
        repeat_rate: 0,
        forge_rate: 0,
        decline_rate: 0,
        pending_rate: 0,
        rows_lost: 0,
        misbehave: MisbehaveSettings::NONE,
    };

    /// The same switches but for those that `change` names: a JSON object. What it names below `misbehave`
    /// is changed there alone.
    ///
    /// # Errors
    /// [`SettingsError`]: an unknown switch, a value that is no whole number, a rate above 1000, another status than 4xx.
    pub fn changed(self, change: &[u8]) -> Result<Self, SettingsError> {
        let named: serde_json::Map<String, Value> = serde_json::from_slice(change)?;
        let mut merged = serde_json::to_value(self)?;
        for (switch, value) in named {
            match (merged.get_mut(&switch), value) {
                (Some(Value::Object(standing)), Value::Object(value)) => standing.extend(value),
                (_, value) => merged[switch] = value,
            }
        }
        let settings: Self = serde_json::from_value(merged)?;
        if settings.rates().into_iter().chain(settings.misbehave.rates()).any(|r| RATE_MAX < r) {
            return Err(SettingsError::Rate);
        }
        if settings.refuse_with.is_some_and(|status| !REFUSALS.contains(&i64::from(status))) {
            return Err(SettingsError::Status);
        }
        Ok(settings)
    }

    /// Whether every call is answered as it should be, at once.
    pub fn is_quiet(&self) -> bool {
        self.latency_ms == 0
            && self.jitter_ms == 0
            && self.rates() == [0; 9]
            && self.refuse_with.is_none()
            && self.misbehave.is_quiet()
    }

    fn rates(&self) -> [u32; 9] {
        [
            self.error_500_rate,
            self.error_500_after_apply_rate,
            self.timeout_after_apply_rate,
            self.reset_rate,
            self.swap_rate,
            self.repeat_rate,
            self.decline_rate,
            self.forge_rate,
            self.pending_rate,
        ]
    }
}

/// What befalls one call. At most one of the ways to lose the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Ms to wait first.
    pub delay_ms: u64,
    /// How the answer is lost, if it is.
    pub lost: Option<Loss>,
    /// Swap the answers of the items, and hold the answer back.
    pub swap: bool,
    /// Apply and answer twice.
    pub repeat: bool,
    /// Decline a stake.
    pub decline: bool,
    /// Answer the items of a chunk `pending`.
    pub pending: bool,
    /// Sign something else than the answer.
    pub forge: bool,
    /// What else goes wrong.
    pub misbehaviour: Option<Misbehaviour>,
}

impl Plan {
    /// The same, with this misbehaviour in the place of what was drawn: one that loses the answer and no more
    /// is a loss like any other.
    #[must_use]
    pub fn with(self, which: Misbehaviour) -> Self {
        let lost = if which == Misbehaviour::ReplyDropped {
            Some(Loss::ResetAfter)
        } else if which == Misbehaviour::ErrorAfterApply {
            Some(Loss::ErrorAfter)
        } else {
            None
        };
        Self { misbehaviour: Some(which), lost, ..self }
    }
}

/// How an answer is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// A 500, nothing applied.
    ErrorBefore,
    /// This status, nothing applied.
    Refused(u16),
    /// A reset, nothing applied.
    ResetBefore,
    /// Applied, then a 500.
    ErrorAfter,
    /// Applied, then a reset.
    ResetAfter,
    /// Applied, then silence of so many ms, then a reset.
    Silence(u64),
}

/// How often each fault really happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultCounts {
    /// Calls that waited first.
    pub delayed: u64,
    /// 500 without applying.
    pub error_500: u64,
    /// Calls refused without applying.
    #[serde(default)]
    pub refused: u64,
    /// 500 after applying.
    pub error_500_after_apply: u64,
    /// Silence after applying.
    pub timeout_after_apply: u64,
    /// Resets without applying.
    pub reset_before_apply: u64,
    /// Resets after applying.
    pub reset_after_apply: u64,
    /// Answers held back, with their items in reverse.
    pub swapped: u64,
    /// Answers held back that left behind a later call's answer.
    pub overtaken: u64,
    /// Calls applied and answered twice.
    pub repeated: u64,
    /// Stakes that were to be declined (one that has a row already is answered as it stands).
    pub declined: u64,
    /// Chunks whose items were answered `pending`.
    #[serde(default)]
    pub pending: u64,
    /// Answers with a signature of something else.
    pub forged: u64,
    /// Calls misbehaved about, by name.
    #[serde(default)]
    pub misbehaved: ByName<u64>,
}

/// The switches with their generator and counters.
#[derive(Clone, Debug)]
pub struct Faults {
    /// The switches as they are.
    pub settings: FaultSettings,
    /// What happened so far.
    pub counts: FaultCounts,
    random: SplitMix,
    /// Apart, so that a seed throws the older switches as ever.
    misbehaving: SplitMix,
    pending: SplitMix,
}

impl Faults {
    /// Switches thrown by a generator of this seed.
    pub fn new(settings: FaultSettings, seed: u64) -> Self {
        let (random, misbehaving) = (SplitMix::new(seed), SplitMix::new(!seed));
        let pending = SplitMix::new(seed.wrapping_add(1));
        Self { settings, counts: FaultCounts::default(), random, misbehaving, pending }
    }

    /// What befalls the next call. Takes as many numbers whatever the switches, so that the calls behind
    /// a changed switch are thrown as before.
    pub fn draw(&mut self) -> Plan {
        let settings = self.settings;
        let jitter_ms = self.random.below(settings.jitter_ms.saturating_add(1));
        let early = self.random.below(2) == 0;
        let [error, reset, error_after, silence, swap, repeat, decline, forge] = [
            settings.error_500_rate,
            settings.reset_rate,
            settings.error_500_after_apply_rate,
            settings.timeout_after_apply_rate,
            settings.swap_rate,
            settings.repeat_rate,
            settings.decline_rate,
            settings.forge_rate,
        ]
        .map(|rate| self.random.below(u64::from(RATE_MAX)) < u64::from(rate));
        let lost = match () {
            () if settings.refuse_with.is_some() => settings.refuse_with.map(Loss::Refused),
            () if error => Some(Loss::ErrorBefore),
            () if reset && early => Some(Loss::ResetBefore),
            () if reset => Some(Loss::ResetAfter),
            () if error_after => Some(Loss::ErrorAfter),
            () if silence => Some(Loss::Silence(settings.timeout_ms)),
            () => None,
        };
        let misbehaviour = settings.misbehave.draw(&mut self.misbehaving);
        let pending = self.pending.below(u64::from(RATE_MAX)) < u64::from(settings.pending_rate);
        let plan = Plan {
            delay_ms: settings.latency_ms.saturating_add(jitter_ms),
            lost,
            swap,
            repeat,
            decline,
            pending,
            forge,
            misbehaviour: None,
        };
        misbehaviour.map_or(plan, |which| plan.with(which))
    }
}

/// SplitMix64: the generator of the faults. Not for secrets.
#[derive(Clone, Debug)]
pub struct SplitMix {
    state: u64,
}

impl SplitMix {
    /// A generator of this seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number.
    pub fn next_number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 if the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_number().checked_rem(bound).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // The reference implementation's first numbers for seed 1234567.
        let mut random = SplitMix::new(1_234_567);
        let wanted =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([(); 3].map(|()| random.next_number()), wanted);
    }

    #[test]
    fn rates_are_per_mille() {
        let settings = FaultSettings { swap_rate: 100, repeat_rate: 1000, ..FaultSettings::NONE };
        let mut faults = Faults::new(settings, 42);
        let plans: Vec<Plan> = (0..10_000).map(|_| faults.draw()).collect();
        let swapped = plans.iter().filter(|plan| plan.swap).count();
        assert!((900..1100).contains(&swapped), "{swapped} of 10000");
        assert!(plans.iter().all(|plan| plan.repeat && plan.lost.is_none() && !plan.decline));
    }

    #[test]
    fn one_seed_throws_one_sequence() {
        let settings = FaultSettings { reset_rate: 300, jitter_ms: 9, ..FaultSettings::NONE };
        let draw = |seed| {
            let mut faults = Faults::new(settings, seed);
            (0..100).map(|_| faults.draw()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let lost: Vec<_> = draw(7).into_iter().filter_map(|plan| plan.lost).collect();
        assert!(lost.contains(&Loss::ResetBefore) && lost.contains(&Loss::ResetAfter));
    }

    #[test]
    fn switches_change_one_by_one() {
        let settings = FaultSettings { latency_ms: 5, ..FaultSettings::NONE };
        let changed = settings.changed(br#"{"reset_rate":1000}"#).unwrap();
        assert_eq!(changed, FaultSettings { reset_rate: 1000, ..settings });
        assert!(!changed.is_quiet() && FaultSettings::NONE.is_quiet());
        assert!(matches!(settings.changed(br#"{"reset_rate":1001}"#), Err(SettingsError::Rate)));
        for bad in [r#"{"rest_rate":1}"#, r#"{"reset_rate":0.5}"#, r#"{"reset_rate":-1}"#, "[]"] {
            assert!(matches!(settings.changed(bad.as_bytes()), Err(SettingsError::Syntax(_))));
        }
    }
}
