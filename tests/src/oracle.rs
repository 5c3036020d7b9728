//! What the log means, by definition, for one partition of `bets`: the second opinion.
//!
//! Knows none of our crates, shares no code with the settler, folds nothing: of all that could decide a
//! bet the first decides it. Integers only. At most 150 lines, so that it can be checked by reading.

use std::collections::BTreeMap;

/// One record of the log: offset (rising), round and bet (empty where none is named).
#[derive(Clone, Debug)]
pub struct Event {
    pub at: u64,
    pub round: String,
    pub bet: String,
    pub said: Said,
}

/// What a record says. Hashes are compared, never computed.
#[derive(Clone, Debug)]
pub enum Said {
    /// A bet is written down: content hash, stake in minor units, odds in hundredths, selection.
    Intent(String, i64, i64, String),
    /// The partner holds the stake of the content with this hash, or does not.
    Approved(String),
    Declined(String),
    /// The player wants the bet back; a second has passed.
    Cancel,
    Tick,
    /// The round takes bets; the cut-off.
    Opened,
    Closed,
    /// A result version, 1 and above.
    Version(u32, Outcome),
}

/// What a result version says of the round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Who won and who is void; every other selection has lost.
    Named(Vec<String>, Vec<String>),
    /// The result before is taken back; the round does not count.
    Withdrawn,
    Voided,
}

/// The state of a bet at the partner; settled with a payout, stake included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Held,
    Settled(i128),
    Voided,
}

/// Where a bet was accepted, rejected, cancelled; if it stands, its state at result version 1, 2, ...
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    pub stake: i128,
    pub accepted: Option<u64>,
    pub rejected: Option<u64>,
    pub cancelled: Option<u64>,
    pub states: Vec<State>,
}

impl Judged {
    /// What the partner must have moved at rest, in minor units.
    pub fn net(&self) -> i128 {
        match self.states.last() {
            _ if self.accepted.is_none() || self.cancelled.is_some() => 0,
            Some(State::Voided) => 0,
            Some(State::Settled(payout)) => payout - self.stake,
            Some(State::Held) | None => -self.stake,
        }
    }
}

/// Judges every bet that has an intent in `log`, by bet id.
pub fn judge(log: &[Event]) -> BTreeMap<String, Judged> {
    let mut bets = BTreeMap::<&str, Vec<&Event>>::new();
    for event in log.iter().filter(|event| !event.bet.is_empty()) {
        bets.entry(&event.bet).or_default().push(event);
    }
    let (rounds, none) = (rounds(log), Round::default());
    let ticks: Vec<_> = log.iter().filter(|e| matches!(e.said, Said::Tick)).map(|e| e.at).collect();
    let judge = |(bet, events): (&str, Vec<&Event>)| {
        let first = events.iter().position(|e| matches!(e.said, Said::Intent(..)))?;
        let round = rounds.get(events[first].round.as_str()).unwrap_or(&none);
        Some((bet.to_owned(), judge_bet(&events[first..], round, &ticks)))
    };
    bets.into_iter().filter_map(judge).collect()
}

#[derive(Default)]
struct Round<'log> {
    opened: Option<u64>,
    closed: Option<u64>,
    versions: Vec<&'log Outcome>,
}

/// A marker counts where it stands first; a version only behind the one before it.
fn rounds(log: &[Event]) -> BTreeMap<&str, Round<'_>> {
    let mut rounds = BTreeMap::<&str, Round<'_>>::new();
    for Event { at, round, said, .. } in log.iter().filter(|event| event.bet.is_empty()) {
        let round = rounds.entry(round).or_default();
        if matches!(said, Said::Opened) {
            round.opened = round.opened.or(Some(*at));
        } else if matches!(said, Said::Closed) {
            round.closed = round.closed.or(Some(*at));
        } else if let Said::Version(version, outcome) = said
            && usize::try_from(*version) == Ok(round.versions.len() + 1)
        {
            round.versions.push(outcome);
        }
    }
    rounds
}

/// Judges one bet; `events` are those that name it, from its first intent on.
fn judge_bet(events: &[&Event], round: &Round<'_>, ticks: &[u64]) -> Judged {
    const NEVER: u64 = u64::MAX;
    const TICKS: usize = 6; // behind an intent, at which it expires (R8)
    let Said::Intent(content, stake, odds, selection) = &events[0].said else { unreachable!() };
    let first = |wanted: &dyn Fn(&Said) -> bool| {
        events.iter().find(|event| wanted(&event.said)).map_or(NEVER, |event| event.at)
    };
    let approved = first(&|said| matches!(said, Said::Approved(hash) if hash == content));
    let declined = first(&|said| matches!(said, Said::Declined(hash) if hash == content));
    let cancel = first(&|said| matches!(said, Said::Cancel));
    let (intent, closed) = (events[0].at, round.closed.unwrap_or(NEVER));
    let expired = ticks.iter().filter(|at| intent < **at).nth(TICKS - 1);
    let open = round.opened.is_some_and(|at| at < intent) && intent < closed;
    let refused = declined.min(*expired.unwrap_or(&NEVER)).min(closed);
    let ended = if open { refused } else { intent };
    let mut judged = Judged { stake: i128::from(*stake), ..Judged::default() };
    if ended < approved.min(cancel) {
        return Judged { rejected: Some(ended), ..judged };
    }
    judged.accepted = Some(approved).filter(|at| *at < cancel.min(ended));
    judged.cancelled = Some(cancel).filter(|at| *at < closed);
    if judged.accepted.is_some() && judged.cancelled.is_none() {
        let payout = judged.stake * i128::from(*odds) / 100;
        let state = |outcome: &&Outcome| match outcome {
            Outcome::Withdrawn => State::Held,
            Outcome::Voided => State::Voided,
            Outcome::Named(_, void) if void.contains(selection) => State::Voided,
            Outcome::Named(won, _) if won.contains(selection) => State::Settled(payout),
            Outcome::Named(..) => State::Settled(0),
        };
        judged.states = round.versions.iter().map(state).collect();
    }
    judged
}
