//! Compressed bodies, both ways: the only encoding the service knows.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue};
use http::{Response, StatusCode};

use crate::answer::Refusal;

/// Does the client take gzip?
pub(crate) fn wanted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| {
        let (name, weight) = item.split_once(';').unwrap_or((item, ""));
        let refused = matches!(weight.trim(), "q=0" | "q=0.0");
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

/// Packs an answer that has a body, at the level that costs least.
pub(crate) fn pack(mut response: Response<Bytes>) -> Response<Bytes> {
    if response.body().is_empty() {
        return response;
    }
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    let done = packer.write_all(response.body()).and_then(|()| packer.finish());
    if let Ok(body) = done {
        *response.body_mut() = body.into();
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Unpacks a request and holds it to the limit, before and after.
pub(crate) fn unpack(headers: &HeaderMap, body: Bytes, most: usize) -> Result<Bytes, Refusal> {
    if body.len() > most {
        return Err(too_large(most));
    }
    let encoding =
        headers.get(CONTENT_ENCODING).map_or(&b""[..], HeaderValue::as_bytes).trim_ascii();
    if encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity") {
        return Ok(body);
    }
    if !encoding.eq_ignore_ascii_case(b"gzip") {
        return Err(Refusal::bad(
            "ClientInputError",
            "Unsupported content encoding; gzip is the only one",
        ));
    }
    let mut plain = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(&body[..])
        .take(limit)
        .read_to_end(&mut plain)
        .map_err(|_| Refusal::bad("ClientInputError", "The gzip body is damaged"))?;
    if plain.len() > most {
        return Err(too_large(most));
    }
    Ok(plain.into())
}

/// The answer to a body beyond the limit.
pub(crate) fn too_large(most: usize) -> Refusal {
    let message = format!("The request is larger than the practice org takes, {most} bytes");
    Refusal::bad("ClientInputError", message).with_status(StatusCode::PAYLOAD_TOO_LARGE)
}
