//! Agents that ship with the program, for demonstrations and for machines without resource-agents.

/// Provider of our own agents.
pub const PROVIDER: &str = "everbeat";

/// Name and text of each.
pub const AGENTS: &[(&str, &str)] = &[("Web", include_str!("../agents/Web"))];

/// Writes them below a directory of OCF agents, as `DIR/everbeat/TYPE`, where
/// [`Roots::with_ocf_dir`](crate::Roots::with_ocf_dir) finds them. What is there already with the same
/// text is left alone.
///
/// # Errors
/// The system's, for the first file that could not be written.
#[cfg(feature = "runtime")]
pub fn install(dir: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};

    let dir = dir.join(PROVIDER);
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(&dir)?;
    for (name, text) in AGENTS {
        let path = dir.join(name);
        if std::fs::read_to_string(&path).is_ok_and(|old| old == *text) {
            continue;
        }
        // Never a half-written agent, and never one that is being run (ETXTBSY).
        let new = dir.join(format!(".{name}.{}", std::process::id()));
        let mut file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o755).open(&new)?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        // Whatever the umask was.
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        drop(file);
        std::fs::rename(&new, &path)?;
    }
    Ok(())
}
