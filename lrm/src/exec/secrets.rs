//! Parameters whose values are not in the CIB but in files of each node, which only root reads.

use std::io::Read;
use std::path::Path;

use crate::{AgentRef, Class, Command, Secrets, SpawnError};

/// Where Heartbeat kept them.
pub(super) const DIR: &str = "/var/lib/heartbeat/lrm/secrets";
/// Longest value, in bytes: the first line of the file.
const LONGEST: u64 = 255;

/// The command with the real values in it.
pub(super) fn fill(command: &Command, which: &Secrets, dir: &Path) -> Result<Command, SpawnError> {
    let mut command = command.clone();
    let named: Vec<String> = command
        .env
        .iter()
        .filter(|(_, value)| *value == Secrets::MARK)
        .map(|(name, _)| name.clone())
        .collect();
    for name in named {
        let parameter = name.strip_prefix("OCF_RESKEY_").unwrap_or(&name);
        match read(dir, &which.rsc, parameter) {
            Ok(value) => drop(command.env.insert(name, value)),
            Err(why) if which.optional => {
                tracing::warn!("{}: going on without the secret {parameter}: {why}", which.rsc);
                command.env.remove(&name);
            }
            Err(why) => return Err(SpawnError::Secrets(why)),
        }
    }
    if let Ok(lines) = std::str::from_utf8(&command.stdin)
        && lines.contains(Secrets::MARK)
    {
        let mut filled = String::new();
        for line in lines.lines() {
            match line.split_once('=') {
                Some((name, Secrets::MARK)) => match read(dir, &which.rsc, name) {
                    Ok(value) => filled.push_str(&format!("{name}={value}\n")),
                    Err(_) if which.optional => {}
                    Err(why) => return Err(SpawnError::Secrets(why)),
                },
                _ => {
                    filled.push_str(line);
                    filled.push('\n');
                }
            }
        }
        command.stdin = filled.into_bytes();
    }
    Ok(command)
}

/// One value. The reason it cannot be had names the file and never the value.
fn read(dir: &Path, rsc: &str, parameter: &str) -> Result<String, String> {
    let plain = |name: &str| AgentRef::new(Class::Lsb, None, name).is_ok();
    if !plain(rsc) || !plain(parameter) {
        return Err(format!("{rsc}/{parameter} cannot be the name of a secret"));
    }
    let path = dir.join(rsc).join(parameter);
    let line = |path: &Path| -> std::io::Result<String> {
        let mut text = String::new();
        std::fs::File::open(path)?.take(LONGEST + 1).read_to_string(&mut text)?;
        Ok(text.lines().next().unwrap_or("").trim_end().to_owned())
    };
    let failed =
        |path: &Path, e: std::io::Error| format!("Unable to load CIB secrets: {}: {e}", path.display());
    let value = line(&path).map_err(|e| failed(&path, e))?;
    let sign = dir.join(rsc).join(format!("{parameter}.sign"));
    let signed = line(&sign).map_err(|e| failed(&sign, e))?;
    if signed != hash(&value) {
        return Err(format!(
            "Unable to load CIB secrets: {} does not belong to {}",
            sign.display(),
            path.display()
        ));
    }
    Ok(value)
}

/// MD5 in hexadecimal: no protection, only a check that file and sign belong together.
fn hash(value: &str) -> String {
    use md5::Digest;
    md5::Md5::digest(value.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn command(env: &[(&str, &str)], stdin: &str) -> Command {
        Command {
            programs: Vec::new(),
            env: env.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            stdin: stdin.into(),
            timeout: None,
            output_limit: 0,
            secrets: None,
        }
    }

    #[test]
    fn marks_are_replaced_by_what_the_node_keeps() {
        let dir = tempfile::tempdir().unwrap();
        let rsc = dir.path().join("db");
        std::fs::create_dir(&rsc).unwrap();
        std::fs::write(rsc.join("password"), "hello \nsecond line\n").unwrap();
        std::fs::write(rsc.join("password.sign"), "5d41402abc4b2a76b9719d911017c592\n").unwrap();
        let must = Secrets { rsc: "db".into(), optional: false };
        let may = Secrets { optional: true, ..must.clone() };

        let c = command(
            &[("OCF_RESKEY_password", "lrm://"), ("OCF_RESKEY_user", "me")],
            "password=lrm://\nuser=me\n",
        );
        let filled = fill(&c, &must, dir.path()).unwrap();
        assert_eq!(filled.env["OCF_RESKEY_password"], "hello");
        assert_eq!(filled.env["OCF_RESKEY_user"], "me");
        assert_eq!(filled.stdin, b"password=hello\nuser=me\n");

        let lost = command(&[("OCF_RESKEY_token", "lrm://")], "token=lrm://\nuser=me\n");
        assert!(
            matches!(fill(&lost, &must, dir.path()), Err(SpawnError::Secrets(why)) if why.contains("db/token"))
        );
        let filled = fill(&lost, &may, dir.path()).unwrap();
        assert!(filled.env.is_empty());
        assert_eq!(filled.stdin, b"user=me\n");

        std::fs::write(rsc.join("password.sign"), "0").unwrap();
        assert!(fill(&c, &must, dir.path()).is_err(), "a value that was changed is not used");
        let outside = command(&[("OCF_RESKEY_../../etc/shadow", "lrm://")], "");
        assert!(fill(&outside, &must, dir.path()).is_err());
    }
}
