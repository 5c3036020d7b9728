//! File descriptors. A connection takes one, and so does every call to a wallet, broker or node: connections
//! are bounded, so that clients who only hold theirs cannot leave the rest of the process without.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Kept for what is no connection to the API; half of all where there are not twice as many.
const KEPT: u64 = 1_024;

/// Connections that may be held at once: `wanted`, or as many as descriptors allow.
///
/// Raises the soft limit of this process to the hard one first: it is low on most systems, for programs that
/// use `select`.
pub(super) fn connections_max(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    let descriptors = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files cannot be raised");
            limit.current
        }
    };
    let connections_max = bounded(wanted, descriptors);
    if connections_max < wanted {
        tracing::info!(wanted, connections_max, "open files bound the connections");
    }
    connections_max
}

fn bounded(wanted: usize, descriptors: Option<u64>) -> usize {
    let Some(descriptors) = descriptors else { return wanted };
    let free = descriptors.saturating_sub(KEPT.min(descriptors / 2));
    usize::try_from(free).unwrap_or(usize::MAX).clamp(1, wanted.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_rest() {
        for (wanted, descriptors, bound) in [
            (20_000, None, 20_000),
            (20_000, Some(1_048_576), 20_000),
            (20_000, Some(20_000), 18_976),
            (20_000, Some(1_024), 512),
            (100, Some(1_024), 100),
            (100, Some(0), 1),
        ] {
            assert_eq!(bounded(wanted, descriptors), bound, "{wanted} of {descriptors:?}");
        }
    }
}
