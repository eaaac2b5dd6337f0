//! The accounting rule: from a witness to the words of a claim.

use crate::fault::Fault;
use crate::hash::{
    bit_length, Sha, Words32, END_MARKER, ENTRY_TAG, HEADER_TAG, INITIAL_STATE_TAG, STATE_TAG,
};
use crate::layout::{claim, entry, header, kind, prologue, Witness, BLOCK_WORDS, CHUNK_WORDS};

/// Recomputes the transcript that `witness` describes and writes its claim to `journal`.
///
/// `journal` must hold zeros. `chunk` is working memory. `salt_kept` receives the session's salt, for
/// the caller to leave untouched: memory is unguessable then at the end of every segment.
///
/// # Errors
/// A [`Fault`] for the first rule that the witness breaks; `journal` is then meaningless.
#[inline(always)]
pub fn account<S: Sha, W: Witness>(
    sha: &mut S,
    witness: &mut W,
    chunk: &mut [u32; CHUNK_WORDS],
    salt_kept: &mut Words32,
    journal: &mut [u32; claim::WORDS],
) -> Result<(), Fault> {
    let mut reader = Reader { witness, chunk, at: CHUNK_WORDS, end: CHUNK_WORDS };
    let opening = reader.opening()?;
    check_header(opening)?;
    *salt_kept = *words32(opening, header::SALT * 8);

    let header_digest = hash_header(sha, opening);
    let mut entry_prefix = [0; 8];
    sha.start(&mut entry_prefix, &ENTRY_TAG, &opening[header::SEED * 8..][..BLOCK_WORDS]);
    let first = is_zero(opening, prologue::CHECKPOINT);
    let mut transcript = Transcript::resume(&header_digest, opening);
    if first != transcript.is_empty() {
        return Err(Fault::Start);
    }
    let mut state = [0; 8];
    if first {
        if !transcript.is_initial() {
            return Err(Fault::Start);
        }
        initial_state(sha, &mut state, &header_digest);
    } else {
        transcript.state(sha, &mut state);
    }

    journal[claim::KIND_AND_VERSION * 8 + 6] = claim::SESSION_KIND.swap_bytes();
    journal[claim::KIND_AND_VERSION * 8 + 7] = claim::VERSION.swap_bytes();
    put(journal, claim::HEADER_DIGEST, &header_digest);
    // Chain id to price stand in the claim as they stand in the header.
    for word in 0..=header::PRICE {
        put(journal, claim::CHAIN_ID + word, words32(opening, 8 * word));
    }
    put(journal, claim::DELTA_DIGEST, words32(opening, prologue::DELTA_DIGEST));
    put(journal, claim::TRACE_ROOT, words32(opening, prologue::TRACE_ROOT));
    put(journal, claim::STATE_BEFORE, &state);
    put_u64(journal, claim::CHECKPOINT, u64_at(opening, prologue::CHECKPOINT));
    put_u64(journal, claim::TOKENS_BEFORE, transcript.tokens());

    let entry_count = opening[prologue::ENTRY_COUNT];
    if entry_count == 0 {
        return Err(Fault::EmptyWindow);
    }
    for _ in 0..entry_count {
        transcript.append(sha, &mut reader, &entry_prefix, &state)?;
        transcript.state(sha, &mut state);
    }
    put(journal, claim::STATE_AFTER, &state);
    put_u64(journal, claim::TOKENS_AFTER, transcript.tokens());
    Ok(())
}

/// Running commitment to the transcript: the two blocks that a state is the hash of.
///
/// Header digest, state before the last entry, digest of the last entry (eight words each), then
/// entries so far and completion tokens so far (`u64`), kind of the last entry, and the padding.
struct Transcript([u32; 2 * BLOCK_WORDS]);

const PREVIOUS_STATE: usize = 8;
const LAST_ENTRY: usize = 16;
const ENTRIES: usize = 24;
const TOKENS: usize = 26;
const LAST_KIND: usize = 28;
const STATE_BYTES: u32 = 64 + 4 * 29;

