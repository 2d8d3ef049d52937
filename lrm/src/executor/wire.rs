//! The messages between executor and core: a 32-bit length, a byte that says which, and its fields.
//! A descriptor travels by SCM_RIGHTS with the first byte of its [`Reply::Opened`].

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::codec::{Reader, Truncated, Writer};
use crate::{Command, End, ExecId, Outcome, Program, Secrets, SpawnError};

/// What both ends must speak. They are the same binary, but a core may be started by an executor that
/// was running when the binary was replaced.
pub const VERSION: u32 = 2;
/// The first version that knows [`Request::Spawn::until`] and [`Request::Keep`].
pub const SINCE_KEEP: u32 = 2;

/// Longest message, in bytes, without its length: two outputs of the largest size and a note.
pub const MESSAGE_MAX: usize = 1024 * 1024;

/// What the core asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    Hello {
        version: u32,
        /// The configuration allows a reboot of the machine (`crm yes`).
        may_reboot: bool,
    },
    /// Run a command. Answered by `Started` if it runs, and in any case by `Exited`.
    Spawn {
        exec: ExecId,
        note: Vec<u8>,
        command: Command,
        /// Not to be started at or after this time of CLOCK_BOOTTIME: the node's lease has lapsed then, and
        /// others may have taken over (protocol R6.4). Looked at right before the start.
        until: Option<Duration>,
    },
    /// Remember this for the next life of the core; `None` forgets it.
    Keep {
        key: String,
        note: Option<Vec<u8>>,
    },
    Kill {
        exec: ExecId,
    },
    /// The result of this run is no longer needed.
    Confirm {
        exec: ExecId,
    },
    Open {
        ticket: u64,
        what: Open,
    },
    /// The core makes progress: keep the watchdog quiet.
    Tickle,
    /// Restart the machine at once.
    Reboot {
        reason: String,
    },
    /// The core is about to exit with this status and need not be started again.
    Bye {
        status: i32,
    },
}

/// What needs privilege to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Open {
    Udp(Udp),
    /// For echo requests to ping nodes.
    Icmp {
        v6: bool,
        device: Option<String>,
    },
    /// A serial line, raw, 8 bits, no parity.
    Serial {
        path: String,
        baud: u32,
    },
    /// A file of the configuration directory, by its name there, to be read. The owner and mode are the
    /// file's own: whoever gets the descriptor can look at them.
    Config {
        name: String,
    },
    /// The executor keeps the watchdog for itself; nothing is passed but the word that it is open.
    Watchdog {
        path: String,
        /// After so many seconds without a tickle it resets the machine.
        timeout_s: u32,
    },
}

/// A UDP socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Udp {
    /// Address and port to bind to.
    pub bind: SocketAddr,
    /// Only packets of this network interface (SO_BINDTODEVICE).
    pub device: Option<String>,
    /// Sending to broadcast addresses.
    pub broadcast: bool,
    /// Others may bind the same port.
    pub reuse: bool,
    pub multicast: Option<Multicast>,
}

/// A multicast group to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multicast {
    pub group: IpAddr,
    /// Name of the interface to join on and to send by.
    pub device: String,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// Whether one's own packets come back.
    pub loopback: bool,
}

/// What the executor says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Welcome {
        version: u32,
        /// Which life of the core this is, from 1.
        generation: u32,
        /// Every run whose end has not been confirmed, with its note.
        runs: Vec<(ExecId, Vec<u8>)>,
    },
    /// What an earlier life of the core asked to be kept; all of it comes before the welcome.
    Kept {
        key: String,
        note: Vec<u8>,
    },
    Started {
        exec: ExecId,
        pid: u32,
    },
    Exited {
        exec: ExecId,
        outcome: Outcome,
    },
    /// A descriptor comes along, except for a watchdog.
    Opened {
        ticket: u64,
        with_fd: bool,
    },
    OpenFailed {
        ticket: u64,
        errno: i32,
        text: String,
    },
    /// Stop all resources and then exit.
    Stop,
}

/// Bytes that are no message. The connection is of no further use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WireError {
    #[error("a message between executor and core ends early")]
    Truncated(#[from] Truncated),
    #[error("a message between executor and core is of the unknown kind {0}")]
    Kind(u8),
    #[error("a message between executor and core is {0} bytes long, more than {MESSAGE_MAX}")]
    TooLong(usize),
    #[error("a message between executor and core goes on after its end")]
    Trailing,
}

