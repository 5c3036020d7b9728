//! Money moved wrong: what no honest ledger does.

use super::{Account, Register};
use crate::movement::Movement;

impl Register {
    /// Moves `units` on a bet at the revision where it stands, as a ledger does that takes a repeat for a new
    /// message or pays another amount. `None` if there is no such bet, or the amount cannot be held.
    ///
    /// The row says what was moved and not that anything is wrong about it: `collected_net` is no longer what
    /// the state is worth. The movement breaks what [`Register::replay`] promises: a journal with it cannot be opened again.
    pub fn misapply(&mut self, bet_id: &str, units: i64) -> Option<Movement> {
        let mut row = self.rows.get(bet_id)?.clone();
        let account = self.accounts.get_mut(&row.player)?;
        let free = account.free.units.checked_add(units)?;
        row.collected_net = row.collected_net.checked_add(units)?;
        row.astray = row.astray.checked_add(units)?;
        *account = Account { free: account.free.with_units(free), ..*account };
        Some(self.write(bet_id, row, units, None))
    }
}