impl Transcript {
    /// The transcript as the witness says it stood before this window.
    #[inline(always)]
    fn resume(header_digest: &Words32, opening: &[u32; prologue::WORDS]) -> Self {
        let mut words = [0; 2 * BLOCK_WORDS];
        words[..8].copy_from_slice(header_digest);
        words[PREVIOUS_STATE..][..8].copy_from_slice(&opening[prologue::PREVIOUS_STATE..][..8]);
        words[LAST_ENTRY..][..8].copy_from_slice(&opening[prologue::LAST_ENTRY..][..8]);
        words[ENTRIES..][..2].copy_from_slice(&opening[prologue::ENTRIES_BEFORE..][..2]);
        words[TOKENS..][..2].copy_from_slice(&opening[prologue::TOKENS_BEFORE..][..2]);
        words[LAST_KIND] = opening[prologue::LAST_KIND];
        words[29] = END_MARKER;
        words[31] = bit_length(STATE_BYTES);
        Self(words)
    }

    fn is_empty(&self) -> bool {
        is_zero(&self.0, ENTRIES)
    }

    /// No entry, hence no token and no kind of a last entry.
    fn is_initial(&self) -> bool {
        self.is_empty() && is_zero(&self.0, TOKENS) && self.0[LAST_KIND] == kind::NONE
    }

    fn tokens(&self) -> u64 {
        u64_at(&self.0, TOKENS)
    }

    #[inline(always)]
    fn state<S: Sha>(&self, sha: &mut S, to: &mut Words32) {
        sha.start(to, &STATE_TAG, &self.0);
    }

    /// Hashes the next entry of the witness, counts its tokens and appends it after `state`.
    #[inline(always)]
    fn append<S: Sha, W: Witness>(
        &mut self,
        sha: &mut S,
        reader: &mut Reader<W>,
        entry_prefix: &Words32,
        state: &Words32,
    ) -> Result<(), Fault> {
        if self.0[LAST_KIND] == kind::END {
            return Err(Fault::AfterEnd);
        }
        let number = self.0[ENTRIES];
        if self.0[ENTRIES + 1] != 0 || number == u32::MAX {
            return Err(Fault::TokenCount);
        }
        let (entry_kind, token_count) = {
            let opening = reader.peek()?;
            (opening[entry::KIND], opening[entry::TOKEN_COUNT])
        };
        if token_count > entry::MAX_TOKENS {
            return Err(Fault::TokenCount);
        }
        let billed = match entry_kind {
            kind::COMPLETION => token_count,
            kind::PROMPT => prompt_tokens_billed(token_count),
            kind::END if token_count == 0 => 0,
            kind::END => return Err(Fault::TokenCount),
            _ => return Err(Fault::EntryKind),
        };

        // The guest writes what it can derive: the number, the absence of a sampler, and the
        // padding of SHA-256.
        let message_end = entry::TOKENS + token_count as usize;
        let total = entry::blocks(token_count) as usize * BLOCK_WORDS;
        let mut position = 0;
        while position < total {
            let part = reader.take_up_to(total - position)?;
            if position == 0 {
                part[entry::NUMBER] = number;
                if entry_kind != kind::COMPLETION {
                    part[entry::SAMPLER..][..entry::SAMPLER_WORDS]
                        .copy_from_slice(&[0; entry::SAMPLER_WORDS]);
                }
            }
            let part_end = position + part.len();
            if part_end > message_end {
                pad(part, position, message_end, part_end == total);
            }
            let Some(digest) = self.0[LAST_ENTRY..].first_chunk_mut() else { break };
            if position == 0 {
                sha.start(digest, entry_prefix, part);
            } else {
                sha.update(digest, part);
            }
            position = part_end;
        }

        self.0[PREVIOUS_STATE..][..8].copy_from_slice(state);
        self.0[ENTRIES] = number + 1;
        self.0[LAST_KIND] = entry_kind;
        let tokens = self.tokens().checked_add(billed.into()).ok_or(Fault::TokenCount)?;
        self.0[TOKENS] = tokens as u32;
        self.0[TOKENS + 1] = (tokens >> 32) as u32;
        Ok(())
    }
}

/// Prompts are free. The weak test guest bills them, which its image id gives away.
const fn prompt_tokens_billed(token_count: u32) -> u32 {
    if cfg!(feature = "weak") {
        token_count
    } else {
        0
    }
}

/// Writes the padding of SHA-256 over the words of `part` from `message_end` on.
fn pad(part: &mut [u32], position: usize, message_end: usize, last: bool) {
    let from = message_end.saturating_sub(position);
    part[from..].fill(0);
    if message_end >= position {
        part[from] = END_MARKER;
    }
    if last {
        if let Some(length) = part.last_mut() {
            *length = bit_length(entry::PREFIX_BYTES + 4 * message_end as u32);
        }
    }
}