impl Request {
    /// The message with its length.
    ///
    /// # Errors
    /// [`WireError::TooLong`]; nothing may be sent then.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        let mut w = Writer::new();
        match self {
            Request::Hello { version, may_reboot } => {
                w.u8(1);
                w.u32(*version);
                w.u8(u8::from(*may_reboot));
            }
            Request::Spawn { exec, note, command, until } => {
                // An executor of version 1 understands a start without a limit.
                w.u8(if until.is_some() { 9 } else { 2 });
                w.u64(exec.0);
                w.bytes(note);
                write_command(&mut w, command);
                if let Some(until) = until {
                    write_duration(&mut w, *until);
                }
            }
            Request::Keep { key, note } => {
                w.u8(10);
                w.str(key);
                w.option(note.as_deref(), Writer::bytes);
            }
            Request::Kill { exec } => {
                w.u8(3);
                w.u64(exec.0);
            }
            Request::Confirm { exec } => {
                w.u8(4);
                w.u64(exec.0);
            }
            Request::Open { ticket, what } => {
                w.u8(5);
                w.u64(*ticket);
                write_open(&mut w, what);
            }
            Request::Tickle => w.u8(6),
            Request::Reboot { reason } => {
                w.u8(7);
                w.str(reason);
            }
            Request::Bye { status } => {
                w.u8(8);
                w.i32(*status);
            }
        }
        frame(w)
    }

    /// Reads one message without its length.
    ///
    /// # Errors
    /// [`WireError`] if it is none.
    pub fn decode(bytes: &[u8]) -> Result<Request, WireError> {
        let mut r = Reader::new(bytes);
        let request = match r.u8()? {
            1 => Request::Hello { version: r.u32()?, may_reboot: flag(&mut r)? },
            kind @ (2 | 9) => Request::Spawn {
                exec: ExecId(r.u64()?),
                note: r.bytes()?.to_vec(),
                command: read_command(&mut r)?,
                until: if kind == 9 { Some(read_duration(&mut r)?) } else { None },
            },
            10 => Request::Keep { key: r.str()?, note: r.option(|r| Ok(r.bytes()?.to_vec()))? },
            3 => Request::Kill { exec: ExecId(r.u64()?) },
            4 => Request::Confirm { exec: ExecId(r.u64()?) },
            5 => Request::Open { ticket: r.u64()?, what: read_open(&mut r)? },
            6 => Request::Tickle,
            7 => Request::Reboot { reason: r.str()? },
            8 => Request::Bye { status: r.i32()? },
            kind => return Err(WireError::Kind(kind)),
        };
        if r.is_empty() { Ok(request) } else { Err(WireError::Trailing) }
    }
}

impl Reply {
    /// The message with its length.
    ///
    /// # Errors
    /// [`WireError::TooLong`]; nothing may be sent then.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        let mut w = Writer::new();
        match self {
            Reply::Welcome { version, generation, runs } => {
                w.u8(1);
                w.u32(*version);
                w.u32(*generation);
                w.len(runs.len());
                for (exec, note) in runs {
                    w.u64(exec.0);
                    w.bytes(note);
                }
            }
            Reply::Started { exec, pid } => {
                w.u8(2);
                w.u64(exec.0);
                w.u32(*pid);
            }
            Reply::Exited { exec, outcome } => {
                w.u8(3);
                w.u64(exec.0);
                write_outcome(&mut w, outcome);
            }
            Reply::Opened { ticket, with_fd } => {
                w.u8(4);
                w.u64(*ticket);
                w.u8(u8::from(*with_fd));
            }
            Reply::OpenFailed { ticket, errno, text } => {
                w.u8(5);
                w.u64(*ticket);
                w.i32(*errno);
                w.str(text);
            }
            Reply::Stop => w.u8(6),
            Reply::Kept { key, note } => {
                w.u8(7);
                w.str(key);
                w.bytes(note);
            }
        }
        frame(w)
    }

    /// Reads one message without its length.
    ///
    /// # Errors
    /// [`WireError`] if it is none.
    pub fn decode(bytes: &[u8]) -> Result<Reply, WireError> {
        let mut r = Reader::new(bytes);
        let reply = match r.u8()? {
            1 => {
                let (version, generation) = (r.u32()?, r.u32()?);
                let n = r.len()?;
                let runs = (0..n)
                    .map(|_| Ok((ExecId(r.u64()?), r.bytes()?.to_vec())))
                    .collect::<Result<_, Truncated>>()?;
                Reply::Welcome { version, generation, runs }
            }
            2 => Reply::Started { exec: ExecId(r.u64()?), pid: r.u32()? },
            3 => Reply::Exited { exec: ExecId(r.u64()?), outcome: read_outcome(&mut r)? },
            4 => Reply::Opened { ticket: r.u64()?, with_fd: flag(&mut r)? },
            5 => Reply::OpenFailed { ticket: r.u64()?, errno: r.i32()?, text: r.str()? },
            6 => Reply::Stop,
            7 => Reply::Kept { key: r.str()?, note: r.bytes()?.to_vec() },
            kind => return Err(WireError::Kind(kind)),
        };
        if r.is_empty() { Ok(reply) } else { Err(WireError::Trailing) }
    }
}

