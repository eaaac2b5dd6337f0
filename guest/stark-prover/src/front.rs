//! The process that the caller talks to: reads requests, hands work to the worker, cancels it.

use std::io::{self, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::thread;

use serde_json::{json, Value};

use crate::images;
use crate::message::{
    parse, read_line, say_fault, say_result, Fault, Line, Op, Request, MAX_LINE_BYTES,
};
use crate::proof;

enum Event {
    Input(Line),
    /// A line that the worker of this generation wrote.
    Output(u64, String),
    WorkerEnded(u64),
}

struct Worker {
    child: Child,
    input: ChildStdin,
    generation: u64,
}

struct Front {
    events: Sender<Event>,
    worker: Option<Worker>,
    generations: u64,
    /// Id of the request that the worker is busy with.
    busy: Option<String>,
}

/// Serves until `shutdown` or the end of standard input.
pub fn run() -> ExitCode {
    let (sender, receiver) = channel();
    let from_caller = sender.clone();
    thread::spawn(move || {
        let mut input = BufReader::new(io::stdin());
        loop {
            let line = read_line(&mut input);
            let ended = matches!(line, Line::End);
            if from_caller.send(Event::Input(line)).is_err() || ended {
                return;
            }
        }
    });
    let mut front = Front { events: sender, worker: None, generations: 0, busy: None };
    front.serve(&receiver);
    front.stop_worker();
    ExitCode::SUCCESS
}

impl Front {
    fn serve(&mut self, events: &Receiver<Event>) {
        while let Ok(event) = events.recv() {
            match event {
                Event::Input(Line::End) => return,
                Event::Input(Line::Fault(fault)) => say_fault(None, &fault),
                Event::Input(Line::Text(text)) if text.trim().is_empty() => {}
                Event::Input(Line::Text(text)) => match parse(&text) {
                    Err((id, fault)) => say_fault(id.as_deref(), &fault),
                    Ok(request) => {
                        if !self.handle(&request, text.trim_end()) {
                            return;
                        }
                    }
                },
                Event::Output(generation, line) => self.relay(generation, &line),
                Event::WorkerEnded(generation) => self.worker_ended(generation),
            }
        }
    }

    /// Returns false when the caller asked to stop.
    fn handle(&mut self, request: &Request, line: &str) -> bool {
        let id = request.id.as_str();
        match &request.op {
            Op::Info {} => say_result(id, info()),
            Op::Shutdown {} => {
                self.abandon("STP-016", "the prover was shut down");
                say_result(id, json!({}));
                return false;
            }
            Op::Cancel { target } if self.busy.as_ref() == Some(target) => {
                self.abandon("STP-016", "cancelled");
                say_result(id, json!({ "cancelled": target }));
            }
            Op::Cancel { target } => say_fault(
                Some(id),
                &Fault::new("STP-017", "nothing to cancel under that id")
                    .because(self.busy.clone().unwrap_or_default(), target.as_str()),
            ),
            Op::Execute(_) | Op::Prove(_) => self.start(id, line),
        }
        true
    }

    fn start(&mut self, id: &str, line: &str) {
        if let Some(busy) = &self.busy {
            let fault =
                Fault::new("STP-018", "busy: one proof at a time").because("idle", busy.as_str());
            return say_fault(Some(id), &fault);
        }
        let sent = self.worker().and_then(|worker| writeln!(worker.input, "{line}"));
        match sent {
            Ok(()) => self.busy = Some(id.to_owned()),
            Err(e) => {
                self.stop_worker();
                say_fault(
                    Some(id),
                    &Fault::new("STP-015", format!("cannot start the worker: {e}")),
                );
            }
        }
    }

    fn worker(&mut self) -> io::Result<&mut Worker> {
        if self.worker.is_none() {
            self.generations += 1;
            self.worker = Some(spawn(self.generations, self.events.clone())?);
        }
        self.worker.as_mut().ok_or_else(|| io::Error::other("no worker"))
    }

    fn relay(&mut self, generation: u64, line: &str) {
        if self.worker.as_ref().map(|worker| worker.generation) != Some(generation) {
            return;
        }
        println!("{line}");
        let value: Value = serde_json::from_str(line).unwrap_or_default();
        if value.get("event").is_none() {
            self.busy = None;
        }
    }

    fn worker_ended(&mut self, generation: u64) {
        let Some(mut worker) = self.worker.take_if(|worker| worker.generation == generation) else {
            return;
        };
        let status = worker.child.wait().map_or_else(|e| e.to_string(), |s| s.to_string());
        if let Some(id) = self.busy.take() {
            let fault = Fault::new("STP-015", format!("the worker died: {status}"));
            say_fault(Some(&id), &fault);
        }
    }

    /// Kills the worker and tells the request that it was busy with.
    fn abandon(&mut self, code: &'static str, message: &str) {
        self.stop_worker();
        if let Some(id) = self.busy.take() {
            say_fault(Some(&id), &Fault::new(code, message));
        }
    }

    fn stop_worker(&mut self) {
        if let Some(mut worker) = self.worker.take() {
            let _ = worker.child.kill();
            let _ = worker.child.wait();
        }
    }
}

fn spawn(generation: u64, events: Sender<Event>) -> io::Result<Worker> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--worker", &std::process::id().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let missing = || io::Error::other("no pipe to the worker");
    let input = child.stdin.take().ok_or_else(missing)?;
    let output = child.stdout.take().ok_or_else(missing)?;
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        while let Line::Text(line) = read_line(&mut output) {
            if events.send(Event::Output(generation, line.trim_end().to_owned())).is_err() {
                return;
            }
        }
        let _ = events.send(Event::WorkerEnded(generation));
    });
    Ok(Worker { child, input, generation })
}

/// What this binary is and can do.
fn info() -> Value {
    let images: serde_json::Map<String, Value> = images::IMAGES
        .iter()
        .filter_map(|image| {
            let id = images::image_id(image.program).ok()?;
            Some((image.name.to_owned(), hex::encode(id).into()))
        })
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "zkvm": format!("risc0-zkvm {}", risc0_zkvm::VERSION),
        "images": images,
        "device": if cfg!(feature = "cuda") { "cuda" } else { "cpu" },
        "succinct": proof::succinct_available(),
        "max_request_bytes": MAX_LINE_BYTES,
    })
}
