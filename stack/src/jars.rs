//! Java, Maven, and the servers' jars.

use crate::{StackError, say};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// One of the two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Product {
    /// Apache Kafka, broker and controller in one process.
    Kafka,
    /// Apache Cassandra: stands for every CQL store that is spoken to by the same driver.
    Cassandra,
}

impl Product {
    /// As its makers write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kafka => "Kafka",
            Self::Cassandra => "Cassandra",
        }
    }

    /// Pinned in `stack/pom/`.
    pub fn version(self) -> &'static str {
        match self {
            Self::Kafka => "4.1.0",
            Self::Cassandra => "5.0.5",
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Cassandra => "cassandra",
        }
    }

    fn pom(self) -> &'static str {
        match self {
            Self::Kafka => include_str!("../pom/kafka.xml"),
            Self::Cassandra => include_str!("../pom/cassandra.xml"),
        }
    }
}

/// The directory of the product's jars, resolved with Maven if they are not there.
///
/// The caller holds the lock of the stack directory.
pub(crate) fn lib(home: &Path, product: Product) -> Result<PathBuf, StackError> {
    let lib = home.join("lib").join(product.word());
    // The pom is written last: a directory without it is half a download.
    let stamp = lib.join("resolved.xml");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == product.pom()) {
        return Ok(lib);
    }
    let maven = maven()?;
    let started = Instant::now();
    let (name, version) = (product.name(), product.version());
    say(&format!("resolving {name} {version} from Maven Central ..."));
    if lib.exists() {
        fs::remove_dir_all(&lib).map_err(StackError::io("remove", &lib))?;
    }
    fs::create_dir_all(&lib).map_err(StackError::io("make", &lib))?;
    let pom = lib.join("pom.xml");
    fs::write(&pom, product.pom()).map_err(StackError::io("write", &pom))?;
    let mut command = limited("600", &maven);
    command.args(["-q", "-B", "-f"]).arg(&pom).arg("dependency:copy-dependencies");
    command.arg("-DincludeScope=runtime").arg(format!("-DoutputDirectory={}", lib.display()));
    run(&mut command, "resolving jars from Maven Central (mvn dependency:copy-dependencies)")?;
    fs::rename(&pom, &stamp).map_err(StackError::io("rename", &pom))?;
    say(&format!("resolved {name} {version} in {} s", started.elapsed().as_secs()));
    Ok(lib)
}

/// A Java 17: the one version that both servers support.
pub(crate) fn java() -> Result<PathBuf, StackError> {
    if let Some(java) = installed_java() {
        return Ok(java);
    }
    install("openjdk-17-jre-headless");
    installed_java()
        .ok_or(StackError::ToolMissing { what: "Java 17", package: "openjdk-17-jre-headless" })
}

fn installed_java() -> Option<PathBuf> {
    let homes = fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten();
    let mut candidates: Vec<PathBuf> = homes
        .filter(|home| home.file_name().to_string_lossy().contains("17"))
        .map(|home| home.path().join("bin/java"))
        .collect();
    candidates.sort();
    candidates.insert(0, PathBuf::from("java"));
    candidates.into_iter().find(|java| {
        // `java -version` writes to standard error: openjdk version "17.0.15" 2025-04-15
        let output = Command::new(java).arg("-version").stdin(Stdio::null()).output();
        output.is_ok_and(|said| String::from_utf8_lossy(&said.stderr).contains("version \"17."))
    })
}

fn maven() -> Result<PathBuf, StackError> {
    let maven = || {
        let answer = Command::new("mvn").arg("-v").stdin(Stdio::null()).output();
        answer.is_ok_and(|said| said.status.success()).then(|| PathBuf::from("mvn"))
    };
    if let Some(found) = maven() {
        return Ok(found);
    }
    install("maven");
    maven().ok_or(StackError::ToolMissing { what: "Maven", package: "maven" })
}

/// Installs a package where that is allowed; whether it helped is for the caller to see.
fn install(package: &str) {
    if !rustix::process::geteuid().is_root() || Command::new("apt-get").arg("-v").output().is_err()
    {
        return;
    }
    let started = Instant::now();
    say(&format!("installing {package} ..."));
    let update = run(limited("300", "apt-get").args(["update", "-qq"]), "apt-get update");
    let mut command = limited("600", "apt-get");
    command.args(["install", "-y", "-qq", "--no-install-recommends", package]);
    let installed = run(command.env("DEBIAN_FRONTEND", "noninteractive"), "apt-get install");
    match update.and(installed) {
        Ok(()) => say(&format!("installed {package} in {} s", started.elapsed().as_secs())),
        Err(error) => say(&error.to_string()),
    }
}

/// The command, ended after so many seconds.
fn limited(seconds: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command.arg(seconds).arg(program);
    command
}

pub(crate) fn run(command: &mut Command, what: &str) -> Result<(), StackError> {
    let failed = |output: String| StackError::Tool { what: what.to_owned(), output };
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Err(failed(format!("{}, {}", output.status, crate::server::tail(&text))))
}
