//! What is found in a store, and whether a service may start on it.

use super::StoreOpenError;
use super::commit_log::{self, CommitLog};
use super::migrations::{Applied, Migration, missing};
use crate::cluster::Profile;
use std::collections::BTreeMap;

/// A keyspace, as `system_schema` describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keyspace {
    pub(super) durable_writes: bool,
    /// `class`, and the factor of each data centre or `replication_factor`.
    pub(super) replication: BTreeMap<String, String>,
}

/// A column: its kind (`partition_key`, `clustering`, `regular`), its place in the key, its order and
/// its type.
pub(super) type Column = (String, i32, String, String);

/// The table of facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    /// Seconds until a row vanishes; 0 for never.
    pub(super) time_to_live: i32,
    pub(super) columns: BTreeMap<String, Column>,
}

/// What was read from a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) keyspace: Option<Keyspace>,
    /// By number.
    pub(super) applied: Vec<Applied>,
    pub(super) facts: Option<Table>,
    /// Of every node.
    pub(super) commit_logs: Vec<CommitLog>,
}

/// Whether a service may start on what was found.
///
/// # Errors
/// The first reason against it.
pub(super) fn judge(
    found: &Found,
    keyspace: &str,
    profile: Profile,
    needed: &[Migration],
) -> Result<(), StoreOpenError> {
    judge_keyspace(keyspace, found.keyspace.as_ref(), profile)?;
    let missing = missing(&found.applied, needed)?;
    if let (Some(first), Some(last)) = (missing.first(), missing.last()) {
        let (first, last) = (first.number, last.number);
        return Err(StoreOpenError::NotMigrated { keyspace: keyspace.to_owned(), first, last });
    }
    let keyspace = keyspace.to_owned();
    let Some(facts) = &found.facts else {
        return Err(StoreOpenError::Shape { keyspace, why: "it does not exist".to_owned() });
    };
    if facts.time_to_live != 0 {
        return Err(StoreOpenError::TimeToLive { keyspace, seconds: facts.time_to_live });
    }
    judge_columns(&facts.columns).map_err(|why| StoreOpenError::Shape { keyspace, why })?;
    commit_log::judge(&found.commit_logs)
}

/// Whether facts may be kept in this keyspace.
///
/// # Errors
/// The first reason against it.
pub(super) fn judge_keyspace(
    name: &str,
    found: Option<&Keyspace>,
    profile: Profile,
) -> Result<(), StoreOpenError> {
    let keyspace = name.to_owned();
    let Some(found) = found else {
        return Err(StoreOpenError::KeyspaceMissing { keyspace });
    };
    if !found.durable_writes {
        return Err(StoreOpenError::NoCommitLog { keyspace });
    }
    let Some(factor) = replication_factor(&found.replication) else {
        let replication = format!("{:?}", found.replication);
        return Err(StoreOpenError::ReplicationUnknown { keyspace, replication });
    };
    let wanted = replication_min(profile);
    if factor < wanted {
        return Err(StoreOpenError::Replication { keyspace, factor, wanted });
    }
    Ok(())
}

/// Replicas that a profile needs. Three, since a quorum of them is on two machines and one may be down.
pub(super) fn replication_min(profile: Profile) -> u32 {
    match profile {
        Profile::Single => 1,
        Profile::Cluster => 3,
    }
}

/// Replicas of a row in all data centres together, as QUORUM counts them; `None` if unreadable.
fn replication_factor(replication: &BTreeMap<String, String>) -> Option<u32> {
    let class = replication.get("class")?;
    if !class.ends_with("NetworkTopologyStrategy") && !class.ends_with("SimpleStrategy") {
        return None;
    }
    let factors = replication.iter().filter(|(name, _)| *name != "class");
    factors.map(|(_, factor)| factor.parse::<u32>().ok()).sum()
}

/// The columns that the statements rely on: name, kind, place, order, type.
///
/// A key without one of its columns would let one fact overwrite another.
const COLUMNS: [(&str, &str, i32, &str, &str); 9] = [
    ("group_name", "partition_key", 0, "none", "text"),
    ("topic", "partition_key", 1, "none", "text"),
    ("topic_partition", "partition_key", 2, "none", "int"),
    ("lane", "clustering", 0, "asc", "text"),
    ("subject", "clustering", 1, "asc", "text"),
    ("kind", "clustering", 2, "asc", "text"),
    ("at_offset", "clustering", 3, "asc", "bigint"),
    ("content_hash", "clustering", 4, "asc", "blob"),
    ("body", "regular", -1, "none", "blob"),
];

