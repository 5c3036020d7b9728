//! Operators come, go and change while a server runs: at a SIGHUP its configuration is read again, for them alone.
//!
//! Of the embedded engine alone: no engine has a part in it.

use crate::admin::get;
use crate::house::{EXE, OPERATOR_KEY, Street, WAIT_MAX};
use http::Method;
use roundhouse::config::Operator;
use roundhouse::rig::api::Api;
use roundhouse::rig::processes::{ServerProcess, free_ports};
use runtime::Embedded;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

const NEW_KEY: &str = "the desk's new key, long enough";
const NIGHT_KEY: &str = "the night's key, long enough";
const FEED_KEY: &str = "the feed's key, long enough";
/// Stands in a file that is wrong, where secrets do.
const CANARY: &str = "canary-61c0";
const LOOK_PERIOD: Duration = Duration::from_millis(10);

/// Closing a round that is not there: 404 for whoever may close rounds.
const CLOSE: (Method, &str) = (Method::POST, "/v1/rounds/none/close");
/// Looking at partners, whom other handlers show than rounds.
const LOOK: (Method, &str) = (Method::GET, "/v1/partners");

fn operator(name: &str, key: &str, roles: Option<&[&str]>) -> Operator {
    let roles = roles.map(|roles| roles.iter().map(|role| (*role).to_owned()).collect());
    Operator { name: name.to_owned(), key: key.to_owned(), roles }
}

/// A server in a process of its own, and its log.
struct Server {
    street: Street,
    child: Child,
    api: Api,
    admin: String,
    log: PathBuf,
}

impl Server {
    /// Starts it with the configuration `config`.
    fn start(street: Street, config: &PathBuf) -> Self {
        let port = free_ports(2).unwrap();
        let (api, admin) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{}", port + 1));
        let log = street.directory.path().join("log");
        let child = Command::new(EXE)
            .args(["--log", "trace", "serve", "--listen", &api, "--admin-listen", &admin])
            .arg("--config")
            .arg(config)
            .arg("--data-dir")
            .arg(street.directory.path())
            .stdin(Stdio::null())
            .stderr(Stdio::from(File::create(&log).unwrap()))
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let api = Api::new(format!("http://{api}"), OPERATOR_KEY.to_owned());
        Self { street, child, api, admin: format!("http://{admin}"), log }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()).unwrap()
    }

    fn hang_up(&self) {
        kill_process(self.pid(), Signal::HUP).unwrap();
    }

    /// Writes the configuration with these operators, and says that it is to be read.
    fn operated_by(&mut self, operators: Vec<Operator>, further: &str) {
        self.street.config.operators = operators;
        self.street.file(further);
        self.hang_up();
    }

    /// Status and code of a call with this key.
    async fn told(&self, key: &str, call: &(Method, &str)) -> (u16, String) {
        let reply = self.api.call(call.0.clone(), call.1, key, None).await.unwrap();
        (reply.status, reply.text("code").to_owned())
    }

    async fn until(&self, key: &str, call: &(Method, &str), wanted: (u16, &str)) {
        let begun = Instant::now();
        loop {
            let (status, code) = self.told(key, call).await;
            if (status, &*code) == wanted {
                return;
            }
            assert!(begun.elapsed() < WAIT_MAX, "{status} `{code}`, not {wanted:?}");
            sleep(LOOK_PERIOD).await;
        }
    }

    async fn shows(&self, line: &str) {
        shows(&self.admin, line).await;
    }

    /// Stops it in order; what it logged.
    async fn stop(mut self) -> String {
        kill_process(self.pid(), Signal::TERM).unwrap();
        assert_eq!(self.child.wait().await.unwrap().code(), Some(0));
        fs::read_to_string(&self.log).unwrap()
    }
}

