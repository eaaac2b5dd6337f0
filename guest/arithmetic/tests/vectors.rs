//! The cells that Python and Rust share.

use arithmetic::block::WeightType;
use arithmetic::rope::Style;
use arithmetic::{attention, exponential, glue, half, product, rope, single, Reference};
use serde_json::Value;

fn document() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/arithmetic-cells.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn cases<'a>(document: &'a Value, name: &str) -> &'a [Value] {
    let found = document[name].as_array().unwrap();
    assert!(!found.is_empty());
    found
}

fn bits(value: &Value) -> u32 {
    u32::from_str_radix(value.as_str().unwrap(), 16).unwrap()
}

/// Bytes as words, filled up with zeros.
fn row(value: &Value) -> Vec<u32> {
    let mut bytes = hex::decode(value.as_str().unwrap()).unwrap();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect()
}

fn reference(case: &Value) -> Reference {
    let name = case["reference"].as_str().unwrap();
    [Reference::Avx2, Reference::Avx512].into_iter().find(|one| one.name() == name).unwrap()
}

fn kind(case: &Value) -> WeightType {
    WeightType::of(case["type"].as_u64().unwrap() as u32).unwrap()
}

#[test]
fn fused_multiply_adds_agree() {
    for case in cases(&document(), "fuse") {
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| bits(&case[i]));
        assert_eq!(single::fuse(a, b, c), d, "{case}");
    }
}

#[test]
fn halves_agree() {
    for case in cases(&document(), "to_half") {
        assert_eq!(half::to_half(bits(&case[0])), Ok(bits(&case[1])), "{case}");
    }
}

#[test]
fn sums_agree() {
    for case in cases(&document(), "tree_sum") {
        assert_eq!(single::tree_sum(&mut row(&case["lanes"])), bits(&case["sum"]));
    }
}

#[test]
fn exponentials_agree() {
    for case in cases(&document(), "exponential") {
        for (x, expected) in row(&case["x"]).into_iter().zip(row(&case["exp"])) {
            let found = exponential::exponential(reference(case), x);
            assert_eq!(found, Ok(expected), "{}", f32::from_bits(x));
        }
    }
}

#[test]
fn weight_products_agree() {
    for case in cases(&document(), "weight_product") {
        let found =
            product::weight_product(kind(case), &row(&case["input"]), &row(&case["weight"]));
        assert_eq!(found, Ok(bits(&case["output"])), "{:?}", kind(case));
    }
}

#[test]
fn embeddings_agree() {
    for case in cases(&document(), "embedding") {
        let weight = row(&case["weight"]);
        for (place, expected) in row(&case["values"]).into_iter().enumerate() {
            assert_eq!(glue::embedding(kind(case), &weight, place), Ok(expected));
        }
    }
}

#[test]
fn norms_agree() {
    for case in cases(&document(), "norm") {
        let (input, weight) = (row(&case["input"]), row(&case["weight"]));
        for (place, expected) in row(&case["output"]).into_iter().enumerate() {
            let found = glue::norm(&input, place, weight[place], bits(&case["epsilon"]));
            assert_eq!(found, Ok(expected));
        }
    }
}

#[test]
fn residual_sums_agree() {
    for case in cases(&document(), "residual") {
        let (left, right) = (row(&case["left"]), row(&case["right"]));
        for (place, expected) in row(&case["sum"]).into_iter().enumerate() {
            assert_eq!(glue::residual(left[place], right[place]), Ok(expected));
        }
    }
}

#[test]
fn gates_agree() {
    for case in cases(&document(), "gate") {
        let (gate, up) = (row(&case["gate"]), row(&case["up"]));
        for (place, expected) in row(&case["output"]).into_iter().enumerate() {
            let found = exponential::gated(reference(case), gate[place], up[place]);
            assert_eq!(found, Ok(expected));
        }
    }
}

#[test]
fn attention_agrees() {
    let document = document();
    for case in cases(&document, "key_product") {
        let found =
            attention::key_product(reference(case), &row(&case["query"]), &row(&case["key"]));
        assert_eq!(found, Ok(bits(&case["score"])));
    }
    for case in cases(&document, "softmax") {
        let scores = row(&case["scores"]);
        for (key, expected) in row(&case["weights"]).into_iter().enumerate() {
            let found = attention::softmax(reference(case), &scores, key, bits(&case["scale"]));
            assert_eq!(found, Ok(expected));
        }
    }
    for case in cases(&document, "value_product") {
        let found = attention::value_product(
            reference(case),
            &row(&case["weights"]),
            &row(&case["values"]),
        );
        assert_eq!(found, Ok(bits(&case["output"])));
    }
}

#[test]
fn turns_agree() {
    for case in cases(&document(), "cosine_and_sine") {
        let expected = [1, 2].map(|i| case[i].as_str().unwrap().parse::<i64>().unwrap());
        let (cosine, sine) = rope::cosine_and_sine(bits(&case[0])).unwrap();
        assert_eq!([cosine, sine], expected, "{case}");
    }
}

#[test]
fn rotations_are_accepted_and_refused_alike() {
    for case in cases(&document(), "rope") {
        let style = Style::of(case["style"].as_u64().unwrap() as u32).unwrap();
        let (head, rotated) = (row(&case["head"]), row(&case["rotated"]));
        let position = case["position"].as_u64().unwrap() as u32;
        let all = (0..head.len()).all(|element| {
            rope::is_rotated(style, bits(&case["angle_scale"]), position, &head, &rotated, element)
                .unwrap()
        });
        assert_eq!(all, case["accepted"].as_bool().unwrap(), "{position}");
    }
}
