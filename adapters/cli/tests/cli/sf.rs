//! Orgs that `sf` is logged in to; a script on the `PATH` plays it.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use sfbulk_org::{Config, Fault, Org, Server, serve};

use crate::stage::{Ran, Stage};

/// A folder with an `sf`, and an org it knows.
struct World {
    stage: Stage,
    org: Server,
}

/// Notes what it is asked, grumbles, and goes on as the test says.
const HEAD: &str = "#!/bin/sh\n\
    cd \"$(dirname \"$0\")\"\n\
    echo \"$NO_COLOR $*\" >> asked\n\
    echo 'Warning: @salesforce/cli update available' >&2\n";

impl World {
    /// An `sf` that ends so; `URL` and `TOKEN` are the org's.
    fn new(script: &str) -> Self {
        let session = "00D000000000001!PRACTICEsecret";
        let org = serve(Org::in_memory_with(Config::new().session(session)).unwrap(), 0).unwrap();
        let stage = Stage::new();
        stage.file("in.csv", "Name\nx\n");
        let world = Self { stage, org };
        world.play(script);
        world
    }

    fn play(&self, script: &str) {
        let folder = self.stage.state().join("bin");
        fs::create_dir_all(&folder).unwrap();
        let script = script.replace("URL", &self.org.url()).replace("TOKEN", &self.org.session());
        fs::write(folder.join("sf"), format!("{HEAD}{script}\n")).unwrap();
        fs::set_permissions(folder.join("sf"), PermissionsExt::from_mode(0o700)).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.stage.command(args);
        command.env_remove("SF_ACCESS_TOKEN").env_remove("SF_ORG_INSTANCE_URL");
        let bin = self.stage.state().join("bin");
        command.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        command
    }

    fn insert(&self, more: &[&str]) -> Ran {
        let args = [&["insert", "Account", "in.csv"][..], more].concat();
        self.command(&args).output().unwrap().into()
    }

    fn asked(&self) -> Vec<String> {
        let asked = fs::read_to_string(self.stage.state().join("bin/asked")).unwrap_or_default();
        asked.lines().map(str::to_owned).collect()
    }
}

const SHOWN: &str = r#"echo '{"status":0,"result":{"instanceUrl":"URL","accessToken":"TOKEN"}}'"#;

const REDACTED: &str = r#"case $2 in
    display) echo '{"result":{"instanceUrl":"URL","accessToken":"[REDACTED] Use it"}}' ;;
    auth) echo '{"result":{"accessToken":"TOKEN"}}' ;;
esac"#;

#[test]
fn an_org_is_named_as_sf_names_it() {
    let world = World::new(SHOWN);
    let ran = world.insert(&["--org", "uat"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(world.asked(), ["1 org display -o uat --json"]);
    assert!(!ran.err.contains("update available"), "{ran:?}");
}

#[test]
fn a_token_that_is_not_displayed_is_asked_for_by_itself() {
    let world = World::new(REDACTED);
    assert_eq!(world.insert(&["--org", "uat"]).code, Some(0));
    assert_eq!(
        world.asked(),
        ["1 org display -o uat --json", "1 org auth show-access-token -o uat --json"]
    );
    world.play(&REDACTED.replace("TOKEN", "[REDACTED]"));
    let ran = world.insert(&["--org", "uat"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("does not tell the access token"), "{ran:?}");
    world.play(&REDACTED.replace("auth) echo", "auth) exit 1; echo"));
    let ran = world.insert(&["--org", "uat"]);
    assert!(ran.err.contains("update sf"), "one of the time before: {ran:?}");
}

#[test]
fn without_a_name_it_is_the_org_that_sf_would_use() {
    let world = World::new(SHOWN);
    let asked = |name: &str| {
        assert_eq!(world.insert(&[]).code, Some(0));
        assert_eq!(world.asked().pop().unwrap(), format!("1 org display -o {name} --json"));
    };
    let home = world.stage.state();
    fs::create_dir(home.join(".sfdx")).unwrap();
    fs::write(home.join(".sfdx/sfdx-config.json"), r#"{"defaultusername":"oldest"}"#).unwrap();
    asked("oldest");
    fs::create_dir(home.join(".sf")).unwrap();
    fs::write(home.join(".sf/config.json"), r#"{"target-org":"everywhere"}"#).unwrap();
    asked("everywhere");
    fs::create_dir(world.stage.path(".sf")).unwrap();
    world.stage.file(".sf/config.json", r#"{"target-org":"here"}"#);
    asked("everywhere"); // sf itself takes no notice of it outside of a project
    world.stage.file("sfdx-project.json", "{}");
    asked("here");
    let mut command = world.command(&["insert", "Account", "in.csv"]);
    let ran: Ran = command.env("SF_TARGET_ORG", "now").output().unwrap().into();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(world.asked().pop().unwrap(), "1 org display -o now --json");

    let before = world.asked().len();
    let mut command = world.command(&["insert", "Account", "in.csv"]);
    command.env("SF_ACCESS_TOKEN", world.org.session()).env("SF_ORG_INSTANCE_URL", world.org.url());
    assert_eq!(command.output().unwrap().status.code(), Some(0));
    assert_eq!(world.asked().len(), before, "a session at hand comes first");
}

#[test]
fn sf_is_asked_once_more_when_the_session_has_expired() {
    // The org's second session is called so.
    let world = World::new(
        "n=$(wc -l < asked)\ncase $n in *1) t=TOKEN ;; *) t=TOKEN.2 ;; esac\n\
         echo '{\"result\":{\"instanceUrl\":\"URL\",\"accessToken\":\"'$t'\"}}'",
    );
    world.org.fault(Fault::ExpireSession { request: 3 });
    let ran = world.insert(&["--org", "uat"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(world.asked().len(), 2);
}

#[test]
fn a_run_does_not_go_on_in_another_org() {
    let world = World::new(
        "n=$(wc -l < asked)\ncase $n in *1) u=URL ;; *) u=https://other.my.salesforce.com ;; esac\n\
         echo '{\"result\":{\"instanceUrl\":\"'$u'\",\"accessToken\":\"TOKEN\"}}'",
    );
    world.org.fault(Fault::ExpireSession { request: 3 });
    let ran = world.insert(&["--org", "uat"]);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("uat is the name of another now"), "{ran:?}");
    let ran: Ran = world.command(&["resume"]).output().unwrap().into();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("uat is the name of another now"), "{ran:?}");
    world.play(SHOWN);
    let ran: Ran = world.command(&["resume"]).output().unwrap().into();
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn what_sf_says_when_it_fails_is_told() {
    let world = World::new(
        r#"echo '{"name":"NamedOrgNotFoundError","message":"No authorization information found for uat.","status":1}'; exit 1"#,
    );
    let ran = world.insert(&["--org", "uat"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    for words in ["No authorization information found for uat.", "sf org list"] {
        assert!(ran.err.contains(words), "{ran:?}");
    }
    world.play("echo 'sf is broken: 00D000000000001!CANARY_1.x' >&2; exit 7");
    let ran = world.insert(&["--org", "uat"]);
    assert!(ran.err.contains("sf is broken: 00D000000000001!;"), "{ran:?}");
    world.play(&format!("echo '(node:1) Warning: odd {{'; {SHOWN}"));
    assert_eq!(world.insert(&["--org", "uat"]).code, Some(0));
    world.play("echo nonsense secret");
    let ran = world.insert(&["--org", "uat"]);
    assert!(ran.err.contains("cannot be understood"), "{ran:?}");
}
