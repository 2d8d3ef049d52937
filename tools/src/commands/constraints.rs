//! `everbeat constraints`: every constraint as a sentence, as pairs, and what is wrong with it.

use std::ffi::OsString;
use std::io::IsTerminal as _;

use clap::Parser;
use crm_core::explain::{self, constraints};

use crate::exit;
use crate::planned::{Failure, Input, answer};

/// Read the constraints aloud: each as one sentence, below it the pairs that the planner makes of it, and
/// after "!" what is wrong with it: contradictory, circular, shadowed by a stronger one, overruled by a
/// weaker one that stands before it, left over from crm_resource --move or --ban, without effect. Each is
/// proved by planning without the constraint (and, at the same time, without others that have nothing to do
/// with it), for the present state, for everything stopped, and with each node in standby; an overruled
/// ordering is moved before the other, with the first of both resources stopped, or failed. Nothing is
/// changed. Of thousands of constraints that takes minutes, of those of one resource seconds; a terminal
/// shows what is being done.
#[derive(Parser)]
#[command(
    name = "everbeat constraints",
    disable_version_flag = true,
    after_help = "Exit status: 0 read, 64 wrong usage, 65 not a configuration, 102 no cluster here, 105 no such file or \
                  resource; with --check also 1: something is wrong with a constraint."
)]
struct Arguments {
    /// Only those that concern this resource, what is in it, or what it is in.
    resource: Option<String>,
    /// Exit with 1 where a constraint is contradictory, circular, ignored, shadowed, overruled, left over
    /// or without any effect.
    #[arg(short = 'c', long)]
    check: bool,
    #[command(flatten)]
    input: Input,
}

/// Makes room for another line in the place of this one.
const WIPED: &str = "\r\x1b[K";

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    answer("constraints", name, arguments, act)
}

fn act(arguments: &Arguments, typed: &str) -> Result<u8, Failure> {
    let (cib, situation) = arguments.input.read("constraints")?;
    let shown = std::io::stderr().is_terminal();
    let mut tell = |what: &str| {
        if shown {
            eprint!("{WIPED}{what} ...");
        }
    };
    let list = explain::constraints_telling(&cib, &situation, arguments.resource.as_deref(), &mut tell);
    if shown {
        eprint!("{WIPED}");
    }
    let list = list.map_err(|unknown| (unknown.to_string(), exit::NOSUCH))?;
    let printed =
        arguments.input.print(typed, "constraints", &constraints::text(&list), &constraints::tree(&list));
    let wrong = list.iter().flat_map(|c| &c.lints).any(|l| l.code != "no-effect-now");
    Ok(match printed {
        Err(status) => status,
        Ok(()) if arguments.check && wrong => exit::ERROR,
        Ok(()) => exit::OK,
    })
}
