//! The store against a real server.
//!
//! Each test has a keyspace of its own on the node that all tests share.

use super::*;
use crate::{FactKey, Topic};
use connect::Connection;
use std::collections::BTreeSet;
use std::time::Instant;

const BETS: Topic = Topic("bets.v1");
const ROUNDS: Topic = Topic("rounds.v1");

fn catalogue() -> Catalogue {
    Catalogue::new([(BETS, 4), (ROUNDS, 4)], ["decision", "marker", ""])
}

fn options(test: &str, node: String) -> StoreOptions {
    let keyspace = format!("t{}_{test}", std::process::id());
    StoreOptions { nodes: vec![node], keyspace, given_addresses_only: true }
}

/// A keyspace that is dropped at the end of a test that passed.
struct Server {
    options: StoreOptions,
    admin: Connection,
}

impl Server {
    async fn new(test: &str) -> Self {
        Self::on(test, stack::servers().store.clone()).await
    }

    async fn on(test: &str, node: String) -> Self {
        let options = options(test, node);
        let admin = Connection::open(&options).await.unwrap();
        Self { options, admin }
    }

    async fn migrated(test: &str) -> (Self, CqlStore) {
        Self::new(test).await.with_store().await
    }

    async fn with_store(self) -> (Self, CqlStore) {
        let server = self;
        migrate(&server.options, Profile::Single).await.unwrap();
        let store = server.connect(Profile::Single).await.unwrap();
        (server, store)
    }

    async fn connect(&self, profile: Profile) -> Result<CqlStore, StoreOpenError> {
        CqlStore::connect(&self.options, profile, catalogue()).await
    }

    /// Why a service would not start.
    async fn refused(&self, profile: Profile) -> StoreOpenError {
        self.connect(profile).await.err().expect("must not start")
    }

    /// `%` stands for the keyspace.
    async fn run(&self, statement: &str) {
        self.admin.change(&statement.replace('%', &self.options.keyspace)).await.unwrap();
    }

    async fn done(mut self) {
        // The node may have been killed, and the old session may not know yet that it is back.
        self.admin = Connection::open(&self.options).await.unwrap();
        self.run("DROP KEYSPACE IF EXISTS %").await;
    }
}

fn scope(group: &str, topic: Topic, partition: u32) -> Scope {
    Scope { group: group.to_owned(), topic, partition }
}

fn fact(scope: &Scope, lane: &str, subject: &str, at: u64, hash: u8, body: &[u8]) -> Fact {
    let (lane, subject) = (lane.to_owned(), subject.to_owned());
    let key =
        FactKey { scope: scope.clone(), lane, subject, kind: "decision", at, hash: [hash; 16] };
    Fact { key, body: body.to_vec().into() }
}

