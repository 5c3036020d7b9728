//! Whether partners' players may bet, as operators said: read from `partners.v1`, and said there.

use schemas::PartnerId;
use schemas::partners::Pause;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

/// The partners with what was said of each last. Cheap to clone; clones know the same.
#[derive(Clone, Debug, Default)]
pub struct Pauses {
    partners: Arc<BTreeSet<PartnerId>>,
    said: Arc<RwLock<BTreeMap<PartnerId, Pause>>>,
}

impl Pauses {
    /// Partners of whom nothing was said.
    pub fn new(partners: impl IntoIterator<Item = PartnerId>) -> Self {
        Self { partners: Arc::new(partners.into_iter().collect()), said: Arc::default() }
    }

    /// Takes what was said, in the order of the log.
    pub fn note(&self, pause: Pause) {
        let mut said = self.said.write().unwrap_or_else(PoisonError::into_inner);
        said.insert(pause.partner.clone(), pause);
    }

    /// Whether there is such a partner.
    pub fn knows(&self, partner: &PartnerId) -> bool {
        self.partners.contains(partner)
    }

    /// Why the partner's betting is paused; `None` if it is not.
    pub fn reason(&self, partner: &PartnerId) -> Option<String> {
        let said = self.said.read().unwrap_or_else(PoisonError::into_inner);
        said.get(partner).filter(|pause| pause.paused).map(|pause| pause.reason.clone())
    }

    /// Every partner, with what was said last, in the order of ids.
    pub fn all(&self) -> Vec<(PartnerId, Option<Pause>)> {
        let said = self.said.read().unwrap_or_else(PoisonError::into_inner);
        self.partners.iter().map(|partner| (partner.clone(), said.get(partner).cloned())).collect()
    }
}
