//! Which servers the tests take: a pure function of what was found.

use crate::StackError;

/// How the servers were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Somebody started them: their addresses stand in the environment.
    Env,
    /// Containers of a Docker engine on this machine.
    Docker,
    /// Plain processes, made of jars from Maven Central.
    Native,
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Env => "env",
            Self::Docker => "docker",
            Self::Native => "native",
        })
    }
}

/// What the search starts from.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// `ROUNDHOUSE_TEST_SERVERS`.
    pub forced: Option<String>,
    /// `ROUNDHOUSE_TEST_KAFKA`.
    pub kafka: Option<String>,
    /// `ROUNDHOUSE_TEST_STORE`.
    pub store: Option<String>,
    /// `Err` says why containers cannot be had.
    pub docker: Result<(), String>,
}

/// The ways to try, in this order; never empty. A later one is tried only if an earlier one fails,
/// and then says so.
pub(crate) fn ways(found: &Found) -> Result<Vec<Way>, StackError> {
    let named = match (&found.kafka, &found.store) {
        (Some(_), Some(_)) => true,
        (None, None) => false,
        (Some(_), None) | (None, Some(_)) => return Err(StackError::OneAddress),
    };
    match (found.forced.as_deref(), named) {
        (Some("env") | None, true) => Ok(vec![Way::Env]),
        (Some("env"), false) => Err(StackError::OneAddress),
        (Some("docker"), _) => match &found.docker {
            Ok(()) => Ok(vec![Way::Docker]),
            Err(reason) => Err(StackError::NoDocker(reason.clone())),
        },
        (Some("native"), _) => Ok(vec![Way::Native]),
        (Some(other), _) => Err(StackError::UnknownWay(other.to_owned())),
        (None, false) if found.docker.is_ok() => Ok(vec![Way::Docker, Way::Native]),
        (None, false) => Ok(vec![Way::Native]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_search() {
        check(
            "
            # forced  kafka  store  docker  wanted
            -         k:1    s:1    up      env
            -         -      -      up      docker,native
            -         -      -      down    native
            -         k:1    -      up      one-address
            -         -      s:1    down    one-address
            env       k:1    s:1    down    env
            env       -      -      up      one-address
            docker    k:1    s:1    up      docker
            docker    -      -      down    no-docker
            native    k:1    s:1    up      native
            native    -      -      up      native
            podman    k:1    s:1    up      unknown-way
            ",
        );
    }

    #[track_caller]
    fn check(table: &str) {
        let given = |cell: &str| (cell != "-").then(|| cell.to_owned());
        let mut rows = 0;
        for row in table.lines().map(|line| line.split('#').next().unwrap().trim()) {
            let cells: Vec<&str> = row.split_whitespace().collect();
            let [forced, kafka, store, docker, wanted] = cells[..] else {
                assert!(row.is_empty(), "malformed row: {row}");
                continue;
            };
            let docker = if docker == "up" { Ok(()) } else { Err("no socket".to_owned()) };
            let (kafka, store) = (given(kafka), given(store));
            let ways = match ways(&Found { forced: given(forced), kafka, store, docker }) {
                Ok(ways) => ways.iter().map(Way::to_string).collect::<Vec<_>>().join(","),
                Err(StackError::OneAddress) => "one-address".to_owned(),
                Err(StackError::NoDocker(_)) => "no-docker".to_owned(),
                Err(StackError::UnknownWay(_)) => "unknown-way".to_owned(),
                Err(other) => panic!("{row}: {other}"),
            };
            assert_eq!(ways, wanted, "{row}");
            rows += 1;
        }
        assert_eq!(rows, 12);
    }
}
