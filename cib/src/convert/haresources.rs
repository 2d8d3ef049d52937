//! The grammar of `haresources`: physical lines, continuations, comments, ids, entries.

use super::{Problem, Severity};

/// One field and the physical line it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    pub line: u32,
}

/// One logical line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// `NODE RESOURCE...`: one resource stands alone, several are a group.
    Resources {
        line: u32,
        /// As written.
        node: String,
        /// At least one.
        words: Vec<Word>,
        /// `#ID` at the end.
        id: Option<String>,
    },
    /// `NODE RESOURCE... #clone:NAME`; an empty name is chosen by the converter.
    Clone { line: u32, node: String, words: Vec<Word>, name: String },
    /// `#rsc_order FROM ACTION before|after TO`.
    Order { line: u32, from: String, action: String, before: bool, to: String },
    /// `#rsc_colocation FROM TO SCORE`.
    Colocation { line: u32, from: String, to: String, score: String },
}

/// A whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Haresources {
    pub file: String,
    pub entries: Vec<Entry>,
    pub problems: Vec<Problem>,
}

const ACTIONS: &[&str] = &["start", "stop", "promote", "demote"];

impl Haresources {
    /// Reads the text; what cannot be read is left out and reported.
    pub fn parse(text: &str, file: &str) -> Haresources {
        let mut parsed = Haresources { file: file.to_string(), entries: Vec::new(), problems: Vec::new() };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut pending: Vec<Word> = Vec::new();
        let mut continued = false;
        for (index, raw) in text.split('\n').enumerate() {
            let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let body = raw.trim();
            if body.is_empty() || is_comment_line(body) {
                continue;
            }
            if let Some(c) = body.chars().find(|c| c.is_control() && !c.is_whitespace()) {
                let text = format!("line holds the control character {:#04x}", u32::from(c));
                parsed.problem(Severity::Error, "control-character", line, text);
                continue;
            }
            let (fields, more) = match body.strip_suffix('\\') {
                Some(rest) => (rest, true),
                None => (body, false),
            };
            let words = fields.split_whitespace().map(|w| Word { text: w.to_string(), line });
            pending.extend(words);
            continued = more;
            if !more {
                parsed.entry(std::mem::take(&mut pending));
            }
        }
        if continued {
            let line = pending.first().map_or(1, |w| w.line);
            let text = "the file ends inside a continued line; the line is used as far as it goes";
            parsed.problem(Severity::Warning, "unfinished", line, text.to_string());
            parsed.entry(pending);
        }
        parsed
    }

    /// Lines whose first word is not among `nodes` (any case): Heartbeat does not start with them.
    pub fn unknown_nodes<'a>(&'a self, nodes: &'a [String]) -> impl Iterator<Item = (u32, &'a str)> {
        self.entries.iter().filter_map(move |entry| match entry {
            Entry::Resources { line, node, .. } | Entry::Clone { line, node, .. } => {
                let known = nodes.iter().any(|n| n.eq_ignore_ascii_case(node));
                (!known).then_some((*line, node.as_str()))
            }
            _ => None,
        })
    }

    fn problem(&mut self, severity: Severity, code: &'static str, line: u32, text: String) {
        let file = self.file.clone();
        self.problems.push(Problem { severity, code, file, line: Some(line), text });
    }

    fn entry(&mut self, mut words: Vec<Word>) {
        let Some(first) = words.first() else { return };
        let line = first.line;
        match first.text.as_str() {
            "#rsc_order" => return self.order(&words, line),
            "#rsc_colocation" => return self.colocation(&words, line),
            // A comment that merely begins like a constraint.
            word if word.starts_with('#') => return,
            _ => {}
        }
        let mark = cut_comment(&mut words);
        if words.len() < 2 {
            let found = words.first().map(|w| w.text.as_str()).unwrap_or_default();
            let text = format!("can not parse this line: \"{found}\" alone; a line is NODE RESOURCE...");
            self.problem(Severity::Error, "no-resource", line, text);
            return;
        }
        let node = words.remove(0).text;
        self.entries.push(match mark {
            Some(mark) => match mark.strip_prefix("clone:") {
                Some(name) => Entry::Clone { line, node, words, name: name.to_string() },
                None => Entry::Resources { line, node, words, id: Some(mark) },
            },
            None => Entry::Resources { line, node, words, id: None },
        });
    }

    fn order(&mut self, words: &[Word], line: u32) {
        let fields: Vec<&str> = words.iter().map(|w| w.text.as_str()).collect();
        let text = match fields.as_slice() {
            [_, from, action, kind, to] => match (ACTIONS.contains(action), *kind) {
                (true, "before" | "after") => {
                    self.entries.push(Entry::Order {
                        line,
                        from: (*from).to_string(),
                        action: (*action).to_string(),
                        before: *kind == "before",
                        to: (*to).to_string(),
                    });
                    return;
                }
                (false, _) => {
                    format!("#rsc_order: \"{action}\" is no action; expected {}", ACTIONS.join(", "))
                }
                _ => format!("#rsc_order: \"{kind}\" is neither before nor after"),
            },
            _ => format!(
                "#rsc_order with {} words; expected \"#rsc_order FROM ACTION before|after TO\"",
                fields.len().saturating_sub(1)
            ),
        };
        self.problem(Severity::Error, "bad-order", line, text);
    }

    fn colocation(&mut self, words: &[Word], line: u32) {
        let fields: Vec<&str> = words.iter().map(|w| w.text.as_str()).collect();
        let text = match fields.as_slice() {
            [_, from, to, score] if is_score(score) => {
                self.entries.push(Entry::Colocation {
                    line,
                    from: (*from).to_string(),
                    to: (*to).to_string(),
                    score: score.to_uppercase(),
                });
                return;
            }
            [_, _, _, score] => {
                format!(
                    "#rsc_colocation: \"{score}\" is no score; expected a whole number, INFINITY or -INFINITY"
                )
            }
            _ => format!(
                "#rsc_colocation with {} words; expected \"#rsc_colocation FROM TO SCORE\"",
                fields.len().saturating_sub(1)
            ),
        };
        self.problem(Severity::Error, "bad-colocation", line, text);
    }
}

fn is_comment_line(body: &str) -> bool {
    body.starts_with('#') && !body.starts_with("#rsc_order") && !body.starts_with("#rsc_colocation")
}

/// Removes a comment or an id from the end. A last field `#X` is the id X; a field that begins with
/// `#` and has followers, or is `#` alone, starts a comment.
fn cut_comment(words: &mut Vec<Word>) -> Option<String> {
    let at = words.iter().position(|w| w.text.starts_with('#'))?;
    let mark = words.get(at).map(|w| w.text.trim_start_matches('#').to_string()).unwrap_or_default();
    let last = at + 1 == words.len();
    words.truncate(at);
    (last && !mark.is_empty()).then_some(mark)
}

fn is_score(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits.eq_ignore_ascii_case("infinity")
        || (!digits.is_empty() && digits.len() <= 9 && digits.bytes().all(|b| b.is_ascii_digit()))
}
