//! The sampling rule: from a witness to the words of a claim.

use arithmetic::Reference;
use session_claim::Pieces;

use crate::cell::{check, operation, tolerance, Model};
use crate::challenge::{draw, Population};
use crate::facts::{self, Facts};
use crate::fault::Fault;
use crate::layout::{claim, head, KINDS, MAX_CELLS, MAX_KEPT, MAX_POSITIONS, MAX_SETTINGS_BYTES};
use crate::layout::{ROOM, SLOTS};
use crate::leaves::{nodes, require_lanes};
use crate::rows::{Crown, Kept, Rows, CROWN};
use crate::settings;
use crate::transcript::{read, walk, Walked};
use crate::tree::{
    tagged, Sha, Words32, PADDING_WORDS, SAMPLE_MODEL_TAG, TRACE_CHALLENGE_TAG, TRACE_ROOT_TAG,
    TRACE_SETTINGS_TAG,
};

/// Working memory, as [`Memory::NEW`] at first. What is no room for words is zeros.
pub struct Memory {
    pub room: [u32; ROOM],
    pub tokens: [u32; MAX_POSITIONS],
    pub facts: [u32; facts::MAX_WORDS + PADDING_WORDS],
    pub slots: [u32; MAX_CELLS * SLOTS],
    pub kept: [Kept; MAX_KEPT],
    pub crown: Crown,
}

impl Memory {
    pub const NEW: Memory = Memory {
        room: [0; ROOM],
        tokens: [0; MAX_POSITIONS],
        facts: [0; facts::MAX_WORDS + PADDING_WORDS],
        slots: [0; MAX_CELLS * SLOTS],
        kept: [None; MAX_KEPT],
        crown: [None; CROWN],
    };
}

/// Checks the cells that the witness must open and writes the claim to `journal`, which holds zeros.
/// Returns the claim's words.
///
/// # Errors
/// A [`Fault`] for the first rule that the witness breaks; `journal` is then meaningless.
pub fn sample<S: Sha, W: Pieces>(
    sha: &mut S,
    witness: &mut W,
    memory: &mut Memory,
    journal: &mut [u32; claim::MAX_WORDS],
) -> Result<usize, Fault> {
    let walked = walk(sha, witness, &mut memory.room, &mut memory.tokens, journal)?;
    let mut opening = [0; head::WORDS];
    read(witness, &mut opening)?;
    let reference = match opening[head::REFERENCE] {
        1 => Reference::Avx2,
        2 => Reference::Avx512,
        _ => return Err(Fault::Settings),
    };
    let settings = settings_digest(sha, witness, opening[head::SETTINGS_BYTES], reference)?;

    let layers = opening[head::LAYERS].min(crate::layout::MAX_LAYERS);
    let count = facts::words::count(layers as usize);
    read(witness, &mut memory.facts[..count])?;
    let model_digest = tagged(sha, &SAMPLE_MODEL_TAG, &mut memory.facts, 4 * count);
    let facts = Facts::read(&memory.facts[..count])?;
    require_lanes(&facts, reference.lanes() as u32)?;
    let positions = walked.positions as u32;
    let mut top = [0; 8];
    top.copy_from_slice(&opening[head::TOP..][..8]);
    let trace_root = trace_root(sha, &facts, positions, &top);

    let plan = Plan::read(witness, &facts, &opening, positions)?;
    let seed = seed(sha, &trace_root, &walked.state_after, &opening[head::BEACON..][..8]);
    let slots = &mut memory.slots[..plan.cells * SLOTS];
    read(witness, slots)?;
    let mut slots = slots.chunks_exact(SLOTS);
    let tokens = &memory.tokens[..walked.positions];
    let model = Model { facts, reference, tokens };
    let mut rows = Rows::new(
        &mut memory.room,
        &mut memory.kept,
        &mut memory.crown,
        top,
        nodes(&facts),
        walked.weights_root,
        facts.weight_rows(),
    );
    for (population, draws) in plan.kinds() {
        let size = population.size();
        for number in 0..draws {
            let cell = population.cell(draw(sha, &seed, population.kind, number, size));
            let slots = slots.next().and_then(|slots| slots.try_into().ok());
            check(&model, &mut rows, sha, witness, slots.ok_or(Fault::Plan)?, cell)?;
        }
    }

    put_pair(journal, claim::KIND_AND_VERSION, claim::KIND, claim::VERSION);
    put_u64(journal, claim::TOKENS_AFTER, walked.tokens_after);
    put_u64(journal, claim::BEFORE, walked.first_entry.into());
    journal[8 * claim::BEFORE + 4] = ((walked.tokens_before >> 32) as u32).swap_bytes();
    journal[8 * claim::BEFORE + 5] = (walked.tokens_before as u32).swap_bytes();
    put_shape(journal, &facts, positions);
    put_name(journal, reference.name().as_bytes());
    put_u64(
        journal,
        claim::BEACON_NUMBER,
        u64::from(opening[head::BEACON_NUMBER]) | u64::from(opening[head::BEACON_NUMBER + 1]) << 32,
    );
    put_pair(journal, claim::COVERED, plan.first, plan.count);
    put_u64(journal, claim::CELLS, plan.cells as u64);
    put_u64(journal, claim::KINDS, plan.kind_count as u64);
    let Walked { state_after, .. } = walked;
    for (word, digest) in [
        (claim::STATE_AFTER, &state_after[..]),
        (claim::TRACE_ROOT, &trace_root),
        (claim::SETTINGS, &settings),
        (claim::MODEL, &model_digest),
        (claim::BEACON, &opening[head::BEACON..][..8]),
    ] {
        journal[8 * word..][..8].copy_from_slice(digest);
    }
    for (number, (population, draws)) in plan.kinds().enumerate() {
        let row = &mut journal[8 * (claim::HEAD + number)..][..8];
        let (kind, size) = (population.kind, population.size());
        row[claim::ROW_KIND] = kind.swap_bytes();
        row[claim::ROW_DRAWS] = draws.swap_bytes();
        row[claim::ROW_OPERATION] = operation(kind).swap_bytes();
        row[claim::ROW_TOLERANCE] = tolerance(kind).swap_bytes();
        row[claim::ROW_POPULATION] = ((size >> 32) as u32).swap_bytes();
        row[claim::ROW_POPULATION + 1] = (size as u32).swap_bytes();
    }
    Ok(8 * (claim::HEAD + plan.kind_count))
}

