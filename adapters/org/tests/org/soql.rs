//! Queries: which rows they find, in which order, and what they cannot say.

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

#[test]
fn what_cannot_be_answered_fails_the_batch() {
    let mut client = accounts();
    for (soql, code, text) in [
        (
            "SELECT Nme FROM Account",
            "INVALID_FIELD",
            "No such column 'Nme' on entity 'Account'. If you are attempting",
        ),
        ("SELECT Id FROM Acount", "INVALID_TYPE", "sObject type 'Acount' is not supported."),
        (
            "SELECT Owner.Name FROM Account",
            "INVALID_FIELD",
            "Didn't understand relationship 'Owner' in field path.",
        ),
        ("SELECT Id, id FROM Account", "INVALID_FIELD", "duplicate field selected: Id"),
        ("SELECT COUNT() FROM Account", "MALFORMED_QUERY", "The function COUNT() is not supported"),
        ("SELECT Name FROM Account GROUP BY Name", "MALFORMED_QUERY", "GROUP is not supported"),
        ("SELECT Id FROM Account LIMIT 1 OFFSET 5", "MALFORMED_QUERY", "OFFSET is not supported"),
        (
            "SELECT Id, (SELECT Id FROM Contacts) FROM Account",
            "MALFORMED_QUERY",
            "A sub-query is not supported",
        ),
        (
            "SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Contact)",
            "MALFORMED_QUERY",
            "A sub-query is not",
        ),
        (
            "SELECT Id FROM Account WHERE CreatedDate = TODAY",
            "MALFORMED_QUERY",
            "The date literal TODAY is not",
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
    ] {
        let told = client.files("query", "Account", soql).unwrap_err();
        let start = format!("InvalidBatch : Failed to process query: {code}: \n");
        assert!(told.starts_with(&start), "{soql}: {told}");
        assert!(told.contains(text), "{soql}: {told}");
        assert!(told.contains("\nERROR at Row:1:Column:"), "{told}");
    }
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
