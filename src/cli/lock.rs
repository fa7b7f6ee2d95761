//! `lock status`: who is at work where.

use std::collections::BTreeSet;
use std::path::Path;

use clap::Subcommand;
use clap_complete::engine::ArgValueCandidates;
use futures::future::join_all;

use super::complete;
use super::context::Context;
use super::memcached::{read_tree, unknown};
use crate::config::load_cloud;
use crate::error::{Failure, Failures};
use crate::inspect::{ArcusTree, registered_cloud};
use crate::lock::{LockStatus, cloud_status, host_status};
use crate::model::{HostName, ServiceCode};
use crate::report::Document;

#[derive(Debug, Subcommand)]
pub enum Lock {
    /// Show who has the operation locks of clouds, their hosts and the ensemble's: who, from where, since when, what for
    Status {
        /// A cloud JSON or a service code
        #[arg(value_name = "CONF|CODE", required = true, add = ArgValueCandidates::new(complete::codes))]
        clouds: Vec<String>,
    },
}

pub(super) async fn run(context: &Context, command: Lock) -> Result<Document, Failures> {
    let Lock::Status { clouds } = command;
    let mut codes = BTreeSet::new();
    let mut hosts: BTreeSet<HostName> = BTreeSet::new();
    let mut tree = None;
    for name in &clouds {
        if Path::new(name).is_file() {
            let cloud = load_cloud(Path::new(name))?;
            hosts.extend(cloud.hosts());
            codes.insert(cloud.code);
        } else {
            let code = ServiceCode::new(name.clone()).map_err(|fault| {
                Failure::config(format!("{name} is neither a file nor a service code")).cause(fault)
            })?;
            if tree.is_none() {
                tree = Some(read_tree(context).await?);
            }
            hosts.extend(registered_hosts(&code, tree.as_ref())?);
            codes.insert(code);
        }
    }
    if !context.ensemble_is_default {
        hosts.extend(context.ensemble.hosts());
    }
    let (of_hosts, of_clouds) = context
        .look(async { tokio::join!(ask_hosts(context, &hosts), ask_zookeeper(context, &codes)) })
        .await?;
    let mut locks = Vec::new();
    let mut failures = Vec::new();
    for answer in of_clouds.into_iter().chain(of_hosts) {
        match answer {
            Ok(lock) => locks.push(lock),
            Err(failure) => failures.push(failure),
        }
    }
    Ok(Document::of_locks(locks, failures))
}

fn registered_hosts(code: &ServiceCode, tree: Option<&ArcusTree>) -> Result<Vec<HostName>, Failure> {
    let Some(tree) = tree else { return Ok(Vec::new()) };
    let nodes = registered_cloud(code, tree).ok_or_else(|| unknown(code, tree))?;
    Ok(nodes.into_iter().map(|node| HostName::from(node.addr.ip)).collect())
}

async fn ask_hosts(context: &Context, hosts: &BTreeSet<HostName>) -> Vec<Result<LockStatus, Failure>> {
    let (path, limit) = (&context.settings.install_path, context.settings.timeouts.command);
    join_all(hosts.iter().map(|host| host_status(&context.fleet, host, path, limit))).await
}

/// One answer for all when ZooKeeper is not to be had.
async fn ask_zookeeper(context: &Context, codes: &BTreeSet<ServiceCode>) -> Vec<Result<LockStatus, Failure>> {
    match context.operator.zookeeper().await {
        Ok(zookeeper) => join_all(codes.iter().map(|code| cloud_status(&zookeeper, code))).await,
        Err(failure) => vec![Err(failure)],
    }
}
