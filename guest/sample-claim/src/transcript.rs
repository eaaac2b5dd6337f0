//! The tokens of the context, with the states of the transcript that commit to them.
//!
//! The rule is that of `session_claim::account`, entry by entry; here the tokens are kept.

use session_claim::layout::{entry, header, kind, prologue, BLOCK_WORDS};
use session_claim::{Pieces, ENTRY_TAG, HEADER_TAG, INITIAL_STATE_TAG, STATE_TAG};

use crate::fault::Fault;
use crate::layout::{claim, MAX_POSITIONS};
use crate::tree::{tagged, Sha, Words32, PADDING_WORDS};

const END_MARKER: u32 = 0x80;
const PREVIOUS_STATE: usize = 8;
const LAST_ENTRY: usize = 16;
const ENTRIES: usize = 24;
const TOKENS: usize = 26;
const LAST_KIND: usize = 28;
const STATE_BYTES: u32 = 64 + 4 * 29;

/// What the walk shows.
pub struct Walked {
    pub tokens_after: u64,
    pub state_after: Words32,
    pub first_entry: u32,
    /// Completion tokens before the first entry.
    pub tokens_before: u64,
    /// Tokens of the context, all its entries' after one another.
    pub positions: usize,
    pub weights_root: Words32,
}

/// Reads the prologue and the entries of the context, writes the tokens to `tokens` and the words
/// about the session to `journal`. `room` is working memory.
pub fn walk<S: Sha, W: Pieces>(
    sha: &mut S,
    witness: &mut W,
    room: &mut [u32],
    tokens: &mut [u32; MAX_POSITIONS],
    journal: &mut [u32],
) -> Result<Walked, Fault> {
    let mut opening = [0; prologue::WORDS];
    read(witness, &mut opening)?;
    check_header(&opening)?;
    let mut hashed = [0; header::WORDS + PADDING_WORDS + BLOCK_WORDS];
    hashed[..header::WORDS].copy_from_slice(&opening[..header::WORDS]);
    let header_digest = tagged(sha, &HEADER_TAG, &mut hashed, 4 * header::WORDS);
    journal[8 * claim::HEADER_DIGEST..][..8].copy_from_slice(&header_digest);
    journal[8 * claim::CHAIN_ID..8 * (claim::PRICE + 1)]
        .copy_from_slice(&opening[..8 * (header::PRICE + 1)]);
    let mut entry_prefix = [0; 8];
    sha.start(&mut entry_prefix, &ENTRY_TAG, &opening[8 * header::SEED..][..BLOCK_WORDS]);

    let mut state = [0; 8];
    let mut run = [0; 2 * BLOCK_WORDS];
    run[..8].copy_from_slice(&header_digest);
    run[PREVIOUS_STATE..][..8].copy_from_slice(&opening[prologue::PREVIOUS_STATE..][..8]);
    run[LAST_ENTRY..][..8].copy_from_slice(&opening[prologue::LAST_ENTRY..][..8]);
    run[ENTRIES..][..2].copy_from_slice(&opening[prologue::ENTRIES_BEFORE..][..2]);
    run[TOKENS..][..2].copy_from_slice(&opening[prologue::TOKENS_BEFORE..][..2]);
    run[LAST_KIND] = opening[prologue::LAST_KIND];
    run[29] = END_MARKER;
    run[31] = (STATE_BYTES * 8).swap_bytes();
    if run[ENTRIES] | run[ENTRIES + 1] == 0 {
        if run[TOKENS] | run[TOKENS + 1] | run[LAST_KIND] != 0 {
            return Err(Fault::Start);
        }
        let mut initial = [0; 8 + PADDING_WORDS];
        initial[..8].copy_from_slice(&header_digest);
        state = tagged(sha, &INITIAL_STATE_TAG, &mut initial, 32);
    } else {
        sha.start(&mut state, &STATE_TAG, &run);
    }
    let (first_entry, tokens_before) = (run[ENTRIES], tokens_of(&run));

    let mut positions = 0;
    for _ in 0..opening[prologue::ENTRY_COUNT] {
        if run[LAST_KIND] == kind::END || run[ENTRIES + 1] != 0 || run[ENTRIES] == u32::MAX {
            return Err(Fault::Entry);
        }
        let (first, rest) = room.split_at_mut(BLOCK_WORDS);
        read(witness, first)?;
        let (entry_kind, count) = (first[entry::KIND], first[entry::TOKEN_COUNT]);
        if run[ENTRIES] == first_entry && first_entry != 0 && entry_kind != kind::PROMPT {
            return Err(Fault::Start);
        }
        if count as usize > MAX_POSITIONS - positions {
            return Err(Fault::Positions);
        }
        let billed = match entry_kind {
            kind::COMPLETION => count,
            kind::PROMPT => 0,
            kind::END if count == 0 => 0,
            _ => return Err(Fault::Entry),
        };
        first[entry::NUMBER] = run[ENTRIES];
        if entry_kind != kind::COMPLETION {
            first[entry::SAMPLER..][..entry::SAMPLER_WORDS].fill(0);
        }
        let total = entry::blocks(count) as usize * BLOCK_WORDS;
        read(witness, &mut rest[..total - BLOCK_WORDS])?;
        let words = entry::TOKENS + count as usize;
        tokens[positions..][..count as usize].copy_from_slice(&room[entry::TOKENS..words]);
        positions += count as usize;
        let digest = entry_digest(sha, &entry_prefix, &mut room[..total], words);

        run[PREVIOUS_STATE..][..8].copy_from_slice(&state);
        run[LAST_ENTRY..][..8].copy_from_slice(&digest);
        run[ENTRIES] += 1;
        run[LAST_KIND] = entry_kind;
        let sum = tokens_of(&run).checked_add(billed.into()).ok_or(Fault::Entry)?;
        run[TOKENS] = sum as u32;
        run[TOKENS + 1] = (sum >> 32) as u32;
        sha.start(&mut state, &STATE_TAG, &run);
    }
    if positions == 0 {
        return Err(Fault::Positions);
    }
    let mut weights_root = [0; 8];
    weights_root.copy_from_slice(&opening[8 * header::WEIGHTS_ROOT..][..8]);
    if weights_root.iter().all(|word| *word == 0) {
        return Err(Fault::Header);
    }
    Ok(Walked {
        tokens_after: tokens_of(&run),
        state_after: state,
        first_entry,
        tokens_before,
        positions,
        weights_root,
    })
}

