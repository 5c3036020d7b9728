//! One bet as its facts tell it (R13). A pure function; reads and writes nothing.
//!
//! `accepted`, `rejected` and `cancelled` are said only because the decision's fact stands. `never` is
//! said only because the tally of (round, partition) stood when it was read, no decision stood when it
//! was read *after* that, and nothing is frozen: then no intent of this bet can be decided any more but
//! by a rejection. Everything else is `pending`.

#[cfg(test)]
mod tests;

use runtime::Fact;
use schemas::PlayerId;
use schemas::bets::{BetEvent, BetSaid, Marker, MarkerBody, Unreadable};
use schemas::decisions::{Decision, DecisionSaid, Verdict};
use schemas::facts;
use schemas::frame;
use schemas::rounds::Outcome;
use schemas::settlements::{REVISION_VOID, revision_of};
use schemas::wire::{DeliveryOutcome, DeliveryRecord, FreezeRecord};

/// What was read about one bet, in this order.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// First: what concerns the round in the bet's partition of `bets`: tally, markers, freezes.
    pub round: Vec<Fact>,
    /// Then: what concerns the bet in the same partition: decisions, freezes.
    pub bet: Vec<Fact>,
    /// Then: the bet's final delivery answers.
    pub delivered: Vec<Fact>,
}

/// Where a bet stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Decided. A cancelled bet was accepted or pending before.
    Decided(Box<Decision>),
    /// Nothing is known that would be final.
    Pending,
    /// The bet was not taken and will not be.
    Never,
}

/// How a delivery of the bet ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The revision delivered.
    pub revision: u32,
    /// How it ended.
    pub outcome: DeliveryOutcome,
}

/// One step of the bet's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The intent was written.
    Placed {
        /// Ms since the Unix epoch, UTC.
        at: i64,
    },
    /// The settler decided.
    Decided {
        /// `said_at` of the record that decided.
        at: i64,
        /// What.
        verdict: Verdict,
    },
    /// The final void of a rejected or cancelled bet was answered by the partner.
    Voided {
        /// The answers.
        delivered: Vec<Delivered>,
    },
    /// The cut-off.
    Closed {
        /// Ms since the Unix epoch, UTC.
        at: i64,
    },
    /// A result version.
    Version {
        /// Ms since the Unix epoch, UTC.
        at: i64,
        /// 1, 2, ...
        version: u32,
        /// What it says.
        outcome: Outcome,
        /// The partner's answers to what it made of the bet; none if the bet did not change, or not
        /// yet.
        delivered: Vec<Delivered>,
    },
    /// An invariant broke: people look at the bet, or at its round.
    Frozen,
}

/// A bet and its life so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BetView {
    /// Where it stands.
    pub standing: Standing,
    /// Its life, in order.
    pub timeline: Vec<Moment>,
}

/// Tells the bet from what was read, for `player` alone: another's bet looks like none.
///
/// # Errors
/// [`Unreadable`] if a fact cannot be decoded.
pub fn tell(read: &Read, player: &PlayerId) -> Result<BetView, Unreadable> {
    let decisions = decisions(&read.bet)?;
    let foreign = decisions.iter().any(|decision| decision.bet.player != *player);
    let none = Vec::new();
    let (bet, delivered) = if foreign { (&none, &none) } else { (&read.bet, &read.delivered) };
    let frozen = frozen(&read.round)? || frozen(bet)?;
    let decisions = if foreign { Vec::new() } else { decisions };
    let standing = match newest(&decisions) {
        Newest::One(decision) => Standing::Decided(Box::new(decision.clone())),
        Newest::Contradicting => Standing::Pending,
        Newest::None if !frozen && read.round.iter().any(|fact| fact.key.kind == facts::TALLY) => {
            Standing::Never
        }
        Newest::None => Standing::Pending,
    };
    let timeline = timeline(&standing, &decisions, &read.round, delivered, frozen)?;
    Ok(BetView { standing, timeline })
}

fn decisions(facts: &[Fact]) -> Result<Vec<Decision>, Unreadable> {
    let mut decisions = Vec::new();
    for fact in facts {
        if ![facts::ACCEPTED, facts::REJECTED, facts::CANCELLED].contains(&fact.key.kind) {
            continue;
        }
        match DecisionSaid::decode(&fact.body)? {
            DecisionSaid::Decided(decision) => decisions.push(decision),
            DecisionSaid::CancelRefused(_) => {}
        }
    }
    decisions.sort_by_key(rank);
    Ok(decisions)
}

