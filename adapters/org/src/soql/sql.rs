//! A query into SQL: names are looked up in the schema, values become parameters.
//!
//! SOQL knows two truth values, SQL three. A comparison with an empty field is false in SOQL (but
//! `!=` is true); in SQL it is unknown, which selects no row either and survives `AND` and `OR`, so
//! only `NOT` has to turn unknown into false first.

use std::cmp::Ordering;
use std::fmt::Write as _;

use super::parse::{Condition, Name, Operand, Operator, Order, Problem, Query};
use crate::schema::{Field, Kind, Object};
use crate::value::Value;
use crate::{calendar, ids};

/// SQLite takes 32,766 parameters in one statement.
const PARAMETERS: usize = 32_000;
/// SQLite's own bound for patterns lies above; the service's for literals is this.
const PATTERN: usize = 4_000;

/// A query that can be run.
#[derive(Debug)]
pub(crate) struct Plan<'o> {
    pub(crate) sql: String,
    pub(crate) parameters: Vec<Owned>,
    pub(crate) fields: Vec<&'o Field>,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Owned {
    Text(String),
    Int(i64),
    Real(f64),
}

impl Owned {
    pub(crate) fn value(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Text(text),
            Self::Int(n) => Value::Int(*n),
            Self::Real(x) => Value::Real(*x),
        }
    }
}

/// Plans a query over an object; `all` includes the recycle bin.
pub(crate) fn plan<'o>(
    query: &Query<'_>,
    object: &'o Object,
    all: bool,
) -> Result<Plan<'o>, Problem> {
    let mut planner = Planner { object, parameters: Vec::new() };
    let mut fields = Vec::new();
    for name in &query.fields {
        let field = planner.field(*name)?;
        if fields.iter().any(|other: &&Field| std::ptr::eq(*other, field)) {
            let text = format!("duplicate field selected: {}", field.name);
            return Err(Problem { code: "INVALID_FIELD", at: name.at, text });
        }
        fields.push(field);
    }
    // Last comes the record's number, selected or not: answers tell where a record is.
    let columns = fields.iter().map(|field| field.sql()).chain(["n".to_owned()]);
    let columns: Vec<String> = columns.collect();
    let mut sql = format!("SELECT {} FROM {} WHERE ", columns.join(", "), object.table());
    sql.push_str(if all { "1" } else { "deleted = 0" });
    if let Some(condition) = &query.condition {
        let _ = write!(sql, " AND {}", planner.condition(condition)?);
    }
    sql.push_str(" ORDER BY ");
    for order in &query.order {
        sql.push_str(&planner.order(order)?);
    }
    // Equal rows come in the order of their ids, so a query has one answer.
    sql.push('n');
    if let Some(limit) = query.limit {
        let _ = write!(sql, " LIMIT {limit}");
    }
    Ok(Plan { sql, parameters: planner.parameters, fields })
}

struct Planner<'o> {
    object: &'o Object,
    parameters: Vec<Owned>,
}

