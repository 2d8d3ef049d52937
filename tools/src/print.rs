//! Standard output, where a reader that went away is no failure.

use std::io::{self, Write};

use crate::exit;

/// Write to standard output.
///
/// # Errors
/// The exit status when it cannot be written; said on standard error.
pub fn out(text: &str) -> Result<(), u8> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("standard output: {error}");
            Err(exit::IO)
        }
        _ => Ok(()),
    }
}
