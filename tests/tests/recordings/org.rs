//! The practice org is asked what real orgs were asked, and answers in the same structure.

use bytes::Bytes;
use http::Request;
use serde_json::Value;
use sfbulk::Time;
use sfbulk_org::{Config, Org};

use super::{recordings, report};

/// What one org's things are called: ids, moments and durations.
const OWN: [&str; 8] = [
    "id",
    "jobId",
    "createdById",
    "createdDate",
    "systemModstamp",
    "totalProcessingTime",
    "apiActiveProcessingTime",
    "apexProcessingTime",
];

/// An org that is done as soon as it is asked again.
struct Practice(Org);

struct Answer {
    status: u16,
    media_type: String,
    body: String,
}

impl Practice {
    fn new() -> Self {
        Self(Org::in_memory_with(Config::new().latency(std::time::Duration::ZERO)).unwrap())
    }

    fn ask(
        &mut self,
        method: &str,
        path: &str,
        media_type: &str,
        body: impl Into<Bytes>,
    ) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("X-SFDC-Session", self.0.session())
            .header("Authorization", format!("Bearer {}", self.0.session()))
            .header("Content-Type", media_type);
        let answer = self.0.handle(Time::ZERO, request.body(body.into()).unwrap());
        Answer {
            status: answer.status().as_u16(),
            media_type: answer
                .headers()
                .get("content-type")
                .map_or(String::new(), |value| value.to_str().unwrap().to_owned()),
            body: String::from_utf8(answer.body().to_vec()).unwrap(),
        }
    }

    fn create(&mut self, operation: &str, object: &str, content: &str) -> Answer {
        let document = format!(
            "<jobInfo><operation>{operation}</operation><object>{object}</object><contentType>{content}</contentType></jobInfo>"
        );
        self.ask("POST", "/services/async/46.0/job", "application/xml", document)
    }

    /// Runs one batch in a job of its own: its result.
    fn run(&mut self, what: [&str; 3], media_type: &str, body: impl Into<Bytes>) -> String {
        let [operation, object, content] = what;
        let created = self.create(operation, object, content).body;
        let job = format!("/services/async/46.0/job/{}", text_of(&created, "id"));
        let added = self.ask("POST", &format!("{job}/batch"), media_type, body).body;
        let id = added.split(['"', '<', '>']).find(|text| text.starts_with("751")).unwrap();
        self.ask("GET", &format!("{job}/batch/{id}/result"), "", "").body
    }

    /// The id of a new case; a deleted one if wanted.
    fn case(&mut self, deleted: bool) -> String {
        let result = self.run(["insert", "Case", "CSV"], "text/csv", "Subject\nx\n");
        let id = result.split('"').find(|text| text.starts_with("500")).unwrap().to_owned();
        if deleted {
            self.run(["delete", "Case", "CSV"], "text/csv", format!("Id\n{id}\n"));
        }
        id
    }
}

fn text_of<'a>(xml: &'a str, element: &str) -> &'a str {
    let rest = xml.split_once(&format!("<{element}>")).map_or("", |(_, rest)| rest);
    rest.split('<').next().unwrap()
}

fn is_id(text: &str) -> bool {
    matches!(text.len(), 15 | 18) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// An answer without what is the org's own. In XML its elements in their order, with their texts; in
/// CSV its cells, with `0` for each digit.
fn structure(text: &str) -> Vec<String> {
    if !text.starts_with('<') {
        let cell = |cell: &str| if is_id(cell) { "ID".into() } else { digits(cell) };
        return text.lines().map(|line| line.split('"').map(cell).collect::<String>()).collect();
    }
    let tags = text.split('<').skip(1).filter(|tag| !tag.starts_with('?'));
    tags.map(|tag| {
        let (tag, text) = tag.split_once('>').unwrap();
        let name = tag.split_whitespace().collect::<Vec<_>>().join(" ");
        let own = OWN.contains(&name.as_str()) || is_id(text);
        if own { name } else { format!("{name}={}", text.trim()) }
    })
    .collect()
}

fn digits(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
}

#[test]
fn recorded_conversations_go_the_same_way() {
    let mut compared = 0;
    for recording in recordings(&["http-recording"]).into_iter().flatten() {
        let recorded: Value = serde_json::from_slice(&recording.bytes).unwrap();
        for (name, scenario) in recorded.as_object().unwrap() {
            let mut practice = Practice::new();
            let play = Scenario::new(scenario, &mut practice);
            compared += play.run(&mut practice, name);
        }
    }
    report("recorded answers", compared, 17);
}

/// A recorded conversation.
struct Scenario<'a> {
    operation: &'a str,
    /// What the batch holds.
    batch: String,
    /// The answers by their paths, in the order in which they were asked for.
    answers: Vec<(&'a str, &'a Value)>,
}

impl<'a> Scenario<'a> {
    /// Brings the records in that the batch is about.
    fn new(scenario: &'a Value, practice: &mut Practice) -> Self {
        let operation = scenario["configuration"]["operation"].as_str().unwrap_or("query");
        let files = scenario["responses"]["http://file.storage.server"].as_object().unwrap();
        let file = files.values().find(|file| file["method"] == "GET");
        let query = scenario["message"]["body"]["query"].as_str();
        let batch = file.and_then(|file| file["response"].as_str()).or(query).unwrap();
        let known = batch.split(['\n', ',']).find(|cell| is_id(cell));
        let batch = match known {
            Some(id) => batch.replace(id, &practice.case(operation == "update")),
            None => batch.to_owned(),
        };
        if operation == "query" {
            (0..3).for_each(|_| drop(practice.case(false)));
        }
        let answers = scenario["responses"]["https://test.salesforce.com"].as_object().unwrap();
        let mut answers: Vec<_> =
            answers.iter().map(|(path, answer)| (path.as_str(), answer)).collect();
        // The path of a thing begins with that of the one it belongs to; the close comes last.
        answers.sort_by_key(|(path, answer)| (answer["response"] == "", path.len()));
        Self { operation, batch, answers }
    }

