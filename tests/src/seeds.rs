//! What is nearly right: for each target of [`targets`](crate::targets), inputs to begin with, the
//! words its reader knows, and what once broke it.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::targets::recorded;

/// The seeds of a target; what broke it before is among them.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let texts: &[&str] = match target {
        "cutter" | "records" | "framer" | "org_csv" => CSV,
        "framer_json" => JSON_RESULTS,
        "framer_xml" => XML_RESULTS,
        "decoder" => DECODED,
        "outcomes" => RESULTS,
        "document" => DOCUMENTS,
        "intake" => ANSWERS,
        "load" => LOADS,
        "query" => QUERIES,
        "session" => SESSIONS,
        "soql" | "org_soql" => SOQL,
        "ids" => &["750000000000001AAA", "751000000000001", "001000000000001aaZ", "../../job"],
        "org" => REQUESTS,
        "org_json" => JSON_RECORDS,
        "org_xml" => XML_RECORDS,
        _ => &[],
    };
    let mut seeds: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    match target {
        "checkpoint" => seeds.extend(LOADS.iter().map(|answers| checkpoint(answers))),
        "transcript" => seeds.extend(LOADS.iter().map(|answers| recorded(answers).0)),
        "content" => {
            let texts = [CSV, JSON_RECORDS, XML_RECORDS].concat();
            seeds.extend(texts.iter().map(|text| text.as_bytes().to_vec()));
        }
        "org_gzip" => seeds.extend(CSV.iter().map(|text| packed(text))),
        _ => {}
    }
    let broken = REGRESSIONS.iter().filter(|(name, _)| *name == target);
    seeds.extend(broken.map(|(_, input)| input.to_vec()));
    seeds
}

/// What a target's reader knows.
pub fn words(target: &str) -> &'static [&'static str] {
    match target {
        "cutter" | "records" | "framer" | "decoder" => {
            &["\u{feff}", "\"\"", "\r\n", "\",\"", "\u{2028}"]
        }
        "outcomes" => {
            &["Id", "Success", "Created", "Error", "true", "false", "TRUE", " --", "A_B:", "\"\""]
        }
        "document" | "intake" | "load" | "query" | "checkpoint" => CONTROL,
        "framer_json" => &["[", "]", "{", "}", "\\", "\\\"", "\"", ",", "null", "\"Id\":", "{}"],
        "framer_xml" => &[
            "<records>",
            "</records>",
            "<records/>",
            "<![CDATA[",
            "]]>",
            "<!--",
            "-->",
            "<!DOCTYPE a [",
            "<?",
            "?>",
            "&amp;",
            "&#0;",
            "<Id>",
            "</Id>",
            " xsi:nil=\"true\"",
            "</queryResult>",
        ],
        "session" => &[
            "https://",
            "http://",
            "localhost",
            "127.0.0.1",
            "[::1]",
            "@",
            ":8443",
            "%2f",
            "\\",
            "00D!",
        ],
        "soql" | "org_soql" => SOQL_WORDS,
        "org" | "org_csv" | "org_gzip" => REQUEST_WORDS,
        "org_json" | "content" => &[
            "null",
            "true",
            "1e999",
            "\"attributes\"",
            "\\ud800",
            "{\"Owner\":",
            "[{",
            "}]",
            "\"Name\":",
        ],
        "org_xml" => &[
            "<sObject>",
            "</sObject>",
            "<![CDATA[",
            "]]>",
            "<!--",
            "-->",
            "&#0;",
            "&amp;",
            "<!DOCTYPE a [",
            "<type>",
            "xsi:nil=\"true\"",
        ],
        _ => &[],
    }
}

/// What broke a target once, shrunk: kept, so that it cannot again.
const REGRESSIONS: &[(&str, &[u8])] = &[
    ("session", b"https://:"), // an address without a host
];

const CSV: &[&str] = &[
    "Name,Key__c,BillingCity\na,1,Rome\n\"b, \"\"c\"\"\",2,\"New\nYork\"\n",
    "\u{feff}Name,Key__c\r\na,1\r\n\r\nb,2\r\n",
    "Name,Key__c\ra,1\rb,2\r",
    "\"Name\"\n\"\"\n\"a\"\n\"b\"\n\"c\"\n\"d\"",
    "Name,AnnualRevenue,ParentId\n5\" pipe,x,#N/A\né\u{2028},1.5e3,001000000000001AAA\n",
    "Id\n001000000000001AAA\n",
    "",
];

const JSON_RESULTS: &[&str] = &[
    "[ {\n  \"attributes\" : {\"type\" : \"Account\"}, \"Id\" : \"a\", \"Owner\" : null\n}, {\"Name\" : \"\\\\\\\"]}\"} ]",
    "[{},{\"a\":[1,{\"b\":\"[{\"}]}]\n",
    "\u{feff}[]",
    "[{\"message\":\"m\",\"errorCode\":\"E\"}]",
];

