//! Opened rows: their bytes in memory, after their paths were followed to a root.

use session_claim::Pieces;

use crate::facts::Tensor;
use crate::fault::Fault;
use crate::layout::{FRESH, KEEP, KEPT, MAX_KEPT, ROOM};
use crate::leaves::Leaf;
use crate::transcript::read;
use crate::tree::{
    same, tagged, Climb, Sha, Words32, PADDING_WORDS, ROOT, TRACE_LEAF_TAG, TRACE_NODE_TAG,
    WEIGHTS_NODE_TAG, WEIGHTS_ROW_TAG,
};

/// Level of the top tree whose digests are remembered once they led to its root: a later path ends
/// there.
const CROWN_LEVEL: u32 = 5;
pub const CROWN: usize = 128;
/// Digests of that level that are known to lead to the root.
pub type Crown = [Option<Words32>; CROWN];

/// Words that stand before a leaf's bytes when it is hashed.
const LEAF_HEAD: usize = 3;
const WEIGHT_HEAD: usize = 2;

/// Where a row's bytes lie.
#[derive(Clone, Copy)]
pub struct Place {
    at: usize,
    words: usize,
}

impl Place {
    pub const NONE: Place = Place { at: 0, words: 0 };
}

/// A row that was kept.
pub type Kept = Option<(Leaf, Place)>;

/// Opens rows into one piece of memory: those of the cell at hand from the bottom, which the next
/// cell overwrites, and those that are kept from the top.
pub struct Rows<'a> {
    room: &'a mut [u32; ROOM],
    low: usize,
    high: usize,
    kept: &'a mut [Kept; MAX_KEPT],
    kept_count: usize,
    crown: &'a mut Crown,
    top: Words32,
    nodes: u32,
    weights_root: Words32,
    weight_rows: u32,
}

impl<'a> Rows<'a> {
    pub fn new(
        room: &'a mut [u32; ROOM],
        kept: &'a mut [Kept; MAX_KEPT],
        crown: &'a mut Crown,
        top: Words32,
        nodes: u32,
        weights_root: Words32,
        weight_rows: u32,
    ) -> Self {
        Self {
            room,
            low: 0,
            high: ROOM,
            kept,
            kept_count: 0,
            crown,
            top,
            nodes,
            weights_root,
            weight_rows,
        }
    }

    /// Forgets the rows of the cell before, but for kept ones.
    pub fn next_cell(&mut self) {
        self.low = 0;
    }

    pub fn words(&self, place: Place) -> &[u32] {
        &self.room[place.at..place.at + place.words]
    }

    /// The bytes of a leaf, read from the witness or kept before, as `slot` says.
    pub fn open<S: Sha, W: Pieces>(
        &mut self,
        sha: &mut S,
        witness: &mut W,
        slot: u32,
        leaf: &Leaf,
    ) -> Result<Place, Fault> {
        if slot >= KEPT {
            let number = (slot - KEPT) as usize;
            return match self.kept.get(number) {
                Some(Some((found, place))) if number < self.kept_count && found == leaf => {
                    Ok(*place)
                }
                _ => Err(Fault::Kept),
            };
        }
        if slot == KEEP && self.kept_count == MAX_KEPT {
            return Err(Fault::Room);
        }
        let mut in_tree = Climb::new(leaf.number, leaf.of);
        let mut in_nodes = Climb::new(leaf.node_index, self.nodes);
        let crown = (leaf.node_index >> CROWN_LEVEL) as usize;
        let known = self.crown.get(crown).is_some_and(Option::is_some);
        let in_node = 8 * in_tree.digests(ROOT);
        let in_top = 8 * in_nodes.digests(if known { CROWN_LEVEL } else { ROOT });
        let path = in_node + in_top;
        let words = (leaf.bytes as usize).div_ceil(4);
        let from = self.take(slot != FRESH, path + LEAF_HEAD + words + PADDING_WORDS)?;
        read(witness, &mut self.room[from..][..path + LEAF_HEAD + words])?;
        let (paths, message) = self.room[from..].split_at_mut(path);
        message[0] = leaf.node_index;
        message[1] = leaf.position;
        message[2] = leaf.piece;
        let bytes = 4 * LEAF_HEAD + leaf.bytes as usize;
        let mut digest = tagged(sha, &TRACE_LEAF_TAG, message, bytes);
        let (in_node, in_top) = paths.split_at(in_node);
        in_tree.to(sha, &TRACE_NODE_TAG, &mut digest, in_node, ROOT)?;
        let (below, above) = in_top.split_at(8 * in_nodes.digests(CROWN_LEVEL));
        in_nodes.to(sha, &TRACE_NODE_TAG, &mut digest, below, CROWN_LEVEL)?;
        let reached = digest;
        let expected = match self.crown.get(crown) {
            Some(Some(known)) => known,
            _ => {
                in_nodes.to(sha, &TRACE_NODE_TAG, &mut digest, above, ROOT)?;
                &self.top
            }
        };
        if !same(&digest, expected) {
            return Err(Fault::Opening);
        }
        if let Some(known) = self.crown.get_mut(crown) {
            *known = Some(reached);
        }
        let place = Place { at: from + path + LEAF_HEAD, words };
        if slot == KEEP {
            self.kept[self.kept_count] = Some((*leaf, place));
            self.kept_count += 1;
        }
        Ok(place)
    }

    /// A row of a tensor of `bytes` bytes, read from the witness.
    pub fn weight<S: Sha, W: Pieces>(
        &mut self,
        sha: &mut S,
        witness: &mut W,
        tensor: &Tensor,
        row: u32,
        bytes: usize,
    ) -> Result<Place, Fault> {
        let number = tensor.first_row.checked_add(row).ok_or(Fault::Model)?;
        if number >= self.weight_rows {
            return Err(Fault::Model);
        }
        let mut climb = Climb::new(number, self.weight_rows);
        let path = 8 * climb.digests(ROOT);
        let words = bytes.div_ceil(4);
        let from = self.take(false, path + WEIGHT_HEAD + words + PADDING_WORDS)?;
        read(witness, &mut self.room[from..][..path + WEIGHT_HEAD + words])?;
        let (path_words, message) = self.room[from..].split_at_mut(path);
        message[0] = tensor.index;
        message[1] = row;
        let mut digest = tagged(sha, &WEIGHTS_ROW_TAG, message, 4 * WEIGHT_HEAD + bytes);
        climb.to(sha, &WEIGHTS_NODE_TAG, &mut digest, path_words, ROOT)?;
        if !same(&digest, &self.weights_root) {
            return Err(Fault::Weights);
        }
        Ok(Place { at: from + path + WEIGHT_HEAD, words })
    }

    fn take(&mut self, keep: bool, words: usize) -> Result<usize, Fault> {
        if words > self.high - self.low {
            return Err(Fault::Room);
        }
        if keep {
            self.high -= words;
            Ok(self.high)
        } else {
            self.low += words;
            Ok(self.low - words)
        }
    }
}
