//! Going on round by round: so many nodes at a time, with time in between, no further than the first failure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Action, Gate, NodeRestart, Plan, Stage, Step, Target};
use crate::model::{Ensemble, HostName, NodeAddr, ServiceCode};

/// What arcus-memcached asks ZooKeeper for without `-o`, in seconds (`arcus_zk.c`).
const DEFAULT_SESSION_TIMEOUT: u32 = 30;

/// How fast it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// So many nodes at a time, at least 1.
    pub batch: usize,
    /// So many of the cloud's nodes may be out at once, those included that are out anyway.
    pub max_unavailable: usize,
    /// For so many seconds a node drains before it is stopped; 0: it does not.
    pub drain: u16,
    /// Seconds to wait after nodes have joined, before the next round.
    pub settle: u32,
}

/// Puts rounds at the end of a plan. Before each there is a stage that waits, where nodes have joined, and sees that the
/// cloud is still whole enough: before the first, too, since a plan may have waited long for its answer. Only a first
/// round that takes nobody away needs none. Each stage begins only if nothing failed so far.
#[derive(Debug)]
pub struct Rounds<'a> {
    plan: &'a mut Plan,
    code: &'a ServiceCode,
    ensemble: &'a Ensemble,
    pace: Pace,
    /// The nodes that the cloud is to have after the last round.
    nodes: Arc<BTreeSet<NodeAddr>>,
    /// Those that joined in the last round.
    joined: Vec<NodeAddr>,
    /// Seconds that are due before the first round to nodes which joined before the plan was made.
    due: u32,
}

/// What is done in one round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Round {
    /// Stages by title, in order.
    pub stages: Vec<(&'static str, Vec<Step>)>,
    /// So many members go out in it, for a while or for good.
    pub out: usize,
    /// These are members after it that were none before, or none for a while.
    pub joins: Vec<NodeAddr>,
    /// These are gone for good after it.
    pub leaves: Vec<NodeAddr>,
}

/// Seconds to wait after a node has joined: the longest of the session timeouts of live nodes, as one such time after a
/// join each of them deletes what is no longer its own (auto scrub, `arcus_zk.c`). Those that are started on the way have
/// what is `configured`. One that did not say what it has (`None`) may have what nodes have by default.
pub fn settling_time(observed_ms: impl IntoIterator<Item = Option<u64>>, configured: Option<u32>) -> u32 {
    let in_seconds = |ms: u64| u32::try_from(ms.div_ceil(1000)).unwrap_or(u32::MAX);
    let observed = observed_ms.into_iter().map(|ms| ms.map_or(DEFAULT_SESSION_TIMEOUT, in_seconds));
    observed.chain(configured).max().unwrap_or(DEFAULT_SESSION_TIMEOUT)
}

impl<'a> Rounds<'a> {
    /// The cloud `code` of these `nodes`, registered or live.
    pub fn new(
        plan: &'a mut Plan,
        code: &'a ServiceCode,
        ensemble: &'a Ensemble,
        pace: Pace,
        nodes: BTreeSet<NodeAddr>,
    ) -> Self {
        Self { plan, code, ensemble, pace, nodes: Arc::new(nodes), joined: Vec::new(), due: 0 }
    }

    /// Begins with the time that is due to nodes which joined shortly before the plan was made.
    pub fn after(&mut self, joined: &[NodeAddr]) {
        self.after_waiting(joined, 0);
    }

    /// The same, of which so many seconds have passed.
    pub fn after_waiting(&mut self, joined: &[NodeAddr], passed: u32) {
        self.joined = joined.to_vec();
        self.due = if joined.is_empty() { 0 } else { self.pace.settle.saturating_sub(passed) };
    }

    /// Restarts nodes that serve, a batch a round.
    pub fn restart(&mut self, nodes: &[NodeRestart]) {
        for batch in nodes.chunks(self.pace.batch.max(1)) {
            self.push(Round {
                stages: vec![("Restart", restart_steps(self.code, self.ensemble, self.pace.drain, batch))],
                out: batch.len(),
                joins: batch.iter().map(|node| node.addr).collect(),
                leaves: Vec::new(),
            });
        }
    }

    /// Brings back nodes that are out, all in one round: that takes nobody away.
    pub fn bring_back(&mut self, nodes: &[NodeRestart]) {
        if !nodes.is_empty() {
            self.push(Round {
                stages: vec![("Bring back", restart_steps(self.code, self.ensemble, 0, nodes))],
                out: 0,
                joins: nodes.iter().map(|node| node.addr).collect(),
                leaves: Vec::new(),
            });
        }
    }

