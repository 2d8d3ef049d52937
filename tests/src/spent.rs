//! What a process cost: CPU time and peak memory, as the kernel counts them at its end.

use std::io;
use std::process::{Child, Command};
use std::time::Duration;

/// The costs of a process that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Spent {
    /// User and system time, of all its threads and of the children that it waited for.
    pub cpu: Duration,
    /// Greatest resident memory, in KiB. It is at least that of the process which started it.
    pub peak_kib: u64,
    /// It exited with this status; none if a signal ended it.
    pub status: Option<i32>,
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> io::Result<Spent> {
    wait(command.spawn()?)
}

/// Nothing in the standard library or in the crates that are used here gives the usage of one child.
#[allow(unsafe_code, clippy::zombie_processes)]
fn wait(child: Child) -> io::Result<Spent> {
    let pid = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
    let mut status: libc::c_int = 0;
    // SAFETY: all-zero is a value of this plain struct of integers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to live variables of the types that wait4 writes; the child is ours, and
        // nobody else waits for it.
        if unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) } == pid {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    let time = |t: libc::timeval| {
        let micros = u64::try_from(t.tv_usec).unwrap_or(0);
        Duration::from_secs(u64::try_from(t.tv_sec).unwrap_or(0)) + Duration::from_micros(micros)
    };
    Ok(Spent {
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        peak_kib: u64::try_from(usage.ru_maxrss).unwrap_or(0),
        status: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_busy_process_costs_and_an_idle_one_does_not() {
        let sh = |line: &str| run(Command::new("sh").args(["-c", line])).unwrap();
        let busy = sh("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; exit 3");
        assert!(busy.cpu > Duration::from_millis(20), "{busy:?}");
        assert_eq!(busy.status, Some(3));
        assert!(busy.peak_kib > 100, "{busy:?}");
        let idle = sh("sleep 0.3");
        assert!(idle.cpu < busy.cpu, "{idle:?} {busy:?}");
        assert_eq!(sh("kill -9 $$").status, None);
    }
}
