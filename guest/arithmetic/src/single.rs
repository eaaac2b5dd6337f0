//! Operations on singles as bits, rounded once, to nearest, ties to even.
//!
//! A sum of zero is +0 unless both addends are -0. A result beyond the singles is an infinity;
//! infinities and NaN are no operands (but of [`divide`], as divisor).

pub const SIGN: u32 = 1 << 31;
pub const INFINITY: u32 = 0x7f80_0000;
pub const ONE: u32 = 0x3f80_0000;

/// Exponent and magnitude of a single: worth `m * 2^e`, with bit 23 of `m` set, or `m` zero.
#[inline(always)]
pub fn take_apart(bits: u32) -> (u32, i32) {
    let exponent = (bits >> 23 & 255) as i32;
    let fraction = bits & 0x007f_ffff;
    if exponent == 0 {
        return denormal(fraction);
    }
    (fraction | 0x0080_0000, exponent - 150)
}

#[cold]
#[inline(never)]
fn denormal(fraction: u32) -> (u32, i32) {
    let (mut m, mut e) = (fraction, -149);
    while m != 0 && m < 0x0080_0000 {
        m <<= 1;
        e -= 1;
    }
    (m, e)
}

/// Bits up to the highest that is set.
#[inline(always)]
pub fn bit_length(mut m: u32) -> u32 {
    let mut length = 0;
    if m >= 1 << 16 {
        m >>= 16;
        length = 16;
    }
    if m >= 1 << 8 {
        m >>= 8;
        length += 8;
    }
    if m >= 1 << 4 {
        m >>= 4;
        length += 4;
    }
    // Two bits for each of 0 to 15, less the first: 0, 1, 2, 2, 3…
    if m >= 4 {
        length + 3 + (m >> 3)
    } else {
        length + m - (m == 3) as u32
    }
}

#[inline(always)]
pub fn bit_length_64(m: u64) -> u32 {
    let high = (m >> 32) as u32;
    if high != 0 {
        32 + bit_length(high)
    } else {
        bit_length(m as u32)
    }
}

/// `m` shifted right, its last bit set when a bit was lost.
#[inline(always)]
pub fn shift_jam(m: u64, by: u32) -> u64 {
    if by == 0 {
        m
    } else if by < 64 {
        m >> by | (m << (64 - by) != 0) as u64
    } else {
        (m != 0) as u64
    }
}

/// `m` shifted right and rounded to nearest, ties to even; `by` from 1 to 63.
#[inline(always)]
pub fn shift_round(m: u64, by: u32) -> u64 {
    let kept = m >> by;
    let rest = m << (64 - by);
    let half = 1 << 63;
    kept + (rest > half || (rest == half && kept & 1 == 1)) as u64
}

/// The single nearest to `m * 2^e`, with the sign bit `sign`.
#[inline]
pub fn pack(sign: u32, m: u64, e: i32) -> u32 {
    if m == 0 {
        return sign;
    }
    let length = bit_length_64(m) as i32;
    let last = (e + length - 24).max(-149);
    let shift = last - e;
    let kept = if shift <= 0 {
        (m << -shift) as u32
    } else if shift < 64 {
        shift_round(m, shift as u32) as u32
    } else {
        0
    };
    if last > 104 {
        return sign | INFINITY;
    }
    // A carry out of the fraction goes into the exponent by itself.
    let bits = kept.wrapping_add(((last + 149) as u32) << 23);
    sign | bits.min(INFINITY)
}

/// Sum of two numbers whose magnitudes are 0 or have bit 60 or 61 as their highest.
#[inline(always)]
fn sum(sign_a: u32, a: u64, e_a: i32, sign_b: u32, b: u64, e_b: i32) -> u32 {
    let (a, b, e) = if e_a >= e_b {
        (a, shift_jam(b, (e_a - e_b) as u32), e_a)
    } else {
        (shift_jam(a, (e_b - e_a) as u32), b, e_b)
    };
    if sign_a == sign_b {
        pack(sign_a, a + b, e)
    } else if a > b {
        pack(sign_a, a - b, e)
    } else if b > a {
        pack(sign_b, b - a, e)
    } else {
        0
    }
}

pub fn add(a: u32, b: u32) -> u32 {
    if a << 1 == 0 {
        return if b << 1 == 0 { a & b } else { b };
    }
    if b << 1 == 0 {
        return a;
    }
    let ((m_a, e_a), (m_b, e_b)) = (take_apart(a), take_apart(b));
    sum(a & SIGN, u64::from(m_a) << 38, e_a - 38, b & SIGN, u64::from(m_b) << 38, e_b - 38)
}

pub fn subtract(a: u32, b: u32) -> u32 {
    add(a, b ^ SIGN)
}

