//! Which org is meant. A missing secret never turns into a practice org: that must be asked for.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sfbulk_ureq::{Error, ErrorInfo, ErrorKind, Session, session_from_env};

use crate::exit::Failure;
use crate::{output, practice};

/// The name of the embedded org.
const PRACTICE: &str = "practice";

/// An org that was named well; nothing of it was touched yet.
#[derive(Debug)]
pub(crate) enum Choice {
    /// The one kept in this folder.
    Practice(PathBuf),
    Env(Session),
}

/// Which org a run is about, for its journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Target {
    /// The practice org of this folder.
    Practice(PathBuf),
    /// The org at this address.
    Instance(String),
}

impl Choice {
    /// From `--org` (or its variable), else from the environment's session.
    pub(crate) fn of(name: Option<&str>) -> Result<Self, Failure> {
        match name.filter(|name| !name.is_empty()) {
            Some(PRACTICE) => Ok(Self::Practice(PathBuf::new())),
            Some(other) => Err(Failure::nothing_sent(format!(
                "there is no org named {other:?}; --org knows {PRACTICE}, and without it \
                 SF_ACCESS_TOKEN and SF_ORG_INSTANCE_URL are used"
            ))),
            None if nothing_is_set() => Err(Failure::nothing_sent(
                "no org: set SF_ACCESS_TOKEN and SF_ORG_INSTANCE_URL, or try without an account: \
                 --org practice (or SFBULK_ORG=practice)",
            )),
            None => Ok(Self::Env(session_from_env()?)),
        }
    }

    /// The org of an earlier run; fails if the environment's session is another one's.
    pub(crate) fn again(target: Target) -> Result<Self, Failure> {
        let instance = match target {
            Target::Practice(folder) => return Ok(Self::Practice(folder)),
            Target::Instance(instance) => instance,
        };
        if nothing_is_set() {
            return Err(Failure::nothing_sent(format!(
                "the run is about the org {instance}: set SF_ACCESS_TOKEN and SF_ORG_INSTANCE_URL"
            )));
        }
        let session = session_from_env()?;
        if session.instance() == instance {
            return Ok(Self::Env(session));
        }
        Err(Failure::nothing_sent(format!(
            "the run is about the org {instance}, but SF_ORG_INSTANCE_URL is of another, {}",
            session.instance()
        )))
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Practice(_) => PRACTICE,
            Self::Env(session) => session.instance(),
        }
    }

    pub(crate) fn target(&self) -> Target {
        match self {
            Self::Practice(folder) => Target::Practice(output::absolute(folder.join("."))),
            Self::Env(session) => Target::Instance(session.instance().to_owned()),
        }
    }

    /// Makes it ready for requests.
    pub(crate) fn open(self) -> Result<Org, Failure> {
        let name = self.name().to_owned();
        let (session, server) = match self {
            Self::Practice(folder) => {
                let server = practice::start(&folder, 0)?;
                (Session::new(&server.url(), server.session())?, Some(server))
            }
            Self::Env(session) => (session, None),
        };
        Ok(Org { name, session: Some(session), server })
    }
}

fn nothing_is_set() -> bool {
    ["SF_ACCESS_TOKEN", "SF_ORG_INSTANCE_URL", "SF_INSTANCE_URL"]
        .iter()
        .all(|name| std::env::var_os(name).is_none_or(|value| value.is_empty()))
}

/// An org to talk to.
#[derive(Debug)]
pub(crate) struct Org {
    pub(crate) name: String,
    /// Given out once: none of these sessions can be renewed from here.
    session: Option<Session>,
    /// Stops when dropped.
    server: Option<sfbulk_org::Server>,
}

impl Org {
    pub(crate) fn is_practice(&self) -> bool {
        self.server.is_some()
    }

    pub(crate) fn login(&mut self, expired: Option<&ErrorInfo>) -> Result<Session, Error> {
        self.session.take().ok_or_else(|| {
            let error = Error::new(ErrorKind::Login, "the org does not accept the session")
                .advise("it may have expired: get a new token and set SF_ACCESS_TOKEN");
            match expired {
                Some(answer) => error.answered(answer.clone()),
                None => error,
            }
        })
    }
}