/// How many cells of which kinds, at which positions.
struct Plan {
    populations: [Population; KINDS],
    draws: [u32; KINDS],
    kind_count: usize,
    cells: usize,
    first: u32,
    count: u32,
}

impl Plan {
    fn read<W: Pieces>(
        witness: &mut W,
        facts: &Facts,
        opening: &[u32],
        positions: u32,
    ) -> Result<Self, Fault> {
        let (first, count) = (opening[head::COVERED_FIRST], opening[head::COVERED_COUNT]);
        if first >= positions || count == 0 || count > positions - first {
            return Err(Fault::Plan);
        }
        let kind_count = opening[head::KINDS] as usize;
        if kind_count > KINDS {
            return Err(Fault::Plan);
        }
        let empty = Population { kind: 0, layers: 0, elements: 0, first: 0, count: 0 };
        let mut plan = Self {
            populations: [empty; KINDS],
            draws: [0; KINDS],
            kind_count,
            cells: 0,
            first,
            count,
        };
        let mut next = 0;
        for number in 0..kind_count {
            let mut asked = [0; 2];
            read(witness, &mut asked)?;
            let [kind, draws] = asked;
            let room = MAX_CELLS - plan.cells;
            if kind < next || kind >= KINDS as u32 || draws == 0 || draws as usize > room {
                return Err(Fault::Plan);
            }
            next = kind + 1;
            plan.cells += draws as usize;
            plan.populations[number] = Population::of(facts, kind, first, count);
            plan.draws[number] = draws;
        }
        if plan.cells == 0 {
            return Err(Fault::Plan);
        }
        Ok(plan)
    }

    fn kinds(&self) -> impl Iterator<Item = (&Population, u32)> {
        self.populations.iter().zip(self.draws).take(self.kind_count)
    }
}

/// What all draws come from. Nothing in it is the prover's to choose: more cells of one kind leave
/// the cells of the others, and the first ones of that kind, as they are.
fn seed<S: Sha>(
    sha: &mut S,
    trace_root: &Words32,
    state_after: &Words32,
    beacon: &[u32],
) -> Words32 {
    let mut words = [0; 24 + PADDING_WORDS];
    words[..8].copy_from_slice(trace_root);
    words[8..16].copy_from_slice(state_after);
    words[16..24].copy_from_slice(beacon);
    tagged(sha, &TRACE_CHALLENGE_TAG, &mut words, 96)
}

fn settings_digest<S: Sha, W: Pieces>(
    sha: &mut S,
    witness: &mut W,
    bytes: u32,
    reference: Reference,
) -> Result<Words32, Fault> {
    let bytes = bytes as usize;
    if bytes == 0 || bytes > MAX_SETTINGS_BYTES {
        return Err(Fault::Settings);
    }
    let mut words = [0; MAX_SETTINGS_BYTES / 4 + PADDING_WORDS];
    read(witness, &mut words[..bytes.div_ceil(4)])?;
    let mut text = [0; MAX_SETTINGS_BYTES];
    for (place, byte) in text[..bytes].iter_mut().enumerate() {
        *byte = (words[place / 4] >> (place % 4 * 8)) as u8;
    }
    settings::require(&text[..bytes], reference)?;
    Ok(tagged(sha, &TRACE_SETTINGS_TAG, &mut words, bytes))
}

fn trace_root<S: Sha>(sha: &mut S, facts: &Facts, positions: u32, top: &Words32) -> Words32 {
    let mut words = [0; 16 + PADDING_WORDS];
    words[..8].copy_from_slice(&sizes(facts, positions));
    words[8..16].copy_from_slice(top);
    tagged(sha, &TRACE_ROOT_TAG, &mut words, 64)
}

fn sizes(facts: &Facts, positions: u32) -> [u32; 8] {
    [
        facts.layers,
        facts.embedding,
        facts.heads,
        facts.kv_heads,
        facts.head_size,
        facts.ffn,
        facts.vocabulary,
        positions,
    ]
}

fn put_shape(journal: &mut [u32], facts: &Facts, positions: u32) {
    for (word, size) in journal[8 * claim::SHAPE..].iter_mut().zip(sizes(facts, positions)) {
        *word = size.swap_bytes();
    }
}

fn put_name(journal: &mut [u32], name: &[u8]) {
    for (place, byte) in name.iter().enumerate() {
        journal[8 * claim::REFERENCE + place / 4] |= u32::from(*byte) << (place % 4 * 8);
    }
}

fn put_u64(journal: &mut [u32], word: usize, value: u64) {
    put_pair(journal, word, (value >> 32) as u32, value as u32);
}

/// Two numbers at the end of a claim word, big-endian.
fn put_pair(journal: &mut [u32], word: usize, high: u32, low: u32) {
    journal[8 * word + 6] = high.swap_bytes();
    journal[8 * word + 7] = low.swap_bytes();
}
