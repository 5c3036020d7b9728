//! The configuration, read again while a process runs: its operators are replaced for the next request, and nothing
//! else (`docs/decisions/0020-operators-are-reread.md`).
//!
//! One that is wrong changes nothing. No secret is said.

use super::{Role, Roles, partners};
use crate::config::{Config, Fixed};
use ingest::auth::{InForce, Operators};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use runtime::Millis;
use runtime::telemetry::Metrics;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Roles whose API asks operators for their keys.
const ASKING: [Role; 4] = [Role::Line, Role::Bets, Role::History, Role::LineProvider];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reads {
    result: &'static str,
}

const TAKEN: Reads = Reads { result: "taken" };
const REFUSED: Reads = Reads { result: "refused" };

/// Takes a configuration that was read again. Cheap to clone; clones change the same operators.
#[derive(Clone)]
pub struct Reread {
    operators: InForce,
    fixed: Fixed,
    reads: Family<Reads, Counter>,
    is_good: Gauge,
    good_at: Gauge<f64, AtomicU64>,
}

impl Reread {
    /// What changes `operators`, who are those of `config`, read at `now`; `None` for a process that asks no operator.
    ///
    /// # Errors
    /// If the configuration cannot be rendered.
    pub(super) fn of(
        config: &Config,
        roles: &Roles,
        operators: &InForce,
        metrics: &Metrics,
        now: Millis,
    ) -> anyhow::Result<Option<Self>> {
        if !ASKING.iter().any(|role| roles.has(*role)) {
            return Ok(None);
        }
        let reads = Family::<Reads, Counter>::default();
        for result in [TAKEN, REFUSED] {
            // Seen at 0 first, so that the first one is a rise.
            drop(reads.get_or_create(&result));
        }
        let reread = Self {
            operators: operators.clone(),
            fixed: config.fixed()?,
            reads: metrics.register(
                "config_rereads",
                "Times the configuration was read again, by what became of it",
                reads,
            ),
            is_good: metrics.register(
                "config_last_read_good",
                "Whether the configuration was good when it was last read: 1 or 0",
                Gauge::default(),
            ),
            good_at: metrics.register(
                "config_last_good_read_timestamp_seconds",
                "When a good configuration was last read, since the Unix epoch; its operators are in force",
                Gauge::default(),
            ),
        };
        reread.good(now);
        Ok(Some(reread))
    }

    /// Takes what was read at `now`: replaces the operators, or says why not.
    pub fn take(&self, read: anyhow::Result<Config>, now: Millis) {
        let (operators, changed) = match read.and_then(|config| self.judged(&config)) {
            Ok(good) => good,
            Err(error) => {
                self.reads.get_or_create(&REFUSED).inc();
                self.is_good.set(0);
                tracing::error!(
                    "nothing was taken of what was read again, operators are as before: {error:#}"
                );
                return;
            }
        };
        let count = operators.count();
        let changes = self.operators.replace(operators);
        self.reads.get_or_create(&TAKEN).inc();
        self.good(now);
        // At a level that nearly every filter lets through: whose key counts is for the record.
        tracing::warn!(operators = count, "operators were read again: {changes}");
        if !changed.is_empty() {
            let keys = changed.join(", ");
            tracing::warn!(keys, "only operators are read again: these keys change at a restart");
        }
    }

    fn judged(&self, config: &Config) -> anyhow::Result<(Operators, Vec<String>)> {
        Ok((partners::operators(config)?, self.fixed.changed(&config.fixed()?)))
    }

    fn good(&self, now: Millis) {
        self.is_good.set(1);
        let at = Duration::from_millis(u64::try_from(now).unwrap_or_default());
        self.good_at.set(at.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Operator, Overrides};

    /// A process is asked to read again whether or not it answers operators.
    #[test]
    fn only_who_asks_for_keys_reads_again() {
        let config = Config::load(None, Vec::new(), Overrides::default()).unwrap();
        for (roles, reads) in [
            (vec![Role::Settler, Role::Reconciler, Role::Cases], false),
            (vec![Role::Dispatcher], false),
            (vec![Role::Herald, Role::BetMaker], false),
            (vec![Role::Herald, Role::Line], true),
            (vec![Role::Bets], true),
            (vec![Role::History], true),
            (vec![Role::LineProvider], true),
        ] {
            let (operators, metrics) = (InForce::default(), Metrics::default());
            let roles = Roles::from_iter(roles);
            let reread = Reread::of(&config, &roles, &operators, &metrics, 0).unwrap();
            assert_eq!(reread.is_some(), reads, "{roles}");
        }
    }

    #[test]
    fn what_is_wrong_changes_nothing() {
        let mut config = Config::load(None, Vec::new(), Overrides::default()).unwrap();
        let operator = |name: &str, roles: &[&str]| Operator {
            name: name.to_owned(),
            key: format!("the key of {name}, long enough"),
            roles: Some(roles.iter().map(|role| (*role).to_owned()).collect()),
        };
        let (operators, metrics) = (InForce::default(), Metrics::default());
        let reread =
            Reread::of(&config, &Roles::all(), &operators, &metrics, 1_500).unwrap().unwrap();
        let is_known =
            |name| operators.now().known(&format!("the key of {name}, long enough")).is_some();
        let shows = |line: &str| {
            let text = metrics.text().unwrap();
            assert!(text.contains(&format!("\nroundhouse_config_{line}\n")), "{line}: {text}");
        };
        config.operators = vec![operator("ann", &["read"])];
        reread.take(Ok(config.clone()), 2_500);
        assert!(is_known("ann"));
        shows("last_good_read_timestamp_seconds 2.5");
        // One that the configuration lets through, and that cannot be all the same.
        config.operators = vec![operator("ben", &["read", "raed"])];
        for wrong in [Ok(config), Err(anyhow::anyhow!("it cannot be read"))] {
            reread.take(wrong, 3_500);
            assert!(is_known("ann") && !is_known("ben"));
            shows("last_good_read_timestamp_seconds 2.5");
            shows("last_read_good 0");
        }
        shows("rereads_total{result=\"taken\"} 1");
        shows("rereads_total{result=\"refused\"} 2");
    }
}
