//! What each partner should have of a round, from decisions, versions and answers: what a close says.
//!
//! Pure: equal facts make equal books, to the byte of the request.

use super::Answers;
use crate::memory::Round;
use runtime::Millis;
use schemas::bets::Bet;
use schemas::contract::{CLOSE_LISTED_MAX, CloseRequest, CloseSums, RowStatus};
use schemas::decisions::Decision;
use schemas::settlements::{REVISION_HELD, REVISION_VOID, Settlement, Target};
use schemas::{BetId, Currency, Money, PartnerId, RoundId};
use settlement::RuleError;
use std::collections::{BTreeMap, BTreeSet};

/// A bet as the partner's row should say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) bet: BetId,
    pub(super) revision: u32,
    pub(super) status: RowStatus,
    pub(super) stake: Money,
    /// Minor units; 0 unless settled.
    pub(super) payout: i64,
    /// When the bet was placed, ms.
    pub(super) placed_at: Millis,
}

impl Line {
    fn of(bet: &Bet, revision: u32, target: Target) -> Self {
        let (status, payout) = target.row();
        let (stake, placed_at) = (bet.stake, bet.placed_at);
        Self { bet: bet.id.clone(), revision, status, stake, payout, placed_at }
    }
}

/// Money by currency, in minor units.
pub(crate) type Units = BTreeMap<Currency, i128>;

/// One partner's bets of a round in one partition; a partner has one lane, so these are all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Book {
    /// Every bet that is in, ordered by id, but for those set aside.
    pub(super) lines: Vec<Line>,
    /// Parked or frozen: what the partner has of them is not compared.
    aside: BTreeSet<BetId>,
    /// Frozen, and nobody knows whose they are: named to nobody, compared with nobody.
    nobodys: BTreeSet<BetId>,
    /// Of those set aside, the ones by currency.
    parked: BTreeMap<(Currency, u8), u64>,
    /// Bets set aside of which the partner confirmed nothing but the hold.
    open_holds: u64,
    /// Settlements without a final answer that are not parked.
    pub(super) unanswered: u64,
    /// When the oldest of them was caused, ms.
    pub(super) unanswered_since: Option<Millis>,
    /// What is still to move, unsigned: unanswered and parked.
    pub(super) in_flight: Units,
    /// What decisions and versions say the bets are worth, less what was told, is owed and is parked.
    /// Anything but 0 means that the accounts of this round do not add up.
    pub(super) gap: Units,
    /// Answers about what was never said: bet and revision.
    pub(super) unexplained: Vec<(String, u32)>,
}

/// The books of a round, by partner. A partner is there if it has a decision, a frozen intent, or an
/// answer.
pub(super) fn books(round: &Round, answers: &Answers) -> BTreeMap<PartnerId, Book> {
    let mut books: BTreeMap<PartnerId, Book> = BTreeMap::new();
    let mut nobodys = BTreeSet::new();
    for (id, state) in round.bets.iter() {
        let Some((bet, decision)) = state.known() else {
            nobodys.insert(id.clone());
            continue;
        };
        let book = books.entry(bet.partner.clone()).or_default();
        match decision.map(|decision| due(round, decision)) {
            Some(Ok(due)) => book.take(bet, &due, answers),
            Some(Err(_)) | None => book.set_aside(bet, answers),
        }
    }
    for (bet, partner, revision) in answers.about_unknown(&round.bets) {
        books.entry(partner).or_default().unexplained.push((bet, revision));
    }
    for book in books.values_mut() {
        book.nobodys.clone_from(&nobodys);
    }
    books
}

/// What a bet is owed: every settlement, and the state that it should be in now.
pub(super) struct Due {
    pub(super) settlements: Vec<Settlement>,
    now: Target,
}

/// # Errors
/// [`RuleError`] if the bet cannot be graded; also where its round is frozen, which grades nothing.
pub(super) fn due(round: &Round, decision: &Decision) -> Result<Due, Option<RuleError>> {
    if let Some(void) = settlement::final_void(decision) {
        return Ok(Due { settlements: vec![void], now: Target::Voided });
    }
    let (Some(rules), None) = (round.rules, &round.frozen) else { return Err(None) };
    // Asked of the newest version alone, so that it does not come from the chain it is compared with.
    let outcome = round.versions.last().map(|(outcome, _)| outcome);
    let now = settlement::state(rules.game, &decision.bet, outcome).map_err(Some)?;
    let settlements = settlement::expected(rules.game, decision, &round.versions).map_err(Some)?;
    Ok(Due { settlements, now })
}

