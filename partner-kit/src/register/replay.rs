//! A register again, from its journal; and the check that a journal keeps the promises.

use super::{Account, LedgerOptions, Register, Row, net};
use crate::movement::{Deposit, Entry, Epoch, Movement};
use schemas::Money;
use schemas::contract::RowStatus;
use schemas::settlements::REVISION_VOID;
use std::sync::Arc;
use thiserror::Error;

/// An entry that cannot follow the ones before it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReplayError {
    /// The numbers of the entries must rise by one.
    #[error("entry {found} stands where entry {expected} belongs")]
    Sequence {
        /// The number due.
        expected: u64,
        /// The number found.
        found: u64,
    },
    /// A journal of another partner, or an epoch that falls.
    #[error("partner {partner} in epoch {ledger_epoch} does not belong here")]
    Epoch {
        /// The partner named.
        partner: String,
        /// The epoch named.
        ledger_epoch: u64,
    },
    /// A second effect for a revision, or a revision that falls.
    #[error("entry {seq}: {bet_id} goes from revision {from} to {to}")]
    Revision {
        /// The entry.
        seq: u64,
        /// The bet.
        bet_id: String,
        /// The row's revision.
        from: u32,
        /// The entry's.
        to: u32,
    },
    /// The amounts of the entry do not add up, or its player is not the row's.
    #[error("entry {seq}: the amounts of {bet_id} do not follow from what stood before")]
    Amounts {
        /// The entry.
        seq: u64,
        /// The bet.
        bet_id: String,
    },
    /// The account does not fit: opened twice, never opened, or overflowing.
    #[error("entry {seq}: the account of {player} does not fit")]
    Account {
        /// The entry.
        seq: u64,
        /// The player.
        player: String,
    },
}

impl Register {
    /// The register that `entries`, in order, left behind.
    ///
    /// # Errors
    /// The first entry that cannot follow the ones before it: one effect per (bet, revision), revisions
    /// never fall, `collected_net` is the sum of what was moved, and `collected_net - shortfall` is what
    /// the state is worth.
    pub fn replay<'a>(
        options: LedgerOptions,
        entries: impl IntoIterator<Item = &'a Entry>,
    ) -> Result<Self, ReplayError> {
        let mut register = Self::new(options);
        entries.into_iter().try_for_each(|entry| register.replay_entry(entry))?;
        Ok(register)
    }

    /// Takes one entry of a journal, with the checks of [`Register::replay`].
    ///
    /// # Errors
    /// If the entry cannot follow; the register is as before.
    pub fn replay_entry(&mut self, entry: &Entry) -> Result<(), ReplayError> {
        match entry {
            Entry::Epoch(epoch) => self.replay_epoch(epoch),
            Entry::Movement(movement) => self.replay_movement(movement),
            Entry::Deposit(deposit) => self.replay_deposit(deposit),
            Entry::Block(block) => {
                self.expect(block.seq)?;
                self.set_blocked(&block.player, block.blocked);
                self.seq = block.seq;
                Ok(())
            }
        }
    }

    fn expect(&self, found: u64) -> Result<(), ReplayError> {
        let expected = self.seq.saturating_add(1);
        if found == expected { Ok(()) } else { Err(ReplayError::Sequence { expected, found }) }
    }

    fn replay_epoch(&mut self, epoch: &Epoch) -> Result<(), ReplayError> {
        if !self.serves(&epoch.partner) || epoch.ledger_epoch < self.options.ledger_epoch {
            return Err(ReplayError::Epoch {
                partner: epoch.partner.clone(),
                ledger_epoch: epoch.ledger_epoch,
            });
        }
        self.options.ledger_epoch = epoch.ledger_epoch;
        Ok(())
    }

    fn replay_movement(&mut self, movement: &Movement) -> Result<(), ReplayError> {
        self.expect(movement.seq)?;
        let row = self.follow(movement)?;
        if movement.moved != 0 || movement.opening.is_some() {
            let kind = Money {
                units: movement.moved,
                currency: movement.currency,
                exponent: movement.exponent,
            };
            self.credit(movement.seq, &row.player, kind, movement.suspense, movement.opening)?;
        }
        self.seq = movement.seq;
        self.tell_time(movement.at_ms);
        self.rows.insert(movement.bet_id.clone(), row);
        Ok(())
    }

    /// The row that the movement leaves behind, if it can follow the one that stands.
    fn follow(&self, movement: &Movement) -> Result<Row, ReplayError> {
        let standing = self.rows.get(&movement.bet_id);
        let from = standing.map_or(0, |row| row.revision);
        if movement.revision <= from {
            return Err(ReplayError::Revision {
                seq: movement.seq,
                bet_id: movement.bet_id.clone(),
                from,
                to: movement.revision,
            });
        }
        let moved_before = standing.map_or(0, |row| row.collected_net);
        let worth = net(movement.status, movement.stake, movement.payout);
        let adds_up = moved_before.checked_add(movement.moved) == Some(movement.collected_net)
            && movement.collected_net.checked_sub(movement.shortfall) == Some(worth)
            && 0 <= movement.shortfall
            && standing.is_none_or(|row| *row.player == *movement.player);
        if !adds_up {
            return Err(ReplayError::Amounts {
                seq: movement.seq,
                bet_id: movement.bet_id.clone(),
            });
        }
        let never_held = standing.is_none_or(|row| row.dead || row.status == RowStatus::Declined);
        let player = standing.map(|row| Arc::clone(&row.player));
        let known = self.accounts.get_key_value(movement.player.as_str());
        Ok(Row {
            player: player
                .or_else(|| known.map(|(name, _)| Arc::clone(name)))
                .unwrap_or_else(|| Arc::from(movement.player.as_str())),
            revision: movement.revision,
            status: movement.status,
            code: movement.code,
            stake: Money {
                units: movement.stake,
                currency: movement.currency,
                exponent: movement.exponent,
            },
            payout: movement.payout,
            collected_net: movement.collected_net,
            dead: movement.status == RowStatus::Voided
                && (movement.revision == REVISION_VOID || never_held),
            astray: 0,
            seq: movement.seq,
        })
    }

    fn replay_deposit(&mut self, deposit: &Deposit) -> Result<(), ReplayError> {
        self.expect(deposit.seq)?;
        let money =
            Money { units: deposit.units, currency: deposit.currency, exponent: deposit.exponent };
        let name: Arc<str> = Arc::from(deposit.player.as_str());
        self.credit(deposit.seq, &name, money, 0, deposit.opening)?;
        self.seq = deposit.seq;
        self.tell_time(deposit.at_ms);
        Ok(())
    }

    /// Moves `money` in an account, `aside` of it in suspense; `opening` opens it in the currency of `money`.
    fn credit(
        &mut self,
        seq: u64,
        player: &Arc<str>,
        money: Money,
        aside: i64,
        opening: Option<i64>,
    ) -> Result<(), ReplayError> {
        let account = match (self.accounts.get(player), opening) {
            (Some(account), None) => Some(*account),
            (None, Some(opening)) => Some(Account { free: money.with_units(opening), suspense: 0 }),
            (Some(_), Some(_)) | (None, None) => None,
        };
        let Some(after) = account.and_then(|account| account.with(money.units, aside)) else {
            return Err(ReplayError::Account { seq, player: player.to_string() });
        };
        self.accounts.insert(Arc::clone(player), after);
        Ok(())
    }
}
