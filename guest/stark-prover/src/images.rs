//! The guests that are part of this program.

use crate::message::{Fault, Job};

/// A packed guest: user program and kernel.
pub struct Image {
    pub name: &'static str,
    pub program: &'static [u8],
}

pub const IMAGES: &[Image] = &[
    Image { name: "session", program: include_bytes!("../../elf/session.bin") },
    Image { name: "aggregate", program: include_bytes!("../../elf/aggregate.bin") },
    Image { name: "sample", program: include_bytes!("../../elf/sample.bin") },
];

/// Digest of a packed guest, the name by which its proofs are trusted.
pub fn image_id(program: &[u8]) -> Result<[u8; 32], Fault> {
    risc0_binfmt::compute_image_id(program)
        .map(Into::into)
        .map_err(|e| Fault::new("STP-009", format!("not a guest program: {e}")))
}

/// The program that `job` asks for.
pub fn program(job: &Job) -> Result<Vec<u8>, Fault> {
    if let Some(path) = &job.program_path {
        return std::fs::read(path)
            .map_err(|e| Fault::new("STP-009", format!("cannot read program {path}: {e}")));
    }
    IMAGES
        .iter()
        .find(|image| image.name == job.image)
        .map(|image| image.program.to_vec())
        .ok_or_else(|| {
            let known: Vec<&str> = IMAGES.iter().map(|image| image.name).collect();
            Fault::new("STP-008", "unknown image").because(known.join(", "), job.image.as_str())
        })
}
