//! The audit: every invariant of the design, checked by definition over the whole log.
//!
//! Reads the topics, the facts, the stored offsets and the wallets' journals, and works out for each bet
//! what was decided, what each result version makes of it and what it must be worth, with arithmetic of
//! its own: neither the settler nor its rules are asked. It then compares everything that was said,
//! stored, confirmed and moved with that. It writes nothing.

mod answers;
pub mod books;
mod checks;
mod definition;
mod explain;
mod grade;
pub mod journal;
pub mod load;
mod log;
pub mod report;
#[cfg(test)]
mod tests;

use books::Books;
use checks::Scene;
use definition::{Standing, Stories};
use report::{Finding, Report};

/// Audits the books.
///
/// With `at_rest` everything must be over: a bet without a decision or a settlement that is owed and not
/// parked is then a violation, otherwise they are counted.
///
/// # Errors
/// Words for the operator, if the books hold what the audit has no definition for.
pub fn audit(books: &Books, at_rest: bool) -> Result<Report, String> {
    let stories = Stories::of(books)?;
    let scene = Scene::new(books, &stories);
    let (mut findings, totals) = checks::run(&scene);
    if at_rest {
        findings.push(rest(&scene));
    }
    let mut report = Report::new(findings);
    report.owed = totals.values().map(|total| total.owed).sum();
    report.totals = totals;
    for (bet, story) in &stories.bets {
        report.undecided += u64::from(story.standing == Standing::Undecided);
        if let Some(why) = &story.frozen {
            report.frozen.insert((*bet).to_owned(), why.clone());
        }
    }
    report.notes = notes(books, &stories);
    Ok(report)
}

/// Tells the story of one bet in plain sentences, in the order of time.
///
/// # Errors
/// Words for the operator, if the log does not name the bet.
pub fn explain(books: &Books, bet: &str) -> Result<Vec<String>, String> {
    let stories = Stories::of(books)?;
    let scene = Scene::new(books, &stories);
    explain::tell(&scene, bet)
}

fn rest(scene: &Scene<'_>) -> Finding {
    let mut finding = Finding::new(
        "at-rest",
        "every bet is decided, none is frozen, its newest settlement is final or parked",
    );
    for (bet, story) in &scene.stories.bets {
        finding.that(
            story.frozen.is_none(),
            || (*bet).to_owned(),
            || {
                format!(
                    "stopped by a broken invariant: {}",
                    story.frozen.clone().unwrap_or_default()
                )
            },
        );
        if story.frozen.is_some() {
            continue;
        }
        finding.that(
            story.standing != Standing::Undecided,
            || (*bet).to_owned(),
            || format!("undecided since the intent at {}", story.intent_at),
        );
        if let Some((_, due)) = story.settlements.last() {
            finding.that(
                scene.answers.closed(due.bet.as_str(), due.revision) || scene.answers.parked(due),
                || due.id(),
                || format!("{:?} is owed to {}", due.target, due.partner),
            );
        }
    }
    finding
}

fn notes(books: &Books, stories: &Stories<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    match &books.journals {
        None => notes.push(
            "no wallet journal was given: what partners moved was not checked (--journal)"
                .to_owned(),
        ),
        Some(journals) => {
            let without: std::collections::BTreeSet<&str> = stories
                .bets
                .values()
                .map(|story| story.bet.partner.as_str())
                .filter(|partner| !journals.contains_key(*partner))
                .collect();
            notes.extend(without.iter().map(|partner| {
                format!("no journal of partner {partner} was given: its movements were not checked")
            }));
        }
    }
    notes.extend(books.begins.iter().map(|(source, begin)| {
        format!("{source} begins at offset {begin}: rounds opened before it were left out")
    }));
    for case in &books.cases {
        notes.push(format!("case {} ({}): {}", case.case_id, case.code, case.text));
    }
    notes
}
