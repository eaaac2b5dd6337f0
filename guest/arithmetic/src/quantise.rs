//! Activations as ggml quantises them: blocks of 32 for Q8_0 and Q8_1.

use crate::half::{take_half_apart, to_half};
use crate::lane::Lane;
use crate::single::{divide, multiply, take_apart, to_integer};
use crate::{normal, Refused};

const FULL: u32 = 0x42fe_0000; // 127

/// Turns the values of one block into integers.
#[derive(Clone, Copy)]
pub struct Quantiser {
    /// 127 / largest magnitude.
    inverse: u32,
    /// Its 24 bits, at the top of a word.
    m: u32,
    /// Bits of the upper word of a product that are behind the point, for an exponent of 0.
    point: u32,
    /// The scale D before it becomes a half.
    scale: u32,
}

/// Width, in both directions, of what is looked at twice: rounding a product to single moves it by
/// less than 2^16 of 2^32 units.
const NEAR: u32 = 1 << 17;
/// Above this exponent of the inverse the short way does not hold.
const LARGEST_EXPONENT: u32 = 240;

impl Quantiser {
    /// For a block of values, each of which is seen here to be zero or normal.
    #[inline(always)]
    pub fn of(block: &[u32]) -> Result<Self, Refused> {
        let largest = largest(block)?;
        Self::of_largest(largest)
    }

    /// The integers of a block, and their sum.
    #[inline(never)]
    pub fn values(self, block: &[u32], q: &mut [i32; 32]) -> i32 {
        let mut sum = 0;
        for (q, x) in q.iter_mut().zip(block) {
            *q = self.value(*x);
            sum += *q;
        }
        sum
    }

    fn of_largest(largest: u32) -> Result<Self, Refused> {
        if largest == 0 {
            return Ok(Self { inverse: 0, m: 0, point: 300, scale: 0 });
        }
        let scale = normal(divide(largest, FULL))?;
        let inverse = normal(divide(FULL, largest))?;
        let (m, _) = take_apart(inverse);
        Ok(Self { inverse, m: m << 8, point: 284 - (inverse >> 23), scale })
    }

    /// `x * inverse`, rounded to single, then to an integer, ties to even.
    ///
    /// The upper half of the product of the fractions has 31 or 32 bits, of which `places` are
    /// behind the point. Only near a tie can the two roundings differ from one.
    #[inline(always)]
    pub fn value(self, x: u32) -> i32 {
        let places = self.point.wrapping_sub(x >> 23 & 255);
        if places > 31 {
            return if places > 32 && self.point >= 284 - LARGEST_EXPONENT {
                0
            } else {
                self.twice(x)
            };
        }
        let high = (u64::from(x << 8 | 1 << 31) * u64::from(self.m) >> 32) as u32;
        let fraction = high << (32 - places & 31);
        if fraction.wrapping_sub((1 << 31) - NEAR) < 2 * NEAR {
            return self.twice(x);
        }
        let size = ((high >> places) + (fraction >> 31)) as i32;
        let sign = x as i32 >> 31;
        (size ^ sign) - sign
    }

    #[cold]
    #[inline(never)]
    fn twice(self, x: u32) -> i32 {
        to_integer(multiply(x, self.inverse))
    }

    /// The half d.
    pub fn scale(self) -> Result<(i32, i32), Refused> {
        take_half_apart(to_half(self.scale)?)
    }

    /// The half s of Q8_1: D times the sum of the integers.
    pub fn scaled_sum(self, sum: i32) -> Result<(i32, i32), Refused> {
        let product = Lane::of(self.scale).times(Lane { m: sum, e: 0 });
        take_half_apart(to_half(product.bits())?)
    }
}

/// Bits of the largest magnitude of a block; each value is seen to be zero or normal.
#[inline(never)]
fn largest(block: &[u32]) -> Result<u32, Refused> {
    let mut largest = 0;
    for bits in block {
        let size = bits << 1;
        if size.wrapping_sub(1) < 0x00ff_ffff {
            return Err(Refused::Denormal);
        }
        if size > largest {
            largest = size;
        }
    }
    if largest >= 0xff00_0000 {
        return Err(Refused::NotFinite);
    }
    Ok(largest >> 1)
}
