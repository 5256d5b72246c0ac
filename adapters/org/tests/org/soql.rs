//! Queries: which rows they find, in which order, and what they cannot say.

use std::fmt::Write as _;

use crate::client::Client;

/// Five accounts, told apart by `Site`.
fn accounts() -> Client {
    let mut client = Client::new();
    let file = "Site,Name,Industry,AnnualRevenue,NumberOfEmployees,ParentId,Tag__c\n\
        1,Fabrikam,Retail,100,5,,a_b\n\
        2,fabulous,retail,250.5,,001000000000001AAA,axb\n\
        3,Contoso,,1E7,70,001000000000001AAA,50%\n\
        4,O'Hara \\ Sons,Energy,,5,,500\n\
        5,Zeta,,-3,0,,\n";
    assert_eq!(client.insert("Account", file).len(), 5);
    client
}

fn found(client: &mut Client, rest: &str) -> String {
    let rows = client.query("Account", &format!("SELECT Site FROM Account {rest}"));
    if rows.starts_with("Records") {
        return String::new();
    }
    rows.lines().skip(1).map(|line| line.trim_matches('"')).collect()
}

#[test]
fn conditions_find_the_rows_they_mean() {
    let mut client = accounts();
    for (condition, sites) in [
        ("Name = 'FABRIKAM'", "1"),
        ("Name != 'Fabrikam'", "2345"),
        ("Industry != 'Retail'", "345"),
        ("Industry = null", "35"),
        ("Industry <> NULL", "124"),
        ("Industry = ''", "35"),
        ("Name < 'D'", "3"),
        ("Name >= 'fabulous'", "245"),
        ("Name LIKE 'fab%'", "12"),
        ("Name like '_eta'", "5"),
        ("Tag__c LIKE 'a\\_b'", "1"),
        ("Tag__c LIKE 'a_b'", "12"),
        ("Tag__c LIKE '50\\%'", "3"),
        ("Name = 'O\\'Hara \\\\ Sons'", "4"),
        ("Name LIKE '%\\\\%'", "4"),
        ("AnnualRevenue > 100", "23"),
        ("AnnualRevenue <= 1.0E2", "15"),
        ("AnnualRevenue = -3", "5"),
        ("NumberOfEmployees = 5", "14"),
        ("NumberOfEmployees IN (0, 70)", "35"),
        ("Industry IN ('retail', 'ENERGY')", "124"),
        ("Industry NOT IN ('Retail')", "345"),
        ("Industry IN ('Energy', null)", "345"),
        ("Industry NOT IN ('Energy', null)", "12"),
        ("Industry IN (null)", "35"),
        ("ParentId = '001000000000001'", "23"),
        ("ParentId = '001000000000001AAA'", "23"),
        ("Id = '001000000000003'", "3"),
        ("Id IN ('001000000000003AAA', '003000000000001AAA')", "3"),
        ("Id > '001000000000003'", "45"),
        ("Id > '001000000000003' AND Id < '001zzzzzzzzzzzz'", "45"),
        ("Id > '003000000000000'", ""),
        ("Id >= '000000000000000' AND Id < '002000000000000'", "12345"),
        ("IsDeleted = false", "12345"),
        ("IsDeleted = TRUE", ""),
        ("CreatedDate > 2026-01-01T00:00:29Z", "12345"),
        ("CreatedDate < 2026-01-01T00:00:30+00:00", ""),
        ("Industry = 'Retail' AND AnnualRevenue > 200", "2"),
        ("Industry = 'Energy' OR Name = 'Zeta' OR Site = '1'", "145"),
        ("(Industry = 'Retail' OR Industry = null) AND AnnualRevenue > 0", "123"),
        ("NOT Industry = 'Retail'", "345"),
        ("NOT (Industry = 'Retail' AND AnnualRevenue > 200)", "1345"),
        ("NOT (NOT (NumberOfEmployees > 1))", "134"),
        ("Account.Name = 'Zeta'", "5"),
    ] {
        assert_eq!(found(&mut client, &format!("WHERE {condition}")), sites, "{condition}");
    }
}

