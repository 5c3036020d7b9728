//! What the log makes of each bet, by definition over the whole log (DESIGN 5 and 6; R8, R11, R12, R14).

use super::books::{Books, FactSaid};
use super::grade;
use super::log::{At, BetLog, PartitionLog, RoundLog};
use schemas::bets::{Bet, HoldAnswer};
use schemas::catalogue::BETS;
use schemas::decisions::{Decision, RejectReason, Verdict};
use schemas::rounds::Outcome;
use schemas::settlements::{REVISION_VOID, Reason, Settlement, Target, revision_of};
use std::collections::{BTreeMap, BTreeSet};

/// An intent without a decision expires at this tick behind it: a constant of rules version 1 (R8).
const EXPIRY_TICKS: usize = 6;
/// The rules version that these definitions are of.
const RULES_VERSION: u32 = 1;

/// What a bet must be by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// No record behind its intent decides it yet.
    Undecided,
    /// Rejected or cancelled: voided at revision 2, nothing may have moved.
    Void,
    /// In, and in this state under the newest result version.
    In(Target),
}

/// What the log says of one bet.
#[derive(Clone, Debug)]
pub(super) struct Story<'a> {
    pub(super) partition: u32,
    /// As the first intent has it.
    pub(super) bet: &'a Bet,
    /// The first intent's offset.
    pub(super) intent_at: u64,
    /// The decision of rank 1, if one must stand.
    pub(super) first: Option<Decision>,
    /// The cancellation, if one must stand.
    pub(super) cancelled: Option<Decision>,
    /// Cancels that must have been refused: offset and request.
    pub(super) refused: Vec<(u64, String)>,
    /// Settlements that must stand, with the offset in `bets` of what caused each.
    pub(super) settlements: Vec<(u64, Settlement)>,
    pub(super) standing: Standing,
    /// Why the bet is left to people: a freeze, a thaw, or a record that cannot be read.
    pub(super) frozen: Option<String>,
}

impl Story<'_> {
    /// What the bet is worth to the player by now; `None` where nothing is decided.
    pub(super) fn net(&self) -> Option<i128> {
        match self.standing {
            Standing::Undecided => None,
            Standing::Void => Some(0),
            Standing::In(target) => Some(grade::net(target, self.bet.stake.units)),
        }
    }

    /// The decisions that must stand in `decisions.v1`.
    pub(super) fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.first.iter().chain(&self.cancelled)
    }

    /// True if the bet is in and was not taken back.
    pub(super) fn accepted(&self) -> bool {
        matches!(self.standing, Standing::In(_))
    }
}

