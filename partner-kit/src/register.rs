//! The ledger of one partner: one versioned register per bet, and the players' balances.
//!
//! Pure: no IO, no clock, no randomness; the same calls give the same rows and the same [`Movement`]s.
//! Contract section 1 is the specification. On a message with revision `r`:
//!
//! | `r` against the row | what happens |
//! |---|---|
//! | newer | `net(new state) - collected_net` is moved, the row takes the state |
//! | equal, same content | the row is answered again, nothing moves |
//! | equal, other content | `revision_conflict`, nothing moves |
//! | older | `superseded`, naming the row's revision, nothing moves |
//!
//! `net(held) = -stake`, `net(settled) = payout - stake`, `net(declined | voided | absent) = 0`. Every
//! accepted change gives exactly one movement; replaying them gives the same register again.

mod authorize;
mod books;
mod misapply;
mod replay;
mod session;
mod state;
#[cfg(test)]
mod tests;

pub use authorize::Refusal;
pub use books::API_VERSION;
pub use replay::ReplayError;

use crate::movement::{Block, DeclineCode, Deposit, Entry, Epoch, Movement};
use schemas::contract::{AuthorizeRequest, AuthorizeResponse, RowStatus, StateItem, StateResult};
use schemas::{Currency, Money, PartnerId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Longest `bet_id` that the contract allows.
const BET_ID_CHARS_MAX: usize = 64;

/// What happens when a correction takes back more than the player has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClawBack {
    /// The balance goes below zero.
    Negative,
    /// What is there is taken, the rest is a shortfall of that bet. It is not collected by itself later;
    /// the next revision of the bet counts it.
    CollectAvailable,
}

impl ClawBack {
    /// The word in the capabilities.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Negative => "negative",
            Self::CollectAvailable => "collect_available",
        }
    }
}

/// What a register is told once.
#[derive(Clone, Debug)]
pub struct LedgerOptions {
    /// Whose ledger this is.
    pub partner: PartnerId,
    /// The currencies taken, with their exponents.
    pub currencies: BTreeMap<Currency, u8>,
    /// Minor units that an account has when a player is first seen.
    pub opening_units: i64,
    /// What happens when a correction takes back more than the player has.
    pub claw_back: ClawBack,
    /// Rises when the ledger was restored from a backup (R20).
    pub ledger_epoch: u64,
}

/// One bet at the partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The player, byte for byte.
    pub player: Arc<str>,
    /// The newest revision.
    pub revision: u32,
    /// held, declined, settled or voided.
    pub status: RowStatus,
    /// declined: why.
    pub code: Option<DeclineCode>,
    /// The stake as the newest revision says it.
    pub stake: Money,
    /// Minor units; 0 unless settled.
    pub payout: i64,
    /// What was really moved on this bet, minor units of the player's account.
    pub collected_net: i64,
    /// A hold that never was or never will be: it can only be voided again. True for a row voided at
    /// revision 2, and for one voided that was never held.
    pub dead: bool,
    /// What was moved at this revision that nobody asked for, minor units; 0 for an honest ledger. The next
    /// revision counts it like all else that was moved.
    pub astray: i64,
    /// Number of the movement that wrote the row.
    pub seq: u64,
}

impl Row {
    /// What the state is worth to the player, minor units.
    ///
    /// Stakes are above 0 and payouts at least 0, so the difference cannot overflow.
    pub fn net(&self) -> i64 {
        net(self.status, self.stake.units, self.payout)
    }

    /// What a claw-back could not take so far, minor units, 0 or above.
    pub fn shortfall(&self) -> i64 {
        self.collected_net.saturating_sub(self.net()).saturating_sub(self.astray)
    }

    /// The partner's own name for the movement that wrote the row.
    pub fn partner_ref(&self) -> String {
        format!("tx-{}", self.seq)
    }
}

/// `net` of contract section 1.
fn net(status: RowStatus, stake: i64, payout: i64) -> i64 {
    match status {
        RowStatus::Held => stake.saturating_neg(),
        RowStatus::Settled => payout.saturating_sub(stake),
        RowStatus::Declined | RowStatus::Voided | RowStatus::Absent | RowStatus::Other => 0,
    }
}

/// A player's money, in one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// The currency, with its exponent; units are the free balance and may be below 0.
    pub free: Money,
    /// What was paid while the player was blocked, in minor units; 0 or above.
    pub suspense: i64,
}

