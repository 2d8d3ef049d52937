//! `everbeat keygen`: a new random key for `authkeys`.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use ccm::config::{AuthKeys, AuthMethod, Paths, read_authkeys};
use clap::{Parser, ValueEnum};

use super::config::{complain, paths, print};
use crate::exit;

/// Make a random key and print a whole authkeys, or write it.
///
/// With --add, an existing file gets the new key under a free number without using it yet: the first
/// step of a key exchange. Copy it to every node, then make it the signing one with --activate.
#[derive(Parser)]
#[command(name = "everbeat keygen")]
struct Arguments {
    /// How packets are signed; sha1 and md5 are for clusters with an old heartbeat in them.
    #[arg(long, value_enum, default_value_t = Method::HmacSha256)]
    method: Method,
    /// Write to the authkeys file (mode 600) instead of standard output.
    #[arg(long)]
    write: bool,
    /// Replace a file that is there.
    #[arg(long, requires = "write")]
    force: bool,
    /// Add the key to the file that is there; the signing key stays.
    #[arg(long, conflicts_with_all = ["write", "force"])]
    add: bool,
    /// Make key NUMBER of the file the signing one, and print nothing new.
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["write", "force", "add"])]
    activate: Option<u8>,
    /// Directory that stands for the root of the file system.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Method {
    HmacSha256,
    Sha1,
    Md5,
}

impl Method {
    fn method(self) -> AuthMethod {
        match self {
            Method::HmacSha256 => AuthMethod::HmacSha256,
            Method::Sha1 => AuthMethod::Sha1,
            Method::Md5 => AuthMethod::Md5,
        }
    }
}

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let paths = paths(arguments.root.clone());
    match act(&arguments, &paths) {
        Ok(()) => exit::OK,
        Err(Failure { text, status }) => {
            eprintln!("everbeat keygen: {text}");
            status
        }
    }
}

struct Failure {
    text: String,
    status: u8,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let status =
            if error.kind() == io::ErrorKind::PermissionDenied { exit::PERMISSION } else { exit::ERROR };
        Failure { text: error.to_string(), status }
    }
}

fn act(arguments: &Arguments, paths: &Paths) -> Result<(), Failure> {
    let file = paths.authkeys();
    if arguments.add || arguments.activate.is_some() {
        let keys = read_authkeys(&file).map_err(|problems| {
            complain(&problems);
            Failure {
                text: format!("{} is unchanged", file.display()),
                status: ccm::config::exit_status(&problems),
            }
        })?;
        let text = String::from_utf8_lossy(&std::fs::read(&file)?).into_owned();
        let text = match arguments.activate {
            Some(number) => activate(&text, &keys, number)?,
            None => add(&text, &keys, arguments.method.method())?,
        };
        super::files::replace(&file, text.as_bytes(), 0o600)?;
        return Ok(());
    }
    let text = format!("auth 1\n1 {} {}\n", arguments.method.method(), random_key()?);
    if !arguments.write {
        print(&text);
        return Ok(());
    }
    if file.exists() && !arguments.force {
        let text = format!("{} is there already (--force replaces it, --add adds a key)", file.display());
        return Err(Failure { text, status: exit::ERROR });
    }
    super::files::replace(&file, text.as_bytes(), 0o600)?;
    Ok(())
}

fn add(text: &str, keys: &AuthKeys, method: AuthMethod) -> Result<String, Failure> {
    let free = (1..=15).find(|n| !keys.keys.contains_key(n)).ok_or_else(|| Failure {
        text: "every key number from 1 to 15 is in use; remove an old key first".into(),
        status: exit::CONFIG,
    })?;
    let separator = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    eprintln!("key {free} added; key {} still signs", keys.active);
    Ok(format!("{text}{separator}{free} {method} {}\n", random_key()?))
}

fn activate(text: &str, keys: &AuthKeys, number: u8) -> Result<String, Failure> {
    if !keys.keys.contains_key(&number) {
        let have: Vec<String> = keys.keys.keys().map(u8::to_string).collect();
        let text = format!("key {number} is not in the file; it has {}", have.join(" "));
        return Err(Failure { text, status: exit::CONFIG });
    }
    // `auth` goes first: a Heartbeat wants it before its key.
    let is_auth = |line: &&str| line.split_ascii_whitespace().next() == Some("auth");
    let mut out = format!("auth {number}\n");
    for line in text.lines().filter(|l| !is_auth(l)) {
        out.push_str(line);
        out.push('\n');
    }
    eprintln!("key {number} signs now");
    Ok(out)
}

/// 256 bits from the kernel, as 64 hexadecimal digits.
fn random_key() -> io::Result<String> {
    let mut bytes = [0u8; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}
