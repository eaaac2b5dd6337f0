//! One element of a product with a quantised matrix: an activation row times a weight row.

use crate::block::{Bytes, WeightType};
use crate::half::take_half_apart;
use crate::lane::{tree_sum, Lane};
use crate::quantise::Quantiser;
use crate::single::add;
use crate::{large, normal, Refused};

const BLOCK: usize = 32;
type Values = [u32; BLOCK];

/// Row `x` of singles times the weight row `w`, as a single.
///
/// # Errors
/// For values that are no finite normal numbers, and for rows that do not go together.
pub fn weight_product(kind: WeightType, x: &[u32], w: &[u32]) -> Result<u32, Refused> {
    let bytes = kind.row_bytes(x.len()).ok_or(Refused::Shape)?;
    if w.len() != bytes.div_ceil(4) {
        return Err(Refused::Shape);
    }
    let total = match kind {
        WeightType::Q4_1 => q4_1(x, w)?,
        WeightType::Q8_0 => q8_0(x, w)?,
        WeightType::Q4_0 => q4_0(x, w)?,
        WeightType::Q4K => large::q4_k(x, w)?,
        WeightType::Q6K => large::q6_k(x, w)?,
    };
    normal(total)
}

/// The eight accumulators, and what a block adds to them.
struct Lanes([Lane; 8]);

impl Lanes {
    /// Adds `(d_w * d_x) * n_l` to each.
    #[inline(always)]
    fn add(&mut self, d_w: (i32, i32), d_x: (i32, i32), n: &[i32; 8]) {
        let (d, e) = (d_w.0 * d_x.0, d_w.1 + d_x.1);
        for (lane, n) in self.0.iter_mut().zip(n) {
            lane.add(i64::from(d) * i64::from(*n), e);
        }
    }
}

/// A block is five words: both halves, then nibbles; word i has the values of lanes i and i + 4.
fn q4_1(x: &[u32], w: &[u32]) -> Result<u32, Refused> {
    let mut lanes = Lanes([Lane::ZERO; 8]);
    let (mut chain, mut q) = (Lane::ZERO, [0; BLOCK]);
    for (x, w) in x.chunks_exact(BLOCK).zip(w.chunks_exact(5)) {
        let Ok(x): Result<&Values, _> = x.try_into() else { return Err(Refused::Shape) };
        let quantiser = Quantiser::of(x)?;
        let sum = quantiser.values(x, &mut q);
        let mut n = [0; 8];
        for word in 0..4 {
            let mut nibbles = w[1 + word];
            let (mut low, mut high) = (0, 0);
            for i in 0..4 {
                low += (nibbles & 15) as i32 * q[4 * word + i];
                high += (nibbles >> 4 & 15) as i32 * q[16 + 4 * word + i];
                nibbles >>= 8;
            }
            n[word] = low;
            n[4 + word] = high;
        }
        lanes.add(take_half_apart(w[0] & 0xffff)?, quantiser.scale()?, &n);
        let (m, s) = (take_half_apart(w[0] >> 16)?, quantiser.scaled_sum(sum)?);
        chain.add(i64::from(m.0 * s.0), m.1 + s.1);
    }
    Ok(add(tree_sum(&mut lanes.0), chain.bits()))
}

/// Two blocks are 17 words: of the first, integers begin in the middle of a word.
fn q8_0(x: &[u32], w: &[u32]) -> Result<u32, Refused> {
    let mut lanes = Lanes([Lane::ZERO; 8]);
    let mut q = [0; BLOCK];
    for (number, x) in x.chunks_exact(BLOCK).enumerate() {
        let Ok(x): Result<&Values, _> = x.try_into() else { return Err(Refused::Shape) };
        let quantiser = Quantiser::of(x)?;
        quantiser.values(x, &mut q);
        let (first, odd) = (number / 2 * 17, number % 2 == 1);
        let mut n = [0; 8];
        let d_w;
        if odd {
            let w = w.get(first + 8..first + 17).ok_or(Refused::Shape)?;
            d_w = w[0] >> 16;
            for (lane, n) in n.iter_mut().enumerate() {
                *n = four(&q[4 * lane..], w[1 + lane]);
            }
        } else {
            let w = w.get(first..first + 9).ok_or(Refused::Shape)?;
            d_w = w[0] & 0xffff;
            for (lane, n) in n.iter_mut().enumerate() {
                *n = four(&q[4 * lane..], w[lane] >> 16 | w[lane + 1] << 16);
            }
        }
        lanes.add(take_half_apart(d_w)?, quantiser.scale()?, &n);
    }
    Ok(tree_sum(&mut lanes.0))
}

/// Four integers times the four signed bytes of a word.
#[inline(always)]
fn four(q: &[i32], w: u32) -> i32 {
    (w as u8 as i8 as i32) * q[0]
        + ((w >> 8) as u8 as i8 as i32) * q[1]
        + ((w >> 16) as u8 as i8 as i32) * q[2]
        + ((w >> 24) as u8 as i8 as i32) * q[3]
}

fn q4_0(x: &[u32], w: &[u32]) -> Result<u32, Refused> {
    let mut lanes = Lanes([Lane::ZERO; 8]);
    for (number, x) in x.chunks_exact(BLOCK).enumerate() {
        let quantiser = Quantiser::of(x)?;
        let block = Bytes::new(w).at(18 * number);
        let mut n = [0; 8];
        for place in 0..16 {
            let nibbles = block.byte(2 + place) as i32;
            n[place / 4] += ((nibbles & 15) - 8) * quantiser.value(x[place]);
            n[4 + place / 4] += ((nibbles >> 4) - 8) * quantiser.value(x[16 + place]);
        }
        lanes.add(take_half_apart(block.half(0))?, quantiser.scale()?, &n);
    }
    Ok(tree_sum(&mut lanes.0))
}
