//! The signals that ask the executor to stop.

use std::io::{self, ErrorKind, PipeReader, Write};

/// A pipe that carries a byte for every signal that asks to stop. Signals are taken by a thread, through
/// handlers and not by blocking them, because what is blocked here would stay blocked in every agent.
pub(super) fn listen() -> io::Result<PipeReader> {
    let (reader, mut writer) = io::pipe()?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    let (ready, is_ready) = std::sync::mpsc::channel();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let listening = || -> io::Result<_> {
            use tokio::signal::unix::{SignalKind, signal};
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
            let guard = runtime.enter();
            let term = signal(SignalKind::terminate())?;
            let int = signal(SignalKind::interrupt())?;
            let hup = signal(SignalKind::hangup())?;
            drop(guard);
            Ok((runtime, term, int, hup))
        };
        let (runtime, mut term, mut int, mut hup) = match listening() {
            Ok(all) => all,
            Err(e) => {
                let _ = ready.send(Err(e));
                return;
            }
        };
        let _ = ready.send(Ok(()));
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = term.recv() => {}
                    _ = int.recv() => {}
                    // A daemon outlives its terminal.
                    _ = hup.recv() => continue,
                }
                if writer.write_all(b"s").is_err() {
                    return;
                }
            }
        });
    })?;
    is_ready.recv().map_err(|_| io::Error::from(ErrorKind::BrokenPipe))??;
    Ok(reader)
}
