//! What an ensemble holds besides the clouds of the community edition: who else would lose something with its data.

use std::collections::BTreeMap;

use crate::error::Failure;
use crate::model::BACKUP_ROOTS;
use crate::model::znode::{CACHE_LIST, CACHE_SERVER_MAPPING, CLIENT_LIST, REPLICATION_CACHE_LIST};
use crate::zk::ZooKeeper;

/// ZooKeeper's own, and arcusctl's: its locks and what it remembers of runs.
const NOBODYS: [&str; 2] = ["zookeeper", "arcusctl"];
/// What cache nodes log of their comings.
const LOG: &str = "cache_server_log";
/// Each child of these is about one cloud.
const BY_CODE: [&str; 4] = ["client_list", "cloud_stat", "service_code_mapping", "group_list"];
/// Each child is about one cache node.
const BY_NODE: &str = "cache_server_mapping";
/// These are [`ArcusTree`](super::ArcusTree)'s.
const IN_TREE: [&str; 4] = [CACHE_LIST, CLIENT_LIST, CACHE_SERVER_MAPPING, REPLICATION_CACHE_LIST];

/// Children by path: of `/`, of the roots of Arcus, and of what is in those.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings(pub BTreeMap<String, Vec<String>>);

impl Surroundings {
    /// Lists the top of the tree.
    ///
    /// # Errors
    /// When ZooKeeper does not answer, or does not let us see who is there.
    pub async fn read(zookeeper: &ZooKeeper) -> Result<Self, Failure> {
        let roots: Vec<String> = std::iter::once("/").chain(BACKUP_ROOTS).map(str::to_owned).collect();
        let mut children = zookeeper.children_of_all(&roots).await?;
        let lists: Vec<String> = BACKUP_ROOTS
            .iter()
            .flat_map(|root| {
                let names = children.get(*root).into_iter().flatten();
                names
                    .filter(|name| BY_CODE.contains(&name.as_str()) || *name == BY_NODE)
                    .map(move |name| format!("{root}/{name}"))
            })
            .collect();
        children.extend(zookeeper.children_of_all(&lists).await?);
        Ok(Self(children))
    }

    /// Paths that are neither of Arcus's common structure nor of cloud `code`. What [`ArcusTree`](super::ArcusTree)
    /// tells of is not among them.
    pub fn of_others(&self, code: &str) -> Vec<String> {
        let of = |path: &str| self.0.get(path).map(Vec::as_slice).unwrap_or_default();
        let is_root = |name: &str| BACKUP_ROOTS.iter().any(|root| root.strip_prefix('/') == Some(name));
        let at_top = of("/").iter().filter(|name| !is_root(name) && !NOBODYS.contains(&name.as_str()));
        let mut others: Vec<String> = at_top.map(|name| format!("/{name}")).collect();
        for root in BACKUP_ROOTS {
            for name in of(root) {
                let path = format!("{root}/{name}");
                if IN_TREE.contains(&path.as_str()) || name == LOG {
                    continue;
                }
                if BY_CODE.contains(&name.as_str()) || name == BY_NODE {
                    // Below /arcus_repl, the same name is another cloud.
                    let foreign = of(&path).iter().filter(|child| root != BACKUP_ROOTS[0] || *child != code);
                    others.extend(foreign.map(|child| format!("{path}/{child}")));
                } else {
                    others.push(path);
                }
            }
        }
        others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_of_the_cloud_is_told_by_its_path() {
        let tree = [
            ("/", "zookeeper arcus arcus_repl arcusctl kafka arcus_acl"),
            (
                "/arcus",
                "cache_list client_list cache_server_mapping cache_server_log cloud_stat service_code_mapping meta",
            ),
            ("/arcus/cloud_stat", "c other"),
            ("/arcus/service_code_mapping", "c"),
            ("/arcus_repl", "cache_list client_list group_list cache_server_mapping"),
            ("/arcus_repl/group_list", "c"),
            ("/arcus_repl/cache_server_mapping", "10.0.0.1:1"),
        ];
        let children = |names: &str| names.split(' ').map(str::to_owned).collect();
        let seen = Surroundings(tree.map(|(path, names)| (path.to_owned(), children(names))).into());
        assert_eq!(
            seen.of_others("c"),
            [
                "/kafka",
                "/arcus_acl",
                "/arcus/cloud_stat/other",
                "/arcus/meta",
                "/arcus_repl/group_list/c",
                "/arcus_repl/cache_server_mapping/10.0.0.1:1",
            ]
        );
    }
}
