//! The bugs, as data: each is a place in the core, and what stands there instead.

/// A wrong variant of the core, one line or a few.
pub(crate) struct Bug {
    /// What is wrong with it.
    pub(crate) what: &'static str,
    /// Where, below `core/src`.
    pub(crate) file: &'static str,
    /// What stands there once.
    pub(crate) right: &'static str,
    /// What is put in its place.
    pub(crate) wrong: &'static str,
}

const fn bug(
    what: &'static str,
    file: &'static str,
    right: &'static str,
    wrong: &'static str,
) -> Bug {
    Bug { what, file, right, wrong }
}

/// All of them.
pub(crate) const BUGS: [Bug; 35] = [
    // ---- lost answers ----
    bug(
        "a batch whose answer was lost is sent again at once",
        "job/reply.rs",
        "self.ledger.batches[batch].stage = Stage::Unsure { job, lost: true };",
        "self.ledger.batches[batch].stage = Stage::Cut; let _ = job;",
    ),
    bug(
        "a batch that is not listed is sent again without the fence",
        "job/doubt.rs",
        "let fenced = record.is_seen(false) && !record.is_open();",
        "let fenced = record.is_seen(false);",
    ),
    bug(
        "a batch is sent again once the fence is shut, without another look",
        "job/doubt.rs",
        "let fenced = record.is_seen(false) && !record.is_open();",
        "let fenced = !record.is_open();",
    ),
    bug(
        "a close that failed counts as a fence",
        "job/doubt.rs",
        "self.give_up_doubt(job, \"it cannot be closed, so they may still arrive\");",
        "record.state = crate::info::JobState::Closed;",
    ),
    bug(
        "a list that nobody can vouch for is believed at once",
        "ledger.rs",
        "if counted || self.is_open() { 1 } else { 2 }",
        "1",
    ),
    bug(
        "a list that lacks a known batch is believed",
        "ledger.rs",
        "let whole = ours.iter().chain(&record.seen).all(|id| list.contains_key(id))\n            && record",
        "let whole = record",
    ),
    bug(
        "nothing is ever claimed",
        "ledger.rs",
        "let same = |stranger: &Stranger| stranger.is_of(content, rows);",
        "let same = |stranger: &Stranger| stranger.is_of(content, rows) && false;",
    ),
    bug(
        "a stranger is claimed for a batch of any content",
        "ledger.rs",
        "let same = |stranger: &Stranger| stranger.is_of(content, rows);",
        "let same = |stranger: &Stranger| stranger.content != Content::Unread || stranger.is_of(content, rows);",
    ),
    bug(
        "one stranger is claimed for several equal batches",
        "ledger.rs",
        "self.strangers.remove(&id).map(|stranger| stranger.info)",
        "self.strangers.get(&id).map(|stranger| stranger.info.clone())",
    ),
    bug(
        "a batch is looked for by the bytes of its body",
        "job/doubt.rs",
        "record.content = content(&self.spec.content_type, self.bodies.get(&batch)?).ok();",
        "record.content = self.bodies.get(&batch).map(|body| crate::print::Fingerprint::of(body)); let _ = content;",
    ),
    bug(
        "a gateway's page counts as a refusal",
        "judge.rs",
        "let unknown = status.is_server_error()",
        "let unknown = false",
    ),
    bug(
        "a lost request counts as one that never left",
        "judge.rs",
        "Reply::Failed(Failure::Lost(reason)) => {\n            Verdict::Unknown(Doubtful { reason, again: None, broken: true })\n        }\n        Reply::Failed(Failure::Unsent(reason)) => {",
        "Reply::Failed(Failure::Lost(reason) | Failure::Unsent(reason)) => {",
    ),
    bug(
        "the API's word that it failed on its way counts as a refusal",
        "job/reply.rs",
        "match leaves_open(code.as_ref()) {",
        "match leaves_open(code.as_ref()) && false {",
    ),
    bug(
        "an answer that cannot be read counts as a refusal",
        "judge.rs",
        "Err(reason) => Verdict::Unknown(Doubtful { reason, again: None, broken: true }),",
        "Err(message) => refused(ErrorInfo { message, ..ErrorInfo::default() }, response.headers()),",
    ),
    bug(
        "rows of which nobody knows are reported as unprocessed",
        "errand.rs",
        "(Fate::Unknown, \"the answer to the batch was lost\".into())",
        "(Fate::Unprocessed, \"the answer to the batch was lost\".into())",
    ),
    // ---- crashes ----
    bug(
        "nothing is stored after a job was created",
        "job/reply.rs",
        "self.save.must = true;\n        self.summary",
        "self.summary",
    ),
    bug(
        "a resumed run does not fence the jobs of the one before",
        "checkpoint.rs",
        "doubt: !query ||",
        "doubt: false && !query ||",
    ),
    bug(
        "a resumed run does not look at the input again",
        "job/feed.rs",
        "record.rows != rows || record.print != Fingerprint::of(&body)",
        "record.rows != rows",
    ),
    bug(
        "strangers of an earlier run are no reason to stop",
        "job/doubt.rs",
        "&& (self.ledger.ended || !self.room())",
        "&& (self.ledger.ended || !self.room())\n            && false",
    ),
    bug(
        "a resumed run sends before it knows what is there",
        "errand.rs",
        "&& ledger.may_be_there() == Some(false)",
        "",
    ),
    // ---- results of loads ----
    bug(
        "a result that is a row short is believed",
        "call.rs",
        "Self::All => outcomes == rows,",
        "Self::All => outcomes == rows || outcomes + 1 == rows,",
    ),
    bug(
        "the result of a failed batch is believed, however many rows it has",
        "call.rs",
        "outcomes == processed.min(rows) ||",
        "outcomes <= rows || outcomes == processed.min(rows) ||",
    ),
    bug(
        "a completed batch is good in every row",
        "call.rs",
        "succeeded: outcomes.iter().filter(|outcome| outcome.success()).count() as u64,",
        "succeeded: outcomes.len() as u64,",
    ),
    bug(
        "a failed batch has written nothing",
        "errand.rs",
        "BatchState::Failed => sent.processed != Some(0),",
        "BatchState::Failed => false,",
    ),
    bug(
        "rows of a batch that never ran are unknown",
        "errand.rs",
        "(BatchState::NotProcessed, _) => Some((Fate::Unprocessed, sent.why())),",
        "(BatchState::NotProcessed, _) => Some((Fate::Unknown, sent.why())),",
    ),
    bug(
        "outcomes are told of the row after theirs",
        "call.rs",
        "outcomes_from_csv(rows.start, response.body())",
        "outcomes_from_csv(rows.start + 1, response.body())",
    ),
    // ---- queries ----
    bug(
        "what the server counted is not compared",
        "job/reply.rs",
        "sent.processed.filter(|promised| *promised != rows)",
        "sent.processed.filter(|promised| *promised != rows && false)",
    ),
    bug(
        "only the first file of a result is read",
        "job/reply.rs",
        "for id in ids {\n                // A file",
        "for id in ids.into_iter().take(1) {\n                // A file",
    ),
    bug(
        "a file that broke off is read from its first row again",
        "call.rs",
        "Some(Framer::with_syntax(*syntax, *have))",
        "Some(Framer::with_syntax(*syntax, have.filter(|_| false)))",
    ),
    bug(
        "the last record of a file counts only with a line end",
        "rows/frame_csv.rs",
        "if self.open.is_some() {\n            self.complete",
        "if self.open.is_some() && ends_line(text) {\n            self.complete",
    ),
    bug(
        "records end at line feeds, also within quotes",
        "rows/scan.rs",
        "let end = (lf | cr) & !inside;",
        "let end = lf | cr;",
    ),
    bug(
        "the last record of the input is dropped",
        "rows/cut.rs",
        "self.complete(text, text.len(), end);\n        self.open = None;",
        "self.open = None;",
    ),
    // ---- the rest ----
    bug(
        "a session that has expired ends the run",
        "judge.rs",
        "Some(ExceptionCode::InvalidSessionId) => Class::Session,",
        "Some(ExceptionCode::InvalidSessionId) => Class::Final,",
    ),
    bug(
        "there is no bound to the retries of a run",
        "pace.rs",
        "if self.retries >= bounds.retries.saturating_add(self.successes / 10) {",
        "if self.successes == u64::MAX {",
    ),
    bug(
        "a length that was announced is not compared",
        "call.rs",
        "if let Some(length) = length.filter(|length| *length != self.received) {",
        "if let Some(length) = length.filter(|length| *length < self.received) {",
    ),
];
