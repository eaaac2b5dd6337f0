//! The places of a trace: which leaf holds which value (docs/trace.md, "Layout").

use crate::facts::Facts;
use crate::fault::Fault;

/// A node of the graph, and the kind of cells that its values are; numbered as in docs/trace.md.
pub mod node {
    pub const EMBEDDING: u32 = 0;
    pub const ATTN_NORM: u32 = 1;
    pub const Q: u32 = 2;
    pub const K: u32 = 3;
    pub const V: u32 = 4;
    pub const Q_ROPE: u32 = 5;
    pub const K_ROPE: u32 = 6;
    pub const V_CACHE: u32 = 7;
    pub const KQ: u32 = 8;
    pub const SOFTMAX: u32 = 9;
    pub const KQV: u32 = 10;
    pub const ATTN_OUT: u32 = 11;
    pub const FFN_INPUT: u32 = 12;
    pub const FFN_NORM: u32 = 13;
    pub const FFN_GATE: u32 = 14;
    pub const FFN_UP: u32 = 15;
    pub const FFN_SWIGLU: u32 = 16;
    pub const FFN_OUT: u32 = 17;
    pub const LAYER_OUT: u32 = 18;
    pub const RESULT_NORM: u32 = 19;
    pub const LOGITS: u32 = 20;
}

use node::*;

const LAYER_NODES: u32 = 18;
const PIECE_VALUES: u32 = 512;

pub const fn is_causal(node: u32) -> bool {
    matches!(node, KQ | SOFTMAX)
}

const fn in_layers(node: u32) -> bool {
    !matches!(node, EMBEDDING | RESULT_NORM | LOGITS)
}

/// Layers that have such a node; 1 where it is in none.
pub fn layers(facts: &Facts, node: u32) -> u32 {
    if in_layers(node) {
        facts.layers
    } else {
        1
    }
}

/// Values of a row; heads of an attention row; channels of the V cache.
pub fn width(facts: &Facts, node: u32) -> u32 {
    match node {
        KQ | SOFTMAX => facts.heads,
        Q | Q_ROPE | KQV => facts.heads * facts.head_size,
        K | V | K_ROPE | V_CACHE => facts.kv_heads * facts.head_size,
        FFN_GATE | FFN_UP | FFN_SWIGLU => facts.ffn,
        LOGITS => facts.vocabulary,
        _ => facts.embedding,
    }
}

/// Values of a piece of a row that is not causal.
pub fn piece_values(facts: &Facts, node: u32) -> u32 {
    match node {
        Q | K | V => facts.head_size * (PIECE_VALUES / facts.head_size).max(1),
        Q_ROPE | K_ROPE => facts.head_size,
        ATTN_OUT | FFN_GATE | FFN_UP | FFN_OUT | LOGITS => PIECE_VALUES,
        _ => width(facts, node),
    }
}

/// Nodes of a trace.
pub fn nodes(facts: &Facts) -> u32 {
    3 + LAYER_NODES * facts.layers
}

/// One leaf of a trace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    pub node_index: u32,
    pub position: u32,
    pub piece: u32,
    /// Its place in the node's tree, and how many leaves that has.
    pub number: u32,
    pub of: u32,
    pub bytes: u32,
}

impl Leaf {
    /// The leaf that holds `element` of a row that is not causal; of the V cache, the channel.
    pub fn holding(
        facts: &Facts,
        positions: u32,
        node: u32,
        layer: u32,
        position: u32,
        element: u32,
    ) -> Self {
        let size = piece_values(facts, node);
        Self::piece(facts, positions, node, layer, position, element / size)
    }

    /// A whole row that is one leaf.
    pub fn row(facts: &Facts, positions: u32, node: u32, layer: u32, position: u32) -> Self {
        Self::piece(facts, positions, node, layer, position, 0)
    }

    /// A head of an attention row or of rotated rows; a channel of the V cache, with position 0.
    pub fn piece(
        facts: &Facts,
        positions: u32,
        node: u32,
        layer: u32,
        position: u32,
        piece: u32,
    ) -> Self {
        let width = width(facts, node);
        let (pieces, rows, bytes) = if node == V_CACHE {
            (width, 1, 2 * positions)
        } else if is_causal(node) {
            (width, positions, 4 * (position + 1))
        } else {
            let size = piece_values(facts, node);
            let left = width - piece * size;
            (width.div_ceil(size), positions, 4 * size.min(left))
        };
        let node_index = match node {
            EMBEDDING => 0,
            RESULT_NORM => nodes(facts) - 2,
            LOGITS => nodes(facts) - 1,
            _ => LAYER_NODES * layer + node,
        };
        Self {
            node_index,
            position,
            piece,
            number: position * pieces + piece,
            of: rows * pieces,
            bytes,
        }
    }
}

/// Whether the sizes fit the arithmetic: whole vectors of `lanes` in what has no other way.
pub fn require_lanes(facts: &Facts, lanes: u32) -> Result<(), Fault> {
    if facts.head_size % lanes != 0 || facts.ffn % lanes != 0 {
        return Err(Fault::Model);
    }
    Ok(())
}
