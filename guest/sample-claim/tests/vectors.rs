//! Challenges and openings that Python and Rust share.

use sample_claim::challenge::{draw, Cell, Population};
use sample_claim::facts::{words, Facts};
use sample_claim::leaves::{is_causal, nodes, Leaf};
use sample_claim::tree::{
    tagged, Climb, Sha, Words32, PADDING_WORDS, ROOT, TRACE_CHALLENGE_TAG, TRACE_LEAF_TAG,
    TRACE_NODE_TAG, TRACE_ROOT_TAG,
};
use serde_json::Value;

struct Processor;

impl Sha for Processor {
    fn start(&mut self, to: &mut Words32, from: &Words32, blocks: &[u32]) {
        let mut state = from.map(u32::swap_bytes);
        for block in blocks.chunks_exact(16) {
            let bytes: Vec<u8> = block.iter().flat_map(|word| word.to_le_bytes()).collect();
            let block: [u8; 64] = bytes.try_into().unwrap();
            sha2::compress256(&mut state, &[block.into()]);
        }
        *to = state.map(u32::swap_bytes);
    }

    fn update(&mut self, state: &mut Words32, blocks: &[u32]) {
        let from = *state;
        self.start(state, &from, blocks);
    }
}

fn document() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/trace-challenge.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn words_of(value: &Value) -> Vec<u32> {
    let bytes = hex::decode(value.as_str().unwrap()).unwrap();
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect()
}

fn number(value: &Value) -> u32 {
    value.as_u64().unwrap() as u32
}

/// The digest of a message behind a tag.
fn hashed(tag: &Words32, message: &[u32]) -> Words32 {
    let mut room = message.to_vec();
    room.resize(message.len() + PADDING_WORDS, 0);
    tagged(&mut Processor, tag, &mut room, 4 * message.len())
}

#[test]
fn challenges_are_drawn_alike() {
    for case in document()["challenges"].as_array().unwrap() {
        let mut message = Vec::new();
        for name in ["root", "state_after", "beacon"] {
            message.extend(words_of(&case[name]));
        }
        let seed = hashed(&TRACE_CHALLENGE_TAG, &message);
        assert_eq!(seed.to_vec(), words_of(&case["seed"]));

        let mut expected = case["cells"].as_array().unwrap().iter();
        for asked in case["plan"].as_array().unwrap() {
            let [kind, draws, layers, elements] =
                ["kind", "draws", "layers", "elements"].map(|name| number(&asked[name]));
            let spans = asked["spans"].as_array().unwrap();
            // The claim's plans have one span, and no choices.
            let first_cells = expected.by_ref().take(draws as usize);
            if spans.len() != 1 {
                first_cells.for_each(drop);
                continue;
            }
            let [first, count] = [0, 1].map(|place| number(&spans[0][place]));
            let population = Population { kind, layers, elements, first, count };
            for (drawn, cell) in first_cells.enumerate() {
                let size = population.size();
                let number_drawn = draw(&mut Processor, &seed, kind, drawn as u32, size);
                if size > u64::from(u32::MAX) && !is_causal(kind) && elements > 1 << 18 {
                    continue; // beyond the claim's bounds
                }
                let found = population.cell(number_drawn);
                let [kind, layer, position, element, key] =
                    [0, 1, 2, 3, 4].map(|place| number(&cell[place]));
                assert_eq!(found, Cell { kind, layer, position, element, key }, "{case}");
            }
        }
    }
}

#[test]
fn openings_lead_to_the_root() {
    let trace = &document()["trace"];
    let shape: Vec<u32> = trace["shape"].as_array().unwrap().iter().map(number).collect();
    let positions = number(&trace["positions"]);
    let mut facts = vec![0; words::count(shape[0] as usize)];
    facts[..7].copy_from_slice(&shape);
    let facts = Facts::read(&facts).unwrap();
    let mut checked = 0;
    for case in trace["openings"].as_array().unwrap() {
        let leaves = case["leaves"].as_array().unwrap();
        if leaves.len() > 1 {
            continue; // no cell of a claim needs several
        }
        let [node, layer, position, piece] =
            ["node", "layer", "position", "first_piece"].map(|name| number(&case[name]));
        let leaf = Leaf::piece(&facts, positions, node, layer, position, piece);
        assert_eq!(leaf.node_index, number(&case["node_index"]));
        assert_eq!(leaf.number, number(&case["first_leaf"]));
        assert_eq!(leaf.of, number(&case["node_leaves"]));
        let bytes = hex::decode(leaves[0].as_str().unwrap()).unwrap();
        assert_eq!(leaf.bytes as usize, bytes.len());

        let mut room = vec![leaf.node_index, position, piece];
        for four in bytes.chunks(4) {
            let mut word = [0; 4];
            word[..four.len()].copy_from_slice(four);
            room.push(u32::from_le_bytes(word));
        }
        room.resize(room.len() + PADDING_WORDS, 0);
        let mut digest = tagged(&mut Processor, &TRACE_LEAF_TAG, &mut room, 12 + bytes.len());
        for (path, at, of) in
            [("node_path", leaf.number, leaf.of), ("top_path", leaf.node_index, nodes(&facts))]
        {
            let path: Vec<u32> = case[path].as_array().unwrap().iter().flat_map(words_of).collect();
            let mut climb = Climb::new(at, of);
            assert_eq!(8 * climb.digests(ROOT), path.len());
            climb.to(&mut Processor, &TRACE_NODE_TAG, &mut digest, &path, ROOT).unwrap();
        }
        let mut root = shape.clone();
        root.push(positions);
        root.extend(digest);
        assert_eq!(hashed(&TRACE_ROOT_TAG, &root).to_vec(), words_of(&trace["root"]));
        checked += 1;
    }
    assert_eq!(checked, 4);
}
