//! Executing and proving one job.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use anyhow::Context;
use base64::{engine::general_purpose::STANDARD, Engine};
use risc0_zkvm::{
    get_prover_server, sha::Digest, AssumptionReceipt, ExecutorEnv, ExecutorImpl, InnerReceipt,
    ProverOpts, Segment, SegmentRef, Session, SessionEvents, VerifierContext,
};
use serde_json::{json, Value};

use crate::assumptions;
use crate::images;
use crate::message::{say_event, Fault, Job, ReceiptKind};

/// Largest segment that RISC Zero verifies by default: log2 of its cycles.
const MAX_PO2: u32 = 22;
/// Smallest limit at which a run can be cut. The executor cuts 25,000 cycles before the limit; below
/// this one a segment would hold little but its own paging.
const MIN_CUT_PO2: u32 = 16;
/// Memory that the CPU prover takes for each cycle of a segment, and what it takes besides;
/// measured by `benchmarks/proof_core.py`.
const BYTES_PER_CYCLE: u64 = 9_600;
const BYTES_FIXED: u64 = 64 << 20;
/// A guest that runs longer is refused: an hour of proving.
const MAX_CYCLES: u64 = 1 << 28;

/// Whether this binary was built with the recursion programs that succinct receipts need.
pub fn succinct_available() -> bool {
    risc0_circuit_recursion::prove::zkr::get_zkr("join.zkr", 18).is_ok()
}

/// Memory that the proof of a segment of `2^po2` cycles takes.
fn memory_for(po2: u32) -> u64 {
    (BYTES_PER_CYCLE << po2) + BYTES_FIXED
}

struct Run {
    session: Session,
    segment_po2: Vec<u32>,
    image_id: [u8; 32],
}

/// What a run is made of.
struct Input {
    program: Vec<u8>,
    witness: Vec<u8>,
    assumptions: Vec<AssumptionReceipt>,
}

fn run(job: &Job) -> Result<Run, Fault> {
    let program = images::program(job)?;
    let image_id = images::image_id(&program)?;
    let witness = STANDARD
        .decode(&job.witness)
        .map_err(|e| Fault::new("STP-007", format!("witness is not base64: {e}")))?;
    let input = Input { program, witness, assumptions: assumptions::load(job)? };
    let (session, segment_po2) = fitting_session(&input, job.memory_bytes)?;
    Ok(Run { session, segment_po2, image_id })
}

/// Runs the guest so that each segment's proof fits `memory_bytes`: in one segment of the smallest
/// power of two that holds it, or, where that is too large, cut into segments that fit.
fn fitting_session(input: &Input, memory_bytes: u64) -> Result<(Session, Vec<u32>), Fault> {
    let whole = execute_guest(input, MAX_PO2).map_err(refused)?;
    let sizes = segment_sizes(&whole)?;
    if let [po2] = sizes[..] {
        if memory_for(po2) <= memory_bytes {
            return Ok((whole, sizes));
        }
    }
    let fits = |po2: &u32| memory_for(*po2) <= memory_bytes;
    let Some(limit) = (MIN_CUT_PO2..=MAX_PO2).rev().find(fits) else {
        let least = sizes.iter().map(|po2| (*po2).min(MIN_CUT_PO2)).max().unwrap_or(MIN_CUT_PO2);
        return Err(Fault::new("STP-010", "memory budget too small for a segment of this run")
            .because(memory_for(least), memory_bytes));
    };
    let session = execute_guest(input, limit).map_err(refused)?;
    let sizes = segment_sizes(&session)?;
    Ok((session, sizes))
}

fn segment_sizes(session: &Session) -> Result<Vec<u32>, Fault> {
    let size = |segment: &Box<dyn SegmentRef>| segment.resolve().map(|whole| whole.po2() as u32);
    session.segments.iter().map(size).collect::<anyhow::Result<_>>().map_err(internal)
}

/// Runs the guest, in segments of at most `2^limit` cycles.
fn execute_guest(input: &Input, limit: u32) -> anyhow::Result<Session> {
    let mut builder = ExecutorEnv::builder();
    builder.write_slice(&input.witness).segment_limit_po2(limit).session_limit(Some(MAX_CYCLES));
    for assumption in &input.assumptions {
        builder.add_assumption(assumption.clone());
    }
    if let Some(path) = std::env::var_os("STARK_PROVER_PROFILE") {
        builder.enable_profiler(path);
    }
    let env = builder.build().context("building the environment")?;
    ExecutorImpl::from_elf(env, &input.program)?.run()
}

