//! Reading topics as people and scripts do: which there are, and their records as lines of JSON.

mod filter;
mod line;
mod list;
mod tail;
mod whole;

pub use filter::Filter;
pub use line::line;
pub use list::{Offsets, TopicInfo, infos, offsets};
pub use tail::{Begin, Tail, tail};
pub use whole::whole;

use anyhow::{Context, bail};
use schemas::catalogue::{TOPICS, TopicSpec};

/// The version behind the names of all topics.
const VERSION: &str = ".v1";

/// What a topic may be called besides: `bets` for `bets.v1`, `parked` for `settlements.v1.dispatcher.parked`.
pub fn short(name: &str) -> &str {
    match name.split_once(VERSION) {
        Some((plain, "")) => plain,
        Some((_, further)) => further.strip_prefix(".dispatcher.").unwrap_or(name),
        None => name,
    }
}

/// The topic of this name, short or not.
///
/// # Errors
/// If there is none.
pub fn find(name: &str) -> anyhow::Result<&'static TopicSpec> {
    let found = TOPICS.iter().find(|spec| spec.name == name || short(spec.name) == name);
    found.with_context(|| format!("there is no topic {name}"))
}

/// The partitions to read: those given, or all.
///
/// # Errors
/// If the topic has not so many.
pub fn chosen(given: &[u32], partitions: u32) -> anyhow::Result<Vec<u32>> {
    if let Some(beyond) = given.iter().find(|one| partitions <= **one) {
        bail!("there is no partition {beyond}: they are numbered from 0 to {}", partitions - 1);
    }
    Ok(if given.is_empty() { (0..partitions).collect() } else { given.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_topic_has_a_short_name_of_its_own() {
        let mut names = BTreeSet::new();
        for spec in TOPICS {
            assert!(names.insert(short(spec.name)), "{}", spec.name);
            assert_eq!(find(short(spec.name)).unwrap().name, spec.name);
            assert_eq!(find(spec.name).unwrap().name, spec.name);
        }
        assert!(names.contains("settlements") && names.contains("parked"), "{names:?}");
        assert!(find("settlement").is_err());
    }

    #[test]
    fn partitions_are_those_that_there_are() {
        assert_eq!(chosen(&[], 2).unwrap(), [0, 1]);
        assert_eq!(chosen(&[1], 2).unwrap(), [1]);
        assert!(chosen(&[2], 2).unwrap_err().to_string().contains("from 0 to 1"));
    }
}
