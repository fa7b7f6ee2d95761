//! Where keys live: the consistent-hashing ring that Arcus's servers and clients all build for themselves.
//!
//! Boundary: pure arithmetic over node addresses and keys. Who is on the ring is for the caller to say; nothing here
//! asks a host or ZooKeeper.

mod shift;

use md5::{Digest as _, Md5};

pub use shift::Shift;

use crate::model::NodeAddr;

/// Digests that a node puts on the ring; each gives as many points as it has words of 32 bits, which are four.
const DIGESTS_PER_NODE: u32 = 40;

/// The ring of a set of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// Points, ascending, each with its node; a node's keys lie up to and on its points. Where two nodes have the same
    /// point it is the one's whose name, as text, comes first.
    points: Vec<(u32, NodeAddr)>,
}

impl Ring {
    /// Builds the ring as arcus-memcached does (`cluster_config.c`): of each node forty MD5 digests of `ip:port-0` to
    /// `ip:port-39`, every digest cut into four little-endian points.
    pub fn new(nodes: impl IntoIterator<Item = NodeAddr>) -> Self {
        let mut ring = Self { points: Vec::new() };
        ring.extend(nodes);
        ring
    }

    /// Puts nodes on the ring that are not on it.
    pub fn extend(&mut self, nodes: impl IntoIterator<Item = NodeAddr>) {
        self.points.extend(nodes.into_iter().flat_map(points_of));
        let name = |node: &NodeAddr| node.to_string();
        self.points.sort_by(|(one, first), (other, second)| {
            one.cmp(other).then_with(|| name(first).cmp(&name(second)))
        });
    }

    /// Takes nodes off the ring.
    pub fn remove(&mut self, nodes: &[NodeAddr]) {
        self.points.retain(|(_, node)| !nodes.contains(node));
    }

    /// The node that has this key; `None` on a ring without nodes.
    pub fn owner(&self, key: &[u8]) -> Option<NodeAddr> {
        self.owner_of(word(&Md5::digest(key)[..size_of::<u32>()]))
    }

    fn owner_of(&self, hash: u32) -> Option<NodeAddr> {
        let after = self.points.partition_point(|(point, _)| *point < hash);
        self.points.get(after).or_else(|| self.points.first()).map(|(_, node)| *node)
    }

    /// How much of the ring, and so of all keys, is this node's: from 0 to 1.
    pub fn share(&self, node: NodeAddr) -> f64 {
        let before = self.points.iter().cycle().skip(self.points.len().saturating_sub(1));
        let arcs = self.points.iter().zip(before).filter(|((_, owner), _)| *owner == node);
        let length: u64 =
            arcs.map(|((point, _), (previous, _))| u64::from(point.wrapping_sub(*previous))).sum();
        length as f64 / 2_f64.powi(32)
    }
}

fn points_of(node: NodeAddr) -> impl Iterator<Item = (u32, NodeAddr)> {
    let name = node.to_string();
    (0..DIGESTS_PER_NODE).flat_map(move |number| {
        let digest = Md5::digest(format!("{name}-{number}"));
        let points = digest.as_slice().chunks_exact(size_of::<u32>()).map(word);
        points.map(|point| (point, node)).collect::<Vec<_>>()
    })
}

/// Four bytes of a digest as Arcus reads them.
fn word(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> NodeAddr {
        text.parse().unwrap()
    }

    fn three() -> [NodeAddr; 3] {
        ["10.0.0.1:11211", "10.0.0.2:11211", "10.0.0.10:11211"].map(addr)
    }

    fn owner(ring: &Ring, key: &str) -> String {
        ring.owner(key.as_bytes()).unwrap().to_string()
    }

    // These vectors come from an independent program: Python's hashlib and struct, points sorted and searched one by one.
    #[test]
    fn keys_live_where_an_independent_computation_puts_them() {
        let ring = Ring::new(three());
        assert_eq!(ring.points.len(), 480);
        assert_eq!(ring.points[0], (7_234_733, addr("10.0.0.2:11211")));
        assert_eq!(ring.points[479], (4_294_179_316, addr("10.0.0.2:11211")));
        let expected = [
            ("a", "10.0.0.10:11211"),
            ("key", "10.0.0.2:11211"),
            ("user:1000", "10.0.0.10:11211"),
            ("0", "10.0.0.1:11211"),
            ("캐시", "10.0.0.1:11211"),
            ("foo", "10.0.0.2:11211"),
            ("wrap", "10.0.0.1:11211"),
        ];
        for (key, node) in expected {
            assert_eq!(owner(&ring, key), node, "{key}");
        }
        // Its hash lies behind the last point, so the first one is next.
        assert_eq!(owner(&ring, "k10870"), "10.0.0.2:11211");
    }

    #[test]
    fn shares_are_the_arcs_between_points() {
        let ring = Ring::new(three());
        let lengths = [1_548_059_341_u64, 1_304_514_686, 1_442_393_269];
        for (node, length) in three().into_iter().zip(lengths) {
            assert!((ring.share(node) - length as f64 / 2_f64.powi(32)).abs() < 1e-12, "{node}");
        }
        assert!(ring.share(addr("10.0.0.3:11211")).abs() < 1e-12);
    }

    #[test]
    fn the_order_in_which_nodes_are_named_changes_nothing() {
        let mut backwards = three();
        backwards.reverse();
        assert_eq!(Ring::new(three()), Ring::new(backwards));
    }

    #[test]
    fn a_node_that_joins_takes_keys_and_moves_no_others() {
        let joining = addr("10.0.0.3:11211");
        let (before, after) = (Ring::new(three()), Ring::new(three().into_iter().chain([joining])));
        let keys = || (0..2000).map(|number| format!("k{number}"));
        let moved: Vec<String> = keys().filter(|key| owner(&before, key) != owner(&after, key)).collect();
        assert_eq!(moved.len(), 506);
        assert!(moved.iter().all(|key| owner(&after, key) == joining.to_string()));
    }

    #[test]
    fn nodes_may_come_and_go_one_by_one() {
        let mut ring = Ring::new([]);
        for node in three() {
            ring.extend([node]);
        }
        assert_eq!(ring, Ring::new(three()));
        ring.remove(&three()[1..2]);
        assert_eq!(ring, Ring::new([three()[0], three()[2]]));
    }

    #[test]
    fn a_point_of_two_nodes_is_that_of_the_one_whose_name_comes_first() {
        let [one, _, ten] = three();
        // As text `10.0.0.10:11211` comes first: a zero comes before a colon.
        let mut ring = Ring { points: vec![(5, ten), (9, one), (9, ten)] };
        ring.extend([]);
        assert_eq!(ring.owner_of(7), Some(ten));
        assert!((ring.share(ten) - 1.0).abs() < 1e-12);
        ring.remove(&[ten]);
        assert_eq!(ring.owner_of(7), Some(one));
    }

    #[test]
    fn an_empty_ring_has_no_owner() {
        assert_eq!(Ring::new([]).owner(b"key"), None);
        let alone = Ring::new([addr("10.0.0.1:11211")]);
        assert_eq!(owner(&alone, "key"), "10.0.0.1:11211");
        assert!((alone.share(addr("10.0.0.1:11211")) - 1.0).abs() < 1e-12);
    }
}
