//! A query into queries over ranges of ids (Bulk API guide, topic "PK Chunking Header").

use super::parse::{Condition, Name, Query};

/// Can a query be split? It may have nothing behind its WHERE, and that may filter no field with
/// "id" in its name: the service then runs the query as it is.
pub(crate) fn can_be_split(query: &Query<'_>) -> bool {
    let filters_ids = query.condition.as_ref().is_some_and(names_an_id);
    query.order.is_empty() && query.limit.is_none() && !filters_ids
}

fn names_an_id(condition: &Condition<'_>) -> bool {
    let is = |field: &Name<'_>| {
        let last = field.text.rsplit('.').next().unwrap_or_default();
        last.to_ascii_lowercase().contains("id")
    };
    match condition {
        Condition::All(terms) | Condition::Any(terms) => terms.iter().any(names_an_id),
        Condition::Not(term) => names_an_id(term),
        Condition::Compare { field, .. }
        | Condition::Like { field, .. }
        | Condition::In { field, .. }
        | Condition::Includes { field, .. } => is(field),
    }
}

/// The text of a query that can be split, bounded to the ids from one to the one before another.
pub(crate) fn bounded(text: &str, query: &Query<'_>, (from, to): (&str, &str)) -> String {
    let range = format!("Id >= '{from}' AND Id < '{to}'");
    match query.filter {
        Some(at) => format!("{}({}) AND {range}", &text[..at], text[at..].trim_end()),
        None => format!("{} WHERE {range}", text.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soql::parse;

    #[test]
    fn only_a_filter_may_follow_the_object() {
        for (rest, can) in [
            ("", true),
            ("WHERE Name != null AND (NOT Industry IN ('Id'))", true),
            ("WHERE Identity.Name LIKE 'x%'", true),
            ("WHERE Name != null OR (Phone = '1' AND NOT ownerid = null)", false),
            ("WHERE Owner.Id IN ('005000000000001')", false),
            ("WHERE Provider__c INCLUDES ('a')", false),
            ("ORDER BY Name", false),
            ("WHERE Name != null LIMIT 5", false),
        ] {
            let text = format!("SELECT Id FROM Account {rest}");
            assert_eq!(can_be_split(&parse(&text).unwrap()), can, "{rest}");
        }
    }

    #[test]
    fn a_range_is_one_more_term_of_the_filter() {
        let split = |text: &str| bounded(text, &parse(text).unwrap(), ("a", "b"));
        assert_eq!(split("SELECT Id FROM A\n"), "SELECT Id FROM A WHERE Id >= 'a' AND Id < 'b'");
        assert_eq!(
            split("select x from A\nwhere  x = 'where' or x = null "),
            "select x from A\nwhere  (x = 'where' or x = null) AND Id >= 'a' AND Id < 'b'"
        );
    }
}
