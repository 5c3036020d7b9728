//! Which alarms a world may raise: all others say that a rule is broken.

use super::Checks;

/// Alarms that only say that a fault was noticed.
const HARMLESS_ALARMS: &[&str] = &["settlements_said_again", "hold_answer_not_written"];

impl Checks {
    pub(in crate::world) fn alarmed(&mut self, name: &'static str, text: &str) {
        *self.alarms.entry(name).or_default() += 1;
        let meant = self.is_parking_meant(name, text)
            || self.is_of_restore(name, text)
            || name == "round_differs" && self.misstates();
        if !HARMLESS_ALARMS.contains(&name) && !meant {
            self.broken("2", format!("alarm {name}: {text}"));
        }
    }

    /// True if partners say of rounds what is not so: that is to be found, and no money moves by it.
    pub(in crate::world) fn misstates(&self) -> bool {
        self.misbehaves.is_some_and(|which| !which.entry().cases.is_empty())
    }

    /// True if the alarm says that the restored ledger is another than before.
    fn is_of_restore(&self, name: &str, text: &str) -> bool {
        let Some(partner) = &self.restored else { return false };
        match name {
            "ledger_epoch_changed" => text.contains(&format!("epoch of {partner} went")),
            "round_differs" => text.contains(&format!("not the same at {partner} ")),
            _ => false,
        }
    }
}