#[test]
fn order_and_limit() {
    let mut client = accounts();
    for (rest, sites) in [
        ("ORDER BY Name", "31245"),
        ("ORDER BY Name DESC", "54213"),
        ("ORDER BY AnnualRevenue", "45123"),
        ("ORDER BY AnnualRevenue DESC", "43215"),
        ("ORDER BY AnnualRevenue DESC NULLS LAST", "32154"),
        ("ORDER BY Industry ASC NULLS LAST, Name DESC", "42153"),
        ("ORDER BY Id DESC LIMIT 2", "54"),
        ("LIMIT 0", ""),
        ("limit 99", "12345"),
        ("WHERE NumberOfEmployees > 1 ORDER BY NumberOfEmployees DESC LIMIT 1", "3"),
    ] {
        assert_eq!(found(&mut client, rest), sites, "{rest}");
    }
}

#[test]
fn dates_and_booleans_are_compared_by_type() {
    let mut client = Client::new();
    let file = "Name,StageName,CloseDate\nA,Closed Won,2026-03-01\nB,New,2025-12-31\n";
    client.insert("Opportunity", file);
    for (condition, name) in [
        ("CloseDate > 2026-01-01", "A"),
        ("CloseDate = 2025-12-31", "B"),
        ("IsWon = true", "A"),
        ("IsClosed != true", "B"),
    ] {
        let rows =
            client.query("Opportunity", &format!("SELECT Name FROM Opportunity WHERE {condition}"));
        assert_eq!(rows, format!("\"Name\"\n\"{name}\"\n"), "{condition}");
    }
}

