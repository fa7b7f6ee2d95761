//! The `/arcus` tree as it stands, read in a few rounds of questions however many codes and nodes there are.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Failure;
use crate::model::{ZnodeChange, znode};
use crate::zk::ZooKeeper;

/// What is registered and who is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArcusTree {
    /// Those of [`znode::STRUCTURE`] that exist.
    pub structure: BTreeSet<String>,
    /// Children of `cache_list`.
    pub codes: BTreeMap<String, RegisteredCode>,
    /// Children of `client_list`, each with the clients that are connected.
    pub clients: BTreeMap<String, Vec<String>>,
    /// Children of `cache_server_mapping`: `ip:port`, but `host:port` and a bare `ip` are found too.
    pub mappings: BTreeMap<String, Mapping>,
    /// Codes of the replication root, which clients prefer.
    pub replication_codes: BTreeSet<String>,
}

/// One child of `cache_list`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegisteredCode {
    /// Whatever the tool that registered it wrote there.
    pub data: Vec<u8>,
    pub version: i32,
    /// Names of the ephemeral znodes below it, as they are.
    pub members: Vec<String>,
}

/// One child of `cache_server_mapping`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    pub data: Vec<u8>,
    pub version: i32,
    /// The service codes below it; a cache node starts only if there is exactly one.
    pub codes: Vec<String>,
}

impl ArcusTree {
    /// Reads the tree.
    ///
    /// # Errors
    /// When ZooKeeper does not answer.
    pub async fn read(zookeeper: &ZooKeeper) -> Result<Self, Failure> {
        zookeeper.sync().await?;
        let structure: Vec<String> = znode::STRUCTURE.iter().map(ToString::to_string).collect();
        let (present, codes, client_codes, mappings, replication_codes) = tokio::try_join!(
            zookeeper.existing(&structure),
            zookeeper.children(znode::CACHE_LIST),
            zookeeper.children(znode::CLIENT_LIST),
            zookeeper.children(znode::CACHE_SERVER_MAPPING),
            zookeeper.children(znode::REPLICATION_CACHE_LIST),
        )?;
        let below = |parent: &str, names: Option<Vec<String>>| -> Vec<String> {
            names.unwrap_or_default().into_iter().map(|name| format!("{parent}/{name}")).collect()
        };
        let code_paths = below(znode::CACHE_LIST, codes);
        let mapping_paths = below(znode::CACHE_SERVER_MAPPING, mappings);
        let client_paths = below(znode::CLIENT_LIST, client_codes);
        let with_data: Vec<String> = code_paths.iter().chain(&mapping_paths).cloned().collect();
        let (mut data, mut children, clients) = tokio::try_join!(
            zookeeper.data_of_all(&with_data),
            zookeeper.children_of_all(&with_data),
            zookeeper.children_of_all(&client_paths),
        )?;
        let mut tree = Self {
            structure: present.into_iter().collect(),
            clients: clients.into_iter().map(|(path, clients)| (name_of(&path), clients)).collect(),
            replication_codes: replication_codes.unwrap_or_default().into_iter().collect(),
            ..Self::default()
        };
        // What vanished between two rounds is left out: it is gone.
        for path in code_paths {
            if let (Some((data, version)), Some(members)) = (data.remove(&path), children.remove(&path)) {
                tree.codes.insert(name_of(&path), RegisteredCode { data, version, members });
            }
        }
        for path in mapping_paths {
            if let (Some((data, version)), Some(codes)) = (data.remove(&path), children.remove(&path)) {
                tree.mappings.insert(name_of(&path), Mapping { data, version, codes });
            }
        }
        Ok(tree)
    }

    /// The tree as it will be once this transaction, whose paths are all below the base znodes, was committed.
    ///
    /// # Errors
    /// When ZooKeeper would refuse it: for a znode that is there already, is not there, has another version or children.
    pub fn after(&self, changes: &[ZnodeChange]) -> Result<Self, Failure> {
        let mut tree = self.clone();
        for change in changes {
            tree.apply(change).ok_or_else(|| {
                Failure::failed(format!("ZooKeeper would refuse the transaction: {change}"))
                    .cause("what was seen of the tree does not fit it")
            })?;
        }
        Ok(tree)
    }