    /// Appends a round.
    pub fn push(&mut self, round: Round) {
        let number = self.plan.rounds() + 1;
        if number > 1 {
            let seconds = if self.joined.is_empty() { 0 } else { self.pace.settle };
            self.settle(Some(number - 1), round.out, seconds);
        } else if round.out > 0 || !self.joined.is_empty() {
            self.settle(None, round.out, self.due);
        }
        let stages = round.stages.into_iter().filter(|(_, steps)| !steps.is_empty());
        self.plan.stages.extend(stages.map(|(title, steps)| Stage {
            title,
            gate: Gate::Unbroken,
            round: Some(number),
            steps,
        }));
        let nodes = Arc::make_mut(&mut self.nodes);
        nodes.retain(|node| !round.leaves.contains(node));
        nodes.extend(&round.joins);
        self.joined = round.joins;
    }

    fn settle(&mut self, round: Option<usize>, out_next: usize, seconds: u32) {
        let joined = std::mem::take(&mut self.joined);
        let action = Action::Settle {
            code: self.code.clone(),
            seconds,
            joined,
            // Those that go out next count among those that may be out.
            members: self.nodes.len().saturating_sub(self.pace.max_unavailable.saturating_sub(out_next)),
            expected: Arc::clone(&self.nodes),
        };
        let steps = vec![Step::new(Target::Cloud(self.code.clone()), action)];
        self.plan.stages.push(Stage { title: "Settle", gate: Gate::Unbroken, round, steps });
    }
}

/// What the waits and drains of a plan come to, in seconds; it cannot take less.
pub(super) fn least_seconds(plan: &Plan) -> u64 {
    plan.stages.iter().map(stage_seconds).sum()
}

/// What the longest wait or drain of a stage comes to, in seconds.
pub(super) fn stage_seconds(stage: &Stage) -> u64 {
    let of_step = |step: &Step| match &step.action {
        Action::Settle { seconds, .. } => u64::from(*seconds),
        Action::StopNodes { drain, .. } => u64::from(*drain),
        Action::RestartNodes { drain, nodes, .. } if nodes.iter().any(|node| node.process.is_some()) => {
            u64::from(*drain)
        }
        _ => 0,
    };
    stage.steps.iter().map(of_step).max().unwrap_or(0)
}

