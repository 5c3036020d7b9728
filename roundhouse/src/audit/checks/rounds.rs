//! Rounds: one verdict per record, equal markers in every partition, nothing behind a seal too early.

use super::Scene;
use crate::audit::books::numbered;
use crate::audit::report::Finding;
use schemas::bets::MarkerBody;
use schemas::rounds::{RoundEvent, RoundSaid, Verdict};
use schemas::wire::RoundKind;
use std::collections::BTreeMap;

/// An admitted record with its verdict.
pub(super) struct Admitted<'a> {
    /// Partition of `rounds` and offset.
    pub(super) at: (u32, u64),
    pub(super) event: &'a RoundEvent,
    pub(super) verdict: &'a Verdict,
}

/// The first verdict on each record, by (partition, offset of the record).
pub(super) type Verdicts<'a> = BTreeMap<(u32, u64), &'a Verdict>;

/// The first verdict on each record of `rounds.v1`.
pub(super) fn verdicts<'a>(scene: &Scene<'a>) -> Verdicts<'a> {
    let mut verdicts = Verdicts::new();
    for (partition, lines) in numbered(&scene.books.rounds) {
        for (_, event) in lines {
            if let RoundSaid::Verdict(verdict) = &event.said {
                verdicts.entry((partition, verdict.judged)).or_insert(verdict);
            }
        }
    }
    verdicts
}

/// What was admitted, by round, in the order of the records. One that repeats the request and content of
/// an admitted one got its verdict again and is no other (R7).
pub(super) fn admitted<'a>(
    scene: &Scene<'a>,
    verdicts: &Verdicts<'a>,
) -> BTreeMap<&'a str, Vec<Admitted<'a>>> {
    let mut rounds: BTreeMap<&str, Vec<Admitted<'_>>> = BTreeMap::new();
    for (partition, lines) in numbered(&scene.books.rounds) {
        for (offset, event) in lines {
            let verdict = verdicts.get(&(partition, *offset)).copied();
            if let Some(verdict) = verdict.filter(|verdict| verdict.refused.is_none()) {
                let round = rounds.entry(event.round.as_str()).or_default();
                let again = round.iter().any(|before| {
                    let same = before.event.request == event.request;
                    same && before.event.said == event.said && told_again(before.verdict, verdict)
                });
                if !again {
                    round.push(Admitted { at: (partition, *offset), event, verdict });
                }
            }
        }
    }
    rounds
}

fn told_again(first: &Verdict, repeat: &Verdict) -> bool {
    (first.number, first.version) == (repeat.number, repeat.version)
}

pub(super) fn check(scene: &Scene<'_>) -> [Finding; 4] {
    let verdicts = verdicts(scene);
    let rounds = admitted(scene, &verdicts);
    [one_verdict(scene, &verdicts), copies(scene, &rounds), no_other(scene), sealed(&rounds)]
}

fn one_verdict(scene: &Scene<'_>, verdicts: &Verdicts<'_>) -> Finding {
    let mut finding = Finding::new("one-verdict", "each record of a round is judged in one way");
    for (partition, lines) in numbered(&scene.books.rounds) {
        for (_, event) in lines {
            let RoundSaid::Verdict(verdict) = &event.said else { continue };
            let first = verdicts.get(&(partition, verdict.judged)).copied();
            finding.that(
                first == Some(verdict),
                || format!("{} in rounds/{partition} at {}", event.round, verdict.judged),
                || format!("{first:?} and {verdict:?}"),
            );
        }
    }
    finding
}

/// What the marker copied from an admitted record must say.
fn body_of(admitted: &Admitted<'_>) -> Option<MarkerBody> {
    match &admitted.event.said {
        RoundSaid::Opened(opened) => Some(MarkerBody::Opened {
            game: opened.game.clone(),
            rules_version: opened.rules_version,
            selections: opened.offers.iter().map(|offer| offer.selection.clone()).collect(),
        }),
        RoundSaid::Closed => Some(MarkerBody::Closed),
        RoundSaid::Version { outcome, .. } => Some(MarkerBody::Version {
            version: admitted.verdict.version,
            outcome: outcome.clone(),
        }),
        RoundSaid::Amended { .. }
        | RoundSaid::Closing
        | RoundSaid::Sealed
        | RoundSaid::Proposed { .. }
        | RoundSaid::Rejected { .. }
        | RoundSaid::Verdict(_) => None,
    }
}