    /// `None` when it cannot be.
    fn apply(&mut self, change: &ZnodeChange) -> Option<()> {
        let (path, data) = match change {
            ZnodeChange::Create { path, data } | ZnodeChange::SetData { path, data, .. } => {
                (path, data.as_str())
            }
            ZnodeChange::Delete { path, .. } | ZnodeChange::Check { path, .. } => (path, ""),
            // Only a restore writes what is no text, and nothing is planned on top of one.
            ZnodeChange::PutBytes { .. } => return None,
        };
        let below = path.strip_prefix(znode::ROOT)?.trim_start_matches('/');
        let parts: Vec<&str> = below.split('/').collect();
        let expected = match change {
            ZnodeChange::SetData { version, .. } | ZnodeChange::Check { version, .. } => Some(*version),
            ZnodeChange::Delete { version, .. } => *version,
            ZnodeChange::Create { .. } | ZnodeChange::PutBytes { .. } => None,
        };
        let fits = |version: i32| expected.is_none_or(|expected| expected == version);
        let data = data.as_bytes().to_vec();
        match (change, parts.as_slice()) {
            (ZnodeChange::Create { .. }, ["cache_list", code]) => {
                let new = RegisteredCode { data, ..RegisteredCode::default() };
                self.codes.insert((*code).to_owned(), new).is_none().then_some(())
            }
            (ZnodeChange::Create { .. }, ["client_list", code]) => {
                self.clients.insert((*code).to_owned(), Vec::new()).is_none().then_some(())
            }
            (ZnodeChange::Create { .. }, ["cache_server_mapping", name]) => {
                let new = Mapping { data, ..Mapping::default() };
                self.mappings.insert((*name).to_owned(), new).is_none().then_some(())
            }
            (ZnodeChange::Create { .. }, ["cache_server_mapping", name, code]) => {
                let codes = &mut self.mappings.get_mut(*name)?.codes;
                let new = !codes.iter().any(|known| known == code);
                codes.push((*code).to_owned());
                new.then_some(())
            }
            (ZnodeChange::SetData { .. }, ["cache_list", code]) => {
                let registered = self.codes.get_mut(*code).filter(|registered| fits(registered.version))?;
                registered.data = data;
                registered.version += 1;
                Some(())
            }
            (ZnodeChange::SetData { .. }, ["cache_server_mapping", name]) => {
                let mapping = self.mappings.get_mut(*name).filter(|mapping| fits(mapping.version))?;
                mapping.data = data;
                mapping.version += 1;
                Some(())
            }
            (ZnodeChange::Delete { .. }, ["cache_list", code]) => {
                let gone = self.codes.remove(*code)?;
                (fits(gone.version) && gone.members.is_empty()).then_some(())
            }
            (ZnodeChange::Delete { .. }, ["client_list", code]) => {
                self.clients.remove(*code)?.is_empty().then_some(())
            }
            (ZnodeChange::Delete { .. }, ["cache_server_mapping", name]) => {
                let gone = self.mappings.remove(*name)?;
                (fits(gone.version) && gone.codes.is_empty()).then_some(())
            }
            (ZnodeChange::Delete { .. }, ["cache_server_mapping", name, code]) => {
                let codes = &mut self.mappings.get_mut(*name)?.codes;
                codes.remove(codes.iter().position(|known| known == code)?);
                Some(())
            }
            (ZnodeChange::Check { .. }, ["cache_list", code]) => {
                fits(self.codes.get(*code)?.version).then_some(())
            }
            _ => None,
        }
    }
}

fn name_of(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> ArcusTree {
        let code =
            RegisteredCode { version: 3, members: vec!["10.0.0.1:1-a".into()], ..RegisteredCode::default() };
        let mapping = Mapping { version: 5, codes: vec!["c".into()], ..Mapping::default() };
        ArcusTree {
            codes: BTreeMap::from([("c".into(), code)]),
            mappings: BTreeMap::from([("10.0.0.1:1".into(), mapping)]),
            ..ArcusTree::default()
        }
    }

    fn set(path: &str, version: i32) -> ZnodeChange {
        ZnodeChange::SetData { path: path.into(), data: "x".into(), version }
    }

    fn create(path: &str) -> ZnodeChange {
        ZnodeChange::Create { path: path.into(), data: String::new() }
    }

    fn delete(path: &str, version: Option<i32>) -> ZnodeChange {
        ZnodeChange::Delete { path: path.into(), version }
    }

    const CODE: &str = "/arcus/cache_list/c";
    const MAPPING: &str = "/arcus/cache_server_mapping/10.0.0.1:1";

    #[test]
    fn each_write_counts_the_version_up_and_a_new_znode_begins_at_0() {
        let new = "/arcus/cache_server_mapping/10.0.0.2:1";
        let after = tree().after(&[set(CODE, 3), set(MAPPING, 5), create(new)]).unwrap();
        let after = after.after(&[set(CODE, 4), set(MAPPING, 6), set(new, 0)]).unwrap();
        assert_eq!((after.codes["c"].version, after.mappings["10.0.0.1:1"].version), (5, 7));
        assert_eq!(
            (after.mappings["10.0.0.2:1"].version, &after.mappings["10.0.0.2:1"].data),
            (1, &b"x".to_vec())
        );
    }

    #[test]
    fn what_zookeeper_would_refuse_is_refused() {
        let child = format!("{MAPPING}/c");
        let refused = [
            set(CODE, 2),
            set(MAPPING, 4),
            set("/arcus/cache_list/d", 0),
            create(CODE),
            create(MAPPING),
            create(&child),
            create("/arcus/cache_server_mapping/10.0.0.2:1/c"),
            delete(MAPPING, Some(5)),
            delete(CODE, None),
            delete("/arcus/client_list/c", None),
            ZnodeChange::Check { path: CODE.into(), version: 4 },
        ];
        for change in refused {
            assert!(tree().after(std::slice::from_ref(&change)).is_err(), "{change}");
        }
        let gone = tree().after(&[delete(&child, None), delete(MAPPING, Some(5))]).unwrap();
        assert!(gone.mappings.is_empty());
        assert!(tree().after(&[delete(&child, None), delete(MAPPING, Some(4))]).is_err());
    }
}