/// Hands out the witness in whole blocks from one buffer.
struct Reader<'a, W> {
    witness: &'a mut W,
    chunk: &'a mut [u32; CHUNK_WORDS],
    at: usize,
    end: usize,
}

impl<W: Witness> Reader<'_, W> {
    /// The prologue, with which the witness begins.
    #[inline(always)]
    fn opening(&mut self) -> Result<&[u32; prologue::WORDS], Fault> {
        self.fill()?;
        if self.end < prologue::WORDS {
            return Err(Fault::Truncated);
        }
        self.at = prologue::WORDS;
        self.chunk.first_chunk().ok_or(Fault::Truncated)
    }

    /// The next block, which stays next.
    #[inline(always)]
    fn peek(&mut self) -> Result<&[u32; BLOCK_WORDS], Fault> {
        if self.at == self.end {
            self.fill()?;
        }
        self.chunk[self.at..].first_chunk().ok_or(Fault::Truncated)
    }

    /// At most `words` of the next words, at least a block.
    #[inline(always)]
    fn take_up_to(&mut self, words: usize) -> Result<&mut [u32], Fault> {
        if self.at == self.end {
            self.fill()?;
        }
        let from = self.at;
        self.at = self.end.min(from + words);
        self.chunk.get_mut(from..self.at).ok_or(Fault::Truncated)
    }

    #[inline(never)]
    fn fill(&mut self) -> Result<(), Fault> {
        self.end = self.witness.read(self.chunk) & !(BLOCK_WORDS - 1);
        self.at = 0;
        if self.end == 0 || self.end > CHUNK_WORDS {
            return Err(Fault::Truncated);
        }
        Ok(())
    }
}

fn check_header(opening: &[u32; prologue::WORDS]) -> Result<(), Fault> {
    let mut excess = 0;
    for (word, zeros) in
        [(header::CHAIN_ID, 6), (header::MARKETPLACE, 3), (header::HOST, 3), (header::CLIENT, 3)]
    {
        for at in 0..zeros {
            excess |= opening[word * 8 + at];
        }
    }
    if excess == 0 {
        Ok(())
    } else {
        Err(Fault::HeaderRange)
    }
}

/// SHA-256 over the tag `session-header` and ten claim words.
fn hash_header<S: Sha>(sha: &mut S, opening: &[u32; prologue::WORDS]) -> Words32 {
    const PADDING: [u32; BLOCK_WORDS] = padding(0, 64 + 4 * header::WORDS as u32);
    let mut digest = [0; 8];
    sha.start(&mut digest, &HEADER_TAG, &opening[prologue::HEADER..][..header::WORDS]);
    sha.update(&mut digest, &PADDING);
    digest
}

/// SHA-256 over the tag `initial-state` and the header digest.
fn initial_state<S: Sha>(sha: &mut S, to: &mut Words32, header_digest: &Words32) {
    let mut block = padding(8, 64 + 32);
    block[..8].copy_from_slice(header_digest);
    sha.start(to, &INITIAL_STATE_TAG, &block);
}

/// A last block whose message ends before word `from`.
const fn padding(from: usize, message_bytes: u32) -> [u32; BLOCK_WORDS] {
    let mut block = [0; BLOCK_WORDS];
    block[from] = END_MARKER;
    block[BLOCK_WORDS - 1] = bit_length(message_bytes);
    block
}

/// The eight words from `at` on.
#[inline(always)]
fn words32(words: &[u32; prologue::WORDS], at: usize) -> &Words32 {
    match words[at..].first_chunk() {
        Some(found) => found,
        None => &[0; 8],
    }
}

fn is_zero(words: &[u32], at: usize) -> bool {
    words[at] | words[at + 1] == 0
}

fn u64_at(words: &[u32], at: usize) -> u64 {
    u64::from(words[at]) | u64::from(words[at + 1]) << 32
}

/// One copy of this code, not eight: a page of code costs more than the calls.
#[inline(never)]
fn put(journal: &mut [u32; claim::WORDS], word: usize, value: &Words32) {
    journal[word * 8..][..8].copy_from_slice(value);
}

/// A number as a claim word: big-endian in the last eight bytes. The journal begins as zeros.
#[inline(always)]
fn put_u64(journal: &mut [u32; claim::WORDS], word: usize, value: u64) {
    journal[word * 8 + 6] = ((value >> 32) as u32).swap_bytes();
    journal[word * 8 + 7] = (value as u32).swap_bytes();
}
