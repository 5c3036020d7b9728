//! What a process does.

use super::Opened;
use anyhow::bail;
use clap::ValueEnum;
use std::collections::BTreeSet;
use std::fmt;

/// One thing that a process may do. Every role may run in any number of processes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Role {
    /// Takes what operators and feeds say about rounds, over HTTP
    Line,
    /// Judges what is said about rounds
    Herald,
    /// Takes bets from players over HTTP, and asks partners for the stakes
    Bets,
    /// Decides bets and says what each is worth
    Settler,
    /// Says again what never got a final answer
    Reconciler,
    /// Carries settlements to partners
    Dispatcher,
    /// Keeps the histories of players and partners, and shows those of partners over HTTP
    History,
    /// Opens cases about results that look wrong, and tells operators of every case
    Cases,
    /// Offers and finishes events over HTTP, under /line-provider
    LineProvider,
    /// Takes bets on events over HTTP, under /bet-maker
    BetMaker,
}

/// The roles of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles(BTreeSet<Role>);

impl Roles {
    /// Everything.
    pub fn all() -> Self {
        Role::value_variants().iter().copied().collect()
    }

    /// Whether the process has the role.
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// Whether the process has the role and no other.
    pub fn is_only(&self, role: Role) -> bool {
        self.0.len() == 1 && self.has(role)
    }

    /// Whether a process with these roles can run on the engine.
    ///
    /// # Errors
    /// If it would need others beside it, and only one can have the engine open.
    pub fn check<E: Opened>(&self) -> anyhow::Result<()> {
        if !E::SHARED && *self != Self::all() {
            bail!(
                "a data directory is for one process, which then does everything: use `roundhouse \
                 serve`; several processes need the cluster engine (--engine cluster)"
            );
        }
        Ok(())
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<T: IntoIterator<Item = Role>>(roles: T) -> Self {
        Self(roles.into_iter().collect())
    }
}

impl Role {
    /// Its name on the command line, in logs and in `/readyz`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Herald => "herald",
            Self::Bets => "bets",
            Self::Settler => "settler",
            Self::Reconciler => "reconciler",
            Self::Dispatcher => "dispatcher",
            Self::History => "history",
            Self::Cases => "cases",
            Self::LineProvider => "line-provider",
            Self::BetMaker => "bet-maker",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::embedded::Embedded;

    #[test]
    fn one_directory_is_for_one_process() {
        assert!(Roles::all().check::<Embedded>().is_ok());
        for role in Role::value_variants() {
            let others = Role::value_variants().iter().filter(|other| *other != role);
            let roles: Roles = others.copied().collect();
            let error = roles.check::<Embedded>().unwrap_err().to_string();
            assert!(error.contains("roundhouse serve"), "{error}");
        }
    }

    /// What is logged is what is written on the command line.
    #[test]
    fn roles_have_one_name() {
        for role in Role::value_variants() {
            let value = role.to_possible_value().unwrap();
            assert_eq!(role.to_string(), value.get_name());
        }
        assert_eq!(
            Roles::all().to_string(),
            "line, herald, bets, settler, reconciler, dispatcher, history, cases, line-provider, \
             bet-maker"
        );
    }
}
