//! Proposals of corrections: what each of their records is called.
//!
//! A proposal is named by the hash of what was shown with it, and the request ids of its records are made
//! of that name. So whoever reads a record of `rounds.v1` knows which proposal it belongs to, and a repeat
//! of any step is the same request.

use crate::{ContentHash, RequestId};

/// A step of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is made.
    Proposed,
    /// It is approved: the result version that it proposed.
    Approved,
    /// It is off the table.
    Rejected,
}

impl Step {
    /// Every step.
    pub const ALL: &[Self] = &[Self::Proposed, Self::Approved, Self::Rejected];

    const fn prefix(self) -> &'static str {
        match self {
            Self::Proposed => "proposed-",
            Self::Approved => "approved-",
            Self::Rejected => "rejected-",
        }
    }

    /// The request id of this step of `proposal`.
    pub fn request(self, proposal: ContentHash) -> RequestId {
        let text = format!("{}{proposal}", self.prefix());
        text.try_into().unwrap_or_else(|_| unreachable!("41 printable characters"))
    }

    /// The step and the proposal that a request id is of, if it is of one.
    pub fn of(request: &RequestId) -> Option<(Self, ContentHash)> {
        Self::ALL.iter().find_map(|step| {
            let proposal = request.as_str().strip_prefix(step.prefix())?;
            Some((*step, proposal.parse().ok()?))
        })
    }

    /// Whether a caller may not choose this request id: it would take the place of a step.
    pub fn is_reserved(request: &RequestId) -> bool {
        Self::ALL.iter().any(|step| request.as_str().starts_with(step.prefix()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_its_step_and_proposal() {
        let proposal = ContentHash::of(&["what was shown"]);
        for step in Step::ALL {
            let request = step.request(proposal);
            assert_eq!(Step::of(&request), Some((*step, proposal)));
            assert!(Step::is_reserved(&request));
        }
        let foreign: RequestId = "proposed-by-me".parse().unwrap();
        assert_eq!(Step::of(&foreign), None);
        assert!(Step::is_reserved(&foreign));
        assert!(!Step::is_reserved(&"feed-7".parse().unwrap()));
    }
}
