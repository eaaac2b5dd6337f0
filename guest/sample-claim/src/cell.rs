//! A cell recomputed from the rows that are opened for it.

use arithmetic::block::WeightType;
use arithmetic::{attention, exponential, glue, product, rope, Reference};
use session_claim::Pieces;

use crate::challenge::Cell;
use crate::facts::{self, Facts, Tensor};
use crate::fault::Fault;
use crate::layout::SLOTS;
use crate::leaves::{node::*, piece_values, Leaf};
use crate::rows::{Place, Rows};
use crate::tree::Sha;

/// How a kind of cells is recomputed, numbered as in docs/arithmetic.md.
pub const fn operation(kind: u32) -> u32 {
    match kind {
        EMBEDDING => 1,
        ATTN_NORM | FFN_NORM | RESULT_NORM => 2,
        FFN_INPUT | LAYER_OUT => 3,
        Q | K | V | ATTN_OUT | FFN_GATE | FFN_UP | FFN_OUT | LOGITS => 4,
        Q_ROPE | K_ROPE => 5,
        KQ => 6,
        SOFTMAX => 7,
        KQV => 8,
        FFN_SWIGLU => 9,
        _ => 10,
    }
}

/// The bound of a kind, in units of 2^-24 of what the operation measures by; 0: to the bit.
pub const fn tolerance(kind: u32) -> u32 {
    match kind {
        Q_ROPE | K_ROPE => rope::TOLERANCE,
        _ => 0,
    }
}

/// What all cells of a claim share.
pub struct Model<'a> {
    pub facts: Facts<'a>,
    pub reference: Reference,
    pub tokens: &'a [u32],
}

/// One cell while its rows are opened: which come next, and what they are.
struct Opened<'a, 'r, S, W> {
    model: &'a Model<'a>,
    rows: &'a mut Rows<'r>,
    sha: &'a mut S,
    witness: &'a mut W,
    slots: [u32; SLOTS],
    used: usize,
    cell: Cell,
}

/// Opens the rows of `cell` and recomputes it.
pub fn check<S: Sha, W: Pieces>(
    model: &Model,
    rows: &mut Rows,
    sha: &mut S,
    witness: &mut W,
    slots: [u32; SLOTS],
    cell: Cell,
) -> Result<(), Fault> {
    rows.next_cell();
    let mut opened = Opened { model, rows, sha, witness, slots, used: 0, cell };
    if opened.holds()? {
        Ok(())
    } else {
        Err(Fault::Cell)
    }
}

impl<S: Sha, W: Pieces> Opened<'_, '_, S, W> {
    fn holds(&mut self) -> Result<bool, Fault> {
        let Cell { kind, layer, position, element, .. } = self.cell;
        match kind {
            EMBEDDING => self.embedding(),
            ATTN_NORM => {
                let weight = self.model.facts.of_layer(layer, facts::ATTN_NORM)?;
                self.norm(|one| one.stream(), weight)
            }
            FFN_NORM => {
                let weight = self.model.facts.of_layer(layer, facts::FFN_NORM)?;
                self.norm(|one| one.row(FFN_INPUT, layer), weight)
            }
            RESULT_NORM => {
                let weight = self.model.facts.outside(facts::LAST_NORM)?;
                let last = self.model.facts.layers - 1;
                self.norm(|one| one.row(LAYER_OUT, last), weight)
            }
            Q | K | V => self.product(ATTN_NORM, (kind - Q) as usize + 1),
            ATTN_OUT => self.product(KQV, facts::ATTN_OUT),
            FFN_GATE | FFN_UP => self.product(FFN_NORM, (kind - FFN_GATE) as usize + 6),
            FFN_OUT => self.product(FFN_SWIGLU, facts::FFN_DOWN),
            LOGITS => self.product(RESULT_NORM, 0),
            Q_ROPE => self.rotation(Q),
            K_ROPE => self.rotation(K),
            V_CACHE => {
                let channel = self.leaf(V_CACHE, 0, element)?;
                let value = self.element(V, position, element)?;
                let half = self.half(channel, position);
                Ok(half == glue::cached(value)?)
            }
            KQ => self.key_product(),
            SOFTMAX => self.softmax(),
            KQV => self.value_product(),
            FFN_INPUT => {
                let expected = self.element(FFN_INPUT, position, element)?;
                let added = self.element(ATTN_OUT, position, element)?;
                let stream = self.stream()?;
                let stream = self.rows.words(stream)[element as usize];
                Ok(glue::residual(stream, added)? == expected)
            }
            LAYER_OUT => {
                let expected = self.element(LAYER_OUT, position, element)?;
                let added = self.element(FFN_OUT, position, element)?;
                let stream = self.element(FFN_INPUT, position, element)?;
                Ok(glue::residual(stream, added)? == expected)
            }
            FFN_SWIGLU => {
                let expected = self.element(FFN_SWIGLU, position, element)?;
                let gate = self.element(FFN_GATE, position, element)?;
                let up = self.element(FFN_UP, position, element)?;
                Ok(exponential::gated(self.model.reference, gate, up)? == expected)
            }
            _ => Err(Fault::Plan),
        }
    }

