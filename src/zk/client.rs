//! One ZooKeeper session, every answer of it bounded in time.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{join_all, try_join_all};
use tokio::time::error::Elapsed;
use zookeeper_client::{
    Acl, Acls, AuthId, Client, CreateMode, CreateOptions, Error, MultiWriteError, OneshotWatcher, Permission,
    SessionState,
};

use crate::error::Failure;
use crate::model::{Ensemble, ZnodeChange};

const PERSISTENT: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::anyone_all());

/// A znode's data and the version that a later write checks.
type Versioned = (Vec<u8>, i32);

/// What ZooKeeper says of one znode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZnodeAnswer {
    Seen(ZnodeSeen),
    /// Its access list does not let arcusctl read it.
    Denied,
}

/// One znode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZnodeSeen {
    pub data: Vec<u8>,
    pub version: i32,
    /// It goes with somebody's session.
    pub is_ephemeral: bool,
    /// Who may do what, as `scheme:id:permissions`; empty where everyone may do everything.
    pub acl: Vec<String>,
    pub children: Vec<String>,
}

/// A session with the ensemble.
#[derive(Debug)]
pub struct ZooKeeper {
    pub(super) client: Client,
    ensemble: String,
    limit: Duration,
}

impl ZooKeeper {
    /// Opens a session; `limit` bounds this and every later answer.
    ///
    /// # Errors
    /// When no member serves.
    pub async fn connect(ensemble: &Ensemble, limit: Duration) -> Result<Self, Failure> {
        let list = ensemble.to_string();
        let unreachable = |cause: String| {
            Failure::unreachable(format!("cannot reach ZooKeeper at {list}"))
                .cause(cause)
                .hint("see which members serve: arcusctl zookeeper stat")
                .hint("name the ensemble with -z host:port,…, ARCUSCTL_ZOOKEEPER or [zookeeper] servers in arcusctl.toml")
        };
        // 3.5.9 is Arcus's own server: requests that it would not understand are refused here, not there.
        let connecting = Client::connector()
            .with_session_timeout(limit)
            .with_server_version(3, 5, 9)
            .with_fail_eagerly()
            .connect(&list);
        let start = Instant::now();
        let connected = tokio::time::timeout(limit, connecting).await;
        told("open a session", start, connected.as_ref().map(|answer| answer.as_ref().err()));
        match connected {
            Ok(Ok(client)) => Ok(Self { client, ensemble: list, limit }),
            Ok(Err(Error::NoHosts)) => Err(unreachable("no member accepts a session".to_owned())),
            Ok(Err(error)) => Err(unreachable(error.to_string())),
            Err(_) => Err(unreachable(format!("no session within {} s", limit.as_secs()))),
        }
    }

