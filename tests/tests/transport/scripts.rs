//! The scripts: what the server does, and what must come of it.

use sfbulk_tests::badly::Act::{self, Drip, Fin, Pour, Read, ReadHead, Reset, Say, Silence};
use sfbulk_tests::script::Kind::{self, Create, File, Submit};

/// One answer, and what a client may make of it.
pub(crate) struct Script {
    pub(crate) name: &'static str,
    pub(crate) to: Address,
    /// The requests that are answered so, each in a run of its own.
    pub(crate) at: &'static [Kind],
    pub(crate) play: &'static [Act],
    pub(crate) ending: Ending,
    /// What it ends as for the executor that speaks HTTP/1.0, if otherwise.
    pub(crate) by_hand: Option<Ending>,
}

/// The executor on the standard library alone.
pub(crate) const BY_HAND: &str = "by hand";

/// Where the client is sent.
#[derive(Clone, Copy)]
pub(crate) enum Address {
    Server,
    /// The same, by https, which it does not speak.
    ServerByTls,
    /// A port on which nobody listens.
    NobodyListens,
    /// A name that nobody can resolve.
    NoSuchName,
}

/// What must come of it. The words must stand in what the machine, and so the user, is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    /// The answer is believed: all is well after the first try.
    Taken,
    /// It is a refusal: nothing is tried again.
    Refused(&'static str),
    /// There is no whole answer. A read is repeated, and so is the creation of a job, with a note
    /// that there may be two; a batch is not, and its rows are unknown.
    Lost(&'static str),
    /// The request certainly did not arrive.
    Unsent(&'static str),
    /// One of these: libraries differ, for this reason.
    Either(&'static [Ending], &'static str),
}
use Ending::{Either, Lost, Refused, Taken, Unsent};

/// A script that is played to a write, the answer to which is read whole, and to a read, the answer
/// to which is streamed.
const fn script(name: &'static str, play: &'static [Act], ending: Ending) -> Script {
    Script { name, to: Address::Server, at: &[Submit, File], play, ending, by_hand: None }
}

impl Script {
    const fn at(mut self, at: &'static [Kind]) -> Self {
        self.at = at;
        self
    }

    /// HTTP/1.0 knows no chunks, so the executor by hand, which speaks it, refuses them.
    const fn but_not_in_http_1_0(self) -> Self {
        self.but_by_hand(Lost("HTTP/1.0 knows no chunks"))
    }

    const fn but_by_hand(mut self, ending: Ending) -> Self {
        self.by_hand = Some(ending);
        self
    }

    /// Another address, to be seen at the first request of a run.
    const fn to(mut self, to: Address) -> Self {
        self.to = to;
        self.at(&[Create])
    }
}

/// In a text, `|` is a line end, and names in braces are parts of the true answer.
pub(crate) const SCRIPTS: &[Script] = &[
    // ---- good answers, most of them in rare shapes ----
    script("a plain answer", &[Read, Say("{ok}|Content-Length: {length}||{body}")], Taken),
    script("chunks", &[Read, Say("{ok}|Transfer-Encoding: chunked||{chunk}0||")], Taken)
        .but_not_in_http_1_0(),
    script(
        "one byte at a time",
        &[Read, Drip("{ok}|Transfer-Encoding: chunked||{chunk}0||")],
        Taken,
    )
    .but_not_in_http_1_0(),
    script(
        "trailers behind the last chunk",
        &[Read, Say("{ok}|Transfer-Encoding: chunked||{chunk}0|X-Sum: 7||")],
        Taken,
    )
    .but_not_in_http_1_0(),
    script(
        "an extension of a chunk",
        &[Read, Say("{ok}|Transfer-Encoding: chunked||{length in hex};a=b|{body}|0||")],
        Taken,
    )
    .but_not_in_http_1_0(),
    script(
        "no length, ended by the connection, and what was promised is there",
        &[Read, Say("{ok}||{body}"), Fin],
        Taken,
    ),
    script(
        "HTTP/1.0",
        &[Read, Say("HTTP/1.0 200 OK|Content-Length: {length}||{body}"), Fin],
        Taken,
    ),
    script(
        "names of headers in odd case",
        &[Read, Say("{ok}|cONTENT-lENGTH:{length}||{body}")],
        Taken,
    ),
    script(
        "line ends without a carriage return",
        &[Read, Say("HTTP/1.1 200 OK\nContent-Length: {length}\n\n{body}")],
        Taken,
    ),
    script(
        "two equal lengths",
        &[Read, Say("{ok}|Content-Length: {length}|Content-Length: {length}||{body}")],
        Taken,
    ),
    script(
        "100 Continue, unasked",
        &[Read, Say("HTTP/1.1 100 Continue||"), Say("{ok}|Content-Length: {length}||{body}")],
        Taken,
    ),
    script(
        "103 Early Hints",
        &[
            Read,
            Say("HTTP/1.1 103 Early Hints|Link: </>||"),
            Say("{ok}|Content-Length: {length}||{body}"),
        ],
        Taken,
    ),
    // ---- bodies that break off ----
    script(
        "a body shorter than its length",
        &[Read, Say("{ok}|Content-Length: {longer}||{body}"), Fin],
        Lost("broke off"),
    ),
    script(
        "half a body",
        &[Read, Say("{ok}|Content-Length: {length}||{first half}"), Fin],
        Lost("broke off"),
    ),
    script(
        "half a body, then a reset",
        &[Read, Say("{ok}|Content-Length: {length}||{first half}"), Reset],
        Lost("broke off"),
    ),
    script(
        "half a body, then silence",
        &[Read, Say("{ok}|Content-Length: {length}||{first half}"), Silence],
        Lost("broke off"),
    ),
    script(
        "chunks without the last one",
        &[Read, Say("{ok}|Transfer-Encoding: chunked||{chunk}"), Fin],
        Lost("broke off"),
    ),
    script(
        "half a chunk",
        &[Read, Say("{ok}|Transfer-Encoding: chunked||{length in hex}|{first half}"), Fin],
        Lost("broke off"),
    ),
    script(
        "a cut in the size of a chunk",
        &[Read, Say("{ok}|Transfer-Encoding: chunked||{chunk}1"), Fin],
        Lost("broke off"),
    ),
    script(
        "a last chunk without its empty line",
        &[Read, Say("{ok}|Transfer-Encoding: chunked||{chunk}0|"), Fin],
        Either(
            &[Taken, Lost("broke off")],
            "ureq lets it pass, since every byte of the body is there",
        ),
    ),
    script(
        "chunks, then a reset",
        &[Read, Say("{ok}|Transfer-Encoding: chunked||{chunk}"), Reset],
        Lost("broke off"),
    ),
    script(
        "no length, ended by the connection, and half is missing",
        &[Read, Say("{ok}||{first half}"), Fin],
        Lost("cut"),
    ),
    script("no length, ended by a reset", &[Read, Say("{ok}||{body}"), Reset], Lost("broke off")),
    // ---- lengths that contradict ----
    script(
        "a length and chunks",
        &[Read, Say("{ok}|Content-Length: {length}|Transfer-Encoding: chunked||{chunk}0||")],
        Lost("in chunks, and yet has a length"),
    ),
    script(
        "a wrong length and chunks",
        &[
            Read,
            Say("{ok}|Content-Length: {half of length}|Transfer-Encoding: chunked||{chunk}0||"),
        ],
        Lost("in chunks, and yet has a length"),
    ),
    script(
        "two lengths that differ",
        &[Read, Say("{ok}|Content-Length: {length}|Content-Length: {half of length}||{body}")],
        Lost("length"),
    ),
    script(
        "two lengths that differ, in one line",
        &[Read, Say("{ok}|Content-Length: {half of length}, {length}||{body}")],
        Lost("length"),
    ),
    script(
        "a negative length",
        &[Read, Say("{ok}|Content-Length: -1||{body}"), Fin],
        Lost("length"),
    ),
    script(
        "a length with a sign",
        &[Read, Say("{ok}|Content-Length: +{length}||{body}"), Fin],
        Lost("length"),
    ),
    script(
        "a length that is no number",
        &[Read, Say("{ok}|Content-Length: many||{body}"), Fin],
        Lost("length"),
    ),
    script(
        "a length beyond all numbers",
        &[Read, Say("{ok}|Content-Length: 99999999999999999999999||{body}"), Fin],
        Lost("length"),
    ),
    script(
        "a huge length",
        &[Read, Say("{ok}|Content-Length: 9007199254740993||{body}"), Fin],
        Lost("broke off"),
    ),
    script(
        "a transfer coding that nobody knows",
        &[Read, Say("{ok}|Transfer-Encoding: rot13||{body}"), Fin],
        Lost("rot13"),
    ),
    script(
        "the size of a chunk is no number",
        &[Read, Say("{ok}|Transfer-Encoding: chunked||xyz|{body}|0||"), Fin],
        Lost("broke off"),
    ),
    script(
        "a body longer than its length",
        &[Read, Say("{ok}|Content-Length: {half of length}||{body}"), Fin],
        Lost("cut"),
    ),
    // ---- compressed ----
    script("gzip", &[Read, Say("{ok}|Content-Encoding: gzip||{gzip}"), Fin], Taken),
    script(
        "half of a gzip",
        &[Read, Say("{ok}|Content-Encoding: gzip||{half of gzip}"), Fin],
        Lost("gzip"),
    ),
    script(
        "gzip without its trailer",
        &[Read, Say("{ok}|Content-Encoding: gzip||{gzip without trailer}"), Fin],
        Lost("gzip"),
    ),
    // ---- heads ----
    script("the connection ends as the request arrives", &[Read, Fin], Lost("no answer arrived")),
    script("a reset as the request arrives", &[Read, Reset], Lost("no answer arrived")),
    script("silence", &[Read, Silence], Lost("no answer arrived")),
    script("a reset before the request is read", &[Reset], Lost("no answer arrived")).at(&[Create]),
    script("a reset within the request", &[ReadHead, Reset], Lost("no answer arrived")),
    script("half a head", &[Read, Say("{ok}|Content-Le"), Fin], Lost("no answer arrived")),
    script(
        "half a head, then a reset",
        &[Read, Say("{ok}|Content-Le"), Reset],
        Lost("no answer arrived"),
    ),
    script(
        "half a head, then silence",
        &[Read, Say("{ok}|Content-Le"), Silence],
        Lost("no answer arrived"),
    ),
    script(
        "a head, then a reset",
        &[Read, Say("{ok}|Content-Length: {length}||"), Reset],
        Lost("broke off"),
    ),
    script(
        "a head of a mebibyte",
        &[
            Read,
            Say("{ok}|"),
            Pour("X-Long: 0123456789abcdef|", 40_000),
            Say("Content-Length: {length}||{body}"),
            Fin,
        ],
        Lost("no answer arrived"),
    ),
    script(
        "10,000 headers",
        &[Read, Say("{ok}|"), Pour("A: b|", 10_000), Say("Content-Length: {length}||{body}"), Fin],
        Lost("no answer arrived"),
    ),
    script(
        "90 headers",
        &[Read, Say("{ok}|"), Pour("A: b|", 90), Say("Content-Length: {length}||{body}")],
        Taken,
    ),
    script(
        "a header without end",
        &[Read, Say("{ok}|X-Endless: "), Pour("abcdefgh", 1 << 20), Fin],
        Lost("no answer arrived"),
    ),
    script(
        "an extension of a chunk without end",
        &[Read, Say("{ok}|Transfer-Encoding: chunked||5;"), Pour("abcdefgh", 1 << 20), Fin],
        Lost("broke off"),
    ),
    script(
        "trailers without end",
        &[
            Read,
            Say("{ok}|Transfer-Encoding: chunked||{chunk}0|"),
            Pour("A: bcdefgh|", 1 << 20),
            Fin,
        ],
        Either(
            &[Taken, Lost("broke off")],
            "ureq skips trailers without a bound; the body before them is whole",
        ),
    ),
    script(
        "another protocol",
        &[Read, Say("SSH-2.0-OpenSSH_9.6|"), Fin],
        Lost("no answer arrived"),
    ),
    script(
        "a status that is no number",
        &[Read, Say("HTTP/1.1 OK|Content-Length: {length}||{body}"), Fin],
        Lost("no answer arrived"),
    ),
    script(
        "a folded header",
        &[Read, Say("{ok}|X-Folded: a| b|Content-Length: {length}||{body}")],
        Lost("no answer arrived"),
    ),
    script(
        "a header without a colon",
        &[Read, Say("{ok}|nonsense|Content-Length: {length}||{body}")],
        Lost("no answer arrived"),
    ),
    // ---- answers that are not the wanted ones ----
    script(
        "204, with a body",
        &[Read, Say("HTTP/1.1 204 No Content|Content-Length: {length}||{body}"), Fin],
        Lost("0 of"),
    ),
    script(
        "304, with a body",
        &[Read, Say("HTTP/1.1 304 Not Modified|Content-Length: {length}||{body}"), Fin],
        Lost("0 of"),
    ),
    script(
        "301 to another host",
        &[Read, Say("HTTP/1.1 301 Away|Location: http://{elsewhere}/|Content-Length: 0||")],
        Refused("redirect to 127.0.0.1"),
    ),
    script(
        "302 to another host",
        &[Read, Say("HTTP/1.1 302 Away|Location: http://{elsewhere}/|Content-Length: 0||")],
        Refused("redirect to 127.0.0.1"),
    ),
    script(
        "303 to another host",
        &[Read, Say("HTTP/1.1 303 Away|Location: http://{elsewhere}/|Content-Length: 0||")],
        Lost("redirect to 127.0.0.1"),
    ),
    script(
        "307 to another host",
        &[Read, Say("HTTP/1.1 307 Away|Location: http://{elsewhere}/|Content-Length: 0||")],
        Refused("redirect to 127.0.0.1"),
    ),
    script(
        "308 to another host",
        &[Read, Say("HTTP/1.1 308 Away|Location: http://{elsewhere}/|Content-Length: 0||")],
        Refused("redirect to 127.0.0.1"),
    ),
    script(
        "200 with a page to log in",
        &[
            Read,
            Say("{ok}|Content-Type: text/html|Content-Length: 41||"),
            Say("<!DOCTYPE html><html>Please log in</html>"),
        ],
        Lost("DTD"),
    ),
    script(
        "413 without a body",
        &[Read, Say("HTTP/1.1 413 Content Too Large|Content-Length: 0||")],
        Refused("413"),
    ),
    script(
        "400 before the upload has ended",
        &[ReadHead, Say(REFUSAL), Fin],
        Refused("InvalidJobState"),
    )
    .at(&[Submit]),
    script(
        "400 before the upload has ended, then a reset",
        &[ReadHead, Say(REFUSAL), Reset],
        Either(
            &[Refused("InvalidJobState"), Lost("no answer arrived"), Lost("broke off")],
            "a client that still sends learns of the reset before it reads; both are true",
        ),
    )
    .at(&[Submit]),
    // ---- what stays in the connection ----
    script(
        "the connection is closed behind an answer that said nothing of it",
        &[Read, Say("{ok}|Content-Length: {length}||{body}"), Fin],
        Taken,
    )
    .at(&[Create, Submit]),
    script(
        "the connection is reset behind an answer",
        &[Read, Say("{ok}|Content-Length: {length}||{body}"), Reset],
        Taken,
    )
    .at(&[Create, Submit]),
    script(
        "a second answer that nobody asked for",
        &[Read, Say("{ok}|Content-Length: {length}||{body}"), Say("{ok}|Content-Length: 4||lies")],
        Taken,
    )
    .at(&[Create, Submit]),
    script(
        "a second answer in the same breath",
        &[Read, Say("{ok}|Content-Length: {length}||{body}{ok}|Content-Length: 4||lies")],
        Taken,
    )
    .at(&[Create, Submit]),
    script(
        "line ends behind an answer",
        &[Read, Say("{ok}|Content-Length: {length}||{body}||")],
        Taken,
    )
    .at(&[Create, Submit]),
    // ---- no way there ----
    script("nobody listens", &[Reset], Unsent("no connection (")).to(Address::NobodyListens),
    script("a name that does not exist", &[Reset], Unsent("no connection ("))
        .to(Address::NoSuchName),
    script(
        "https to a port that speaks http",
        &[Say("HTTP/1.1 400 Bad Request||This is plain HTTP"), Fin],
        Unsent("no connection ("),
    )
    .to(Address::ServerByTls),
    script("https to a port that is silent", &[Silence], Unsent("no connection ("))
        .to(Address::ServerByTls),
    script("https to a port that hangs up", &[Fin], Unsent("no connection ("))
        .to(Address::ServerByTls),
    script("https to a port that resets", &[Reset], Unsent("no connection ("))
        .to(Address::ServerByTls),
];

const REFUSAL: &str = "HTTP/1.1 400 Bad Request|Connection: close||\
    <error><exceptionCode>InvalidJobState</exceptionCode>\
    <exceptionMessage>the job is closed</exceptionMessage></error>";
