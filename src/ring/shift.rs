//! Which keys another set of nodes gives another owner.

use std::collections::BTreeMap;

use super::Ring;
use crate::model::NodeAddr;

/// What becomes of the keys when one ring follows another: exact, from the arcs between all points of both.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Shift {
    /// How much of all keys has another owner afterwards: from 0 to 1.
    pub moved: f64,
    /// How much of all keys each node has that it did not have before.
    pub gained: BTreeMap<NodeAddr, f64>,
    /// How much of all keys each node had and has no longer.
    pub lost: BTreeMap<NodeAddr, f64>,
}

impl Ring {
    /// What becomes of the keys when the nodes are those of `after`. Keys that nobody has are not moved by being given an
    /// owner: on a ring without nodes there are none.
    pub fn shift_to(&self, after: &Self) -> Shift {
        let mut points: Vec<u32> = self.points.iter().chain(&after.points).map(|(point, _)| *point).collect();
        points.sort_unstable();
        points.dedup();
        let mut moved = 0_u64;
        let mut gained: BTreeMap<NodeAddr, u64> = BTreeMap::new();
        let mut lost: BTreeMap<NodeAddr, u64> = BTreeMap::new();
        let mut previous = points.last().copied().unwrap_or_default();
        let alone = points.len() == 1;
        for point in points {
            let length = if alone { 1_u64 << u32::BITS } else { u64::from(point.wrapping_sub(previous)) };
            previous = point;
            let (before, after) = (self.owner_of(point), after.owner_of(point));
            if before == after {
                continue;
            }
            if let Some(before) = before {
                moved += length;
                *lost.entry(before).or_default() += length;
            }
            if let Some(after) = after {
                *gained.entry(after).or_default() += length;
            }
        }
        let shares = |lengths: BTreeMap<NodeAddr, u64>| {
            lengths.into_iter().map(|(node, length)| (node, share(length))).collect()
        };
        Shift { moved: share(moved), gained: shares(gained), lost: shares(lost) }
    }
}

