//! Every znode of Arcus, whoever wrote it, level by level: as many rounds of questions as the trees are deep.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Failure;
use crate::model::{BACKUP_ROOTS, is_log_entry};
use crate::zk::{ZnodeAnswer, ZnodeSeen, ZooKeeper};

/// So many are asked for at once; each answer must come within the time for one.
const AT_ONCE: usize = 2000;

/// The trees below `/arcus` and `/arcus_repl`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZnodesSeen {
    pub znodes: BTreeMap<String, ZnodeSeen>,
    /// What an access list keeps from us, with all below it.
    pub denied: BTreeSet<String>,
}

impl ZnodesSeen {
    /// Reads the trees; of what cache nodes logged only `with_log`.
    ///
    /// # Errors
    /// When ZooKeeper does not answer.
    pub async fn read(zookeeper: &ZooKeeper, with_log: bool) -> Result<Self, Failure> {
        zookeeper.sync().await?;
        let mut seen = Self::default();
        let mut level: Vec<String> = BACKUP_ROOTS.iter().map(ToString::to_string).collect();
        while !level.is_empty() {
            let mut below = Vec::new();
            for paths in level.chunks(AT_ONCE) {
                for (path, answer) in zookeeper.znodes_of_all(paths).await? {
                    match answer {
                        ZnodeAnswer::Denied => drop(seen.denied.insert(path)),
                        ZnodeAnswer::Seen(znode) => {
                            let children = znode.children.iter().map(|name| format!("{path}/{name}"));
                            below.extend(children.filter(|child| with_log || !is_log_entry(child)));
                            seen.znodes.insert(path, znode);
                        }
                    }
                }
            }
            level = below;
        }
        Ok(seen)
    }
}
