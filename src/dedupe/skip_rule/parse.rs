//! Reads conditions:
//!
//! ```text
//! condition = test { "and" test }
//! test      = FIELD ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) VALUE
//!           | FIELD [ "not" ] "in" "[" VALUE { "," VALUE } "]"
//!           | FIELD "is" [ "not" ] "blank"
//! VALUE     = NUMBER | "TEXT" | 'TEXT' | "true" | "false"
//! ```

use std::str::FromStr;

use serde_json::Value;

use super::condition::{Condition, Is, Test};

/// A text that is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no condition: {what}; write for example `opportunityAmount > 0`, `leadStatus in [\"Customer\", \"Partner\"]`, `renewalDate is not blank`, or several with `and`"
)]
pub struct NoCondition {
    text: String,
    what: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// A field, a word of the grammar, true or false.
    Word(String),
    Value(Value),
    Sign(&'static str),
}

/// The longer signs first.
const SIGNS: &[&str] = &["!=", "<=", ">=", "==", "=", "<", ">", "[", "]", ","];

impl FromStr for Condition {
    type Err = NoCondition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self { text: text.trim().to_owned(), tests: tests(text)? })
    }
}

impl TryFrom<String> for Condition {
    type Error = NoCondition;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// The tests of a condition; there is at least one.
fn tests(text: &str) -> Result<Vec<Test>, NoCondition> {
    let read = || {
        let mut tokens = Tokens { rest: tokens(text)?.into_iter().peekable() };
        let mut tests = vec![tokens.test()?];
        while let Some(token) = tokens.rest.next() {
            if !token.is("and") {
                return Err(format!("{} comes after a whole test", token.in_words()));
            }
            tests.push(tokens.test()?);
        }
        Ok(tests)
    };
    read().map_err(|what| NoCondition { text: text.trim().to_owned(), what })
}

struct Tokens {
    rest: std::iter::Peekable<std::vec::IntoIter<Token>>,
}

impl Tokens {
    fn test(&mut self) -> Result<Test, String> {
        let field = match self.rest.next() {
            Some(Token::Word(word)) => word,
            other => return Err(found("a field", other.as_ref())),
        };
        let is = match self.rest.next() {
            Some(Token::Sign("=" | "==")) => Is::Equal(self.value()?),
            Some(Token::Sign("!=")) => Is::NotEqual(self.value()?),
            Some(Token::Sign("<")) => Is::Less(self.value()?),
            Some(Token::Sign("<=")) => Is::AtMost(self.value()?),
            Some(Token::Sign(">")) => Is::Greater(self.value()?),
            Some(Token::Sign(">=")) => Is::AtLeast(self.value()?),
            Some(token) if token.is("in") => Is::OneOf(self.list()?),
            Some(token) if token.is("not") => {
                self.word("in")?;
                Is::NoneOf(self.list()?)
            }
            Some(token) if token.is("is") => {
                let negated = self.rest.next_if(|token| token.is("not")).is_some();
                self.word("blank")?;
                if negated { Is::Filled } else { Is::Blank }
            }
            other => {
                let signs = "=, !=, <, <=, >, >=, in, not in or is";
                return Err(found(&format!("{signs} after `{field}`"), other.as_ref()));
            }
        };
        Ok(Test { field, is })
    }

    fn value(&mut self) -> Result<Value, String> {
        match self.rest.next() {
            Some(Token::Value(value)) => Ok(value),
            Some(token) if token.is("true") => Ok(Value::Bool(true)),
            Some(token) if token.is("false") => Ok(Value::Bool(false)),
            Some(Token::Word(word)) => {
                Err(format!("a text needs quotation marks, such as \"{word}\""))
            }
            other => Err(found("a value", other.as_ref())),
        }
    }

    fn list(&mut self) -> Result<Vec<Value>, String> {
        self.sign("[")?;
        let mut values = vec![self.value()?];
        while self.rest.next_if(|token| *token == Token::Sign(",")).is_some() {
            values.push(self.value()?);
        }
        self.sign("]")?;
        Ok(values)
    }

    fn word(&mut self, word: &str) -> Result<(), String> {
        let token = self.rest.next();
        if token.as_ref().is_some_and(|token| token.is(word)) {
            Ok(())
        } else {
            Err(found(&format!("`{word}`"), token.as_ref()))
        }
    }

    fn sign(&mut self, sign: &'static str) -> Result<(), String> {
        let token = self.rest.next();
        if token == Some(Token::Sign(sign)) {
            Ok(())
        } else {
            Err(found(&format!("`{sign}`"), token.as_ref()))
        }
    }
}

fn found(wanted: &str, token: Option<&Token>) -> String {
    let found = token.map_or("nothing more".to_owned(), Token::in_words);
    format!("it needs {wanted}, and there is {found}")
}

impl Token {
    fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn in_words(&self) -> String {
        match self {
            Self::Word(word) => format!("`{word}`"),
            Self::Value(value) => format!("`{value}`"),
            Self::Sign(sign) => format!("`{sign}`"),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign))
        {
            (Token::Sign(sign), sign.len())
        } else if matches!(first, '"' | '\'') {
            let inner = rest.get(1..).unwrap_or_default();
            let end = inner.find(first).ok_or_else(|| format!("the text {rest} has no end"))?;
            let inner = inner.get(..end).unwrap_or_default();
            (Token::Value(Value::from(inner)), end + 2)
        } else {
            let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '+');
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let word = rest.get(..end).unwrap_or_default();
            let begins_a_number = first.is_ascii_digit() || matches!(first, '-' | '+' | '.');
            let token = match word.parse::<serde_json::Number>() {
                _ if word.is_empty() => return Err(format!("`{first}` has no place in it")),
                Ok(number) => Token::Value(Value::Number(number)),
                Err(_) if begins_a_number => return Err(format!("`{word}` is no number")),
                Err(_) => Token::Word(word.to_owned()),
            };
            (token, end)
        };
        tokens.push(token);
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    Ok(tokens)
}
