//! Tokens into a query: recursive descent, one function for each rule.
//!
//! ```text
//! query     = SELECT field {, field} FROM object [WHERE condition] [ORDER BY order {, order}] [LIMIT n]
//! condition = term {AND term} | term {OR term}        — AND and OR mix only with parentheses
//! term      = NOT term | ( condition ) | field operator value
//!           | field [NOT] IN ( value {, value} ) | field INCLUDES|EXCLUDES ( text {, text} )
//! field     = {relationship .} name
//! ```
//!
//! What bulk queries cannot do, and what this org cannot, is refused by name.

use super::period::Period;
use super::token::{Kind, Literal, Token, tokens};

/// How deep parentheses and `NOT` may nest: far beyond any real query, far below any stack.
const DEPTH: usize = 60;
/// The code of the refusal of a child sub-query.
pub(crate) const NO_CHILDREN: &str = "FeatureNotEnabled";

/// A query as written. Places are kept for messages.
#[derive(Debug, PartialEq)]
pub(crate) struct Query<'a> {
    pub(crate) fields: Vec<Name<'a>>,
    pub(crate) object: Name<'a>,
    pub(crate) condition: Option<Condition<'a>>,
    /// Where the condition begins.
    pub(crate) filter: Option<usize>,
    pub(crate) order: Vec<Order<'a>>,
    pub(crate) limit: Option<i64>,
}

/// A word and where it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Name<'a> {
    pub(crate) at: usize,
    pub(crate) text: &'a str,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Condition<'a> {
    All(Vec<Condition<'a>>),
    Any(Vec<Condition<'a>>),
    Not(Box<Condition<'a>>),
    Compare {
        field: Name<'a>,
        operator: Operator,
        value: Operand<'a>,
    },
    Like {
        field: Name<'a>,
        value: Operand<'a>,
    },
    In {
        field: Name<'a>,
        negated: bool,
        values: Vec<Operand<'a>>,
    },
    /// One of the texts, or none; a text with semicolons means all of its parts.
    Includes {
        field: Name<'a>,
        negated: bool,
        values: Vec<Literal>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// The right side of a comparison.
#[derive(Debug, PartialEq)]
pub(crate) enum Operand<'a> {
    Null,
    Text(Literal),
    Boolean(bool),
    /// A number, a date or a moment: which of them, the field decides.
    Number(&'a str),
    Period(Period),
}

impl Operand<'_> {
    /// Whether it stands for a field without a value: `null`, and an empty text too.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Text(literal) => literal.text.is_empty(),
            Self::Boolean(_) | Self::Number(_) | Self::Period(_) => false,
        }
    }
}

#[derive(Debug, PartialEq)]
pub(crate) struct Order<'a> {
    pub(crate) field: Name<'a>,
    pub(crate) descending: bool,
    pub(crate) nulls_last: bool,
}

/// What is wrong with a query, and where, if it is a place.
#[derive(Debug, PartialEq)]
pub(crate) struct Problem {
    pub(crate) code: &'static str,
    pub(crate) at: Option<usize>,
    pub(crate) text: String,
}

impl Problem {
    pub(crate) fn new(code: &'static str, at: usize, text: impl Into<String>) -> Self {
        Self { code, at: Some(at), text: text.into() }
    }

    pub(crate) fn malformed(at: usize, text: impl Into<String>) -> Self {
        Self::new("MALFORMED_QUERY", at, text)
    }
}

/// Reads a query.
pub(crate) fn parse(text: &str) -> Result<Query<'_>, Problem> {
    let tokens = tokens(text).map_err(|(at, text)| Problem::malformed(at, text))?;
    let mut parser = Parser { tokens, next: 0, depth: 0 };
    let query = parser.query()?;
    match parser.peek() {
        Token { kind: Kind::End, .. } => Ok(query),
        token => {
            let (at, text) = (token.at, token.text.to_ascii_uppercase());
            Err(match text.as_str() {
                "GROUP" | "HAVING" | "OFFSET" | "FOR" => refused(at, &text),
                "WITH" | "USING" | "ALL" | "UPDATE" => unsupported(at, &text),
                _ => parser.unexpected(),
            })
        }
    }
}

