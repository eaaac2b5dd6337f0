//! The little that a guest needs of its machine: start, input, SHA-256, output, stop.
//!
//! `risc0_zkvm::guest` does the same for any program; this does it for programs without a heap
//! and with a journal of fixed size, in a tenth of the pages. Every page of code or data that is
//! touched costs more than a thousand cycles, so that is most of what a small window costs.

use core::arch::asm;
use core::cell::UnsafeCell;

use risc0_zkvm_platform::{
    fileno,
    syscall::{ecall, sys_halt, sys_panic, sys_read_words, sys_write},
};
use session_claim::{layout, Sha, Witness, Words32};

/// The claim and the padding that SHA-256 adds to it: nine blocks.
pub const JOURNAL_WORDS: usize = 144;

/// Static memory of a program that has one thread.
#[repr(transparent)]
pub struct Static<T>(UnsafeCell<T>);

// SAFETY: the machine has one thread.
unsafe impl<T> Sync for Static<T> {}

impl<T> Static<T> {
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// # Safety
    /// At most one call for each static.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn get(&self) -> &mut T {
        &mut *self.0.get()
    }
}

/// SHA-256 on the circuit: 68 cycles a block.
pub struct Circuit;

impl Sha for Circuit {
    #[inline(always)]
    fn start(&mut self, to: &mut Words32, from: &Words32, blocks: &[u32]) {
        // SAFETY: all three are aligned to words.
        unsafe { sha(to, from, blocks) }
    }

    #[inline(always)]
    fn update(&mut self, state: &mut Words32, blocks: &[u32]) {
        let at: *mut Words32 = state;
        // SAFETY: the circuit reads the state before it writes it.
        unsafe { sha(at, at, blocks) }
    }
}

/// One call of the circuit. At most 1,024 bytes of blocks, the size of the input buffer.
#[inline(always)]
unsafe fn sha(to: *mut Words32, from: *const Words32, blocks: &[u32]) {
    let data = blocks.as_ptr();
    asm!(
        "ecall",
        in("t0") ecall::SHA,
        in("a0") to,
        in("a1") from,
        in("a2") data,
        in("a3") data.add(8),
        in("a4") blocks.len() / layout::BLOCK_WORDS,
        options(nostack),
    );
}

/// Keeps the optimiser from dropping what was written to `value`.
pub fn keep<T>(value: &mut T) {
    // SAFETY: no instruction.
    unsafe { asm!("/* {0} */", in(reg) value, options(nostack)) }
}

/// The witness on standard input.
pub struct Stdin;

impl Witness for Stdin {
    #[inline(always)]
    fn read(&mut self, chunk: &mut [u32; layout::CHUNK_WORDS]) -> usize {
        // SAFETY: the buffer is aligned and as long as is said.
        unsafe { sys_read_words(fileno::STDIN, chunk.as_mut_ptr(), chunk.len()) / 4 }
    }
}

/// SHA-256 of the text `risc0.Output`, the tag of a program's output.
const OUTPUT_TAG: Words32 = [
    0xb3feea77, 0x478ba766, 0xd7e07d74, 0x846217bb, 0x56f55f08, 0x9a008748, 0xa33de65b, 0xd459352d,
];
const SHA256_INIT: Words32 = [
    0x67e6096a, 0x85ae67bb, 0x72f36e3c, 0x3af54fa5, 0x7f520e51, 0x8c68059b, 0xabd9831f, 0x19cde05b,
];

/// Publishes the claim and ends the program successfully.
///
/// The exit digest is that of RISC Zero's `Output`: the tag, the SHA-256 of the journal, no
/// assumptions (zeros), and the number of digests, two (`risc0_binfmt::tagged_struct`).
pub fn commit(journal: &mut [u32; JOURNAL_WORDS]) -> ! {
    const BYTES: u32 = 4 * layout::claim::WORDS as u32;
    // SAFETY: the claim is the first `BYTES` bytes of the journal.
    unsafe { sys_write(fileno::JOURNAL, journal.as_ptr().cast(), BYTES as usize) };
    journal[layout::claim::WORDS] = 0x80;
    journal[JOURNAL_WORDS - 1] = (8 * BYTES).swap_bytes();
    let mut output = [0u32; 32];
    output[..8].copy_from_slice(&OUTPUT_TAG);
    let mut digest = SHA256_INIT;
    Circuit.update(&mut digest, journal);
    output[8..16].copy_from_slice(&digest);
    // Two bytes, little-endian, then the marker of SHA-256.
    output[24] = 0x0080_0002;
    output[31] = (8 * 98u32).swap_bytes();
    Circuit.start(&mut digest, &SHA256_INIT, &output);
    sys_halt(0, &digest)
}

/// Ends the program without a claim.
pub fn stop(reason: &str) -> ! {
    // SAFETY: a string is readable memory.
    unsafe { sys_panic(reason.as_ptr(), reason.len()) }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    stop("GST-000 panic in the guest")
}

// Copies and fills of whole words, which is all that a guest does; anything else byte by byte. The
// general ones of the standard library take half a page of code, and a page costs 335 cycles.
core::arch::global_asm!(
    ".section .text.memory",
    ".globl memcpy",
    "memcpy:",
    "mv a3, a0",
    "add a4, a1, a2",
    "or a5, a0, a1",
    "or a5, a5, a2",
    "andi a5, a5, 3",
    "bnez a5, 3f",
    "j 2f",
    "1: lw a5, 0(a1)",
    "addi a1, a1, 4",
    "sw a5, 0(a3)",
    "addi a3, a3, 4",
    "2: bltu a1, a4, 1b",
    "ret",
    "4: lbu a5, 0(a1)",
    "addi a1, a1, 1",
    "sb a5, 0(a3)",
    "addi a3, a3, 1",
    "3: bltu a1, a4, 4b",
    "ret",
    ".globl memset",
    "memset:",
    "mv a3, a0",
    "add a4, a0, a2",
    "or a5, a0, a2",
    "andi a5, a5, 3",
    "or a5, a5, a1",
    "bnez a5, 3f",
    "j 2f",
    "1: sw zero, 0(a3)",
    "addi a3, a3, 4",
    "2: bltu a3, a4, 1b",
    "ret",
    "4: sb a1, 0(a3)",
    "addi a3, a3, 1",
    "3: bltu a3, a4, 4b",
    "ret",
);

// Entry point: global pointer, stack pointer, then `main`.
core::arch::global_asm!(
    ".section .text._start",
    ".globl _start",
    "_start:",
    ".option push",
    ".option norelax",
    "la gp, __global_pointer$",
    ".option pop",
    "li sp, {stack}",
    "call {main}",
    stack = const 0x0020_0190, // guest.ld
    main = sym start,
);

extern "C" fn start() -> ! {
    crate::main()
}
