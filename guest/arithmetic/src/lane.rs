//! Singles that are not packed: accumulators of products, and what an exponential is made of.
//!
//! A fused multiply-add of short factors is an exact product of at most 48 bits, an aligned addition
//! and one rounding to 24 bits. Nothing is packed in between, so exponents have no limits: results
//! are those of singles as long as none of them is denormal or beyond the singles.

use crate::single::{self, bit_length, bit_length_64, shift_jam, SIGN};

/// Worth `m * 2^e`; `m` has at most 24 bits and a sign, or is 2^24.
#[derive(Clone, Copy, Default)]
pub struct Lane {
    pub m: i32,
    pub e: i32,
}

/// How far above the last bit of a product another number's last bit may lie in 64 bits: such a
/// sum has 63 bits with 24 of the number, or 48 of the product.
const ABOVE: u32 = 38;
const BELOW: i32 = -14;

impl Lane {
    pub const ZERO: Lane = Lane { m: 0, e: 0 };

    /// A single that is finite.
    #[inline(always)]
    pub fn of(bits: u32) -> Self {
        let (m, e) = single::take_apart(bits);
        let sign = bits as i32 >> 31;
        Self { m: (m as i32 ^ sign) - sign, e }
    }

    /// Adds `p * 2^e`, rounding once; `p` has at most 48 bits.
    #[inline(always)]
    pub fn add(&mut self, p: i64, e: i32) {
        *self = self.plus(p, e);
    }

    #[inline(always)]
    pub fn times(self, other: Lane) -> Lane {
        round(i64::from(self.m) * i64::from(other.m), self.e + other.e)
    }

    /// `self * b + c`, rounded once.
    #[inline(always)]
    pub fn fuse(self, b: Lane, c: Lane) -> Lane {
        c.plus(i64::from(self.m) * i64::from(b.m), self.e + b.e)
    }

    #[inline(always)]
    pub fn sum(self, other: Lane) -> Lane {
        self.plus(other.m.into(), other.e)
    }

    #[inline(always)]
    fn plus(self, p: i64, e: i32) -> Lane {
        if self.m == 0 {
            return round(p, e);
        }
        let d = self.e - e;
        if (d as u32) < 32 {
            // A 32-bit number shifted into 64 bits.
            let high = self.m >> 1 >> (31 - d);
            round(p + (i64::from(high) << 32 | i64::from((self.m as u32) << d)), e)
        } else if d >= 0 && d as u32 <= ABOVE {
            round(p + (i64::from(self.m << (d - 32)) << 32), e)
        } else if d < 0 && d >= BELOW {
            round((p << -d) + i64::from(self.m), self.e)
        } else {
            self.far(p, e)
        }
    }

    /// Where one addend lies far below the other.
    #[cold]
    #[inline(never)]
    fn far(self, p: i64, e: i32) -> Lane {
        if p == 0 {
            return self;
        }
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
        round(if p < 0 { -a } else { a } + if self.m < 0 { -b } else { b }, top)
    }

    #[inline(always)]
    pub fn bits(self) -> u32 {
        let size = self.m.unsigned_abs();
        let sign = self.m as u32 & SIGN;
        // Normalised and in the middle of the range: the exponent goes beside the fraction.
        if size >> 23 == 1 && (self.e + 148) as u32 <= 248 {
            return sign | size.wrapping_add(((self.e + 149) as u32) << 23);
        }
        single::pack(sign, size.into(), self.e)
    }
}

/// `s * 2^e` with 24 bits left, ties to even; `s` has at most 63 bits.
///
/// In two's complement rounding down is a shift, and ties look at the last bit that is kept, on both
/// sides of zero. The length is that of the complement: it differs at negative powers of two only,
/// which lose no bit.
#[inline(always)]
fn round(s: i64, e: i32) -> Lane {
    let (high, low) = ((s >> 32) as i32, s as u32);
    let sign = high >> 31;
    let top = (high ^ sign) as u32;
    let length = if top != 0 { 32 + bit_length(top) } else { bit_length(low ^ sign as u32) };
    let by = length as i32 - 24;
    if by <= 0 {
        return Lane { m: low as i32, e };
    }
    let (kept, rest) = if by < 32 {
        (low >> by | (high as u32) << (32 - by), low << (32 - by))
    } else if by == 32 {
        (high as u32, low)
    } else {
        ((high >> (by - 32)) as u32, (high << (64 - by)) as u32 | (low != 0) as u32)
    };
    // The carry of this sum says whether to round up.
    let (_, up) = rest.overflowing_add(0x7fff_ffff + (kept & 1));
    Lane { m: kept.wrapping_add(up as u32) as i32, e: e + by }
}

/// The sum of 4, 8 or 16 lanes: upper half onto the lower until one is left.
#[inline(always)]
pub fn tree_sum(lanes: &mut [Lane]) -> u32 {
    let mut count = lanes.len();
    while count > 1 {
        count /= 2;
        for i in 0..count {
            lanes[i] = lanes[i].sum(lanes[i + count]);
        }
    }
    lanes[0].bits()
}