/// A round's facts, of the size of real ones: 160 to 300 bytes.
fn many(scope: &Scope, count: u64) -> Vec<Fact> {
    let body = vec![7; 300];
    let fact = |at: u64| {
        let (lane, bytes) = (at % 20, 160 + usize::try_from(at % 141).unwrap());
        let subject = format!("r_1:{:027}", at.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        fact(scope, &format!("partner_{lane}/0"), &subject, at, 1, &body[..bytes])
    };
    (0..count).map(fact).collect()
}

fn sorted(mut facts: Vec<Fact>) -> Vec<Fact> {
    facts.sort_by(|one, other| one.key.cmp(&other.key));
    facts
}

#[tokio::test]
async fn facts_come_back_in_the_order_of_their_keys() {
    let (server, store) = Server::migrated("order").await;
    let one = scope("r_1", BETS, 0);
    let texts =
        ["", "\0", "\0\0", "a", "a\0", "a\0b", "aa", "b", "ä", "日本", "\u{10FFFF}", "\u{FFFF}"];
    let mut facts = Vec::new();
    for lane in texts {
        for subject in texts {
            for at in [0, 1, 255, 256, 1 << 31, 1 << 40] {
                for hash in [0, 0x7F, 0x80, 0xFF] {
                    facts.push(fact(&one, lane, subject, at, hash, b""));
                }
            }
        }
    }
    let mut of_another_kind = fact(&one, "a", "a", 1, 0, b"x");
    of_another_kind.key.kind = "";
    facts.push(of_another_kind);
    facts.reverse();
    store.write(facts.clone()).await.unwrap();
    let wanted = sorted(facts);
    assert_eq!(store.scan(one.clone()).await.unwrap(), wanted);
    let about = store.about(one, "a\0".to_owned(), String::new()).await.unwrap();
    let is_about = |fact: &&Fact| fact.key.lane == "a\0" && fact.key.subject.is_empty();
    assert_eq!(about.len(), 24);
    assert_eq!(about, wanted.iter().filter(is_about).cloned().collect::<Vec<_>>());
    server.done().await;
}

#[tokio::test]
async fn scopes_do_not_mix() {
    let (server, store) = Server::migrated("scopes").await;
    let scopes =
        [scope("", BETS, 0), scope("r_1", BETS, 0), scope("r_1", BETS, 1), scope("r_1", ROUNDS, 0)];
    for scope in &scopes {
        store
            .write(vec![fact(scope, "l", "s", 1, 1, format!("{scope:?}").as_bytes())])
            .await
            .unwrap();
    }
    for scope in scopes {
        let wanted = vec![fact(&scope, "l", "s", 1, 1, format!("{scope:?}").as_bytes())];
        assert_eq!(store.scan(scope.clone()).await.unwrap(), wanted);
        assert_eq!(store.about(scope, "l".to_owned(), "s".to_owned()).await.unwrap(), wanted);
    }
    assert_eq!(store.scan(scope("r_2", BETS, 0)).await.unwrap(), []);
    store.write(Vec::new()).await.unwrap();
    server.done().await;
}

#[tokio::test]
async fn a_replay_writes_the_same_cells_and_another_content_another_row() {
    let (server, store) = Server::migrated("replay").await;
    let one = scope("r_1", BETS, 0);
    let (first, other) = (fact(&one, "l", "s", 77, 1, b"one"), fact(&one, "l", "s", 77, 2, b"two"));
    for _ in 0..3 {
        store.write(vec![first.clone(), first.clone(), other.clone()]).await.unwrap();
    }
    assert_eq!(store.scan(one).await.unwrap(), [first, other]);
    let query = format!("SELECT WRITETIME(body) FROM {}.facts", server.options.keyspace);
    let rows = server.admin.session.query_unpaged(query, ()).await.unwrap();
    let rows = rows.into_rows_result().unwrap();
    let times: Vec<_> = rows.rows::<(i64,)>().unwrap().map(Result::unwrap).collect();
    assert_eq!(times, [(77,), (77,)]);
    server.done().await;
}

#[tokio::test]
async fn ten_thousand_facts_of_four_scopes_in_one_write() {
    let (server, store) = Server::migrated("many").await;
    let scopes: Vec<_> = (0..4).map(|partition| scope("r_1", BETS, partition)).collect();
    for round in 0..4 {
        let facts: Vec<_> = scopes.iter().flat_map(|scope| many(scope, 2_500)).collect();
        let begun = Instant::now();
        store.write(facts.clone()).await.unwrap();
        let written = begun.elapsed();
        let begun = Instant::now();
        let reads =
            futures_util::future::try_join_all(scopes.iter().map(|s| store.scan(s.clone())));
        let found: Vec<_> = reads.await.unwrap().into_iter().flatten().collect();
        println!(
            "round {round}: 10,000 facts written in {written:?}, read in {:?}",
            begun.elapsed()
        );
        assert_eq!(found, sorted(facts));
    }
    server.done().await;
}

#[tokio::test]
async fn a_scope_of_many_pages_and_a_row_of_a_megabyte() {
    let (server, store) = Server::migrated("pages").await;
    let one = scope("r_1", BETS, 0);
    let mut facts = many(&one, 12_345);
    facts.push(fact(&one, "l", "s", 1, 1, &vec![9; 1 << 20]));
    store.write(facts.clone()).await.unwrap();
    let found = store.scan(one).await.unwrap();
    assert_eq!(found.iter().map(|fact| &fact.key).collect::<BTreeSet<_>>().len(), 12_346);
    assert_eq!(found, sorted(facts));
    server.done().await;
}

#[tokio::test]
async fn a_kind_that_is_not_known_is_an_error() {
    let (server, store) = Server::migrated("kinds").await;
    let one = scope("r_1", BETS, 0);
    store.write(vec![fact(&one, "l", "s", 1, 1, b"b")]).await.unwrap();
    let names = Catalogue::new([(BETS, 4)], ["marker"]);
    let older = CqlStore::connect(&server.options, Profile::Single, names).await.unwrap();
    let refused = older.scan(one).await.unwrap_err();
    assert!(
        matches!(&refused, EngineError::Unavailable(why) if why.contains("decision")),
        "{refused}"
    );
    server.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn migrating_again_changes_nothing() {
    let server = Server::new("again").await;
    let runner = |_| {
        let options = server.options.clone();
        tokio::spawn(async move { migrate(&options, Profile::Single).await })
    };
    let runners: Vec<_> = (0..8).map(runner).collect();
    let mut most = 0;
    for runner in runners {
        most = most.max(runner.await.unwrap().unwrap().len());
    }
    assert_eq!(most, 1);
    assert_eq!(migrate(&server.options, Profile::Single).await.unwrap(), []);
    let status = status(&server.options, Profile::Single).await.unwrap();
    assert!(status.refused.is_none(), "{status:?}");
    assert_eq!(status.applied.len(), 1);
    server.connect(Profile::Single).await.unwrap();
    server.done().await;
}

#[tokio::test]
async fn a_store_that_is_not_ready_is_refused() {
    use StoreOpenError as Error;
    let server = Server::new("ready").await;
    let refused = server.refused(Profile::Single).await;
    assert!(matches!(refused, Error::KeyspaceMissing { .. }), "{refused}");

    let replication = "{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}";
    server.run(&format!("CREATE KEYSPACE % WITH replication = {replication}")).await;
    let refused = server.refused(Profile::Single).await;
    assert!(matches!(refused, Error::NotMigrated { first: 1, last: 1, .. }), "{refused}");

    server.run("CREATE TABLE %.facts (group_name text PRIMARY KEY)").await;
    let refused = migrate(&server.options, Profile::Single).await.unwrap_err();
    assert!(matches!(refused, Error::Shape { .. }), "{refused}");
    server.run("DROP TABLE %.facts").await;
    let refused = server.refused(Profile::Single).await;
    assert!(matches!(refused, Error::Shape { .. }), "{refused}");
    server.done().await;
}

#[tokio::test]
async fn settings_that_could_lose_facts_are_refused() {
    use StoreOpenError as Error;
    let (server, _store) = Server::migrated("settings").await;
    let refused = server.refused(Profile::Cluster).await;
    assert!(matches!(refused, Error::Replication { factor: 1, wanted: 3, .. }), "{refused}");
    let refused = migrate(&server.options, Profile::Cluster).await.unwrap_err();
    assert!(matches!(refused, Error::Replication { factor: 1, wanted: 3, .. }), "{refused}");

    server.run("ALTER TABLE %.facts WITH default_time_to_live = 60").await;
    let refused = server.refused(Profile::Single).await;
    assert!(matches!(refused, Error::TimeToLive { seconds: 60, .. }), "{refused}");
    server.run("ALTER TABLE %.facts WITH default_time_to_live = 0").await;

    server.run("ALTER KEYSPACE % WITH durable_writes = false").await;
    let refused = server.refused(Profile::Single).await;
    assert!(matches!(refused, Error::NoCommitLog { .. }), "{refused}");
    server.run("ALTER KEYSPACE % WITH durable_writes = true").await;
    server.connect(Profile::Single).await.unwrap();
    server.done().await;
}

/// The servers of tests are durable, and say so.
#[tokio::test]
async fn every_node_says_how_it_syncs_its_commit_log() {
    let server = Server::new("says").await;
    let found = server.admin.commit_logs().await.unwrap();
    assert!(!found.is_empty());
    for node in &found {
        assert!(!matches!(node.mode, commit_log::Mode::Unknown(_)), "{node:?}");
    }
    commit_log::judge(&found).unwrap();
}

/// On a node of its own, with the setting that Cassandra comes with.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_answers_before_it_syncs_is_refused() {
    let directory = tempfile::TempDir::new().unwrap();
    let mut node = stack::native_cassandra(directory.path()).unwrap();
    let (server, _store) =
        Server::on("periodic", node.address().to_string()).await.with_store().await;
    let settings = node.dir().join("cassandra.yaml");
    let durable = std::fs::read_to_string(&settings).unwrap();
    let kept = durable.lines().filter(|line| !line.starts_with("commitlog_sync"));
    let mut early: Vec<&str> = kept.collect();
    assert!(early.len() < durable.lines().count());
    early.extend(["commitlog_sync: periodic", "commitlog_sync_period: 10000ms", ""]);
    std::fs::write(&settings, early.join("\n")).unwrap();
    let restarted = tokio::task::spawn_blocking(move || {
        node.kill();
        node.start().unwrap();
        node
    });
    let _node = restarted.await.unwrap();
    let found = status(&server.options, Profile::Single).await.unwrap().refused;
    let said = found.expect("it must not start").to_string();
    assert!(said.contains("commitlog_sync = periodic"), "{said}");
    let refused = server.refused(Profile::Single).await;
    assert!(matches!(refused, StoreOpenError::CommitLog { .. }), "{refused}");
    let refused = migrate(&server.options, Profile::Single).await.unwrap_err();
    assert!(matches!(refused, StoreOpenError::CommitLog { .. }), "{refused}");
}

#[tokio::test]
async fn migrations_that_differ_are_refused() {
    use StoreOpenError as Error;
    let (server, _store) = Server::migrated("differ").await;
    server
        .run("INSERT INTO %.schema_migrations (number, checksum, name) VALUES (9, 'c', 'later')")
        .await;
    let refused = server.refused(Profile::Single).await;
    assert!(matches!(refused, Error::Newer { number: 9, .. }), "{refused}");
    let refused = migrate(&server.options, Profile::Single).await.unwrap_err();
    assert!(matches!(refused, Error::Newer { number: 9, .. }), "{refused}");

    server.run("DELETE FROM %.schema_migrations WHERE number = 9").await;
    server
        .run("INSERT INTO %.schema_migrations (number, checksum, name) VALUES (1, 'c', 'x')")
        .await;
    let refused = server.refused(Profile::Single).await;
    assert!(matches!(refused, Error::Altered { number: 1, .. }), "{refused}");
    let refused = migrate(&server.options, Profile::Single).await.unwrap_err();
    assert!(matches!(refused, Error::Altered { number: 1, .. }), "{refused}");
    server.done().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let mut options = options("nobody", stack::servers().store.clone());
    options.nodes = vec!["127.0.0.1:9".to_owned()];
    let refused = CqlStore::connect(&options, Profile::Single, catalogue()).await.err().unwrap();
    assert!(refused.to_string().contains("127.0.0.1:9"), "{refused}");
}

/// A TCP relay before the node, which can be cut and made good again.
struct Relay {
    address: std::net::SocketAddr,
    up: tokio::sync::watch::Sender<bool>,
}

impl Relay {
    async fn to(node: String) -> Self {
        use tokio::net::{TcpListener, TcpStream};
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (up, is_up) = tokio::sync::watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (node, mut is_up) = (node.clone(), is_up.clone());
                if !*is_up.borrow() {
                    continue;
                }
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(node).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                        _ = is_up.wait_for(|up| !up) => {}
                    }
                });
            }
        });
        Self { address, up }
    }
}