impl Book {
    fn take(&mut self, bet: &Bet, due: &Due, answers: &Answers) {
        let stake = bet.stake;
        let confirmed = answers.confirmed(&bet.id);
        let known = |revision: u32| due.settlements.iter().find(|one| one.revision == revision);
        for revision in answers.revisions(&bet.id) {
            if known(revision).is_none() {
                self.unexplained.push((bet.id.to_string(), revision));
            }
        }
        let told = match confirmed {
            Some(revision) => known(revision).map(|one| one.target.net(stake.units)),
            None => Some(Target::Held.net(stake.units)),
        };
        let mut accounted = told.unwrap_or(0);
        match due.settlements.last() {
            Some(newest) if !answers.is_final(newest) => {
                let owed = newest.target.net(stake.units).saturating_sub(accounted);
                accounted = accounted.saturating_add(owed);
                add(&mut self.in_flight, stake.currency, owed.saturating_abs());
                if answers.is_parked(newest) {
                    self.set_aside(bet, answers);
                } else {
                    self.unanswered += 1;
                    let since = self.unanswered_since.unwrap_or(newest.caused_at);
                    self.unanswered_since = Some(since.min(newest.caused_at));
                }
            }
            Some(newest) if newest.revision == REVISION_VOID => {}
            Some(newest) => self.lines.push(Line::of(bet, newest.revision, newest.target)),
            None => self.lines.push(Line::of(bet, REVISION_HELD, Target::Held)),
        }
        let gap = due.now.net(stake.units).saturating_sub(accounted);
        add(&mut self.gap, stake.currency, gap);
    }

    fn set_aside(&mut self, bet: &Bet, answers: &Answers) {
        *self.parked.entry((bet.stake.currency, bet.stake.exponent)).or_default() += 1;
        self.open_holds += u64::from(answers.confirmed(&bet.id).is_none());
        self.aside.insert(bet.id.clone());
    }

    /// Whether what the partner has of the bet is not compared.
    pub(super) fn is_aside(&self, bet: &BetId) -> bool {
        self.aside.contains(bet) || self.nobodys.contains(bet)
    }

    /// Whether every bet is compared.
    pub(super) fn is_whole(&self) -> bool {
        self.aside.is_empty() && self.nobodys.is_empty()
    }

    /// What is said of the round, at result version `version`, to the partner whose book this is.
    pub(super) fn request(
        &self,
        partner: &PartnerId,
        round: &RoundId,
        version: u32,
    ) -> CloseRequest {
        let mut sums = CloseSums::default();
        let mut open_holds = self.open_holds;
        for Line { bet, revision, status, stake, payout, .. } in &self.lines {
            match *revision {
                ..=REVISION_VOID => open_holds += 1,
                revision => sums.row(bet.as_str(), revision, *stake, (*status, *payout)),
            }
        }
        for ((currency, exponent), parked) in &self.parked {
            sums.aside(*currency, *exponent, *parked);
        }
        let (totals, digest) = sums.finish();
        CloseRequest {
            partner_id: partner.to_string(),
            round_id: round.to_string(),
            result_version: version,
            totals,
            open_holds,
            digest,
            listed: self.aside.iter().take(CLOSE_LISTED_MAX).map(ToString::to_string).collect(),
        }
    }
}

fn add(units: &mut Units, currency: Currency, amount: i128) {
    let sum = units.entry(currency).or_default();
    *sum = sum.saturating_add(amount);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(bet: &str, revision: u32, target: Target, stake: i64) -> Line {
        let stake = Money::new(stake, "EUR".parse().unwrap(), 2).unwrap();
        let (status, payout) = target.row();
        Line { bet: bet.parse().unwrap(), revision, status, stake, payout, placed_at: 0 }
    }

    /// The digest was worked out by sha256sum over the contract's four lines.
    #[test]
    fn totals_and_digest_are_the_contracts() {
        let lines = vec![
            line("r1:a", 3, Target::Settled(2_500), 1_000),
            line("r1:b", 3, Target::Settled(0), 1_000),
            line("r1:c", 4, Target::Voided, 300),
            line("r1:d", 5, Target::Held, 700),
            line("r1:e", 1, Target::Held, 50),
        ];
        let book = Book { lines, ..Book::default() };
        let request = book.request(&"acme".parse().unwrap(), &"r1".parse().unwrap(), 3);
        let digest = "891babf40319169bb38c6c2a8364af9db307a926aad1311e7b708dd34d7540b0";
        assert_eq!(request.digest, digest);
        let [total] = &request.totals[..] else { panic!("{:?}", request.totals) };
        assert_eq!((total.bets, total.stake.as_str(), total.payout.as_str()), (4, "3000", "2500"));
        assert_eq!((total.voided, total.parked, total.exponent), (1, 0, 2));
        assert_eq!((request.open_holds, request.result_version), (1, 3));
        let nothing = Book::default().request(&"acme".parse().unwrap(), &"r1".parse().unwrap(), 1);
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!((nothing.digest.as_str(), nothing.totals.len()), (empty, 0));
    }

    /// A sum of int64 amounts may be beyond an int64.
    #[test]
    fn sums_do_not_overflow() {
        let lines = vec![
            line("r1:a", 3, Target::Settled(i64::MAX), i64::MAX),
            line("r1:b", 3, Target::Settled(i64::MAX), i64::MAX),
        ];
        let request = Book { lines, ..Book::default() }.request(
            &"acme".parse().unwrap(),
            &"r1".parse().unwrap(),
            1,
        );
        assert_eq!(request.totals[0].payout, (i128::from(i64::MAX) * 2).to_string());
    }
}