impl Account {
    /// The account once `units` of a bet have moved, and what of them went to suspense: credits while the player is
    /// blocked; debits come from there first. `None` if the amount cannot be held.
    fn moved(self, units: i64, blocked: bool) -> Option<(Self, i64)> {
        let aside = match units {
            0.. if blocked => units,
            0.. => 0,
            ..0 => units.max(self.suspense.checked_neg()?),
        };
        Some((self.with(units, aside)?, aside))
    }

    /// The account with `units` more, `aside` of them in suspense.
    fn with(self, units: i64, aside: i64) -> Option<Self> {
        let free = self.free.units.checked_add(units.checked_sub(aside)?)?;
        let suspense = self.suspense.checked_add(aside).filter(|units| 0 <= *units)?;
        Some(Self { free: self.free.with_units(free), suspense })
    }

    /// What a claw-back can take without going below zero.
    fn available(&self) -> i64 {
        self.free.units.max(0).saturating_add(self.suspense)
    }
}

/// The register of one partner.
#[derive(Clone, Debug)]
pub struct Register {
    options: LedgerOptions,
    rows: BTreeMap<String, Row>,
    accounts: BTreeMap<Arc<str>, Account>,
    blocked: BTreeSet<String>,
    seq: u64,
    now: i64,
}

impl Register {
    /// A register without rows.
    pub fn new(options: LedgerOptions) -> Self {
        Self {
            options,
            rows: BTreeMap::new(),
            accounts: BTreeMap::new(),
            blocked: BTreeSet::new(),
            seq: 0,
            now: 0,
        }
    }

    /// Asks for a stake (revision 1). A standing row is answered as it stands, whatever the time.
    ///
    /// At `now` (ms since the Unix epoch) at or behind `expires_at` a bet without a row is declined.
    /// Gives at most one movement: the new row.
    pub fn authorize(
        &mut self,
        now: i64,
        request: &AuthorizeRequest,
    ) -> (Result<AuthorizeResponse, Refusal>, Vec<Movement>) {
        self.authorize_unless(now, request, None)
    }

    /// As [`Register::authorize`], but a bet that has no row is declined with `decline`, if given.
    pub fn authorize_unless(
        &mut self,
        now: i64,
        request: &AuthorizeRequest,
        decline: Option<DeclineCode>,
    ) -> (Result<AuthorizeResponse, Refusal>, Vec<Movement>) {
        self.tell_time(now);
        match authorize::authorize(self, request, decline) {
            Ok((response, movement)) => (Ok(response), movement.into_iter().collect()),
            Err(refusal) => (Err(refusal), Vec::new()),
        }
    }

    /// Takes one target state (revision 2 and above). Gives at most one movement.
    ///
    /// A final void (revision 2) is taken whatever stake and currency it names, because it must end every
    /// hold: what was held goes back, in the currency of the account.
    pub fn state(&mut self, item: &StateItem) -> (StateResult, Vec<Movement>) {
        let (result, movement) = state::state(self, item);
        (result, movement.into_iter().collect())
    }

    /// Tells the time, ms since the Unix epoch; movements carry the latest one told.
    pub fn tell_time(&mut self, now: i64) {
        self.now = self.now.max(now);
    }

    /// The options.
    pub fn options(&self) -> &LedgerOptions {
        &self.options
    }

    /// Whether a request that names `partner_id` is for this ledger.
    pub fn serves(&self, partner_id: &str) -> bool {
        self.options.partner.as_str() == partner_id
    }

