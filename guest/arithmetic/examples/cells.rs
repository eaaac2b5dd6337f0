//! Recomputes cells: requests on standard input, one word for each on standard output.
//!
//! All words are little-endian. A request: operation (as in docs/arithmetic.md; 11 is the
//! exponential), reference (1 or 2), number of parameters, of first and of second words, then those.
//! The answer is the cell's bits, of a rotation 1 or 0; `0xffffffff` where a value is refused.

use std::io::{Read, Write};

use arithmetic::block::WeightType;
use arithmetic::rope::Style;
use arithmetic::{attention, exponential, glue, product, rope, Reference, Refused};

fn main() -> std::io::Result<()> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    let words: Vec<u32> =
        bytes.chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect();
    let (mut at, mut answers) = (0, Vec::new());
    while at < words.len() {
        let [operation, reference, parameters, first, second] = words[at..at + 5] else { break };
        let (p, rest) = words[at + 5..].split_at(parameters as usize);
        let (a, rest) = rest.split_at(first as usize);
        let b = &rest[..second as usize];
        at += 5 + (parameters + first + second) as usize;
        let reference = if reference == 1 { Reference::Avx2 } else { Reference::Avx512 };
        let found = cell(operation, reference, p, a, b).unwrap_or(u32::MAX);
        answers.extend(found.to_le_bytes());
    }
    std::io::stdout().write_all(&answers)
}

fn cell(
    operation: u32,
    reference: Reference,
    p: &[u32],
    a: &[u32],
    b: &[u32],
) -> Result<u32, Refused> {
    let kind = |number| WeightType::of(number).ok_or(Refused::Shape);
    match operation {
        1 => glue::embedding(kind(p[0])?, a, p[1] as usize),
        2 => glue::norm(a, p[0] as usize, p[1], p[2]),
        3 => glue::residual(p[0], p[1]),
        4 => product::weight_product(kind(p[0])?, a, b),
        5 => {
            let style = Style::of(p[0]).ok_or(Refused::Shape)?;
            Ok(rope::is_rotated(style, p[1], p[2], a, b, p[3] as usize)? as u32)
        }
        6 => attention::key_product(reference, a, b),
        7 => attention::softmax(reference, a, p[0] as usize, p[1]),
        8 => attention::value_product(reference, a, b),
        9 => exponential::gated(reference, p[0], p[1]),
        10 => glue::cached(p[0]),
        11 => exponential::exponential(reference, p[0]),
        _ => Err(Refused::Shape),
    }
}
