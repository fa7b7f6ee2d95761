//! Where Arcus keeps what in ZooKeeper (arcus `scripts/lib/zk.py`, arcus-memcached `arcus_zk.c`).

use super::{NodeAddr, ServiceCode};

/// Root of the community edition.
pub const ROOT: &str = "/arcus";
/// Ephemeral children of `<CACHE_LIST>/<code>` are the live cache nodes.
pub const CACHE_LIST: &str = "/arcus/cache_list";
/// A client refuses to start when `<CLIENT_LIST>/<code>` is missing.
pub const CLIENT_LIST: &str = "/arcus/client_list";
/// A starting cache node looks its service code up here, by its address.
pub const CACHE_SERVER_MAPPING: &str = "/arcus/cache_server_mapping";
/// Clients look here first; a code under both roots would hide the community one.
pub const REPLICATION_CACHE_LIST: &str = "/arcus_repl/cache_list";

/// The persistent directories every Arcus installation starts from, parents first.
pub const STRUCTURE: [&str; 4] = [ROOT, CACHE_LIST, CLIENT_LIST, CACHE_SERVER_MAPPING];

pub fn cache_list(code: &ServiceCode) -> String {
    format!("{CACHE_LIST}/{code}")
}

pub fn client_list(code: &ServiceCode) -> String {
    format!("{CLIENT_LIST}/{code}")
}

pub fn mapping(addr: NodeAddr) -> String {
    format!("{CACHE_SERVER_MAPPING}/{addr}")
}