    /// Every row, ordered by bet id.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = (&str, &Row)> {
        self.rows.iter().map(|(bet_id, row)| (bet_id.as_str(), row))
    }

    /// The row of a bet.
    pub fn row(&self, bet_id: &str) -> Option<&Row> {
        self.rows.get(bet_id)
    }

    /// What was really moved on a bet, shortfall counted as moved: what the books must agree on (0 if
    /// there is no row). Minor units.
    pub fn net_of(&self, bet_id: &str) -> i64 {
        self.rows.get(bet_id).map_or(0, Row::net)
    }

    /// The free balance of a player; nothing if the player was never seen.
    pub fn balance(&self, player: &str) -> Option<Money> {
        self.accounts.get(player).map(|account| account.free)
    }

    /// What was paid to a player who is blocked, and is kept apart; nothing if the player was never seen.
    pub fn suspense(&self, player: &str) -> Option<Money> {
        self.accounts.get(player).map(|account| account.free.with_units(account.suspense))
    }

    /// Every account, ordered by player.
    pub fn accounts(&self) -> impl ExactSizeIterator<Item = (&str, &Account)> {
        self.accounts.iter().map(|(player, account)| (player.as_ref(), account))
    }

    /// Number of the newest entry; 0 before the first.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Begins a ledger epoch (R20).
    pub fn begin_epoch(&mut self, epoch: Epoch) -> Entry {
        self.options.ledger_epoch = epoch.ledger_epoch;
        Entry::Epoch(epoch)
    }

    /// Blocks a player or lets them bet again. Payouts and voids are taken all the same: what they pay goes to a suspense
    /// account, and to the player once not blocked any more.
    pub fn block(&mut self, player: &str, blocked: bool) -> Entry {
        self.set_blocked(player, blocked);
        Entry::Block(Block { seq: self.next_seq(), player: player.to_owned(), blocked })
    }

    /// Puts money into an account, opening it if need be; a negative amount takes it out.
    ///
    /// # Errors
    /// [`Refusal::CurrencyUnknown`] if the currency is not taken or not the account's;
    /// [`Refusal::BadRequest`] if the balance would overflow.
    pub fn deposit(&mut self, player: &str, money: Money) -> Result<Entry, Refusal> {
        let (name, free, opening) = self.account_for(player, money)?;
        if free.exponent != money.exponent || free.currency != money.currency {
            return Err(Refusal::CurrencyUnknown);
        }
        let units = free.units.checked_add(money.units);
        let units = units.ok_or(Refusal::BadRequest("the balance would overflow"))?;
        self.put(name, free.with_units(units));
        Ok(Entry::Deposit(Deposit {
            seq: self.next_seq(),
            at_ms: self.now,
            player: player.to_owned(),
            units: money.units,
            currency: money.currency,
            exponent: money.exponent,
            opening,
        }))
    }

    /// The player's name, free balance, and the opening balance if the account is yet to be opened in
    /// the currency of `money`. Opens nothing.
    fn account_for(
        &self,
        player: &str,
        money: Money,
    ) -> Result<(Arc<str>, Money, Option<i64>), Refusal> {
        if self.options.currencies.get(&money.currency) != Some(&money.exponent) {
            return Err(Refusal::CurrencyUnknown);
        }
        Ok(match self.accounts.get_key_value(player) {
            Some((name, account)) => (Arc::clone(name), account.free, None),
            None => {
                let opening = self.options.opening_units;
                (Arc::from(player), money.with_units(opening), Some(opening))
            }
        })
    }

    /// Sets the free balance of an account, which it opens if need be.
    fn put(&mut self, player: Arc<str>, free: Money) {
        let suspense = self.accounts.get(&player).map_or(0, |account| account.suspense);
        self.accounts.insert(player, Account { free, suspense });
    }

    /// Whether a player may not bet.
    pub fn is_blocked(&self, player: &str) -> bool {
        self.blocked.contains(player)
    }

    fn set_blocked(&mut self, player: &str, blocked: bool) {
        if blocked {
            self.blocked.insert(player.to_owned());
        } else {
            self.blocked.remove(player);
            if let Some(account) = self.accounts.get_mut(player) {
                let free = account.free.units.saturating_add(account.suspense);
                *account = Account { free: account.free.with_units(free), suspense: 0 };
            }
        }
    }

    fn next_seq(&mut self) -> u64 {
        self.seq = self.seq.saturating_add(1);
        self.seq
    }

    /// Writes the row and gives the movement that says so; the account was moved before.
    fn write(&mut self, bet_id: &str, mut row: Row, moved: i64, opening: Option<i64>) -> Movement {
        row.seq = self.next_seq();
        let movement = Movement {
            seq: row.seq,
            at_ms: self.now,
            bet_id: bet_id.to_owned(),
            revision: row.revision,
            player: row.player.to_string(),
            status: row.status,
            code: row.code,
            stake: row.stake.units,
            payout: row.payout,
            currency: row.stake.currency,
            exponent: row.stake.exponent,
            moved,
            collected_net: row.collected_net,
            shortfall: row.shortfall(),
            suspense: 0,
            opening,
        };
        match self.rows.get_mut(bet_id) {
            Some(standing) => *standing = row,
            None => {
                self.rows.insert(bet_id.to_owned(), row);
            }
        }
        movement
    }
}

/// Whether `bet_id` has the contract's shape and belongs to `round_id`.
fn bet_of_round(bet_id: &str, round_id: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let hash = bet_id.strip_prefix(round_id).and_then(|rest| rest.strip_prefix(':'));
    bet_id.len() <= BET_ID_CHARS_MAX
        && !round_id.is_empty()
        && round_id.bytes().all(word)
        && hash.is_some_and(|hash| !hash.is_empty() && hash.bytes().all(word))
}
