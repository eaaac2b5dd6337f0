//! Which cells are opened: drawn from trace root, state and beacon (docs/trace.md, "Challenge").

use crate::facts::Facts;
use crate::leaves::{is_causal, layers, width};
use crate::tree::{bit_length, Sha, Words32, TRACE_DRAW_TAG};

/// One element of one node at one position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    pub kind: u32,
    pub layer: u32,
    pub position: u32,
    /// Place in the row; of attention the head, of the V cache the channel.
    pub element: u32,
    /// Of attention rows, the position that the head looks at; else 0.
    pub key: u32,
}

/// All cells of a kind at consecutive positions, numbered by layer, position, element and key.
#[derive(Clone, Copy)]
pub struct Population {
    pub kind: u32,
    pub layers: u32,
    pub elements: u32,
    pub first: u32,
    pub count: u32,
}

impl Population {
    pub fn of(facts: &Facts, kind: u32, first: u32, count: u32) -> Self {
        Self { kind, layers: layers(facts, kind), elements: width(facts, kind), first, count }
    }

    pub fn size(&self) -> u64 {
        u64::from(self.layers) * self.layer_cells()
    }

    fn layer_cells(&self) -> u64 {
        let rows = if is_causal(self.kind) {
            triangle(self.first + self.count) - triangle(self.first)
        } else {
            self.count.into()
        };
        u64::from(self.elements) * rows
    }

    /// The cell of that number, which is below the size.
    pub fn cell(&self, number: u64) -> Cell {
        let (kind, cells) = (self.kind, self.layer_cells());
        let layer = (number / cells) as u32;
        let left = number % cells;
        if !is_causal(kind) {
            // A layer's cells fit a word, for the bounds of positions and rows.
            let (left, elements) = (left as u32, self.elements);
            let position = self.first + left / elements;
            return Cell { kind, layer, position, element: left % elements, key: 0 };
        }
        // Position p has p + 1 cells a head, so those before it are a triangular number.
        let elements = u64::from(self.elements);
        let left = left + elements * triangle(self.first);
        let (mut position, mut after) = (self.first, self.first + self.count);
        while after - position > 1 {
            let middle = position + (after - position) / 2;
            if elements * triangle(middle) <= left {
                position = middle;
            } else {
                after = middle;
            }
        }
        let left = (left - elements * triangle(position)) as u32;
        let keys = position + 1;
        Cell { kind, layer, position, element: left / keys, key: left % keys }
    }
}

fn triangle(count: u32) -> u64 {
    u64::from(count) * (u64::from(count) + 1) / 2
}

/// Draw `number` of a kind: a number below `size`, every one as likely.
pub fn draw<S: Sha>(sha: &mut S, seed: &Words32, kind: u32, number: u32, size: u64) -> u64 {
    let over = (u64::MAX % size + 1) % size;
    let mut block = [0; 16];
    block[..8].copy_from_slice(seed);
    block[8] = kind;
    block[9] = number;
    block[11] = 0x80;
    block[15] = bit_length(64 + 44);
    loop {
        let mut digest = [0; 8];
        sha.start(&mut digest, &TRACE_DRAW_TAG, &block);
        let drawn = u64::from(digest[0]) | u64::from(digest[1]) << 32;
        if drawn <= u64::MAX - over {
            return drawn % size;
        }
        block[10] += 1;
    }
}
