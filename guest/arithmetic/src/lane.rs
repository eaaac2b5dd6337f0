//! Accumulators of products: a running single to which exact products are added, rounded once each.
//!
//! Two factors that are short integers times powers of two have an exact product in 64 bits, so a
//! fused multiply-add is an aligned addition and one rounding. A number is kept as `m * 2^e` without
//! being packed in between.

use crate::single::{self, bit_length, bit_length_64, shift_jam, shift_round, SIGN};

/// A single, worth `m * 2^e`; `m` has at most 24 bits and a sign, or is 2^24.
#[derive(Clone, Copy, Default)]
pub struct Lane {
    m: i32,
    e: i32,
}

/// Most bits of a product.
pub const PRODUCT_BITS: u32 = 38;

impl Lane {
    pub const ZERO: Lane = Lane { m: 0, e: 0 };

    /// Adds `p * 2^e`, rounding once; `p` has at most [`PRODUCT_BITS`] bits.
    #[inline(always)]
    pub fn add(&mut self, p: i64, e: i32) {
        if p == 0 {
            return;
        }
        if self.m == 0 {
            return self.round(p, e);
        }
        let d = self.e - e;
        if (d as u32) <= PRODUCT_BITS {
            self.round(p + ((self.m as i64) << d), e);
        } else if d < 0 && d >= -24 {
            self.round((p << -d) + self.m as i64, self.e);
        } else {
            self.far(p, e);
        }
    }

    /// The single nearest to `s * 2^e`.
    #[inline(always)]
    fn round(&mut self, s: i64, e: i32) {
        let size = s.unsigned_abs();
        let high = (size >> 32) as u32;
        let length = if high != 0 { 32 + bit_length(high) } else { bit_length(size as u32) };
        let shift = (length as i32 - 24).max(-149 - e);
        let (m, e) = if shift <= 0 {
            (size as u32, e)
        } else if shift < 64 {
            (shift_round(size, shift as u32) as u32, e + shift)
        } else {
            (0, e)
        };
        *self = Lane { m: if s < 0 { -(m as i32) } else { m as i32 }, e };
    }

    /// Where one addend lies far below the other.
    #[cold]
    #[inline(never)]
    fn far(&mut self, p: i64, e: i32) {
        let (mut a, mut e_a) = (p.unsigned_abs(), e);
        let (mut b, mut e_b) = (u64::from(self.m.unsigned_abs()), self.e);
        for (m, e) in [(&mut a, &mut e_a), (&mut b, &mut e_b)] {
            let up = 61 - bit_length_64(*m);
            *m <<= up;
            *e -= up as i32;
        }
        let top = e_a.max(e_b);
        let a = shift_jam(a, (top - e_a) as u32) as i64;
        let b = shift_jam(b, (top - e_b) as u32) as i64;
        self.round(if p < 0 { -a } else { a } + if self.m < 0 { -b } else { b }, top);
    }

    pub fn bits(self) -> u32 {
        single::pack(self.m as u32 & SIGN, self.m.unsigned_abs().into(), self.e)
    }
}

/// The sum of lanes, a power of two of at most 16.
pub fn tree_sum(lanes: &[Lane]) -> u32 {
    let mut bits = [0; 16];
    let bits = &mut bits[..lanes.len()];
    for (bits, lane) in bits.iter_mut().zip(lanes) {
        *bits = lane.bits();
    }
    single::tree_sum(bits)
}
