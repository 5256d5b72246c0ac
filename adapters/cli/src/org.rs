//! Which org is meant: one named, one whose session the environment has, or the one that `sf` would
//! use. A missing secret never turns into a practice org: that must be asked for.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sfbulk_login::{default_org, sf_session};
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
    /// The one that `sf` knows by this name.
    Sf(String, Session),
}

/// Which org a run is about, for its journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Target {
    /// The practice org of this folder.
    Practice(PathBuf),
    /// The org at this address.
    Instance(String),
    /// The org at this address that `sf` knows by this name.
    Sf { name: String, instance: String },
}

impl Choice {
    /// From `--org` (or its variable), else the environment's session, else the org that `sf` would
    /// use.
    pub(crate) fn of(name: Option<&str>) -> Result<Self, Failure> {
        let name = name.filter(|name| !name.is_empty()).map(str::to_owned);
        match name {
            Some(name) if name == PRACTICE => Ok(Self::Practice(PathBuf::new())),
            None if !nothing_is_set() => Ok(Self::Env(session_from_env()?)),
            name => match name.or_else(|| default_org(&output::absolute("."))) {
                Some(name) => Ok(Self::Sf(name.clone(), sf_session(&name)?)),
                None => Err(Failure::nothing_sent(
                    "no org: name one that sf is logged in to with --org (or SFBULK_ORG, or \
                     SF_TARGET_ORG, or sf config set target-org), or set SF_ACCESS_TOKEN and \
                     SF_ORG_INSTANCE_URL, or try without an account: --org practice",
                )),
            },
        }
    }

    /// The org of an earlier run; fails if the session is another one's now.
    pub(crate) fn again(target: Target) -> Result<Self, Failure> {
        let instance = match target {
            Target::Practice(folder) => return Ok(Self::Practice(folder)),
            Target::Sf { name, instance } => {
                let session = session_of(&name, &instance)?;
                return Ok(Self::Sf(name, session));
            }
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
            Self::Sf(name, _) => name,
        }
    }

    pub(crate) fn target(&self) -> Target {
        match self {
            Self::Practice(folder) => Target::Practice(output::absolute(folder.join("."))),
            Self::Env(session) => Target::Instance(session.instance().to_owned()),
            Self::Sf(name, session) => {
                Target::Sf { name: name.clone(), instance: session.instance().to_owned() }
            }
        }
    }

    /// Makes it ready for requests.
    pub(crate) fn open(self) -> Result<Org, Failure> {
        let name = self.name().to_owned();
        let (session, server, sf) = match self {
            Self::Practice(folder) => {
                let server = practice::start(&folder, 0)?;
                (Session::new(&server.url(), server.session())?, Some(server), None)
            }
            Self::Env(session) => (session, None, None),
            Self::Sf(name, session) => {
                let instance = session.instance().to_owned();
                (session, None, Some((name, instance)))
            }
        };
        Ok(Org { name, session: Some(session), server, sf })
    }
}

/// A session of the org that `sf` knows by this name. The name may mean another org meanwhile, and a
/// run belongs to one.
fn session_of(name: &str, instance: &str) -> Result<Session, Error> {
    let session = sf_session(name)?;
    if session.instance() == instance {
        return Ok(session);
    }
    let message = format!(
        "the run is about the org {instance}, but {name} is the name of another now, {}",
        session.instance()
    );
    Err(Error::new(ErrorKind::Usage, message))
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
    /// Given out once.
    session: Option<Session>,
    /// Stops when dropped.
    server: Option<sfbulk_org::Server>,
    /// The name and address of one whose sessions `sf` renews.
    sf: Option<(String, String)>,
}

impl Org {
    pub(crate) fn is_practice(&self) -> bool {
        self.server.is_some()
    }

    pub(crate) fn login(&mut self, expired: Option<&ErrorInfo>) -> Result<Session, Error> {
        if let Some(session) = self.session.take() {
            return Ok(session);
        }
        if let Some((name, instance)) = &self.sf {
            return session_of(name, instance);
        }
        let error = Error::new(ErrorKind::Login, "the org does not accept the session")
            .advise("it may have expired: get a new token and set SF_ACCESS_TOKEN");
        Err(match expired {
            Some(answer) => error.answered(answer.clone()),
            None => error,
        })
    }
}