fn judge_columns(found: &BTreeMap<String, Column>) -> Result<(), String> {
    for (name, kind, place, order, of_type) in COLUMNS {
        let wanted = (kind.to_owned(), place, order.to_owned(), of_type.to_owned());
        match found.get(name) {
            Some(column) if *column == wanted => {}
            Some(column) => {
                return Err(format!("its column {name} is {column:?} and must be {wanted:?}"));
            }
            None => return Err(format!("it has no column {name}")),
        }
    }
    for (name, (kind, ..)) in found {
        if kind != "regular" && !COLUMNS.iter().any(|(ours, ..)| ours == name) {
            return Err(format!("its key has the column {name}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::migrations::MIGRATIONS;
    use super::*;

    fn good() -> Found {
        let applied = |migration: &Migration| Applied {
            number: migration.number,
            name: migration.name.to_owned(),
            checksum: migration.checksum(),
        };
        let column = |(name, kind, place, order, of_type): (&str, &str, i32, &str, &str)| {
            (name.to_owned(), (kind.to_owned(), place, order.to_owned(), of_type.to_owned()))
        };
        Found {
            keyspace: Some(Keyspace { durable_writes: true, replication: network("dc1", "3") }),
            applied: MIGRATIONS.iter().map(applied).collect(),
            facts: Some(Table { time_to_live: 0, columns: COLUMNS.map(column).into() }),
            commit_logs: vec![of_commit_log("group")],
        }
    }

    fn of_commit_log(mode: &str) -> CommitLog {
        CommitLog { node: "n:9042".to_owned(), mode: commit_log::Mode::Cassandra(mode.to_owned()) }
    }

    fn replication<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    fn network(centre: &str, factor: &str) -> BTreeMap<String, String> {
        let class = "org.apache.cassandra.locator.NetworkTopologyStrategy";
        replication([("class", class), (centre, factor)])
    }

    /// What is said of a good store in which `change` was made.
    fn said(profile: Profile, change: impl FnOnce(&mut Found)) -> String {
        let mut found = good();
        change(&mut found);
        match judge(&found, "k", profile, &MIGRATIONS) {
            Ok(()) => "starts".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_good_store_starts() {
        assert_eq!(said(Profile::Cluster, |_| {}), "starts");
        assert_eq!(said(Profile::Single, |_| {}), "starts");
    }

    #[test]
    fn what_is_not_there_names_the_command() {
        let none = said(Profile::Cluster, |found| *found = Found::default());
        assert_eq!(none, "the keyspace k does not exist: run `roundhouse store migrate`");
        let bare = said(Profile::Cluster, |found| (found.applied, found.facts) = (vec![], None));
        assert_eq!(
            bare,
            "migrations 1 to 1 are not applied in keyspace k: run `roundhouse store migrate`"
        );
    }

    #[test]
    fn a_newer_store_is_refused() {
        let newer = said(Profile::Cluster, |found| {
            let (name, checksum) = ("later".to_owned(), "c".to_owned());
            found.applied.push(Applied { number: 99, name, checksum });
        });
        assert!(newer.contains("migration 99 (later)"), "{newer}");
    }

    #[test]
    fn replication_is_counted_as_quorum_counts_it() {
        let of = |profile, map: BTreeMap<String, String>| {
            said(profile, |found| {
                found.keyspace = Some(Keyspace { durable_writes: true, replication: map });
            })
        };
        let simple = |n| replication([("class", "SimpleStrategy"), ("replication_factor", n)]);
        let (network_of, local) = ("NetworkTopologyStrategy", replication([("class", "Local")]));
        let two = replication([("class", network_of), ("a", "1"), ("b", "2")]);
        assert_eq!(of(Profile::Cluster, simple("3")), "starts");
        assert_eq!(of(Profile::Cluster, two), "starts");
        assert_eq!(of(Profile::Single, simple("1")), "starts");
        for (profile, map) in [
            (Profile::Cluster, simple("1")),
            (Profile::Cluster, network("a", "2")),
            (Profile::Single, network("a", "0")),
            (Profile::Cluster, network("a", "3/1")),
            (Profile::Single, local),
        ] {
            let refused = of(profile, map.clone());
            assert!(refused.contains("replica"), "{map:?}: {refused}");
        }
    }

    #[test]
    fn what_could_lose_facts_is_refused() {
        let ttl = said(Profile::Single, |found| {
            found.facts.as_mut().unwrap().time_to_live = 60;
        });
        assert!(ttl.contains("default_time_to_live of 60 s"), "{ttl}");
        let volatile = said(Profile::Single, |found| {
            found.keyspace.as_mut().unwrap().durable_writes = false;
        });
        assert!(volatile.contains("durable_writes"), "{volatile}");
        for profile in [Profile::Single, Profile::Cluster] {
            let early = said(profile, |found| found.commit_logs = vec![of_commit_log("periodic")]);
            assert!(early.contains("commitlog_sync = periodic"), "{early}");
        }
    }

    #[test]
    fn a_key_that_would_let_facts_overwrite_each_other_is_refused() {
        let columns = |change: fn(&mut BTreeMap<String, Column>)| {
            said(Profile::Single, |found| change(&mut found.facts.as_mut().unwrap().columns))
        };
        let gone = columns(|all| {
            all.remove("content_hash");
        });
        assert!(gone.contains("no column content_hash"), "{gone}");
        let plain = columns(|all| all.get_mut("content_hash").unwrap().0 = "regular".to_owned());
        assert!(plain.contains("content_hash is"), "{plain}");
        let more = columns(|all| {
            let column = ("clustering".to_owned(), 5, "asc".to_owned(), "int".to_owned());
            all.insert("extra".to_owned(), column);
        });
        assert!(more.contains("extra"), "{more}");
        let later = columns(|all| {
            let column = ("regular".to_owned(), -1, "none".to_owned(), "int".to_owned());
            all.insert("note".to_owned(), column);
        });
        assert_eq!(later, "starts");
    }
}
