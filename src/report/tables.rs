//! The tables of the commands that only look.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, Table};
use owo_colors::OwoColorize as _;

use super::document::{Data, EnsembleList, HostReleases, MemberReport, NextStep, WrittenFiles};
use super::{PingAnswer, history, keys, smoke, status};
use crate::inspect::{CloudReport, CloudStatus, NodeLabel};
use crate::lock::{LockState, LockStatus};
use crate::model::{BackupReport, human_bytes};
use crate::plan::Target;

/// The table of `data`; `nodes_too` lists the nodes of each cloud below it.
pub(super) fn render(data: &Data, nodes_too: bool) -> String {
    match data {
        Data::Members(members) => render_members(members),
        Data::Clouds(clouds) => render_clouds(clouds, nodes_too),
        Data::Answers(answers) => render_answers(answers),
        Data::Hosts(hosts) => render_releases(hosts),
        Data::Keys(report) => keys::render(report),
        Data::Smoke(results) => smoke::render(results),
        Data::Status(report) => status::render(report, nodes_too),
        Data::Text(text) => text.clone(),
        Data::Logs(lines) => super::logs::render(lines),
        Data::Outputs(outputs) => super::commands::render(outputs),
        Data::Backup(report) => render_backup(report),
        Data::Files(files) => render_files(files),
        Data::Runs(runs) => history::render_runs(runs),
        Data::Run(run) => history::render_run(run),
        Data::Locks(locks) => render_locks(locks),
        Data::Ensemble(list) => render_list(list),
        Data::Standing(standing) => super::standing::render(standing),
        Data::CloudRuns(runs) => history::render_cloud_runs(runs),
        Data::Checks(items) => super::checks::render(items),
    }
}

pub(super) fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(headings.iter().map(|heading| Cell::new(heading.bold())));
    table
}

pub(super) fn finish(table: &Table) -> String {
    // A table pads its last column, which copies badly from a terminal.
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n") + "\n"
}

pub(super) fn number(value: impl ToString) -> Cell {
    Cell::new(value).set_alignment(CellAlignment::Right)
}

pub(super) fn render_members(members: &[MemberReport]) -> String {
    let mut table =
        table(&["member", "mode", "version", "zxid", "connections", "latency min/avg/max ms", "znodes"]);
    for report in members {
        match report.state.stats() {
            Some(stats) => table.add_row(vec![
                Cell::new(&report.member),
                Cell::new(stats.mode.as_str().green()),
                Cell::new(&stats.version),
                Cell::new(&stats.zxid),
                number(stats.connections),
                number(format!("{}/{:.1}/{}", stats.latency_min, stats.latency_avg, stats.latency_max)),
                number(stats.znodes),
            ]),
            None => table.add_row(vec![Cell::new(&report.member), Cell::new(report.state.describe().red())]),
        };
    }
    finish(&table)
}

fn render_list(list: &EnsembleList) -> String {
    let mut text = format!("the ensemble is now {}\n", list.ensemble.bold());
    for change in &list.change {
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "  {change}");
    }
    text
}

fn render_locks(locks: &[LockStatus]) -> String {
    let mut table = table(&["place", "lock", "who", "since", "what"]);
    for lock in locks {
        // A lock that is free tells who had it last in JSON only.
        let holder = lock.holder.as_ref().filter(|_| lock.state == LockState::Held);
        let who = match (&lock.reason, lock.state, holder) {
            (Some(reason), ..) => reason.clone(),
            (None, _, Some(holder)) => format!("{}@{} (pid {})", holder.user, holder.host, holder.pid),
            (None, LockState::Held, None) => "it does not say".to_owned(),
            (None, ..) => "-".to_owned(),
        };
        table.add_row(vec![
            Cell::new(&lock.place),
            Cell::new(match lock.state {
                LockState::Held => "held".yellow().to_string(),
                LockState::Free => "free".green().to_string(),
                LockState::Unknown => "unknown".red().to_string(),
            }),
            Cell::new(who),
            Cell::new(holder.map_or("-", |holder| &holder.since)),
            Cell::new(holder.map_or("-", |holder| &holder.command)),
        ]);
    }
    finish(&table)
}

fn render_clouds(clouds: &[CloudReport], nodes_too: bool) -> String {
    if clouds.is_empty() {
        return "no service code is registered\n".to_owned();
    }
    let mut table =
        table(&["serviceCode", "status", "total", "online", "offline", "undefined", "created", "modified"]);
    for cloud in clouds {
        let status = match cloud.status {
            CloudStatus::Ok => cloud.status.as_str().green().to_string(),
            CloudStatus::SomeDown => cloud.status.as_str().yellow().to_string(),
            CloudStatus::Down => cloud.status.as_str().red().to_string(),
        };
        table.add_row(vec![
            Cell::new(&cloud.service_code),
            Cell::new(status),
            number(cloud.total),
            number(cloud.online.len()),
            number(cloud.offline.len()),
            number(cloud.undefined.len()),
            Cell::new(cloud.created.as_deref().unwrap_or("-")),
            Cell::new(cloud.modified.as_deref().unwrap_or("-")),
        ]);
    }
    let mut text = finish(&table);
    if nodes_too {
        for cloud in clouds {
            for (heading, nodes) in
                [("Online", &cloud.online), ("Offline", &cloud.offline), ("Undefined", &cloud.undefined)]
            {
                add_nodes(&mut text, heading, nodes);
            }
        }
    }
    text
}

