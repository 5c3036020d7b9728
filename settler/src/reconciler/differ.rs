//! What a partner says of a round, against what it should have.
//!
//! Pure. Totals and digest say whether there is a difference, the partner's rows say which bets it is in.

use super::book::{Book, Line};
use schemas::contract::{
    CloseRequest, CloseResponse, CloseTotal, QUERY_BETS_MAX, QueryResponse, ROUND_BETS_MAX,
    RoundBetsResponse, RowBody, RowStatus,
};
use schemas::settlements::REVISION_HELD;
use schemas::wire::CaseRecord;
use schemas::{BetId, ContentHash, Money, PartnerId, RoundId};
use std::collections::BTreeMap;

/// Bets that a case names, at most; the others are counted.
const NAMED_MAX: usize = 20;
/// Longest name of a bet that the contract allows.
const BET_ID_CHARS_MAX: usize = 64;
/// Characters of what a partner said that a case repeats, at most.
const SAID_CHARS_MAX: usize = 400;
/// Code of a case: rows that are not as they should be.
const CODE_ROWS: &str = "close_rows";
/// Code of a case: the partner holds stakes that it should not.
const CODE_HOLDS: &str = "close_holds";
/// Code of a case: an answer that nobody can explain.
const CODE_UNEXPLAINED: &str = "close_unexplained";
/// Code of the step that ends a case, as for any other case.
const CODE_RESOLVED: &str = "resolved";

/// Whether the partner says what we say: totals, open holds and digest.
pub(super) fn agrees(ours: &CloseRequest, theirs: &CloseResponse) -> bool {
    let sums = |totals: &[CloseTotal]| {
        let sum = |total: &CloseTotal| {
            let key = (total.currency.clone(), total.exponent);
            let amount = |text: &String| text.parse::<i128>().ok();
            let money = (amount(&total.stake)?, amount(&total.payout)?);
            Some((key, (total.bets, money, total.voided)))
        };
        let sums = totals.iter().filter(|total| 0 < total.bets).map(sum);
        // Two totals of one currency, or one that is no number, agree with nothing.
        let sums: Option<Vec<_>> = sums.collect();
        let count = sums.as_ref().map(Vec::len);
        let map = sums.map(|sums| sums.into_iter().collect::<BTreeMap<_, _>>());
        map.filter(|map| Some(map.len()) == count)
    };
    let (our_sums, their_sums) = (sums(&ours.totals), sums(&theirs.totals));
    our_sums.is_some()
        && our_sums == their_sums
        && ours.open_holds == theirs.open_holds
        && ours.digest == theirs.digest
}

/// What was found amiss so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// In words, at most [`NAMED_MAX`].
    named: Vec<String>,
    rows: u64,
    holds: u64,
    unexplained: u64,
    /// The first bet, with its revision.
    first: Option<(String, u32)>,
}

impl Found {
    fn note(&mut self, bet: &str, revision: u32, text: String) {
        if self.named.len() < NAMED_MAX {
            self.named.push(text);
        }
        if self.first.is_none() {
            self.first = Some((bet.to_owned(), revision));
        }
    }

    fn count(&self) -> u64 {
        self.rows.saturating_add(self.holds).saturating_add(self.unexplained)
    }
}

/// A partner's rows beside ours, page by page: both are in the order of bet ids.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    /// Index of our next line.
    next: usize,
    /// The last bet of the partner's that was read.
    pub(super) after: String,
    found: Found,
}

/// What a page was worth.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// There are more.
    More,
    /// It was the last.
    Last,
    /// No page: rows that are not in order, or of no end. Nothing is known.
    Nonsense,
}

impl Walk {
    /// Before the first page. Begins with the answers that stand about what was never said.
    pub(super) fn new(book: &Book) -> Self {
        let mut found = Found::default();
        for (bet, revision) in &book.unexplained {
            found.unexplained += 1;
            let text = format!("{bet}: an answer to revision {revision}, which was never said");
            found.note(bet, *revision, text);
        }
        Self { next: 0, after: String::new(), found }
    }

