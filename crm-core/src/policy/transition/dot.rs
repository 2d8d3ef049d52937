//! The graph as a drawing: `crm_simulate -D`.

use std::fmt::Write as _;

use super::arena::{Action, Actions};
use super::flags::{ActionFlags, EdgeFlags};
use super::task::Task;
use crate::policy::ix::ActionIx;
use crate::policy::state::State;

/// A drawing of the actions of a plan; `all` shows also what is not in the graph, `ids` numbers.
pub fn dot(st: &State, actions: &Actions, all: bool, ids: bool) -> String {
    View { st, actions }.dot(all, ids)
}

struct View<'a> {
    st: &'a State,
    actions: &'a Actions,
}

impl View<'_> {
    /// The graph in the language of Graphviz; `all` shows also what is not in the graph.
    fn dot(&self, all: bool, ids: bool) -> String {
        let mut out = String::from(" digraph \"g\" {\n");
        let mut shown = vec![false; self.actions.len()];
        for ix in self.actions.newest() {
            let action = &self.actions[ix];
            let font = if action.pseudo() { "orange" } else { "black" };
            let in_graph = action.is(ActionFlags::DUMPED);
            let (style, color, font) = if in_graph {
                ("bold", "green", font)
            } else if action.resource.is_some_and(|r| !self.st[r].flags.managed) {
                if !all {
                    continue;
                }
                ("dashed", "red", "purple")
            } else if action.optional() {
                if !all {
                    continue;
                }
                ("dashed", "blue", font)
            } else {
                ("dashed", "red", font)
            };
            if let Some(slot) = shown.get_mut(ix.at()) {
                *slot = true;
            }
            let name = self.dot_name(ix, ids);
            let _ = writeln!(out, "\"{name}\" [ style={style} color=\"{color}\" fontcolor=\"{font}\"]");
        }
        for ix in self.actions.newest() {
            for input in &self.actions[ix].before {
                let visible = |a: ActionIx| shown.get(a.at()).copied().unwrap_or(false);
                let style = if input.used {
                    "bold"
                } else if input.flags.is_none() {
                    continue;
                } else if all || visible(ix) && visible(input.other) && input.flags != EdgeFlags::LOAD {
                    "dashed"
                } else {
                    continue;
                };
                let _ = writeln!(
                    out,
                    "\"{}\" -> \"{}\" [ style = {style}]",
                    self.dot_name(input.other, ids),
                    self.dot_name(ix, ids)
                );
            }
        }
        out.push_str("}\n");
        out
    }

    fn dot_name(&self, ix: ActionIx, ids: bool) -> String {
        let mut name = self.shown_name(&self.actions[ix]);
        if ids {
            let _ = write!(name, " ({})", ix.0 + 1);
        }
        name
    }

    /// The name of an action in drawings.
    fn shown_name(&self, action: &Action) -> String {
        let node = match action.node {
            Some(n) => Some(self.st[n].name.as_str()),
            None if action.pseudo() => None,
            None => Some("<none>"),
        };
        let cancels = action.task == Task::Cancel;
        let prefix = if cancels { "Cancel " } else { "" };
        let history = action.resource.and_then(|r| self.st[r].history_name.as_deref());
        let key = match (history, action.resource) {
            (Some(name), _) => self.history_key(action, name),
            (None, _) if action.task == Task::Stonith => {
                let kind = action.meta.get("stonith_action").unwrap_or_default();
                return format!("stonith '{kind}' {}", node.unwrap_or_default());
            }
            (None, Some(r)) => action.key.text(&self.st[r].id),
            (None, None) if node.is_some() => action.task.as_str().to_owned(),
            (None, None) => action.key.text(""),
        };
        match node {
            Some(node) => format!("{prefix}{key} {node}"),
            None => format!("{prefix}{key}"),
        }
    }

    fn history_key(&self, action: &Action, name: &str) -> String {
        if matches!(action.task, Task::Notify | Task::Notified) {
            let kind = action.meta.get("notify_key_type").unwrap_or_default();
            let op = action.meta.get("notify_key_operation").unwrap_or_default();
            return format!("{name}_{kind}_notify_{op}_0");
        }
        let task = action.cancel_task.as_ref().filter(|_| action.task == Task::Cancel);
        let interval = action.meta.get("interval").unwrap_or("0");
        format!("{name}_{}_{interval}", task.unwrap_or(&action.task))
    }
}
