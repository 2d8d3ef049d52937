//! POSIX extended regular expressions, as `rsc-pattern` needs them: a search with its groups.
//!
//! A small backtracking matcher: patterns come from administrators and names are short.

/// A pattern, parsed.
#[derive(Debug, Clone)]
pub struct Pattern {
    root: Node,
    groups: usize,
}

#[derive(Debug, Clone)]
enum Node {
    Any,
    Char(char),
    /// Ranges, and whether the class is inverted.
    Class(Vec<(char, char)>, bool),
    Start,
    End,
    Group(usize, Box<Node>),
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    Repeat(Box<Node>, u32, Option<u32>),
}

/// Steps one search may take: far above what a sane pattern needs on a resource's name.
const MAX_STEPS: u32 = 200_000;

struct Parser<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
    groups: usize,
    depth: u32,
}

impl Parser<'_> {
    fn either(&mut self) -> Option<Node> {
        self.depth += 1;
        if self.depth > 100 {
            return None;
        }
        let mut branches = vec![self.sequence()?];
        while self.chars.peek() == Some(&'|') {
            self.chars.next();
            branches.push(self.sequence()?);
        }
        self.depth -= 1;
        if branches.len() == 1 { branches.pop() } else { Some(Node::Either(branches)) }
    }

    fn sequence(&mut self) -> Option<Node> {
        let mut items = Vec::new();
        while let Some(c) = self.chars.peek().copied() {
            if c == '|' || c == ')' {
                break;
            }
            let atom = self.atom()?;
            items.push(self.repeats(atom)?);
        }
        Some(Node::Sequence(items))
    }

    fn atom(&mut self) -> Option<Node> {
        Some(match self.chars.next()? {
            '.' => Node::Any,
            '^' => Node::Start,
            '$' => Node::End,
            '(' => {
                self.groups += 1;
                let number = self.groups;
                let inner = self.either()?;
                if self.chars.next() != Some(')') {
                    return None;
                }
                Node::Group(number, Box::new(inner))
            }
            '[' => self.class()?,
            '\\' => Node::Char(self.chars.next()?),
            '*' | '+' | '?' => return None,
            c => Node::Char(c),
        })
    }

    fn class(&mut self) -> Option<Node> {
        let inverted = self.chars.next_if_eq(&'^').is_some();
        let mut ranges = Vec::new();
        let mut first = true;
        loop {
            let c = self.chars.next()?;
            if c == ']' && !first {
                break;
            }
            first = false;
            if c == '[' && self.chars.peek() == Some(&':') {
                self.chars.next();
                let mut name = String::new();
                loop {
                    match self.chars.next()? {
                        ':' => break,
                        c => name.push(c),
                    }
                }
                if self.chars.next() != Some(']') {
                    return None;
                }
                ranges.extend(named_class(&name)?);
                continue;
            }
            let mut ahead = self.chars.clone();
            if ahead.next() == Some('-') && ahead.next().is_some_and(|x| x != ']') {
                self.chars.next();
                let to = self.chars.next()?;
                if to < c {
                    return None;
                }
                ranges.push((c, to));
            } else {
                ranges.push((c, c));
            }
        }
        Some(Node::Class(ranges, inverted))
    }

    fn repeats(&mut self, mut atom: Node) -> Option<Node> {
        loop {
            let (low, high) = match self.chars.peek() {
                Some('*') => (0, None),
                Some('+') => (1, None),
                Some('?') => (0, Some(1)),
                Some('{') => {
                    self.chars.next();
                    let mut text = String::new();
                    loop {
                        match self.chars.next()? {
                            '}' => break,
                            c => text.push(c),
                        }
                    }
                    let (low, high) = match text.split_once(',') {
                        None => (text.parse().ok()?, Some(text.parse().ok()?)),
                        Some((l, "")) => (l.parse().ok()?, None),
                        Some((l, h)) => (l.parse().ok()?, Some(h.parse().ok()?)),
                    };
                    if low > 255 || high.is_some_and(|h: u32| h > 255 || h < low) {
                        return None;
                    }
                    atom = Node::Repeat(Box::new(atom), low, high);
                    continue;
                }
                _ => return Some(atom),
            };
            self.chars.next();
            atom = Node::Repeat(Box::new(atom), low, high);
        }
    }
}