#[tokio::test]
async fn a_store_that_was_cut_off_is_used_again() {
    let (server, _) = Server::migrated("cut").await;
    let relay = Relay::to(server.options.nodes[0].clone()).await;
    let nodes = vec![relay.address.to_string()];
    let options = StoreOptions { nodes, ..server.options.clone() };
    let store = CqlStore::connect(&options, Profile::Single, catalogue()).await.unwrap();
    let one = scope("r_1", BETS, 0);
    let facts = many(&one, 500);
    store.write(facts[..100].to_vec()).await.unwrap();

    // Cut under way and for a moment: nobody notices.
    let writing = tokio::spawn({
        let (store, facts) = (store.clone(), facts[100..300].to_vec());
        async move { store.write(facts).await }
    });
    relay.up.send_replace(false);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    relay.up.send_replace(true);
    writing.await.unwrap().unwrap();

    // Cut for long: an error in bounded time, and then all is well again.
    relay.up.send_replace(false);
    let begun = Instant::now();
    let refused = store.write(facts[300..].to_vec()).await.unwrap_err();
    assert!(matches!(refused, EngineError::Unavailable(_)), "{refused}");
    assert!(begun.elapsed().as_secs() < 12, "{:?}", begun.elapsed());
    let refused = store.scan(one.clone()).await.unwrap_err();
    assert!(matches!(refused, EngineError::Unavailable(_)), "{refused}");
    relay.up.send_replace(true);
    back(&store, &facts[300..]).await;
    assert_eq!(store.scan(one).await.unwrap(), sorted(facts));
    server.done().await;
}

