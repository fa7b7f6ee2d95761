//! What it costs to change who has which keys: shares of the ring, and time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::model::{NodeAddr, human_seconds};
use crate::ring::Ring;

/// What a plan costs a cloud. Shares are of all keys that can be, from 0 to 1, computed from the arcs of the ring.
#[derive(Clone, Debug, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Price {
    /// Each change, in the order in which they are made.
    pub changes: Vec<ChangePrice>,
    /// The share of keys that has another node in the end. What moves twice on the way counts once, so this is no sum.
    pub moves: f64,
    /// The share of keys whose node was restarted, and so has none of them in the end.
    pub empties: f64,
    /// What the plan's waits and drains come to, in seconds: it cannot take less.
    pub least_seconds: u64,
    /// Each node that has other keys in the end.
    pub nodes: Vec<NodePrice>,
}

/// What one change costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangePrice {
    pub change: Change,
    pub nodes: Vec<NodeAddr>,
    /// The share of keys that this change gives another node.
    pub moves: f64,
    /// The share of keys whose node comes back without them.
    pub empties: f64,
    /// Its waits and drains, in seconds.
    pub least_seconds: u64,
}

/// What happens to nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// They are registered anew and join.
    Add,
    /// They are registered already and join.
    Start,
    /// They leave for good.
    Remove,
    /// One leaves for good, and another of the same machine and port joins in its place.
    Replace,
    /// They go and come back, empty.
    Restart,
}

/// What becomes of one node's keys.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodePrice {
    pub node: NodeAddr,
    pub gains: f64,
    pub loses: f64,
}

/// Adds up what changes of the live nodes cost, one after the other.
#[derive(Debug)]
pub(super) struct Pricing {
    first: Ring,
    ring: Ring,
    restarted: BTreeSet<NodeAddr>,
    changes: Vec<ChangePrice>,
}

impl Pricing {
    pub(super) fn new(live: BTreeSet<NodeAddr>) -> Self {
        let ring = Ring::new(live);
        Self { first: ring.clone(), ring, restarted: BTreeSet::new(), changes: Vec::new() }
    }

    /// Nodes leave, then others join.
    pub(super) fn change(&mut self, change: Change, leave: &[NodeAddr], join: &[NodeAddr]) {
        let mut after = self.ring.clone();
        after.remove(leave);
        after.extend(join.iter().copied());
        let moves = self.ring.shift_to(&after).moved;
        self.ring = after;
        let nodes = leave.iter().chain(join).copied().collect();
        self.changes.push(ChangePrice { change, nodes, moves, empties: 0.0, least_seconds: 0 });
    }

    pub(super) fn restart(&mut self, nodes: &[NodeAddr]) {
        self.restarted.extend(nodes);
        let empties = self.shares(nodes);
        let nodes = nodes.to_vec();
        self.changes.push(ChangePrice {
            change: Change::Restart,
            nodes,
            moves: 0.0,
            empties,
            least_seconds: 0,
        });
    }

    /// What these nodes have together. (A sum of no numbers would be a negative zero.)
    fn shares<'n>(&self, nodes: impl IntoIterator<Item = &'n NodeAddr>) -> f64 {
        nodes.into_iter().fold(0.0, |sum, node| sum + self.ring.share(*node))
    }

    /// The price, when the changes take at least so many seconds each, and the whole plan so many.
    pub(super) fn finish(mut self, each: impl Fn(usize) -> u64, least_seconds: u64) -> Price {
        for (number, change) in self.changes.iter_mut().enumerate() {
            change.least_seconds = each(number);
        }
        let shift = self.first.shift_to(&self.ring);
        let of = |shares: &BTreeMap<NodeAddr, f64>, node| shares.get(&node).copied().unwrap_or_default();
        let nodes: BTreeSet<NodeAddr> = shift.gained.keys().chain(shift.lost.keys()).copied().collect();
        let empties = self.shares(&self.restarted);
        Price {
            changes: self.changes,
            moves: shift.moved,
            empties,
            least_seconds,
            nodes: nodes
                .into_iter()
                .map(|node| NodePrice { node, gains: of(&shift.gained, node), loses: of(&shift.lost, node) })
                .collect(),
        }
    }
}

