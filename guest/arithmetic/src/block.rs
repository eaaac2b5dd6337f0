//! Rows of weights as they lie in a GGUF file, read as little-endian words.

/// Tensor types with reference arithmetic, numbered as in GGUF files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightType {
    Q4_0,
    Q4_1,
    Q8_0,
    Q4K,
    Q6K,
}

impl WeightType {
    pub const fn of(number: u32) -> Option<Self> {
        Some(match number {
            2 => WeightType::Q4_0,
            3 => WeightType::Q4_1,
            8 => WeightType::Q8_0,
            12 => WeightType::Q4K,
            14 => WeightType::Q6K,
            _ => return None,
        })
    }

    pub const fn block_values(self) -> usize {
        match self {
            WeightType::Q4K | WeightType::Q6K => 256,
            _ => 32,
        }
    }

    pub const fn block_bytes(self) -> usize {
        match self {
            WeightType::Q4_0 => 18,
            WeightType::Q4_1 => 20,
            WeightType::Q8_0 => 34,
            WeightType::Q4K => 144,
            WeightType::Q6K => 210,
        }
    }

    /// Bytes of a row of `values`, if they fill whole blocks.
    pub const fn row_bytes(self, values: usize) -> Option<usize> {
        if values == 0 || values % self.block_values() != 0 {
            return None;
        }
        Some(values / self.block_values() * self.block_bytes())
    }
}

/// A byte string in words, from a byte on.
#[derive(Clone, Copy)]
pub struct Bytes<'a> {
    words: &'a [u32],
    from: usize,
}

impl<'a> Bytes<'a> {
    pub fn new(words: &'a [u32]) -> Self {
        Self { words, from: 0 }
    }

    pub fn at(self, from: usize) -> Self {
        Self { from: self.from + from, ..self }
    }

    #[inline(always)]
    pub fn byte(self, place: usize) -> u32 {
        let at = self.from + place;
        self.words[at / 4] >> (at % 4 * 8) & 255
    }

    pub fn signed(self, place: usize) -> i32 {
        self.byte(place) as u8 as i8 as i32
    }

    pub fn half(self, place: usize) -> u32 {
        self.byte(place) | self.byte(place + 1) << 8
    }
}