    /// Asks the practice org the same; tells how many answers were equal.
    fn run(&self, practice: &mut Practice, name: &str) -> u32 {
        let mut names: Vec<(String, String)> = Vec::new(); // theirs and ours
        let mut equal = 0;
        for (path, recorded) in &self.answers {
            let ours = names
                .iter()
                .fold((*path).to_owned(), |path, (theirs, ours)| path.replace(theirs, ours));
            let method = recorded["method"].as_str().unwrap();
            let expected = recorded["response"].as_str().unwrap();
            let (answer, status) = match (method, path.rsplit('/').next().unwrap()) {
                ("POST", "job") => (practice.create(self.operation, "Case", "CSV"), 201),
                ("POST", "batch") => {
                    (practice.ask("POST", &ours, "text/csv", self.batch.clone()), 201)
                }
                ("POST", _) => {
                    let close = "<jobInfo><state>Closed</state></jobInfo>";
                    (practice.ask("POST", &ours, "application/xml", close), 200)
                }
                _ => (practice.ask("GET", &ours, "", ""), 200),
            };
            assert_eq!(answer.status, status, "{name} {path}: {}", answer.body);
            if expected.is_empty() {
                continue; // the recorder kept no answer
            }
            assert_eq!(structure(&answer.body), structure(expected), "{name} {path}");
            let headers = recorded["header"].as_object().into_iter().flatten();
            for (_, media_type) in headers {
                assert_eq!(answer.media_type, media_type.as_str().unwrap(), "{name} {path}");
            }
            for element in ["id", "result"] {
                let [theirs, ours] = [expected, &answer.body].map(|xml| text_of(xml, element));
                if is_id(theirs) {
                    names.push((theirs.into(), ours.into()));
                }
            }
            equal += 1;
        }
        equal
    }
}

#[test]
fn recorded_records_are_loaded() {
    let mut loaded = 0;
    for recording in recordings(&["ingest-json", "ingest-xml"]).into_iter().flatten() {
        let (content, media_type, fact) = match recording.kind.as_str() {
            "ingest-json" => ("JSON", "application/json", "json array len"),
            _ => ("XML", "application/xml", "records"),
        };
        let result = Practice::new().run(
            ["insert", "Contact", content],
            media_type,
            recording.bytes.clone(),
        );
        let good = result.matches("\"success\":true").count()
            + result.matches("<success>true</success>").count();
        recording.check_number(fact, Some(good as u64), &mut loaded);
    }
    report("files of records", loaded, 2);
}

/// The names of the members of an object, and of those within it.
fn names(value: &Value) -> Vec<String> {
    let mut names: Vec<String> = match value {
        Value::Object(members) => members.keys().cloned().collect(),
        Value::Array(items) => items.first().map(names).unwrap_or_default(),
        _ => Vec::new(),
    };
    names.sort();
    names
}

#[test]
fn answers_in_json_have_the_recorded_members() {
    let mut practice = Practice::new();
    practice.case(false);
    let query = |soql: &str| format!("/services/data/v46.0/query?q={}", soql.replace(' ', "+"));
    let mut compared = 0;
    for recording in recordings(&["result", "error", "rest-query", "limits"]).into_iter().flatten()
    {
        let Ok(recorded) = serde_json::from_slice::<Value>(&recording.bytes) else { continue };
        let mut get = |path: &str| {
            serde_json::from_str::<Value>(&practice.ask("GET", path, "", "").body).unwrap()
        };
        match recording.kind.as_str() {
            "result" => {
                let rows = r#"[{"Subject":"x"}]"#;
                let result = practice.run(["insert", "Case", "JSON"], "application/json", rows);
                let result: Value = serde_json::from_str(&result).unwrap();
                assert_eq!(names(&result), names(&recorded), "{}", recording.file);
            }
            "error" => {
                let error = get("/services/data/v46.0/nothing");
                assert_eq!(names(&error), names(&recorded), "{}", recording.file);
            }
            "limits" => {
                let limits = get("/services/data/v46.0/limits");
                let daily = "DailyApiRequests";
                for name in names(&limits[daily]) {
                    assert!(recorded[daily].get(&name).is_some(), "{name}");
                }
            }
            _ => {
                let empty = recorded["totalSize"] == 0;
                let found =
                    get(&query(if empty { "SELECT Id FROM Lead" } else { "SELECT Id FROM Case" }));
                let mut expected = names(&recorded);
                expected.retain(|name| name != "nextRecordsUrl"); // there is one page
                assert_eq!(names(&found), expected, "{}", recording.file);
                if recorded["done"] == true {
                    assert_eq!(found["done"], recorded["done"]);
                }
                let [ours, theirs] =
                    [&found, &recorded].map(|page| &page["records"][0]["attributes"]);
                if theirs.get("url").is_some() {
                    assert_eq!(names(ours), names(theirs), "{}", recording.file);
                }
            }
        }
        compared += 1;
    }
    report("documents in JSON", compared, 16);
}
