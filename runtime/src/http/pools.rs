//! A pool for each of many, where one is not to wait for the connections of another.

use super::peers::PeerClient;
use super::wire::{Lookup, system_lookup};
use super::{HttpClient, HttpOptions, Outbound};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// Clients by what they are for. Each has a pool of its own, also where several lead to one address. Cheap to clone; clones
/// share the pools.
#[derive(Clone)]
pub struct Pools<Q> {
    options: HttpOptions,
    outbound: Outbound,
    /// Shared: the bound on lookups of a name is for all of them.
    lookup: Lookup,
    kept: Arc<Mutex<BTreeMap<Q, Kept>>>,
}

#[derive(Debug)]
struct Kept {
    client: PeerClient,
    used: Instant,
}

impl<Q> Pools<Q> {
    pub(super) fn new(options: HttpOptions, outbound: Outbound) -> Self {
        Self { options, outbound, lookup: system_lookup(), kept: Arc::default() }
    }
}

impl<Q: Ord> Pools<Q> {
    /// The client for `what`, made when it is first asked for. With a new one those go that were not asked for in as long
    /// as an idle connection is kept: there is nothing in their pools any more, and so nothing stays of who is not called.
    pub fn client(&self, what: Q) -> PeerClient {
        let now = Instant::now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.get_mut(&what) {
            kept.used = now;
            return kept.client.clone();
        }
        kept.retain(|_, kept| now.duration_since(kept.used) <= self.options.idle_max);
        let (outbound, lookup) = (Some(self.outbound.clone()), Arc::clone(&self.lookup));
        let client = PeerClient(HttpClient::with(self.options, outbound, lookup));
        kept.insert(what, Kept { client: client.clone(), used: now });
        client
    }
}

impl<Q> fmt::Debug for Pools<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pools").field("options", &self.options).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::POOL;
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn pools_that_nobody_asks_for_go_when_another_is_made() {
        let pools = Pools::new(POOL, Outbound::default());
        let kept = || pools.kept.lock().unwrap().keys().copied().collect::<Vec<_>>();
        for what in [1, 2, 1] {
            pools.client(what);
        }
        assert_eq!(kept(), [1, 2]);
        tokio::time::advance(POOL.idle_max).await;
        pools.client(1);
        tokio::time::advance(Duration::from_millis(1)).await;
        pools.client(1);
        assert_eq!(kept(), [1, 2], "nothing is looked at for a pool that there is");
        pools.client(3);
        assert_eq!(kept(), [1, 3]);
    }
}