const XML_RESULTS: &[&str] = &[
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<queryResult xmlns=\"x\" xmlns:xsi=\"y\">\n  <records xsi:type=\"sObject\"><type>A</type><Id>1</Id><Id>1</Id><Owner><Name>B &amp; C</Name></Owner></records>\n<records><Site xsi:nil=\"true\"/></records>\n</queryResult>",
    "<s:queryResult><!-- > --><s:records a='>'><![CDATA[</records>]]></s:records><s:records/></s:queryResult >",
    "<queryResult/>",
];

const DECODED: &[&str] = &[
    "name,age,active\na,7,true\n\"b\nc\",,false\n\"\",300,maybe\n",
    "active,name,more,age\r\ntrue,x,y,1\r\n",
];

const RESULTS: &[&str] = &[
    "\"Id\",\"Success\",\"Created\",\"Error\"\n\"001000000000001AAA\",\"true\",\"true\",\"\"\n\
     \"\",\"false\",\"false\",\"REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --\"\n",
    "Id,Success,Error\n001000000000001AAA,TRUE,\n,false,\"DUPLICATE_VALUE:two \"\"keys\"\", a: b:Key__c, Name --\"\n",
];

const DOCUMENTS: &[&str] = &[
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?><jobInfo\n   xmlns=\"http://www.force.com/2009/06/asyncapi/dataload\"><id>750000000000001AAA</id><operation>insert</operation><object>Account</object><state>Open</state><numberBatchesTotal>0</numberBatchesTotal><apiVersion>66.0</apiVersion></jobInfo>",
    "<batchInfo><id>751000000000001AAA</id><jobId>750000000000001AAA</jobId><state>Failed</state><stateMessage>InvalidBatch : Field name not found : &lt;x&gt;</stateMessage><numberRecordsProcessed>0</numberRecordsProcessed></batchInfo>",
    "<batchInfoList><batchInfo><id>751000000000001AAA</id><state>Queued</state></batchInfo><batchInfo><id>751000000000002AAA</id><state>Not Processed</state></batchInfo></batchInfoList>",
    "<result-list><result>752000000000001</result><result>752000000000002</result></result-list>",
    "<results><result><id>001000000000001AAA</id><success>true</success><created>true</created></result><result><errors><fields>Name</fields><message>m</message><statusCode>S</statusCode></errors><success>false</success><created>false</created></result></results>",
    "<error><exceptionCode>InvalidSessionId</exceptionCode><exceptionMessage>Invalid session id</exceptionMessage></error>",
    "<s:Envelope xmlns:s=\"e\"><s:Body><s:Fault><faultcode>sf:INVALID_LOGIN</faultcode><faultstring>no</faultstring></s:Fault></s:Body></s:Envelope>",
    r#"{"id":"750000000000001AAA","operation":"query","object":"Account","state":"Closed","concurrencyMode":"Parallel","contentType":"CSV","numberBatchesTotal":"2","apiVersion":66.0}"#,
    r#"{"id":"751000000000001AAA","jobId":"750000000000001AAA","state":"Completed","numberRecordsProcessed":3,"stateMessage":null}"#,
    r#"{"batchInfo":[{"id":"751000000000001AAA","state":"InProgress"}]}"#,
    r#"["752000000000001","752000000000002"]"#,
    r#"[{"success":true,"created":false,"id":"001000000000001AAA","errors":[]},{"success":false,"created":false,"id":null,"errors":[{"statusCode":"S","message":"m","fields":["A"]}]}]"#,
    r#"[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]"#,
    r#"{"error":"invalid_grant","error_description":"expired access/refresh token"}"#,
    "<!DOCTYPE html><html><head><title>Down for maintenance</title></head></html>",
];

const ANSWERS: &[&str] = &[
    "200 rows\ncontent-type: text/csv\ncontent-length: 22\n\n\"Id\",\"Name\"\n\"1\",\"a\"\n\"2\",\"b\"\n",
    "200 rows\n\n\u{feff}\"Id\"\n\"1\"\n\"2\n\"\n",
    "200 outcomes\ncontent-type: text/csv\n\nId,Success,Created,Error\n001000000000001AAA,true,true,\n,false,false,\"A:b:c --\"\n",
    "200 partial\n\n[{\"success\":true,\"created\":true,\"id\":\"001000000000001AAA\",\"errors\":[]}]",
    "200 request\n\nName,City\na,Rome\n",
    "400 whole\ncontent-type: application/xml\n\n<error><exceptionCode>InvalidBatch</exceptionCode><exceptionMessage>no</exceptionMessage></error>",
    "503 rows\nretry-after: 120\ntransfer-encoding: chunked\n\n<html><title>Down</title></html>",
    "200 whole\ncontent-encoding: gzip\n\nx",
];