/// Why the executor stopped: the guest's own reason, or a claim that it could not rest on.
fn refused(error: anyhow::Error) -> Fault {
    let why = format!("{error:#}");
    if why.contains("no receipt found to resolve assumption") {
        return Fault::new(
            "STP-021",
            format!("no assumption proves what the guest rests on: {why}"),
        );
    }
    Fault::new("STP-011", format!("the guest refused the witness: {why}"))
}

/// Counts what a proof would take; makes none.
pub fn execute(job: &Job) -> Result<Value, Fault> {
    let run = run(job)?;
    Ok(describe(&run))
}

fn describe(run: &Run) -> Value {
    let journal = run.session.journal.as_ref().map(|journal| journal.bytes.as_slice());
    json!({
        "image_id": hex::encode(run.image_id),
        "journal": hex::encode(journal.unwrap_or_default()),
        "segments": run.segment_po2.len(),
        "segment_po2": run.segment_po2,
        "user_cycles": run.session.user_cycles,
        "paging_cycles": run.session.paging_cycles,
        "reserved_cycles": run.session.reserved_cycles,
        "total_cycles": run.session.total_cycles,
        "memory_bytes": run.segment_po2.iter().max().map_or(0, |po2| memory_for(*po2)),
    })
}

/// Builds a proof; tells `id` of each segment.
pub fn prove(id: &str, job: &Job) -> Result<Value, Fault> {
    if job.receipt == ReceiptKind::Succinct && !succinct_available() {
        return Err(Fault::new("STP-012", "this binary cannot make succinct receipts")
            .because("a build with the recursion programs", "a build without them"));
    }
    if !job.assumed.is_empty() {
        return Err(Fault::new("STP-022", "a proof cannot rest on claims without receipts")
            .because("no assumed claims", job.assumed.len()));
    }
    let started = Instant::now();
    let mut run = run(job)?;
    let described = describe(&run);
    say_event(id, "executed", described.clone());

    run.session.add_hook(Progress {
        id: id.to_owned(),
        started,
        total: run.segment_po2.len(),
        cycles_total: run.session.total_cycles,
        done: Rc::default(),
        cycles_done: Rc::default(),
    });
    let options = match job.receipt {
        ReceiptKind::Composite => ProverOpts::composite(),
        ReceiptKind::Succinct => ProverOpts::succinct(),
    };
    let prover = get_prover_server(&options).map_err(internal)?;
    let context = VerifierContext::default().with_dev_mode(false);
    let composite = prover.prove_session(&context, &run.session).map_err(internal)?.receipt;
    let receipt = prover.compress(&options, &composite).map_err(internal)?;
    receipt
        .verify(Digest::from(run.image_id))
        .map_err(|e| Fault::new("STP-014", format!("the finished receipt does not verify: {e}")))?;

    let encoded = bincode::serialize(&receipt.inner).map_err(|e| internal(e.into()))?;
    let mut result = described;
    if let Some(fields) = result.as_object_mut() {
        let more = json!({
            "receipt": STANDARD.encode(encoded),
            "receipt_kind": match receipt.inner {
                InnerReceipt::Composite(_) => "composite",
                InnerReceipt::Succinct(_) => "succinct",
                _ => return Err(Fault::new("STP-014", "the prover made a receipt of another kind")),
            },
            "verifier_parameters": hex::encode(receipt.inner.verifier_parameters()),
            "prove_seconds": started.elapsed().as_secs_f64(),
            "peak_memory_bytes": peak_memory_bytes(),
        });
        fields.extend(more.as_object().cloned().unwrap_or_default());
    }
    Ok(result)
}

/// Tells the caller of each segment that is done.
struct Progress {
    id: String,
    started: Instant,
    total: usize,
    cycles_total: u64,
    done: Rc<Cell<usize>>,
    cycles_done: Rc<Cell<u64>>,
}

impl SessionEvents for Progress {
    fn on_post_prove_segment(&self, segment: &Segment) {
        self.done.set(self.done.get() + 1);
        self.cycles_done.set(self.cycles_done.get() + (1u64 << segment.po2()));
        say_event(
            &self.id,
            "segment",
            json!({
                "done": self.done.get(),
                "total": self.total,
                "cycles_done": self.cycles_done.get(),
                "cycles_total": self.cycles_total,
                "elapsed_seconds": self.started.elapsed().as_secs_f64(),
            }),
        );
    }
}

fn internal(error: anyhow::Error) -> Fault {
    Fault::new("STP-013", format!("the prover failed: {error:#}"))
}

/// Highest resident memory of this process so far, from `/proc/self/status` (`VmHWM`).
fn peak_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok())
        .map_or(0, |kib| kib * 1024)
}
