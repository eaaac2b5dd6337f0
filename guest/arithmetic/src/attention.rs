//! One head of attention over the cache: products of halves, and the softmax.

use crate::exponential::exponential;
use crate::glue::DoubleSum;
use crate::half::{rounded, take_half_apart};
use crate::lane::{tree_sum, Lane};
use crate::single::{from_order, multiply, order, SIGN};
use crate::{normal, Reference, Refused};

/// Score of a rotated query and a rotated key of one head.
pub fn key_product(reference: Reference, query: &[u32], key: &[u32]) -> Result<u32, Refused> {
    let count = reference.lanes();
    if query.len() != key.len() || query.len() % count != 0 {
        return Err(Refused::Shape);
    }
    let mut lanes = [Lane::ZERO; 16];
    let lanes = &mut lanes[..count];
    for (query, key) in query.chunks_exact(count).zip(key.chunks_exact(count)) {
        for ((lane, a), b) in lanes.iter_mut().zip(query).zip(key) {
            add(lane, rounded(*a)?, rounded(*b)?);
        }
    }
    normal(tree_sum(lanes))
}

/// The weights of one head up to a position times the same of one channel of values, whose halves
/// lie two in a word.
pub fn value_product(
    reference: Reference,
    weights: &[u32],
    values: &[u32],
) -> Result<u32, Refused> {
    if values.len() < weights.len().div_ceil(2) {
        return Err(Refused::Shape);
    }
    let mut lanes = [Lane::ZERO; 16];
    let lanes = &mut lanes[..reference.lanes()];
    let mask = reference.lanes() - 1;
    for (place, weight) in weights.iter().enumerate() {
        let value = values[place / 2] >> (place % 2 * 16) & 0xffff;
        add(&mut lanes[place & mask], rounded(*weight)?, take_half_apart(value)?);
    }
    normal(tree_sum(lanes))
}

#[inline(always)]
fn add(lane: &mut Lane, a: (i32, i32), b: (i32, i32)) {
    lane.add(i64::from(a.0 * b.0), a.1 + b.1);
}

/// The weight of the key `key` among all scores of a head up to its position.
pub fn softmax(
    reference: Reference,
    scores: &[u32],
    key: usize,
    scale: u32,
) -> Result<u32, Refused> {
    let Some(first) = scores.first() else { return Err(Refused::Shape) };
    // Scaling by a number that is not negative keeps the order.
    if scale & SIGN != 0 {
        return Err(Refused::Shape);
    }
    let mut highest = order(*first);
    for score in scores {
        normal(*score)?;
        highest = highest.max(order(*score));
    }
    let minus_peak = Lane::of(multiply(from_order(highest), normal(scale)?) ^ SIGN);
    let scale = Lane::of(scale);
    let count = reference.lanes();
    let (mut total, mut wanted) = (DoubleSum::ZERO, None);
    for (number, some) in scores.chunks(count).enumerate() {
        let mut powers = [Lane::ZERO; 16];
        let powers = &mut powers[..count];
        for (place, (power, score)) in powers.iter_mut().zip(some).enumerate() {
            let x = minus_peak.sum(Lane::of(*score).times(scale));
            let bits = exponential(reference, x.bits())?;
            if number * count + place == key {
                wanted = Some(bits);
            }
            *power = Lane::of(bits);
        }
        total.add(tree_sum(powers));
    }
    let inverse = (1.0 / total.value()) as f32;
    normal(multiply(wanted.ok_or(Refused::Shape)?, inverse.to_bits()))
}