impl<'o> Planner<'o> {
    fn field(&self, name: Name<'_>) -> Result<&'o Field, Problem> {
        let invalid = |text| Problem { code: "INVALID_FIELD", at: name.at, text };
        let shown: String = name.text.chars().take(100).collect();
        // A name may be told with its object in front: `Account.Name` on Account.
        let (path, last) = name.text.rsplit_once('.').unwrap_or((&self.object.name, name.text));
        if !path.eq_ignore_ascii_case(&self.object.name) {
            return Err(invalid(format!(
                "Didn't understand relationship '{}' in field path. If you are attempting to use a custom \
                 relationship, be sure to append the '__r' after the custom relationship name. Please reference your \
                 WSDL or the describe call for the appropriate names.",
                shown.split('.').next().unwrap_or_default()
            )));
        }
        self.object.field(last).ok_or_else(|| {
            invalid(format!(
                "No such column '{shown}' on entity '{}'. If you are attempting to use a custom field, be sure to \
                 append the '__c' after the custom field name. Please reference your WSDL or the describe call for the \
                 appropriate names.",
                self.object.name
            ))
        })
    }

    fn order(&self, order: &Order<'_>) -> Result<String, Problem> {
        let column = self.field(order.field)?.sql();
        let way = if order.descending { "DESC" } else { "ASC" };
        let nulls = if order.nulls_last { "LAST" } else { "FIRST" };
        Ok(format!("{column} {way} NULLS {nulls}, "))
    }

    fn condition(&mut self, condition: &Condition<'_>) -> Result<String, Problem> {
        match condition {
            Condition::All(terms) => self.join(terms, "AND"),
            Condition::Any(terms) => self.join(terms, "OR"),
            Condition::Not(term) => Ok(format!("NOT ifnull({}, 0)", self.condition(term)?)),
            Condition::Compare { field, operator, value } => self.compare(*field, *operator, value),
            Condition::In { field, negated, values } => self.members(*field, *negated, values),
        }
    }

    /// Joins halves of halves: the depth of an expression is bounded in SQLite, its length is not.
    fn join(&mut self, terms: &[Condition<'_>], word: &str) -> Result<String, Problem> {
        if let [term] = terms {
            return self.condition(term);
        }
        let (left, right) = terms.split_at(terms.len() / 2);
        let left = self.join(left, word)?;
        Ok(format!("({left} {word} {})", self.join(right, word)?))
    }

    fn compare(
        &mut self,
        name: Name<'_>,
        operator: Operator,
        value: &Operand<'_>,
    ) -> Result<String, Problem> {
        let field = self.field(name)?;
        let column = field.sql();
        let empty = match value {
            Operand::Null => true,
            Operand::Text(literal) => literal.text.is_empty(),
            _ => false,
        };
        match operator {
            Operator::Equal if empty => return Ok(format!("{column} IS NULL")),
            Operator::NotEqual if empty => return Ok(format!("{column} IS NOT NULL")),
            Operator::Like => return self.like(name, field, value),
            _ if matches!(value, Operand::Null) => {
                return Err(Problem::malformed(name.at, "unexpected token: 'null'"));
            }
            _ => {}
        }
        let ordered = !matches!(operator, Operator::Equal | Operator::NotEqual);
        if ordered && field.kind == Kind::Boolean {
            return Err(invalid_operator(name, "boolean"));
        }
        let parameter = self.value(name, field, value)?;
        let sign = match operator {
            Operator::NotEqual => "IS NOT",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
            Operator::Equal | Operator::Like => "=",
        };
        Ok(format!("{column} {sign} {parameter}"))
    }

    fn like(
        &mut self,
        name: Name<'_>,
        field: &Field,
        value: &Operand<'_>,
    ) -> Result<String, Problem> {
        if !matches!(field.kind, Kind::Text(_) | Kind::Email) {
            return Err(invalid_operator(name, type_name(&field.kind)));
        }
        let Operand::Text(literal) = value else { return Err(wrong_type(name, field)) };
        if literal.pattern.len() > PATTERN {
            return Err(Problem::malformed(
                name.at,
                format!("a pattern has at most {PATTERN} characters"),
            ));
        }
        let parameter = self.bind(name, Owned::Text(literal.pattern.clone()))?;
        Ok(format!("{} LIKE {parameter} ESCAPE '\\'", field.sql()))
    }

    fn members(
        &mut self,
        name: Name<'_>,
        negated: bool,
        values: &[Operand<'_>],
    ) -> Result<String, Problem> {
        let field = self.field(name)?;
        let column = field.sql();
        let mut null = false;
        let mut list = Vec::with_capacity(values.len());
        for value in values {
            match value {
                Operand::Null => null = true,
                _ => list.push(self.value(name, field, value)?),
            }
        }
        // An empty field is in the list if `null` is, and not in it if `null` is not.
        let member = format!("ifnull({column} IN ({}), 0)", list.join(", "));
        let member = if null { format!("({member} OR {column} IS NULL)") } else { member };
        Ok(if negated { format!("NOT {member}") } else { member })
    }

    /// Binds a value as the field stores it.
    fn value(
        &mut self,
        name: Name<'_>,
        field: &Field,
        value: &Operand<'_>,
    ) -> Result<String, Problem> {
        let number = |text: &str| {
            let plain = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
            text.parse::<f64>().ok().filter(|x| plain && x.is_finite())
        };
        let owned = match (&field.kind, value) {
            (Kind::Text(_) | Kind::Email, Operand::Text(literal)) => {
                Some(Owned::Text(literal.text.clone()))
            }
            (Kind::Id, Operand::Text(literal)) => {
                Some(Owned::Int(self.own_number(name, &literal.text)?))
            }
            (Kind::Reference(_), Operand::Text(literal)) => {
                let id = ids::full(&literal.text).ok_or_else(|| invalid_id(name, &literal.text))?;
                Some(Owned::Text(String::from_utf8_lossy(&id).into_owned()))
            }
            (Kind::Boolean, Operand::Boolean(b)) => Some(Owned::Int((*b).into())),
            (Kind::Int | Kind::Number(_), Operand::Number(text)) => number(text).map(Owned::Real),
            (Kind::Date, Operand::Number(text)) => {
                calendar::is_date(text).then(|| Owned::Text((*text).to_owned()))
            }
            (Kind::DateTime, Operand::Number(text)) => calendar::read_instant(text).map(Owned::Int),
            _ => None,
        };
        self.bind(name, owned.ok_or_else(|| wrong_type(name, field))?)
    }

    /// The number of a record by its id. An id of another object is a number that no record has,
    /// below or above all of them as its prefix is: ranges of ids are asked for.
    fn own_number(&self, name: Name<'_>, id: &str) -> Result<i64, Problem> {
        let (prefix, n) = ids::read(id).ok_or_else(|| invalid_id(name, id))?;
        Ok(match prefix.cmp(self.object.prefix.as_str()) {
            Ordering::Less => -1,
            Ordering::Equal => n,
            Ordering::Greater => i64::MAX,
        })
    }

    fn bind(&mut self, name: Name<'_>, value: Owned) -> Result<String, Problem> {
        if self.parameters.len() >= PARAMETERS {
            return Err(Problem {
                code: "QUERY_TOO_COMPLICATED",
                at: name.at,
                text: "the query has too many values".into(),
            });
        }
        self.parameters.push(value);
        Ok(format!("?{}", self.parameters.len()))
    }
}

fn invalid_id(name: Name<'_>, id: &str) -> Problem {
    let shown: String = id.chars().take(100).collect();
    let text = format!("invalid ID field: {shown}");
    Problem { code: "INVALID_QUERY_FILTER_OPERATOR", at: name.at, text }
}

fn invalid_operator(name: Name<'_>, kind: &str) -> Problem {
    let text = format!("invalid operator on {kind} field");
    Problem { code: "INVALID_QUERY_FILTER_OPERATOR", at: name.at, text }
}

fn type_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Id | Kind::Reference(_) => "id",
        Kind::Text(_) | Kind::Email => "string",
        Kind::Boolean => "boolean",
        Kind::Int => "int",
        Kind::Number(_) => "double",
        Kind::Date => "date",
        Kind::DateTime => "dateTime",
    }
}

fn wrong_type(name: Name<'_>, field: &Field) -> Problem {
    let kind = type_name(&field.kind);
    let quotes = match field.kind {
        Kind::Id | Kind::Reference(_) | Kind::Text(_) | Kind::Email => {
            "should be enclosed in quotes"
        }
        _ => "should not be enclosed in quotes",
    };
    let text = format!(
        "value of filter criterion for field '{}' must be of type {kind} and {quotes}",
        field.name
    );
    Problem { code: "INVALID_FIELD", at: name.at, text }
}
