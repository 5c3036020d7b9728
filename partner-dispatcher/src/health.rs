//! When a partner's betting is paused by itself because of what is owed to it (contract 6, auto-stop), and when it goes
//! on. Exposure is bounded by rule, not by people who are awake.

use crate::dispatcher::OwedOf;
use runtime::Millis;
use schemas::{Currency, PartnerId};
use std::collections::BTreeMap;

/// What a partner may have failed to confirm while bets are taken.
#[derive(Clone, Debug)]
pub struct PauseLimits {
    /// Ms since its oldest void that failed first went to a tier.
    pub void_ms_max: u64,
    /// Rounds of which something failed.
    pub failed_rounds_max: usize,
    /// What settlements that failed would have it give its players, in minor units by currency; no limit for a
    /// currency that is not here.
    pub failed_units_max: BTreeMap<Currency, i64>,
}

/// How long it must be within its limits before bets are taken again, in ms: a partner that comes and goes is
/// not to be paused and resumed in step with it, nor one resumed by an owner that has not read its tiers yet.
const CALM_MS: Millis = 5_000;

/// What is to be said of a partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether betting is paused from now on.
    pub paused: bool,
    /// Why, in words.
    pub reason: String,
}

/// Watches what is owed.
#[derive(Debug)]
pub struct Health {
    limits: PauseLimits,
    /// Since when a paused partner has been within its limits.
    calm_since: BTreeMap<PartnerId, Millis>,
}

impl Health {
    /// Nothing is known yet.
    pub fn new(limits: PauseLimits) -> Self {
        Self { limits, calm_since: BTreeMap::new() }
    }

    /// What is to be said of a partner that is owed this and is `paused` or not; nothing if it stays as it is.
    /// To be asked again and again.
    pub fn judge(
        &mut self,
        now: Millis,
        partner: &PartnerId,
        owed: &OwedOf,
        paused: bool,
    ) -> Option<Verdict> {
        match (self.excess(now, owed), paused) {
            (Some(reason), false) => Some(Verdict { paused: true, reason }),
            (Some(_), true) | (None, false) => {
                self.calm_since.remove(partner);
                None
            }
            (None, true) => {
                let since = self.calm_since.entry(partner.clone()).or_insert(now);
                // A clock that was set back prolongs no pause.
                *since = now.min(*since);
                if now.saturating_sub(*since) < CALM_MS {
                    return None;
                }
                self.calm_since.remove(partner);
                Some(Verdict { paused: false, reason: "what it was told is confirmed".to_owned() })
            }
        }
    }

    /// What is owed to it is seen here no more: another dispatcher owes it, and whoever is the next here has not
    /// read its tiers.
    pub fn lost(&mut self, partner: &PartnerId) {
        self.calm_since.remove(partner);
    }

    /// What is above the limits, in words.
    fn excess(&self, now: Millis, owed: &OwedOf) -> Option<String> {
        let limits = &self.limits;
        let void_ms = owed.void_failing_since.map_or(0, |since| now.saturating_sub(since));
        if limits.void_ms_max < u64::try_from(void_ms).unwrap_or(0) {
            let s = void_ms / 1_000;
            return Some(format!("a void has not been confirmed for {s} s"));
        }
        let rounds = owed.failed_rounds;
        if limits.failed_rounds_max < rounds {
            return Some(format!("{rounds} rounds are not confirmed"));
        }
        owed.failed_units.iter().find_map(|(currency, units)| {
            let most = limits.failed_units_max.get(currency)?;
            (i128::from(*most) < *units)
                .then(|| format!("{units} minor units of {currency} are not confirmed"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> PauseLimits {
        let failed_units_max = BTreeMap::from([("EUR".parse().unwrap(), 100)]);
        PauseLimits { void_ms_max: 60_000, failed_rounds_max: 3, failed_units_max }
    }

    fn void(since: Millis) -> OwedOf {
        OwedOf { void_failing_since: Some(since), ..OwedOf::default() }
    }

    fn rounds(failed_rounds: usize) -> OwedOf {
        OwedOf { failed_rounds, ..OwedOf::default() }
    }

    /// What is said of a partner of which nothing was said.
    fn first(now: Millis, owed: &OwedOf) -> Option<String> {
        let said = Health::new(limits()).judge(now, &"acme".parse().unwrap(), owed, false);
        said.map(|verdict| {
            assert!(verdict.paused);
            verdict.reason
        })
    }

    #[test]
    fn it_is_paused_above_a_limit_and_not_at_it() {
        assert_eq!(first(70_000, &void(10_000)), None);
        let told = first(70_001, &void(10_000)).unwrap();
        assert_eq!(told, "a void has not been confirmed for 60 s");
        assert_eq!(first(0, &rounds(3)), None);
        assert_eq!(first(0, &rounds(4)).unwrap(), "4 rounds are not confirmed");
        let money = |currency: &str, units| OwedOf {
            failed_units: BTreeMap::from([(currency.parse().unwrap(), units)]),
            ..OwedOf::default()
        };
        assert_eq!(first(0, &money("EUR", 100)), None);
        let told = first(0, &money("EUR", 101)).unwrap();
        assert_eq!(told, "101 minor units of EUR are not confirmed");
        assert_eq!(first(0, &money("USD", 1_000)), None, "nobody set a limit");
        let owed = OwedOf { oldest_void_at: Some(0), tiers: [9; 5], ..OwedOf::default() };
        assert_eq!(first(1_000_000, &owed), None, "nothing of it failed");
    }

    #[test]
    fn it_goes_on_only_after_a_while_within_the_limits() {
        let (mut health, acme) = (Health::new(limits()), "acme".parse().unwrap());
        let mut judge = |now, owed, paused| health.judge(now, &acme, &owed, paused);
        assert_eq!(judge(0, rounds(9), true), None);
        assert_eq!(judge(1_000, rounds(3), true), None);
        assert_eq!(judge(5_000, rounds(4), true), None);
        assert_eq!(judge(5_500, rounds(0), true), None, "the calm begins anew");
        assert_eq!(judge(10_499, rounds(0), true), None);
        assert!(!judge(10_500, rounds(0), true).unwrap().paused);
        assert_eq!(judge(10_600, rounds(0), false), None);
        assert_eq!(judge(50_000, rounds(0), true), None);
        assert_eq!(judge(20_000, rounds(0), true), None, "the clock was set back");
        assert!(judge(25_000, rounds(0), true).is_some());
        assert_eq!(
            judge(90_000, rounds(0), true),
            None,
            "paused again: no calm is left from before"
        );
        health.lost(&acme);
        assert_eq!(health.judge(99_000, &acme, &rounds(0), true), None, "hours in other hands");
    }
}