/// Accepted and rejected come first, cancelled last.
fn rank(decision: &Decision) -> u8 {
    match decision.verdict {
        Verdict::Accepted | Verdict::Rejected(_) => 1,
        Verdict::Cancelled(_) => 2,
    }
}

enum Newest<'a> {
    None,
    One(&'a Decision),
    /// Two decisions of one rank: the bet is frozen, and neither may be told.
    Contradicting,
}

fn newest(decisions: &[Decision]) -> Newest<'_> {
    let clash = decisions.windows(2).any(|pair| rank(&pair[0]) == rank(&pair[1]));
    match decisions.last() {
        Some(_) if clash => Newest::Contradicting,
        Some(decision) => Newest::One(decision),
        None => Newest::None,
    }
}

/// Whether the last freeze, thaw or unreadable record among `facts` is no thaw.
fn frozen(facts: &[Fact]) -> Result<bool, Unreadable> {
    let mut last = None;
    for fact in facts {
        let frozen = match fact.key.kind {
            facts::FREEZE => frame::decode::<FreezeRecord>(&fact.body)?.frozen,
            facts::UNREADABLE => true,
            _ => continue,
        };
        // At one offset a freeze outweighs a thaw.
        last = last.max(Some((fact.key.at, frozen)));
    }
    Ok(last.is_some_and(|(_, frozen)| frozen))
}

fn timeline(
    standing: &Standing,
    decisions: &[Decision],
    round: &[Fact],
    delivered: &[Fact],
    frozen: bool,
) -> Result<Vec<Moment>, Unreadable> {
    let mut moments = Vec::new();
    let delivered = deliveries(delivered)?;
    let of = |revision: u32| -> Vec<Delivered> {
        delivered.iter().filter(|answer| answer.revision == revision).cloned().collect()
    };
    if let Standing::Decided(decision) = standing {
        moments.push(Moment::Placed { at: decision.bet.placed_at });
        moments.extend(decisions.iter().map(|decision| Moment::Decided {
            at: decision.caused_at,
            verdict: decision.verdict.clone(),
        }));
        match decision.verdict {
            Verdict::Accepted => moments.extend(markers(round, of)?),
            Verdict::Rejected(_) | Verdict::Cancelled(_) => {
                let delivered = of(REVISION_VOID);
                if !delivered.is_empty() {
                    moments.push(Moment::Voided { delivered });
                }
            }
        }
    }
    if frozen {
        moments.push(Moment::Frozen);
    }
    Ok(moments)
}

fn deliveries(facts: &[Fact]) -> Result<Vec<Delivered>, Unreadable> {
    let mut delivered = Vec::new();
    for fact in facts.iter().filter(|fact| fact.key.kind == facts::DELIVERED) {
        let record: DeliveryRecord = frame::decode(&fact.body)?;
        let revision = u32::try_from(record.revision).map_err(|_| Unreadable::Range("revision"))?;
        delivered.push(Delivered { revision, outcome: record.outcome });
    }
    delivered.sort_by_key(|answer| (answer.revision, answer.outcome.name()));
    delivered.dedup();
    Ok(delivered)
}

/// The cut-off and the result versions, each once, in the order of their numbers.
fn markers(round: &[Fact], of: impl Fn(u32) -> Vec<Delivered>) -> Result<Vec<Moment>, Unreadable> {
    let mut numbered = Vec::new();
    for fact in round.iter().filter(|fact| fact.key.kind == facts::MARKER) {
        let event = BetEvent::decode(&fact.body)?;
        if let BetSaid::Marker(Marker { number, body }) = event.said {
            numbered.push((number, event.said_at, body));
        }
    }
    numbered.sort_by_key(|(number, _, _)| *number);
    numbered.dedup_by_key(|(number, _, _)| *number);
    let moments = numbered.into_iter().filter_map(|(_, at, body)| match body {
        MarkerBody::Opened { .. } => None,
        MarkerBody::Closed => Some(Moment::Closed { at }),
        MarkerBody::Version { version, outcome } => {
            let delivered = of(revision_of(version));
            Some(Moment::Version { at, version, outcome, delivered })
        }
    });
    Ok(moments.collect())
}
