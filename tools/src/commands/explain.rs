//! `everbeat explain`: why is my resource (not) there?

use std::ffi::OsString;

use clap::Parser;
use crm_core::explain::{self, Tree, text};

use crate::exit;
use crate::planned::{Failure, Input, answer};

/// Say where a resource runs and why, why it does not run elsewhere, why the cluster is about to do what it
/// does, and, where the resource does not run, the smallest change that would let it run: found by trying
/// changes with the planner on a copy. Nothing is changed.
#[derive(Parser)]
#[command(
    name = "everbeat explain",
    disable_version_flag = true,
    after_help = "Exit status: 0 explained (running or not), 64 wrong usage, 65 not a configuration, 102 no cluster here, \
                  105 no such file, resource or node."
)]
struct Arguments {
    /// The resource: a primitive, group, clone, bundle, member or instance; all if absent.
    resource: Option<String>,
    /// What about this node?
    #[arg(short = 'N', long, value_name = "NODE")]
    node: Option<String>,
    /// Why the cluster does what it is about to do: every action with its causes, and nothing else.
    #[arg(short = 'a', long, conflicts_with_all = ["resource", "node"])]
    actions: bool,
    #[command(flatten)]
    input: Input,
}

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    answer("explain", name, arguments, act)
}

fn act(arguments: &Arguments, typed: &str) -> Result<u8, Failure> {
    let (cib, situation) = arguments.input.read("explain")?;
    let printed = if arguments.actions {
        let causes = explain::causes(&cib, &situation);
        let tree = Tree::List("action", causes.iter().map(explain::Cause::tree).collect());
        arguments.input.print(typed, "actions", &text::causes(&causes), &tree)
    } else {
        let list =
            explain::explain(&cib, &situation, arguments.resource.as_deref(), arguments.node.as_deref())
                .map_err(|unknown| (unknown.to_string(), exit::NOSUCH))?;
        arguments.input.print(typed, "explanations", &text::all(&list), &text::tree(&list))
    };
    Ok(printed.err().unwrap_or(exit::OK))
}
