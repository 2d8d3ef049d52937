//! Records packets of Heartbeat 3.0.6 (Debian 12): real Heartbeats on namespace hosts, connected by a
//! network and by a serial cable, are brought to say everything they have to say, and the first packet of
//! each kind and notation is kept: the golden cases of `ccm/tests/captures`.
//!
//! `sudo cargo run -p everbeat-tests --bin record-packets DIRECTORY [SCENE…]`

mod ear;
mod scenes;
mod stage;

use std::path::PathBuf;
use std::process::ExitCode;

use ccm::wire::{Keys, Method};
use everbeat_tests::need;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let Some(dir) = words.next().map(PathBuf::from) else {
        eprintln!("usage: record-packets DIRECTORY [SCENE…], scenes: {}", scenes::names().join(" "));
        return ExitCode::from(64);
    };
    let wanted: Vec<String> = words.collect();
    let programs = ["ip", "bridge", "nft", "unshare", "nsenter", "setpriv", "python3", stage::HEARTBEAT];
    if !need::root_and("record-packets", &programs) {
        return ExitCode::FAILURE;
    }
    let keys = match Keys::single(Method::Sha1, stage::SECRET.as_bytes()) {
        Ok(keys) => keys,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let shelf = ear::Shelf::new(keys);
    let played = scenes::play(&wanted, &shelf);
    if let Err(error) = shelf.store(&dir) {
        eprintln!("{}: {error}", dir.display());
        return ExitCode::FAILURE;
    }
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