fn add_nodes(text: &mut String, heading: &str, nodes: &BTreeSet<NodeLabel>) {
    if nodes.is_empty() {
        return;
    }
    // Writing to a String cannot fail.
    let _infallible = writeln!(text, "\n{}", heading.bold());
    for node in nodes {
        let _infallible = writeln!(text, "  {node}");
    }
}

fn render_releases(hosts: &[HostReleases]) -> String {
    let mut table = table(&["host", "release", "label", "size", "staged", "", "run by"]);
    let mut outdated = Vec::new();
    for host in hosts {
        if host.releases.is_empty() {
            table.add_row(vec![Cell::new(&host.host), Cell::new("none")]);
        }
        let mut by_age: Vec<_> = host.releases.iter().collect();
        by_age.sort_by_key(|(_, seen)| std::cmp::Reverse(seen.staged));
        for (release, seen) in by_age {
            let current = host.current.as_ref() == Some(release);
            let part = match (current, host.previous.as_ref() == Some(release)) {
                (true, _) => "current".green().to_string(),
                (_, true) => "previous".to_owned(),
                _ => String::new(),
            };
            let users: Vec<String> =
                seen.users.iter().map(|user| format!("{} (pid {})", user.what, user.pid)).collect();
            if !current && !users.is_empty() {
                outdated.push(format!("{}: {}", host.host, users.join(", ")));
            }
            table.add_row(vec![
                Cell::new(&host.host),
                Cell::new(release),
                Cell::new(seen.label.as_deref().unwrap_or("-")),
                number(human_bytes(seen.bytes)),
                Cell::new(timestamp(seen.staged)),
                Cell::new(part),
                Cell::new(users.join(", ")),
            ]);
        }
    }
    let mut text = finish(&table);
    if !outdated.is_empty() {
        // Writing to a String cannot fail.
        let _infallible = writeln!(
            text,
            "\n{} these go on with an older release until they are restarted:\n  {}\n\
             restart cache nodes with arcusctl memcached restart CODE @outdated, members with arcusctl zookeeper restart",
            "note".yellow(),
            outdated.join("\n  ")
        );
    }
    text
}

/// Nothing where the backup itself went to standard output.
fn render_backup(report: &BackupReport) -> String {
    let Some(file) = &report.file else { return String::new() };
    let clouds: Vec<&str> = report.clouds.iter().map(String::as_str).collect();
    let clouds = if clouds.is_empty() { "none".to_owned() } else { clouds.join(", ") };
    format!(
        "wrote {}\n  {} znodes ({})\n  service codes: {clouds}\n",
        file.display(),
        report.znodes,
        human_bytes(report.bytes as u64)
    )
}

fn render_files(files: &WrittenFiles) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    for file in &files.written {
        let _infallible = writeln!(text, "wrote {}", file.display());
    }
    if !files.next.is_empty() {
        let _infallible = writeln!(text, "\n{}", "Next".bold());
        let widest = files.next.iter().map(|step| step.run.len()).max().unwrap_or_default();
        for NextStep { run, does } in &files.next {
            let _infallible = writeln!(text, "  {run:widest$}  {does}");
        }
    }
    text
}

fn timestamp(seconds: u64) -> String {
    let moment = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    moment.map_or_else(|| "-".to_owned(), |moment| moment.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

fn render_answers(answers: &[PingAnswer]) -> String {
    let mut table = table(&["", "target", "ms", "answer"]);
    for answer in answers {
        let what = match &answer.target {
            Target::Member(_) => "zookeeper",
            Target::Host(_) => "host",
            _ => "node",
        };
        let said = match (&answer.answer, &answer.failure) {
            (Some(said), _) => said.clone(),
            (None, Some(failure)) => failure.causes.first().unwrap_or(&failure.message).red().to_string(),
            (None, None) => String::new(),
        };
        table.add_row(vec![
            Cell::new(what),
            Cell::new(&answer.target),
            number(format!("{:.1}", answer.milliseconds)),
            Cell::new(said),
        ]);
    }
    finish(&table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zk::{MemberState, Mode, ServerStats};

    fn plain(data: &Data) -> String {
        anstream::adapter::strip_str(&render(data, true)).to_string()
    }

    #[test]
    fn a_dead_member_stands_in_the_table() {
        let stats = ServerStats {
            version: "3.8.0".into(),
            mode: Mode::Leader,
            zxid: "0x100000003".into(),
            connections: 4,
            outstanding: 0,
            latency_min: 0.0,
            latency_avg: 0.5385,
            latency_max: 4.0,
            znodes: 27,
        };
        let members = vec![
            MemberReport { member: "10.0.0.1:2181".parse().unwrap(), state: MemberState::Serving(stats) },
            MemberReport {
                member: "10.0.0.2:2181".parse().unwrap(),
                state: MemberState::Down { reason: "connection refused".into() },
            },
        ];
        insta::assert_snapshot!(plain(&Data::Members(members)));
    }

    #[test]
    fn a_cloud_is_shown_with_its_nodes_by_state() {
        let labels = |texts: &[&str]| {
            texts.iter().map(|text| NodeLabel::Addr(text.parse().unwrap())).collect::<BTreeSet<_>>()
        };
        let cloud = CloudReport {
            service_code: "ruo91-cloud".into(),
            status: CloudStatus::SomeDown,
            total: 3,
            online: labels(&["10.0.0.1:11211"]),
            offline: labels(&["10.0.0.2:11211"]),
            undefined: labels(&["10.0.0.3:11211"]),
            created: Some("2014-05-22 07:27:21.121711".into()),
            modified: None,
            clients: 0,
        };
        insta::assert_snapshot!(plain(&Data::Clouds(vec![cloud])));
    }
}
