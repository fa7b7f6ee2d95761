//! What `status` shows: the ensemble, the clouds, and of one cloud the nodes.

use std::fmt::Write as _;

use comfy_table::Cell;
use owo_colors::OwoColorize as _;
use serde::Serialize;

use super::MemberReport;
use super::tables::{finish, number, render_members, table};
use crate::model::{human_age, human_bytes};
use crate::node::Readiness;
use crate::status::{CloudStatus, NodeStatus};
use crate::zk::Mode;

/// The ensemble and the clouds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    pub ensemble: Vec<MemberReport>,
    pub clouds: Vec<CloudStatus>,
    /// ZooKeeper answered; else nobody knows what is registered.
    pub zookeeper: bool,
}

/// All on one screen; with `nodes_too` the nodes of the clouds instead.
pub(super) fn render(report: &StatusReport, nodes_too: bool) -> String {
    if !nodes_too {
        let mut text = render_members(&report.ensemble) + "\n";
        text += &if !report.zookeeper && report.clouds.is_empty() {
            "which service codes are registered is not known: ZooKeeper did not answer\n".to_owned()
        } else if report.clouds.is_empty() {
            "no service code is registered\n".to_owned()
        } else {
            render_clouds(&report.clouds)
        };
        return text;
    }
    let mut text = String::new();
    for cloud in &report.clouds {
        // Writing to a String cannot fail.
        let _infallible = writeln!(
            text,
            "{}: {} online; ensemble: {}\n\n{}",
            cloud.service_code.bold(),
            online(cloud),
            ensemble_in_words(&report.ensemble),
            render_nodes(&cloud.nodes)
        );
    }
    // Each cloud ends with an empty line, for the next.
    text.trim_end().to_owned() + "\n"
}

/// `3 of 3 serve, 10.0.0.1:2181 leads`.
fn ensemble_in_words(members: &[MemberReport]) -> String {
    let serving = members.iter().filter(|member| member.state.stats().is_some()).count();
    let is_leader =
        |member: &&MemberReport| member.state.stats().is_some_and(|stats| stats.mode == Mode::Leader);
    let leader = members.iter().find(is_leader);
    let leads = leader.map(|leader| format!(", {} leads", leader.member)).unwrap_or_default();
    format!("{serving} of {} serve{leads}", members.len())
}

pub(super) fn online(cloud: &CloudStatus) -> String {
    let online = cloud.online.map_or_else(|| "?".to_owned(), |online| online.to_string());
    // Without ZooKeeper the nodes are those of a cloud JSON.
    format!("{online} of {}", cloud.registered.unwrap_or(cloud.nodes.len()))
}

pub(super) fn percent(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{:.1} %", ratio * 100.0))
}

fn render_clouds(clouds: &[CloudStatus]) -> String {
    let mut table = table(&[
        "cloud",
        "online",
        "items",
        "memory",
        "connections",
        "hit ratio",
        "operations",
        "disagreements",
    ]);
    for cloud in clouds {
        let figures = &cloud.figures;
        let count = cloud.disagreements().count();
        table.add_row(vec![
            Cell::new(&cloud.service_code),
            Cell::new(online(cloud)),
            number(figures.items),
            number(memory(figures.bytes, figures.limit_bytes)),
            number(figures.connections),
            number(percent(figures.hit_ratio())),
            number(figures.operations),
            Cell::new(if count == 0 { "none".green().to_string() } else { count.red().to_string() }),
        ]);
    }
    finish(&table)
}

fn memory(used: u64, limit: u64) -> String {
    format!("{} of {}", human_bytes(used), human_bytes(limit))
}

fn render_nodes(nodes: &[NodeStatus]) -> String {
    let mut table = table(&[
        "node",
        "state",
        "registered",
        "pid",
        "up",
        "release",
        "member",
        "ready",
        "version",
        "items",
        "memory",
        "conns",
        "hits",
        "evictions",
    ]);
    let dash = || "-".to_owned();
    for node in nodes {
        let process = node.process.as_ref();
        let said = node.answer.as_ref().map(|answer| &answer.said);
        let figure =
            |of: fn(&crate::inspect::Figures) -> String| said.map_or_else(dash, |said| of(&said.figures));
        table.add_row(vec![
            Cell::new(node.node),
            Cell::new(if node.disagreements.is_empty() {
                node.words().green().to_string()
            } else {
                node.words().red().to_string()
            }),
            Cell::new(registered(node)),
            number(process.map_or_else(dash, |process| process.pid.to_string())),
            number(process.map_or_else(dash, |process| human_age(process.seconds))),
            Cell::new(
                process.and_then(|process| process.release.as_ref()).map_or_else(dash, ToString::to_string),
            ),
            number(member(node)),
            Cell::new(said.map_or("-", |said| match said.ready {
                Readiness::Ready => "yes",
                Readiness::NotReady => "no",
                Readiness::Unknown => "?",
            })),
            Cell::new(said.map_or("-", |said| &said.version)),
            number(figure(|figures| figures.items.to_string())),
            number(figure(|figures| memory(figures.bytes, figures.limit_bytes))),
            number(figure(|figures| figures.connections.to_string())),
            number(percent(node.answer.as_ref().and_then(|answer| answer.hit_ratio))),
            number(figure(|figures| figures.evictions.to_string())),
        ]);
    }
    finish(&table)
}

/// The options that it is registered with.
fn registered(node: &NodeStatus) -> String {
    match (node.registered, node.options) {
        (Some(false), _) => "no".to_owned(),
        (_, Some(options)) => {
            format!("-m {} -c {} -t {}", options.memlimit, options.connections, options.threads)
        }
        (Some(true), None) => "yes".to_owned(),
        (None, None) => "?".to_owned(),
    }
}

/// For how long it has been a member.
fn member(node: &NodeStatus) -> String {
    match (&node.member, node.registered) {
        (Some(member), _) => member.seconds.map_or_else(|| "yes".to_owned(), human_age),
        (None, Some(_)) => "no".to_owned(),
        (None, None) => "?".to_owned(),
    }
}