fn frame(w: Writer) -> Result<Vec<u8>, WireError> {
    let body = w.into_bytes();
    if body.len() > MESSAGE_MAX {
        return Err(WireError::TooLong(body.len()));
    }
    let mut framed = Writer::new();
    framed.bytes(&body);
    Ok(framed.into_bytes())
}

/// Takes one message, without its length, off the front of what has arrived.
///
/// # Errors
/// [`WireError::TooLong`] as soon as the length says so.
pub(super) fn take_frame(arrived: &mut Vec<u8>) -> Result<Option<Vec<u8>>, WireError> {
    let Some((length, _)) = arrived.split_first_chunk::<4>() else { return Ok(None) };
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > MESSAGE_MAX {
        return Err(WireError::TooLong(length));
    }
    if arrived.len() < length + 4 {
        return Ok(None);
    }
    let rest = arrived.split_off(length + 4);
    let mut message = std::mem::replace(arrived, rest);
    message.drain(..4);
    Ok(Some(message))
}

fn flag(r: &mut Reader<'_>) -> Result<bool, Truncated> {
    match r.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Truncated),
    }
}

fn write_command(w: &mut Writer, c: &Command) {
    w.len(c.programs.len());
    for p in &c.programs {
        w.bytes(p.path.as_os_str().as_bytes());
        w.option(p.argv0.as_deref(), Writer::str);
        w.len(p.args.len());
        p.args.iter().for_each(|a| w.str(a));
    }
    w.pairs(&c.env);
    w.bytes(&c.stdin);
    w.option(c.timeout, write_duration);
    w.u64(c.output_limit as u64);
    w.option(c.secrets.as_ref(), |w, s| {
        w.str(&s.rsc);
        w.u8(u8::from(s.optional));
    });
}

fn read_command(r: &mut Reader<'_>) -> Result<Command, Truncated> {
    let n = r.len()?;
    let mut programs = Vec::new();
    for _ in 0..n {
        let path = PathBuf::from(std::ffi::OsString::from_vec(r.bytes()?.to_vec()));
        let argv0 = r.option(Reader::str)?;
        let n = r.len()?;
        let args = (0..n).map(|_| r.str()).collect::<Result<_, _>>()?;
        programs.push(Program { path, argv0, args });
    }
    let env: BTreeMap<String, String> = r.pairs()?;
    Ok(Command {
        programs,
        env,
        stdin: r.bytes()?.to_vec(),
        timeout: r.option(read_duration)?,
        // Two outputs of the largest size fit into one message.
        output_limit: usize::try_from(r.u64()?).unwrap_or(usize::MAX).min(Command::OUTPUT_METADATA),
        secrets: r.option(|r| Ok(Secrets { rsc: r.str()?, optional: flag(r)? }))?,
    })
}

fn write_duration(w: &mut Writer, d: Duration) {
    w.u64(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX));
}

fn read_duration(r: &mut Reader<'_>) -> Result<Duration, Truncated> {
    r.u64().map(Duration::from_nanos)
}

fn write_outcome(w: &mut Writer, o: &Outcome) {
    let error = |w: &mut Writer, kind: u8, text: &str| {
        w.u8(kind);
        w.str(text);
    };
    match &o.end {
        End::Code(code) => {
            w.u8(1);
            w.i32(*code);
        }
        End::Signal(signal) => {
            w.u8(2);
            w.i32(*signal);
        }
        End::Timeout => w.u8(3),
        End::Killed => w.u8(4),
        End::Failed(SpawnError::NotFound(text)) => error(w, 5, text),
        End::Failed(SpawnError::Permission(text)) => error(w, 6, text),
        End::Failed(SpawnError::Other(text)) => error(w, 7, text),
        End::Failed(SpawnError::Secrets(text)) => error(w, 8, text),
        End::Failed(SpawnError::Late(text)) => error(w, 9, text),
    }
    w.u64(o.program as u64);
    w.bytes(&o.stdout);
    w.bytes(&o.stderr);
    write_duration(w, o.ran);
}

