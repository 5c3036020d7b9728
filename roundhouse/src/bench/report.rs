//! Figures as text: whole numbers in, fixed decimals out.

use super::journal::fsync_us;
use serde::Serialize;
use std::fmt;
use std::path::Path;

/// A figure's median, near-worst and worst, in µs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// Half are at most this.
    pub p50_us: u64,
    /// 95 of 100 are at most this.
    pub p95_us: u64,
    /// 99 of 100 are at most this.
    pub p99_us: u64,
    /// All are at most this.
    pub max_us: u64,
}

impl Spread {
    /// Of sorted values; all 0 if there are none.
    pub(super) fn of(sorted: &[u64]) -> Self {
        Self {
            p50_us: percentile(sorted, 50),
            p95_us: percentile(sorted, 95),
            p99_us: percentile(sorted, 99),
            max_us: percentile(sorted, 100),
        }
    }
}

/// The smallest value that `percent` of the sorted `values` do not exceed; 0 of none.
pub(super) fn percentile(values: &[u64], percent: usize) -> u64 {
    let rank = values.len().saturating_mul(percent).div_ceil(100);
    values.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// The median of values in any order.
pub(super) fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    percentile(&values, 50)
}

/// `part` / `whole` in thousandths; 0 if `whole` is.
pub(super) fn per_mille(part: u64, whole: u64) -> u64 {
    part.saturating_mul(1_000).checked_div(whole).unwrap_or_default()
}

/// Thousandths with two decimals, rounded down: 1234 is `1.23`. Also µs as ms.
pub(super) struct Thousandths(pub(super) u64);

impl fmt::Display for Thousandths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{:02}", self.0 / 1_000, self.0 % 1_000 / 10))
    }
}

/// Said where an engine has no floor for what was measured.
pub(super) const NO_FLOOR: &str = "no floor on this engine";

/// How a floor was met.
pub(super) fn word(met: bool) -> &'static str {
    if met { "met" } else { "not met" }
}

/// CPU time, in ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cpu {
    /// Of this process: server, or plain program, and client.
    pub here_ms: u64,
    /// Of the wallets.
    pub wallets_ms: u64,
}

impl Cpu {
    /// Until now, of this process and of the process `wallets`; 0 where the system does not tell.
    pub(super) fn now(wallets: Option<u32>) -> Self {
        let wallets_ms = wallets.map_or(0, |id| cpu_ms(&id.to_string()));
        Self { here_ms: cpu_ms("self"), wallets_ms }
    }

    /// What was used since `earlier`.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            here_ms: self.here_ms.saturating_sub(earlier.here_ms),
            wallets_ms: self.wallets_ms.saturating_sub(earlier.wallets_ms),
        }
    }

    /// Both sums.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            here_ms: self.here_ms.saturating_add(other.here_ms),
            wallets_ms: self.wallets_ms.saturating_add(other.wallets_ms),
        }
    }
}

/// User and system time; /proc counts it in hundredths of a second on every Linux.
fn cpu_ms(process: &str) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold blanks; utime and stime are the 12th and 13th field after it.
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks = after.split_ascii_whitespace().skip(11).take(2);
    ticks.filter_map(|field| field.parse::<u64>().ok()).sum::<u64>().saturating_mul(10)
}

/// Memory of this process in KiB: server, client and plain program together; 0 where the system does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// When the server was ready and nothing had been asked of it.
    pub at_rest_kib: u64,
    /// The most since then.
    pub peak_kib: u64,
}

impl Memory {
    /// As it is now; what was used before does not count any more.
    pub(super) fn at_rest() -> Self {
        // Sets the peak back to what is used now (proc(5)). Where it may not, the peak is the process's.
        let reset = std::fs::write("/proc/self/clear_refs", "5");
        tracing::debug!(?reset, "the peak of memory");
        let now = memory_kib("VmRSS");
        Self { at_rest_kib: now, peak_kib: now }
    }

    /// With the peak until now.
    pub(super) fn with_peak(self) -> Self {
        Self { peak_kib: memory_kib("VmHWM"), ..self }
    }

