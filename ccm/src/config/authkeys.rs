//! `authkeys`: the keys that sign packets (heartbeat.md §6).

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};

use super::problem::{ConfigProblem, Problems, nearest};
use super::{EXIT_CONFIGURATION, EXIT_PERMISSION, Severity};

/// Highest key number: Heartbeat keeps 16 keys.
const KEY_NUMBER_MAX: u8 = 15;

/// How packets are signed with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AuthMethod {
    /// A checksum: no protection against anybody.
    Crc,
    /// HMAC-MD5.
    Md5,
    /// HMAC-SHA1.
    Sha1,
    /// HMAC-SHA256: Everbeat's own and its recommendation; a Heartbeat refuses it.
    HmacSha256,
}

impl AuthMethod {
    const ALL: [AuthMethod; 4] = [AuthMethod::Crc, AuthMethod::Md5, AuthMethod::Sha1, AuthMethod::HmacSha256];

    /// The word of the file.
    pub fn word(self) -> &'static str {
        match self {
            AuthMethod::Crc => "crc",
            AuthMethod::Md5 => "md5",
            AuthMethod::Sha1 => "sha1",
            AuthMethod::HmacSha256 => "hmac-sha256",
        }
    }

    fn from_word(word: &str) -> Option<AuthMethod> {
        AuthMethod::ALL.into_iter().find(|m| m.word() == word)
    }
}

impl fmt::Display for AuthMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The bytes of a key; never shown.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Vec<u8>);

impl Secret {
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Secret(bytes.into())
    }

    /// The bytes, for signing and key derivation only.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthKey {
    pub method: AuthMethod,
    /// Empty for `crc`.
    pub secret: Secret,
    pub line: u32,
}

impl AuthKey {
    /// Eight hexadecimal digits that differ between different keys, to compare nodes without
    /// showing the key: the start of SHA-256 over method and key.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"everbeat key fingerprint\0");
        hash.update(self.method.word().as_bytes());
        hash.update([0]);
        hash.update(self.secret.expose());
        hash.finalize().iter().take(4).map(|b| format!("{b:02x}")).collect()
    }
}

/// A whole `authkeys`: all keys are accepted in packets received, one signs. That is how keys are
/// exchanged: add the new key on every node, then make it the signing one, then remove the old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthKeys {
    pub file: String,
    /// By number, 0..=15.
    pub keys: BTreeMap<u8, AuthKey>,
    /// Number of the key that signs; always in `keys`.
    pub active: u8,
    pub warnings: Vec<ConfigProblem>,
}

impl AuthKeys {
    /// Reads the text of an `authkeys`; `file` is its name for messages.
    ///
    /// # Errors
    /// Every problem of the file when at least one is an error. No message holds a key.
    pub fn parse(text: &str, file: &str) -> Result<AuthKeys, Vec<ConfigProblem>> {
        let mut problems = Problems::new(file);
        let mut keys: BTreeMap<u8, AuthKey> = BTreeMap::new();
        let mut active: Option<(u8, u32)> = None;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, raw) in text.split('\n').enumerate() {
            let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
            // A `#` comments a line out; further on it is part of a key (heartbeat 3.0.6, observed).
            let mut words = raw.split_ascii_whitespace();
            let Some(first) = words.next().filter(|w| !w.starts_with('#')) else { continue };
            if first == "auth" {
                auth_line(words.next(), line, &mut active, &mut problems);
            } else {
                key_line(first, words, line, &mut keys, &mut problems);
            }
        }
        // What follows from a line that is refused already is not said again.
        let refused = |code: &[&str]| problems.list.iter().any(|p| code.contains(&p.code));
        match active {
            None if refused(&["bad-authnum", "no-value"]) => {}
            Some((number, _))
                if !keys.contains_key(&number)
                    && refused(&["bad-authnum", "no-value", "bad-authtype", "needless-key", "no-secret"]) => {
            }
            None => problems.push(
                Severity::Error,
                "no-auth",
                None,
                "Missing auth directive in keyfile",
                "",
                "a line \"auth NUMBER\" that chooses the signing key",
            ),
            Some((number, line)) if !keys.contains_key(&number) => {
                let have: Vec<String> = keys.keys().map(u8::to_string).collect();
                let have = if have.is_empty() { "no key at all".to_string() } else { have.join(" ") };
                let expected = format!("a line \"{number} METHOD KEY\"; the file has {have}");
                problems.error(
                    "no-key",
                    line,
                    format!("Auth Key [{number}] not found in keyfile"),
                    "",
                    expected,
                );
            }
            Some((number, _)) => {
                for (at, key) in keys.iter().filter(|(_, key)| key.method == AuthMethod::Crc) {
                    let what = if *at == number {
                        "crc protects against damage, not against people; \"everbeat keygen\" makes a real key"
                    } else {
                        "every key listed is accepted, and anybody can sign with crc: take this line away once \
                         no node signs with it"
                    };
                    problems.warn("crc", key.line, what);
                }
            }
        }
        problems.list.sort_by_key(|p| p.line.unwrap_or(u32::MAX));
        match active {
            Some((active, _)) if !problems.any_error() => {
                Ok(AuthKeys { file: file.to_string(), keys, active, warnings: problems.list })
            }
            _ => Err(problems.list),
        }
    }

    /// The signing key.
    pub fn active_key(&self) -> Option<&AuthKey> {
        self.keys.get(&self.active)
    }

    /// The rule for the file itself: nobody but its owner may read or write it, and the owner is root
    /// or the user that runs the daemon.
    ///
    /// `mode`: permission bits; `owner`: its uid; `own_uid`: uid of the process that reads it.
    pub fn check_permissions(file: &str, mode: u32, owner: u32, own_uid: u32) -> Option<ConfigProblem> {
        let mut problems = Problems::new(file);
        if mode & 0o077 != 0 {
            problems.push(
                Severity::Error,
                "bad-permissions",
                None,
                format!("Bad permissions on keyfile [{file}], 600 recommended."),
                format!("mode {:03o}", mode & 0o7777),
                format!("chmod 600 {file}"),
            );
        } else if owner != 0 && owner != own_uid {
            problems.push(
                Severity::Error,
                "bad-owner",
                None,
                format!("keyfile [{file}] belongs to somebody else"),
                format!("uid {owner}"),
                format!("chown root {file}"),
            );
        }
        problems.list.pop()
    }
}