/// Waits until a line of `/metrics` is there.
async fn shows(admin: &str, line: &str) {
    let begun = Instant::now();
    loop {
        let (_, text) = get(admin, "/metrics", "text/plain").await;
        if text.lines().any(|shown| shown == line) {
            return;
        }
        assert!(begun.elapsed() < WAIT_MAX, "{line} is not in {text}");
        sleep(LOOK_PERIOD).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_revoked_while_the_server_runs() {
    let mut street = Street::on::<Embedded>(1, 141, &[]).await;
    let feed = || operator("feed", FEED_KEY, Some(&["rounds"]));
    street.config.operators.extend([operator("night", NIGHT_KEY, None), feed()]);
    let config = street.file("");
    let mut server = Server::start(street, &config);
    server.api.ready(WAIT_MAX).await.unwrap();
    let unknown = (401, "operator_unknown");
    server.until(OPERATOR_KEY, &CLOSE, (404, "round_unknown")).await;
    server.until(NIGHT_KEY, &CLOSE, (404, "round_unknown")).await;
    server.until(NEW_KEY, &LOOK, unknown).await;
    server.shows("roundhouse_config_last_read_good 1").await;

    let night = || operator("night", NIGHT_KEY, Some(&["read"]));
    server.operated_by(vec![operator("desk", NEW_KEY, None), night()], "");
    for (key, call, wanted) in [
        (OPERATOR_KEY, &CLOSE, unknown),
        (OPERATOR_KEY, &LOOK, unknown),
        (FEED_KEY, &CLOSE, unknown),
        (NEW_KEY, &CLOSE, (404, "round_unknown")),
        (NIGHT_KEY, &CLOSE, (403, "role_missing")),
        (NIGHT_KEY, &LOOK, (200, "")),
    ] {
        server.until(key, call, wanted).await;
    }
    server.shows("roundhouse_config_rereads_total{result=\"taken\"} 1").await;

    // A key that is too short, a role that there is not, and a key that nobody reads.
    let wrong = vec![operator("desk", CANARY, None), operator("day", NIGHT_KEY, Some(&["raed"]))];
    server.operated_by(wrong, "[placing]\nattempts = 1");
    server.shows("roundhouse_config_rereads_total{result=\"refused\"} 1").await;
    server.shows("roundhouse_config_last_read_good 0").await;
    fs::remove_file(&config).unwrap();
    server.hang_up();
    server.shows("roundhouse_config_rereads_total{result=\"refused\"} 2").await;
    assert_eq!(server.told(OPERATOR_KEY, &LOOK).await.0, 401);
    assert_eq!(server.told(NEW_KEY, &LOOK).await.0, 200, "all is as before");
    assert_eq!(server.told(NIGHT_KEY, &CLOSE).await.0, 403, "all is as before");

    let further = "[server]\nconnections_max = 77";
    server.operated_by(vec![operator("desk", NEW_KEY, None), feed()], further);
    server.until(NIGHT_KEY, &LOOK, unknown).await;
    server.until(FEED_KEY, &CLOSE, (404, "round_unknown")).await;
    server.shows("roundhouse_config_last_read_good 1").await;
    server.shows("roundhouse_config_rereads_total{result=\"taken\"} 2").await;

    let log = server.stop().await;
    for words in [
        "removed: feed; key changed: desk; roles changed: desk, night",
        "the configuration has 3 errors",
        "operators[0].key: the key of operator `desk` is shorter",
        "did you mean `read`?",
        "placing.attempts",
        "cannot be read",
        "added: feed; removed: night",
        "server.connections_max, server.drain_notice_ms",
    ] {
        assert!(log.contains(words), "`{words}` is not in the log");
    }
    // What flags say is no change of the file, which says otherwise.
    assert_eq!(log.matches("only operators are read again").count(), 1, "{log}");
    for secret in [OPERATOR_KEY, NEW_KEY, NIGHT_KEY, FEED_KEY, CANARY] {
        assert!(!log.contains(secret), "a secret is said");
    }
}

/// Whether a process has a handler of its own for SIGHUP.
fn handles_hangups(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & 1 == 1
}

/// Whether a process has a thread that reads its configuration again.
fn reads_again(pid: Pid) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let mut names = threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("comm")));
    names.any(|name| name.is_ok_and(|name| name.trim() == "config-read"))
}

