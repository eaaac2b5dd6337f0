//! ggml's exponential of singles.

use crate::lane::Lane;
use crate::single::{add, fuse, multiply, pack, subtract, take_apart, to_integer, SIGN};
use crate::{Reference, Refused};

const SHIFT: u32 = 0x4b40_0000; // 0x1.8p23
const LOG2_E: u32 = 0x3fb8_aa3b; // 0x1.715476p+0
const LN2_HIGH: u32 = 0x3f31_7200; // 0x1.62e4p-1
const LN2_LOW: u32 = 0x35bf_be8e; // 0x1.7f7d1cp-20
const C1: u32 = 0x3f7f_fff6; // 0x1.ffffecp-1
const C2: u32 = 0x3eff_fedb; // 0x1.fffdb6p-2
const C3: u32 = 0x3e2a_af33; // 0x1.555e66p-3
const C4: u32 = 0x3d2b_9f17; // 0x1.573e2ep-5
const C5: u32 = 0x3c07_2010; // 0x1.0e4020p-7
const ONE: u32 = 0x3f80_0000;
const INFINITY: u32 = 0x7f80_0000;
/// 256: from there on the result is zero or infinity.
const FAR: u32 = 0x4380_0000;

/// Constants taken apart.
const fn apart(bits: u32) -> Lane {
    Lane { m: (bits & 0x007f_ffff | 0x0080_0000) as i32, e: (bits >> 23) as i32 - 150 }
}

const E: Lane = apart(LOG2_E);
const MINUS_HIGH: Lane = Lane { m: -apart(LN2_HIGH).m, e: apart(LN2_HIGH).e };
const MINUS_LOW: Lane = Lane { m: -apart(LN2_LOW).m, e: apart(LN2_LOW).e };
const K1: Lane = apart(C1);
const K2: Lane = apart(C2);
const K3: Lane = apart(C3);
const K4: Lane = apart(C4);
const K5: Lane = apart(C5);
const UNIT: Lane = Lane { m: 1, e: 0 };
/// 2^-40 and 84: between them no step has a denormal number.
const LOWEST: u32 = 0x2b80_0000;
const HIGHEST: u32 = 0x42a8_0000;

/// exp(x) of a finite x.
#[inline(always)]
pub fn exponential(reference: Reference, x: u32) -> Result<u32, Refused> {
    if (x & !SIGN).wrapping_sub(LOWEST) >= HIGHEST - LOWEST {
        return at_the_ends(reference, x);
    }
    let x = Lane::of(x);
    // z is 1.5 * 2^23 and the integer nearest to x / ln 2, ties to even.
    let product = i64::from(x.m) * i64::from(E.m);
    let n = nearest(product, -(x.e + E.e));
    let times = Lane { m: n, e: 0 };
    let b = times.fuse(MINUS_LOW, times.fuse(MINUS_HIGH, x));
    let u = b.times(b);
    let v = K5.fuse(b, K4).fuse(u, K3.fuse(b, K2));
    let found = match reference {
        Reference::Avx512 => v.fuse(u, K1.fuse(b, UNIT)),
        Reference::Avx2 => UNIT.sum(v.fuse(u, K1.times(b))),
    };
    Ok(Lane { m: found.m, e: found.e + n }.bits())
}

/// `p / 2^by` as the nearest integer, ties to even; it is small.
#[inline(always)]
fn nearest(p: i64, by: i32) -> i32 {
    let (high, low) = ((p >> 32) as i32, p as u32);
    let (kept, rest) = if by < 32 {
        (low >> by | (high as u32) << (32 - by), low << (32 - by))
    } else if by == 32 {
        (high as u32, low)
    } else if by < 64 {
        ((high >> (by - 32)) as u32, (high << (64 - by)) as u32 | (low != 0) as u32)
    } else {
        (0, 0)
    };
    let (_, up) = rest.overflowing_add(0x7fff_ffff + (kept & 1));
    kept.wrapping_add(up as u32) as i32
}

/// exp(x) of any finite x.
#[cold]
#[inline(never)]
fn at_the_ends(reference: Reference, x: u32) -> Result<u32, Refused> {
    let beyond = if x & SIGN != 0 { 0 } else { INFINITY };
    if x & !SIGN >= FAR {
        return if x & !SIGN < INFINITY { Ok(beyond) } else { Err(Refused::NotFinite) };
    }
    let z = fuse(x, LOG2_E, SHIFT);
    let n = subtract(z, SHIFT);
    let power = to_integer(n);
    if power.abs() > 192 {
        return Ok(beyond);
    }
    let b = fuse(n ^ SIGN, LN2_LOW, fuse(n ^ SIGN, LN2_HIGH, x));
    let u = multiply(b, b);
    let v = fuse(fuse(C5, b, C4), u, fuse(C3, b, C2));
    if reference == Reference::Avx512 {
        let j = fuse(v, u, fuse(C1, b, ONE));
        let (m, e) = take_apart(j);
        return Ok(pack(j & SIGN, m.into(), e + power));
    }
    let j = fuse(v, u, multiply(C1, b));
    let e = z << 23;
    if power.abs() <= 126 {
        let k = e.wrapping_add(ONE);
        return Ok(fuse(j, k, k));
    }
    let g = if power <= 0 { 0x8200_0000u32 } else { 0 };
    let (s1, s2) = (g.wrapping_add(0x7f00_0000), e.wrapping_sub(g));
    Ok(multiply(fuse(s2, j, s2), s1))
}

/// silu(gate) * up.
pub fn gated(reference: Reference, gate: u32, up: u32) -> Result<u32, Refused> {
    let power = exponential(reference, subtract(0, crate::normal(gate)?))?;
    let below = if power == INFINITY { INFINITY } else { add(ONE, power) };
    let silu = crate::single::divide(gate, below);
    crate::normal(multiply(silu, crate::normal(up)?))
}
