//! The znodes of a site, seen and changed from its admin's machine.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use zookeeper_client::{Acl, Acls, AuthId, Client, CreateMode, Permission};

use super::Site;

/// One znode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Znode {
    pub(crate) data: Vec<u8>,
    pub(crate) ephemeral: bool,
    /// Everyone may do everything with it.
    pub(crate) is_open: bool,
    /// The transactions that made it and that last wrote it.
    pub(crate) made: i64,
    pub(crate) written: i64,
}

impl Znode {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.data).unwrap()
    }
}

impl Site {
    /// Does something with a ZooKeeper client that is none of the program's, from the admin's machine.
    pub(crate) fn zookeeper<T: Send>(&self, work: impl AsyncFnOnce(&Client) -> T + Send) -> T {
        self.zookeeper_at(&self.ensemble(), work)
    }

    /// The same through these members.
    pub(crate) fn zookeeper_at<T: Send>(
        &self,
        ensemble: &str,
        work: impl AsyncFnOnce(&Client) -> T + Send,
    ) -> T {
        let inside = self.lab.inside(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Ok(runtime.block_on(async {
                let client =
                    Client::connector().with_server_version(3, 5, 9).connect(ensemble).await.unwrap();
                work(&client).await
            }))
        });
        inside.unwrap()
    }

    /// Every znode from `root` down.
    pub(crate) fn znodes(&self, root: &str) -> BTreeMap<String, Znode> {
        self.zookeeper(async |client| {
            let mut found = BTreeMap::new();
            let mut paths = vec![root.to_owned()];
            while let Some(path) = paths.pop() {
                let (data, stat) = client.get_data(&path).await.unwrap();
                let children = client.list_children(&path).await.unwrap();
                paths.extend(children.iter().map(|child| format!("{path}/{child}")));
                let (acls, _) = client.get_acl(&path).await.unwrap();
                let znode = Znode {
                    data,
                    ephemeral: stat.ephemeral_owner != 0,
                    is_open: acls == [Acl::new(Permission::ALL, AuthId::anyone())],
                    made: stat.czxid,
                    written: stat.mzxid,
                };
                found.insert(path, znode);
            }
            found
        })
    }

    #[track_caller]
    pub(crate) fn znode(&self, path: &str) -> Znode {
        self.znodes("/arcus").remove(path).unwrap_or_else(|| panic!("there is no znode {path}"))
    }

    /// The live members of a service code, as `ip:port-hostname`.
    pub(crate) fn members(&self, code: &str) -> Vec<String> {
        let list = format!("/arcus/cache_list/{code}");
        self.zookeeper(async |client| {
            let mut members = client.list_children(&list).await.unwrap();
            members.sort();
            members
        })
    }

    /// Waits until the members of a service code are so many.
    pub(crate) fn await_members(&self, code: &str, count: usize) {
        let list = format!("/arcus/cache_list/{code}");
        self.zookeeper(async |client| {
            let many = async {
                loop {
                    let (members, watcher) = client.list_and_watch_children(&list).await.unwrap();
                    if members.len() == count {
                        return;
                    }
                    watcher.changed().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), many)
                .await
                .unwrap_or_else(|_| panic!("{code} does not come to {count} member(s)"));
        });
    }

    /// Creates znodes by hand, in this order.
    pub(crate) fn create_znodes(&self, znodes: &[(&str, &[u8])]) {
        self.zookeeper(async |client| {
            for (path, data) in znodes {
                let mode = CreateMode::Persistent.with_acls(Acls::anyone_all());
                client.create(path, data, &mode).await.unwrap_or_else(|error| panic!("{path}: {error}"));
            }
        });
    }

    /// Creates a znode by hand that nobody may read who does not know its password.
    pub(crate) fn create_locked_znode(&self, path: &str, data: &[u8]) {
        self.zookeeper(async |client| {
            let owner =
                [Acl::new(Permission::ALL, AuthId::new("digest", "admin:bm90IGEgcGFzc3dvcmQgaGFzaCE="))];
            let mode = CreateMode::Persistent.with_acls(Acls::new(&owner));
            client.create(path, data, &mode).await.unwrap();
        });
    }

    /// Removes znodes by hand, in this order.
    pub(crate) fn delete_znodes(&self, paths: &[&str]) {
        self.zookeeper(async |client| {
            for path in paths {
                client.delete(path, None).await.unwrap_or_else(|error| panic!("{path}: {error}"));
            }
        });
    }
}