/// The part that an arc is of the whole ring.
fn share(length: u64) -> f64 {
    length as f64 / 2_f64.powi(32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(last: &[u8]) -> Vec<NodeAddr> {
        last.iter().map(|last| format!("10.0.0.{last}:11211").parse().unwrap()).collect()
    }

    fn shift(before: &[u8], after: &[u8]) -> Shift {
        Ring::new(nodes(before)).shift_to(&Ring::new(nodes(after)))
    }

    fn lengths(shares: &BTreeMap<NodeAddr, f64>) -> Vec<(u8, u64)> {
        shares.iter().map(|(node, share)| (node.ip.octets()[3], length(*share))).collect()
    }

    /// A share as the length of its arcs; a `f64` holds it exactly.
    fn length(share: f64) -> u64 {
        (share * 2_f64.powi(32)) as u64
    }

    /// Owners of the keys `key:0` to `key:99999` that differ.
    fn counted(before: &[u8], after: &[u8]) -> usize {
        let (before, after) = (Ring::new(nodes(before)), Ring::new(nodes(after)));
        let keys = (0..100_000).map(|number| format!("key:{number}"));
        keys.filter(|key| before.owner(key.as_bytes()) != after.owner(key.as_bytes())).count()
    }

    // Lengths and counts come from an independent program: Python's hashlib and struct, every arc between two points of
    // either ring looked up in both, and 100,000 keys looked up one by one.
    #[test]
    fn what_moves_is_what_an_independent_computation_moves() {
        let joined = shift(&[1, 2, 10], &[1, 2, 10, 3]);
        assert_eq!(length(joined.moved), 1_059_867_877);
        assert_eq!(lengths(&joined.gained), [(3, 1_059_867_877)]);
        assert_eq!(lengths(&joined.lost), [(1, 422_611_430), (2, 203_894_251), (10, 433_362_196)]);

        let left = shift(&[1, 2, 10], &[1, 2]);
        assert_eq!(length(left.moved), 1_442_393_269);
        assert_eq!(lengths(&left.gained), [(1, 838_007_768), (2, 604_385_501)]);
        assert_eq!(lengths(&left.lost), [(10, 1_442_393_269)]);

        let grown = shift(&[1, 2, 3, 4, 5, 6], &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(length(grown.moved), 1_482_202_436);
        assert_eq!(lengths(&grown.gained), [(7, 491_295_056), (8, 537_184_075), (9, 453_723_305)]);
        let shrunk = shift(&[1, 2, 3, 4, 5, 6, 7, 8, 9], &[1, 2, 3, 4]);
        assert_eq!(length(shrunk.moved), 2_437_113_012);

        // A node of another address is another node: its keys go, and keys of the others come and go, too.
        let readdressed = shift(&[1, 2, 10], &[1, 2, 11]);
        assert_eq!(length(readdressed.moved), 2_055_089_530);
        assert_eq!(lengths(&readdressed.gained), [(1, 347_579_799), (2, 260_307_089), (11, 1_447_202_642)]);
        assert_eq!(lengths(&readdressed.lost), [(1, 380_479_804), (2, 232_216_457), (10, 1_442_393_269)]);
    }

    #[test]
    fn what_moves_is_what_keys_looked_up_one_by_one_move() {
        let cases: [(&[u8], &[u8], usize); 4] = [
            (&[1, 2, 10], &[1, 2, 10, 3], 24_654),
            (&[1, 2, 3, 4, 5, 6], &[1, 2, 3, 4, 5, 6, 7, 8, 9], 34_443),
            (&[1, 2, 3, 4, 5, 6, 7, 8, 9], &[1, 2, 3, 4], 56_717),
            (&[1, 2, 10], &[1, 2, 11], 47_980),
        ];
        for (before, after, count) in cases {
            assert_eq!(counted(before, after), count, "{before:?} {after:?}");
            let share = count as f64 / 100_000.0;
            assert!((shift(before, after).moved - share).abs() < 0.005, "{before:?} {after:?}");
        }
    }

    #[test]
    fn what_moves_is_what_points_all_over_the_ring_move() {
        let (before, after) = (Ring::new(nodes(&[1, 2, 3, 4, 5])), Ring::new(nodes(&[2, 3, 9])));
        let samples = 1_u64 << 20;
        let step = 1_u64 << 12;
        let moved = (0..samples).filter(|sample| {
            let hash = u32::try_from(sample * step).unwrap();
            before.owner_of(hash) != after.owner_of(hash)
        });
        let share = moved.count() as f64 / samples as f64;
        // Each of the 1280 ends of arcs may fall between two samples.
        assert!((before.shift_to(&after).moved - share).abs() < 1280.0 / samples as f64);
    }

    #[test]
    fn what_is_gained_is_lost_elsewhere_and_agrees_with_the_shares() {
        let (before, after) = (Ring::new(nodes(&[1, 2, 3, 4])), Ring::new(nodes(&[2, 3, 5, 6, 7])));
        let shift = before.shift_to(&after);
        let sum = |shares: &BTreeMap<NodeAddr, f64>| shares.values().sum::<f64>();
        assert!((sum(&shift.gained) - shift.moved).abs() < 1e-12);
        assert!((sum(&shift.lost) - shift.moved).abs() < 1e-12);
        for node in nodes(&[1, 2, 3, 4, 5, 6, 7]) {
            let of = |shares: &BTreeMap<NodeAddr, f64>| shares.get(&node).copied().unwrap_or_default();
            let difference = after.share(node) - before.share(node);
            assert!((of(&shift.gained) - of(&shift.lost) - difference).abs() < 1e-12, "{node}");
        }
    }

    #[test]
    fn the_same_nodes_move_nothing_and_all_others_move_everything() {
        assert_eq!(shift(&[1, 2, 3], &[3, 2, 1]), Shift::default());
        assert_eq!(length(shift(&[1, 2, 3], &[4, 5, 6]).moved), 1 << 32);
    }

    #[test]
    fn keys_that_nobody_has_are_not_moved_and_those_that_nobody_will_have_are_lost() {
        let first = shift(&[], &[1, 2]);
        assert_eq!((length(first.moved), first.lost.len(), first.gained.len()), (0, 0, 2));
        let last = shift(&[1, 2], &[]);
        assert_eq!((length(last.moved), last.lost.len(), last.gained.len()), (1 << 32, 2, 0));
        assert_eq!(shift(&[], &[]), Shift::default());
    }

    #[test]
    fn an_arc_may_be_the_whole_ring() {
        let lone = |last: u8| Ring { points: vec![(7, nodes(&[last])[0])] };
        assert_eq!(length(lone(1).shift_to(&lone(2)).moved), 1 << 32);
    }
}
