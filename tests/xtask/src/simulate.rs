//! `cargo xtask simulate`: the simulator, built with optimisation.

use super::{cargo, step};

pub fn run(arguments: &[String]) -> Result<(), String> {
    let mut words = vec!["run", "--quiet", "--release", "--package", "everbeat-tests"];
    // Rules of the protocol can be taken out of no other program than this one.
    if arguments.iter().any(|a| a == "--sabotage") {
        words.extend(["--features", "sabotage"]);
    }
    words.extend(["--bin", "everbeat-simulate", "--"]);
    words.extend(arguments.iter().map(String::as_str));
    step(&cargo(), &words, &[])
}
