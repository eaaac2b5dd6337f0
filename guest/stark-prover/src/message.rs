//! What goes over the pipes: requests, replies and coded errors.

use std::io::{self, BufRead, Write};

use serde::Deserialize;
use serde_json::{json, Value};

/// Longest request, in bytes with its newline: a witness of four million tokens.
pub const MAX_LINE_BYTES: usize = 32 << 20;
const MAX_ID_BYTES: usize = 128;
const OPERATIONS: [&str; 5] = ["info", "execute", "prove", "cancel", "shutdown"];

/// A request, one JSON object a line: an `id` and the fields of an [`Op`]. Unknown fields are
/// refused.
#[derive(Clone, Debug)]
pub struct Request {
    /// Chosen by the caller; every reply carries it.
    pub id: String,
    pub op: Op,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
pub enum Op {
    Info {},
    Execute(Job),
    Prove(Job),
    Cancel { target: String },
    Shutdown {},
}

/// What to run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Name of a built-in guest (`session`, `aggregate`, `sample`).
    pub image: String,
    /// A packed program to run instead of the built-in one; its receipts verify only for
    /// whoever trusts its image id.
    #[serde(default)]
    pub program_path: Option<String>,
    /// The private input, base64.
    pub witness: String,
    /// Memory that proving may take, in bytes; bounds the size of a segment.
    pub memory_bytes: u64,
    /// Files that each hold the receipt (bincode of `InnerReceipt`) of a claim on which the guest
    /// may rest.
    #[serde(default)]
    pub assumptions: Vec<String>,
    /// Digests (hex) of claims that `execute` takes as proven: what will the proof take, before its
    /// parts are proven? Refused by `prove`.
    #[serde(default)]
    pub assumed: Vec<String>,
    /// Kind of receipt wanted from `prove`.
    #[serde(default)]
    pub receipt: ReceiptKind,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReceiptKind {
    #[default]
    Composite,
    Succinct,
}

/// An error with a stable code; `expected` and `got` where they help.
#[derive(Debug)]
pub struct Fault {
    pub code: &'static str,
    pub message: String,
    pub expected: Value,
    pub got: Value,
}

impl Fault {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), expected: Value::Null, got: Value::Null }
    }

    pub fn because(mut self, expected: impl Into<Value>, got: impl Into<Value>) -> Self {
        self.expected = expected.into();
        self.got = got.into();
        self
    }
}

/// Writes one line to standard output and flushes it.
fn say(value: &Value) {
    let mut out = io::stdout().lock();
    // A caller that is gone closes standard input too, which ends the process.
    let _ = writeln!(out, "{value}").and_then(|()| out.flush());
}

pub fn say_event(id: &str, event: &str, fields: Value) {
    let mut value = json!({ "id": id, "event": event });
    if let (Some(all), Value::Object(more)) = (value.as_object_mut(), fields) {
        all.extend(more);
    }
    say(&value);
}

pub fn say_result(id: &str, result: Value) {
    say(&json!({ "id": id, "result": result }));
}

pub fn say_fault(id: Option<&str>, fault: &Fault) {
    eprintln!("{} {}", fault.code, fault.message);
    say(&json!({ "id": id, "error": {
        "code": fault.code,
        "message": fault.message,
        "expected": fault.expected,
        "got": fault.got,
    }}));
}

/// A line of input, or what is wrong with it.
pub enum Line {
    Text(String),
    Fault(Fault),
    End,
}

/// Reads one line of at most [`MAX_LINE_BYTES`]; a longer one is skipped to its end.
pub fn read_line(input: &mut impl BufRead) -> Line {
    let mut line = Vec::new();
    let mut length = 0usize;
    loop {
        let available = match input.fill_buf() {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Line::End,
        };
        if available.is_empty() {
            if length == 0 {
                return Line::End;
            }
            return Line::Fault(
                Fault::new("STP-004", "the input ended inside a request")
                    .because("a newline", length),
            );
        }
        let (taken, ended) = match available.iter().position(|b| *b == b'\n') {
            Some(at) => (at + 1, true),
            None => (available.len(), false),
        };
        length += taken;
        if length <= MAX_LINE_BYTES {
            line.extend_from_slice(&available[..taken]);
        } else {
            line = Vec::new();
        }
        input.consume(taken);
        if ended {
            break;
        }
    }
    if length > MAX_LINE_BYTES {
        return Line::Fault(
            Fault::new("STP-003", "request too large").because(MAX_LINE_BYTES, length),
        );
    }
    match String::from_utf8(line) {
        Ok(text) => Line::Text(text),
        Err(_) => Line::Fault(Fault::new("STP-005", "request is not UTF-8")),
    }
}

/// Parses a request; the fault comes with the id, if that much could be read.
pub fn parse(text: &str) -> Result<Request, (Option<String>, Fault)> {
    let mut value: Value = serde_json::from_str(text)
        .map_err(|e| (None, Fault::new("STP-005", format!("request is not JSON: {e}"))))?;
    let id = match value.as_object_mut().and_then(|fields| fields.remove("id")) {
        Some(Value::String(id)) if id.len() <= MAX_ID_BYTES => id,
        _ => {
            let fault = Fault::new("STP-007", "request has no usable id")
                .because(format!("a string of at most {MAX_ID_BYTES} bytes"), Value::Null);
            return Err((None, fault));
        }
    };
    let op = value.get("op").and_then(Value::as_str);
    if !op.is_some_and(|op| OPERATIONS.contains(&op)) {
        let fault = Fault::new("STP-006", "unknown operation")
            .because(OPERATIONS.join(", "), op.unwrap_or("none"));
        return Err((Some(id), fault));
    }
    match serde_json::from_value(value) {
        Ok(op) => Ok(Request { id, op }),
        Err(e) => {
            Err((Some(id), Fault::new("STP-007", format!("request is not as documented: {e}"))))
        }
    }
}
