//! Checks a RISC Zero receipt; built as a WebAssembly module without imports.
//!
//! The caller copies its input into memory taken with [`alloc`], calls [`verify`] and reads a
//! status; [`detail`] then tells what was expected and what was got. One call an instance: the
//! caller throws the instance away, so memory is never freed.
//!
//! Development receipts have no proof and are refused by type before anything else is looked at,
//! whatever the environment of the caller says: the module has none.

mod check;

pub use check::{check, parameters, Kind, Rejection};

use std::sync::Mutex;

static DETAIL: Mutex<String> = Mutex::new(String::new());

/// Reserves `len` bytes for input.
#[no_mangle]
pub extern "C" fn alloc(len: u32) -> *mut u8 {
    Box::leak(vec![0u8; len as usize].into_boxed_slice()).as_mut_ptr()
}

/// Verifies a receipt. `receipt` is bincode of `InnerReceipt`; `journal` the public output;
/// `image_id` 32 bytes; `allowed` a mask of [`Kind`]s: 1 composite, 2 succinct, 4 Groth16.
///
/// Returns 0 when accepted, else the code of a [`Rejection`].
///
/// # Safety
/// Every pointer must come from [`alloc`] with at least the length given.
#[no_mangle]
pub unsafe extern "C" fn verify(
    receipt: *const u8,
    receipt_len: u32,
    journal: *const u8,
    journal_len: u32,
    image_id: *const u8,
    allowed: u32,
) -> u32 {
    let receipt = std::slice::from_raw_parts(receipt, receipt_len as usize);
    let journal = std::slice::from_raw_parts(journal, journal_len as usize);
    let image_id: [u8; 32] = *image_id.cast();
    match check(receipt, journal, image_id, allowed) {
        Ok(()) => 0,
        Err(rejection) => {
            let code = rejection.code();
            *DETAIL.lock().unwrap() = rejection.to_string();
            code
        }
    }
}

/// Address of the text that explains the last rejection.
#[no_mangle]
pub extern "C" fn detail() -> *const u8 {
    DETAIL.lock().unwrap().as_ptr()
}

/// Bytes of that text.
#[no_mangle]
pub extern "C" fn detail_len() -> u32 {
    DETAIL.lock().unwrap().len() as u32
}

/// Address of the 32-byte digest of the parameters with which receipts of a kind are verified.
#[no_mangle]
pub extern "C" fn verifier_parameters(kind: u32) -> *const u8 {
    match Kind::from_mask(kind) {
        Some(kind) => Box::leak(Box::new(parameters(kind))).as_ptr(),
        None => std::ptr::null(),
    }
}