fn tokens_of(run: &[u32]) -> u64 {
    u64::from(run[TOKENS]) | u64::from(run[TOKENS + 1]) << 32
}

/// Hashes an entry of `words` words, whose blocks begin behind tag, seed and salt.
fn entry_digest<S: Sha>(sha: &mut S, prefix: &Words32, room: &mut [u32], words: usize) -> Words32 {
    let total = room.len();
    room[words..].fill(0);
    room[words] = END_MARKER;
    room[total - 1] = ((entry::PREFIX_BYTES + 4 * words as u32) * 8).swap_bytes();
    let mut digest = *prefix;
    for part in room.chunks(256) {
        sha.update(&mut digest, part);
    }
    digest
}

/// Chain id below 2^64, addresses of 160 bits.
fn check_header(opening: &[u32]) -> Result<(), Fault> {
    let mut excess = 0;
    for (word, zeros) in
        [(header::CHAIN_ID, 6), (header::MARKETPLACE, 3), (header::HOST, 3), (header::CLIENT, 3)]
    {
        for at in 0..zeros {
            excess |= opening[8 * word + at];
        }
    }
    if excess == 0 {
        Ok(())
    } else {
        Err(Fault::Header)
    }
}

pub fn read<W: Pieces>(witness: &mut W, piece: &mut [u32]) -> Result<(), Fault> {
    if piece.is_empty() || witness.fill(piece) {
        Ok(())
    } else {
        Err(Fault::Truncated)
    }
}
