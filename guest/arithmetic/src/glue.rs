//! What lies between the products: embedding, norm, residual sum, cache.

use crate::block::{Bytes, WeightType};
use crate::half::{take_half_apart, to_half};
use crate::single::{add, divide, multiply, pack, shift_jam, shift_round, square_root, take_apart};
use crate::single::{bit_length_64, INFINITY, ONE, SIGN};
use crate::{normal, Refused};

/// A double to which singles that are not negative are added, rounded each time.
pub struct DoubleSum {
    /// 53 bits, or zero; worth `m * 2^e`.
    m: u64,
    e: i32,
}

impl DoubleSum {
    pub const ZERO: DoubleSum = DoubleSum { m: 0, e: 0 };

    #[inline(always)]
    pub fn add(&mut self, bits: u32) {
        let (m, e) = take_apart(bits);
        self.add_parts(m, e);
    }

    #[inline(always)]
    fn add_parts(&mut self, m: u32, e: i32) {
        let d = e - self.e;
        if (d as u32) < 30 && self.m != 0 {
            self.m += u64::from(m) << d;
            if self.m >> 53 != 0 {
                self.m = shift_round(self.m, 1);
                self.e += 1;
            }
        } else {
            self.far(m, e);
        }
    }

    /// A single below or above the sum's bits.
    #[inline(never)]
    fn far(&mut self, m: u32, e: i32) {
        if m == 0 {
            return;
        }
        let (a, e_a) = (u64::from(m) << 38, e - 38);
        let (b, e_b) = (self.m << 9, self.e - 9);
        let top = if b == 0 { e_a } else { e_a.max(e_b) };
        let sum = shift_jam(a, (top - e_a) as u32)
            + if b == 0 { 0 } else { shift_jam(b, (top - e_b) as u32) };
        let shift = bit_length_64(sum) - 53;
        self.m = shift_round(sum, shift);
        self.e = top + shift as i32;
        if self.m >> 53 != 0 {
            self.m >>= 1;
            self.e += 1;
        }
    }

    pub fn value(&self) -> f64 {
        if self.m == 0 {
            return 0.0;
        }
        f64::from_bits((((self.e + 1075) as u64) << 52) + (self.m - (1 << 52)))
    }
}

/// Exponent fields of 2^-60 and 2^64: between them a square is a normal single.
const LOWEST_SQUARED: i32 = 67;
const HIGHEST_SQUARED: i32 = 191;

/// A single times itself, taken apart.
#[inline(always)]
fn square(bits: u32) -> Result<(u32, i32), Refused> {
    let m = bits & 0x007f_ffff | 0x0080_0000;
    let exponent = (bits >> 23 & 255) as i32;
    if (exponent - LOWEST_SQUARED) as u32 >= (HIGHEST_SQUARED - LOWEST_SQUARED) as u32 {
        return square_at_the_ends(bits);
    }
    let product = u64::from(m) * u64::from(m);
    let by = 23 + (product >> 47) as u32;
    Ok((shift_round_short(product, by), 2 * (exponent - 150) + by as i32))
}

#[cold]
#[inline(never)]
fn square_at_the_ends(bits: u32) -> Result<(u32, i32), Refused> {
    match multiply(bits, bits) {
        INFINITY => Err(Refused::NotFinite),
        square => Ok(take_apart(square)),
    }
}

/// `shift_round` by less than 32.
#[inline(always)]
fn shift_round_short(m: u64, by: u32) -> u32 {
    let (high, low) = ((m >> 32) as u32, m as u32);
    let kept = low >> by | high << (32 - by);
    let (_, up) = (low << (32 - by)).overflowing_add(0x7fff_ffff + (kept & 1));
    kept + up as u32
}

