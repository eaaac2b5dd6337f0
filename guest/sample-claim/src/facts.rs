//! What a claim says of the model besides the root of its weights: sizes, numbers of its header and
//! which tensor is which. `tagged_sha256("sample-model", facts)`; whoever has the file makes it anew.

use arithmetic::block::WeightType;
use arithmetic::rope::Style;

use crate::fault::Fault;
use crate::layout::{MAX_LAYERS, MAX_ROW, MAX_VOCABULARY};

/// Places in the words of the facts.
pub mod words {
    pub const LAYERS: usize = 0;
    pub const EMBEDDING: usize = 1;
    pub const HEADS: usize = 2;
    pub const KV_HEADS: usize = 3;
    pub const HEAD_SIZE: usize = 4;
    pub const FFN: usize = 5;
    pub const VOCABULARY: usize = 6;
    /// Bits of singles.
    pub const EPSILON: usize = 7;
    pub const ANGLE_SCALE: usize = 8;
    pub const ROPE_STYLE: usize = 9;
    pub const SCORE_SCALE: usize = 10;
    /// Rows of all tensors of the file.
    pub const WEIGHT_ROWS: usize = 11;
    /// Three words a tensor: its index in the file, its type, the number of its first row among all.
    pub const TENSORS: usize = 12;
    pub const TENSOR_WORDS: usize = 3;
    /// Embedding table, last norm, output matrix.
    pub const OUTSIDE: usize = 3;
    /// Attention norm, Q, K, V, attention output, FFN norm, gate, up, down.
    pub const OF_LAYER: usize = 9;

    pub const fn count(layers: usize) -> usize {
        TENSORS + TENSOR_WORDS * (OUTSIDE + OF_LAYER * layers)
    }
}

/// Words of the facts of the largest model.
pub const MAX_WORDS: usize = words::count(MAX_LAYERS as usize);

/// Tensors that are in no layer.
pub const TOKEN_TABLE: usize = 0;
pub const LAST_NORM: usize = 1;
pub const OUTPUT: usize = 2;
/// Tensors of a layer.
pub const ATTN_NORM: usize = 0;
pub const ATTN_OUT: usize = 4;
pub const FFN_NORM: usize = 5;
pub const FFN_DOWN: usize = 8;

const F32: u32 = 0;

/// A tensor of the file.
#[derive(Clone, Copy)]
pub struct Tensor {
    pub index: u32,
    /// Of a matrix; a norm has none.
    pub kind: Option<WeightType>,
    pub first_row: u32,
}

/// The facts of a model, their bounds checked.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    words: &'a [u32],
    pub layers: u32,
    pub embedding: u32,
    pub heads: u32,
    pub kv_heads: u32,
    pub head_size: u32,
    pub ffn: u32,
    pub vocabulary: u32,
    pub style: Style,
}

impl<'a> Facts<'a> {
    pub fn read(words: &'a [u32]) -> Result<Self, Fault> {
        let style = Style::of(words[words::ROPE_STYLE]).ok_or(Fault::Model)?;
        let facts = Self {
            words,
            layers: words[words::LAYERS],
            embedding: words[words::EMBEDDING],
            heads: words[words::HEADS],
            kv_heads: words[words::KV_HEADS],
            head_size: words[words::HEAD_SIZE],
            ffn: words[words::FFN],
            vocabulary: words[words::VOCABULARY],
            style,
        };
        let rows = [facts.embedding, facts.heads, facts.kv_heads, facts.head_size, facts.ffn];
        if rows.iter().any(|size| *size == 0 || *size > MAX_ROW)
            || facts.heads * facts.head_size > MAX_ROW
            || facts.heads % facts.kv_heads != 0
            || facts.layers == 0
            || facts.layers > MAX_LAYERS
            || facts.vocabulary == 0
            || facts.vocabulary > MAX_VOCABULARY
            || words.len() != words::count(facts.layers as usize)
        {
            return Err(Fault::Model);
        }
        Ok(facts)
    }

    pub fn epsilon(&self) -> u32 {
        self.words[words::EPSILON]
    }

    pub fn angle_scale(&self) -> u32 {
        self.words[words::ANGLE_SCALE]
    }

    pub fn score_scale(&self) -> u32 {
        self.words[words::SCORE_SCALE]
    }

    pub fn weight_rows(&self) -> u32 {
        self.words[words::WEIGHT_ROWS]
    }

    /// Heads that share one head of keys and values.
    pub fn heads_per_key(&self) -> u32 {
        self.heads / self.kv_heads
    }

    pub fn outside(&self, which: usize) -> Result<Tensor, Fault> {
        self.tensor(which)
    }

    pub fn of_layer(&self, layer: u32, which: usize) -> Result<Tensor, Fault> {
        self.tensor(words::OUTSIDE + words::OF_LAYER * layer as usize + which)
    }

    fn tensor(&self, number: usize) -> Result<Tensor, Fault> {
        let at = words::TENSORS + words::TENSOR_WORDS * number;
        let [index, kind, first_row] = self.words[at..at + 3] else { return Err(Fault::Model) };
        let kind = match kind {
            F32 => None,
            other => Some(WeightType::of(other).ok_or(Fault::Model)?),
        };
        Ok(Tensor { index, kind, first_row })
    }
}
