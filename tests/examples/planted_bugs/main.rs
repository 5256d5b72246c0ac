//! The tests' own test: plants bugs in a copy of the core, one at a time, and sees that the
//! simulation and the sweep notice. `cargo run --release -p sfbulk-tests --example planted_bugs`
//! prints which noticed, and what; it fails if a bug survives or no longer fits the source. Words on
//! the command line choose among the bugs.
//!
//! The copy lies below the target folder: the core, and of these tests what plays the machine. It is
//! built with little optimisation, since each bug costs a build.

#![forbid(unsafe_code)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

mod bugs;

use bugs::{BUGS, Bug};

/// The files of these tests that play the machine.
const MODULES: [&str; 13] = [
    "chance",
    "dialogue",
    "document",
    "faults",
    "jobs",
    "offline",
    "oracle",
    "scenarios",
    "script",
    "server",
    "simulation",
    "sweep",
    "worlds",
];

/// How much of what is said of a bug is shown.
const WIDTH: usize = 70;

/// A variant that is not done after so long hangs, which shows as well.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |bug: &&Bug| words.is_empty() || words.iter().any(|word| bug.what.contains(word));
    let copy = Copy::make().expect("a copy of the sources");
    println!("| bug | noticed by | which says |\n|---|---|---|");
    let mut survivors = 0;
    for bug in BUGS.iter().filter(wanted) {
        let (noticed, says) = copy.try_out(bug).unwrap_or_else(|why| {
            survivors += 1;
            ("**nothing**".into(), why)
        });
        println!("| {} | {noticed} | {says} |", bug.what);
    }
    println!("\n{survivors} survived");
    if survivors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A workspace of its own, with the core and what plays it.
struct Copy {
    root: PathBuf,
}

impl Copy {
    fn make() -> io::Result<Self> {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
        let root = project.join("target/planted_bugs");
        copy_folder(&project.join("core"), &root.join("core"))?;
        let manifest = fs::read_to_string(project.join("Cargo.toml"))?;
        let (_, shared) = manifest.split_once("[workspace.package]").expect("shared settings");
        let members = "[workspace]\nresolver = \"3\"\nmembers = [\"core\", \"hunt\"]\n";
        let profile = "\n[profile.hunt]\ninherits = \"release\"\nopt-level = 1\nlto = false\n\
                       codegen-units = 16\nincremental = true\n";
        let manifest = format!("{members}\n[workspace.package]{shared}{profile}");
        write(&root.join("Cargo.toml"), &manifest)?;
        fs::copy(project.join("Cargo.lock"), root.join("Cargo.lock"))?;

        let hunt = root.join("hunt");
        let dependencies = ["sfbulk", "bytes", "csv", "http", "serde_json"]
            .map(|name| format!("{name}.workspace = true\n"));
        let manifest = format!(
            "[package]\nname = \"hunt\"\nversion = \"0.0.0\"\nedition.workspace = true\n\n\
             [lib]\nname = \"sfbulk_tests\"\n\n[dependencies]\n{}",
            dependencies.concat()
        );
        write(&hunt.join("Cargo.toml"), &manifest)?;
        write(
            &hunt.join("src/lib.rs"),
            &MODULES.map(|name| format!("pub mod {name};\n")).concat(),
        )?;
        for name in MODULES {
            let text = fs::read_to_string(project.join(format!("tests/src/{name}.rs")))?;
            write(&hunt.join(format!("src/{name}.rs")), &text)?;
        }
        write(&hunt.join("src/main.rs"), include_str!("hunt.rs"))?;
        Ok(Self { root })
    }

    /// What notices the bug, and its words; or why it survived.
    fn try_out(&self, bug: &Bug) -> Result<(String, String), String> {
        let file = self.root.join("core/src").join(bug.file);
        let text = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", bug.file))?;
        if text.matches(bug.right).count() != 1 {
            return Err(format!("what is to be replaced is not in {} once", bug.file));
        }
        let told = write(&file, &text.replace(bug.right, bug.wrong))
            .map_err(|e| e.to_string())
            .and_then(|()| self.hunt());
        write(&file, &text).map_err(|e| e.to_string())?;
        match told?.trim().split_once('\t') {
            Some((noticed, says)) => Ok((noticed.into(), says.chars().take(WIDTH).collect())),
            None => Err("all worlds and the sweep are well".into()),
        }
    }

    /// Builds the variant and lets it run; gives what it printed.
    fn hunt(&self) -> Result<String, String> {
        let cargo = |what: &str| {
            let mut command = Command::new(env!("CARGO"));
            command.current_dir(&self.root).args([what, "--offline", "--quiet", "--profile=hunt"]);
            command
        };
        let built = cargo("build").output().map_err(|e| e.to_string())?;
        if !built.status.success() {
            let why = String::from_utf8_lossy(&built.stderr);
            let why = why.lines().find(|line| line.starts_with("error")).unwrap_or("?").to_owned();
            return Err(format!("it does not build: {why}"));
        }
        let mut child = cargo("run").stdout(Stdio::piped()).spawn().map_err(|e| e.to_string())?;
        let start = Instant::now();
        while child.try_wait().map_err(|e| e.to_string())?.is_none() {
            if start.elapsed() > PATIENCE {
                child.kill().map_err(|e| e.to_string())?;
                return Ok("the clock\tit hangs".into());
            }
            thread::sleep(Duration::from_millis(50));
        }
        let output = child.wait_with_output().map_err(|e| e.to_string())?;
        if !output.status.success() {
            return Err(format!("the hunt itself failed: {}", output.status));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Writes a file unless it is so already: what is unchanged is not built again.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().expect("a folder"))?;
    fs::write(path, text)
}

/// Copies the texts of a folder.
fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            write(&to, &fs::read_to_string(entry.path())?)?;
        }
    }
    Ok(())
}
