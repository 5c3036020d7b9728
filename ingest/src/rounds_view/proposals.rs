//! Corrections that were proposed, and what became of them.

use super::RoundInfo;
use schemas::ContentHash;
use schemas::proposal::Step;
use schemas::rounds::{Outcome, RoundEvent, RoundSaid};

/// A correction that the herald admitted as a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Its name: the hash of what was shown.
    pub id: ContentHash,
    /// Who proposed it.
    pub by: String,
    /// When, ms since the Unix epoch, UTC.
    pub at: i64,
    /// The result version it would replace.
    pub replaces: u32,
    /// What it would say.
    pub outcome: Outcome,
    /// Why, in words.
    pub reason: String,
    /// `None` while it is open.
    pub end: Option<ProposalEnd>,
}

/// What became of a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProposalEnd {
    /// It is a result version.
    Approved {
        /// Who approved it.
        by: String,
        /// When, ms since the Unix epoch, UTC.
        at: i64,
        /// The version.
        version: u32,
    },
    /// It is off the table.
    Rejected {
        /// Who said so.
        by: String,
        /// When, ms since the Unix epoch, UTC.
        at: i64,
        /// Why, in words.
        reason: String,
    },
}

impl RoundInfo {
    /// The proposal of this name.
    pub fn proposal(&self, id: ContentHash) -> Option<&Proposal> {
        self.proposals.iter().find(|proposal| proposal.id == id)
    }

    /// Takes an admitted record that is a step of a proposal; `version` is the result version after it.
    /// Returns whether anything changed: a repeat changes nothing.
    pub(super) fn take_step(&mut self, event: &RoundEvent, version: u32) -> bool {
        let Some((_, id)) = Step::of(&event.request) else { return false };
        let (by, at) = (event.actor.clone(), event.said_at);
        let end = match &event.said {
            RoundSaid::Proposed { replaces, outcome, reason } => {
                if self.proposal(id).is_some() {
                    return false;
                }
                let (replaces, outcome, reason) = (*replaces, outcome.clone(), reason.clone());
                self.proposals.push(Proposal { id, by, at, replaces, outcome, reason, end: None });
                return true;
            }
            RoundSaid::Version { .. } => ProposalEnd::Approved { by, at, version },
            RoundSaid::Rejected { reason } => {
                ProposalEnd::Rejected { by, at, reason: reason.clone() }
            }
            RoundSaid::Opened(_)
            | RoundSaid::Amended { .. }
            | RoundSaid::Closing
            | RoundSaid::Closed
            | RoundSaid::Sealed
            | RoundSaid::Verdict(_) => return false,
        };
        let known = self.proposals.iter_mut().find(|proposal| proposal.id == id);
        let Some(open) = known.filter(|proposal| proposal.end.is_none()) else { return false };
        open.end = Some(end);
        true
    }
}
