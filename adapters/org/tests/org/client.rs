//! A client with a clock of its own: says a request, moves time, reads the answer.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use sfbulk::Time;
use sfbulk_org::{Config, Org};

pub(crate) const XMLNS: &str = "http://www.force.com/2009/06/asyncapi/dataload";
pub(crate) const CSV: &str = "text/csv; charset=UTF-8";
pub(crate) const XML: &str = "application/xml; charset=UTF-8";
pub(crate) const JSON: &str = "application/json; charset=UTF-8";
pub(crate) const BASE: &str = "/services/async/66.0";

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) org: Org,
    pub(crate) now: Duration,
    pub(crate) session: String,
}

/// An answer, its body as text.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) media_type: String,
    pub(crate) location: String,
    pub(crate) body: String,
}

impl Answer {
    /// The text of the first element of this name.
    pub(crate) fn element(&self, name: &str) -> &str {
        let rest = self.body.split_once(&format!("<{name}>")).map_or("", |(_, rest)| rest);
        rest.split_once(&format!("</{name}>")).map_or("", |(text, _)| text)
    }

    /// The texts of all elements of this name.
    pub(crate) fn elements(&self, name: &str) -> Vec<&str> {
        let start = format!("<{name}>");
        let parts = self.body.split(&start as &str).skip(1);
        parts.filter_map(|part| part.split_once('<').map(|(text, _)| text)).collect()
    }

    /// The text of the first member of this name in JSON.
    pub(crate) fn member(&self, name: &str) -> &str {
        let rest = self.body.split_once(&format!("\"{name}\":\"")).map_or("", |(_, rest)| rest);
        rest.split('"').next().unwrap_or_default()
    }

    /// `status code: message` of a refusal.
    pub(crate) fn refusal(&self) -> String {
        format!(
            "{} {}: {}",
            self.status,
            self.element("exceptionCode"),
            self.element("exceptionMessage")
        )
    }
}

impl Client {
    pub(crate) fn new() -> Self {
        Self::with(Config::new().latency(Duration::from_secs(30)))
    }

    pub(crate) fn with(config: Config) -> Self {
        Self::of(Org::in_memory_with(config).unwrap())
    }

    pub(crate) fn of(org: Org) -> Self {
        let session = org.session().to_owned();
        Self { org, now: Duration::ZERO, session }
    }

    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    pub(crate) fn send(&mut self, request: Request<Bytes>) -> Response<Bytes> {
        self.org.handle(Time::since_start(self.now), request)
    }

    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        media_type: &str,
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut request =
            Request::builder().method(method).uri(path).header("X-SFDC-Session", &self.session);
        if !media_type.is_empty() {
            request = request.header("Content-Type", media_type);
        }
        self.answer(request.body(body.into()).unwrap())
    }

    fn answer(&mut self, request: Request<Bytes>) -> Answer {
        let response = self.send(request);
        let header = |name| {
            let value = response.headers().get(name);
            value.map_or("", |value| value.to_str().unwrap()).to_owned()
        };
        Answer {
            status: response.status().as_u16(),
            media_type: header("content-type"),
            location: header("location"),
            body: String::from_utf8(response.body().to_vec()).unwrap(),
        }
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", &format!("{BASE}/{path}"), "", "")
    }

    pub(crate) fn post(&mut self, path: &str, media_type: &str, body: impl Into<Bytes>) -> Answer {
        self.ask("POST", &format!("{BASE}/{path}"), media_type, body)
    }

    /// Creates a CSV job, with more elements if wanted, and returns the answer.
    pub(crate) fn create(&mut self, operation: &str, object: &str, more: &str) -> Answer {
        let document = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><jobInfo xmlns=\"{XMLNS}\"><operation>{operation}</operation>\
             <object>{object}</object>{more}<contentType>CSV</contentType></jobInfo>"
        );
        self.post("job", XML, document)
    }

    /// A new CSV job's id.
    pub(crate) fn job(&mut self, operation: &str, object: &str, more: &str) -> String {
        let created = self.create(operation, object, more);
        assert_eq!(created.status, 201, "{}", created.body);
        created.element("id").to_owned()
    }

    /// Creates a CSV job with one more header.
    pub(crate) fn create_with(
        &mut self,
        (operation, object): (&str, &str),
        (name, value): (&str, &str),
    ) -> Answer {
        let document = format!(
            "<jobInfo><operation>{operation}</operation><object>{object}</object><contentType>CSV</contentType></jobInfo>"
        );
        let request = Request::post(format!("{BASE}/job")).header("Content-Type", XML);
        let request = request.header("X-SFDC-Session", &self.session).header(name, value);
        self.answer(request.body(document.into()).unwrap())
    }

    /// A new batch's id.
    pub(crate) fn add(&mut self, job: &str, body: impl Into<Bytes>) -> String {
        let added = self.post(&format!("job/{job}/batch"), CSV, body);
        assert_eq!(added.status, 201, "{}", added.body);
        added.element("id").to_owned()
    }

    pub(crate) fn batch(&mut self, job: &str, batch: &str) -> Answer {
        self.get(&format!("job/{job}/batch/{batch}"))
    }

    pub(crate) fn states(&mut self, job: &str) -> Vec<String> {
        let list = self.get(&format!("job/{job}/batch"));
        list.elements("state").into_iter().map(str::to_owned).collect()
    }

    pub(crate) fn set_state(&mut self, job: &str, state: &str) -> Answer {
        let document = format!("<jobInfo xmlns=\"{XMLNS}\"><state>{state}</state></jobInfo>");
        self.post(&format!("job/{job}"), XML, document)
    }

    /// Loads one file in a job of its own: the lines of its result below the header, or the state
    /// message of the batch if that failed.
    pub(crate) fn load(
        &mut self,
        operation: &str,
        object: &str,
        more: &str,
        body: impl Into<Bytes>,
    ) -> Vec<String> {
        let job = self.job(operation, object, more);
        let batch = self.add(&job, body);
        self.wait(60);
        let info = self.batch(&job, &batch);
        if info.element("state") == "Failed" {
            return vec![info.element("stateMessage").to_owned()];
        }
        let result = self.get(&format!("job/{job}/batch/{batch}/result"));
        assert_eq!(
            (result.status, result.media_type.as_str()),
            (200, "text/csv"),
            "{}",
            result.body
        );
        let mut lines = result.body.lines().map(str::to_owned);
        assert_eq!(lines.next().as_deref(), Some("\"Id\",\"Success\",\"Created\",\"Error\""));
        lines.collect()
    }

    pub(crate) fn insert(&mut self, object: &str, body: impl Into<Bytes>) -> Vec<String> {
        self.load("insert", object, "", body)
    }

    /// Runs a query in a job of its own: its files, or the state message.
    pub(crate) fn files(
        &mut self,
        operation: &str,
        object: &str,
        soql: &str,
    ) -> Result<Vec<String>, String> {
        let job = self.job(operation, object, "");
        let batch = self.add(&job, soql.to_owned());
        self.wait(60);
        let info = self.batch(&job, &batch);
        if info.element("state") == "Failed" {
            return Err(info.element("stateMessage").to_owned());
        }
        let path = format!("job/{job}/batch/{batch}/result");
        let list = self.get(&path);
        let mut files = Vec::new();
        for id in list.elements("result") {
            files.push(self.get(&format!("{path}/{id}")).body);
        }
        Ok(files)
    }

    /// The one file of a query.
    pub(crate) fn query(&mut self, object: &str, soql: &str) -> String {
        let files = self.files("query", object, soql).unwrap();
        assert_eq!(files.len(), 1);
        files.concat()
    }
}
