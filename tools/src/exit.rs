//! Exit statuses of the commands: Pacemaker 2.1.5's numbers (`crm_error -X -l`), which are OCF's below 64.

#![allow(dead_code)] // a vocabulary, whole also where not every word is used yet

pub const OK: u8 = 0;
pub const ERROR: u8 = 1;
/// "Unimplemented".
pub const UNIMPLEMENTED: u8 = 3;
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
/// "Host does not exist".
pub const NOHOST: u8 = 68;
/// "Internal software bug".
pub const SOFTWARE: u8 = 70;
/// "Operating system error occurred".
pub const OSERR: u8 = 71;
/// "System file not available".
pub const OSFILE: u8 = 72;
/// "Cannot create output file".
pub const CANTCREATE: u8 = 73;
/// "I/O error occurred".
pub const IO: u8 = 74;
/// "Temporary failure, try again".
pub const TEMPFAIL: u8 = 75;
/// "Protocol violated".
pub const PROTOCOL: u8 = 76;
/// "Invalid configuration".
pub const BAD_CONFIG: u8 = 78;
/// "Not connected".
pub const DISCONNECT: u8 = 102;
/// "No such object".
pub const NOSUCH: u8 = 105;
/// "Quorum required".
pub const QUORUM: u8 = 106;
/// "Operation not safe".
pub const UNSAFE: u8 = 107;
/// "Requested item already exists".
pub const EXISTS: u8 = 108;
/// "Multiple items match request".
pub const MULTIPLE: u8 = 109;
/// "Timeout occurred".
pub const TIMEOUT: u8 = 124;

/// What Pacemaker 2.1.5 calls an exit status.
pub fn text(status: u8) -> &'static str {
    match status {
        OK => "OK",
        UNIMPLEMENTED => "Unimplemented",
        PERMISSION => "Insufficient privileges",
        CONFIG => "Not configured",
        USAGE => "Incorrect usage",
        DATA => "Invalid data given",
        NOINPUT => "Input file not available",
        NOHOST => "Host does not exist",
        SOFTWARE => "Internal software bug",
        OSERR => "Operating system error occurred",
        OSFILE => "System file not available",
        CANTCREATE => "Cannot create output file",
        IO => "I/O error occurred",
        TEMPFAIL => "Temporary failure, try again",
        PROTOCOL => "Protocol violated",
        BAD_CONFIG => "Invalid configuration",
        DISCONNECT => "Not connected",
        NOSUCH => "No such object",
        QUORUM => "Quorum required",
        UNSAFE => "Operation not safe",
        EXISTS => "Requested item already exists",
        MULTIPLE => "Multiple items match request",
        TIMEOUT => "Timeout occurred",
        _ => "Error occurred",
    }
}
