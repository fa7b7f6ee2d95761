//! Which ZooKeeper ensemble is meant: what stands nearest to the operator's hand wins.
//!
//! Boundary: picks and checks a list; contacts nobody.

use std::path::PathBuf;

use crate::error::{Failure, Failures};
use crate::model::Ensemble;

use super::Settings;

/// The ensemble when nobody names one, as in `arcus.sh`.
pub const DEFAULT_ENSEMBLE: &str = "127.0.0.1:2181";

/// Where the list of the ensemble stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnsembleSource {
    Flag,
    Environment,
    /// In this file.
    Settings(PathBuf),
    /// Nowhere.
    Default,
}

impl EnsembleSource {
    /// As [`resolve_ensemble`] picks.
    pub fn of(flag: Option<&str>, env: Option<&str>, settings: &Settings) -> Self {
        let env = env.filter(|list| !list.trim().is_empty());
        match (flag, env, &settings.zookeeper.servers) {
            (Some(_), ..) => Self::Flag,
            (None, Some(_), _) => Self::Environment,
            (None, None, Some(_)) => Self::Settings(settings.source.clone().unwrap_or_default()),
            (None, None, None) => Self::Default,
        }
    }
}

/// The ensemble of `-z`, else of the environment, else of the settings, else this machine's.
///
/// `env` is the value of `ARCUSCTL_ZOOKEEPER`; an empty one counts as none.
///
/// # Errors
/// Every bad entry of the list that was picked, saying where that list came from.
pub fn resolve_ensemble(
    flag: Option<&str>,
    env: Option<&str>,
    settings: &Settings,
) -> Result<Ensemble, Failures> {
    let env = env.filter(|list| !list.trim().is_empty());
    if let (None, None, Some(servers)) = (flag, env, &settings.zookeeper.servers) {
        return Ok(servers.clone());
    }
    let (origin, list) = match (flag, env) {
        (Some(list), _) => ("-z", list),
        (None, Some(list)) => ("ARCUSCTL_ZOOKEEPER", list),
        (None, None) => ("the default ensemble", DEFAULT_ENSEMBLE),
    };
    Ensemble::parse(list).or_else(|faults| {
        let failure = |fault| {
            Failure::config(format!("{origin}: {fault}"))
                .hint(format!("write the ensemble as host:port,host:port,… such as {DEFAULT_ENSEMBLE}"))
        };
        Failures::none_of(faults.into_iter().map(failure).collect())?;
        Err(Failure::config(format!("{origin}: cannot be used")).into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_file() -> Settings {
        let mut settings = Settings::default();
        settings.zookeeper.servers = Some(Ensemble::parse("file:2181").unwrap());
        settings
    }

    fn resolved(flag: Option<&str>, env: Option<&str>, settings: &Settings) -> String {
        resolve_ensemble(flag, env, settings).unwrap().to_string()
    }

    #[test]
    fn the_flag_beats_the_environment_beats_the_file_beats_the_default() {
        assert_eq!(resolved(Some("flag:1"), Some("env:1"), &from_file()), "flag:1");
        assert_eq!(resolved(None, Some("env:1"), &from_file()), "env:1");
        assert_eq!(resolved(None, None, &from_file()), "file:2181");
        assert_eq!(resolved(None, None, &Settings::default()), "127.0.0.1:2181");
    }

    #[test]
    fn an_empty_variable_is_no_choice_but_an_empty_flag_is_a_mistake() {
        assert_eq!(resolved(None, Some(""), &from_file()), "file:2181");
        let failures = resolve_ensemble(Some(""), None, &from_file()).unwrap_err();
        assert_eq!(failures.to_string(), "-z: the ensemble list is empty");
    }

    #[test]
    fn every_bad_entry_is_named_with_where_the_list_came_from() {
        let failures = resolve_ensemble(None, Some("a:2181,b,c:0"), &from_file()).unwrap_err();
        let messages: Vec<&str> =
            failures.as_slice().iter().map(|failure| failure.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "ARCUSCTL_ZOOKEEPER: entry 2, 'b', has no port; write it as b:2181",
                "ARCUSCTL_ZOOKEEPER: entry 3, 'c:0', has the port '0'; a port is a number from 1 to 65535",
            ]
        );
    }

    #[test]
    fn a_good_flag_is_not_troubled_by_a_bad_variable() {
        assert_eq!(resolved(Some("flag:1"), Some("nonsense"), &from_file()), "flag:1");
    }
}