/// Element `place` of the norm of a row times its weight.
pub fn norm(row: &[u32], place: usize, weight: u32, epsilon: u32) -> Result<u32, Refused> {
    let x = *row.get(place).ok_or(Refused::Shape)?;
    let mut total = DoubleSum::ZERO;
    for bits in row {
        let (m, e) = square(normal(*bits)?)?;
        total.add_parts(m, e);
    }
    let mean = (total.value() / row.len() as f64) as f32;
    if mean.is_infinite() {
        return Err(Refused::NotFinite);
    }
    let root = square_root(add(mean.to_bits(), epsilon));
    if root == 0 {
        return Err(Refused::NotFinite);
    }
    let scale = normal(divide(ONE, root))?;
    normal(multiply(multiply(x, scale), normal(weight)?))
}

pub fn residual(a: u32, b: u32) -> Result<u32, Refused> {
    normal(add(normal(a)?, normal(b)?))
}

/// A value as the cache holds it.
pub fn cached(value: u32) -> Result<u32, Refused> {
    to_half(normal(value)?)
}

/// Element `place` of a row of the embedding table.
pub fn embedding(kind: WeightType, w: &[u32], place: usize) -> Result<u32, Refused> {
    let block = Bytes::new(w).at(place / kind.block_values() * kind.block_bytes());
    let i = place % kind.block_values();
    let nibble = |from: usize, i: usize| (block.byte(from + i % 16) >> (i / 16 * 4) & 15) as i32;
    let bits = match kind {
        WeightType::Q4_0 => scaled(block.half(0), nibble(2, i) - 8, None)?,
        WeightType::Q4_1 => scaled(block.half(0), nibble(4, i), Some((block.half(2), 1)))?,
        WeightType::Q8_0 => scaled(block.half(0), block.signed(2 + i), None)?,
        WeightType::Q4K => {
            let b = |i: usize| block.byte(4 + i) as i32;
            let run = i / 32;
            let (scale, minimum) = if run < 4 {
                (b(run) & 63, b(run + 4) & 63)
            } else {
                (b(run + 4) & 15 | (b(run - 4) >> 6) << 4, b(run + 4) >> 4 | (b(run) >> 6) << 4)
            };
            let q = block.byte(16 + run / 2 * 32 + i % 32) as i32 >> (4 * (run & 1)) & 15;
            scaled(block.half(0), scale * q, Some((block.half(2) ^ 0x8000, minimum)))?
        }
        WeightType::Q6K => {
            let (h, k, l) = (i / 128, i / 32 % 4, i % 32);
            let low = block.byte(64 * h + 32 * (k & 1) + l) >> (4 * (k >> 1)) & 15;
            let high = block.byte(128 + 32 * h + l) >> (2 * k) & 3;
            let (scale, q) = (block.signed(192 + i / 16), (low | high << 4) as i32 - 32);
            // The sign of a zero is that of the factors.
            let d = block.half(208) ^ if scale < 0 { 0x8000 } else { 0 };
            scaled(d, scale.abs() * q, None).map(|bits| match bits << 1 {
                0 => (d & 0x8000) << 16 ^ if q < 0 { SIGN } else { 0 },
                _ => bits,
            })?
        }
    };
    normal(bits)
}

/// `d * q`, plus a half times an integer that is not negative, rounded once.
fn scaled(d: u32, q: i32, plus: Option<(u32, i32)>) -> Result<u32, Refused> {
    let (m, e) = take_half_apart(d)?;
    let sign = (d & 0x8000) << 16 ^ if q < 0 { SIGN } else { 0 };
    // Exponents of halves lie between -24 and 5.
    let mut sum = i64::from(m * q) << (e + 24);
    let mut zero = sign;
    if let Some((half, times)) = plus {
        let (m, e) = take_half_apart(half)?;
        zero = if sum == 0 && m * times == 0 { sign & (half & 0x8000) << 16 } else { 0 };
        sum += i64::from(m * times) << (e + 24);
    }
    if sum == 0 {
        return Ok(zero);
    }
    Ok(pack(if sum < 0 { SIGN } else { 0 }, sum.unsigned_abs(), -24))
}
