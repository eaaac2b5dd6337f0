//! `pack GUEST.elf OUT.bin`: joins a guest with the kernel that it runs on, prints the image id.

use anyhow::{bail, Context, Result};
use risc0_binfmt::{compute_image_id, ProgramBinary};
use risc0_zkos_v1compat::V1COMPAT_ELF;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [guest, out] = arguments.as_slice() else {
        bail!("usage: pack GUEST.elf OUT.bin");
    };
    let elf = std::fs::read(guest).with_context(|| format!("reading {guest}"))?;
    let program = ProgramBinary::new(&elf, V1COMPAT_ELF).encode();
    let image_id = compute_image_id(&program)?;
    std::fs::write(out, &program).with_context(|| format!("writing {out}"))?;
    println!("{image_id}");
    Ok(())
}
