//! Where Arcus keeps what in ZooKeeper (arcus `scripts/lib/zk.py`, arcus-memcached `arcus_zk.c`).

use std::fmt;

use serde::Serialize;

use super::service_code::allowed_in_znode;
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

/// True for an absolute path that ZooKeeper takes.
pub fn is_znode_path(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    path.len() < 4096
        && rest.split('/').all(|name| !matches!(name, "" | "." | "..") && name.chars().all(allowed_in_znode))
}

pub fn cache_list(code: &ServiceCode) -> String {
    format!("{CACHE_LIST}/{code}")
}

pub fn client_list(code: &ServiceCode) -> String {
    format!("{CLIENT_LIST}/{code}")
}

pub fn mapping(addr: NodeAddr) -> String {
    format!("{CACHE_SERVER_MAPPING}/{addr}")
}

/// One write to ZooKeeper; several make a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum ZnodeChange {
    /// Creates a persistent znode open to everyone, as all of Arcus's are.
    Create {
        path: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        data: String,
    },
    /// Replaces the data of a znode that still has this version.
    SetData { path: String, data: String, version: i32 },
    /// Creates a znode, or replaces the data of one that still has `version`, with data that is no text.
    PutBytes {
        path: String,
        #[serde(serialize_with = "as_base64")]
        data: Vec<u8>,
        version: Option<i32>,
    },
    /// Removes a znode that has no children and, where one is given, still has this version.
    Delete { path: String, version: Option<i32> },
    /// Changes nothing, but fails the transaction when the znode has another version.
    Check { path: String, version: i32 },
}

fn as_base64<S: serde::Serializer>(data: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&data_encoding::BASE64.encode(data))
}

impl fmt::Display for ZnodeChange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { path, .. } => write!(out, "create {path}"),
            Self::SetData { path, version, .. } => write!(out, "update {path} (version {version})"),
            Self::PutBytes { path, version: None, .. } => write!(out, "create {path}"),
            Self::PutBytes { path, version: Some(version), .. } => {
                write!(out, "update {path} (version {version})")
            }
            Self::Delete { path, .. } => write!(out, "delete {path}"),
            Self::Check { path, version } => write!(out, "check {path} (version {version})"),
        }
    }
}