    fn positions(&self) -> u32 {
        self.model.tokens.len() as u32
    }

    fn open(&mut self, leaf: Leaf) -> Result<Place, Fault> {
        let slot = self.slots[self.used];
        self.used += 1;
        self.rows.open(self.sha, self.witness, slot, &leaf)
    }

    /// A piece of a row of this layer.
    fn leaf(&mut self, node: u32, position: u32, piece: u32) -> Result<Place, Fault> {
        let (facts, positions) = (&self.model.facts, self.positions());
        self.open(Leaf::piece(facts, positions, node, self.cell.layer, position, piece))
    }

    /// A row of one leaf.
    fn row(&mut self, node: u32, layer: u32) -> Result<Place, Fault> {
        let (facts, positions) = (&self.model.facts, self.positions());
        self.open(Leaf::row(facts, positions, node, layer, self.cell.position))
    }

    /// The residual stream before the layer.
    fn stream(&mut self) -> Result<Place, Fault> {
        match self.cell.layer {
            0 => self.row(EMBEDDING, 0),
            layer => self.row(LAYER_OUT, layer - 1),
        }
    }

    /// One value of a row of this layer.
    fn element(&mut self, node: u32, position: u32, element: u32) -> Result<u32, Fault> {
        let (facts, positions) = (&self.model.facts, self.positions());
        let size = piece_values(facts, node);
        let leaf = Leaf::holding(facts, positions, node, self.cell.layer, position, element);
        let place = self.open(leaf)?;
        Ok(self.rows.words(place)[(element % size) as usize])
    }

    fn half(&self, channel: Place, position: u32) -> u32 {
        self.rows.words(channel)[position as usize / 2] >> (position % 2 * 16) & 0xffff
    }

    fn embedding(&mut self) -> Result<bool, Fault> {
        let Cell { position, element, .. } = self.cell;
        let expected = self.element(EMBEDDING, position, element)?;
        let token = self.model.tokens[position as usize];
        if token >= self.model.facts.vocabulary {
            return Err(Fault::Model);
        }
        let table = self.model.facts.outside(facts::TOKEN_TABLE)?;
        let values = self.model.facts.embedding as usize;
        let (kind, row) = self.matrix_row(table, token, values)?;
        Ok(glue::embedding(kind, self.rows.words(row), element as usize)? == expected)
    }

