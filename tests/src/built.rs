//! Programs of the workspace, built as they are now: a test alone would not build them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds a target of a package (`&["--bin", "sfbulk"]`) with the profile of the running test; gives
/// the folder it is in. The same cargo with the same target directory finds everything else built.
pub fn built(package: &str, target: &[&str]) -> PathBuf {
    let own = std::env::current_exe().unwrap(); // TARGET/PROFILE/deps/name-…
    let profile = own.parent().and_then(Path::parent).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "-p", package]).args(target);
    cargo.args(["--profile", if profile.ends_with("release") { "release" } else { "dev" }]);
    // What this cargo says of the package under test would have build scripts run again.
    let of_a_package =
        |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars().filter(|(name, _)| of_a_package(name)) {
        cargo.env_remove(name);
    }
    cargo.arg("--target-dir").arg(profile.parent().unwrap());
    assert!(cargo.status().unwrap().success());
    profile.to_owned()
}
