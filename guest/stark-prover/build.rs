//! The CUDA prover calls the driver's library, which its dependencies leave to us to link.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_CUDA").is_some() {
        println!("cargo:rustc-link-lib=dylib=cuda");
    }
}
