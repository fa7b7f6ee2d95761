//! The znodes of arcusctl itself: records that are replaced with a version check, and holds that end with the session.

use std::time::Duration;

use zookeeper_client::{Acls, CreateMode, CreateOptions, Error};

use super::ZooKeeper;
use crate::error::Failure;

const PERSISTENT: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::anyone_all());
const EPHEMERAL: CreateOptions<'static> = CreateMode::Ephemeral.with_acls(Acls::anyone_all());

impl ZooKeeper {
    /// How long what a session holds outlives a client that was killed.
    pub fn session_timeout(&self) -> Duration {
        self.client.session_timeout()
    }

    /// A name for what this session alone holds.
    pub fn session(&self) -> String {
        self.client.session_id().to_string()
    }

    /// Sees that `path` and all above it exist.
    ///
    /// # Errors
    /// When ZooKeeper does not answer.
    pub async fn ensure(&self, path: &str) -> Result<(), Failure> {
        self.bounded(&format!("create {path}"), self.client.mkdir(path, &PERSISTENT)).await
    }

    /// Data and version of `path`; `None` when it does not exist.
    ///
    /// # Errors
    /// When ZooKeeper does not answer.
    pub async fn read(&self, path: &str) -> Result<Option<(Vec<u8>, i32)>, Failure> {
        let read = async {
            match self.client.get_data(path).await {
                Ok((data, stat)) => Ok(Some((data, stat.version))),
                Err(Error::NoNode) => Ok(None),
                Err(error) => Err(error),
            }
        };
        self.bounded(&format!("read {path}"), read).await
    }

    /// Replaces the data of `path`, which must still have `version`; false when it has another.
    ///
    /// # Errors
    /// When ZooKeeper does not answer or `path` does not exist.
    pub async fn replace(&self, path: &str, data: &[u8], version: i32) -> Result<bool, Failure> {
        let replaced = async {
            match self.client.set_data(path, data, Some(version)).await {
                Ok(_) => Ok(true),
                Err(Error::BadVersion) => Ok(false),
                Err(error) => Err(error),
            }
        };
        self.bounded(&format!("write {path}"), replaced).await
    }

    /// How often children of `path` have come or gone; 0 when it does not exist.
    ///
    /// # Errors
    /// When ZooKeeper does not answer.
    pub async fn changes_below(&self, path: &str) -> Result<i32, Failure> {
        let stat = self.bounded(&format!("look at {path}"), self.client.check_stat(path)).await?;
        Ok(stat.map_or(0, |stat| stat.cversion))
    }

    /// Creates `path`, which goes with this session; false when it is there already.
    ///
    /// # Errors
    /// When ZooKeeper does not answer or what is above `path` does not exist.
    pub async fn hold(&self, path: &str, data: &[u8]) -> Result<bool, Failure> {
        let held = async {
            match self.client.create(path, data, &EPHEMERAL).await {
                Ok(_) => Ok(true),
                Err(Error::NodeExists) => Ok(false),
                Err(error) => Err(error),
            }
        };
        self.bounded(&format!("create {path}"), held).await
    }

    /// Ends a hold before the session does.
    ///
    /// # Errors
    /// When ZooKeeper does not answer.
    pub async fn release(&self, path: &str) -> Result<(), Failure> {
        let released = async {
            match self.client.delete(path, None).await {
                Ok(()) | Err(Error::NoNode) => Ok(()),
                Err(error) => Err(error),
            }
        };
        self.bounded(&format!("delete {path}"), released).await
    }

    /// Waits until `path` does not exist, however long that takes.
    ///
    /// # Errors
    /// When ZooKeeper is lost.
    pub async fn gone(&self, path: &str) -> Result<(), Failure> {
        loop {
            let what = format!("watch {path}");
            let (stat, watcher) = self.bounded(&what, self.client.check_and_watch_stat(path)).await?;
            if stat.is_none() {
                return Ok(());
            }
            watcher.changed().await;
        }
    }
}
