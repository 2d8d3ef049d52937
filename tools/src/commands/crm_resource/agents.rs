//! What needs no cluster: the agents of this machine.

use lrm::exec::Settings;
use lrm::listing::{self, DescribeError};
use lrm::{AgentRef, Class, Roots};

use super::{Arguments, Failure};
use crate::exit;

/// Answers the options about agents; `None` if none of them was given.
pub(super) fn act(arguments: &Arguments) -> Option<Result<(), Failure>> {
    let roots = roots();
    if arguments.list_standards {
        let classes = listing::classes().into_iter().map(|class| class.to_string()).collect();
        return Some(print(classes, || no_such("No standards found")));
    }
    if arguments.list_ocf_providers {
        return Some(print(listing::ocf_providers(&roots), || no_such("No OCF providers found")));
    }
    if let Some(kind) = &arguments.list_ocf_alternatives {
        let found = listing::ocf_alternatives(&roots, kind);
        return Some(print(found, || no_such(&format!("No OCF providers found for {kind}"))));
    }
    if let Some(standard) = &arguments.list_agents {
        return Some(agents(&roots, standard));
    }
    arguments.show_metadata.as_ref().map(|agent| metadata(&roots, agent))
}

/// Where agents are, for the node whose files are below `EVERBEAT_ROOT`.
fn roots() -> Roots {
    match std::env::var_os("EVERBEAT_ROOT") {
        Some(root) => Roots::below(root.as_ref()),
        None => Roots::system(),
    }
}

fn print(lines: Vec<String>, none: impl FnOnce() -> Failure) -> Result<(), Failure> {
    if lines.is_empty() {
        return Err(none());
    }
    for line in lines {
        println!("{line}");
    }
    Ok(())
}

fn no_such(text: &str) -> Failure {
    Failure::new(exit::NOSUCH, format!("{text}\nError performing operation: No such object"))
}

fn agents(roots: &Roots, standard: &str) -> Result<(), Failure> {
    let (class, provider) = match standard.split_once(':') {
        Some((class, provider)) => (class, Some(provider)),
        None => (standard, None),
    };
    let found = match class.parse::<Class>() {
        Ok(class) => listing::agents(roots, class, provider),
        Err(_) => Vec::new(),
    };
    print(found, || {
        let provider = provider.map_or_else(String::new, |p| format!(" and provider '{p}'"));
        Failure::new(
            exit::ERROR,
            format!(
                "No agents found for standard '{class}'{provider}\nError performing operation: Error occurred"
            ),
        )
    })
}

fn metadata(roots: &Roots, text: &str) -> Result<(), Failure> {
    let agent = match text.parse::<AgentRef>() {
        // The provider is not guessed here, as the reference does not.
        Ok(agent) if agent.class() != Class::Ocf || text.matches(':').count() >= 2 => agent,
        _ => return Err(no_such(&format!("'{text}' is not a valid agent specification"))),
    };
    match listing::describe(roots, &agent, Settings::default()) {
        Ok(text) => {
            print!("{text}");
            if !text.ends_with('\n') {
                println!();
            }
            Ok(())
        }
        Err(DescribeError::NotInstalled { .. }) => {
            Err(no_such(&format!("Metadata query for {agent} failed: No such device or address")))
        }
        Err(DescribeError::Failed { reason, .. }) => {
            Err(no_such(&format!("Metadata query for {agent} failed: {reason}")))
        }
    }
}
