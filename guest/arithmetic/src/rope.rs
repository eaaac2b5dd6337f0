//! The rotation of queries and keys: the one operation with a bound.

use crate::single::{multiply, take_apart, SIGN};
use crate::{normal, Refused};

/// The bound, in units of 2^-24 of `|x0 * cos| + |x1 * sin|`.
pub const TOLERANCE: u32 = 5;
const UNIT: f64 = 1.0 / (1 << 24) as f64;
const TWO_OVER_PI: i128 = 807011436558923259726928379167; // floor(2^100 * 2 / pi)
const HALF_PI: i128 = 7244019458077122842; // floor(2^62 * pi / 2)
const ONE: i64 = 1 << 62;
const MOST_POSITIONS: u32 = 1 << 24;

/// Which elements of a head are a pair, numbered as in ggml.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Normal,
    Neox,
}

impl Style {
    pub const fn of(number: u32) -> Option<Self> {
        Some(match number {
            0 => Style::Normal,
            2 => Style::Neox,
            _ => return None,
        })
    }

    /// Places of the pair to which an element belongs, and the pair's number.
    const fn pair(self, element: usize, dimensions: usize) -> (usize, usize, usize) {
        let half = dimensions / 2;
        match self {
            Style::Normal => (element & !1, element | 1, element / 2),
            Style::Neox => (element % half, element % half + half, element % half),
        }
    }
}

/// Cosine and sine of a single that is not negative, in units of 2^-62.
pub fn cosine_and_sine(theta: u32) -> Result<(i64, i64), Refused> {
    let (m, e) = take_apart(normal(theta)?);
    if e > 0 || theta & SIGN != 0 {
        return Err(Refused::Shape);
    }
    // Quarter turns, in units of 2^-64.
    let shift = 36 - e;
    let turned = if shift < 127 { (i128::from(m) * TWO_OVER_PI) >> shift } else { 0 };
    let quarter = (turned + (1 << 63)) >> 64;
    let r = ((turned - (quarter << 64)) * HALF_PI >> 64) as i64;
    let square = scaled(r, r);
    let (mut cosine, mut sine) = (0, 0);
    let mut n = 20;
    while n > 0 {
        cosine = (-scaled(ONE + cosine, square)).div_euclid(n * (n - 1));
        sine = (-scaled(ONE + sine, square)).div_euclid(n * (n + 1));
        n -= 2;
    }
    cosine += ONE;
    sine = scaled(r, ONE + sine);
    Ok(match quarter as u32 & 3 {
        0 => (cosine, sine),
        1 => (-sine, cosine),
        2 => (-cosine, -sine),
        _ => (sine, -cosine),
    })
}

fn scaled(a: i64, b: i64) -> i64 {
    (i128::from(a) * i128::from(b) >> 62) as i64
}

/// Whether the pair of `element` in `rotated` is that of `head`, turned by `position`.
pub fn is_rotated(
    style: Style,
    angle_scale: u32,
    position: u32,
    head: &[u32],
    rotated: &[u32],
    element: usize,
) -> Result<bool, Refused> {
    let dimensions = head.len();
    if rotated.len() != dimensions || dimensions % 2 != 0 || element >= dimensions {
        return Err(Refused::Shape);
    }
    if position >= MOST_POSITIONS {
        return Err(Refused::Shape);
    }
    let (first, second, number) = style.pair(element, dimensions);
    let mut theta = (position as f32).to_bits();
    for _ in 0..number {
        theta = multiply(theta, angle_scale);
    }
    let (cosine, sine) = cosine_and_sine(theta)?;
    let cosine = cosine as f64 / ONE as f64;
    let sine = sine as f64 / ONE as f64;
    let [x0, x1] = [wide(head[first])?, wide(head[second])?];
    Ok(within(x0 * cosine, -(x1 * sine), wide(rotated[first])?)
        && within(x0 * sine, x1 * cosine, wide(rotated[second])?))
}

fn wide(bits: u32) -> Result<f64, Refused> {
    Ok(f32::from_bits(normal(bits)?).into())
}

fn within(left: f64, right: f64, got: f64) -> bool {
    let room = left.abs() + right.abs();
    let off = (got - (left + right)).abs();
    if room == 0.0 {
        return off == 0.0;
    }
    off / room <= f64::from(TOLERANCE) * UNIT
}
