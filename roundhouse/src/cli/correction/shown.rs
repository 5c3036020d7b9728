//! What the API shows of a proposal, for people.

use crate::cli::lines::major;
use runtime::telemetry::plain;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A round, as far as its proposals go.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Proposals {
    round_id: String,
    version: u32,
    corrections: Vec<Proposal>,
}

/// A proposal, with what it would change while it is open, and how far it has come once approved.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Proposal {
    proposal_id: String,
    status: String,
    proposed_by: String,
    proposed_at: String,
    replaces: u32,
    proposed: Outcome,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_because: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preview: Option<Preview>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<BTreeMap<String, Done>>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Outcome {
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    won: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    void: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Preview {
    bets: u64,
    changed: u64,
    flips: Vec<Flip>,
    money: Vec<Money>,
    movers: Vec<Mover>,
    frozen: u64,
    undelivered: BTreeMap<String, Owed>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Flip {
    from: String,
    to: String,
    bets: u64,
}

#[derive(Debug, Deserialize, Serialize)]
struct Money {
    partner: String,
    currency: String,
    exponent: u8,
    bets: u64,
    to_pay: String,
    to_take_back: String,
    net: String,
}

#[derive(Debug, Deserialize, Serialize)]
struct Mover {
    bet_id: String,
    partner: String,
    player: String,
    currency: String,
    exponent: u8,
    difference: String,
}

#[derive(Debug, Deserialize, Serialize)]
struct Owed {
    settlements: u64,
    parked: u64,
    frozen: u64,
}

/// How far a correction has come.
#[derive(Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Done {
    changed: u64,
    settled: u64,
    confirmed: u64,
    parked: u64,
    frozen: u64,
}

impl Done {
    /// Nothing more comes by itself: each bet is confirmed, parked or frozen.
    pub(super) fn is_done(&self) -> bool {
        self.changed <= self.confirmed + self.parked + self.frozen
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { changed, settled, confirmed, parked, frozen } = self;
        write!(f, "of {changed} bets {settled} settled, {confirmed} confirmed")?;
        if 0 < *parked + *frozen {
            write!(f, ", {parked} parked, {frozen} frozen")?;
        }
        Ok(())
    }
}

impl Proposal {
    /// How far it has come with all partners together.
    pub(super) fn total(&self) -> Done {
        let mut total = Done::default();
        for done in self.progress.iter().flat_map(BTreeMap::values) {
            total.changed += done.changed;
            total.settled += done.settled;
            total.confirmed += done.confirmed;
            total.parked += done.parked;
            total.frozen += done.frozen;
        }
        total
    }
}

impl fmt::Display for Proposals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} is at result version {}", self.round_id, self.version)?;
        for proposal in &self.corrections {
            writeln!(f)?;
            proposal.write_head(f)?;
        }
        if self.corrections.is_empty() {
            writeln!(f, "no correction was proposed")?;
        }
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(outcome) = &self.outcome {
            return write!(f, "outcome {outcome}");
        }
        match &self.won {
            Some(won) => {
                let void = self.void.as_deref().unwrap_or_default();
                write!(f, "won {}, void {}", listed(won), listed(void))
            }
            None => write!(f, "{}", self.kind),
        }
    }
}

fn listed(selections: &[String]) -> String {
    if selections.is_empty() { "none".to_owned() } else { selections.join(" ") }
}

impl Proposal {
    fn write_head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "proposal  {}", self.proposal_id)?;
        writeln!(f, "status    {}", self.status)?;
        writeln!(f, "says      {} in place of version {}", self.proposed, self.replaces)?;
        writeln!(f, "because   {}", plain(&self.reason))?;
        writeln!(f, "proposed  by {} at {}", plain(&self.proposed_by), self.proposed_at)?;
        if let (Some(by), Some(at)) = (&self.ended_by, &self.ended_at) {
            write!(f, "{:<9} by {} at {at}", self.status, plain(by))?;
            match (self.version, &self.rejected_because) {
                (Some(version), _) => writeln!(f, ": version {version}")?,
                (None, Some(reason)) => writeln!(f, ": {}", plain(reason))?,
                (None, None) => writeln!(f)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_head(f)?;
        if let Some(preview) = &self.preview {
            write!(f, "\n{preview}")?;
        }
        if self.hash.as_ref().is_some_and(|hash| *hash != self.proposal_id) {
            writeln!(f, "\nThis is no longer what was proposed: propose it anew.")?;
        }
        if let Some(progress) = &self.progress {
            writeln!(f)?;
            for (partner, done) in progress {
                writeln!(f, "{partner:<16} {done}")?;
            }
            writeln!(f, "{:<16} {}", "all", self.total())?;
        }
        Ok(())
    }
}

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} of {} bets change; {} are frozen", self.changed, self.bets, self.frozen)?;
        for Flip { from, to, bets } in &self.flips {
            writeln!(f, "  {from} to {to}: {bets}")?;
        }
        if !self.money.is_empty() {
            writeln!(
                f,
                "\n{:<16} {:<8} {:>8} {:>20} {:>20} {:>20}",
                "PARTNER", "CURRENCY", "BETS", "TO PAY", "TO TAKE BACK", "NET"
            )?;
        }
        for line in &self.money {
            let amount = |units| major(units, line.exponent);
            writeln!(
                f,
                "{:<16} {:<8} {:>8} {:>20} {:>20} {:>20}",
                line.partner,
                line.currency,
                line.bets,
                amount(&line.to_pay),
                amount(&line.to_take_back),
                amount(&line.net)
            )?;
        }
        if !self.movers.is_empty() {
            writeln!(f, "\n{:<44} {:<16} {:<24} {:>20}", "BET", "PARTNER", "PLAYER", "DIFFERENCE")?;
        }
        for mover in &self.movers {
            let amount = format!("{} {}", major(&mover.difference, mover.exponent), mover.currency);
            let Mover { bet_id, partner, player, .. } = mover;
            writeln!(f, "{bet_id:<44} {partner:<16} {player:<24} {amount:>20}")?;
        }
        for (partner, owed) in &self.undelivered {
            let Owed { settlements, parked, frozen } = owed;
            writeln!(
                f,
                "\nnot confirmed by {partner} so far: {settlements}, of them {parked} parked; {frozen} frozen"
            )?;
        }
        Ok(())
    }
}