    pub(super) async fn bounded<T>(
        &self,
        what: &str,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Failure> {
        let start = Instant::now();
        let answer = tokio::time::timeout(self.limit, answer).await;
        told(what, start, answer.as_ref().map(|answer| answer.as_ref().err()));
        match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.failure(what, &error)),
            Err(_) => Err(Failure::unreachable(format!("ZooKeeper at {}: cannot {what}", self.ensemble))
                .cause(format!("no answer within {} s", self.limit.as_secs()))
                .hint("see which members serve: arcusctl zookeeper stat")),
        }
    }

    fn failure(&self, what: &str, error: &Error) -> Failure {
        let message = format!("ZooKeeper at {}: cannot {what}", self.ensemble);
        match error {
            Error::ConnectionLoss | Error::SessionExpired | Error::Timeout | Error::NoHosts => {
                Failure::unreachable(message)
                    .cause(error)
                    .hint("see which members serve: arcusctl zookeeper stat")
            }
            Error::NoAuth => Failure::refused(message)
                .cause("the znode's access list does not let arcusctl in")
                .hint("Arcus's znodes are open to everyone; whoever restricted this one must change it"),
            _ => Failure::failed(message).cause(error),
        }
    }

    /// Waits until this session's server has seen every write that was acknowledged before.
    ///
    /// # Errors
    /// When ZooKeeper does not answer.
    pub async fn sync(&self) -> Result<(), Failure> {
        self.bounded("sync", self.client.sync("/")).await
    }

    /// The children of `path`; `None` when it does not exist.
    ///
    /// # Errors
    /// When ZooKeeper does not answer.
    pub async fn children(&self, path: &str) -> Result<Option<Vec<String>>, Failure> {
        self.bounded(&format!("list {path}"), absent(self.client.list_children(path))).await
    }

    /// The children of every path, asked for all at once. Paths that do not exist are left out.
    ///
    /// # Errors
    /// When ZooKeeper does not answer.
    pub async fn children_of_all(&self, paths: &[String]) -> Result<BTreeMap<String, Vec<String>>, Failure> {
        let answers = try_join_all(paths.iter().map(|path| self.children(path))).await?;
        Ok(paths.iter().cloned().zip(answers).filter_map(|(path, answer)| Some((path, answer?))).collect())
    }

    /// The data of every path, asked for all at once. Paths that do not exist are left out.
    ///
    /// # Errors
    /// When ZooKeeper does not answer.
    pub async fn data_of_all(&self, paths: &[String]) -> Result<BTreeMap<String, Versioned>, Failure> {
        let answers = try_join_all(paths.iter().map(|path| async move {
            self.bounded(&format!("read {path}"), absent(self.client.get_data(path))).await
        }))
        .await?;
        let present = |(path, answer): (String, Option<(Vec<u8>, zookeeper_client::Stat)>)| {
            let (data, stat) = answer?;
            Some((path, (data, stat.version)))
        };
        Ok(paths.iter().cloned().zip(answers).filter_map(present).collect())
    }

    /// Everything about every path, asked for all at once. Paths that do not exist are left out.
    ///
    /// # Errors
    /// When ZooKeeper does not answer.
    pub async fn znodes_of_all(&self, paths: &[String]) -> Result<BTreeMap<String, ZnodeAnswer>, Failure> {
        let answers = try_join_all(paths.iter().map(|path| self.znode(path))).await?;
        Ok(paths.iter().cloned().zip(answers).filter_map(|(path, answer)| Some((path, answer?))).collect())
    }

    async fn znode(&self, path: &str) -> Result<Option<ZnodeAnswer>, Failure> {
        let [read, read_acl, list] =
            ["read", "read the access list of", "list"].map(|verb| format!("{verb} {path}"));
        let (data, acl, children) = tokio::join!(
            self.bounded(&read, permitted(absent(self.client.get_data(path)))),
            self.bounded(&read_acl, permitted(absent(self.client.get_acl(path)))),
            self.bounded(&list, permitted(absent(self.client.list_children(path)))),
        );
        match (data?, acl?, children?) {
            (None, ..) | (_, _, None) => Ok(Some(ZnodeAnswer::Denied)),
            (Some(Some((data, stat))), acl, Some(Some(children))) => Ok(Some(ZnodeAnswer::Seen(ZnodeSeen {
                data,
                version: stat.version,
                is_ephemeral: is_session(stat.ephemeral_owner),
                acl: acl.flatten().map_or_else(|| vec!["unreadable".to_owned()], |(acl, _)| acl_words(&acl)),
                children,
            }))),
            // It vanished in between.
            _ => Ok(None),
        }
    }

    /// Which of the paths exist, asked for all at once.
    ///
    /// # Errors
    /// When ZooKeeper does not answer.
    pub async fn existing(&self, paths: &[String]) -> Result<Vec<String>, Failure> {
        let answers = join_all(paths.iter().map(|path| async move {
            self.bounded(&format!("look at {path}"), self.client.check_stat(path)).await
        }))
        .await;
        let mut existing = Vec::new();
        for (path, answer) in paths.iter().zip(answers) {
            if answer?.is_some() {
                existing.push(path.clone());
            }
        }
        Ok(existing)
    }

    /// The children of `path` now, and a watch that fires once they differ.
    ///
    /// # Errors
    /// When ZooKeeper does not answer or `path` does not exist.
    pub(super) async fn watch_children(&self, path: &str) -> Result<(Vec<String>, OneshotWatcher), Failure> {
        self.bounded(&format!("watch {path}"), self.client.list_and_watch_children(path)).await
    }

    /// True while the session can still come back by itself.
    pub fn is_alive(&self) -> bool {
        !matches!(
            self.client.state(),
            SessionState::Expired | SessionState::Closed | SessionState::AuthFailed
        )
    }

    /// True while a member serves this session.
    pub fn is_connected(&self) -> bool {
        self.is_alive() && self.client.state() != SessionState::Disconnected
    }

    /// Makes all changes in one transaction, or none of them.
    ///
    /// # Errors
    /// When ZooKeeper does not answer, or when one change does not fit what is there by now; nothing was changed then.
    pub async fn commit(&self, changes: &[ZnodeChange]) -> Result<(), Failure> {
        let what = format!("commit a transaction of {} changes", changes.len());
        let mut writer = self.client.new_multi_writer();
        for change in changes {
            let added = match change {
                ZnodeChange::Create { path, data } => writer.add_create(path, data.as_bytes(), &PERSISTENT),
                ZnodeChange::SetData { path, data, version } => {
                    writer.add_set_data(path, data.as_bytes(), Some(*version))
                }
                ZnodeChange::PutBytes { path, data, version: None } => {
                    writer.add_create(path, data, &PERSISTENT)
                }
                ZnodeChange::PutBytes { path, data, version } => writer.add_set_data(path, data, *version),
                ZnodeChange::Delete { path, version } => writer.add_delete(path, *version),
                ZnodeChange::Check { path, version } => writer.add_check_version(path, *version),
            };
            added.map_err(|error| self.failure(&format!("{change}"), &error))?;
        }
        let start = Instant::now();
        let committed = tokio::time::timeout(self.limit, writer.commit()).await;
        for change in changes {
            tracing::trace!(%change, "ZooKeeper request within a transaction");
        }
        told(&what, start, committed.as_ref().map(|answer| answer.as_ref().err()));
        match committed {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(MultiWriteError::OperationFailed { index, source })) => {
                let change = changes.get(index).map_or_else(|| what.clone(), ToString::to_string);
                Err(self.failure(&change, &source).hint(
                    "someone changed the tree since it was read, and nothing was written; run the command again",
                ))
            }
            Ok(Err(MultiWriteError::RequestFailed { source })) => Err(self.failure(&what, &source)),
            Err(_) => Err(Failure::unreachable(format!("ZooKeeper at {}: cannot {what}", self.ensemble))
                .cause(format!(
                    "no answer within {} s; whether it was written is unknown",
                    self.limit.as_secs()
                ))
                .hint("run the command again: it looks first and does only what is missing")),
        }
    }

    /// Ends the session and waits until the server knows, so that nothing of it lingers.
    pub async fn close(self: Arc<Self>) {
        if !self.is_connected() {
            return;
        }
        let limit = self.limit;
        let mut watcher = self.client.state_watcher();
        drop(self);
        let closed = async {
            while !matches!(watcher.changed().await, SessionState::Closed | SessionState::Expired) {}
        };
        if tokio::time::timeout(limit, closed).await.is_err() {
            tracing::debug!("the ZooKeeper session was left to expire");
        }
    }
}

