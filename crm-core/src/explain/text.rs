//! Answers as sentences, and as trees for JSON and XML.

use std::fmt::Write as _;

use super::cause::Cause;
use super::fact::{Fact, sentence};
use super::remedy::{Remedy, Suggestion};
use super::tree::Tree;
use super::why::{Explanation, NotThere, Spot, There};
use super::words;

impl Spot {
    fn tree(&self) -> Tree {
        Tree::map().with("node", &self.node).with("role", self.role.word())
    }
}

impl NotThere {
    fn tree(&self) -> Tree {
        Tree::map()
            .with("node", &self.node)
            .with("possible", self.possible)
            .with_some("score", self.score.map(words::score))
            .with("reason", self.fact.tree())
            .with("addends", Tree::List("addend", self.addends.iter().map(Fact::tree).collect()))
    }
}

impl There {
    fn tree(&self) -> Tree {
        let against = self
            .against
            .as_ref()
            .map(|(node, fact)| Tree::map().with("node", node).with("reason", fact.tree()));
        Tree::map()
            .with("node", &self.node)
            .with_some("score", self.score.map(words::score))
            .with("addends", Tree::List("addend", self.addends.iter().map(Fact::tree).collect()))
            .with_some("runner-up", against)
    }
}

impl Explanation {
    /// The answer for programs.
    pub fn tree(&self) -> Tree {
        Tree::map()
            .with("resource", &self.resource)
            .with("kind", self.kind)
            .with_some("asked-node", self.asked.as_ref())
            .with("running", !self.after.is_empty())
            .with("headline", &self.headline)
            .with("now", Tree::List("place", self.now.iter().map(Spot::tree).collect()))
            .with("after", Tree::List("place", self.after.iter().map(Spot::tree).collect()))
            .with_list("general", "reason", self.general.iter().map(Fact::tree).collect())
            .with_list("there", "choice", self.there.iter().map(There::tree).collect())
            .with_list("elsewhere", "not-there", self.elsewhere.iter().map(NotThere::tree).collect())
            .with_list("parts", "part", self.parts.iter().map(Explanation::tree).collect())
            .with_list("actions", "action", self.actions.iter().map(Cause::tree).collect())
            .with_some("remedy", self.remedy.as_ref().map(Remedy::tree))
    }

    /// The answer for people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 0);
        if !self.actions.is_empty() {
            out.push_str("Next:\n");
            for cause in &self.actions {
                let _ = writeln!(out, "  {}", sentence(&cause.text()));
            }
        }
        if let Some(remedy) = &self.remedy {
            self.write_remedy(&mut out, remedy);
        }
        out
    }

    fn write(&self, out: &mut String, depth: usize) {
        let pad = "  ".repeat(depth);
        let _ = writeln!(out, "{pad}{}", sentence(&self.headline));
        for fact in &self.general {
            let _ = writeln!(out, "{pad}  {}", sentence(&fact.text));
        }
        for there in &self.there {
            let _ = writeln!(out, "{pad}  {}", sentence(&there.text()));
        }
        let told = |x: &&NotThere| {
            let runner_up = self.there.iter().any(|t| t.against.as_ref().is_some_and(|(n, _)| *n == x.node));
            !(runner_up && x.possible)
        };
        let elsewhere: Vec<&NotThere> = self.elsewhere.iter().filter(told).collect();
        let same = |a: &NotThere, b: &NotThere| a.fact.text == b.fact.text;
        let mut at = 0;
        while let Some(first) = elsewhere.get(at) {
            let alike: Vec<&NotThere> =
                elsewhere.iter().copied().skip(at).take_while(|x| same(x, first)).collect();
            at += alike.len();
            let names: Vec<&str> = alike.iter().map(|x| x.node.as_str()).collect();
            let _ = writeln!(out, "{pad}  Not on {}: {}", words::list(&names), sentence(&first.fact.text));
        }
        for part in &self.parts {
            part.write(out, depth + 1);
        }
    }

    fn write_remedy(&self, out: &mut String, remedy: &Remedy) {
        let goal = match &self.asked {
            Some(node) => format!("let it run on {node}"),
            None if self.after.is_empty() => "let it run".to_owned(),
            None => "let all of it run".to_owned(),
        };
        if remedy.tried == 0 && remedy.untried > 0 {
            let _ = writeln!(
                out,
                "What would {goal} was not searched for, among so many: everbeat explain {} does.",
                self.resource
            );
            return;
        }
        let left = i64::try_from(remedy.untried).unwrap_or(i64::MAX);
        let left = match left {
            0 => String::new(),
            _ => format!(
                " ({} not tried: a plan of so large a cluster takes its time)",
                words::count(left, "more was", "more were")
            ),
        };
        let Some((first, rest)) = remedy.suggestions.split_first() else {
            let tried =
                words::count(i64::try_from(remedy.tried).unwrap_or(i64::MAX), "change was", "changes were");
            let _ = writeln!(
                out,
                "No small change would {goal}: {tried} tried with the planner, alone and in pairs{left}."
            );
            return;
        };
        let title = match first.changes.len() {
            1 => format!("Smallest change that would {goal}{left}"),
            _ => format!("No single change would {goal}; these two together would{left}"),
        };
        let _ = writeln!(out, "{title}:");
        write_suggestion(out, first);
        if !rest.is_empty() {
            let _ = writeln!(out, "Or:");
            for suggestion in rest {
                write_suggestion(out, suggestion);
            }
        }
    }
}

fn write_suggestion(out: &mut String, s: &Suggestion) {
    let _ = writeln!(out, "  {}: then it runs on {}.", s.changes.join(", and "), words::list(&s.nodes));
    for command in &s.commands {
        let _ = writeln!(out, "      # {command}");
    }
    for effect in &s.also {
        let _ = writeln!(out, "      ({effect})");
    }
}

impl There {
    fn text(&self) -> String {
        let node = &self.node;
        let parts: Vec<&str> =
            self.addends.iter().filter(|a| a.code != "default").map(|a| a.text.as_str()).collect();
        let score = self.score.filter(|_| !parts.is_empty());
        let score = score.map_or_else(String::new, |s| format!(" with a score of {}", words::score(s)));
        let mut clauses: Vec<String> = parts.iter().map(|p| (*p).to_owned()).collect();
        match &self.against {
            // The difference says all that counts.
            Some((_, fact)) if fact.code == "lower-score" => {
                return format!("On {node}{score}: {}", fact.text);
            }
            None if clauses.is_empty() => return format!("On {node}, the only node that can run it"),
            None => return format!("On {node}, the only node that can run it: {}", clauses.join("; ")),
            Some((_, fact)) => clauses.push(fact.text.clone()),
        }
        format!("On {node}{score}: {}", clauses.join("; "))
    }
}

/// Several explanations as one text.
pub fn all(list: &[Explanation]) -> String {
    list.iter().map(Explanation::text).collect::<Vec<_>>().join("\n")
}

/// Several explanations as one tree.
pub fn tree(list: &[Explanation]) -> Tree {
    Tree::List("explanation", list.iter().map(Explanation::tree).collect())
}

/// Causes as one text.
pub fn causes(list: &[Cause]) -> String {
    if list.is_empty() {
        return "Nothing is to be done.\n".to_owned();
    }
    list.iter().map(|cause| format!("{}\n", sentence(&cause.text()))).collect()
}
