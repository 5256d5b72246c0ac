//! As much SOQL as the machine must understand: which object a query is about, because a job is
//! created for an object; which columns it selects, because an empty result has no header; what the
//! Bulk API certainly refuses, because it would say so only later; and which ids a chunk is about.

/// Functions over many rows. The Bulk API gives rows, and has none of them.
const AGGREGATES: [&str; 7] = ["avg", "count", "count_distinct", "grouping", "max", "min", "sum"];

/// Fields of standard objects that no bulk query may select: the content of files (a ZIP job writes
/// it, REST reads it), and addresses, which are several fields in one.
const FILES: [(&str, &str); 3] =
    [("Attachment", "Body"), ("ContentVersion", "VersionData"), ("Document", "Body")];
const ADDRESSES: [(&str, &str); 10] = [
    ("Account", "BillingAddress"),
    ("Account", "ShippingAddress"),
    ("Contact", "MailingAddress"),
    ("Contact", "OtherAddress"),
    ("Contract", "BillingAddress"),
    ("Contract", "ShippingAddress"),
    ("Lead", "Address"),
    ("Order", "BillingAddress"),
    ("Order", "ShippingAddress"),
    ("User", "Address"),
];

/// The words and signs of a query outside string literals and parentheses, of which only the
/// opening one is given.
fn tokens(soql: &str) -> impl Iterator<Item = &str> {
    let mut rest = soql;
    let mut depth = 0_u32;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start();
            let first = rest.chars().next()?;
            let end = match first {
                '\'' => literal_end(rest),
                _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                _ => first.len_utf8(),
            };
            let (token, tail) = rest.split_at(end);
            rest = tail;
            match first {
                '(' => {
                    depth += 1;
                    if depth == 1 {
                        return Some(token);
                    }
                }
                ')' => depth = depth.saturating_sub(1),
                '\'' => {}
                _ if depth == 0 => return Some(token),
                _ => {}
            }
        }
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.')
}

/// Where the string literal at the beginning of `text` ends; a backslash escapes what follows it.
fn literal_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\'' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The object in the FROM clause of the query itself, not of a sub-query.
pub(crate) fn root_object(soql: &str) -> Option<&str> {
    let mut tokens = tokens(soql);
    tokens.next().filter(|token| token.eq_ignore_ascii_case("select"))?;
    tokens.find(|token| token.eq_ignore_ascii_case("from"))?;
    tokens.next()
}

/// The selected columns, if the list holds nothing but field names.
pub(crate) fn columns(soql: &str) -> Option<Vec<&str>> {
    let mut tokens = tokens(soql);
    if !tokens.next()?.eq_ignore_ascii_case("select") {
        return None;
    }
    let mut columns = Vec::new();
    loop {
        columns.push(tokens.next().filter(|field| field.starts_with(is_word))?);
        match tokens.next()? {
            "," => {}
            from if from.eq_ignore_ascii_case("from") => return Some(columns),
            _ => return None,
        }
    }
}

/// What the Bulk API certainly refuses in a query, and what to do instead (topics "Bulk API Query"
/// and "SOQL Considerations" of the vendor's guide). All else is left to the org to judge.
pub(crate) fn refused(soql: &str, csv: bool) -> Option<(String, &'static str)> {
    let object = root_object(soql)?;
    let is_of = |fields: &[(&str, &str)], token: &str| {
        let is = |(of, field): &(&str, &str)| {
            of.eq_ignore_ascii_case(object) && field.eq_ignore_ascii_case(token)
        };
        fields.iter().any(is)
    };
    let (mut before, mut selecting) = (String::new(), true);
    for token in tokens(soql) {
        let word = token.to_ascii_lowercase();
        match (before.as_str(), word.as_str()) {
            (function, "(") if selecting && AGGREGATES.contains(&function) => {
                let what = format!("the aggregate function {}()", function.to_ascii_uppercase());
                return Some((what, "query the rows and count them, or ask by the REST API"));
            }
            ("select" | ",", "(") if selecting && csv => {
                let advice =
                    "take the content type JSON or XML, or query the children by themselves";
                return Some(("a sub-query in a CSV job".into(), advice));
            }
            ("group", "by") => {
                return Some(("GROUP BY".into(), "query the rows, or ask by the REST API"));
            }
            ("offset", number) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                return Some(("OFFSET".into(), "query all rows, or begin behind an Id you know"));
            }
            _ if selecting && is_of(&FILES, token) => {
                let what = format!("the content of a file, {object}.{token}");
                return Some((what, "read it by the REST API, record by record"));
            }
            _ if selecting && is_of(&ADDRESSES, token) => {
                let what = format!("the compound field {object}.{token}");
                return Some((what, "select its parts: street, city, and so on"));
            }
            _ => selecting &= word != "from",
        }
        before = word;
    }
    None
}

