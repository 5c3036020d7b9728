//! What every process tells of itself, under the names that Prometheus' own clients use: CPU time, memory,
//! descriptors; and the load of the runtime that runs its tasks.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use rustix::param::{clock_ticks_per_second, page_size};
use std::fmt;
use std::time::Duration;

/// Read anew at each scrape. What the system does not tell is left out.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if let Some(stat) = read("/proc/self/stat").and_then(|text| Stat::parse(&text)) {
            stat.encode(&mut encoder)?;
        }
        let mut gauge = |name: &str, help: &str, value: Option<u64>| match value {
            Some(value) => show(&mut encoder, name, help, ConstGauge::new(value)),
            None => Ok(()),
        };
        gauge("process_open_fds", "Open file descriptors", open_descriptors())?;
        let limits = read("/proc/self/limits");
        let most = limits.as_deref().and_then(descriptors_max);
        gauge("process_max_fds", "File descriptors that may be open at once", most)?;
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return Ok(()) };
        let runtime = runtime.metrics();
        let count = |count: usize| u64::try_from(count).ok();
        gauge("tokio_workers", "Threads that run tasks", count(runtime.num_workers()))?;
        gauge("tokio_alive_tasks", "Tasks that have not ended", count(runtime.num_alive_tasks()))?;
        let queued = count(runtime.global_queue_depth());
        gauge("tokio_global_queue_depth", "Tasks that wait for any worker", queued)
    }
}

fn show(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: impl EncodeMetric,
) -> Result<(), fmt::Error> {
    let of = encoder.encode_descriptor(name, help, None, metric.metric_type())?;
    metric.encode(of)
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

fn open_descriptors() -> Option<u64> {
    let count = std::fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them is the directory that is being read.
    u64::try_from(count).ok()?.checked_sub(1)
}

/// The soft limit in `/proc/<pid>/limits`.
fn descriptors_max(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What is used of `/proc/<pid>/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu: Duration,
    threads: u64,
    /// Behind the start of the machine.
    started: Duration,
    virtual_bytes: u64,
    resident_bytes: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The command's name is in parentheses and may have any characters.
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        // Numbered from 1 in proc(5), and the third is the first here.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let ticks = |ticks: u64| {
            let ms = ticks.checked_mul(1_000)?.checked_div(clock_ticks_per_second())?;
            Some(Duration::from_millis(ms))
        };
        Some(Self {
            cpu: ticks(field(14)?.checked_add(field(15)?)?)?,
            threads: field(20)?,
            started: ticks(field(22)?)?,
            virtual_bytes: field(23)?,
            resident_bytes: field(24)?.checked_mul(u64::try_from(page_size()).ok()?)?,
        })
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let cpu = ConstCounter::new(self.cpu.as_secs_f64());
        show(encoder, "process_cpu_seconds", "CPU time spent, by user and system", cpu)?;
        if let Some(machine) = read("/proc/stat").as_deref().and_then(machine_started) {
            let started = ConstGauge::new(machine.saturating_add(self.started).as_secs_f64());
            let help = "When the process started, since the Unix epoch";
            show(encoder, "process_start_time_seconds", help, started)?;
        }
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Resident memory", self.resident_bytes),
            ("process_virtual_memory_bytes", "Virtual memory", self.virtual_bytes),
            ("process_threads", "Threads of the operating system", self.threads),
        ] {
            show(encoder, name, help, ConstGauge::new(value))?;
        }
        Ok(())
    }
}

/// When the machine started, in `/proc/stat`, since the Unix epoch.
fn machine_started(stat: &str) -> Option<Duration> {
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read_by_its_numbering() {
        let text = "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 1000 8192 3 18 0";
        let stat = Stat::parse(text).unwrap();
        let hz = clock_ticks_per_second();
        assert_eq!(stat.cpu, Duration::from_millis(300 * 1_000 / hz));
        assert_eq!((stat.threads, stat.virtual_bytes), (9, 8192));
        assert_eq!(stat.resident_bytes, 3 * u64::try_from(page_size()).unwrap());
        assert_eq!(Stat::parse("7 (a) S 1"), None);
        let limits = "Max open files            1024                 524288               files";
        assert_eq!(descriptors_max(limits), Some(1024));
        assert_eq!(machine_started("cpu 1\nbtime 17\n"), Some(Duration::from_secs(17)));
    }

    #[test]
    fn this_process_is_there() {
        let text = read("/proc/self/stat").unwrap();
        assert!(0 < Stat::parse(&text).unwrap().resident_bytes);
        assert!(0 < open_descriptors().unwrap());
    }
}
