//! `ping`: does everything that a cloud needs answer, and how fast.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::context::Context;
use super::memcached::{read_tree, unknown};
use crate::error::{Failure, Failures};
use crate::inspect::{members_of, registered_cloud};
use crate::model::{HostName, NodeAddr, ServiceCode};
use crate::plan::Target;
use crate::remote::Script;
use crate::report::{Document, PingAnswer};
use crate::zk::probe_member;

const LIMIT: Duration = Duration::from_secs(5);

pub(super) async fn ping(context: &Context, code: &ServiceCode) -> Result<Document, Failures> {
    let members = context.look(join_all(context.ensemble.members().iter().map(|member| {
        timed(Target::Member(member.clone()), async move {
            let state = probe_member(member, LIMIT).await;
            match state.stats() {
                Some(stats) => Ok(format!("{} {}", stats.mode.as_str(), stats.version)),
                None => {
                    Err(Failure::unreachable(format!("{member}: does not serve")).cause(state.describe()))
                }
            }
        })
    })));
    let (members, tree) = tokio::join!(members, read_tree(context));
    let mut answers = members?;
    let tree = match tree {
        Ok(tree) => tree,
        // Without ZooKeeper nobody knows the nodes; what was asked is still worth showing.
        Err(failures) => return Ok(Document::of_ping(answers, failures.as_slice().to_vec())),
    };
    let registered = registered_cloud(code, &tree).ok_or_else(|| unknown(code, &tree))?;
    let online = tree.codes.get(code.as_str()).map(members_of).unwrap_or_default();
    let nodes: BTreeSet<NodeAddr> =
        registered.iter().map(|node| node.addr).chain(online.into_keys()).collect();
    let hosts: BTreeSet<HostName> =
        nodes.iter().map(|addr| HostName::from(addr.ip)).chain(context.ensemble.hosts()).collect();
    let hosts =
        join_all(hosts.iter().map(|host| timed(Target::Host(host.clone()), ping_host(context, host))));
    let nodes = join_all(nodes.iter().map(|addr| timed(Target::Node(*addr), ping_node(*addr))));
    let (hosts, nodes) = context.look(async { tokio::join!(hosts, nodes) }).await?;
    answers.extend(hosts);
    answers.extend(nodes);
    Ok(Document::of_ping(answers, Vec::new()))
}

async fn timed(target: Target, answer: impl Future<Output = Result<String, Failure>>) -> PingAnswer {
    let start = Instant::now();
    let answer = answer.await;
    PingAnswer::new(target, answer, start.elapsed())
}

async fn ping_host(context: &Context, host: &HostName) -> Result<String, Failure> {
    let script = Script::new("answer", "uname -n");
    let name = context.fleet.host(host).await?.check(&script, LIMIT).await?;
    Ok(name.trim().to_owned())
}

async fn ping_node(addr: NodeAddr) -> Result<String, Failure> {
    let asked = async {
        let mut stream = TcpStream::connect((addr.ip, addr.port.get())).await?;
        stream.write_all(b"version\r\n").await?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await?;
        Ok::<_, std::io::Error>(line)
    };
    let failure = || Failure::unreachable(format!("{addr}: the cache node does not answer"));
    match tokio::time::timeout(LIMIT, asked).await {
        Ok(Ok(line)) => match line.trim().strip_prefix("VERSION ") {
            Some(version) => Ok(version.to_owned()),
            None => Err(failure().cause(format!("it said {:?} instead of its version", line.trim()))),
        },
        Ok(Err(error)) => Err(failure().cause(error)),
        Err(_) => Err(failure().cause(format!("nothing within {} s", LIMIT.as_secs()))),
    }
}
