//! Gives the linker the memory map of a guest.

fn main() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    println!("cargo:rerun-if-changed={folder}/../guest.ld");
    println!("cargo:rustc-link-arg=-T{folder}/../guest.ld");
}