/// A query, the code it is refused with, and what is said about it.
type Refusal = (&'static str, &'static str, &'static str);

fn assert_refused(cases: &[Refusal]) {
    let mut client = accounts();
    for (soql, code, text) in cases {
        let told = client.files("query", "Account", soql).unwrap_err();
        let start = format!("InvalidBatch : Failed to process query: {code}: \n");
        assert!(told.starts_with(&start), "{soql}: {told}");
        assert!(told.contains(text), "{soql}: {told}");
        assert!(told.contains("\nERROR at Row:1:Column:"), "{told}");
    }
}

#[test]
fn what_cannot_be_answered_fails_the_batch() {
    assert_refused(&[
        (
            "SELECT Nme FROM Account",
            "INVALID_FIELD",
            "No such column 'Nme' on entity 'Account'. If you are attempting",
        ),
        ("SELECT Id FROM Acount", "INVALID_TYPE", "sObject type 'Acount' is not supported."),
        (
            "SELECT Ownr.Name FROM Account",
            "INVALID_FIELD",
            "Didn't understand relationship 'Ownr' in field path.",
        ),
        (
            "SELECT Owner.Nme FROM Account",
            "INVALID_FIELD",
            "No such column 'Nme' on entity 'User'.",
        ),
        (
            "SELECT TYPEOF Owner WHEN User THEN Id END FROM Account",
            "MALFORMED_QUERY",
            "TYPEOF is not",
        ),
        ("SELECT Name FROM Account HAVING COUNT(Id) > 1", "MALFORMED_QUERY", "HAVING is not"),
        (
            "SELECT toLabel(Name) FROM Account",
            "MALFORMED_QUERY",
            "The function TOLABEL() is not supported in bulk queries of the practice org",
        ),
        ("SELECT Id FROM Account WHERE Tag__c INCLUDES (5)", "MALFORMED_QUERY", "token: '5'"),
        ("SELECT Id, id FROM Account", "INVALID_FIELD", "duplicate field selected: Id"),
        ("SELECT COUNT() FROM Account", "MALFORMED_QUERY", "The function COUNT() is not supported"),
        ("SELECT Name FROM Account GROUP BY Name", "MALFORMED_QUERY", "GROUP is not supported"),
        ("SELECT Id FROM Account LIMIT 1 OFFSET 5", "MALFORMED_QUERY", "OFFSET is not supported"),
        (
            "SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Contact)",
            "MALFORMED_QUERY",
            "A sub-query is not",
        ),
        (
            "SELECT Id FROM Account WHERE CreatedDate = SOMEDAY",
            "MALFORMED_QUERY",
            "unexpected token: 'SOMEDAY'",
        ),
        (
            "SELECT Id FROM Account WHERE Name = 'a' AND Site = 'b' OR Site = 'c'",
            "MALFORMED_QUERY",
            "unexpected token: 'OR'",
        ),
        ("SELECT Id FROM Account WHERE Name = a", "MALFORMED_QUERY", "unexpected token: 'a'"),
        ("SELECT Id FROM Account WHERE Name > null", "MALFORMED_QUERY", "unexpected token: 'null'"),
        (
            "SELECT Id FROM Account WHERE Name =",
            "MALFORMED_QUERY",
            "unexpected token: '&lt;EOF&gt;'",
        ),
        ("SELECT FROM Account", "MALFORMED_QUERY", "unexpected token: 'FROM'"),
        ("DELETE FROM Account", "MALFORMED_QUERY", "unexpected token: 'DELETE'"),
        ("SELECT Id FROM Account; DROP TABLE x", "MALFORMED_QUERY", "unexpected char: ';'"),
        ("SELECT Id FROM Account WHERE Name = 'a", "MALFORMED_QUERY", "Illegal string literal"),
    ]);
}

#[test]
fn what_cannot_be_compared_fails_the_batch() {
    assert_refused(&[
        (
            "SELECT Id FROM Account WHERE BillingAddress = 'x'",
            "INVALID_FIELD",
            "field 'BillingAddress' can not be filtered in a query call",
        ),
        (
            "SELECT Id FROM Account ORDER BY ShippingAddress",
            "INVALID_FIELD",
            "field 'ShippingAddress' can not be sorted in a query call",
        ),
        (
            "SELECT Id FROM Account WHERE Industry INCLUDES ('a')",
            "INVALID_QUERY_FILTER_OPERATOR",
            "invalid operator on string field",
        ),
        (
            "SELECT Id FROM Account WHERE Name = TODAY",
            "INVALID_FIELD",
            "value of filter criterion for field 'Name' must be of type string",
        ),
        (
            "SELECT Id FROM Account WHERE CreatedDate IN (TODAY)",
            "INVALID_FIELD",
            "value of filter criterion for field 'CreatedDate' must be of type dateTime",
        ),
        (
            "SELECT Id FROM Account WHERE Name = 5",
            "INVALID_FIELD",
            "value of filter criterion for field 'Name' must be of type string and should be enclosed in quotes",
        ),
        (
            "SELECT Id FROM Account WHERE AnnualRevenue = '5'",
            "INVALID_FIELD",
            "value of filter criterion for field 'AnnualRevenue' must be of type double and should not be enclosed in quotes",
        ),
        (
            "SELECT Id FROM Account WHERE CreatedDate > 2026-01-01",
            "INVALID_FIELD",
            "must be of type dateTime",
        ),
        (
            "SELECT Id FROM Account WHERE IsDeleted > true",
            "INVALID_QUERY_FILTER_OPERATOR",
            "invalid operator on boolean",
        ),
        (
            "SELECT Id FROM Account WHERE Id LIKE '001%'",
            "INVALID_QUERY_FILTER_OPERATOR",
            "invalid operator on id field",
        ),
        (
            "SELECT Id FROM Account WHERE Id = 'x'",
            "INVALID_QUERY_FILTER_OPERATOR",
            "invalid ID field: x",
        ),
    ]);
}

#[test]
fn what_bulk_queries_never_select_is_refused_in_the_services_words() {
    let mut client = accounts();
    for (object, soql, message) in [
        (
            "Account",
            "SELECT Id, (SELECT Id FROM Contacts) FROM Account",
            "FeatureNotEnabled : Aggregate Relationships not supported in Bulk Query with CSV content type",
        ),
        (
            "Account",
            "SELECT Id, BillingAddress FROM Account",
            "InvalidBatch : Failed to process query: FUNCTIONALITY_NOT_ENABLED: Selecting compound data not supported \
             in Bulk Query",
        ),
        (
            "Contact",
            "SELECT Id, Account.BillingAddress FROM Contact",
            "InvalidBatch : Failed to process query: FUNCTIONALITY_NOT_ENABLED: Selecting compound data not supported \
             in Bulk Query",
        ),
        (
            "Attachment",
            "SELECT Body FROM Attachment",
            "InvalidBatch : Failed to process query: FUNCTIONALITY_NOT_ENABLED: Selecting binary data not supported \
             in Bulk Query",
        ),
    ] {
        assert_eq!(client.files("query", object, soql).unwrap_err(), message);
    }
}

#[test]
fn date_literals_follow_the_clock() {
    // The org's first batches end on Thursday, 2026-01-01, shortly after midnight.
    let mut client = Client::new();
    let days = [
        "2025-01-01",
        "2025-09-30",
        "2025-10-01",
        "2025-11-30",
        "2025-12-01",
        "2025-12-21",
        "2025-12-28",
        "2025-12-31",
        "2026-01-01",
        "2026-01-02",
        "2026-01-04",
        "2026-01-11",
        "2026-02-01",
        "2026-04-01",
        "2027-01-01",
    ];
    let mut file = "Name,StageName,CloseDate\n".to_owned();
    for (day, letter) in days.iter().zip('a'..) {
        writeln!(file, "{letter},New,{day}").unwrap();
    }
    file.push_str("z,New,2100-01-01\n");
    assert_eq!(client.insert("Opportunity", file).len(), 16);
    for (condition, names) in [
        ("= TODAY", "i"),
        ("= yesterday", "h"),
        ("= TOMORROW", "j"),
        ("!= THIS_YEAR", "abcdefghoz"),
        ("< THIS_MONTH", "abcdefgh"),
        ("<= THIS_WEEK AND CloseDate >= LAST_WEEK", "fghij"),
        ("> THIS_QUARTER", "noz"),
        ("= NEXT_WEEK", "k"),
        ("= LAST_MONTH", "efgh"),
        ("= LAST_QUARTER", "cdefgh"),
        ("= LAST_N_DAYS:4", "ghi"),
        ("= NEXT_N_DAYS:3", "jk"),
        ("= NEXT_N_WEEKS:2", "kl"),
        ("= N_DAYS_AGO:1", "h"),
        ("= LAST_90_DAYS", "defghi"),
        ("= NEXT_90_DAYS", "jklmn"),
        ("= NEXT_YEAR", "o"),
        ("= LAST_N_YEARS:1", "abcdefgh"),
    ] {
        let soql =
            format!("SELECT Name FROM Opportunity WHERE CloseDate {condition} ORDER BY Name");
        let rows = client.query("Opportunity", &soql);
        let found: String = rows.lines().skip(1).map(|line| line.trim_matches('"')).collect();
        assert_eq!(found, names, "{condition}");
    }
    let soql = "SELECT Name FROM Opportunity WHERE CreatedDate = TODAY AND CloseDate = TODAY";
    assert_eq!(client.query("Opportunity", soql), "\"Name\"\n\"i\"\n");
    client.wait(86_400);
    assert_eq!(client.query("Opportunity", soql), "Records not found for this query");
}

#[test]
fn values_of_a_list_are_found_one_by_one() {
    let mut client = Client::new();
    client
        .insert("Account", "Site,Name,Tags__c\n1,A,red;green\n2,B,Green;blue\n3,C,\n4,D,reddish\n");
    for (condition, sites) in [
        ("Tags__c INCLUDES ('red')", "1"),
        ("Tags__c INCLUDES ('green')", "12"),
        ("Tags__c includes ('red;green', 'BLUE')", "12"),
        ("Tags__c INCLUDES ('red;blue')", ""),
        ("Tags__c EXCLUDES ('green')", "34"),
        ("NOT Tags__c EXCLUDES ('green')", "12"),
        ("Tags__c = 'red;green'", "1"),
    ] {
        assert_eq!(found(&mut client, &format!("WHERE {condition}")), sites, "{condition}");
    }
}

#[test]
fn a_query_has_bounds() {
    let mut client = accounts();
    let many = vec!["Name"; 33].join(", ");
    let told = client.files("query", "Account", &format!("SELECT Id FROM Account ORDER BY {many}"));
    assert!(told.unwrap_err().contains("at most 32 fields are allowed in ORDER BY"));
    let deep = format!("SELECT {}Name FROM Account", "Parent.".repeat(6));
    let told = client.files("query", "Account", &deep).unwrap_err();
    assert!(told.contains("a path has at most 5 relationships"), "{told}");
    let paths = ["Parent", "Owner", "CreatedBy", "LastModifiedBy"];
    let mut wide = Vec::new();
    for a in paths {
        for b in ["CreatedBy", "LastModifiedBy", "Profile", "UserRole"] {
            for c in ["CreatedBy", "LastModifiedBy", "Manager"] {
                let a = if a == "Parent" { "Parent.Owner" } else { a };
                wide.push(format!("{a}.{b}.{c}.Id"));
            }
        }
    }
    wide.retain(|path| !path.contains("Profile.Man") && !path.contains("Role.Man"));
    let told = client.files("query", "Account", &format!("SELECT {} FROM Account", wide.join(",")));
    assert!(told.unwrap_err().contains("QUERY_TOO_COMPLICATED: "));
}

#[test]
fn a_query_of_another_object_than_the_jobs_fails() {
    let mut client = accounts();
    let told = client.files("query", "Account", "SELECT Id FROM Contact").unwrap_err();
    let expected = "InvalidBatch : Failed to process query: INVALID_TYPE_FOR_OPERATION: The root entity of the requested \
                    query (Contact) does not match the entity of the requested Bulk API Job (Account).";
    assert_eq!(told, expected);
}

#[test]
fn the_place_of_a_mistake_is_shown() {
    let mut client = accounts();
    let told =
        client.files("query", "Account", "SELECT Id\nFROM Account WHERE Nme = 1").unwrap_err();
    assert!(
        told.contains(
            "\nFROM Account WHERE Nme = 1\n                   ^\nERROR at Row:2:Column:20\n"
        ),
        "{told}"
    );
}

#[test]
fn a_long_condition_is_no_deep_one() {
    let mut client = accounts();
    let many = vec!["Site = '3'"; 5_000].join(" OR ");
    assert_eq!(found(&mut client, &format!("WHERE {many}")), "3");
    let list = vec!["'3'"; 20_000].join(",");
    assert_eq!(found(&mut client, &format!("WHERE Site IN ({list})")), "3");
    let told = client.files(
        "query",
        "Account",
        &format!("SELECT Id FROM Account WHERE Site IN ({})", vec!["1"; 60_000].join(",")),
    );
    assert!(told.unwrap_err().contains("SOQL statements cannot be longer than 100000 characters"));
}

#[test]
fn a_long_result_has_several_files() {
    let mut client = Client::with(sfbulk_org::Config::new().result_rows(2));
    client.insert("Account", "Name\nA\nB\nC\nD\nE\n");
    let files = client.files("query", "Account", "SELECT Name FROM Account").unwrap();
    assert_eq!(
        files,
        ["\"Name\"\n\"A\"\n\"B\"\n", "\"Name\"\n\"C\"\n\"D\"\n", "\"Name\"\n\"E\"\n"]
    );
    let files = client.files("query", "Account", "SELECT Name FROM Account LIMIT 4").unwrap();
    assert_eq!(files.len(), 2);
}
