//! What an item is about.

use std::fmt;

use serde::Serialize;

use crate::model::{EnsembleMember, HostName, NodeAddr, ServiceCode};

/// What an item is about; those that a plan has too are written as its targets are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    Host(HostName),
    Member(EnsembleMember),
    Node(NodeAddr),
    Cloud(ServiceCode),
    /// The ensemble, as a whole.
    Ensemble,
    /// The package that is to be deployed.
    Package,
}

impl Subject {
    /// The machine that it is or lies on, as the operator names it.
    pub fn host(&self) -> Option<HostName> {
        match self {
            Self::Host(host) => Some(host.clone()),
            Self::Member(member) => Some(member.host.clone()),
            Self::Node(addr) => Some(addr.ip.into()),
            Self::Cloud(_) | Self::Ensemble | Self::Package => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => write!(out, "{host}"),
            Self::Member(member) => write!(out, "{member}"),
            Self::Node(node) => write!(out, "{node}"),
            Self::Cloud(code) => write!(out, "{code}"),
            Self::Ensemble => out.write_str("ensemble"),
            Self::Package => out.write_str("package"),
        }
    }
}
