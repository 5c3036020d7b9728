//! What a reconciler shows on `/metrics`: how each partner stood when its rounds were last looked at.

use super::book::Units;
use super::desk::CloseAnswer;
use super::{Reconciler, ReconcilerAsk, ReconcilerTold, Standing};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use runtime::{Handle, Millis, telemetry};
use schemas::{Currency, PartnerId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    partner: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct In {
    partner: String,
    currency: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Attempt {
    partner: String,
    outcome: &'static str,
}

type Times = Family<Of, Gauge<f64, AtomicU64>>;

/// The metrics of a process's reconciler. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    attempts: Family<Attempt, Counter>,
    owed: Family<Of, Gauge>,
    parked: Family<Of, Gauge>,
    frozen: Family<Of, Gauge>,
    in_flight: Family<In, Gauge>,
    unconfirmed: Times,
    unclosed: Family<Of, Gauge>,
    unclosed_since: Times,
    cases: Family<Of, Gauge>,
    gap: Family<In, Gauge>,
}

/// Partners and currencies that were shown, so that they are shown as 0 once nothing is known of them.
type Shown = BTreeMap<PartnerId, BTreeSet<Currency>>;

impl Metrics {
    /// Registers them in the metrics of the process.
    pub fn register(metrics: &telemetry::Metrics) -> Self {
        let count = |name, help| metrics.register(name, help, Family::default());
        let money = |name, help| metrics.register(name, help, Family::default());
        let time = |name, help| metrics.register(name, help, Times::default());
        Self {
            attempts: metrics.register(
                "partner_close_attempts",
                "Calls about the close of a round, by partner and how the call ended",
                Family::default(),
            ),
            owed: count(
                "reconciler_owed_settlements",
                "Settlements without a final answer in rounds that are not done, parked ones among them",
            ),
            parked: count("reconciler_parked_settlements", "Those of them that are parked"),
            frozen: count("reconciler_frozen_bets", "Bets that a broken invariant stopped"),
            in_flight: money(
                "reconciler_in_flight_minor_units",
                "What settlements without a final answer would move, unsigned, in minor units",
            ),
            unconfirmed: time(
                "reconciler_oldest_unconfirmed_timestamp_seconds",
                "When the oldest settlement without a final answer that is not parked was caused, since the \
                 Unix epoch; 0 for none",
            ),
            unclosed: count(
                "reconciler_unclosed_rounds",
                "Rounds with a result that are not closed with the partner at their newest version",
            ),
            unclosed_since: time(
                "reconciler_oldest_unclosed_timestamp_seconds",
                "When the result of the oldest round that is not closed was said, since the Unix epoch; 0 \
                 for none",
            ),
            cases: count("reconciler_open_cases", "Cases of closes that have not ended"),
            gap: money(
                "reconciler_conservation_minor_units",
                "What decisions and versions say, less what was told, is owed and is parked; must be 0",
            ),
        }
    }

    /// A call ended.
    pub(super) fn attempt(&self, partner: &PartnerId, answer: &CloseAnswer) {
        let labels =
            Attempt { partner: partner.to_string(), outcome: runtime::http::outcome(answer) };
        self.attempts.get_or_create(&labels).inc();
    }

    /// Shows how the partners stand, and nothing for those of `before` that are in none of the partitions
    /// any more.
    pub fn show(&self, standings: &BTreeMap<PartnerId, Standing>, before: &mut Shown) {
        for (partner, standing) in standings {
            let currencies = standing.in_flight.keys().chain(standing.gap.keys());
            before.entry(partner.clone()).or_default().extend(currencies);
        }
        let nothing = Standing::default();
        for (partner, currencies) in before {
            self.show_one(partner, standings.get(partner).unwrap_or(&nothing), currencies);
        }
    }

    fn show_one(&self, partner: &PartnerId, standing: &Standing, currencies: &BTreeSet<Currency>) {
        let of = Of { partner: partner.to_string() };
        for (family, number) in [
            (&self.owed, standing.owed.settlements),
            (&self.parked, standing.owed.parked),
            (&self.frozen, standing.owed.frozen),
            (&self.unclosed, standing.unclosed),
            (&self.cases, standing.cases),
        ] {
            family.get_or_create(&of).set(i64::try_from(number).unwrap_or(i64::MAX));
        }
        for (family, since) in [
            (&self.unconfirmed, standing.unconfirmed_since),
            (&self.unclosed_since, standing.unclosed_since),
        ] {
            family.get_or_create(&of).set(seconds(since));
        }
        for currency in currencies {
            let of = In { partner: partner.to_string(), currency: currency.to_string() };
            for (family, units) in
                [(&self.in_flight, &standing.in_flight), (&self.gap, &standing.gap)]
            {
                family.get_or_create(&of).set(minor(units, *currency));
            }
        }
    }

    /// Asks the reconciler every `period` and shows what it says, until `shutdown`.
    pub async fn watch(
        &self,
        handle: Handle<Reconciler>,
        period: Duration,
        shutdown: CancellationToken,
    ) {
        let mut before = Shown::new();
        loop {
            // One that is being built again says nothing; what was shown stands meanwhile.
            if let Ok(ReconcilerTold::Standings(standings)) =
                handle.ask(ReconcilerAsk::Standings).await
            {
                self.show(&standings, &mut before);
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(period) => {}
            }
        }
    }
}

fn seconds(since: Option<Millis>) -> f64 {
    let ms = u64::try_from(since.unwrap_or(0)).unwrap_or(0);
    Duration::from_millis(ms).as_secs_f64()
}

/// A sum beyond an int64 is shown as the largest one, and never as 0.
fn minor(units: &Units, currency: Currency) -> i64 {
    let units = units.get(&currency).copied().unwrap_or(0);
    i64::try_from(units).unwrap_or(if units < 0 { i64::MIN } else { i64::MAX })
}