const LOADS: &[&str] = &[
    "201\n\n<jobInfo><id>750000000000001AAA</id></jobInfo>\n%%\n\
     201\n\n<batchInfo><id>751000000000001AAA</id><jobId>750000000000001AAA</jobId><state>Queued</state></batchInfo>\n%%\n\
     201\n\n<batchInfo><id>751000000000002AAA</id><jobId>750000000000001AAA</jobId><state>Queued</state></batchInfo>\n%%\n\
     200\n\n<jobInfo><id>750000000000001AAA</id><state>Closed</state></jobInfo>\n%%\n\
     200\n\n<batchInfoList><batchInfo><id>751000000000001AAA</id><jobId>750000000000001AAA</jobId><state>Completed</state><numberRecordsProcessed>2</numberRecordsProcessed></batchInfo>\
     <batchInfo><id>751000000000002AAA</id><jobId>750000000000001AAA</jobId><state>Completed</state><numberRecordsProcessed>1</numberRecordsProcessed></batchInfo></batchInfoList>\n%%\n\
     200\n\nId,Success,Created,Error\n001000000000001AAA,true,true,\n,false,false,A:b:c --\n%%\n\
     200\n\nId,Success,Created,Error\n001000000000002AAA,true,true,\n",
    "503\nretry-after: Wed, 21 Oct 2026 07:28:00 GMT\ndate: Wed, 21 Oct 2026 07:27:00 GMT\n\n<html></html>\n%%\n\
     400\n\n<error><exceptionCode>InvalidSessionId</exceptionCode><exceptionMessage>x</exceptionMessage></error>\n%%\n\
     201\n\n{\"id\":\"750000000000001AAA\",\"state\":\"Open\"}\n%%\nlost\n%%\n\
     400\n\n<error><exceptionCode>InvalidBatch</exceptionCode><exceptionMessage>x</exceptionMessage></error>\n%%\n\
     200\n\n<batchInfoList><batchInfo><id>751000000000001AAA</id><jobId>750000000000001AAA</jobId><state>InProgress</state></batchInfo></batchInfoList>\n%%\n\
     200\n\nName\na\nb\n",
];

const QUERIES: &[&str] = &["201\n\n<jobInfo><id>750000000000001AAA</id></jobInfo>\n%%\n\
     201\n\n<batchInfo><id>751000000000001AAA</id><jobId>750000000000001AAA</jobId><state>Queued</state></batchInfo>\n%%\n\
     200\n\n<jobInfo><id>750000000000001AAA</id><state>Closed</state></jobInfo>\n%%\n\
     200\n\n<batchInfoList><batchInfo><id>751000000000001AAA</id><jobId>750000000000001AAA</jobId><state>Completed</state><numberRecordsProcessed>2</numberRecordsProcessed></batchInfo></batchInfoList>\n%%\n\
     200\n\n<result-list><result>752000000000001</result></result-list>\n%%\n\
     200\ncontent-type: text/csv\n\n\"Id\"\n\"001000000000001AAA\"\n\"001000000000002AAA\"\n"];

const SESSIONS: &[&str] = &[
    "https://acme.my.salesforce.com/\n00D!PRACTICE",
    "http://[::1]:8080\n00D!PRACTICE",
    "http://127.0.0.1:8080/services",
    "https://user@acme.example?x=1",
];

const SOQL: &[&str] = &[
    "SELECT Id, Name, Owner.Name FROM Account WHERE Name LIKE 'a\\'%' AND NOT (AnnualRevenue > 1.5 OR ParentId IN ('001000000000001', null)) ORDER BY Name DESC NULLS LAST LIMIT 5",
    "SELECT Id FROM Account WHERE CreatedDate >= LAST_N_DAYS:30 AND Tags__c INCLUDES ('a;b','c')",
    "select count() from Account",
    "SELECT Id, (SELECT Id FROM Contacts) FROM Account",
];

const REQUESTS: &[&str] = &[
    "POST /services/async/66.0/job\ncontent-type: application/json\n\n{\"operation\":\"insert\",\"object\":\"Account\",\"contentType\":\"CSV\"}\n%%\n\
     POST /services/async/66.0/job/{job}/batch\ncontent-type: text/csv\n\nName\na\n\n%%\n\
     GET /services/async/66.0/job/{job}/batch/{batch}/result\naccept-encoding: gzip\n\n\n%%\n\
     GET /services/async/66.0/job/{job}/batch\naccept: application/json\n\n",
    "POST /services/async/66.0/job\ncontent-type: application/xml\n\n<jobInfo xmlns=\"http://www.force.com/2009/06/asyncapi/dataload\"><operation>query</operation><object>Account</object><contentType>CSV</contentType></jobInfo>\n%%\n\
     POST /services/async/66.0/job/{job}\ncontent-type: application/xml\n\n<jobInfo><state>Closed</state></jobInfo>",
    "GET /services/data/v66.0/query?q=SELECT+Id,Name+FROM+Account\nauthorization: Bearer x\n\n",
    "GET /services/data/v66.0/sobjects/Account/describe\n\n\n%%\nGET /services/data/v66.0/limits\n\n",
];

