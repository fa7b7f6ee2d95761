//! What a step does in words that are the same on every host where it does the same, and short however much it is.

use crate::model::NodeAddr;
use crate::plan::{Action, Step};

/// So many things of one kind are listed.
const LISTED: usize = 6;

const AFTER_PREDECESSOR: &str = " once the session of the killed predecessor has expired";

/// The step in a few lines, without the name of its host.
pub(super) fn of(step: &Step) -> Vec<String> {
    match &step.action {
        Action::StartNodes { nodes, .. } => {
            let waits = |node: &&crate::plan::NodeLaunch| node.options.is_none();
            let is_late = |node: &&crate::plan::NodeLaunch| node.old_session.is_some();
            let of = |fits: &dyn Fn(&&crate::plan::NodeLaunch) -> bool| {
                nodes.iter().filter(|node| fits(node)).map(|node| node.addr).collect::<Vec<_>>()
            };
            let kinds = [
                ("start cache node", of(&|node| !waits(node) && !is_late(node)), ""),
                ("start cache node", of(&|node| !waits(node) && is_late(node)), AFTER_PREDECESSOR),
                ("wait until cache node", of(&waits), " joins"),
            ];
            kinds.iter().filter_map(|(before, nodes, after)| node_line(before, nodes, after)).collect()
        }
        Action::StopNodes { nodes, drain, .. } => {
            let of = |seen: bool| {
                let fits = nodes.iter().filter(|node| node.process.is_some() == seen);
                fits.map(|node| node.addr).collect::<Vec<_>>()
            };
            let drained = drained(*drain);
            let kinds = [
                ("stop cache node", of(true), drained.as_str()),
                ("wait until cache node", of(false), " has left; no process of it is to be seen"),
            ];
            kinds.iter().filter_map(|(before, nodes, after)| node_line(before, nodes, after)).collect()
        }
        Action::RestartNodes { nodes, drain, .. } => {
            let of = |runs: bool, late: bool| {
                let fits = nodes
                    .iter()
                    .filter(|node| node.process.is_some() == runs && node.old_session.is_some() == late);
                fits.map(|node| node.addr).collect::<Vec<_>>()
            };
            let drained = drained(*drain);
            let kinds = [
                ("restart cache node", of(true, false), drained.as_str()),
                ("start cache node", of(false, false), ""),
                ("start cache node", of(false, true), AFTER_PREDECESSOR),
            ];
            kinds.iter().filter_map(|(before, nodes, after)| node_line(before, nodes, after)).collect()
        }
        Action::CommitZnodes { summary, .. } => by_verb(summary),
        action => vec![action.to_string()],
    }
}

/// Behind nodes that are stopped.
fn drained(seconds: u16) -> String {
    if seconds == 0 { String::new() } else { format!(", drained for {seconds} s") }
}

/// `runs already (pid 7)` and its like without the number, which is another for each.
pub(super) fn without_pid(fact: &str) -> String {
    match fact.split_once(" (pid ").and_then(|(before, rest)| Some((before, rest.split_once(')')?.1))) {
        Some((before, after)) => format!("{before}{after}"),
        None => fact.to_owned(),
    }
}

/// `start cache node 11211-11214, 11300`; nothing without nodes.
fn node_line(before: &str, nodes: &[NodeAddr], after: &str) -> Option<String> {
    let mut ports: Vec<u16> = nodes.iter().map(|node| node.port.get()).collect();
    ports.sort_unstable();
    let (first, rest) = ports.split_first()?;
    let mut ranges = vec![(*first, *first)];
    for port in rest {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*port) => *last = *port,
            _ => ranges.push((*port, *port)),
        }
    }
    let told = ranges.iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first}-{last}"),
    });
    let told: Vec<String> = told.collect();
    let plural = if ports.len() > 1 { "s" } else { "" };
    Some(format!("{before}{plural} {}{after}", told.join(", ")))
}

/// Lines of a verb and a name each; many of one verb make one line.
fn by_verb(summary: &[String]) -> Vec<String> {
    let mut kinds: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in summary {
        let (verb, name) = line.rsplit_once(' ').unwrap_or((line, ""));
        match kinds.iter_mut().find(|(known, _)| *known == verb) {
            Some((_, names)) => names.push(name),
            None => kinds.push((verb, vec![name])),
        }
    }
    let told = kinds.iter().map(|(verb, names)| match names.as_slice() {
        [first, .., last] if names.len() > LISTED => format!("{verb} {first} … {last} ({})", names.len()),
        _ => format!("{verb} {}", names.join(", ")).trim_end().to_owned(),
    });
    told.collect()
}
