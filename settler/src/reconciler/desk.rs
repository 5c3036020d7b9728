//! Closing rounds with one partner: one round at a time, and more patience with each call that fails.
//!
//! A close asks the partner for its totals and digest, where these differ for its rows too, and ends in a
//! fact. Records of cases are acknowledged before the fact: it says that nothing is left to be said.

use super::book::Book;
use super::differ::{self, Found, Page, Walk};
use runtime::Millis;
use runtime::http::{CallError, HttpAnswer};
use schemas::contract::{
    CloseRequest, CloseResponse, QueryRequest, QueryResponse, RoundBetsResponse,
};
use schemas::wire::{CaseRecord, CloseRecord};
use schemas::{PartnerId, RoundId};

/// Ms until a partner that did not answer is asked again, at first and at most. At most: what a partner
/// that is back owes us is known within that time; at first: one lost answer is no outage.
const WAIT_MS_MIN: i64 = 1_000;
const WAIT_MS_MAX: i64 = 10 * 60 * 1_000;

/// What a partner is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseCall {
    /// The partner.
    pub partner: PartnerId,
    /// Names the close in the header `webhook-id`; the same for every repeat.
    pub close_id: String,
    /// The question.
    pub ask: CloseAsk,
}

/// The question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseAsk {
    /// `POST /rounds/close` with this body.
    Close(Vec<u8>),
    /// `GET /rounds/{id}/bets`: the rows of the round behind a bet, from the first if empty.
    Rows {
        /// The round.
        round: RoundId,
        /// The bet; letters, digits, `_`, `:` and `-`.
        after: String,
    },
    /// `POST /bets/query` with this body.
    Query(Vec<u8>),
}

/// What is to be known of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Whether all of it is the same: its totals and digest, and its rows where these differ.
    Whole,
    /// Whether these bets are held.
    Holds,
}

/// What came back.
pub type CloseAnswer = Result<HttpAnswer, CallError>;

/// A round as it is to be closed with a partner.
#[derive(Clone, Debug)]
pub(super) struct Closing {
    pub(super) round: RoundId,
    pub(super) question: Question,
    pub(super) version: u32,
    /// Offset of the marker of that version.
    pub(super) at: u64,
    pub(super) book: Book,
    pub(super) request: CloseRequest,
    /// Hash of the request.
    pub(super) said: String,
    /// Whether the partner has said the same to that request before.
    pub(super) was_same: bool,
    /// Cases of this round and partner that have not ended.
    pub(super) open: Vec<String>,
    /// How many have.
    pub(super) ended_count: usize,
}

/// How a close ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The partner says the same.
    Same,
    /// It does not.
    Differs(CaseRecord),
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Next {
    /// Ask the partner.
    Ask(CloseCall),
    /// It has ended, and nothing is written yet.
    End(Box<Closing>, End),
    /// There was no answer: nothing is known.
    Nothing,
}

#[derive(Debug)]
enum Step {
    Asked,
    Rows { answer: CloseResponse, walk: Box<Walk> },
    Holds(Box<Walk>),
}

/// A partner's place in a partition.
#[derive(Debug, Default)]
pub(super) struct Desk {
    trying: Option<(u64, Box<Closing>, Step)>,
    failures: u32,
    not_before: Millis,
}

impl Desk {
    /// Whether the partner may be asked at `now`.
    pub(super) fn is_free(&self, now: Millis) -> bool {
        self.trying.is_none() && self.not_before <= now
    }

    /// When it may be asked, unless it is being asked.
    pub(super) fn not_before(&self) -> Millis {
        self.not_before
    }

    pub(super) fn is_trying(&self) -> bool {
        self.trying.is_some()
    }

    /// Whether its last call failed.
    pub(super) fn is_failing(&self) -> bool {
        0 < self.failures
    }

    /// Whether the call of this token is its.
    pub(super) fn awaits(&self, token: u64) -> bool {
        self.trying.as_ref().is_some_and(|(of, ..)| *of == token)
    }

    /// Begins a close; the call of `token` asks for totals and digest, or about the first bets. `None` if the request
    /// cannot be encoded.
    pub(super) fn begin(
        &mut self,
        token: u64,
        partner: &PartnerId,
        closing: Closing,
    ) -> Option<CloseCall> {
        let (ask, step) = match closing.question {
            Question::Whole => {
                (CloseAsk::Close(serde_json::to_vec(&closing.request).ok()?), Step::Asked)
            }
            Question::Holds => {
                let walk = Box::new(Walk::new(&closing.book));
                (query(&closing, &walk)?, Step::Holds(walk))
            }
        };
        let call = call(partner, &closing, ask);
        self.trying = Some((token, Box::new(closing), step));
        Some(call)
    }