/// One step for each host.
pub(super) fn restart_steps(
    code: &ServiceCode,
    ensemble: &Ensemble,
    drain: u16,
    nodes: &[NodeRestart],
) -> Vec<Step> {
    let mut hosts: BTreeMap<HostName, Vec<NodeRestart>> = BTreeMap::new();
    for node in nodes {
        hosts.entry(HostName::from(node.addr.ip)).or_default().push(node.clone());
    }
    let step = |(host, nodes)| {
        let (code, zookeeper) = (code.clone(), ensemble.to_string());
        Step::new(Target::Host(host), Action::RestartNodes { code, zookeeper, nodes, drain })
    };
    hosts.into_iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NodeOptions;
    use crate::plan::ProcessId;

    const PACE: Pace = Pace { batch: 1, max_unavailable: 1, drain: 5, settle: 30 };

    fn node(text: &str) -> NodeRestart {
        NodeRestart {
            addr: text.parse().unwrap(),
            process: Some(ProcessId { pid: 7, started: 1 }),
            options: NodeOptions { memlimit: 100, connections: 1000, threads: 6 },
            old_session: None,
        }
    }

    /// Every stage: its round, its title, its steps.
    fn told(pace: Pace, nodes: u16, build: impl FnOnce(&mut Rounds<'_>)) -> Vec<String> {
        let (code, ensemble) = (ServiceCode::new("c").unwrap(), Ensemble::parse("zk:2181").unwrap());
        let mut plan = Plan::new("x");
        let nodes = (0..nodes).map(|n| format!("10.0.0.{}:{}", n / 2 + 1, n % 2 + 1).parse().unwrap());
        build(&mut Rounds::new(&mut plan, &code, &ensemble, pace, nodes.collect()));
        assert!(plan.stages.iter().all(|stage| stage.gate == Gate::Unbroken));
        let stage = |stage: &Stage| {
            let steps = stage.steps.iter().map(|step| match &step.action {
                Action::Settle { members, .. } => format!("{} (members: {members})", step.action),
                action => format!("{}: {action}", step.target),
            });
            format!(
                "{} {}: {}",
                stage.round.unwrap_or_default(),
                stage.title,
                steps.collect::<Vec<_>>().join(" | ")
            )
        };
        plan.stages.iter().map(stage).collect()
    }

    #[test]
    fn one_node_after_the_other_with_time_in_between_and_none_after_the_last() {
        let nodes = ["10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:1"].map(node);
        assert_eq!(
            told(PACE, 4, |rounds| rounds.restart(&nodes)),
            [
                // The plan may have waited for its answer for long.
                "0 Settle: see that no other node has gone (members: 4)",
                "1 Restart: 10.0.0.1: restart 10.0.0.1:1 (pid 7), drained for 5 s",
                "1 Settle: wait 30 s; see that no other node has gone (members: 4)",
                "2 Restart: 10.0.0.1: restart 10.0.0.1:2 (pid 7), drained for 5 s",
                "2 Settle: wait 30 s; see that no other node has gone (members: 4)",
                "3 Restart: 10.0.0.2: restart 10.0.0.2:1 (pid 7), drained for 5 s",
            ]
        );
    }

    #[test]
    fn a_batch_is_one_step_on_each_of_its_hosts() {
        let nodes = ["10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:1", "10.0.0.2:2"].map(node);
        let pace = Pace { batch: 3, max_unavailable: 3, drain: 0, ..PACE };
        assert_eq!(
            told(pace, 8, |rounds| rounds.restart(&nodes)),
            [
                "0 Settle: see that no other node has gone (members: 8)",
                "1 Restart: 10.0.0.1: restart 10.0.0.1:1 (pid 7); restart 10.0.0.1:2 (pid 7) | \
                 10.0.0.2: restart 10.0.0.2:1 (pid 7)",
                // One goes out next, and three may be: two more may be gone by then.
                "1 Settle: wait 30 s; see that no other node has gone (members: 6)",
                "2 Restart: 10.0.0.2: restart 10.0.0.2:2 (pid 7)",
            ]
        );
    }

    #[test]
    fn what_is_out_is_brought_back_first_and_takes_nobody_away() {
        let mut out = node("10.0.0.3:1");
        out.process = None;
        let told = told(PACE, 6, |rounds| {
            rounds.bring_back(&[]);
            rounds.bring_back(&[out]);
            rounds.restart(&[node("10.0.0.1:1")]);
        });
        assert_eq!(told[0], "1 Bring back: 10.0.0.3: start 10.0.0.3:1");
        assert_eq!(told[1], "1 Settle: wait 30 s; see that no other node has gone (members: 6)");
        assert_eq!(told[2], "2 Restart: 10.0.0.1: restart 10.0.0.1:1 (pid 7), drained for 5 s");
    }

    #[test]
    fn after_nodes_have_only_left_there_is_nothing_to_wait_for() {
        let leave = |text: &str| {
            let node = node(text);
            let (code, nodes) = (ServiceCode::new("c").unwrap(), vec![node.stop().unwrap()]);
            let action = Action::StopNodes { code, nodes, drain: 5 };
            let stop = Step::new(Target::Host(HostName::from(node.addr.ip)), action);
            Round { stages: vec![("Stop", vec![stop])], out: 1, joins: vec![], leaves: vec![node.addr] }
        };
        let told = told(PACE, 6, |rounds| {
            rounds.push(leave("10.0.0.1:1"));
            rounds.push(leave("10.0.0.2:1"));
        });
        assert_eq!(told[2], "1 Settle: see that no other node has gone (members: 5)");
    }

    #[test]
    fn the_longest_session_timeout_sets_the_pace() {
        assert_eq!(settling_time([Some(4000), Some(29_500)], Some(15)), 30);
        assert_eq!(settling_time([Some(4000)], None), 4);
        assert_eq!(settling_time([], Some(15)), 15);
        assert_eq!(settling_time([], None), 30);
    }

    #[test]
    fn what_nodes_are_started_with_on_the_way_and_who_did_not_say_count_too() {
        assert_eq!(settling_time([Some(15_000)], Some(60)), 60);
        assert_eq!(settling_time([Some(10_000), None], None), 30);
        assert_eq!(settling_time([Some(10_000), None], Some(15)), 30);
    }
}