/// Writes until it succeeds, as the machines above do. The driver looks for a lost node every 10 s.
async fn back(store: &CqlStore, facts: &[Fact]) {
    let begun = Instant::now();
    while let Err(error) = store.write(facts.to_vec()).await {
        assert!(begun.elapsed().as_secs() < 60, "{error}");
    }
    println!("back after {:?}", begun.elapsed());
}

/// On a node of its own: every other test would lose its node too.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_killed_is_used_again() {
    let directory = tempfile::TempDir::new().unwrap();
    let mut node = stack::native_cassandra(directory.path()).unwrap();
    let (server, store) = Server::on("killed", node.address().to_string()).await.with_store().await;
    let one = scope("r_1", BETS, 0);
    let facts = many(&one, 1_000);
    store.write(facts[..500].to_vec()).await.unwrap();
    let restarted = tokio::task::spawn_blocking(move || {
        node.kill();
        node.start().unwrap();
        node
    });
    let mut failed = 0;
    while !restarted.is_finished() {
        failed += u32::from(store.write(facts[..500].to_vec()).await.is_err());
    }
    let _node = restarted.await.unwrap();
    println!("{failed} writes failed meanwhile");
    back(&store, &facts[500..]).await;
    assert_eq!(store.scan(one).await.unwrap(), sorted(facts));
    server.done().await;
}
