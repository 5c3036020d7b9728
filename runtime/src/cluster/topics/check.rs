//! What Kafka has against what it must have.

use super::wanted::{
    self, BATCH_BYTES, BATCH_BYTES_MIN, CLEANUP, IN_SYNC, OFFSETS_MINUTES, OFFSETS_MINUTES_MIN,
    RETENTION, RETENTION_BYTES, RETENTION_DAYS_MIN, RETENTION_MS_MIN, TIMESTAMP, UNCLEAN, Wanted,
    WantedTopic,
};
use crate::cluster::Profile;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// The brokers' setting for how long a group's offsets outlive its last member.
pub(super) const OFFSETS_RETENTION: &str = "offsets.retention.minutes";
/// The brokers' setting for the replicas of the topic with the stored offsets, once it is made.
pub(super) const OFFSETS_REPLICATION: &str = "offsets.topic.replication.factor";

/// What Kafka has.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Topics of the catalogue that exist, by name.
    pub topics: BTreeMap<String, FoundTopic>,
    /// Replicas of the topic with the stored offsets; none before the first offset is stored.
    pub offsets_replication: Option<u32>,
    /// The brokers that answer.
    pub brokers: Vec<FoundBroker>,
}

/// One topic as it is.
#[derive(Clone, Debug, Default)]
pub struct FoundTopic {
    /// Its partitions.
    pub partitions: u32,
    /// Replicas of the partition that has the fewest, dead ones too.
    pub replication: u32,
    /// Settings in effect, by name.
    pub settings: BTreeMap<String, Setting>,
}

/// A setting in effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its value; none if Kafka keeps it to itself.
    pub value: Option<String>,
    /// True if it is set on the topic itself, false if it comes from the brokers.
    pub own: bool,
}

/// One broker as it is.
#[derive(Clone, Debug, Default)]
pub struct FoundBroker {
    /// Its number.
    pub id: i32,
    /// Settings in effect, by name.
    pub settings: BTreeMap<String, String>,
}

/// Whether a service may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Could lose money: no service starts.
    Refuse,
    /// Not as planned, but safe.
    Note,
}

/// Who mends a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mended {
    /// `roundhouse topics apply`.
    Apply,
    /// A person.
    Person,
    /// Nobody need.
    Nobody,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whether a service may start.
    pub severity: Severity,
    /// The topic, or `broker <id>`.
    pub of: String,
    /// The setting by Kafka's name, or `topic`, `partitions`, `replication`.
    pub setting: &'static str,
    /// What it is.
    pub found: String,
    /// What it must be; of a note, what is planned.
    pub needed: String,
    /// Why it could lose money; of a note, why not.
    pub why: &'static str,
    /// Who mends it.
    pub mended: Mended,
    /// How.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, setting, found, needed, why, remedy, .. } = self;
        let must = match self.severity {
            Severity::Refuse => "must be",
            Severity::Note => "planned is",
        };
        write!(f, "{of}: {setting} is {found}, {must} {needed}: {why}")?;
        if remedy.is_empty() { Ok(()) } else { write!(f, " ({remedy})") }
    }
}

/// Every difference between `wanted` and `found`, topic by topic, then broker by broker.
///
/// A setting that Kafka does not tell counts as wrong.
pub fn check(wanted: &Wanted, found: &Found) -> Vec<Finding> {
    let mut findings = Vec::new();
    for topic in &wanted.topics {
        match found.topics.get(topic.spec.topic.0) {
            Some(found) => topic_findings(topic, found, &mut findings),
            None => findings.push(missing(topic)),
        }
    }
    for broker in &found.brokers {
        findings.extend(offsets_retention(broker));
        if found.offsets_replication.is_none() {
            findings.extend(offsets_replication_planned(wanted.profile, broker));
        }
    }
    findings.extend(found.offsets_replication.and_then(|replicas| {
        let of = "__consumer_offsets".to_owned();
        offsets_replication(wanted.profile, of, "replication", Some(i64::from(replicas)))
    }));
    findings
}

