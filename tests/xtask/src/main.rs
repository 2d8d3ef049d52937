//! `cargo xtask`: the project's chores, without dependencies so that it builds in seconds.

mod packages;
mod simulate;
mod test;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  test [CARGO TEST ARGUMENTS]   install what is missing (root on Debian), then fmt check, clippy,
                                the pure core without a run-time, every test of the workspace; a target
                                that fails is run once more and named if it passes then; last, whether
                                the simulator misses rules that are taken out of the protocol
  simulate [ARGUMENTS]          run the simulator (optimised); --help lists its arguments
";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let rest: Vec<String> = words.collect();
    let done = match command.as_str() {
        "test" => test::run(&rest),
        "simulate" => simulate::run(&rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(64);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("xtask: {what}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a step with its output shown; `Err` names it.
fn step(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Result<(), String> {
    let line = format!("{program} {}", arguments.join(" "));
    println!("── {line}");
    let status = command(program, arguments)
        .envs(environment.iter().copied())
        .status()
        .map_err(|error| format!("{line}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{line}: {status}")) }
}

/// A program of a step.
fn command(program: &str, arguments: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(program);
    // No test restarts the machine it runs on, whatever a configuration in it says.
    command.args(arguments).env("EVERBEAT_NO_REBOOT", "1");
    command
}

/// The cargo that runs us.
fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".into())
}