/// The comparisons of `Id` in a query, as in the query of a chunk: `Id >= '001…' AND Id < '001…'`.
pub(crate) fn id_range(soql: &str) -> Option<String> {
    let mut bounds = Vec::new();
    let mut rest = soql;
    while let Some(at) = rest.find('\'') {
        let (before, literal) = rest.split_at(at);
        let (literal, after) = literal.split_at(literal_end(literal));
        let field = before.trim_end().trim_end_matches(['<', '>', '=']);
        let sign = before[field.len()..].trim();
        let name = field.trim_end().rsplit(|c| !is_word(c)).next().unwrap_or_default();
        if name.eq_ignore_ascii_case("Id") && !sign.is_empty() {
            bounds.push(format!("Id {sign} {literal}"));
        }
        rest = after;
    }
    (!bounds.is_empty()).then(|| bounds.join(" AND "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_object_is_the_one_of_the_outer_query() {
        for (soql, object) in [
            ("SELECT Id FROM Account", Some("Account")),
            (
                "select From__c, (SELECT Id FROM Contacts) from\n\tAccount where Name = ' from X'",
                Some("Account"),
            ),
            ("SELECT Id FROM Lead WHERE Id IN (SELECT LeadId FROM X)", Some("Lead")),
            (r"SELECT Id FROM Case WHERE Subject = 'it\'s from Bob'", Some("Case")),
            ("SELECT Id", None),
            ("DELETE FROM Account", None),
            ("", None),
            ("SELECT 'from x", None),
        ] {
            assert_eq!(root_object(soql), object, "{soql}");
        }
    }

    #[test]
    fn columns_are_known_only_if_they_are_plain_fields() {
        assert_eq!(columns("SELECT Id, Owner.Name FROM Account"), Some(vec!["Id", "Owner.Name"]));
        assert_eq!(columns("SELECT COUNT() FROM Account"), None);
        assert_eq!(columns("SELECT Id, (SELECT Id FROM Contacts) FROM Account"), None);
        assert_eq!(columns("SELECT FIELDS(ALL) FROM Account"), None);
        assert_eq!(columns("SELECT Id name FROM Account"), None);
    }

    #[test]
    fn what_the_bulk_api_certainly_refuses_is_known() {
        for (soql, what) in [
            ("SELECT COUNT() FROM Account", "the aggregate function COUNT()"),
            ("select Name, max ( Amount ) m FROM Opportunity", "the aggregate function MAX()"),
            ("SELECT Name FROM Account WHERE Name != 'x' group\nby Name", "GROUP BY"),
            ("SELECT Id FROM Account LIMIT 10 OFFSET 5", "OFFSET"),
            ("SELECT Id, (SELECT Id FROM Contacts) FROM Account", "a sub-query in a CSV job"),
            ("SELECT Id, body FROM attachment", "the content of a file, attachment.body"),
            ("SELECT MailingAddress FROM Contact", "the compound field Contact.MailingAddress"),
        ] {
            assert_eq!(refused(soql, true).map(|(what, _)| what).as_deref(), Some(what), "{soql}");
        }
        for soql in [
            "SELECT Id, Count__c, Max FROM Account WHERE Name = 'GROUP BY' ORDER BY Name LIMIT 5",
            "SELECT Id FROM Account WHERE Offset = 1 AND Id IN (SELECT AccountId FROM Contact)",
            "SELECT toLabel(Status), FORMAT(Amount) FROM Opportunity",
            "SELECT Id, TYPEOF What WHEN Account THEN Phone END FROM Event",
            "SELECT Body FROM Note WHERE Body != null",
            "SELECT Id",
        ] {
            assert_eq!(refused(soql, true), None, "{soql}");
        }
        assert_eq!(refused("SELECT Id, (SELECT Id FROM Contacts) FROM Account", false), None);
    }

    #[test]
    fn a_chunk_tells_its_ids() {
        let soql = "SELECT Id FROM Account WHERE (Name = 'Id >= \\'x\\'' AND ParentId='y') \
                    AND id >= '001000000000001' and Id<'00100000000001a'";
        let range = "Id >= '001000000000001' AND Id < '00100000000001a'";
        assert_eq!(id_range(soql).as_deref(), Some(range));
        assert_eq!(id_range("SELECT Id FROM Account WHERE Name = 'x"), None);
    }
}
