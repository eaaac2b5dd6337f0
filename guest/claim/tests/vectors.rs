//! The vectors that Python made (`tests/vectors/make.py`), on a CPU.

use serde::Deserialize;
use session_claim::{
    account, aggregate, layout, Assume, Fault, JoinFault, Pieces, Sha, Witness, Words32,
};
use sha2::digest::generic_array::GenericArray;

#[derive(Deserialize)]
struct Vectors {
    transcripts: Vec<Transcript>,
    overridden: Vec<Checkpoint>,
    broken: Vec<Broken>,
    aggregates: Vec<Aggregate>,
    broken_aggregates: Vec<Broken>,
}

#[derive(Deserialize)]
struct Aggregate {
    name: String,
    witness: String,
    claim: String,
    assumed: Vec<String>,
    assumptions: String,
}

#[derive(Deserialize)]
struct Transcript {
    name: String,
    checkpoints: Vec<Checkpoint>,
}

#[derive(Deserialize)]
struct Checkpoint {
    #[serde(default)]
    name: String,
    witness: String,
    claim: String,
}

#[derive(Deserialize)]
struct Broken {
    name: String,
    fault: String,
    witness: String,
}

struct Cpu;

impl Sha for Cpu {
    fn start(&mut self, to: &mut Words32, from: &Words32, blocks: &[u32]) {
        *to = *from;
        self.update(to, blocks);
    }

    fn update(&mut self, state: &mut Words32, blocks: &[u32]) {
        let mut native = state.map(u32::swap_bytes);
        for block in blocks.chunks_exact(layout::BLOCK_WORDS) {
            let bytes: Vec<u8> = block.iter().flat_map(|word| word.to_le_bytes()).collect();
            sha2::compress256(&mut native, &[*GenericArray::from_slice(&bytes)]);
        }
        *state = native.map(u32::swap_bytes);
    }
}

struct Slice<'a>(&'a [u32]);

impl Witness for Slice<'_> {
    fn read(&mut self, chunk: &mut [u32; layout::CHUNK_WORDS]) -> usize {
        let count = self.0.len().min(chunk.len());
        let (now, later) = self.0.split_at(count);
        chunk[..count].copy_from_slice(now);
        self.0 = later;
        count
    }
}

impl Pieces for Slice<'_> {
    fn fill(&mut self, piece: &mut [u32]) -> bool {
        let Some((now, later)) = self.0.split_at_checked(piece.len()) else { return false };
        piece.copy_from_slice(now);
        self.0 = later;
        true
    }
}

/// Keeps what was assumed.
struct Listed(Vec<String>);

impl Assume for Listed {
    fn assume(&mut self, claim: &Words32) {
        self.0.push(in_hex(claim));
    }
}

fn in_hex(words: &[u32]) -> String {
    words.iter().map(|word| hex::encode(word.to_le_bytes())).collect()
}

fn words_of(digits: &str) -> Vec<u32> {
    let bytes = hex::decode(digits).unwrap();
    bytes.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
}

/// Claim, claims that it rests on, and the digest of their list.
fn join(witness: &str) -> Result<(String, Vec<String>, String), JoinFault> {
    let words = words_of(witness);
    let mut listed = Listed(Vec::new());
    let mut part = [0; layout::aggregate::PART_WORDS];
    let mut journal = [0; layout::aggregate::MAX_WORDS];
    let joined = aggregate(&mut Cpu, &mut Slice(&words), &mut listed, &mut part, &mut journal)?;
    Ok((in_hex(&journal[..joined.words]), listed.0, in_hex(&joined.assumptions)))
}

fn run(witness: &str) -> Result<String, Fault> {
    let words = words_of(witness);
    let mut chunk = [0; layout::CHUNK_WORDS];
    let mut salt = [0; 8];
    let mut journal = [0; layout::claim::WORDS];
    account(&mut Cpu, &mut Slice(&words), &mut chunk, &mut salt, &mut journal)?;
    Ok(in_hex(&journal))
}

fn vectors() -> Vectors {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/session-claim.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn claims_of_python_are_recomputed() {
    for transcript in vectors().transcripts {
        for (number, checkpoint) in transcript.checkpoints.iter().enumerate() {
            let claim = run(&checkpoint.witness);
            assert_eq!(claim.as_ref(), Ok(&checkpoint.claim), "{} {number}", transcript.name);
        }
    }
}

#[test]
fn what_the_guest_derives_cannot_be_chosen() {
    for case in vectors().overridden {
        assert_eq!(run(&case.witness).as_ref(), Ok(&case.claim), "{}", case.name);
    }
}

#[test]
fn broken_witnesses_are_refused_for_their_own_reason() {
    for case in vectors().broken {
        let fault = run(&case.witness).expect_err(&case.name);
        assert_eq!(fault.code().split(' ').next(), Some(case.fault.as_str()), "{}", case.name);
    }
}

#[test]
fn aggregates_of_python_are_recomputed() {
    for case in vectors().aggregates {
        assert_eq!(
            join(&case.witness),
            Ok((case.claim, case.assumed, case.assumptions)),
            "{}",
            case.name
        );
    }
}

#[test]
fn broken_aggregates_are_refused_for_their_own_reason() {
    for case in vectors().broken_aggregates {
        let fault = join(&case.witness).expect_err(&case.name);
        assert_eq!(fault.code().split(' ').next(), Some(case.fault.as_str()), "{}", case.name);
    }
}

#[test]
fn the_longest_aggregate_fits_a_journal_and_the_next_is_refused() {
    let longest = layout::aggregate::journal_words(layout::aggregate::MAX_PARTS);
    assert_eq!(4 * longest, 64_544);
    assert!(JoinFault::TooMany.code().contains(&layout::aggregate::MAX_PARTS.to_string()));
}

#[test]
fn digests_of_risc_zero_are_those_of_their_tags() {
    use session_claim::receipt;
    use sha2::{Digest, Sha256};
    for (constant, text) in [
        (receipt::OUTPUT_TAG, "risc0.Output"),
        (receipt::RECEIPT_CLAIM_TAG, "risc0.ReceiptClaim"),
        (receipt::ASSUMPTION_TAG, "risc0.Assumption"),
        (receipt::ASSUMPTIONS_TAG, "risc0.Assumptions"),
    ] {
        assert_eq!(in_hex(&constant), hex::encode(Sha256::digest(text)), "{text}");
    }
    let mut halted = Sha256::digest("risc0.SystemState").to_vec();
    halted.extend([0; 36]);
    halted.extend([1, 0]);
    assert_eq!(in_hex(&receipt::HALTED), hex::encode(Sha256::digest(halted)));
}

#[test]
fn tags_are_the_states_after_their_blocks() {
    const SHA256_INIT: Words32 = [
        0x67e6096a, 0x85ae67bb, 0x72f36e3c, 0x3af54fa5, 0x7f520e51, 0x8c68059b, 0xabd9831f,
        0x19cde05b,
    ];
    for (tag, text) in [
        (session_claim::HEADER_TAG, "session-header"),
        (session_claim::INITIAL_STATE_TAG, "initial-state"),
        (session_claim::ENTRY_TAG, "entry"),
        (session_claim::STATE_TAG, "state"),
    ] {
        let mut block = [0u8; 64];
        let text = format!("platformless-ai/v1/{text}");
        block[..text.len()].copy_from_slice(text.as_bytes());
        let words: Vec<u32> =
            block.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
        let mut state = SHA256_INIT;
        Cpu.update(&mut state, &words);
        assert_eq!(state, tag, "{text}");
    }
}
