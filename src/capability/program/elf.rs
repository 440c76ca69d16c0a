//! Whether a program needs no other files. Source: `elf(5)`.

use std::io;

const PROGRAM_HEADER: usize = 56;
const PT_INTERP: u32 = 3;

/// Whether a 64-bit ELF program needs no dynamic loader; `None` if it is not such a program. `read` reads at an offset.
///
/// # Errors
/// Those of `read`.
pub fn is_static(read: impl Fn(&mut [u8], u64) -> io::Result<usize>) -> io::Result<Option<bool>> {
    let mut header = [0; 64];
    if read(&mut header, 0)? < header.len() || !header.starts_with(b"\x7fELF\x02\x01") {
        return Ok(None);
    }
    let half = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    // ET_EXEC or ET_DYN; a static program that is position-independent is also ET_DYN.
    if !matches!(half(16), 2 | 3) || usize::from(half(54)) != PROGRAM_HEADER {
        return Ok(None);
    }
    let mut offset = [0; 8];
    offset.copy_from_slice(&header[32..40]);
    let start = u64::from_le_bytes(offset);
    for number in 0..u64::from(half(56)) {
        let mut program = [0; PROGRAM_HEADER];
        let Some(at) = start.checked_add(number * PROGRAM_HEADER as u64) else { return Ok(None) };
        if read(&mut program, at)? < program.len() {
            return Ok(None);
        }
        if program[..4] == PT_INTERP.to_le_bytes() {
            return Ok(Some(false));
        }
    }
    Ok(Some(half(56) > 0))
}