fn copies(scene: &Scene<'_>, rounds: &BTreeMap<&str, Vec<Admitted<'_>>>) -> Finding {
    let mut finding = Finding::new(
        "markers-everywhere",
        "what was admitted stands in every partition of bets, with equal number and content",
    );
    for (round, records) in rounds {
        for record in records {
            let Some(body) = body_of(record) else { continue };
            let index = usize::try_from(record.verdict.number).ok().and_then(|n| n.checked_sub(1));
            for (partition, log) in (0..).zip(&scene.stories.log) {
                if 0 < scene.books.begin(schemas::catalogue::BETS, partition) {
                    continue;
                }
                let marker = log.rounds.get(round).zip(index).and_then(|(r, i)| r.markers.get(i));
                finding.that(
                    marker.is_some_and(|marker| {
                        marker.what.body == body && marker.said_at == record.event.said_at
                    }),
                    || format!("{round} in bets/{partition}"),
                    || {
                        format!(
                            "marker {} should be {body:?}, is {marker:?}",
                            record.verdict.number
                        )
                    },
                );
            }
        }
    }
    finding
}

fn no_other(scene: &Scene<'_>) -> Finding {
    let mut finding = Finding::new(
        "markers-alone",
        "a number has one content, without gaps, and each marker copies a record of rounds",
    );
    let mut said: BTreeMap<&str, Vec<RoundKind>> = BTreeMap::new();
    for (_, event) in scene.books.rounds.iter().flatten() {
        said.entry(event.round.as_str()).or_default().push(event.kind());
    }
    for (partition, log) in (0..).zip(&scene.stories.log) {
        for (round, markers) in &log.rounds {
            let subject = || format!("{round} in bets/{partition}");
            let begun = 0 < scene.books.begin(schemas::catalogue::BETS, partition);
            for (_, why) in markers.wrong.iter().filter(|_| !begun) {
                finding.that(false, subject, || why.clone());
            }
            let known = said.get(round).map(Vec::as_slice).unwrap_or_default();
            for marker in &markers.markers {
                let kinds: &[RoundKind] = match &marker.what.body {
                    MarkerBody::Opened { .. } => &[RoundKind::Opened],
                    MarkerBody::Closed => &[RoundKind::Closed],
                    MarkerBody::Version { .. } => {
                        &[RoundKind::Result, RoundKind::Withdrawn, RoundKind::Voided]
                    }
                };
                finding.that(known.iter().any(|kind| kinds.contains(kind)), subject, || {
                    format!("{:?} copies nothing", marker.what)
                });
            }
        }
    }
    finding
}

/// Where a round stands: the order in which things may be admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Unknown,
    Betting,
    Closing,
    Closed,
    Sealed,
}

fn sealed(rounds: &BTreeMap<&str, Vec<Admitted<'_>>>) -> Finding {
    let mut finding = Finding::new(
        "result-behind-seal",
        "opened, closing, closed, sealed, then versions 1, 2, ... each naming the one before",
    );
    for (round, records) in rounds {
        let (mut phase, mut version) = (Phase::Unknown, 0);
        for record in records {
            let before = (phase, version);
            let in_order = match &record.event.said {
                RoundSaid::Opened(_) => {
                    let first = phase == Phase::Unknown;
                    phase = Phase::Betting;
                    first
                }
                RoundSaid::Amended { .. } => phase == Phase::Betting,
                RoundSaid::Closing => {
                    let betting = phase == Phase::Betting;
                    phase = phase.max(Phase::Closing);
                    betting
                }
                RoundSaid::Closed => {
                    let open = matches!(phase, Phase::Betting | Phase::Closing);
                    phase = Phase::Closed;
                    open
                }
                RoundSaid::Sealed => {
                    let closed = phase == Phase::Closed;
                    phase = Phase::Sealed;
                    closed
                }
                RoundSaid::Version { replaces, .. } => {
                    let next = *replaces == version && record.verdict.version == version + 1;
                    version = record.verdict.version;
                    phase == Phase::Sealed && next
                }
                RoundSaid::Proposed { replaces, .. } => {
                    phase == Phase::Sealed && *replaces == version
                }
                RoundSaid::Rejected { .. } => phase == Phase::Sealed,
                RoundSaid::Verdict(_) => true,
            };
            finding.that(
                in_order,
                || (*round).to_owned(),
                || format!("{} admitted at {before:?}", record.event.kind().name()),
            );
        }
    }
    finding
}
