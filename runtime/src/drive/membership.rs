//! Whether a member of a group carries its share of the work yet.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Whether a member has taken part in a sharing out of its group, and works on all it got. Cheap to clone.
///
/// Once it does it stays so: what a later change of the group brings is taken over while the rest goes
/// on, and that is no reason to send nobody here.
#[derive(Clone, Debug, Default)]
pub struct Membership(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    shared: bool,
    /// Partitions owned that nobody works on yet.
    starting: BTreeSet<u32>,
    carries: bool,
}

impl State {
    fn look(&mut self) {
        self.carries |= self.shared && self.starting.is_empty();
    }
}

impl Membership {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The member owns `partition`.
    pub fn assigned(&self, partition: u32) {
        self.lock().starting.insert(partition);
    }

    /// The group has been shared out.
    pub fn shared(&self) {
        let mut state = self.lock();
        state.shared = true;
        state.look();
    }

    /// A machine works on `partition`.
    pub fn works_on(&self, partition: u32) {
        let mut state = self.lock();
        state.starting.remove(&partition);
        state.look();
    }

    /// The member does not own `partition` any more.
    pub fn revoked(&self, partition: u32) {
        self.works_on(partition);
    }

    /// What it still waits for; `None` once it carries its share.
    pub fn missing(&self) -> Option<String> {
        let state = self.lock();
        if state.carries {
            return None;
        }
        Some(match state.starting.len() {
            _ if !state.shared => "waits for its group to share out the partitions".to_owned(),
            1 => "takes over 1 partition".to_owned(),
            count => format!("takes over {count} partitions"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_carries_its_share_once_it_works_on_all_it_got() {
        let member = Membership::default();
        assert!(member.missing().unwrap().contains("its group"));
        member.assigned(1);
        member.assigned(2);
        member.works_on(1);
        assert!(member.missing().unwrap().contains("its group"), "more may come");
        member.shared();
        assert_eq!(member.missing().unwrap(), "takes over 1 partition");
        member.works_on(2);
        assert_eq!(member.missing(), None);
        member.assigned(3);
        assert_eq!(member.missing(), None, "what comes later is taken over beside the rest");
    }

    #[test]
    fn what_goes_away_meanwhile_is_not_waited_for() {
        let member = Membership::default();
        member.assigned(1);
        member.shared();
        member.revoked(1);
        assert_eq!(member.missing(), None);
    }

    #[test]
    fn a_member_that_gets_nothing_has_its_share() {
        let member = Membership::default();
        member.shared();
        assert_eq!(member.missing(), None);
    }
}