/// What the service refuses too ("Bulk Query Details").
fn refused(at: usize, what: &str) -> Problem {
    Problem::malformed(at, format!("{what} is not supported in bulk queries"))
}

/// What the service has, and this org has not.
fn unsupported(at: usize, what: &str) -> Problem {
    Problem::malformed(at, format!("{what} is not supported in bulk queries of the practice org"))
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
    depth: usize,
}

type Parsed<T> = Result<T, Problem>;

impl<'a> Parser<'a> {
    fn query(&mut self) -> Parsed<Query<'a>> {
        self.keyword("SELECT")?;
        let fields = self.list(Self::selected)?;
        self.keyword("FROM")?;
        let object = self.name()?;
        let filter = self.take("WHERE").then(|| self.peek().at);
        let condition = filter.map(|_| self.condition()).transpose()?;
        let order = if self.take("ORDER") {
            self.keyword("BY")?;
            self.list(Self::order)?
        } else {
            Vec::new()
        };
        let limit = if self.take("LIMIT") { Some(self.limit()?) } else { None };
        Ok(Query { fields, object, condition, filter, order, limit })
    }

    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.take(",") {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn selected(&mut self) -> Parsed<Name<'a>> {
        if self.is("TYPEOF") {
            return Err(refused(self.peek().at, "TYPEOF"));
        }
        self.field()
    }

    fn field(&mut self) -> Parsed<Name<'a>> {
        if self.is("(") {
            let problem = unsupported(self.peek().at, "A child sub-query");
            return Err(Problem { code: NO_CHILDREN, ..problem });
        }
        let name = self.name()?;
        if !self.is("(") {
            return Ok(name);
        }
        let function = name.text.to_ascii_uppercase();
        let aggregates = ["AVG", "COUNT", "COUNT_DISTINCT", "GROUPING", "MAX", "MIN", "SUM"];
        let refuse = if aggregates.contains(&&*function) { refused } else { unsupported };
        Err(refuse(name.at, &format!("The function {function}()")))
    }

    fn order(&mut self) -> Parsed<Order<'a>> {
        let field = self.field()?;
        let descending = !self.take("ASC") && self.take("DESC");
        let nulls_last = if self.take("NULLS") {
            let last = self.take("LAST");
            if !last {
                self.keyword("FIRST")?;
            }
            last
        } else {
            false
        };
        Ok(Order { field, descending, nulls_last })
    }

    fn limit(&mut self) -> Parsed<i64> {
        let token = self.peek().clone();
        match token.text.parse() {
            Ok(limit) if token.text.bytes().all(|b| b.is_ascii_digit()) => {
                self.next += 1;
                Ok(limit)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// Terms joined by one word; the other may come only in parentheses.
    fn condition(&mut self) -> Parsed<Condition<'a>> {
        let mut terms = vec![self.term()?];
        let word = ["AND", "OR"].into_iter().find(|word| self.is(word));
        while word.is_some_and(|word| self.take(word)) {
            terms.push(self.term()?);
        }
        match word {
            Some("AND") => Ok(Condition::All(terms)),
            Some(_) => Ok(Condition::Any(terms)),
            None => terms.pop().ok_or_else(|| self.unexpected()),
        }
    }

    fn term(&mut self) -> Parsed<Condition<'a>> {
        let at = self.peek().at;
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Problem::malformed(at, "The condition is nested too deeply"));
        }
        let term = if self.take("NOT") {
            Condition::Not(Box::new(self.term()?))
        } else if self.take("(") {
            let inner = self.condition()?;
            self.keyword(")")?;
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(term)
    }

    fn comparison(&mut self) -> Parsed<Condition<'a>> {
        let field = self.field()?;
        let negated = self.take("NOT");
        if self.take("IN") {
            return self.members(field, negated);
        }
        let operator = match self.peek().text.to_ascii_uppercase().as_str() {
            _ if negated => return Err(self.unexpected()),
            "=" => Operator::Equal,
            "!=" | "<>" => Operator::NotEqual,
            "<" => Operator::Less,
            "<=" => Operator::LessOrEqual,
            ">" => Operator::Greater,
            ">=" => Operator::GreaterOrEqual,
            "LIKE" => {
                self.next += 1;
                return Ok(Condition::Like { field, value: self.operand()? });
            }
            word @ ("INCLUDES" | "EXCLUDES") => return self.parts(field, word == "EXCLUDES"),
            _ => return Err(self.unexpected()),
        };
        self.next += 1;
        let value = self.operand()?;
        Ok(Condition::Compare { field, operator, value })
    }

    fn members(&mut self, field: Name<'a>, negated: bool) -> Parsed<Condition<'a>> {
        self.keyword("(")?;
        if self.is("SELECT") {
            return Err(unsupported(self.peek().at, "A sub-query"));
        }
        let values = self.list(Self::operand)?;
        self.keyword(")")?;
        Ok(Condition::In { field, negated, values })
    }

    fn parts(&mut self, field: Name<'a>, negated: bool) -> Parsed<Condition<'a>> {
        self.next += 1;
        self.keyword("(")?;
        let values = self.list(|parser| match parser.peek().kind.clone() {
            Kind::Text(literal) => {
                parser.next += 1;
                Ok(literal)
            }
            _ => Err(parser.unexpected()),
        })?;
        self.keyword(")")?;
        Ok(Condition::Includes { field, negated, values })
    }

    fn operand(&mut self) -> Parsed<Operand<'a>> {
        let token = self.peek().clone();
        let operand = match token.kind {
            Kind::Text(literal) => Operand::Text(literal),
            Kind::Number => Operand::Number(token.text),
            Kind::Word => match token.text.to_ascii_uppercase().as_str() {
                "NULL" => Operand::Null,
                "TRUE" => Operand::Boolean(true),
                "FALSE" => Operand::Boolean(false),
                word => Operand::Period(Period::read(word).ok_or_else(|| self.unexpected())?),
            },
            Kind::Symbol | Kind::End => return Err(self.unexpected()),
        };
        self.next += 1;
        Ok(operand)
    }

    /// A name that is no keyword of the grammar's next step.
    fn name(&mut self) -> Parsed<Name<'a>> {
        let token = self.peek();
        let name = Name { at: token.at, text: token.text };
        let reserved =
            ["FROM", "WHERE", "AND", "OR", "NOT", "IN", "LIKE", "SELECT", "LIMIT", "NULL"];
        if token.kind != Kind::Word
            || reserved.iter().any(|word| name.text.eq_ignore_ascii_case(word))
        {
            return Err(self.unexpected());
        }
        self.next += 1;
        Ok(name)
    }

    /// The list of tokens ends with one that nothing consumes.
    fn peek(&self) -> &Token<'a> {
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn is(&self, word: &str) -> bool {
        let token = self.peek();
        matches!(token.kind, Kind::Word | Kind::Symbol) && token.text.eq_ignore_ascii_case(word)
    }

    fn take(&mut self, word: &str) -> bool {
        let is = self.is(word);
        self.next += usize::from(is);
        is
    }

    fn keyword(&mut self, word: &str) -> Parsed<()> {
        if self.take(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> Problem {
        let token = self.peek();
        let shown: String = token.text.chars().take(100).collect();
        Problem::malformed(token.at, format!("unexpected token: '{shown}'"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_has_a_bound_and_length_has_none() {
        let nested =
            |n: usize| format!("SELECT Id FROM A WHERE {}a = 1{}", "(".repeat(n), ")".repeat(n));
        assert!(parse(&nested(DEPTH - 1)).is_ok());
        assert!(parse(&nested(DEPTH)).unwrap_err().text.contains("too deeply"));
        assert!(parse(&nested(100_000)).is_err());
        assert!(parse(&format!("SELECT Id FROM A WHERE {}a = 1", "NOT ".repeat(100_000))).is_err());
        assert!(
            parse(&format!("SELECT Id FROM A WHERE a = 1{}", " OR a = 1".repeat(10_000))).is_ok()
        );
    }

    #[test]
    fn no_prefix_of_a_query_panics() {
        let whole = r"SELECT Id, Name FROM A WHERE (a NOT IN ('x\'', 1) AND NOT b LIKE '%' AND d.e = LAST_N_DAYS:3 AND f INCLUDES ('a;b', 'c')) ORDER BY c DESC NULLS LAST LIMIT 5";
        assert!(parse(whole).is_ok());
        for end in 0..whole.len() {
            let _ = parse(&whole[..end]);
            let _ = parse(&whole[end..]);
        }
    }
}
