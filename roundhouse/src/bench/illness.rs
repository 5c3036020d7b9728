//! How wallets of a bench are ill, and whether their dispatcher saw them so.

use crate::rig::api::Api;
use anyhow::Context;
use clap::ValueEnum;
use http::Method;
use partner_kit::faults::FaultSettings;
use partner_kit::misbehaviours::Misbehaviour;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

const METRIC: &str = "roundhouse_partner_delivery_attempts_total{";
/// The outcome of a call that a wallet which is well answered.
const WELL: &str = "answered";
/// What a wallet that refuses everything says, by turns: with each of these another rule of ours is to hold.
const REFUSALS: [u16; 4] = [400, 401, 403, 422];
/// How long one that hangs is silent, in ms: longer than anybody waits.
const SILENCE_MS: u64 = 600_000;
/// How long a slow one takes, in ms.
const SLOW_MS: u64 = 30_000;

/// A way in which a wallet is ill, whatever it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Illness {
    /// It resets connections
    Resets,
    /// It applies what it is told and never answers
    Hangs,
    /// It answers 500
    Errors,
    /// It takes 30 s
    Slow,
    /// It answers 400, 401, 403 or 422, by turns
    Refuses,
    /// It sends bodies without end
    Endless,
}

impl Illness {
    /// Those that a partner must not be seen to have by the others.
    pub const FIVE: [Self; 5] =
        [Self::Hangs, Self::Errors, Self::Slow, Self::Refuses, Self::Endless];

    /// The switches of a wallet with this illness that is otherwise `well`, at its `turn`.
    pub(super) fn settings(self, well: FaultSettings, turn: usize) -> FaultSettings {
        match self {
            Self::Resets => FaultSettings { reset_rate: 1_000, ..well },
            Self::Hangs => {
                FaultSettings { timeout_after_apply_rate: 1_000, timeout_ms: SILENCE_MS, ..well }
            }
            Self::Errors => FaultSettings { error_500_rate: 1_000, ..well },
            Self::Slow => FaultSettings { latency_ms: SLOW_MS, ..well },
            Self::Refuses => {
                let status = REFUSALS.get(turn % REFUSALS.len()).copied();
                FaultSettings { refuse_with: status, ..well }
            }
            Self::Endless => {
                let mut settings = well;
                *settings.misbehave.only.of(Misbehaviour::EndlessChunks) = 1_000;
                settings
            }
        }
    }

    /// The outcome under which its state calls are to be counted.
    const fn meant(self) -> &'static str {
        match self {
            Self::Resets => "broken",
            Self::Errors => "server_error",
            Self::Refuses => "refused",
            Self::Hangs | Self::Slow | Self::Endless => "timeout",
        }
    }
}

/// State calls by outcome.
type Ends = BTreeMap<String, u64>;

/// How the dispatchers saw an ill wallet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    partner: String,
    illness: Illness,
    /// The outcome that is meant to be seen.
    meant: &'static str,
    /// Calls that did not end well, by outcome.
    ends: Ends,
}

impl Seen {
    /// A wallet of which nothing was seen yet.
    pub(super) fn new(partner: String, illness: Illness) -> Self {
        Self { partner, illness, meant: illness.meant(), ends: Ends::new() }
    }

    /// Adds what was counted between `before` and `after`.
    pub(super) fn add(&mut self, before: &Attempts, after: &Attempts) {
        let none = Ends::new();
        let before = before.0.get(&self.partner).unwrap_or(&none);
        for (outcome, count) in after.0.get(&self.partner).unwrap_or(&none) {
            let more = count.saturating_sub(before.get(outcome).copied().unwrap_or_default());
            if outcome != WELL && 0 < more {
                *self.ends.entry(outcome.clone()).or_default() += more;
            }
        }
    }

