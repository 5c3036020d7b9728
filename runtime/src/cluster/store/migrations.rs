//! The numbered migrations: what they say, what stands in the store, and applying what is missing.

use super::connect::Connection;
use super::schema::{self, Found, judge_keyspace};
use super::{StoreOpenError, StoreOptions};
use crate::cluster::Profile;
use sha2::{Digest, Sha256};

/// A migration that this binary carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Its number, from 1, without gaps.
    pub number: i32,
    /// Its name, as in the file.
    pub name: &'static str,
    text: &'static str,
}

/// All of them, in order. What was released is never changed: a store that has it refuses the change.
pub(super) static MIGRATIONS: [Migration; 1] =
    [Migration { number: 1, name: "facts", text: include_str!("migrations/0001_facts.cql") }];

/// The migrations that this binary carries, in order.
pub fn carried() -> &'static [Migration] {
    &MIGRATIONS
}

/// A migration that stands in the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Applied {
    /// Its number.
    pub number: i32,
    /// Its name.
    pub name: String,
    /// The checksum of what was applied.
    pub checksum: String,
}

impl Migration {
    /// SHA-256 over the statements, as hex. Comments and line breaks do not count.
    pub fn checksum(&self) -> String {
        let mut hash = Sha256::new();
        for statement in statements(self.text) {
            for word in statement.split_whitespace() {
                hash.update(word);
                hash.update(" ");
            }
            hash.update(";");
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The statements of a file, without comments and without their `;`.
fn statements(text: &str) -> Vec<String> {
    let (mut all, mut statement) = (Vec::new(), String::new());
    let (mut quoted, mut rest) = (false, text.chars().peekable());
    while let Some(char) = rest.next() {
        match char {
            '-' if !quoted && rest.peek() == Some(&'-') => {
                while rest.next_if(|char| *char != '\n').is_some() {}
            }
            ';' if !quoted => all.push(std::mem::take(&mut statement)),
            char => {
                quoted ^= char == '\'';
                statement.push(char);
            }
        }
    }
    all.push(statement);
    all.iter().map(|found| found.trim().to_owned()).filter(|found| !found.is_empty()).collect()
}

/// What of `needed` is still to be applied.
///
/// # Errors
/// [`StoreOpenError::Altered`] if what was applied under a number is not what this binary carries,
/// [`StoreOpenError::Newer`] if a number is applied that it does not carry.
pub(super) fn missing(
    applied: &[Applied],
    needed: &[Migration],
) -> Result<Vec<Migration>, StoreOpenError> {
    for found in applied {
        let Some(ours) = needed.iter().find(|ours| ours.number == found.number) else {
            let (number, name) = (found.number, found.name.clone());
            let known = needed.last().map_or(0, |last| last.number);
            return Err(StoreOpenError::Newer { number, name, known });
        };
        if ours.checksum() != found.checksum {
            let (number, name) = (found.number, found.name.clone());
            return Err(StoreOpenError::Altered { number, name });
        }
    }
    let stands = |ours: &&Migration| !applied.iter().any(|found| found.number == ours.number);
    Ok(needed.iter().filter(stands).copied().collect())
}

/// The table of what was applied. Keyed by the checksum too, so that two different migrations under one
/// number, applied at the same time, both stand and are refused.
const JOURNAL: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    number int, checksum text, name text, applied_at timestamp, PRIMARY KEY (number, checksum))";

/// Creates the keyspace if it is missing and applies every migration that the store does not have;
/// returns those, in order. Running it again, or twice at the same time, changes nothing more.
///
/// # Errors
/// What [`StoreOpenError`] says; migrations before the one that failed stay applied.
pub async fn migrate(
    options: &StoreOptions,
    profile: Profile,
) -> Result<Vec<Migration>, StoreOpenError> {
    let connection = Connection::open(options).await?;
    if connection.keyspace().await?.is_none() {
        connection.change(&create_keyspace(&options.keyspace, profile)).await?;
    }
    judge_keyspace(&options.keyspace, connection.keyspace().await?.as_ref(), profile)?;
    connection.use_keyspace().await?;
    connection.change(JOURNAL).await?;
    let missing = missing(&connection.applied().await?, &MIGRATIONS)?;
    for migration in &missing {
        for statement in statements(migration.text) {
            connection.change(&statement).await?;
        }
        connection.note(migration).await?;
        tracing::info!(number = migration.number, name = migration.name, "migration applied");
    }
    schema::judge(&connection.found().await?, &options.keyspace, profile, &MIGRATIONS)?;
    Ok(missing)
}

/// What the store has, and whether a service would start on it.
#[derive(Debug)]
pub struct StoreStatus {
    /// The migrations applied, by number.
    pub applied: Vec<Applied>,
    /// Why a service would refuse to start, if it would.
    pub refused: Option<StoreOpenError>,
}

/// Reads what the store has; changes nothing.
///
/// # Errors
/// [`StoreOpenError`] if it cannot be read. That a service would refuse it is no error.
pub async fn status(
    options: &StoreOptions,
    profile: Profile,
) -> Result<StoreStatus, StoreOpenError> {
    let connection = Connection::open(options).await?;
    let found: Found = connection.found().await?;
    let refused = schema::judge(&found, &options.keyspace, profile, &MIGRATIONS).err();
    Ok(StoreStatus { applied: found.applied, refused })
}

fn create_keyspace(keyspace: &str, profile: Profile) -> String {
    let factor = schema::replication_min(profile);
    format!(
        "CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = \
         {{'class': 'NetworkTopologyStrategy', 'replication_factor': {factor}}} \
         AND durable_writes = true"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_at_semicolons_outside_of_quotes_and_comments() {
        let text = "-- one; two\nCREATE a; \n CREATE b -- c;\n WITH comment = 'x; -- y''s';\n\n";
        assert_eq!(statements(text), ["CREATE a", "CREATE b \n WITH comment = 'x; -- y''s'"]);
    }

    #[test]
    fn every_statement_may_run_twice_and_none_can_lose_facts() {
        for migration in &MIGRATIONS {
            for statement in statements(migration.text) {
                let repeatable = statement.starts_with("CREATE TABLE IF NOT EXISTS")
                    || statement.starts_with("ALTER TABLE IF EXISTS");
                assert!(repeatable, "{statement}");
                assert!(!statement.contains(" DROP "), "{statement}");
            }
        }
    }

    #[test]
    fn numbers_rise_by_one_and_name_the_files() {
        for (place, migration) in MIGRATIONS.iter().enumerate() {
            assert_eq!(usize::try_from(migration.number).unwrap(), place + 1);
            let file = format!("{:04}_{}.cql", migration.number, migration.name);
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("src/cluster/store/migrations")
                .join(file);
            assert!(path.is_file(), "{}", path.display());
        }
    }

    #[test]
    fn the_checksum_is_of_the_statements_alone() {
        let of = |text| Migration { number: 1, name: "a", text }.checksum();
        assert_eq!(of("CREATE  a\n(b int);"), of("-- said better\nCREATE a (b int);\n"));
        assert_ne!(of("CREATE a (b int);"), of("CREATE a (c int);"));
        assert_ne!(of("CREATE a; b;"), of("CREATE a b;"));
    }

    /// A released migration must not change: this is the checksum that stores already have.
    #[test]
    fn the_checksum_of_what_was_released_stays() {
        let checksums = MIGRATIONS.each_ref().map(Migration::checksum);
        assert_eq!(checksums, ["668738714b2224b47ceb706731a9eae46f8e308b500998e69ab08a93af17953c"]);
    }

    fn applied(migration: &Migration) -> Applied {
        let checksum = migration.checksum();
        Applied { number: migration.number, name: migration.name.to_owned(), checksum }
    }

    #[test]
    fn what_is_not_applied_is_missing() {
        let one = Migration { number: 1, name: "a", text: "A;" };
        let two = Migration { number: 2, name: "b", text: "B;" };
        assert_eq!(missing(&[], &[one, two]).unwrap(), [one, two]);
        assert_eq!(missing(&[applied(&one)], &[one, two]).unwrap(), [two]);
        assert_eq!(missing(&[applied(&one), applied(&two)], &[one, two]).unwrap(), []);
    }

    #[test]
    fn what_is_newer_or_altered_is_refused() {
        let one = Migration { number: 1, name: "a", text: "A;" };
        let two = Migration { number: 2, name: "b", text: "B;" };
        let other = Migration { text: "C;", ..one };
        let newer = missing(&[applied(&one), applied(&two)], &[one]).unwrap_err();
        assert!(matches!(newer, StoreOpenError::Newer { number: 2, known: 1, .. }), "{newer}");
        // Both contents of one number stand: applied at the same time by two binaries.
        let altered = missing(&[applied(&one), applied(&other)], &[one]).unwrap_err();
        assert!(matches!(altered, StoreOpenError::Altered { number: 1, .. }), "{altered}");
    }

    #[test]
    fn replication_follows_the_profile() {
        assert!(create_keyspace("k", Profile::Single).contains("'replication_factor': 1}"));
        assert!(create_keyspace("k", Profile::Cluster).contains("'replication_factor': 3}"));
    }
}
