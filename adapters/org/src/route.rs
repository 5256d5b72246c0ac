//! Which resource a request means.

use http::{Method, StatusCode};

use crate::answer::Refusal;

/// What is asked, with the ids as they were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    CreateJob,
    Job { job: &'a str },
    UpdateJob { job: &'a str },
    AddBatch { job: &'a str },
    Spec { job: &'a str },
    Batches { job: &'a str },
    Batch { job: &'a str, batch: &'a str },
    Request { job: &'a str, batch: &'a str },
    Result { job: &'a str, batch: &'a str },
    File { job: &'a str, batch: &'a str, file: &'a str },
}

impl<'a> Route<'a> {
    /// The job the path names, if it names one.
    pub(crate) fn job(self) -> Option<&'a str> {
        match self {
            Self::CreateJob => None,
            Self::Job { job }
            | Self::UpdateJob { job }
            | Self::AddBatch { job }
            | Self::Spec { job }
            | Self::Batches { job }
            | Self::Batch { job, .. }
            | Self::Request { job, .. }
            | Self::Result { job, .. }
            | Self::File { job, .. } => Some(job),
        }
    }
}

/// The parts of a path below `/services/async`; `None` if it is another's. Doubled and trailing
/// slashes do not count.
pub(crate) fn parts(path: &str) -> Option<Vec<&str>> {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    (parts.next()? == "services" && parts.next()? == "async").then(|| parts.collect())
}

/// Reads the parts behind the version.
pub(crate) fn route<'a>(method: &Method, parts: &[&'a str]) -> Result<Route<'a>, Refusal> {
    let unexpected = |expected: &str, at: usize| {
        let found = parts.get(at).copied().unwrap_or_default();
        let found: String = found.chars().take(100).collect();
        let message = format!("Failed to parse URL. Was expecting '{expected}' but found:{found}");
        Refusal::bad("InvalidUrl", message)
    };
    let (get, post) = (method == Method::GET, method == Method::POST);
    let route = match *parts {
        ["job"] => post.then_some(Route::CreateJob),
        ["job", job] if post => Some(Route::UpdateJob { job }),
        ["job", job] => get.then_some(Route::Job { job }),
        ["job", job, "spec"] => post.then_some(Route::Spec { job }),
        ["job", job, "batch"] if post => Some(Route::AddBatch { job }),
        ["job", job, "batch"] => get.then_some(Route::Batches { job }),
        ["job", job, "batch", batch] => get.then_some(Route::Batch { job, batch }),
        ["job", job, "batch", batch, "request"] => get.then_some(Route::Request { job, batch }),
        ["job", job, "batch", batch, "result"] => get.then_some(Route::Result { job, batch }),
        ["job", job, "batch", batch, "result", file] => {
            get.then_some(Route::File { job, batch, file })
        }
        ["job", _, "batch", _, "result", _, ..] => return Err(unexpected("", 6)),
        ["job", _, "batch", _, "request", ..] => return Err(unexpected("", 5)),
        ["job", _, "batch", _, ..] => return Err(unexpected("result", 4)),
        ["job", _, ..] => return Err(unexpected("batch", 2)),
        ["AsyncApi.xsd"] => {
            let refusal = Refusal::bad("NotFound", "The practice org has no schema document");
            return Err(refusal.with_status(StatusCode::NOT_FOUND));
        }
        _ => return Err(unexpected("job", 0)),
    };
    route.ok_or_else(|| {
        let message = format!("{method} is not allowed for this resource");
        Refusal::bad("MethodNotAllowed", message).with_status(StatusCode::METHOD_NOT_ALLOWED)
    })
}

/// Versions the org answers to: those in service, and a few of the years to come.
pub(crate) fn version(text: &str) -> Result<&str, Refusal> {
    let number = text.strip_suffix(".0").filter(|number| number.len() == 2);
    if number.and_then(|number| number.parse::<u8>().ok()).is_some_and(|number| number >= 31) {
        return Ok(text);
    }
    let shown: String = text.chars().take(20).collect();
    Err(Refusal::bad("InvalidVersion", format!("Unsupported API version: {shown}")))
}

/// Versions whose retirement is announced.
pub(crate) fn is_deprecated(version: &str) -> bool {
    ("31.0"..="40.0").contains(&version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_with_slashes_to_spare() {
        let at = |path| parts(path).map(|parts| parts.join("/"));
        assert_eq!(at("//services/async/66.0/job/"), Some("66.0/job".into()));
        assert_eq!(at("/services/data/v66.0"), None);
        assert_eq!(at("/"), None);
    }

    #[test]
    fn wrong_paths_say_what_was_expected() {
        let told = |path: &str| {
            let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
            route(&Method::GET, &parts).unwrap_err().message
        };
        assert_eq!(told("services"), "Failed to parse URL. Was expecting 'job' but found:services");
        assert!(told("job/750/batches").ends_with("Was expecting 'batch' but found:batches"));
        assert!(
            told("job/750/batch/751/results").ends_with("Was expecting 'result' but found:results")
        );
        assert!(told("job").starts_with("GET is not allowed"));
    }

    #[test]
    fn versions_have_two_digits_and_a_zero() {
        assert!(version("31.0").is_ok() && version("66.0").is_ok());
        assert!(is_deprecated("31.0") && is_deprecated("40.0") && !is_deprecated("41.0"));
        for bad in ["", "v66.0", "66", "66.1", "30.0", "7.0", "100.0", "+9.0"] {
            assert_eq!(version(bad).unwrap_err().code, "InvalidVersion", "{bad}");
        }
    }
}