    /// Whether most of the calls that did not end well ended as is meant.
    pub(super) fn is_as_meant(&self) -> bool {
        let all: u64 = self.ends.values().sum();
        self.ends.get(self.meant).is_some_and(|count| all < 2 * count)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partner, illness, meant, .. } = self;
        let name = illness.to_possible_value();
        let name = name.as_ref().map_or("", |name| name.get_name());
        write!(f, "{partner} {name}: to be seen as {meant}, seen as")?;
        for (outcome, count) in &self.ends {
            write!(f, " {outcome} {count}")?;
        }
        let verdict = if self.is_as_meant() { "held" } else { "NOT HELD" };
        write!(f, "{}: {verdict}", if self.ends.is_empty() { " nothing" } else { "" })
    }
}

/// How state calls ended so far, by partner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attempts(BTreeMap<String, Ends>);

impl Attempts {
    /// As the admin port tells.
    ///
    /// # Errors
    /// If it does not.
    pub(super) async fn now(admin: SocketAddr) -> anyhow::Result<Self> {
        let admin = Api::new(format!("http://{admin}"), String::new());
        let shown = admin.call(Method::GET, "/metrics", "", None).await?;
        Ok(Self::of(shown.body.as_str().context("the metrics are no text")?))
    }

    /// A call that broke, of one partner.
    #[cfg(test)]
    pub(super) fn broken(partner: &str) -> Self {
        Self(BTreeMap::from([(partner.to_owned(), Ends::from([("broken".to_owned(), 1)]))]))
    }

    fn of(metrics: &str) -> Self {
        let mut attempts = Self::default();
        for line in metrics.lines().filter_map(|line| line.strip_prefix(METRIC)) {
            let Some((labels, count)) = line.split_once("} ") else { continue };
            let value = |name: &str| {
                let labels = labels.split(',');
                let text =
                    labels.filter_map(|one| one.strip_prefix(name)?.strip_prefix('=')).next();
                text.map(|text| text.trim_matches('"').to_owned())
            };
            if let (Some(partner), Some(outcome), Ok(count)) =
                (value("partner"), value("outcome"), count.parse())
            {
                attempts.0.entry(partner).or_default().insert(outcome, count);
            }
        }
        attempts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(ends: &[(&str, u64)]) -> Attempts {
        let line = |(outcome, count): &(&str, u64)| {
            format!("{METRIC}partner=\"p_1\",outcome=\"{outcome}\"}} {count}\n")
        };
        Attempts::of(&ends.iter().map(line).collect::<String>())
    }

    #[test]
    fn attempts_are_read_by_partner_and_outcome() {
        let text = format!(
            "# TYPE x counter\n{METRIC}partner=\"a\",outcome=\"refused\"}} 3\nother{{partner=\"a\"}} 9\n\
             {METRIC}outcome=\"busy\",partner=\"b\"}} 1\n{METRIC}partner=\"c\"}} 1\n"
        );
        let ends = |outcome: &str, count| Ends::from([(outcome.to_owned(), count)]);
        let wanted = [("a".to_owned(), ends("refused", 3)), ("b".to_owned(), ends("busy", 1))];
        assert_eq!(Attempts::of(&text), Attempts(wanted.into()));
    }

    #[test]
    fn an_illness_is_seen_if_most_of_what_failed_says_so() {
        let (none, well) = (Attempts::default(), [("answered", 90)]);
        for (before, after, held) in [
            (none.clone(), vec![("refused", 2), ("answered", 50)], true),
            (none.clone(), vec![("refused", 3), ("timeout", 2)], true),
            (none.clone(), vec![("refused", 2), ("timeout", 2)], false),
            (none.clone(), vec![("signature", 7)], false),
            (none.clone(), well.to_vec(), false),
            (none, Vec::new(), false),
            // Of another phase.
            (attempts(&[("refused", 7)]), vec![("refused", 7), ("timeout", 1)], false),
        ] {
            let mut seen = Seen::new("p_1".to_owned(), Illness::Refuses);
            seen.add(&before, &attempts(&after));
            assert_eq!(seen.is_as_meant(), held, "{seen}");
        }
    }

    #[test]
    fn one_that_refuses_does_so_with_another_status_each_time() {
        let status = |turn| Illness::Refuses.settings(FaultSettings::NONE, turn).refuse_with;
        assert_eq!([0, 1, 2, 3, 4].map(status), [400, 401, 403, 422, 400].map(Some));
    }
}
