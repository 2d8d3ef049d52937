//! Words and grammar of XPath 1.0.

use super::LENGTH_MAX;
use super::tree::{Arithmetic, Axis, Comparison, Expr, Function, Step, Test};

/// Deepest nesting of an expression (parentheses, predicates, arguments).
const NESTING_MAX: usize = 48;

/// A refusal and the byte it concerns.
#[derive(Debug)]
pub(super) struct Fault {
    pub at: usize,
    pub text: String,
}

pub(super) fn parse(text: &str) -> Result<Expr, Fault> {
    if text.len() > LENGTH_MAX {
        return Err(Fault { at: LENGTH_MAX, text: format!("it is longer than {LENGTH_MAX} bytes") });
    }
    let words = words(text)?;
    let mut parser = Parser { words: &words, next: 0, end: text.len(), nesting: 0 };
    let expr = parser.or()?;
    match parser.peek() {
        None => Ok(expr),
        Some(word) => Err(parser.fault(&format!("unexpected {}", word.show()))),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Word {
    /// A name, possibly with a prefix and a colon.
    Name(String),
    Literal(String),
    Number(f64),
    Symbol(&'static str),
}

impl Word {
    fn show(&self) -> String {
        match self {
            Word::Name(name) => format!("\"{name}\""),
            Word::Literal(_) => "a string".to_string(),
            Word::Number(_) => "a number".to_string(),
            Word::Symbol(symbol) => format!("\"{symbol}\""),
        }
    }
}

/// Two characters before one: the first that fits is taken.
const SYMBOLS: [&str; 23] = [
    "//", "::", "..", "!=", "<=", ">=", "/", "|", "+", "-", "=", "<", ">", "*", "(", ")", "[", "]", ".", "@",
    ",", "$", ":",
];

fn words(text: &str) -> Result<Vec<(usize, Word)>, Fault> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let Some(c) = rest.chars().next() else { break };
        if matches!(c, ' ' | '\t' | '\n' | '\r') {
            at += 1;
            continue;
        }
        let digit_follows = rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        let (word, length) = if c.is_ascii_digit() || (c == '.' && digit_follows) {
            number(rest)
        } else if c == '"' || c == '\'' {
            let inner = rest.get(1..).unwrap_or("");
            let Some(length) = inner.find(c) else {
                return Err(Fault { at, text: "the string is not closed".to_string() });
            };
            (Word::Literal(inner.get(..length).unwrap_or("").to_string()), length + 2)
        } else if c.is_alphabetic() || c == '_' {
            let end = |c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '\u{b7}'));
            let mut length = rest.find(end).unwrap_or(rest.len());
            // `prefix:name`, but not `axis::test`.
            let tail = rest.get(length..).unwrap_or("");
            if tail.starts_with(':') && !tail.starts_with("::") {
                let tail = tail.get(1..).unwrap_or("");
                length += 1 + tail.find(end).unwrap_or(tail.len());
            }
            (Word::Name(rest.get(..length).unwrap_or("").to_string()), length)
        } else if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
            (Word::Symbol(symbol), symbol.len())
        } else {
            return Err(Fault { at, text: format!("unexpected \"{c}\"") });
        };
        words.push((at, word));
        at += length;
    }
    Ok(words)
}

fn number(rest: &str) -> (Word, usize) {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut length = digits(rest);
    if rest.as_bytes().get(length) == Some(&b'.') {
        length += 1 + digits(rest.get(length + 1..).unwrap_or(""));
    }
    let text = rest.get(..length).unwrap_or("0");
    (Word::Number(text.parse().unwrap_or(f64::NAN)), length)
}