    /// Compares a page of `round`.
    pub(super) fn page(&mut self, round: &RoundId, book: &Book, page: &RoundBetsResponse) -> Page {
        let is_page = page.round_id == round.as_str() && page.rows.len() <= ROUND_BETS_MAX;
        if !is_page {
            return Page::Nonsense;
        }
        for row in &page.rows {
            if row.bet_id <= self.after || !is_name(&row.bet_id) {
                return Page::Nonsense;
            }
            self.after.clone_from(&row.bet_id);
            self.row(book, row);
        }
        match &page.next {
            Some(next) if page.rows.is_empty() || *next < self.after || !is_name(next) => {
                Page::Nonsense
            }
            Some(next) => {
                self.after.clone_from(next);
                Page::More
            }
            None => {
                while let Some(line) = book.lines.get(self.next) {
                    self.missing(line);
                }
                Page::Last
            }
        }
    }

    fn row(&mut self, book: &Book, row: &RowBody) {
        while let Some(line) = book.lines.get(self.next)
            && line.bet.as_str() < row.bet_id.as_str()
        {
            self.missing(line);
        }
        match book.lines.get(self.next) {
            Some(line) if line.bet.as_str() == row.bet_id => {
                self.next += 1;
                self.compare(line, row);
            }
            Some(_) | None => self.not_ours(book, row),
        }
    }

    fn compare(&mut self, line: &Line, row: &RowBody) {
        if !is_same(line, row) {
            self.found.rows += 1;
            let text = format!("{}: {} here, {} there", line.bet, ours(line), theirs(row));
            self.found.note(&row.bet_id, line.revision, text);
        }
    }

    /// The bets that are to be asked about next, at least one while there are any.
    pub(super) fn next_of<'a>(&self, book: &'a Book) -> impl Iterator<Item = &'a Line> + use<'a> {
        book.lines.iter().skip(self.next).take(QUERY_BETS_MAX)
    }

    /// Compares the rows of these bets, which must be all of them in their order.
    pub(super) fn held(&mut self, book: &Book, answer: &QueryResponse) -> Page {
        let asked = self.next_of(book).map(|line| line.bet.as_str());
        if !asked.eq(answer.rows.iter().map(|row| row.bet_id.as_str())) {
            return Page::Nonsense;
        }
        for (line, row) in self.next_of(book).zip(&answer.rows) {
            self.next += 1;
            self.compare(line, row);
        }
        if self.next < book.lines.len() { Page::More } else { Page::Last }
    }

    /// What is amiss so far.
    pub(super) fn found(self) -> Option<Found> {
        (self.found != Found::default()).then_some(self.found)
    }

    fn missing(&mut self, line: &Line) {
        self.next += 1;
        self.found.rows += 1;
        let text = format!("{}: {} here, no row there", line.bet, ours(line));
        self.found.note(line.bet.as_str(), line.revision, text);
    }

    /// A row of a bet that is not in, or of one that is set aside.
    fn not_ours(&mut self, book: &Book, row: &RowBody) {
        let bet = row.bet_id.parse::<BetId>();
        if bet.is_ok_and(|bet| book.is_aside(&bet)) {
            return;
        }
        if row.revision == REVISION_HELD {
            self.found.holds += 1;
        } else if REVISION_HELD + 1 < row.revision {
            self.found.rows += 1;
        } else {
            return;
        }
        let text = format!("{}: no bet that counts here, {} there", row.bet_id, theirs(row));
        self.found.note(&row.bet_id, row.revision, text);
    }

    /// What is amiss, once all pages were read; `None` if nothing is.
    pub(super) fn end(
        self,
        book: &Book,
        request: &CloseRequest,
        answer: &CloseResponse,
    ) -> Option<Found> {
        let mut found = self.found;
        if found == Found::default() && book.is_whole() {
            found.unexplained += 1;
            found.named.push(format!(
                "every row is as it should be, and yet the partner sums them up otherwise: {} here, {} there",
                summary(&request.totals, request.open_holds, &request.digest),
                summary(&answer.totals, answer.open_holds, &answer.digest),
            ));
        }
        (found != Found::default()).then_some(found)
    }
}