const JSON_RECORDS: &[&str] = &[
    r##"[{"Name":"a","Key__c":"1","AnnualRevenue":1.5,"IsDeleted":false},{"Name":"\u00e9\n","Key__c":"2","Parent":{"Key__c":"1"},"attributes":{"type":"Account"}},{"Key__c":"3","Name":"#N/A"}]"##,
    r#"[{"Name":null,"Owner":{"Username":"x","attributes":{"type":"User"}}}]"#,
];

const XML_RECORDS: &[&str] = &[
    "<?xml version=\"1.0\"?><sObjects xmlns=\"http://www.force.com/2009/06/asyncapi/dataload\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><sObject><Name>a</Name><Key__c>1</Key__c></sObject><sObject><Name xsi:nil=\"true\"/><Key__c>2</Key__c><Parent><sObject><Key__c>1</Key__c></sObject></Parent></sObject></sObjects>",
    "<sObjects><sObject><Key__c><![CDATA[3]]></Key__c><Name>&lt;&#233;&gt;</Name></sObject></sObjects>",
];

const CONTROL: &[&str] = &[
    "\n%%\n",
    "lost",
    "201\n\n",
    "<jobInfo>",
    "</jobInfo>",
    "<batchInfo>",
    "</batchInfo>",
    "<batchInfoList>",
    "<result>",
    "<id>751000000000003AAA</id>",
    "<state>Completed</state>",
    "<state>Failed</state>",
    "<state>Not Processed</state>",
    "<state>Aborted</state>",
    "<numberRecordsProcessed>1</numberRecordsProcessed>",
    "<numberBatchesTotal>3</numberBatchesTotal>",
    "ExceededQuota",
    "InvalidJobState",
    "InvalidBatch",
    "\nretry-after: 7",
    "\ncontent-length: 3",
    "\ntransfer-encoding: chunked",
    "\ncontent-encoding: gzip",
    "\ncontent-type: text/html",
    "&#x0;",
    "&amp;",
    "<![CDATA[",
    "]]>",
    "<!--",
    "<!DOCTYPE a [",
    "null",
    "18446744073709551616",
    "\\u0000",
    "\"state\":",
    "\"version\":1",
    "00D5g000007Org1!x",
    "İ",
    "<title>",
    "</title>",
];

const SOQL_WORDS: &[&str] = &[
    "SELECT ",
    " FROM ",
    " WHERE ",
    "(",
    ")",
    "'",
    "\\'",
    " AND ",
    " OR ",
    " NOT ",
    " IN ",
    " LIKE ",
    "null",
    "-1.5e3",
    "Owner.Name",
    "Parent.Parent.Id",
    "..",
    "THIS_WEEK",
    "N_YEARS_AGO:",
    "2026-01-01T00:00:00Z",
    " ORDER BY ",
    " LIMIT ",
    "é",
];

const REQUEST_WORDS: &[&str] = &[
    "\n%%\n",
    "GET ",
    "POST ",
    "DELETE ",
    "/services/async/66.0/job",
    "/batch",
    "/result",
    "/request",
    "{job}",
    "751000000000001AAA",
    "752000000000001",
    "content-type: text/csv",
    "content-encoding: gzip\n",
    "x-sfdc-session: x\n",
    "sforce-enable-pkchunking: chunkSize=1\n",
    "accept-encoding: gzip\n",
    "Name,Key__c\n",
    "Owner.Username",
    "Contact:Who.Email",
    "Parent.Key__c",
    "#N/A",
    "%00",
    "?q=",
    "%2f",
    "/services/data/v66.0/query/",
    "\u{feff}",
];

/// A checkpoint, and the answers that its run gets when it goes on.
fn checkpoint(answers: &str) -> Vec<u8> {
    let list = "200\n\n<jobInfo><id>750000000000001AAA</id><state>Closed</state><numberBatchesTotal>2</numberBatchesTotal></jobInfo>\n%%\n";
    let rest = answers
        .split_once("Queued")
        .map_or("", |(_, rest)| rest.split_once("%%\n").map_or("", |(_, rest)| rest));
    [&recorded(answers).1[..], b"\n%%\n", list.as_bytes(), rest.as_bytes()].concat()
}

fn packed(text: &str) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}
