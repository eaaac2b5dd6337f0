//! The joining rule: from the claims of a session's checkpoints to the words of one claim.

use crate::hash::{bit_length, Sha, Words32, END_MARKER};
use crate::layout::{aggregate, claim, Pieces, BLOCK_WORDS};
use crate::receipt;

/// Takes claims of other programs as proven: RISC Zero's composition in the guest, a list in tests.
pub trait Assume {
    /// Returns only when whoever accepts this program's proof has to accept a proof of `claim` too.
    fn assume(&mut self, claim: &Words32);
}

/// A rule that the witness of the guest `aggregate` breaks. It stops with [`JoinFault::code`] and
/// makes no claim. (Not a [`crate::Fault`]: the list of those is part of the guest `session`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinFault {
    /// The witness ends before the parts that it announces.
    Truncated,
    /// An aggregate of nothing.
    Empty,
    /// More parts than a claim may have.
    TooMany,
    /// A part that is not a session claim of this version.
    Kind,
    /// A part of another session: another header, or other terms.
    Session,
    /// Checkpoint numbers that do not follow one another.
    Number,
    /// A part that does not begin in the state in which the one before ended.
    State,
    /// A part that does not begin with the tokens with which the one before ended.
    Tokens,
}

impl JoinFault {
    /// Stable code, the text with which the guest stops.
    pub const fn code(self) -> &'static str {
        match self {
            JoinFault::Truncated => "GST-101 witness truncated",
            JoinFault::Empty => "GST-102 no parts",
            JoinFault::TooMany => "GST-103 more than 500 parts",
            JoinFault::Kind => "GST-104 part is not a session claim of this version",
            JoinFault::Session => "GST-105 part of another session",
            JoinFault::Number => "GST-106 checkpoint numbers are not consecutive",
            JoinFault::State => "GST-107 state before is not the state after of the part before",
            JoinFault::Tokens => {
                "GST-108 tokens before are not the tokens after of the part before"
            }
        }
    }
}

/// What has been joined.
pub struct Aggregated {
    /// Words of the claim in the journal.
    pub words: usize,
    /// Digest of the list of assumptions, which the program's output carries.
    pub assumptions: Words32,
}

/// Reads a session guest's image id and claims from `witness`, assumes each of them proven by that
/// guest, checks that they follow one another in one session, and writes their claim to `journal`.
///
/// `journal` must hold zeros. `part` is working memory.
///
/// # Errors
/// A [`JoinFault`] for the first rule that the witness breaks; `journal` is then meaningless.
#[inline(always)]
pub fn aggregate<S: Sha, W: Pieces, A: Assume>(
    sha: &mut S,
    witness: &mut W,
    assume: &mut A,
    part: &mut [u32; aggregate::PART_WORDS],
    journal: &mut [u32; aggregate::MAX_WORDS],
) -> Result<Aggregated, JoinFault> {
    let mut opening = [0; BLOCK_WORDS];
    if !witness.fill(&mut opening) {
        return Err(JoinFault::Truncated);
    }
    let image_id = *word(&opening, aggregate::WITNESS_IMAGE);
    let count = opening[aggregate::WITNESS_PARTS] as usize;
    if count == 0 {
        return Err(JoinFault::Empty);
    }
    if count > aggregate::MAX_PARTS {
        return Err(JoinFault::TooMany);
    }

    let (head, rows) = journal.split_at_mut(aggregate::HEAD_WORDS);
    put_u64(head, aggregate::KIND_AND_VERSION, KIND_AND_VERSION);
    put(head, aggregate::PART_IMAGE, &image_id);
    put_u64(head, aggregate::CHECKPOINTS, count as u64);

    let mut checkpoint = 0;
    let mut assumptions = [0; 8];
    for (number, row) in rows.chunks_exact_mut(aggregate::ROW_WORDS).take(count).enumerate() {
        if !witness.fill(&mut part[..claim::WORDS]) {
            return Err(JoinFault::Truncated);
        }
        check_kind(part)?;
        if number == 0 {
            begin(head, part);
            checkpoint = get_u64(part, claim::CHECKPOINT);
        } else {
            checkpoint = u64::wrapping_add(checkpoint, 1);
            check_joins(head, part, checkpoint)?;
        }
        put(head, aggregate::TOKENS_AFTER, word(part, claim::TOKENS_AFTER));
        put(head, aggregate::STATE_AFTER, word(part, claim::STATE_AFTER));
        put(row, aggregate::ROW_TOKENS_AFTER, word(part, claim::TOKENS_AFTER));
        put(row, aggregate::ROW_STATE_AFTER, word(part, claim::STATE_AFTER));
        put(row, aggregate::ROW_DELTA_DIGEST, word(part, claim::DELTA_DIGEST));
        put(row, aggregate::ROW_TRACE_ROOT, word(part, claim::TRACE_ROOT));

        let published = digest(sha, part);
        let proven = receipt::success(sha, &image_id, &published);
        assume.assume(&proven);
        assumptions = receipt::assume(sha, &proven, &assumptions);
    }
    Ok(Aggregated { words: aggregate::journal_words(count), assumptions })
}

