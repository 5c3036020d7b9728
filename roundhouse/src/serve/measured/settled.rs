//! What bets were settled to, for `/metrics`. Counts what was written: a settler that crashes writes some of
//! it again.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use runtime::telemetry::Metrics;
use schemas::frame;
use schemas::wire::{SettlementRecord, TargetKind};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfResult {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Why {
    reason: String,
}

/// What one settlement says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The first result of a bet.
    First(&'static str),
    /// A later state of a bet, and why.
    Correction(String),
    /// The end of a bet that was rejected or taken back, and why.
    FinalVoid(String),
}

impl Said {
    /// What the framed settlement says; `None` if it cannot be read.
    pub(super) fn of(value: &[u8]) -> Option<Self> {
        let record: SettlementRecord<&str> = frame::decode(value).ok()?;
        Some(match (record.result_version, record.target) {
            (0, _) => Self::FinalVoid(record.reason.to_owned()),
            (1, TargetKind::Settled) if 0 < record.payout_units => Self::First("won"),
            (1, TargetKind::Settled) => Self::First("lost"),
            (1, TargetKind::Voided) => Self::First("void"),
            (_, _) => Self::Correction(record.reason.to_owned()),
        })
    }
}

#[derive(Clone, Debug)]
pub(super) struct Settled {
    first: Family<OfResult, Counter>,
    corrections: Family<Why, Counter>,
    final_voids: Family<Why, Counter>,
}

impl Settled {
    pub(super) fn register(metrics: &Metrics) -> Self {
        Self {
            first: metrics.register(
                "settlement_bets_settled",
                "Settlements of bets by the first result of their round: won, lost or void",
                Family::default(),
            ),
            corrections: metrics.register(
                "settlement_corrections",
                "Settlements of bets that had one already, by why",
                Family::default(),
            ),
            final_voids: metrics.register(
                "settlement_final_voids",
                "Settlements that give the stake of a rejected or cancelled bet back, by why",
                Family::default(),
            ),
        }
    }

    pub(super) fn count(&self, said: &[Said]) {
        for said in said {
            match said {
                Said::First(result) => self.first.get_or_create(&OfResult { result }).inc(),
                Said::Correction(reason) => {
                    self.corrections.get_or_create(&Why { reason: reason.clone() }).inc()
                }
                Said::FinalVoid(reason) => {
                    self.final_voids.get_or_create(&Why { reason: reason.clone() }).inc()
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settlements_are_told_apart() {
        let of = |result_version, target, payout_units, reason: &str| {
            let reason = reason.to_owned();
            let record = SettlementRecord {
                result_version,
                target,
                payout_units,
                reason,
                ..SettlementRecord::default()
            };
            Said::of(&frame::encode(&record).unwrap()).unwrap()
        };
        assert_eq!(of(1, TargetKind::Settled, 5, "result"), Said::First("won"));
        assert_eq!(of(1, TargetKind::Settled, 0, "result"), Said::First("lost"));
        assert_eq!(of(1, TargetKind::Voided, 0, "round_voided"), Said::First("void"));
        let why = "result_withdrawn".to_owned();
        assert_eq!(of(2, TargetKind::Held, 0, &why), Said::Correction(why));
        let why = "bet_rejected".to_owned();
        assert_eq!(of(0, TargetKind::Voided, 0, &why), Said::FinalVoid(why));
        assert_eq!(Said::of(b"{}"), None);
    }
}
