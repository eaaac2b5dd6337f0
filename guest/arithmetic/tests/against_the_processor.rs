//! Operations on singles against the processor's own, on numbers of all sizes.

use arithmetic::lane::Lane;
use arithmetic::quantise::Quantiser;
use arithmetic::{half, single};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A finite single; half of them near 1, many with few bits, so that ties come.
    fn single(&mut self) -> u32 {
        let drawn = self.next();
        let exponent = match drawn & 7 {
            0 => (drawn >> 8) % 255,
            1 => (drawn >> 8) % 30,
            _ => 110 + (drawn >> 8) % 40,
        } as u32;
        let fraction = match drawn >> 3 & 3 {
            0 => (drawn >> 32) as u32 & 0x0070_0000,
            1 => (drawn >> 32) as u32 & 0x0000_0007,
            _ => (drawn >> 32) as u32 & 0x007f_ffff,
        };
        (drawn >> 5 & 1) as u32 * single::SIGN | exponent << 23 | fraction
    }
}

const ROUNDS: usize = 3_000_000;

fn value(bits: u32) -> f32 {
    f32::from_bits(bits)
}

#[test]
fn sums_products_and_quotients_are_the_processors() {
    let mut random = Random(1);
    for _ in 0..ROUNDS {
        let (a, b, c) = (random.single(), random.single(), random.single());
        let (x, y, z) = (value(a), value(b), value(c));
        assert_eq!(single::add(a, b), (x + y).to_bits(), "{x} + {y}");
        assert_eq!(single::multiply(a, b), (x * y).to_bits(), "{x} * {y}");
        assert_eq!(single::fuse(a, b, c), x.mul_add(y, z).to_bits(), "{x} * {y} + {z}");
        if b << 1 != 0 {
            assert_eq!(single::divide(a, b), (x / y).to_bits(), "{x} / {y}");
        }
        let root = single::square_root(a & !single::SIGN);
        assert_eq!(root, x.abs().sqrt().to_bits(), "root of {x}");
        assert_eq!(single::order(a) < single::order(b), x < y, "{x} < {y}");
        if x.abs() < 1e9 {
            assert_eq!(single::to_integer(a), x.round_ties_even() as i32, "{x}");
        }
    }
}

#[test]
fn an_opposite_addend_cancels_to_the_bit() {
    let mut random = Random(2);
    for _ in 0..ROUNDS {
        let (a, b) = (random.single(), random.single());
        let near = (value(a) * value(b)).to_bits() ^ single::SIGN;
        let c = near.wrapping_add((random.next() % 5) as u32).wrapping_sub(2);
        if value(c).is_finite() {
            let expected = value(a).mul_add(value(b), value(c)).to_bits();
            assert_eq!(single::fuse(a, b, c), expected);
        }
    }
}

#[test]
fn lanes_are_fused_multiply_adds() {
    let mut random = Random(3);
    for _ in 0..ROUNDS / 30 {
        let (mut lane, mut sum) = (Lane::ZERO, 0f32);
        for _ in 0..30 {
            let drawn = random.next();
            let d = (drawn & 0x3f_ffff) as i32 - (1 << 21);
            let n = (drawn >> 22 & 0x1_ffff) as i32 - (1 << 16) >> (drawn >> 60);
            let e = -40 + (drawn >> 40) as i32 % 40 * (drawn >> 58 & 1) as i32;
            lane.add(i64::from(d) * i64::from(n), e);
            sum = (d as f32 * (e as f32).exp2()).mul_add(n as f32, sum);
            assert_eq!(lane.bits(), (sum + 0.0).to_bits());
        }
    }
}

#[test]
fn values_are_quantised_as_in_singles() {
    let mut random = Random(4);
    for _ in 0..ROUNDS / 30 {
        let shift = (random.next() % 3) as u32;
        let block: [u32; 32] = core::array::from_fn(|_| {
            let bits = random.single();
            match shift {
                0 => bits & 0x807f_ffff | 0x3f00_0000,
                1 => (value(bits & 0x807f_ffff | 0x3f00_0000) * (random.next() % 256) as f32)
                    .to_bits(),
                _ if bits & 0x7f80_0000 == 0 => 0,
                _ => bits,
            }
        });
        let Ok(quantiser) = Quantiser::of(&block) else { continue };
        let largest = block.iter().map(|x| value(*x).abs()).fold(0.0, f32::max);
        for x in block {
            let expected =
                if largest == 0.0 { 0.0 } else { (value(x) * (127.0 / largest)).round_ties_even() };
            assert_eq!(quantiser.value(x), expected as i32, "{} of {largest}", value(x));
        }
    }
}

#[test]
fn every_half_survives() {
    for bits in 0..=0xffff {
        match half::to_single(bits) {
            Ok(wide) => assert_eq!(half::to_half(wide), Ok(bits)),
            Err(_) => assert_eq!(bits & 0x7c00, 0x7c00),
        }
    }
}

/// The short way of an exponential is the long one: tested against numpy's by the shared vectors
/// and by `tests/unit/test_sample_arithmetic.py`.
#[test]
fn lanes_fuse_like_the_processor() {
    let mut random = Random(5);
    for _ in 0..ROUNDS {
        let [a, b, c] = [0; 3].map(|_| random.next() as u32 & 0x83ff_ffff | 0x3c00_0000);
        let (x, y, z) = (value(a), value(b), value(c));
        let found = Lane::of(a).fuse(Lane::of(b), Lane::of(c));
        assert_eq!(found.bits(), x.mul_add(y, z).to_bits(), "{x} * {y} + {z}");
        assert_eq!(Lane::of(a).times(Lane::of(b)).bits(), (x * y).to_bits());
        assert_eq!(Lane::of(a).sum(Lane::of(b)).bits(), (x + y).to_bits());
    }
}
