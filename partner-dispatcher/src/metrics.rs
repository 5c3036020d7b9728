//! What a dispatcher shows on `/metrics`.
//!
//! Calls are counted where they are made. What is owed is asked of the machines, since a machine does
//! no IO ([`owed`](crate::dispatcher::owed)), and [`Metrics::show`] takes their reply.

use crate::breaker::Circuit;
use crate::dispatcher::{Owed, OwedOf};
use crate::queue::{TRAFFIC, word};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use runtime::Millis;
use runtime::telemetry;
use schemas::PartnerId;
use schemas::catalogue::RetryTier;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Upper bounds of the durations, in seconds: a wallet's 20 ms in the middle, the call's 10 s and the
/// tier's 5 s at the end.
const SECONDS: [f64; 13] =
    [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    partner: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Attempt {
    partner: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Backlog {
    partner: String,
    tier: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CircuitIs {
    partner: String,
    traffic: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfTraffic {
    partner: String,
    traffic: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Units {
    partner: String,
    currency: String,
}

type Histograms = Family<Of, Histogram, fn() -> Histogram>;

/// The metrics of all dispatchers of a process. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    attempts: Family<Attempt, Counter>,
    durations: Histograms,
    acknowledged: Histograms,
    held: Gauge,
    owed: Family<OfTraffic, Gauge>,
    calls_at_once: Family<OfTraffic, Gauge>,
    throttled: Family<OfTraffic, Gauge>,
    to_fix: Family<OfTraffic, Gauge>,
    withheld: Family<OfTraffic, Gauge>,
    backlog: Family<Backlog, Gauge>,
    circuit: Family<CircuitIs, Gauge>,
    parked: Family<Of, Gauge>,
    failed_units: Family<Units, Gauge>,
    oldest: Family<Of, Gauge<f64, AtomicU64>>,
    oldest_void: Family<Of, Gauge<f64, AtomicU64>>,
}

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

fn of(partner: &PartnerId) -> Of {
    Of { partner: partner.to_string() }
}

impl Metrics {
    /// Registers them in the metrics of the process.
    #[expect(clippy::too_many_lines, reason = "a list")]
    pub fn register(metrics: &telemetry::Metrics) -> Self {
        let histograms = || Histograms::new_with_constructor(histogram);
        let of_traffic = |name, help| metrics.register(name, help, Family::default());
        Self {
            attempts: metrics.register(
                "partner_delivery_attempts",
                "State calls made, by partner and how the call ended",
                Family::default(),
            ),
            durations: metrics.register(
                "partner_delivery_duration_seconds",
                "Time of a state call, until its answer or the certainty that none will come",
                histograms(),
            ),
            acknowledged: metrics.register(
                "settlement_result_to_partner_ack_seconds",
                "From the record that caused a chunk's oldest settlement to the partner's 200",
                histograms(),
            ),
            held: metrics.register(
                "partner_held_records",
                "Settlements in memory, also those read ahead of their tier",
                Gauge::default(),
            ),
            owed: of_traffic(
                "partner_owed_records",
                "Settlements in memory without a durable end, by partner and traffic",
            ),
            calls_at_once: of_traffic(
                "partner_calls_at_once_max",
                "State calls that may be on their way to a partner: fewer than configured if it answers late",
            ),
            throttled: of_traffic(
                "partner_throttled",
                "1 while something waits because of the calls a second that a partner may have",
            ),
            to_fix: of_traffic(
                "partner_fix_then_retry",
                "1 while a partner is not called because of a refusal that only people can end",
            ),
            withheld: of_traffic(
                "partner_repeats_withheld",
                "Calls not repeated at once since their dispatcher started: their budget was used up",
            ),
            backlog: metrics.register(
                "partner_retry_backlog",
                "Settlements in a retry tier",
                Family::default(),
            ),
            circuit: metrics.register(
                "partner_circuit_state",
                "1 for the state that the breaker of a partner's traffic is in, 0 for the others",
                Family::default(),
            ),
            parked: metrics.register(
                "partner_parked_records",
                "Settlements parked since their dispatcher started and not answered since",
                Family::default(),
            ),
            failed_units: metrics.register(
                "partner_failed_minor_units",
                "What settlements that failed would give the players of a partner, in minor units",
                Family::default(),
            ),
            oldest: metrics.register(
                "partner_oldest_undelivered_age_seconds",
                "Since when the oldest settlement in memory without a durable end is due; 0 for none",
                Family::default(),
            ),
            oldest_void: metrics.register(
                "partner_oldest_void_timestamp_seconds",
                "When the oldest void without a durable end was caused, since the Unix epoch; 0 for none",
                Family::default(),
            ),
        }
    }

    /// A call ended, in one of the words of [`runtime::http::outcome`] or in `nonsense`.
    pub(crate) fn attempt(&self, partner: &PartnerId, outcome: &'static str, took: Duration) {
        let labels = Attempt { partner: partner.to_string(), outcome };
        self.attempts.get_or_create(&labels).inc();
        self.durations.get_or_create(&of(partner)).observe(took.as_secs_f64());
    }

    /// A chunk was answered with 200.
    pub(crate) fn acknowledged(&self, partner: &PartnerId, now: Millis, caused_at: Millis) {
        let ms = u64::try_from(now.saturating_sub(caused_at)).unwrap_or(0);
        self.acknowledged
            .get_or_create(&of(partner))
            .observe(Duration::from_millis(ms).as_secs_f64());
    }

    /// Shows what the dispatchers of this process owe. A partner that is in none of them any more, since
    /// its partition moved on, shows nothing owed here.
    pub fn show(&self, now: Millis, owed: &[Owed], before: &mut BTreeSet<PartnerId>) {
        let mut partners: BTreeMap<&PartnerId, &OwedOf> = BTreeMap::new();
        for one in owed {
            // A partner has one lane and so one partition.
            partners.extend(&one.partners);
        }
        self.held.set(gauge(owed.iter().map(|one| one.held).sum()));
        // Else a currency of which nothing failed any more would stand as it was.
        self.failed_units.clear();
        let nothing = OwedOf::default();
        for gone in before.iter().filter(|partner| !partners.contains_key(partner)) {
            self.show_one(now, gone, &nothing);
        }
        *before = partners.keys().map(|partner| (*partner).clone()).collect();
        for (partner, owed) in partners {
            self.show_one(now, partner, owed);
        }
    }

    fn show_one(&self, now: Millis, partner: &PartnerId, owed: &OwedOf) {
        for traffic in TRAFFIC {
            let name = word(traffic);
            let labels = OfTraffic { partner: partner.to_string(), traffic: name };
            let items = owed.items.get(&traffic).copied().unwrap_or(0);
            self.owed.get_or_create(&labels).set(gauge(items));
            let at_once = owed.calls_at_once.get(&traffic).copied().unwrap_or(0);
            let at_once = i64::try_from(at_once).unwrap_or(i64::MAX);
            self.calls_at_once.get_or_create(&labels).set(at_once);
            let throttled = owed.throttled.contains(&traffic);
            self.throttled.get_or_create(&labels).set(i64::from(throttled));
            let withheld = owed.withheld.get(&traffic).copied().unwrap_or(0);
            self.withheld.get_or_create(&labels).set(gauge(withheld));
            let to_fix = owed.to_fix.contains(&traffic);
            self.to_fix.get_or_create(&labels).set(i64::from(to_fix));
            let now = owed.circuits.get(&traffic).copied().unwrap_or_default();
            for circuit in Circuit::ALL {
                let (partner, state) = (partner.to_string(), circuit.name());
                let labels = CircuitIs { partner, traffic: name, state };
                self.circuit.get_or_create(&labels).set(i64::from(circuit == now));
            }
        }
        for (tier, count) in RetryTier::ALL.into_iter().zip(owed.tiers) {
            let backlog = Backlog { partner: partner.to_string(), tier: tier.label() };
            self.backlog.get_or_create(&backlog).set(gauge(count));
        }
        self.parked.get_or_create(&of(partner)).set(gauge(owed.parked));
        for (currency, units) in &owed.failed_units {
            let labels = Units { partner: partner.to_string(), currency: currency.to_string() };
            self.failed_units.get_or_create(&labels).set(i64::try_from(*units).unwrap_or(i64::MAX));
        }
        let age = owed.oldest_at.map_or(0, |at| now.saturating_sub(at));
        let age = Duration::from_millis(u64::try_from(age).unwrap_or(0)).as_secs_f64();
        self.oldest.get_or_create(&of(partner)).set(age);
        let oldest_void = u64::try_from(owed.oldest_void_at.unwrap_or(0)).unwrap_or(0);
        let oldest_void = Duration::from_millis(oldest_void).as_secs_f64();
        self.oldest_void.get_or_create(&of(partner)).set(oldest_void);
    }
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
