//! What the documents name exists: files, sections, tests, planted bugs, alerts and alarms.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Files below `directory` that end with `end`.
fn below(directory: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(below(&path, end));
        } else if path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
    found
}

fn pages() -> Vec<PathBuf> {
    let alone = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "partner-kit/README.md"];
    let alone = alone.iter().map(|name| root().join(name));
    alone.chain(below(&root().join("docs"), ".md")).collect()
}

/// The links of a page: text and target.
fn links(page: &str) -> Vec<(&str, &str)> {
    let link = |at: usize| {
        let name = page[..at].rsplit('[').next()?;
        let target = page[at + 2..].split(')').next()?;
        Some((name, target))
    };
    page.match_indices("](").filter_map(|(at, _)| link(at)).collect()
}

/// Whether a page has the section that `anchor` names, as Markdown makes anchors of headings.
fn has_section(page: &str, anchor: &str) -> bool {
    let named = |heading: &str| -> String {
        let heading = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
    };
    page.lines().filter(|line| line.starts_with('#')).any(|line| named(line) == anchor)
}

#[test]
fn links_lead_somewhere() {
    for path in pages() {
        let page = text(&path);
        for (name, target) in links(&page) {
            if target.contains("://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = match file {
                "" => path.clone(),
                _ => path.parent().unwrap().join(file),
            };
            assert!(file.exists(), "{}: [{name}]({target})", path.display());
            let sections = anchor.is_empty() || has_section(&text(&file), anchor);
            assert!(sections, "{}: no section [{name}]({target})", path.display());
        }
    }
}

/// A link from a name in code leads to a source with that test, or that planted bug.
#[test]
fn tests_that_the_risks_name_exist() {
    let mut seen = 0;
    let page = text(&root().join("docs/risks.md"));
    for (name, target) in links(&page) {
        let Some(name) = name.strip_prefix('`').and_then(|name| name.strip_suffix('`')) else {
            continue;
        };
        let source = text(&root().join("docs").join(target));
        let forms = [format!("fn {name}("), format!("fn {name}<"), format!("\"{name}\"")];
        let stands = forms.iter().any(|form| source.contains(form.as_str()));
        assert!(stands, "{target} has no {name}");
        seen += 1;
    }
    assert!(100 < seen, "only {seen} tests are named");
}

/// Each row of the risks names a proof or says that it is open.
#[test]
fn no_risk_is_passed_over() {
    let page = text(&root().join("docs/risks.md"));
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| risk "));
    for row in rows {
        let proof = row.contains(".rs) |") || row.contains("**open**") || row.contains("`scripts/");
        assert!(proof, "{row}");
    }
}

/// Whoever is woken finds what it means and what to do.
#[test]
fn alerts_and_alarms_are_explained() {
    let page = text(&root().join("docs/operations.md"));
    let rules = text(&root().join("deploy/prometheus/rules.yml"));
    let alerts: Vec<&str> =
        rules.lines().filter_map(|line| line.split("- alert: ").nth(1)).collect();
    assert!(!alerts.is_empty());
    for alert in alerts {
        assert!(page.contains(&format!("`{alert}`")), "{alert} is not explained");
    }
    let crates = ["runtime", "ingest", "settler", "partner-dispatcher", "roundhouse"];
    let sources: String = crates
        .iter()
        .flat_map(|name| below(&root().join(name), ".rs"))
        .map(|path| text(&path))
        .collect();
    let section = page.split("\n## ").find(|section| section.starts_with("Alarms")).unwrap();
    let named = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    for alarm in named {
        assert!(sources.contains(&format!("\"{alarm}\"")), "nothing raises {alarm}");
    }
    for (at, before) in sources.match_indices("Alarm { name: \"") {
        let alarm = sources[at + before.len()..].split('"').next().unwrap();
        let explained = alarm.ends_with("_test") || section.contains(&format!("| `{alarm}`"));
        assert!(explained, "{alarm} is not explained");
    }
}