/// A SIGHUP to a process that has not even read its configuration ends nothing, and is not forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_before_the_start_waits_for_it() {
    let street = Street::on::<Embedded>(1, 142, &[]).await;
    let config = street.file("");
    // Whoever reads a pipe waits for its writer.
    let pipe = street.directory.path().join("pipe.toml");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let write = async || {
        let written = Command::new("cp").args([&config, &pipe]).kill_on_drop(true).status();
        let written = tokio::time::timeout(WAIT_MAX, written).await;
        assert!(written.expect("nobody reads it").unwrap().success());
    };
    let server = Server::start(street, &pipe);
    let begun = Instant::now();
    while !handles_hangups(server.pid()) {
        assert!(begun.elapsed() < WAIT_MAX, "a SIGHUP would end it");
        sleep(LOOK_PERIOD).await;
    }
    server.hang_up();
    write().await;
    // It serves while it waits for what it is to read again.
    server.api.ready(WAIT_MAX).await.unwrap();
    write().await;
    server.shows("roundhouse_config_rereads_total{result=\"taken\"} 1").await;
    // A file that never answers keeps nobody from stopping.
    server.hang_up();
    let begun = Instant::now();
    while !reads_again(server.pid()) {
        assert!(begun.elapsed() < WAIT_MAX, "it does not read");
        sleep(LOOK_PERIOD).await;
    }
    let log = tokio::time::timeout(WAIT_MAX, server.stop()).await.expect("it does not stop");
    assert!(log.contains("read again: nothing changed"), "{log}");
}

/// What a sandbox has of its own is in no file, and stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_keeps_its_operator() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().to_str().unwrap();
    let arguments =
        ["--log", "warn", "serve", "--sandbox", "--announce", "--listen", "127.0.0.1:0"];
    let arguments = arguments.into_iter().chain(["--data-dir", data_dir]).map(str::to_owned);
    let server = ServerProcess::run(EXE.as_ref(), &arguments.collect::<Vec<_>>()).await.unwrap();
    let kept = fs::read(directory.path().join("sandbox/keys.json")).unwrap();
    let kept: serde_json::Value = serde_json::from_slice(&kept).unwrap();
    let key = kept["operator_key"].as_str().unwrap();
    let api = Api::new(server.url.clone(), key.to_owned());
    server.signal(Signal::HUP).unwrap();
    shows(&server.admin, "roundhouse_config_rereads_total{result=\"taken\"} 1").await;
    let told = api.call(LOOK.0, LOOK.1, key, None).await.unwrap();
    assert_eq!(told.status, 200, "{}", told.body);
    server.stop().await.unwrap();
}

/// Starts a server at a terminal, takes the terminal away, and says how the server ended.
const AT_A_TERMINAL: &str = "
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
said = b''
while b'http://' not in said:
    said += os.read(terminal, 1000)
os.close(terminal)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

/// Who closes the window of a server means to end it; it does not live on without one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_ends_with_its_terminal() {
    let street = Street::on::<Embedded>(1, 143, &[]).await;
    let config = street.file("");
    let ended = Command::new("python3")
        .args(["-c", AT_A_TERMINAL, EXE, "--log", "warn", "serve", "--announce"])
        .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--config"])
        .arg(&config)
        .arg("--data-dir")
        .arg(street.directory.path())
        .kill_on_drop(true)
        .output();
    let ended = tokio::time::timeout(WAIT_MAX, ended).await.unwrap().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
}

/// What `operator key` prints is taken by a server as it stands there.
#[test]
fn a_key_is_made_for_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("roundhouse.toml");
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new(EXE).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let night = run(&["operator", "key", "night", "--role", "propose", "--role", "read"]);
    let desk = run(&["operator", "key", "desk"]);
    fs::write(&path, [night, desk].concat()).unwrap();
    let config = path.to_str().unwrap();
    let listed = run(&["operator", "list", "--config", config]);
    let lines: Vec<Vec<&str>> =
        listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(lines.contains(&vec!["night", "propose", "read"]), "{listed}");
    let desk = lines.iter().find(|words| words[0] == "desk").unwrap();
    assert_eq!(desk[1..], ["rounds", "propose", "approve", "partners", "read"]);
    let key = |json: String| {
        let made: serde_json::Value = serde_json::from_str(&json).unwrap();
        made["operators"][0]["key"].as_str().unwrap().to_owned()
    };
    let made = || key(run(&["operator", "key", "desk", "--json"]));
    let (one, other) = (made(), made());
    assert!(one != other && 43 <= one.len(), "{one} {other}");
}