fn named_class(name: &str) -> Option<Vec<(char, char)>> {
    Some(match name {
        "alpha" => vec![('a', 'z'), ('A', 'Z')],
        "digit" => vec![('0', '9')],
        "alnum" => vec![('a', 'z'), ('A', 'Z'), ('0', '9')],
        "upper" => vec![('A', 'Z')],
        "lower" => vec![('a', 'z')],
        "space" => vec![(' ', ' '), ('\t', '\r')],
        "blank" => vec![(' ', ' '), ('\t', '\t')],
        "punct" => vec![('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "xdigit" => vec![('0', '9'), ('a', 'f'), ('A', 'F')],
        _ => return None,
    })
}

type Groups = Vec<Option<(usize, usize)>>;

struct Search<'a> {
    text: &'a [char],
    steps: u32,
}

impl Search<'_> {
    /// Matches `node` at `at`, then what `rest` wants; the end of the whole match.
    fn run(
        &mut self,
        node: &Node,
        at: usize,
        groups: &mut Groups,
        rest: &mut dyn FnMut(&mut Self, usize, &mut Groups) -> bool,
    ) -> bool {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return false;
        }
        match node {
            Node::Any => at < self.text.len() && rest(self, at + 1, groups),
            Node::Char(c) => self.text.get(at) == Some(c) && rest(self, at + 1, groups),
            Node::Class(ranges, inverted) => match self.text.get(at) {
                Some(c) => {
                    ranges.iter().any(|(l, h)| l <= c && c <= h) != *inverted && rest(self, at + 1, groups)
                }
                None => false,
            },
            Node::Start => at == 0 && rest(self, at, groups),
            Node::End => at == self.text.len() && rest(self, at, groups),
            Node::Group(number, inner) => {
                let before = groups.clone();
                let number = *number;
                let ok = self.run(inner, at, groups, &mut |s, end, g| {
                    if let Some(slot) = g.get_mut(number) {
                        *slot = Some((at, end));
                    }
                    rest(s, end, g)
                });
                if !ok {
                    *groups = before;
                }
                ok
            }
            Node::Sequence(items) => self.sequence(items, at, groups, rest),
            Node::Either(branches) => branches.iter().any(|b| self.run(b, at, groups, rest)),
            Node::Repeat(inner, low, high) => self.repeat(inner, *low, *high, at, groups, rest),
        }
    }

    fn sequence(
        &mut self,
        items: &[Node],
        at: usize,
        groups: &mut Groups,
        rest: &mut dyn FnMut(&mut Self, usize, &mut Groups) -> bool,
    ) -> bool {
        match items.split_first() {
            None => rest(self, at, groups),
            Some((first, others)) => {
                self.run(first, at, groups, &mut |s, next, g| s.sequence(others, next, g, rest))
            }
        }
    }

    fn repeat(
        &mut self,
        inner: &Node,
        low: u32,
        high: Option<u32>,
        at: usize,
        groups: &mut Groups,
        rest: &mut dyn FnMut(&mut Self, usize, &mut Groups) -> bool,
    ) -> bool {
        if high != Some(0) {
            let next_high = high.map(|h| h - 1);
            let more = self.run(inner, at, groups, &mut |s, next, g| {
                next > at && s.repeat(inner, low.saturating_sub(1), next_high, next, g, rest)
            });
            if more {
                return true;
            }
        }
        low == 0 && rest(self, at, groups)
    }
}

impl Pattern {
    /// Parses an extended regular expression; `None` where it is none.
    pub fn new(text: &str) -> Option<Pattern> {
        let mut parser = Parser { chars: text.chars().peekable(), groups: 0, depth: 0 };
        let root = parser.either()?;
        if parser.chars.next().is_some() {
            return None;
        }
        Some(Pattern { root, groups: parser.groups })
    }

    /// The first match, wherever it is: the whole and then each group, empty where a group took no part.
    pub fn search(&self, text: &str) -> Option<Vec<String>> {
        let chars: Vec<char> = text.chars().collect();
        let mut search = Search { text: &chars, steps: 0 };
        for start in 0..=chars.len() {
            let mut groups: Groups = vec![None; self.groups + 1];
            let mut best: Option<(usize, Groups)> = None;
            // The longest match from the leftmost start, as POSIX has it.
            search.run(&self.root, start, &mut groups, &mut |_, end, g| {
                if best.as_ref().is_none_or(|(b, _)| end > *b) {
                    best = Some((end, g.clone()));
                }
                false
            });
            if let Some((end, mut groups)) = best {
                if let Some(whole) = groups.first_mut() {
                    *whole = Some((start, end));
                }
                let text = |g: &Option<(usize, usize)>| {
                    g.and_then(|(a, b)| chars.get(a..b)).map(|c| c.iter().collect()).unwrap_or_default()
                };
                return Some(groups.iter().map(text).collect());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn groups(pattern: &str, text: &str) -> Option<Vec<String>> {
        Pattern::new(pattern).unwrap().search(text)
    }

    #[test]
    fn searches_and_captures() {
        assert_eq!(groups("^(.*)-([0-9]+)$", "web-12").unwrap(), ["web-12", "web", "12"]);
        assert_eq!(groups("b+", "abbbc").unwrap(), ["bbb"]);
        assert_eq!(groups("a|ab", "ab").unwrap(), ["ab"]);
        assert_eq!(groups("(x)?y", "y").unwrap(), ["y", ""]);
        assert!(groups("^[[:digit:]]{2,3}$", "1234").is_none());
        assert!(Pattern::new("(").is_none());
        assert!(Pattern::new("*a").is_none());
    }

    #[test]
    fn a_vicious_pattern_ends() {
        assert!(groups("(a*)*(a*)*(a*)*b", &"a".repeat(60)).is_none());
    }
}