/// Header digest and terms, which stand at the same place in both claims.
const SESSION: core::ops::Range<usize> = 8 * claim::HEADER_DIGEST..8 * (claim::PRICE + 1);

const KIND_AND_VERSION: u64 = (aggregate::KIND as u64) << 32 | aggregate::VERSION as u64;
const PART_KIND_AND_VERSION: u64 = (claim::SESSION_KIND as u64) << 32 | claim::VERSION as u64;

fn check_kind(part: &[u32]) -> Result<(), JoinFault> {
    if is_u64(word(part, claim::KIND_AND_VERSION), PART_KIND_AND_VERSION) {
        Ok(())
    } else {
        Err(JoinFault::Kind)
    }
}

/// The first part gives the session, and where it begins.
fn begin(head: &mut [u32], part: &[u32]) {
    head[SESSION].copy_from_slice(&part[SESSION]);
    put(head, aggregate::FIRST_CHECKPOINT, word(part, claim::CHECKPOINT));
    put(head, aggregate::TOKENS_BEFORE, word(part, claim::TOKENS_BEFORE));
    put(head, aggregate::STATE_BEFORE, word(part, claim::STATE_BEFORE));
}

/// Every other one is of the same session and begins where the one before ended.
fn check_joins(head: &[u32], part: &[u32], checkpoint: u64) -> Result<(), JoinFault> {
    if !same(&head[SESSION], &part[SESSION]) {
        return Err(JoinFault::Session);
    }
    if !is_u64(word(part, claim::CHECKPOINT), checkpoint) {
        return Err(JoinFault::Number);
    }
    if !same(word(part, claim::STATE_BEFORE), word(head, aggregate::STATE_AFTER)) {
        return Err(JoinFault::State);
    }
    if !same(word(part, claim::TOKENS_BEFORE), word(head, aggregate::TOKENS_AFTER)) {
        return Err(JoinFault::Tokens);
    }
    Ok(())
}

/// SHA-256 of a session claim; writes the padding behind it.
#[inline(always)]
fn digest<S: Sha>(sha: &mut S, part: &mut [u32; aggregate::PART_WORDS]) -> Words32 {
    pad(part, claim::WORDS);
    let mut digest = [0; 8];
    sha.start(&mut digest, &receipt::SHA256_INIT, part);
    digest
}

/// SHA-256's padding behind the first `words` words; `blocks` ends with the block in which they end.
pub fn pad(blocks: &mut [u32], words: usize) {
    blocks[words..].fill(0);
    blocks[words] = END_MARKER;
    if let Some(length) = blocks.last_mut() {
        *length = bit_length(4 * words as u32);
    }
}

fn word(words: &[u32], number: usize) -> &Words32 {
    words[number * 8..].first_chunk().unwrap_or(&[0; 8])
}

fn put(words: &mut [u32], number: usize, value: &Words32) {
    words[number * 8..][..8].copy_from_slice(value);
}

/// A number as a claim word: big-endian in the last eight bytes. The words begin as zeros.
fn put_u64(words: &mut [u32], number: usize, value: u64) {
    words[number * 8 + 6] = ((value >> 32) as u32).swap_bytes();
    words[number * 8 + 7] = (value as u32).swap_bytes();
}

fn get_u64(words: &[u32], number: usize) -> u64 {
    let word = word(words, number);
    u64::from(word[6].swap_bytes()) << 32 | u64::from(word[7].swap_bytes())
}

fn is_u64(word: &Words32, value: u64) -> bool {
    let mut expected = [0; 8];
    put_u64(&mut expected, 0, value);
    same(word, &expected)
}

/// Word by word: the standard library's comparison goes byte by byte here.
#[inline(always)]
fn same(a: &[u32], b: &[u32]) -> bool {
    a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}
