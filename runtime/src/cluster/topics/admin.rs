//! Asking Kafka, and changing what refuses.

use super::check::{Finding, Found, Severity, check};
use super::client::{Kafka, SETTLE_MAX};
use super::errors::{TopicsError, TopicsRefused};
use super::plan::{Plan, plan};
use super::wanted::Wanted;
use crate::cluster::Profile;
use crate::{Catalogue, Source, Topic, TopicSpec};
use std::time::Duration;

/// What `apply` did, and what is left.
#[derive(Clone, Debug)]
pub struct Applied {
    /// What was done.
    pub plan: Plan,
    /// What differs now.
    pub findings: Vec<Finding>,
}

/// What Kafka has of the topics in `catalogue`, and its brokers.
///
/// # Errors
/// If no broker answers, or one keeps its settings to itself.
pub async fn read(kafka: &Kafka, catalogue: &Catalogue) -> Result<Found, TopicsError> {
    let topics = names(catalogue);
    kafka.ask(move |client| client.read(&topics)).await
}

/// Creates the topics that are missing and alters the settings that refuse; nothing else.
///
/// Comes back when every change is seen and the leader of every partition answers.
///
/// # Errors
/// At the first step that fails; what was done before it stands, and it can be run again.
pub async fn apply(
    kafka: &Kafka,
    profile: Profile,
    catalogue: &Catalogue,
) -> Result<Applied, TopicsError> {
    let (wanted, topics) = (Wanted::new(profile, catalogue), names(catalogue));
    let partitions = partitions(catalogue);
    kafka
        .ask(move |client| {
            let found = client.read(&topics)?;
            let plan = plan(&wanted, &found);
            client.create(&plan.create, found.brokers.len())?;
            client.alter(&plan.alter)?;
            let findings = client.settled(&wanted, &topics)?;
            if !plan.create.is_empty() {
                let mut there = partitions.clone();
                there.retain(|source| plan.create.iter().any(|made| made.topic == source.topic.0));
                client.leaders_answer(&there, SETTLE_MAX)?;
            }
            Ok(Applied { plan, findings })
        })
        .await
}

/// Refuses a start on settings that could lose money.
///
/// # Errors
/// With every setting that refuses, and why; or if Kafka cannot be asked.
pub async fn check_at_start(
    kafka: &Kafka,
    profile: Profile,
    catalogue: &Catalogue,
) -> Result<(), TopicsRefused> {
    let found = read(kafka, catalogue).await?;
    let mut findings = check(&Wanted::new(profile, catalogue), &found);
    findings.retain(|finding| finding.severity == Severity::Refuse);
    if findings.is_empty() {
        return Ok(());
    }
    Err(TopicsRefused::Findings { brokers: kafka.brokers.clone(), profile, findings })
}

/// Waits until every partition of `catalogue` has a leader and that leader answers, `within` at most.
///
/// An idempotent producer that sends to a partition before then can lose records (KAFKA-15591).
///
/// # Errors
/// If a leader is silent at the end, or no broker answers.
pub async fn leaders_answer(
    kafka: &Kafka,
    catalogue: &Catalogue,
    within: Duration,
) -> Result<(), TopicsError> {
    let partitions = partitions(catalogue);
    kafka.ask(move |client| client.leaders_answer(&partitions, within)).await
}

fn names(catalogue: &Catalogue) -> Vec<Topic> {
    catalogue.topics().map(|spec| spec.topic).collect()
}

fn partitions(catalogue: &Catalogue) -> Vec<Source> {
    let each = |spec: TopicSpec| {
        (0..spec.partitions).map(move |partition| Source { topic: spec.topic, partition })
    };
    catalogue.topics().flat_map(each).collect()
}