fn auth_line(number: Option<&str>, line: u32, active: &mut Option<(u8, u32)>, problems: &mut Problems) {
    let Some(word) = number else {
        problems.error(
            "no-value",
            line,
            "\"auth\" without a number",
            "",
            format!("auth 0..{KEY_NUMBER_MAX}"),
        );
        return;
    };
    let Some(number) = key_number(word) else {
        problems.error(
            "bad-authnum",
            line,
            format!("Invalid authnum [{word}]"),
            "",
            format!("0..{KEY_NUMBER_MAX}"),
        );
        return;
    };
    if let Some((_, first)) = *active {
        problems.error(
            "repeated",
            line,
            format!("\"auth\" is already given on line {first}"),
            word,
            "one auth line; every key listed is accepted, one signs",
        );
        return;
    }
    *active = Some((number, line));
}

fn key_line<'a>(
    number: &str,
    mut words: impl Iterator<Item = &'a str>,
    line: u32,
    keys: &mut BTreeMap<u8, AuthKey>,
    problems: &mut Problems,
) {
    let Some(number) = key_number(number) else {
        // The first word may be a key that lost its number: do not repeat it.
        let shown = if number.bytes().all(|b| b.is_ascii_digit()) { number } else { "a word" };
        let expected = format!("\"auth NUMBER\" or \"NUMBER METHOD KEY\", NUMBER 0..{KEY_NUMBER_MAX}");
        problems.error("bad-authnum", line, format!("Invalid authnum [{shown}]"), "", expected);
        return;
    };
    let Some(word) = words.next() else {
        problems.error(
            "no-value",
            line,
            format!("key {number} without a method"),
            "",
            format!("{number} METHOD KEY"),
        );
        return;
    };
    let Some(method) = AuthMethod::from_word(word) else {
        let near = nearest(word, AuthMethod::ALL.map(AuthMethod::word));
        // An unknown method may be a key: show it only when it looks like a method.
        let shown = near.map_or("a word", |_| word);
        problems.error(
            "bad-authtype",
            line,
            format!("Invalid authtype [{shown}]"),
            "",
            "crc, md5, sha1 or hmac-sha256",
        );
        return;
    };
    let secret = words.next();
    match (method, secret) {
        (AuthMethod::Crc, Some(_)) => {
            problems.error(
                "needless-key",
                line,
                "Auth method [crc] doesn't use a key",
                "",
                format!("\"{number} crc\" alone"),
            );
            return;
        }
        (AuthMethod::Crc, None) => {}
        (_, None) => {
            problems.error(
                "no-secret",
                line,
                format!("Auth method [{method}] requires a key"),
                "",
                format!("{number} {method} KEY"),
            );
            return;
        }
        (_, Some(_)) => {}
    }
    if words.next().is_some_and(|w| !w.starts_with('#')) {
        problems.warn(
            "rest-ignored",
            line,
            format!("key {number} is one word; the rest of the line is not part of it"),
        );
    }
    let secret = Secret::new(secret.unwrap_or("").as_bytes());
    if method != AuthMethod::Crc && secret.expose().len() < 8 {
        problems.note(
            "short-key",
            line,
            format!("key {number} is short; \"everbeat keygen\" makes a real one"),
        );
    }
    if let Some(other) = keys.get(&number) {
        problems.error(
            "repeated",
            line,
            format!("key {number} is already given on line {}", other.line),
            "",
            "one line a key",
        );
        return;
    }
    keys.insert(number, AuthKey { method, secret, line });
}

fn key_number(word: &str) -> Option<u8> {
    let digits = !word.is_empty() && word.len() <= 3 && word.bytes().all(|b| b.is_ascii_digit());
    if digits { word.parse().ok().filter(|n| *n <= KEY_NUMBER_MAX) } else { None }
}

/// The exit status that a start ends with when it meets these problems.
pub fn exit_status(problems: &[ConfigProblem]) -> u8 {
    let permission = |p: &ConfigProblem| matches!(p.code, "bad-permissions" | "bad-owner" | "not-readable");
    if problems.iter().any(permission) { EXIT_PERMISSION } else { EXIT_CONFIGURATION }
}
