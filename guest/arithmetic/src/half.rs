//! Halves as bits.

use crate::single::{shift_round, take_apart, SIGN};
use crate::Refused;

/// A half, worth `m * 2^e`, with a signed `m`.
#[inline(always)]
pub fn take_half_apart(bits: u32) -> Result<(i32, i32), Refused> {
    let exponent = (bits >> 10 & 31) as i32;
    let fraction = (bits & 1023) as i32;
    if exponent == 31 {
        return Err(Refused::NotFinite);
    }
    let (m, e) = if exponent == 0 { (fraction, -24) } else { (fraction | 1024, exponent - 25) };
    Ok((if bits & 0x8000 != 0 { -m } else { m }, e))
}

/// A single rounded to half, denormal halves kept.
pub fn to_half(bits: u32) -> Result<u32, Refused> {
    let size = bits & !SIGN;
    // 65520
    if size >= 0x477f_f000 {
        return Err(Refused::NotFinite);
    }
    let sign = bits >> 16 & 0x8000;
    // From 2^-14 on the exponent only moves: 13 bits are rounded off.
    if size >= 0x3880_0000 {
        let moved = size - 0x3800_0000;
        let odd = moved >> 13 & 1;
        return Ok(sign | (moved + 0x0fff + odd) >> 13);
    }
    let (m, e) = take_apart(size);
    let shift = -24 - e;
    if shift > 25 {
        return Ok(sign);
    }
    Ok(sign | shift_round(m.into(), shift as u32) as u32)
}

/// A half as a single.
pub fn to_single(bits: u32) -> Result<u32, Refused> {
    let (m, e) = take_half_apart(bits)?;
    Ok(crate::single::pack((bits & 0x8000) << 16, m.unsigned_abs().into(), e))
}

/// A single, zero or normal, rounded to half and taken apart: worth `m * 2^e`.
#[inline(always)]
pub fn rounded(bits: u32) -> Result<(i32, i32), Refused> {
    let size = bits & !SIGN;
    // From 2^-14 up to what rounds to 65520.
    if size.wrapping_sub(0x3880_0000) < 0x477f_f000 - 0x3880_0000 {
        let moved = size + 0x0fff + (size >> 13 & 1);
        let sign = bits as i32 >> 31;
        let m = (moved >> 13 & 1023 | 1024) as i32;
        return Ok(((m ^ sign) - sign, (moved >> 23) as i32 - 137));
    }
    small(bits)
}

#[cold]
#[inline(never)]
fn small(bits: u32) -> Result<(i32, i32), Refused> {
    take_half_apart(to_half(crate::normal(bits)?)?)
}
