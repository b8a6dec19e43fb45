//! Choosing the old bytes that an operation is made from.

use super::anchors::Anchors;
use crate::limits::BLOCK;
use crate::op::Extent;

/// How many blocks around one that has something in common are drawn in: matches rarely end with their anchors.
const REACH: i64 = 2;

/// What an anchor is worth that only one block has; others divide it among their blocks.
const WEIGHT: u32 = 64;

/// What a block is worth for lying where the piece would, had the source only been shifted: more than a few anchors, as tables of
/// addresses change in every entry and have none.
const ALIGNED: u32 = 256;

/// What a block is worth for lying right before the piece, where nothing better does.
const NEAR: u32 = 1;

/// Blocks before and behind the shifted piece that count as a part of it.
const MARGIN: i64 = 4;

/// Gaps of so many blocks are filled, as reading on is cheaper than another extent.
const FILL: u32 = 2;

/// Blocks with what they are worth to one piece, in order.
#[derive(Debug)]
pub(super) struct Worth(Vec<(u32, u32)>);

impl Worth {
    /// What the blocks before `end` are worth to a piece of the target at this block. `shift` is how far the piece before has
    /// moved, and becomes how far this one has. The last `near` blocks are worth something in any case.
    pub fn of(anchors: &Anchors, bytes: &[u8], block: u32, end: u32, near: u32, shift: &mut i64) -> Self {
        let mut votes = Vec::new();
        let mut shifts = Vec::new();
        anchors.matches(bytes, end, |at, blocks| {
            let weight = WEIGHT / blocks.len() as u32;
            for found in blocks.iter().map(|anchor| *anchor as u32) {
                votes.push((found, weight));
                shifts.push((i64::from(found) - i64::from(block) - (at / BLOCK) as i64, weight));
            }
        });
        let before = *shift;
        *shift = most_worth(shifts).unwrap_or(before);
        for shift in [before, *shift] {
            let first = i64::from(block) + shift;
            let behind = first + bytes.len().div_ceil(BLOCK) as i64;
            votes.extend(
                (first - MARGIN..behind + MARGIN)
                    .filter_map(|block| Some((u32::try_from(block).ok()?, ALIGNED))),
            );
        }
        votes.extend((end.saturating_sub(near)..end).map(|block| (block, NEAR)));
        let around = votes.iter().flat_map(|(block, weight)| {
            (-REACH..=REACH).filter_map(move |step| {
                Some((u32::try_from(i64::from(*block) + step).ok()?, weight >> step.unsigned_abs()))
            })
        });
        let around = around.filter(|(block, _)| *block < end).collect();
        Self(sums(around))
    }

    /// The blocks that are worth most: at most so many, in at most so many extents.
    pub fn best(&self, most: u32, most_extents: usize) -> Vec<Extent> {
        let mut by_worth = self.0.clone();
        by_worth.sort_unstable_by_key(|(block, worth)| (u32::MAX - worth, *block));
        by_worth.truncate(most as usize);
        let mut left = most - by_worth.len() as u32;
        by_worth.sort_unstable();
        let mut extents: Vec<Extent> = Vec::new();
        for (block, _) in by_worth {
            match extents.last_mut() {
                Some(last) if block - (last.block + last.blocks) <= FILL.min(left) => {
                    left -= block - (last.block + last.blocks);
                    last.blocks = block + 1 - last.block;
                }
                _ => extents.push(Extent { block, blocks: 1 }),
            }
        }
        if extents.len() > most_extents {
            extents.sort_unstable_by_key(|extent| (u32::MAX - extent.blocks, extent.block));
            extents.truncate(most_extents);
            extents.sort_unstable_by_key(|extent| extent.block);
        }
        extents
    }
}

/// The shift that most of the votes agree on.
fn most_worth(shifts: Vec<(i64, u32)>) -> Option<i64> {
    sums(shifts).into_iter().rev().max_by_key(|(_, weight)| *weight).map(|(shift, _)| shift)
}

/// Each key once, in order, with the sum of its weights.
fn sums<K: Ord + Copy>(mut weights: Vec<(K, u32)>) -> Vec<(K, u32)> {
    weights.sort_unstable();
    weights
        .chunk_by(|a, b| a.0 == b.0)
        .map(|same| (same[0].0, same.iter().map(|(_, weight)| weight).sum()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_blocks_in_order_with_small_gaps_filled() {
        let worth = Worth(vec![(3, 9), (4, 9), (7, 9), (20, 1), (40, 5)]);
        let extents = |most, parts| {
            worth.best(most, parts).iter().map(|extent| (extent.block, extent.blocks)).collect::<Vec<_>>()
        };
        assert_eq!(extents(100, 9), [(3, 5), (20, 1), (40, 1)]);
        assert_eq!(extents(4, 9), [(3, 2), (7, 1), (40, 1)]);
        assert_eq!(extents(2, 9), [(3, 2)]);
        assert_eq!(extents(4, 2), [(3, 2), (7, 1)]);
    }
}
