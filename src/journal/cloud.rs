//! The last runs that changed a cloud, kept in ZooKeeper so that every operator's machine can tell.
//!
//! Best effort and short: who did what, and what came of it. The journal on the operator's machine has the rest.

use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::model::ServiceCode;
use crate::zk::ZooKeeper;

/// Apart from `/arcus`, which cache nodes and clients read.
const ROOT: &str = "/arcusctl/history";
/// So many runs are kept for each cloud.
const KEPT: usize = 20;
/// Somebody else may write at the same time, but not forever.
const ATTEMPTS: usize = 10;

/// What a run is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    Cloud(ServiceCode),
    Ensemble,
}

/// One run, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CloudRun {
    pub id: String,
    pub user: String,
    /// The operator's machine.
    pub host: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// The command line.
    pub command: String,
    /// `done`, `partly`, `failed` or `interrupted`.
    pub outcome: String,
    pub exit_code: u8,
}

impl About {
    /// Its znode's name. No service code has a '^'.
    pub fn znode_name(&self) -> &str {
        match self {
            Self::Cloud(code) => code.as_str(),
            Self::Ensemble => "^ensemble",
        }
    }

    fn path(&self) -> String {
        format!("{ROOT}/{}", self.znode_name())
    }
}

/// Adds a run to the record of a cloud; the oldest ones go.
///
/// # Errors
/// When ZooKeeper does not answer, or others write all the time.
pub async fn record_cloud_run(zookeeper: &ZooKeeper, about: &About, run: &CloudRun) -> Result<(), Failure> {
    let path = about.path();
    for _ in 0..ATTEMPTS {
        let Some((data, version)) = zookeeper.read(&path).await? else {
            zookeeper.ensure(&path).await?;
            continue;
        };
        let mut runs = parse(&data);
        runs.push(run.clone());
        runs.drain(..runs.len().saturating_sub(KEPT));
        // Texts and numbers can always be written as JSON.
        let data = serde_json::to_vec(&runs).unwrap_or_default();
        if zookeeper.replace(&path, &data, version).await? {
            return Ok(());
        }
    }
    Err(Failure::failed(format!("cannot write {path}")).cause("others write it all the time"))
}

/// The runs on record, the newest first.
///
/// # Errors
/// When ZooKeeper does not answer.
pub async fn read_cloud_runs(zookeeper: &ZooKeeper, about: &About) -> Result<Vec<CloudRun>, Failure> {
    let mut runs = zookeeper.read(&about.path()).await?.map(|(data, _)| parse(&data)).unwrap_or_default();
    runs.reverse();
    Ok(runs)
}

/// What another tool wrote there is no record.
fn parse(data: &[u8]) -> Vec<CloudRun> {
    serde_json::from_slice(data).unwrap_or_default()
}
