//! The plain programs of an engine: the same I/O as its own, with no logic.

use super::tail::Taken;

/// Beside rounds.
pub trait Plain<E>: Sized {
    /// What is written about a round's deliveries beside their records, made ready before the clock runs.
    type Rows;
    /// What writing settlements is, in words.
    const DOES: &'static str;

    /// Writes settlements as they reached their topic, until a reader can have the last.
    ///
    /// # Errors
    /// If they are not taken.
    fn settlements(&mut self, records: &[Taken]) -> impl Future<Output = anyhow::Result<()>>;

    /// The rows that stand in `engine` about the deliveries of a round at `revision`.
    ///
    /// # Errors
    /// If they cannot be read.
    fn rows(
        &self,
        engine: &E,
        round: &str,
        revision: u32,
    ) -> impl Future<Output = anyhow::Result<Self::Rows>>;

    /// Writes them again under another name, and then the records of the deliveries.
    ///
    /// # Errors
    /// If they are not taken.
    fn deliveries(
        &mut self,
        round: &str,
        rows: &Self::Rows,
        records: &[Taken],
    ) -> impl Future<Output = anyhow::Result<()>>;
}

/// Beside a settler that reads rounds which wait in the log.
pub trait PlainSettler: Sized {
    /// What it does, in words.
    const DOES: &'static str;

    /// Reads as many records as the settler, and writes as much as it wrote.
    ///
    /// # Errors
    /// If they cannot be read or are not taken.
    fn run(self) -> impl Future<Output = anyhow::Result<()>>;
}
