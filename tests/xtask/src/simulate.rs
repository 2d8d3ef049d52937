//! `cargo xtask simulate`: the simulator, built with optimisation.

use super::{cargo, step};

pub fn run(arguments: &[String]) -> Result<(), String> {
    let mut words = vec![
        "run",
        "--quiet",
        "--release",
        "--package",
        "everbeat-tests",
        "--bin",
        "everbeat-simulate",
        "--",
    ];
    words.extend(arguments.iter().map(String::as_str));
    step(&cargo(), &words, &[])
}