/// The case of what was found. Named by all it says, so that a repeat names the same case and another
/// difference another one; and by how many of the round have ended, as what has come back may be lost again.
pub(super) fn opened(
    partner: &PartnerId,
    (round, version, ended_count): (&RoundId, u32, usize),
    found: &Found,
) -> CaseRecord {
    let code = match (found.rows, found.holds) {
        (0, 0) => CODE_UNEXPLAINED,
        (0, _) => CODE_HOLDS,
        (_, _) => CODE_ROWS,
    };
    let count = found.count();
    let more = count.saturating_sub(u64::try_from(found.named.len()).unwrap_or(u64::MAX));
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    let text = format!(
        "round {round} at result version {version} is not the same at {partner} ({} rows, {} open \
         holds, {} unexplained): {}{more}",
        found.rows,
        found.holds,
        found.unexplained,
        found.named.join("; "),
    );
    let alone = found.first.as_ref().filter(|_| count == 1);
    let name = ContentHash::of(&[partner.as_str(), code, &text, &ended_count.to_string()]);
    CaseRecord {
        case_id: format!("case_{name}"),
        step: 1,
        code: code.to_owned(),
        partner_id: Some(partner.to_string()),
        round_id: Some(round.to_string()),
        bet_id: alone.map(|(bet, _)| bet.clone()),
        revision: alone.map(|(_, revision)| i64::from(*revision)),
        text,
    }
}

/// The end of a case: the partner's books of the round are ours again.
pub(super) fn resolved(partner: &PartnerId, round: &RoundId, case_id: &str) -> CaseRecord {
    CaseRecord {
        case_id: case_id.to_owned(),
        step: 2,
        code: CODE_RESOLVED.to_owned(),
        partner_id: Some(partner.to_string()),
        round_id: Some(round.to_string()),
        bet_id: None,
        revision: None,
        text: format!("round {round} is the same at {partner} now"),
    }
}

/// Whether the contract allows it as the name of a bet: it becomes part of a URL and of a case.
fn is_name(bet: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_:-".contains(&byte);
    bet.len() <= BET_ID_CHARS_MAX && bet.bytes().all(allowed)
}

fn is_same(line: &Line, row: &RowBody) -> bool {
    let stake = row.stake.as_ref().and_then(|stake| Money::try_from(stake).ok());
    row.revision == line.revision
        && row.status == line.status
        && stake == Some(line.stake)
        && payout(line, row) == Some(line.payout)
}

/// Minor units; 0 where the row is not settled, and nothing where it is and names no amount, or names one
/// in another currency than the stake's.
fn payout(line: &Line, row: &RowBody) -> Option<i64> {
    match (&row.payout, row.status) {
        (Some(payout), _) => {
            let payout = Money::try_from(payout).ok()?;
            (payout == line.stake.with_units(payout.units)).then_some(payout.units)
        }
        (None, RowStatus::Settled) => None,
        (
            None,
            RowStatus::Held
            | RowStatus::Declined
            | RowStatus::Voided
            | RowStatus::Absent
            | RowStatus::Other,
        ) => Some(0),
    }
}

fn ours(line: &Line) -> String {
    let Line { revision, status, stake, payout, .. } = line;
    let (units, currency) = (stake.units, stake.currency);
    let status = status.as_str();
    format!("{status} at revision {revision}, stake {units} {currency}, payout {payout}")
}

fn theirs(row: &RowBody) -> String {
    let money = |body: &Option<schemas::contract::MoneyBody>| match body {
        Some(money) => format!("{} {} (exponent {})", money.units, money.currency, money.exponent),
        None => "none".to_owned(),
    };
    let (status, revision) = (row.status.as_str(), row.revision);
    let (stake, payout) = (money(&row.stake), money(&row.payout));
    clipped(format!("{status} at revision {revision}, stake {stake}, payout {payout}"))
}

/// A partner's words, no longer than a case can bear.
fn clipped(text: String) -> String {
    match text.char_indices().nth(SAID_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

fn summary(totals: &[CloseTotal], open_holds: u64, digest: &str) -> String {
    let total = |total: &CloseTotal| {
        let CloseTotal { currency, bets, stake, payout, voided, .. } = total;
        format!("{bets} bets, stake {stake}, payout {payout}, {voided} voided in {currency}")
    };
    let totals: Vec<String> = totals.iter().map(total).collect();
    clipped(format!("digest {digest}, {open_holds} open holds, [{}]", totals.join("; ")))
}