/// A request and how it went, for the log; what was read or written is not.
fn told<E: std::fmt::Display>(request: &str, start: Instant, answer: Result<Option<&E>, &Elapsed>) {
    let seconds = start.elapsed().as_secs_f32();
    match answer {
        Ok(None) => tracing::trace!(request, seconds, "ZooKeeper answered"),
        Ok(Some(error)) => tracing::trace!(request, seconds, %error, "ZooKeeper refused"),
        Err(_) => tracing::trace!(request, seconds, "ZooKeeper did not answer"),
    }
}

/// `None` where the access list does not let us in.
async fn permitted<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<Option<T>, Error> {
    match answer.await {
        Ok(value) => Ok(Some(value)),
        Err(Error::NoAuth) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The access list in words. What a `digest` says besides the user is made from the password.
fn acl_words(acl: &[Acl]) -> Vec<String> {
    let open = [Acl::new(Permission::ALL, AuthId::anyone())];
    if acl == open {
        return Vec::new();
    }
    acl.iter()
        .map(|entry| {
            let id = match entry.scheme() {
                "digest" => entry.id().split(':').next().unwrap_or_default(),
                _ => entry.id(),
            };
            let permission = entry.permission();
            let letters = [
                (Permission::CREATE, 'c'),
                (Permission::DELETE, 'd'),
                (Permission::READ, 'r'),
                (Permission::WRITE, 'w'),
                (Permission::ADMIN, 'a'),
            ];
            let letters: String =
                letters.iter().filter(|(one, _)| permission.has(*one)).map(|(_, letter)| *letter).collect();
            format!("{}:{id}:{letters}", entry.scheme())
        })
        .collect()
}

async fn absent<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<Option<T>, Error> {
    match answer.await {
        Ok(value) => Ok(Some(value)),
        Err(Error::NoNode) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The owner of an ephemeral znode is a session. Containers and znodes with a time to live have marks in its place, told by
/// the highest byte (ZooKeeper `EphemeralType`), and outlive every session.
fn is_session(owner: i64) -> bool {
    owner != 0 && owner != i64::MIN && owner.to_be_bytes()[0] != 0xff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_goes_with_a_session_is_ephemeral() {
        assert!(is_session(0x0100_0012_3456_0001));
        for owner in [0, i64::MIN, i64::from_be_bytes([0xff, 0, 0, 0, 0, 0, 0, 9])] {
            assert!(!is_session(owner), "{owner:x}");
        }
    }
}
