//! Exit statuses of the commands: Pacemaker 2.1.5's numbers (`crm_error -X -l`), which are OCF's below 64.

#![allow(dead_code)] // a vocabulary, whole also where not every word is used yet

pub const OK: u8 = 0;
pub const ERROR: u8 = 1;
/// "Insufficient privileges", as the main daemon uses it.
pub const PERMISSION: u8 = 4;
/// "Not configured": a configuration file is wrong.
pub const CONFIG: u8 = 6;
/// "Incorrect usage".
pub const USAGE: u8 = 64;
/// "Invalid data given".
pub const DATA: u8 = 65;
/// "Input file not available".
pub const NOINPUT: u8 = 66;
/// "I/O error occurred".
pub const IO: u8 = 74;
/// "Invalid configuration".
pub const BAD_CONFIG: u8 = 78;
/// "Not connected".
pub const DISCONNECT: u8 = 102;
/// "No such object".
pub const NOSUCH: u8 = 105;
/// "Quorum required".
pub const QUORUM: u8 = 106;
/// "Timeout occurred".
pub const TIMEOUT: u8 = 124;