fn read_outcome(r: &mut Reader<'_>) -> Result<Outcome, WireError> {
    let end = match r.u8()? {
        1 => End::Code(r.i32()?),
        2 => End::Signal(r.i32()?),
        3 => End::Timeout,
        4 => End::Killed,
        5 => End::Failed(SpawnError::NotFound(r.str()?)),
        6 => End::Failed(SpawnError::Permission(r.str()?)),
        7 => End::Failed(SpawnError::Other(r.str()?)),
        8 => End::Failed(SpawnError::Secrets(r.str()?)),
        9 => End::Failed(SpawnError::Late(r.str()?)),
        kind => return Err(WireError::Kind(kind)),
    };
    Ok(Outcome {
        end,
        program: usize::try_from(r.u64()?).unwrap_or(usize::MAX),
        stdout: r.bytes()?.to_vec(),
        stderr: r.bytes()?.to_vec(),
        ran: read_duration(r)?,
    })
}

fn write_ip(w: &mut Writer, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => w.bytes(&ip.octets()),
        IpAddr::V6(ip) => w.bytes(&ip.octets()),
    }
}

fn read_ip(r: &mut Reader<'_>) -> Result<IpAddr, Truncated> {
    let bytes = r.bytes()?;
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        Ok(IpAddr::V4(Ipv4Addr::from(v4)))
    } else if let Ok(v6) = <[u8; 16]>::try_from(bytes) {
        Ok(IpAddr::V6(Ipv6Addr::from(v6)))
    } else {
        Err(Truncated)
    }
}

fn write_open(w: &mut Writer, open: &Open) {
    match open {
        Open::Udp(udp) => {
            w.u8(1);
            write_ip(w, udp.bind.ip());
            w.u32(u32::from(udp.bind.port()));
            // The scope of a link-local address.
            w.u32(if let SocketAddr::V6(v6) = udp.bind { v6.scope_id() } else { 0 });
            w.option(udp.device.as_deref(), Writer::str);
            w.u8(u8::from(udp.broadcast));
            w.u8(u8::from(udp.reuse));
            w.option(udp.multicast.as_ref(), |w, m| {
                write_ip(w, m.group);
                w.str(&m.device);
                w.u8(m.ttl);
                w.u8(u8::from(m.loopback));
            });
        }
        Open::Icmp { v6, device } => {
            w.u8(2);
            w.u8(u8::from(*v6));
            w.option(device.as_deref(), Writer::str);
        }
        Open::Serial { path, baud } => {
            w.u8(3);
            w.str(path);
            w.u32(*baud);
        }
        Open::Config { name } => {
            w.u8(4);
            w.str(name);
        }
        Open::Watchdog { path, timeout_s } => {
            w.u8(5);
            w.str(path);
            w.u32(*timeout_s);
        }
    }
}

fn read_open(r: &mut Reader<'_>) -> Result<Open, WireError> {
    Ok(match r.u8()? {
        1 => {
            let ip = read_ip(r)?;
            let port = u16::try_from(r.u32()?).map_err(|_| Truncated)?;
            let scope = r.u32()?;
            let mut bind = SocketAddr::new(ip, port);
            if let SocketAddr::V6(v6) = &mut bind {
                v6.set_scope_id(scope);
            }
            Open::Udp(Udp {
                bind,
                device: r.option(Reader::str)?,
                broadcast: flag(r)?,
                reuse: flag(r)?,
                multicast: r.option(|r| {
                    Ok(Multicast { group: read_ip(r)?, device: r.str()?, ttl: r.u8()?, loopback: flag(r)? })
                })?,
            })
        }
        2 => Open::Icmp { v6: flag(r)?, device: r.option(Reader::str)? },
        3 => Open::Serial { path: r.str()?, baud: r.u32()? },
        4 => Open::Config { name: r.str()? },
        5 => Open::Watchdog { path: r.str()?, timeout_s: r.u32()? },
        kind => return Err(WireError::Kind(kind)),
    })
}

#[cfg(test)]
mod tests;
