//! The places where Heartbeat's programs were, so that old runbooks work: `/usr/lib/heartbeat` and
//! `/etc/init.d/heartbeat`.

use std::io;
use std::path::Path;

use ccm::config::Paths;

use super::install_links::{make_link, make_links};

/// Names in `/usr/lib/heartbeat` that end in `.py`.
const PYTHON_NAMES: &[&str] = &["haresources2cib.py"];

/// Makes the links and the init script; one line for each place.
///
/// # Errors
/// Those of the file system; a different file that is there already, unless `force`.
pub(super) fn install(binary: &Path, paths: &Paths, force: bool) -> io::Result<Vec<String>> {
    let dir = paths.join("/usr/lib/heartbeat");
    let mut count = make_links(binary, &dir, force)?;
    for name in PYTHON_NAMES {
        make_link(binary, &dir.join(name), force)?;
        count += 1;
    }
    let script = paths.join("/etc/init.d/heartbeat");
    let text = init_script(binary);
    let there = match std::fs::read(&script) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    match there {
        Some(bytes) if bytes == text.as_bytes() => {}
        Some(_) if !force => {
            let text =
                format!("{} is there already and is another one (--force replaces it)", script.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        _ => super::files::replace(&script, text.as_bytes(), 0o755)?,
    }
    Ok(vec![format!("{count} links in {}", dir.display()), format!("init script {}", script.display())])
}

/// An LSB init script; systemd makes a unit `heartbeat` of it.
fn init_script(binary: &Path) -> String {
    // Single quotes keep whatever a path may hold from the shell.
    let quoted = binary.display().to_string().replace('\'', "'\\''");
    format!(
        r#"#!/bin/sh
### BEGIN INIT INFO
# Provides:          heartbeat
# Required-Start:    $remote_fs $network $time $syslog
# Required-Stop:     $remote_fs $network $time $syslog
# Should-Start:      openhpid
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: Everbeat under the name of heartbeat
### END INIT INFO

EVERBEAT='{quoted}'

case "$1" in
    start) exec "$EVERBEAT" heartbeat ;;
    stop) exec "$EVERBEAT" heartbeat -k ;;
    status) exec "$EVERBEAT" heartbeat -s ;;
    restart | force-reload) "$EVERBEAT" heartbeat -k && exec "$EVERBEAT" heartbeat ;;
    reload) exec "$EVERBEAT" heartbeat -r ;;
    *)
        echo "Usage: $0 {{start|stop|status|restart|reload|force-reload}}" >&2
        exit 2
        ;;
esac
"#
    )
}
