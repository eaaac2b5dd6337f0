//! The reference arithmetic (docs/arithmetic.md), to the bit, for a machine without floating point.
//!
//! A single is its 32 bits. [`single`] has its operations, [`lane`] the accumulators of products,
//! [`product`] the weight products, [`attention`], [`glue`], [`rope`] and [`exponential`] the rest.
//! `platformless/protocol/arithmetic` computes the same with numpy; both are held against
//! `tests/vectors/arithmetic-cells.json`.

#![no_std]
#![forbid(unsafe_code)]

pub mod attention;
pub mod block;
pub mod exponential;
pub mod glue;
pub mod half;
pub mod lane;
pub mod large;
pub mod product;
pub mod quantise;
pub mod rope;
pub mod single;

/// Why a cell cannot be recomputed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// An infinity or a NaN among opened or computed values.
    NotFinite,
    /// A denormal single among opened or computed values.
    Denormal,
    /// Opened values of a length that the operation does not have.
    Shape,
}

/// Which of the two arithmetics: they differ in attention and in the exponential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    Avx2,
    Avx512,
}

impl Reference {
    pub const fn name(self) -> &'static str {
        match self {
            Reference::Avx2 => "ggml-x86-avx2-1",
            Reference::Avx512 => "ggml-x86-avx512-1",
        }
    }

    /// Singles that are kept side by side in products of halves and in the softmax's sum.
    pub const fn lanes(self) -> usize {
        match self {
            Reference::Avx2 => 8,
            Reference::Avx512 => 16,
        }
    }
}

/// `bits`, if they are zero or a normal single.
#[inline(always)]
pub fn normal(bits: u32) -> Result<u32, Refused> {
    let size = bits << 1;
    if size >= 0xff00_0000 {
        return Err(Refused::NotFinite);
    }
    if size.wrapping_sub(1) < 0x00ff_ffff {
        return Err(Refused::Denormal);
    }
    Ok(bits)
}