#[inline]
pub fn multiply(a: u32, b: u32) -> u32 {
    let ((m_a, e_a), (m_b, e_b)) = (take_apart(a), take_apart(b));
    let sign = (a ^ b) & SIGN;
    // 24 bits below the point in the upper word.
    let product = u64::from(m_a << 8) * u64::from(m_b);
    let (mut high, mut low) = ((product >> 32) as u32, product as u32);
    let mut e = e_a + e_b + 24;
    if high < 1 << 23 {
        high = high << 1 | low >> 31;
        low <<= 1;
        e -= 1;
    }
    if high >= 1 << 23 && e > -149 && e < 100 {
        let up = low > SIGN || (low == SIGN && high & 1 == 1);
        return sign | (high + up as u32).wrapping_add(((e + 149) as u32) << 23);
    }
    pack(sign, u64::from(m_a) * u64::from(m_b), e_a + e_b)
}

/// `a * b + c`.
pub fn fuse(a: u32, b: u32, c: u32) -> u32 {
    let ((m_a, e_a), (m_b, e_b)) = (take_apart(a), take_apart(b));
    let sign = (a ^ b) & SIGN;
    let product = u64::from(m_a) * u64::from(m_b);
    if product == 0 {
        return if c << 1 == 0 { sign & c } else { c };
    }
    let (m_c, e_c) = take_apart(c);
    if m_c == 0 {
        return pack(sign, product, e_a + e_b);
    }
    sum(sign, product << 14, e_a + e_b - 14, c & SIGN, u64::from(m_c) << 38, e_c - 38)
}

/// `a / b`; 0 where `b` is an infinity. `b` is not zero.
pub fn divide(a: u32, b: u32) -> u32 {
    let sign = (a ^ b) & SIGN;
    if b & !SIGN == INFINITY {
        return sign;
    }
    let ((m_a, e_a), (m_b, e_b)) = (take_apart(a), take_apart(b));
    if m_a == 0 || m_b == 0 {
        return sign;
    }
    // Long division, eight bits a step: every remainder has 24.
    let mut quotient = m_a / m_b;
    let mut rest = m_a % m_b;
    for bits in [8, 8, 8, 7] {
        rest <<= bits;
        quotient = quotient << bits | rest / m_b;
        rest %= m_b;
    }
    let e = e_a - e_b - 31;
    // 31 or 32 bits, of which 24 stay.
    let by = 7 + (quotient >> 31);
    if (e + 140) as u32 <= 220 {
        let up = (1 << (by - 1)) - 1 + (quotient >> by & 1 | (rest != 0) as u32);
        let kept = (u64::from(quotient) + u64::from(up) >> by) as u32;
        return sign | kept.wrapping_add(((e + by as i32 + 149) as u32) << 23);
    }
    pack(sign, u64::from(quotient) << 1 | (rest != 0) as u64, e - 1)
}

/// Square root of a number that is not negative.
pub fn square_root(a: u32) -> u32 {
    let (m, e) = take_apart(a);
    if m == 0 {
        return a;
    }
    // An even exponent, and enough bits for 27 of the root.
    let shift = 30 + (e & 1) as u32;
    let square = u64::from(m) << shift;
    let mut root = 0u64;
    let mut bit = 1u64 << 27;
    while bit != 0 {
        let tried = root | bit;
        if tried * tried <= square {
            root = tried;
        }
        bit >>= 1;
    }
    let inexact = root * root != square;
    pack(0, root << 1 | inexact as u64, (e - shift as i32) / 2 - 1)
}

/// The integer nearest to a single below 2^31, ties to even.
pub fn to_integer(bits: u32) -> i32 {
    let (m, e) = take_apart(bits);
    let size = if e >= 0 {
        m << e
    } else if e > -26 {
        shift_round(m.into(), -e as u32) as u32
    } else {
        0
    };
    if bits & SIGN != 0 {
        -(size as i32)
    } else {
        size as i32
    }
}

/// An integer as a single, rounded where it has more than 24 bits.
pub fn of_integer(n: i32) -> u32 {
    pack(n as u32 & SIGN, n.unsigned_abs().into(), 0)
}

/// An integer that grows with the number, of numbers that are not NaN.
#[inline(always)]
pub fn order(bits: u32) -> i32 {
    let sign = bits as i32 >> 31;
    ((bits & !SIGN) as i32 ^ sign) - sign
}

/// The number with that place in the order; of zeros, +0.
pub fn from_order(order: i32) -> u32 {
    order.unsigned_abs() | order as u32 & SIGN
}

/// Sum of 4, 8 or 16 singles: upper half onto the lower until one is left.
pub fn tree_sum(lanes: &mut [u32]) -> u32 {
    let mut count = lanes.len();
    while count > 1 {
        count /= 2;
        for i in 0..count {
            lanes[i] = add(lanes[i], lanes[i + count]);
        }
    }
    lanes[0]
}