fn missing(topic: &WantedTopic) -> Finding {
    Finding {
        severity: Severity::Refuse,
        of: topic.spec.topic.0.to_owned(),
        setting: "topic",
        found: "missing".to_owned(),
        needed: format!("there with {} partitions", topic.spec.partitions),
        why: "what belongs into it would have nowhere to go, or a broker would make it with settings of its own",
        mended: Mended::Apply,
        remedy: "`roundhouse topics apply` creates it; if it was there before, it was deleted: find out first".to_owned(),
    }
}

fn topic_findings(wanted: &WantedTopic, found: &FoundTopic, findings: &mut Vec<Finding>) {
    let partitions = wanted.spec.partitions;
    if found.partitions != partitions {
        findings.push(by_person(
            wanted,
            "partitions",
            (found.partitions, partitions.to_string()),
            "the count chooses the partition, so a bet and its markers would part company",
            format!(
                "nothing may change it in place: stop every service and restore the topic with \
                 {partitions} partitions"
            ),
        ));
    }
    if found.replication < wanted.replication {
        findings.push(by_person(
            wanted,
            "replication",
            (found.replication, format!("{} or more", wanted.replication)),
            "acknowledged records are lost with the broker that holds the only copies",
            "add replicas with kafka-reassign-partitions.sh; `apply` moves none".to_owned(),
        ));
    }
    for (setting, planned) in &wanted.settings {
        let value = found.settings.get(*setting).and_then(|setting| setting.value.as_deref());
        let case = Case { wanted, found, value: value.unwrap_or_default() };
        let finding = Finding {
            severity: Severity::Note,
            of: wanted.spec.topic.0.to_owned(),
            setting,
            found: value.map_or_else(|| "not told".to_owned(), quoted),
            needed: planned.clone(),
            why: "loses nothing",
            mended: Mended::Nobody,
            remedy: "`apply` leaves it".to_owned(),
        };
        if let Some((needed, why)) = case.refused(setting) {
            findings.push(Finding {
                severity: Severity::Refuse,
                needed,
                why,
                mended: Mended::Apply,
                remedy: format!("`roundhouse topics apply` sets {planned}"),
                ..finding
            });
        } else if value != Some(planned) {
            findings.push(finding);
        }
    }
}

fn quoted(value: &str) -> String {
    if value.is_empty() { "empty".to_owned() } else { value.to_owned() }
}

fn by_person(
    wanted: &WantedTopic,
    setting: &'static str,
    (found, needed): (u32, String),
    why: &'static str,
    remedy: String,
) -> Finding {
    Finding {
        severity: Severity::Refuse,
        of: wanted.spec.topic.0.to_owned(),
        setting,
        found: found.to_string(),
        needed,
        why,
        mended: Mended::Person,
        remedy,
    }
}

/// A value of one setting of one topic.
struct Case<'a> {
    wanted: &'a WantedTopic,
    found: &'a FoundTopic,
    value: &'a str,
}