    fn norm(
        &mut self,
        input: impl FnOnce(&mut Self) -> Result<Place, Fault>,
        weight: Tensor,
    ) -> Result<bool, Fault> {
        let Cell { kind, position, element, .. } = self.cell;
        let expected = self.element(kind, position, element)?;
        let input = input(self)?;
        if weight.kind.is_some() {
            return Err(Fault::Model);
        }
        let bytes = 4 * self.model.facts.embedding as usize;
        let weight = self.rows.weight(self.sha, self.witness, &weight, 0, bytes)?;
        let element = element as usize;
        let weight = self.rows.words(weight)[element];
        let epsilon = self.model.facts.epsilon();
        Ok(glue::norm(self.rows.words(input), element, weight, epsilon)? == expected)
    }

    /// `which`: the matrix, of a layer, or 0 for the output matrix.
    fn product(&mut self, input: u32, which: usize) -> Result<bool, Fault> {
        let Cell { kind, layer, position, element, .. } = self.cell;
        let expected = self.element(kind, position, element)?;
        let input = self.row(input, layer)?;
        let facts = &self.model.facts;
        let matrix = if kind == LOGITS {
            facts.outside(facts::OUTPUT)?
        } else {
            facts.of_layer(layer, which)?
        };
        let values = self.rows.words(input).len();
        let (weights, row) = self.matrix_row(matrix, element, values)?;
        let found = product::weight_product(weights, self.rows.words(input), self.rows.words(row))?;
        Ok(found == expected)
    }

    fn matrix_row(
        &mut self,
        matrix: Tensor,
        row: u32,
        values: usize,
    ) -> Result<(WeightType, Place), Fault> {
        let kind = matrix.kind.ok_or(Fault::Model)?;
        let bytes = kind.row_bytes(values).ok_or(Fault::Model)?;
        Ok((kind, self.rows.weight(self.sha, self.witness, &matrix, row, bytes)?))
    }

    fn rotation(&mut self, from: u32) -> Result<bool, Fault> {
        let Cell { kind, layer, position, element, .. } = self.cell;
        let facts = &self.model.facts;
        let size = facts.head_size;
        let within = element % piece_values(facts, from) / size * size;
        let source = Leaf::holding(facts, self.positions(), from, layer, position, element);
        let rotated = self.leaf(kind, position, element / size)?;
        let head = self.open(source)?;
        let head = &self.rows.words(head)[within as usize..][..size as usize];
        Ok(rope::is_rotated(
            facts.style,
            facts.angle_scale(),
            position,
            head,
            self.rows.words(rotated),
            (element % size) as usize,
        )?)
    }

    fn key_product(&mut self) -> Result<bool, Fault> {
        let Cell { position, element: head, key, .. } = self.cell;
        let shared = head / self.model.facts.heads_per_key();
        let scores = self.leaf(KQ, position, head)?;
        let query = self.leaf(Q_ROPE, position, head)?;
        let keys = self.leaf(K_ROPE, key, shared)?;
        let (query, keys) = (self.rows.words(query), self.rows.words(keys));
        let found = attention::key_product(self.model.reference, query, keys)?;
        Ok(found == self.rows.words(scores)[key as usize])
    }

    fn softmax(&mut self) -> Result<bool, Fault> {
        let Cell { position, element: head, key, .. } = self.cell;
        let weights = self.leaf(SOFTMAX, position, head)?;
        let scores = self.leaf(KQ, position, head)?;
        let scale = self.model.facts.score_scale();
        let (reference, key) = (self.model.reference, key as usize);
        let found = attention::softmax(reference, self.rows.words(scores), key, scale)?;
        Ok(found == self.rows.words(weights)[key])
    }

    fn value_product(&mut self) -> Result<bool, Fault> {
        let Cell { position, element, .. } = self.cell;
        let facts = &self.model.facts;
        let (head, place) = (element / facts.head_size, element % facts.head_size);
        let channel = head / facts.heads_per_key() * facts.head_size + place;
        let expected = self.element(KQV, position, element)?;
        let weights = self.leaf(SOFTMAX, position, head)?;
        let values = self.leaf(V_CACHE, 0, channel)?;
        let (weights, values) = (self.rows.words(weights), self.rows.words(values));
        Ok(attention::value_product(self.model.reference, weights, values)? == expected)
    }
}