    /// Takes the answer to the call it awaits; a further call is of token `next`.
    pub(super) fn answered(
        &mut self,
        now: Millis,
        partner: &PartnerId,
        answer: &CloseAnswer,
        next: u64,
    ) -> Next {
        let Some((_, closing, step)) = self.trying.take() else { return Next::Nothing };
        let done = match step {
            Step::Asked => asked(&closing, answer),
            Step::Rows { answer: close, mut walk } => {
                let page = body::<RoundBetsResponse>(answer)
                    .map(|page| walk.page(&closing.round, &closing.book, &page));
                match page {
                    Some(Page::More) => Some(Done::Rows(close, walk)),
                    Some(Page::Last) => {
                        let found = walk.end(&closing.book, &closing.request, &close);
                        Some(Done::End(found))
                    }
                    Some(Page::Nonsense) | None => None,
                }
            }
            Step::Holds(mut walk) => {
                let page = body::<QueryResponse>(answer);
                match page.map(|page| walk.held(&closing.book, &page)) {
                    Some(Page::More) => Some(Done::Holds(walk)),
                    Some(Page::Last) => Some(Done::End(walk.found())),
                    Some(Page::Nonsense) | None => None,
                }
            }
        };
        let Some(done) = done else {
            self.failed(now, answer);
            return Next::Nothing;
        };
        self.failures = 0;
        match done {
            Done::Rows(answer, walk) => {
                let (round, after) = (closing.round.clone(), walk.after.clone());
                let ask = call(partner, &closing, CloseAsk::Rows { round, after });
                self.trying = Some((next, closing, Step::Rows { answer, walk }));
                Next::Ask(ask)
            }
            Done::Holds(walk) => {
                let Some(ask) = query(&closing, &walk) else { return Next::Nothing };
                let ask = call(partner, &closing, ask);
                self.trying = Some((next, closing, Step::Holds(walk)));
                Next::Ask(ask)
            }
            Done::End(found) => {
                let of = (&closing.round, closing.version, closing.ended_count);
                let case = found.map(|found| differ::opened(partner, of, &found));
                Next::End(closing, case.map_or(End::Same, End::Differs))
            }
        }
    }

    fn failed(&mut self, now: Millis, answer: &CloseAnswer) {
        let wait = WAIT_MS_MIN.checked_shl(self.failures).unwrap_or(WAIT_MS_MAX);
        let asked_for = answer.as_ref().ok().and_then(|answer| answer.retry_after_ms);
        let asked_for = i64::try_from(asked_for.unwrap_or(0)).unwrap_or(WAIT_MS_MAX);
        let wait = wait.max(asked_for).clamp(WAIT_MS_MIN, WAIT_MS_MAX);
        self.failures = self.failures.saturating_add(1).min(WAIT_DOUBLED_MAX);
        self.not_before = now.saturating_add(wait);
    }
}

/// Doublings behind which the wait is the longest anyway.
const WAIT_DOUBLED_MAX: u32 = 20;

enum Done {
    Rows(CloseResponse, Box<Walk>),
    Holds(Box<Walk>),
    End(Option<Found>),
}

/// What the answer to a close is worth; `None` if it is none.
fn asked(closing: &Closing, answer: &CloseAnswer) -> Option<Done> {
    let theirs = body::<CloseResponse>(answer)?;
    let echoes = theirs.round_id == closing.request.round_id
        && theirs.result_version == closing.request.result_version;
    if !echoes {
        return None;
    }
    if closing.book.unexplained.is_empty() && differ::agrees(&closing.request, &theirs) {
        return Some(Done::End(None));
    }
    Some(Done::Rows(theirs, Box::new(Walk::new(&closing.book))))
}

/// The body of a 200; anything else is no answer, whatever it says (contract 4).
fn body<T: serde::de::DeserializeOwned>(answer: &CloseAnswer) -> Option<T> {
    let answer = answer.as_ref().ok().filter(|answer| answer.status == 200)?;
    serde_json::from_slice(&answer.body).ok()
}

/// The question about the next bets.
fn query(closing: &Closing, walk: &Walk) -> Option<CloseAsk> {
    let bet_ids = walk.next_of(&closing.book).map(|line| line.bet.to_string()).collect();
    serde_json::to_vec(&QueryRequest { bet_ids }).ok().map(CloseAsk::Query)
}

fn call(partner: &PartnerId, closing: &Closing, ask: CloseAsk) -> CloseCall {
    CloseCall { partner: partner.clone(), close_id: format!("close_{}", closing.said), ask }
}

impl Closing {
    /// The records of its end, and the fact behind them.
    pub(super) fn ended(&self, partner: &PartnerId, end: &End) -> (Vec<CaseRecord>, CloseRecord) {
        let (cases, case_id, ended) = match end {
            End::Same => {
                let resolved = |case: &String| differ::resolved(partner, &self.round, case);
                (self.open.iter().map(resolved).collect(), None, self.open.clone())
            }
            End::Differs(case) => (vec![case.clone()], Some(case.case_id.clone()), Vec::new()),
        };
        let record = CloseRecord {
            round_id: self.round.to_string(),
            partner_id: partner.to_string(),
            result_version: i64::from(self.version),
            said: self.said.clone(),
            case_id,
            ended,
        };
        (cases, record)
    }
}