struct Parser<'a> {
    words: &'a [(usize, Word)],
    next: usize,
    end: usize,
    nesting: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Word> {
        self.words.get(self.next).map(|(_, word)| word)
    }

    fn peek_second(&self) -> Option<&Word> {
        self.words.get(self.next + 1).map(|(_, word)| word)
    }

    fn fault(&self, text: &str) -> Fault {
        Fault { at: self.words.get(self.next).map_or(self.end, |(at, _)| *at), text: text.to_string() }
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Some(Word::Symbol(found)) if *found == symbol);
        self.next += usize::from(found);
        found
    }

    /// An operator name (`and`, `or`, `div`, `mod`), which stands only where an operator is due.
    fn eat_operator(&mut self, name: &str) -> bool {
        let found = matches!(self.peek(), Some(Word::Name(found)) if found == name);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), Fault> {
        if self.eat(symbol) {
            return Ok(());
        }
        let found = self.peek().map_or("the end".to_string(), Word::show);
        Err(self.fault(&format!("\"{symbol}\" is missing before {found}")))
    }

    fn or(&mut self) -> Result<Expr, Fault> {
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            return Err(self.fault(&format!("it is nested deeper than {NESTING_MAX}")));
        }
        let mut left = self.and()?;
        let mut terms = 0;
        while self.eat_operator("or") {
            self.bound(&mut terms)?;
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
        }
        self.nesting -= 1;
        Ok(left)
    }

    /// Chains of operators nest on the left; evaluation and release recurse along them.
    fn bound(&self, terms: &mut usize) -> Result<(), Fault> {
        *terms += 1;
        if *terms > 256 {
            return Err(self.fault("more than 256 operators of one kind in a row"));
        }
        Ok(())
    }

    fn and(&mut self) -> Result<Expr, Fault> {
        let mut left = self.equality()?;
        let mut terms = 0;
        while self.eat_operator("and") {
            self.bound(&mut terms)?;
            left = Expr::And(Box::new(left), Box::new(self.equality()?));
        }
        Ok(left)
    }

    fn equality(&mut self) -> Result<Expr, Fault> {
        let mut left = self.relation()?;
        let mut terms = 0;
        loop {
            let kind = if self.eat("=") {
                Comparison::Equal
            } else if self.eat("!=") {
                Comparison::NotEqual
            } else {
                return Ok(left);
            };
            self.bound(&mut terms)?;
            left = Expr::Compare(kind, Box::new(left), Box::new(self.relation()?));
        }
    }

    fn relation(&mut self) -> Result<Expr, Fault> {
        let mut left = self.sum()?;
        let mut terms = 0;
        loop {
            let kind = if self.eat("<=") {
                Comparison::LessOrEqual
            } else if self.eat(">=") {
                Comparison::GreaterOrEqual
            } else if self.eat("<") {
                Comparison::Less
            } else if self.eat(">") {
                Comparison::Greater
            } else {
                return Ok(left);
            };
            self.bound(&mut terms)?;
            left = Expr::Compare(kind, Box::new(left), Box::new(self.sum()?));
        }
    }

    fn sum(&mut self) -> Result<Expr, Fault> {
        let mut left = self.product()?;
        let mut terms = 0;
        loop {
            let kind = if self.eat("+") {
                Arithmetic::Add
            } else if self.eat("-") {
                Arithmetic::Subtract
            } else {
                return Ok(left);
            };
            self.bound(&mut terms)?;
            left = Expr::Arithmetic(kind, Box::new(left), Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Result<Expr, Fault> {
        let mut left = self.negation()?;
        let mut terms = 0;
        loop {
            let kind = if self.eat("*") {
                Arithmetic::Multiply
            } else if self.eat_operator("div") {
                Arithmetic::Divide
            } else if self.eat_operator("mod") {
                Arithmetic::Modulo
            } else {
                return Ok(left);
            };
            self.bound(&mut terms)?;
            left = Expr::Arithmetic(kind, Box::new(left), Box::new(self.negation()?));
        }
    }

    fn negation(&mut self) -> Result<Expr, Fault> {
        let mut count = 0;
        while self.eat("-") {
            self.bound(&mut count)?;
        }
        let mut expr = self.union()?;
        for _ in 0..count {
            expr = Expr::Negate(Box::new(expr));
        }
        Ok(expr)
    }

    fn union(&mut self) -> Result<Expr, Fault> {
        let mut left = self.path()?;
        let mut terms = 0;
        while self.eat("|") {
            self.bound(&mut terms)?;
            left = Expr::Union(Box::new(left), Box::new(self.path()?));
        }
        Ok(left)
    }

    fn path(&mut self) -> Result<Expr, Fault> {
        let primary = match self.peek() {
            Some(Word::Literal(text)) => Some(Expr::Literal(text.clone())),
            Some(Word::Number(number)) => Some(Expr::Number(*number)),
            Some(Word::Symbol("$")) => return Err(self.fault("there are no variables here")),
            _ => None,
        };
        if let Some(primary) = primary {
            self.next += 1;
            return self.filter(primary);
        }
        if self.eat("(") {
            let inner = self.or()?;
            self.expect(")")?;
            return self.filter(inner);
        }
        if let (Some(Word::Name(name)), Some(Word::Symbol("("))) = (self.peek(), self.peek_second())
            && !matches!(name.as_str(), "node" | "text" | "comment" | "processing-instruction")
        {
            let call = self.call()?;
            return self.filter(call);
        }
        if self.eat("//") {
            let mut steps = vec![any_below()];
            self.steps(&mut steps)?;
            return Ok(Expr::Path { absolute: true, steps: shorten(steps) });
        }
        let absolute = self.eat("/");
        let mut steps = Vec::new();
        if !absolute || self.step_follows() {
            self.steps(&mut steps)?;
        }
        Ok(Expr::Path { absolute, steps: shorten(steps) })
    }

    fn filter(&mut self, primary: Expr) -> Result<Expr, Fault> {
        let predicates = self.predicates()?;
        let mut steps = Vec::new();
        if self.eat("//") {
            steps.push(any_below());
            self.steps(&mut steps)?;
        } else if self.eat("/") {
            self.steps(&mut steps)?;
        }
        if predicates.is_empty() && steps.is_empty() {
            return Ok(primary);
        }
        Ok(Expr::Filter { primary: Box::new(primary), predicates, steps: shorten(steps) })
    }

    fn call(&mut self) -> Result<Expr, Fault> {
        let name = match self.peek() {
            Some(Word::Name(name)) => name.clone(),
            _ => return Err(self.fault("a function is missing")),
        };
        let Some((function, least, greatest)) = Function::from_name(&name) else {
            return Err(self.fault(&format!("unknown function \"{name}\"")));
        };
        self.next += 1;
        self.expect("(")?;
        let mut arguments = Vec::new();
        if !self.eat(")") {
            loop {
                arguments.push(self.or()?);
                if self.eat(")") {
                    break;
                }
                self.expect(",")?;
            }
        }
        if arguments.len() < least || arguments.len() > greatest {
            return Err(
                self.fault(&format!("{name}() has {} arguments too many or too few", arguments.len()))
            );
        }
        Ok(Expr::Call(function, arguments))
    }

    fn step_follows(&self) -> bool {
        matches!(self.peek(), Some(Word::Name(_) | Word::Symbol("." | ".." | "@" | "*")))
    }

    fn steps(&mut self, steps: &mut Vec<Step>) -> Result<(), Fault> {
        loop {
            steps.push(self.step()?);
            if self.eat("//") {
                steps.push(any_below());
            } else if !self.eat("/") {
                return Ok(());
            }
        }
    }

    fn step(&mut self) -> Result<Step, Fault> {
        if self.eat(".") {
            return Ok(Step { axis: Axis::Itself, test: Test::Node, predicates: Vec::new() });
        }
        if self.eat("..") {
            return Ok(Step { axis: Axis::Parent, test: Test::Node, predicates: Vec::new() });
        }
        let axis = if self.eat("@") {
            Axis::Attribute
        } else if let (Some(Word::Name(name)), Some(Word::Symbol("::"))) = (self.peek(), self.peek_second()) {
            let Some(axis) = Axis::from_name(name) else {
                return Err(self.fault(&format!("unknown axis \"{name}\"")));
            };
            self.next += 2;
            axis
        } else {
            Axis::Child
        };
        let test = self.test()?;
        let predicates = self.predicates()?;
        Ok(Step { axis, test, predicates })
    }

    fn test(&mut self) -> Result<Test, Fault> {
        if self.eat("*") {
            return Ok(Test::Any);
        }
        let Some(Word::Name(name)) = self.peek() else {
            let found = self.peek().map_or("the end".to_string(), Word::show);
            return Err(self.fault(&format!("a name is missing before {found}")));
        };
        let name = name.clone();
        if self.peek_second() == Some(&Word::Symbol("(")) {
            let test = match name.as_str() {
                "node" => Test::Node,
                "text" => Test::Text,
                "comment" => Test::Comment,
                "processing-instruction" => Test::ProcessingInstruction,
                _ => return Err(self.fault("a function cannot be a step")),
            };
            self.next += 2;
            if test == Test::ProcessingInstruction && matches!(self.peek(), Some(Word::Literal(_))) {
                self.next += 1;
            }
            self.expect(")")?;
            return Ok(test);
        }
        if name.contains(':') && !name.starts_with("xml:") {
            return Err(self.fault(&format!("the namespace prefix of \"{name}\" is unknown")));
        }
        self.next += 1;
        Ok(Test::Name(name))
    }

    fn predicates(&mut self) -> Result<Vec<Expr>, Fault> {
        let mut predicates = Vec::new();
        while self.eat("[") {
            predicates.push(self.or()?);
            self.expect("]")?;
        }
        Ok(predicates)
    }
}

fn any_below() -> Step {
    Step { axis: Axis::DescendantOrSelf, test: Test::Node, predicates: Vec::new() }
}

/// Turn `descendant-or-self::node()/child::x` into `descendant::x`: the same set, without touching every node twice,
/// unless a predicate counts positions.
fn shorten(steps: Vec<Step>) -> Vec<Step> {
    let mut out: Vec<Step> = Vec::with_capacity(steps.len());
    for mut step in steps {
        let after_any = out.last().is_some_and(|last| {
            last.axis == Axis::DescendantOrSelf && last.test == Test::Node && last.predicates.is_empty()
        });
        if after_any && step.axis == Axis::Child && !step.predicates.iter().any(counts) {
            step.axis = Axis::Descendant;
            out.pop();
        }
        out.push(step);
    }
    out
}

/// Whether the predicate may depend on the position of its node.
fn counts(expr: &Expr) -> bool {
    match expr {
        Expr::Or(a, b) | Expr::And(a, b) | Expr::Compare(_, a, b) => {
            mentions_position(a) || mentions_position(b)
        }
        Expr::Path { .. } | Expr::Literal(_) | Expr::Union(..) => false,
        Expr::Call(
            Function::Not | Function::Contains | Function::StartsWith | Function::Boolean,
            arguments,
        ) => arguments.iter().any(mentions_position),
        // Everything else may be a number, and a number is a position.
        _ => true,
    }
}

fn mentions_position(expr: &Expr) -> bool {
    match expr {
        Expr::Or(a, b)
        | Expr::And(a, b)
        | Expr::Compare(_, a, b)
        | Expr::Arithmetic(_, a, b)
        | Expr::Union(a, b) => mentions_position(a) || mentions_position(b),
        Expr::Negate(a) => mentions_position(a),
        Expr::Literal(_) | Expr::Number(_) | Expr::Path { .. } => false,
        Expr::Call(Function::Last | Function::Position, _) => true,
        Expr::Call(_, arguments) => arguments.iter().any(mentions_position),
        Expr::Filter { primary, .. } => mentions_position(primary),
    }
}
