//! Why is my resource (not) there? Answers read from a plan and its ledger, and found by planning again.
//!
//! [`explain`] says where a resource is and why, why not elsewhere, and what would let it run; [`causes`]
//! why a plan does what it does; [`constraints`] reads constraints aloud and says what is wrong with them;
//! [`what_if`] plays through what would happen. Every answer is a structure; sentences ([`text`]), JSON and XML ([`Tree`])
//! are made from it. Nothing here changes a decision, and nothing reads a clock or a file.

mod alone;
mod candidates;
mod cause;
pub mod constraints;
mod decided;
mod edit;
mod effect;
mod fact;
mod general;
mod lint;
pub mod outcome;
mod overruled;
mod reasons;
mod remedy;
mod room;
mod scene;
mod sentences;
mod strength;
pub mod text;
mod tree;
pub mod whatif;
mod why;
mod words;

pub use cause::Cause;
pub use constraints::{Reading, constraints, constraints_telling};
pub use fact::Fact;
pub use reasons::internal as is_internal;
pub use remedy::{Remedy, Suggestion};
pub use scene::Scene;
pub use tree::Tree;
pub use whatif::{Change, Fate, WhatIf, WhatIfError, what_if};
pub use why::{Explanation, NotThere, Spot, There};

use cib::Cib;

use crate::policy::Situation;

/// What was asked about does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    #[error("no resource '{0}' in this configuration")]
    Resource(String),
    #[error("no node '{0}' in this configuration")]
    Node(String),
    #[error("no constraint '{0}' in this configuration")]
    Constraint(String),
}

/// Explains one resource, or all top-level ones; with a node, what concerns that node.
///
/// # Errors
/// There is no such resource or node.
pub fn explain(
    cib: &Cib,
    situation: &Situation,
    resource: Option<&str>,
    node: Option<&str>,
) -> Result<Vec<Explanation>, Unknown> {
    let scene = Scene::new(cib, situation);
    let st = scene.st();
    let n = match node {
        Some(name) => Some(st.node_by_name(name).ok_or_else(|| Unknown::Node(name.to_owned()))?),
        None => None,
    };
    let wanted = match resource {
        Some(id) => vec![scene.find(id).ok_or_else(|| Unknown::Resource(id.to_owned()))?],
        None => st.top.clone(),
    };
    let mut budget = remedy::Budget::of(&scene);
    let explained = wanted.into_iter().map(|r| {
        let mut out = scene.explain(r, n);
        out.actions = scene.causes(Some(r));
        let absent = match n {
            Some(n) => !scene.after(r).iter().any(|(m, _)| *m == n),
            None => {
                let group_part_down =
                    st[r].is_group() && st[r].children.iter().any(|m| scene.after(*m).is_empty());
                scene.after(r).is_empty() || group_part_down
            }
        };
        if absent && !st[r].flags.orphan {
            out.remedy = Some(scene.remedy(r, n, &mut budget));
        }
        out
    });
    Ok(explained.collect())
}

/// Why the plan does what it does: every change with its chain of causes.
pub fn causes(cib: &Cib, situation: &Situation) -> Vec<Cause> {
    Scene::new(cib, situation).causes(None)
}
