//! What the operator asked for: one cache cloud and its nodes.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{HostName, NodeAddr, ServiceCode};

/// One cache cloud, validated. See `config` for how it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Cloud {
    pub code: ServiceCode,
    /// In the order of the document; no two share an address.
    pub nodes: Vec<NodeSpec>,
    /// The whole document as written, unknown keys and their order included; this is what gets registered.
    pub document: Map<String, Value>,
}

/// One cache node of a cloud.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeSpec {
    pub addr: NodeAddr,
    pub hostname: String,
    pub options: NodeOptions,
    /// The global `config` with the node's own laid over it, unknown keys included.
    pub config: Map<String, Value>,
}

/// What a cache node is started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NodeOptions {
    /// `-m`, in megabytes.
    pub memlimit: u32,
    /// `-c`.
    pub connections: u32,
    /// `-t`.
    pub threads: u32,
}

impl NodeSpec {
    /// Where to log in for this node. `arcus.sh` uses the ip, so both tools reach the same machine.
    pub fn host(&self) -> HostName {
        HostName::from(self.addr.ip)
    }
}

impl Cloud {
    /// The machines the nodes live on, each once, in order.
    pub fn hosts(&self) -> Vec<HostName> {
        let mut seen = BTreeSet::new();
        self.nodes.iter().map(NodeSpec::host).filter(|host| seen.insert(host.clone())).collect()
    }
}