    /// At rest and the peak, in whole MiB.
    pub(super) fn mib(self) -> [u64; 2] {
        [self.at_rest_kib, self.peak_kib].map(|kib| kib / 1_024)
    }

    /// From rest to the peak.
    pub(super) fn growth_kib(self) -> u64 {
        self.peak_kib.saturating_sub(self.at_rest_kib)
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [at_rest, peak] = self.mib();
        write!(f, "memory of this process: {at_rest} MiB at rest, {peak} MiB at the most")
    }
}

/// A field of /proc/self/status that is given in KiB.
fn memory_kib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_ascii_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// How busy the machine was: other work on its cores and its disk shows here, and in every figure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The system's load averages.
    pub load_average: String,
    /// One append of 4 KiB and its fsync, in µs, the median of 100.
    pub fsync_us: u64,
}

impl Machine {
    /// As it is now, on the disk of `directory`.
    ///
    /// # Errors
    /// If the disk says no.
    pub(super) async fn now(directory: &Path) -> anyhow::Result<Self> {
        Ok(Self { load_average: load_average(), fsync_us: fsync_us(directory).await? })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "load average {}, one fsync {} ms", self.load_average, Thousandths(self.fsync_us))
    }
}

/// Where something was measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The engine: `embedded`, or Kafka and the store by the name and release that it says.
    pub engine: String,
    /// The machine, before and after.
    pub machine: [Machine; 2],
}

impl Place {
    /// An engine on this machine, as it is now before something is measured.
    ///
    /// # Errors
    /// If the disk of `directory` says no.
    pub(super) async fn before(engine: String, directory: &Path) -> anyhow::Result<Self> {
        let now = Machine::now(directory).await?;
        Ok(Self { engine, machine: [now.clone(), now] })
    }

    /// With the machine as it is afterwards.
    ///
    /// # Errors
    /// If the disk of `directory` says no.
    pub(super) async fn after(self, directory: &Path) -> anyhow::Result<Self> {
        let Self { engine, machine: [before, _] } = self;
        Ok(Self { engine, machine: [before, Machine::now(directory).await?] })
    }

    /// One of a test.
    #[cfg(test)]
    pub(super) fn nowhere() -> Self {
        let machine = || Machine { load_average: String::new(), fsync_us: 0 };
        Self { engine: "an engine".to_owned(), machine: [machine(), machine()] }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [before, after] = &self.machine;
        write!(f, "engine: {}\nbefore: {before}\nafter:  {after}", self.engine)
    }
}

/// The machine's load averages, as the system words them; empty where it does not tell.
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_ascii_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_two_decimals_and_round_down() {
        assert_eq!(Thousandths(1_239).to_string(), "1.23");
        assert_eq!(Thousandths(7).to_string(), "0.00");
        assert_eq!(format!("{:>7}", Thousandths(45_060)), "  45.06");
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<u64> = (1..=200).collect();
        let spread = Spread::of(&values);
        assert_eq!(spread, Spread { p50_us: 100, p95_us: 190, p99_us: 198, max_us: 200 });
        assert_eq!(Spread::of(&[]).max_us, 0);
        assert_eq!(median(vec![9, 1, 5]), 5);
    }

    #[test]
    fn a_ratio_to_nothing_is_nothing() {
        assert_eq!(per_mille(3, 2), 1_500);
        assert_eq!(per_mille(3, 0), 0);
    }

    #[test]
    fn the_peak_of_memory_counts_from_rest() {
        let at_rest = Memory::at_rest();
        let used = std::hint::black_box(vec![1_u8; 64 << 20]);
        let memory = at_rest.with_peak();
        assert!(
            0 < memory.at_rest_kib && memory.at_rest_kib + (60 << 10) < memory.peak_kib,
            "{memory:?}"
        );
        drop(used);
    }

    #[test]
    fn this_process_has_used_the_cpu() {
        let mut sum = 0_u64;
        while cpu_ms("self") == 0 {
            sum = sum.wrapping_add(1);
        }
        assert_ne!(cpu_ms("self"), 0, "{sum}");
    }
}
