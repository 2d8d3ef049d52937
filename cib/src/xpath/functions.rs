//! The core function library (XPath 1.0 §4).

use super::eval::{Context, Document, Val, boolean, text_number};
use super::tree::{Expr, Function};

/// Longest string a function may make, bytes.
const STRING_MAX: usize = 1 << 20;

pub(super) fn call(
    document: &mut Document<'_>,
    function: Function,
    arguments: &[Expr],
    context: Context,
) -> Result<Val, String> {
    let mut values = Vec::with_capacity(arguments.len());
    for argument in arguments {
        values.push(document.eval(argument, context)?);
    }
    let nodes = match values.first() {
        Some(Val::Nodes(nodes)) => Some(nodes.clone()),
        Some(_) => None,
        None => Some(vec![context.node]),
    };
    let need_nodes = || nodes.clone().ok_or("a value stands where a set of nodes is needed");
    // The text of an argument; without one, that of the context node.
    let text = |index: usize| match values.get(index) {
        Some(value) => document.string(value),
        None => document.text(context.node).to_string(),
    };
    let number = |index: usize| match values.get(index) {
        Some(value) => document.number(value),
        None => text_number(document.text(context.node)),
    };
    let truth = |index: usize| values.get(index).is_some_and(boolean);
    Ok(match function {
        Function::Last => Val::Number(context.size as f64),
        Function::Position => Val::Number(context.position as f64),
        Function::Count => Val::Number(need_nodes()?.len() as f64),
        Function::Id => {
            let names: Vec<String> = match values.first() {
                Some(Val::Nodes(nodes)) => {
                    nodes.iter().map(|&node| document.text(node).to_string()).collect()
                }
                _ => vec![text(0)],
            };
            let wanted: Vec<&str> = names.iter().flat_map(|name| name.split_ascii_whitespace()).collect();
            Val::Nodes(document.with_xml_id(&wanted))
        }
        Function::Name => {
            Val::String(need_nodes()?.first().map_or("", |&node| document.node_name(node)).to_string())
        }
        Function::LocalName => {
            let name = need_nodes()?.first().map_or("", |&node| document.node_name(node)).to_string();
            Val::String(name.rsplit(':').next().unwrap_or("").to_string())
        }
        Function::NamespaceUri => {
            need_nodes()?;
            Val::String(String::new())
        }
        Function::String => Val::String(text(0)),
        Function::Concat => {
            let joined: String = (0..values.len()).map(text).collect();
            if joined.len() > STRING_MAX {
                return Err("it makes a string longer than a mebibyte".to_string());
            }
            Val::String(joined)
        }
        Function::StartsWith => Val::Boolean(text(0).starts_with(&text(1))),
        Function::Contains => Val::Boolean(text(0).contains(&text(1))),
        Function::SubstringBefore => {
            let (whole, part) = (text(0), text(1));
            Val::String(whole.split_once(&part).map_or("", |(before, _)| before).to_string())
        }
        Function::SubstringAfter => {
            let (whole, part) = (text(0), text(1));
            Val::String(whole.split_once(&part).map_or("", |(_, after)| after).to_string())
        }
        Function::Substring => {
            let length = if values.len() > 2 { Some(number(2)) } else { None };
            Val::String(substring(&text(0), number(1), length))
        }
        Function::StringLength => Val::Number(text(0).chars().count() as f64),
        Function::NormalizeSpace => {
            let words = text(0);
            let words: Vec<&str> =
                words.split([' ', '\t', '\n', '\r']).filter(|word| !word.is_empty()).collect();
            Val::String(words.join(" "))
        }
        Function::Translate => Val::String(translate(&text(0), &text(1), &text(2))),
        Function::Boolean => Val::Boolean(truth(0)),
        Function::Not => Val::Boolean(!truth(0)),
        Function::True => Val::Boolean(true),
        Function::False => Val::Boolean(false),
        Function::Lang => {
            let wanted = text(0).to_ascii_lowercase();
            let found = document.inherited(context.node, "xml:lang").map(str::to_ascii_lowercase);
            Val::Boolean(found.is_some_and(|found| {
                found.strip_prefix(&wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            }))
        }
        Function::Number => Val::Number(number(0)),
        Function::Sum => {
            Val::Number(need_nodes()?.iter().map(|&node| text_number(document.text(node))).sum())
        }
        Function::Floor => Val::Number(number(0).floor()),
        Function::Ceiling => Val::Number(number(0).ceil()),
        Function::Round => Val::Number(round(number(0))),
    })
}

/// Half goes towards positive infinity.
fn round(number: f64) -> f64 {
    (number + 0.5).floor()
}

/// Characters from `start` (from 1), as XPath 1.0 §4.2 counts with fractions and NaN.
fn substring(text: &str, start: f64, length: Option<f64>) -> String {
    let first = round(start);
    let end = length.map_or(f64::INFINITY, |length| first + round(length));
    let inside = |position: f64| position >= first && position < end;
    text.chars().enumerate().filter(|(index, _)| inside(*index as f64 + 1.0)).map(|(_, c)| c).collect()
}

fn translate(text: &str, from: &str, to: &str) -> String {
    let to: Vec<char> = to.chars().collect();
    text.chars()
        .filter_map(|c| match from.chars().position(|x| x == c) {
            Some(index) => to.get(index).copied(),
            None => Some(c),
        })
        .collect()
}
