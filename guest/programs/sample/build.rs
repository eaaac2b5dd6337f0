//! Gives the linker the memory map of this guest.

fn main() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    println!("cargo:rerun-if-changed={folder}/memory.ld");
    println!("cargo:rustc-link-arg=-T{folder}/memory.ld");
}