/// What is needed, and why anything else could lose money.
type Refused = (String, &'static str);

impl Case<'_> {
    fn refused(&self, setting: &str) -> Option<Refused> {
        match setting {
            CLEANUP => self.cleanup(),
            RETENTION => self.retention(),
            RETENTION_BYTES => self.retention_bytes(),
            IN_SYNC => self.in_sync(),
            UNCLEAN => unless(
                self.value == "false",
                "false",
                "a replica without the newest acknowledged records could become leader, and they are gone",
            ),
            TIMESTAMP => unless(
                self.value == "LogAppendTime",
                "LogAppendTime",
                "retention would count from the producer's clock, and a clock that is behind deletes too early",
            ),
            BATCH_BYTES => unless(
                self.number().is_some_and(|bytes| BATCH_BYTES_MIN <= bytes),
                &format!("at least {BATCH_BYTES_MIN}"),
                "a batch that the broker refuses is never written, and what it owes stays unpaid",
            ),
            _ => None,
        }
    }

    fn number(&self) -> Option<i64> {
        self.value.parse().ok()
    }

    fn cleanup(&self) -> Option<Refused> {
        let policies: Vec<&str> = self.value.split(',').map(str::trim).collect();
        if self.wanted.spec.compacted {
            return None;
        }
        if policies.contains(&"compact") {
            let why = "compaction deletes all but the newest record of a key, and with them bets and payouts";
            return Some(("delete".to_owned(), why));
        }
        let why =
            "without it the disks fill, and records that cannot be written are lost to their owner";
        unless(policies.contains(&"delete"), "delete", why)
    }

    /// True if the log is compacted, as it should be, and no record expires.
    fn never_expires(&self) -> bool {
        let policy = self.found.settings.get(CLEANUP).and_then(|policy| policy.value.as_deref());
        self.wanted.spec.compacted && policy == Some("compact")
    }

    fn retention(&self) -> Option<Refused> {
        if self.never_expires() || self.number() == Some(-1) {
            return None;
        }
        if self.wanted.spec.kept_forever {
            return Some((
                "-1".to_owned(),
                "its records are needed for ever, however old they are",
            ));
        }
        unless(
            self.number().is_some_and(|ms| RETENTION_MS_MIN <= ms),
            &format!("at least {RETENTION_MS_MIN} ({RETENTION_DAYS_MIN} days)"),
            "records would be deleted that are still owed, retried or corrected",
        )
    }

    fn retention_bytes(&self) -> Option<Refused> {
        unless(
            self.never_expires() || self.number() == Some(-1),
            "-1",
            "a busy day would delete records before their time, owed ones too",
        )
    }

    fn in_sync(&self) -> Option<Refused> {
        let needed = self.wanted.settings.get(IN_SYNC).and_then(|needed| needed.parse().ok());
        unless(
            self.number().zip(needed).is_some_and(|(found, needed): (i64, i64)| needed <= found),
            &needed.map_or_else(String::new, |needed| format!("at least {needed}")),
            "a record would be acknowledged while one broker alone has it, and lost with that broker",
        )
    }
}

fn unless(fine: bool, needed: &str, why: &'static str) -> Option<Refused> {
    (!fine).then(|| (needed.to_owned(), why))
}

fn offsets_retention(broker: &FoundBroker) -> Option<Finding> {
    let found = broker.settings.get(OFFSETS_RETENTION);
    let minutes = found.and_then(|minutes| minutes.parse::<i64>().ok());
    if minutes.is_some_and(|minutes| OFFSETS_MINUTES_MIN <= minutes) {
        return None;
    }
    Some(Finding {
        severity: Severity::Refuse,
        of: format!("broker {}", broker.id),
        setting: OFFSETS_RETENTION,
        found: found.map_or_else(|| "not told".to_owned(), Clone::clone),
        needed: format!("at least {OFFSETS_MINUTES_MIN} ({RETENTION_DAYS_MIN} days)"),
        why: "a group that stood still for that long forgets where it was, and with it what is undone",
        mended: Mended::Person,
        remedy: format!(
            "Kafka cannot change it while it runs: set {OFFSETS_RETENTION}={OFFSETS_MINUTES} in \
             server.properties of every broker (KAFKA_OFFSETS_RETENTION_MINUTES={OFFSETS_MINUTES} in \
             a container) and restart them one by one"
        ),
    })
}

fn offsets_replication_planned(profile: Profile, broker: &FoundBroker) -> Option<Finding> {
    let found = broker.settings.get(OFFSETS_REPLICATION);
    let replicas = found.and_then(|replicas| replicas.parse().ok());
    offsets_replication(profile, format!("broker {}", broker.id), OFFSETS_REPLICATION, replicas)
}

fn offsets_replication(
    profile: Profile,
    of: String,
    setting: &'static str,
    replicas: Option<i64>,
) -> Option<Finding> {
    let needed = i64::from(wanted::replication(profile));
    if replicas.is_some_and(|replicas| needed <= replicas) {
        return None;
    }
    Some(Finding {
        severity: Severity::Refuse,
        of,
        setting,
        found: replicas.map_or_else(|| "not told".to_owned(), |replicas| replicas.to_string()),
        needed: format!("{needed} or more"),
        why: "every group forgets where it was with the broker that holds the only copies",
        mended: Mended::Person,
        remedy: format!(
            "set {OFFSETS_REPLICATION}={needed} in server.properties of every broker; once \
             __consumer_offsets exists, add its replicas with kafka-reassign-partitions.sh"
        ),
    })
}