impl Change {
    /// As an operator says it of nodes.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Start => "start",
            Self::Remove => "remove",
            Self::Replace => "replace",
            Self::Restart => "restart",
        }
    }
}

/// `moves 12.4 % of the keys; at least 30 s`
impl fmt::Display for ChangePrice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        tell(out, self.moves, self.empties, self.least_seconds)
    }
}

impl fmt::Display for Price {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        tell(out, self.moves, self.empties, self.least_seconds)
    }
}

fn tell(out: &mut fmt::Formatter<'_>, moves: f64, empties: f64, least_seconds: u64) -> fmt::Result {
    match (moves > 0.0, empties > 0.0) {
        (true, true) => write!(out, "moves {} of the keys and empties {}", percent(moves), percent(empties))?,
        (true, false) => write!(out, "moves {} of the keys", percent(moves))?,
        (false, true) => write!(out, "empties {} of the keys", percent(empties))?,
        (false, false) => out.write_str("moves no keys")?,
    }
    if least_seconds > 0 {
        write!(out, "; at least {}", human_seconds(least_seconds))?;
    }
    Ok(())
}

/// A share as a person says it.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent < 0.05 { "less than 0.1 %".to_owned() } else { format!("{percent:.1} %") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(last: u8) -> NodeAddr {
        format!("10.0.0.{last}:11211").parse().unwrap()
    }

    #[test]
    fn each_change_has_its_price_and_what_moves_twice_counts_once_in_all() {
        let mut pricing = Pricing::new([1, 2, 3].map(node).into());
        // Some of what 4 takes, 5 takes from it.
        pricing.change(Change::Add, &[], &[node(4)]);
        pricing.change(Change::Add, &[], &[node(5)]);
        pricing.change(Change::Remove, &[node(1)], &[]);
        pricing.restart(&[node(2)]);
        let price = pricing.finish(|number| number as u64, 9);
        let ring = |last: &[u8]| Ring::new(last.iter().copied().map(node));
        let moves: Vec<f64> = price.changes.iter().map(|change| change.moves).collect();
        let expected = [
            ring(&[1, 2, 3]).shift_to(&ring(&[1, 2, 3, 4])).moved,
            ring(&[1, 2, 3, 4]).shift_to(&ring(&[1, 2, 3, 4, 5])).moved,
            ring(&[1, 2, 3, 4, 5]).share(node(1)),
            0.0,
        ];
        assert_eq!(moves, expected);
        assert_eq!(price.moves, ring(&[1, 2, 3]).shift_to(&ring(&[2, 3, 4, 5])).moved);
        assert!(price.moves < moves.iter().sum::<f64>() - 0.01, "{price:?}");
        assert_eq!(price.empties, ring(&[2, 3, 4, 5]).share(node(2)));
        assert_eq!(price.nodes.iter().map(|node| node.node).collect::<Vec<_>>(), [1, 2, 3, 4, 5].map(node));
        assert_eq!(price.changes[3].least_seconds, 3);
    }

    #[test]
    fn a_price_is_told_in_percent_and_time() {
        let told = |moves, empties, least_seconds| {
            Price { moves, empties, least_seconds, ..Price::default() }.to_string()
        };
        assert_eq!(told(0.1236, 0.0, 210), "moves 12.4 % of the keys; at least 3 min 30 s");
        assert_eq!(told(0.0, 0.25, 0), "empties 25.0 % of the keys");
        assert_eq!(told(0.5, 0.0001, 0), "moves 50.0 % of the keys and empties less than 0.1 %");
        assert_eq!(told(0.0, 0.0, 0), "moves no keys");
    }
}
