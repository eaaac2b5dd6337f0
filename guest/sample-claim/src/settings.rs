//! The settings of a trace, as far as the arithmetic depends on them.

use arithmetic::Reference;

use crate::fault::Fault;

/// How a text with settings of this arithmetic begins: canonical JSON, keys in order.
const BEGINNING: &[u8] =
    br#"{"flash_attention":false,"gpu_layers":0,"kv_type":"f16","llama_build":""#;
const LANES: &[u8] = br#"","product_lanes":"#;
const THREADS: &[u8] = br#","threads":"#;
const UBATCH: &[u8] = br#","ubatch_tokens":"#;
const END: &[u8] = br#","version":1}"#;

/// Checks that the text says: no flash attention, no GPU, f16 cache, at least two tokens at once,
/// lanes as the reference has them.
pub fn require(text: &[u8], reference: Reference) -> Result<(), Fault> {
    let text = after(text, BEGINNING)?;
    let build = text.iter().position(|byte| *byte == b'"').ok_or(Fault::Settings)?;
    let (lanes, text) = number(after(&text[build..], LANES)?)?;
    let (threads, text) = number(after(text, THREADS)?)?;
    let (ubatch, text) = number(after(text, UBATCH)?)?;
    if text != END || lanes as usize != reference.lanes() || threads == 0 || ubatch < 2 {
        return Err(Fault::Settings);
    }
    Ok(())
}

fn after<'a>(text: &'a [u8], beginning: &[u8]) -> Result<&'a [u8], Fault> {
    text.strip_prefix(beginning).ok_or(Fault::Settings)
}

fn number(text: &[u8]) -> Result<(u32, &[u8]), Fault> {
    let digits = text.iter().position(|byte| !byte.is_ascii_digit()).ok_or(Fault::Settings)?;
    if digits == 0 || digits > 9 {
        return Err(Fault::Settings);
    }
    let value = text[..digits].iter().fold(0, |value, digit| 10 * value + u32::from(digit - b'0'));
    Ok((value, &text[digits..]))
}
