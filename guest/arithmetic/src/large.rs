//! Products of Q4_K and Q6_K, whose blocks have 256 values.

use crate::block::Bytes;
use crate::half::to_single;
use crate::single::{
    add, divide, fuse, multiply, of_integer, to_integer, tree_sum, INFINITY, ONE, SIGN,
};
use crate::{normal, Refused};

const BLOCK: usize = 256;
const MINUS_FULL: u32 = 0xc2fe_0000; // -127

/// A block in Q8_K: d, a single, and the integers.
fn q8_k(x: &[u32]) -> Result<(u32, [i32; BLOCK]), Refused> {
    let mut peak = 0;
    for bits in x {
        normal(*bits)?;
        if bits << 1 > peak << 1 {
            peak = *bits;
        }
    }
    let mut q = [0; BLOCK];
    if peak << 1 == 0 {
        return Ok((0, q));
    }
    let inverse = normal(divide(MINUS_FULL, peak))?;
    for (q, bits) in q.iter_mut().zip(x) {
        *q = to_integer(multiply(inverse, *bits)).min(127);
    }
    Ok((normal(divide(ONE, inverse))?, q))
}

fn finite(bits: u32) -> Result<u32, Refused> {
    if bits & !SIGN >= INFINITY {
        Err(Refused::NotFinite)
    } else {
        Ok(bits)
    }
}

pub(crate) fn q4_k(x: &[u32], w: &[u32]) -> Result<u32, Refused> {
    let (mut lanes, mut chain) = ([0; 8], [0; 4]);
    for (number, x) in x.chunks_exact(BLOCK).enumerate() {
        let (d_x, q) = q8_k(x)?;
        let block = Bytes::new(w).at(144 * number);
        let d = finite(multiply(d_x, to_single(block.half(0))?))?;
        let minus = finite(multiply(d_x, to_single(block.half(2))?))? ^ SIGN;
        let (mut n, mut p) = ([0; 8], [0; 4]);
        for run in 0..8 {
            let b = |i: usize| block.byte(4 + i) as i32;
            let (scale, minimum) = if run < 4 {
                (b(run) & 63, b(run + 4) & 63)
            } else {
                (b(run + 4) & 15 | (b(run - 4) >> 6) << 4, b(run + 4) >> 4 | (b(run) >> 6) << 4)
            };
            let mut sum = 0;
            for (i, q) in q[32 * run..][..32].iter().enumerate() {
                let nibbles = block.byte(16 + 32 * (run / 2) + i) as i32;
                n[i / 4] += scale * q * (nibbles >> (4 * (run & 1)) & 15);
                sum += q;
            }
            p[run / 2] += minimum * sum;
        }
        for (lane, n) in lanes.iter_mut().zip(n) {
            *lane = finite(fuse(d, of_integer(n), *lane))?;
        }
        for (lane, p) in chain.iter_mut().zip(p) {
            *lane = finite(fuse(minus, of_integer(p), *lane))?;
        }
    }
    Ok(add(tree_sum(&mut lanes), tree_sum(&mut chain)))
}

pub(crate) fn q6_k(x: &[u32], w: &[u32]) -> Result<u32, Refused> {
    let mut lanes = [0; 8];
    for (number, x) in x.chunks_exact(BLOCK).enumerate() {
        let (d_x, q) = q8_k(x)?;
        let block = Bytes::new(w).at(210 * number);
        let d = finite(multiply(d_x, to_single(block.half(208))?))?;
        let mut n = [0; 8];
        for (place, q) in q.iter().enumerate() {
            let (h, k, l) = (place / 128, place / 32 % 4, place % 32);
            let low = block.byte(64 * h + 32 * (k & 1) + l) >> (4 * (k >> 1)) & 15;
            let high = block.byte(128 + 32 * h + l) >> (2 * k) & 3;
            let scale = block.signed(192 + place / 16);
            n[l / 4] += scale * q * (low | high << 4) as i32;
            n[place / 32] -= 32 * scale * q;
        }
        for (lane, n) in lanes.iter_mut().zip(n) {
            *lane = finite(fuse(d, of_integer(n), *lane))?;
        }
    }
    Ok(tree_sum(&mut lanes))
}