/// Every bet by its id, and the cancels that name no bet.
#[derive(Debug)]
pub(super) struct Stories<'a> {
    pub(super) log: Vec<PartitionLog<'a>>,
    pub(super) bets: BTreeMap<&'a str, Story<'a>>,
    /// Cancels of bets without an intent: partition, bet, offset, request.
    pub(super) strays: Vec<(u32, &'a str, u64, String)>,
    /// Rounds left out in a partition, because the log begins behind their `opened`.
    pub(super) left_out: BTreeSet<(u32, &'a str)>,
}

impl<'a> Stories<'a> {
    /// Reads the books.
    ///
    /// # Errors
    /// Words for the operator, if the books hold what these definitions do not cover.
    pub(super) fn of(books: &'a Books) -> Result<Self, String> {
        let log = PartitionLog::all(books);
        let frozen = frozen(books);
        let mut stories = Self {
            log: Vec::new(),
            bets: BTreeMap::new(),
            strays: Vec::new(),
            left_out: BTreeSet::new(),
        };
        for (partition, lines) in (0..).zip(&log) {
            for (bet_id, bet) in &lines.bets {
                let Some(first) = bet.intents.first() else {
                    let stray = |c: &At<(&schemas::RequestId, &schemas::PartnerId)>| {
                        (partition, *bet_id, c.offset, c.what.0.to_string())
                    };
                    stories.strays.extend(bet.cancels.iter().map(stray));
                    continue;
                };
                let round_id = first.what.bet.id.round_str();
                let nothing = RoundLog::default();
                let round = lines.rounds.get(round_id).unwrap_or(&nothing);
                if round.opened().is_none() && 0 < books.begin(BETS, partition) {
                    stories.left_out.insert((partition, round_id));
                    continue;
                }
                if first.what.bet.rules_version != RULES_VERSION {
                    return Err(format!(
                        "bet {bet_id} was placed under rules version {}; this audit knows version {RULES_VERSION}",
                        first.what.bet.rules_version
                    ));
                }
                let mut story = Story {
                    frozen: stopped(&frozen, partition, bet_id, round_id, bet, round),
                    ..decide(partition, bet, first.offset, &first.what.bet, round, &lines.ticks)
                };
                grade_all(&mut story, round);
                stories.bets.insert(bet_id, story);
            }
        }
        stories.log = log;
        Ok(stories)
    }
}

/// Bets and rounds with a freeze, by (partition, round, bet), where the bet is empty for a round.
type Frozen = BTreeMap<(u32, String, String), String>;

fn frozen(books: &Books) -> Frozen {
    let mut frozen = Frozen::new();
    for fact in &books.facts {
        if let FactSaid::Freeze(freeze) = &fact.said {
            let bet = freeze.bet_id.clone().unwrap_or_default();
            let key = (fact.scope.partition, freeze.round_id.clone(), bet);
            let word = if freeze.frozen { "frozen" } else { "thawed" };
            let why = format!("{word} at {}: {} ({})", fact.at, freeze.text, freeze.code);
            frozen.entry(key).or_insert(why);
        }
    }
    frozen
}

fn stopped(
    frozen: &Frozen,
    partition: u32,
    bet_id: &str,
    round_id: &str,
    bet: &BetLog<'_>,
    round: &RoundLog<'_>,
) -> Option<String> {
    let key = |bet: &str| (partition, round_id.to_owned(), bet.to_owned());
    let by_log = bet.stopped.as_ref().or(round.stopped.as_ref()).map(|(_, why)| why);
    by_log.or_else(|| frozen.get(&key(bet_id))).or_else(|| frozen.get(&key(""))).cloned()
}

/// The first of approved, declined, cancel, expiry and `closed` behind the first intent decides.
fn decide<'a>(
    partition: u32,
    log: &BetLog<'a>,
    intent_at: u64,
    bet: &'a Bet,
    round: &RoundLog<'a>,
    ticks: &[(u64, i64)],
) -> Story<'a> {
    let content = bet.content_hash();
    let decision = |at: u64, caused_at: i64, verdict: Verdict| Decision {
        bet: bet.clone(),
        verdict,
        at,
        caused_at,
        intent_at: Some(intent_at),
    };
    let closed = round.closed();
    let opened = round.opened().is_some_and(|opened| opened < intent_at);
    let intent_said_at = log.intents.first().map_or(0, |intent| intent.said_at);
    let mut causes: Vec<Decision> = Vec::new();
    if !opened {
        causes.push(decision(intent_at, intent_said_at, Verdict::Rejected(RejectReason::NotOpen)));
    } else if closed.is_some_and(|closed| closed.offset < intent_at) {
        causes.push(decision(intent_at, intent_said_at, Verdict::Rejected(RejectReason::Closed)));
    } else {
        causes.extend(log.answers.iter().filter(|a| intent_at < a.offset).filter_map(|answer| {
            let (hash, said) = answer.what;
            let verdict = match said {
                HoldAnswer::Approved => Verdict::Accepted,
                HoldAnswer::Declined(code) => {
                    Verdict::Rejected(RejectReason::Declined(code.clone()))
                }
            };
            (hash == content).then(|| decision(answer.offset, answer.said_at, verdict))
        }));
        causes.extend(log.cancels.iter().filter(|c| intent_at < c.offset).map(|cancel| {
            let verdict = Verdict::Cancelled(cancel.what.0.clone());
            decision(cancel.offset, cancel.said_at, verdict)
        }));
        let expiry = ticks.partition_point(|(offset, _)| *offset <= intent_at) + EXPIRY_TICKS - 1;
        causes.extend(ticks.get(expiry).map(|(offset, said_at)| {
            decision(*offset, *said_at, Verdict::Rejected(RejectReason::Expired))
        }));
        causes.extend(closed.map(|closed| {
            let verdict = Verdict::Rejected(RejectReason::Closed);
            decision(closed.offset, closed.said_at, verdict)
        }));
    }
    let decided = causes.into_iter().min_by_key(|decision| decision.at);
    let closed_at = closed.map_or(u64::MAX, |closed| closed.offset);
    let (first, cancelled) = match decided {
        Some(first) if matches!(first.verdict, Verdict::Cancelled(_)) => (None, Some(first)),
        Some(first) if first.verdict == Verdict::Accepted => {
            let later = log.cancels.iter().find(|c| first.at < c.offset && c.offset < closed_at);
            let cancelled = later.map(|cancel| {
                let verdict = Verdict::Cancelled(cancel.what.0.clone());
                let taken_back = decision(cancel.offset, cancel.said_at, verdict);
                Decision { intent_at: None, ..taken_back }
            });
            (Some(first), cancelled)
        }
        other => (other, None),
    };
    let refused = log.cancels.iter().filter(|c| c.offset < intent_at || closed_at < c.offset);
    Story {
        partition,
        bet,
        intent_at,
        refused: refused.map(|cancel| (cancel.offset, cancel.what.0.to_string())).collect(),
        settlements: Vec::new(),
        standing: Standing::Undecided,
        first,
        cancelled,
        frozen: None,
    }
}

/// The void of a bet that is not one, or the states of an accepted one version by version (R14).
fn grade_all(story: &mut Story<'_>, round: &RoundLog<'_>) {
    let void = match (&story.first, &story.cancelled) {
        (_, Some(cancelled)) => Some((cancelled, Reason::BetCancelled)),
        (Some(first), None) if first.verdict != Verdict::Accepted => {
            Some((first, Reason::BetRejected))
        }
        (Some(_), None) => None,
        (None, None) => return,
    };
    if let Some((decision, reason)) = void {
        let (held, voided, caused_at) = (Target::Held, Target::Voided, decision.caused_at);
        let at = decision.at;
        let void = Settlement::of(story.bet, REVISION_VOID, held, voided, reason, caused_at);
        story.settlements.push((at, void));
        story.standing = Standing::Void;
        return;
    }
    let game = round.game().unwrap_or_default();
    let mut state = Target::Held;
    for version in round.versions() {
        let (number, outcome) = version.what;
        match grade::state(game, story.bet, Some(outcome)) {
            Ok(target) if target == state => {}
            Ok(target) => {
                let (revision, reason) = (revision_of(number), reason(number, outcome));
                let caused_at = version.said_at;
                let due = Settlement::of(story.bet, revision, state, target, reason, caused_at);
                story.settlements.push((version.offset, due));
                state = target;
            }
            Err(why) => {
                story.frozen.get_or_insert(why);
            }
        }
    }
    story.standing = Standing::In(state);
}

fn reason(version: u32, outcome: &Outcome) -> Reason {
    match outcome {
        Outcome::Voided => Reason::RoundVoided,
        Outcome::Withdrawn => Reason::ResultWithdrawn,
        Outcome::Game(_) | Outcome::Named { .. } if version <= 1 => Reason::Result,
        Outcome::Game(_) | Outcome::Named { .. } => Reason::ResultCorrected,
    }
}
