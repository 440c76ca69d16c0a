//! A signed release, and what installs and runs it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::{BINARY, REPOSITORY, directory};

/// A release on a web server, the tree of that version with the key that signed it, and the two examples.
pub struct Scene {
    folder: TempDir,
    server: Child,
    releases: String,
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Scene {
    pub fn new() -> Self {
        let folder = directory();
        let path = |relative: &str| folder.path().join(relative);
        for directory in ["tree/scripts", "tree/packaging", "released", "runner", "bin"] {
            fs::create_dir_all(path(directory)).unwrap();
        }
        for file in ["scripts/install-release", "scripts/release", "action.yml", "Cargo.toml"] {
            fs::copy(Path::new(REPOSITORY).join(file), path("tree").join(file)).unwrap();
        }
        let mut python = Command::new("python3");
        python.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"]).arg(path("released"));
        let mut server = python.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.split("port ").nth(1).unwrap_or_else(|| panic!("{line}")).split(' ').next().unwrap();
        let scene = Self { releases: format!("http://127.0.0.1:{port}"), folder, server };
        scene.bash("ssh-keygen -q -t ed25519 -N '' -f key && ssh-keygen -q -t ed25519 -N '' -f other", 0);
        scene.allow("key");
        for example in ["odoo-stack", "odoo-stack-drifted"] {
            scene.bash(&format!("cp -r {REPOSITORY}/examples/{example} {example}; rm -rf {example}/audit/runtime"), 0);
        }
        let name = format!("driftlock-{}-$(uname -m)-unknown-linux-musl", env!("CARGO_PKG_VERSION"));
        let to = scene.release();
        scene.bash(
            &format!(
                "mkdir -p {name} {to} && cp {BINARY} {name}/driftlock && tar -cf - {name} | gzip -1 >{to}/{name}.tar.gz"
            ),
            0,
        );
        scene
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// The folder of the release on the server.
    pub fn release(&self) -> String {
        format!("released/v{}", env!("CARGO_PKG_VERSION"))
    }

    /// Lists the key as the one that signs releases.
    pub fn allow(&self, key: &str) {
        let public = fs::read_to_string(self.path(&format!("{key}.pub"))).unwrap();
        let line = format!("release@driftlock namespaces=\"driftlock-release\" {public}");
        fs::write(self.path("tree/packaging/allowed_signers"), line).unwrap();
    }

    /// Runs a script, with nothing of the tester's environment but the path.
    pub fn bash_with(&self, script: &str, folder: &str, variables: &[(&str, &str)]) -> Output {
        let mut bash = Command::new("bash");
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script])
            .current_dir(self.path(folder))
            .env_clear();
        bash.env("PATH", path).env("HOME", self.folder.path()).env("no_proxy", "*").env("RELEASES", &self.releases);
        bash.env("RUNNER_TEMP", self.path("runner")).env("GITHUB_ACTION_PATH", self.path("tree"));
        bash.envs(variables.iter().copied()).stdin(Stdio::null()).output().unwrap()
    }

    pub fn bash(&self, script: &str, code: i32) -> String {
        let output = self.bash_with(script, ".", &[]);
        assert_eq!(output.status.code(), Some(code), "{script}: {output:?}");
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    pub fn sign(&self) {
        self.bash(&format!("tree/scripts/release sign {} key", self.release()), 0);
    }

    /// A step of the action, with the inputs in the places of their expressions.
    pub fn step(&self, step: &Value, folder: &str, inputs: &BTreeMap<String, String>) -> Output {
        let script = step["run"].as_str().unwrap();
        assert!(!script.contains("${{"), "an input would be a part of the script: {script}");
        assert_eq!(step["shell"], "bash");
        let none = serde_json::Map::new();
        let environment = step["env"].as_object().unwrap_or(&none).iter().map(|(name, value)| {
            let expression = value.as_str().unwrap();
            let input = expression.strip_prefix("${{ inputs.").and_then(|rest| rest.strip_suffix(" }}"));
            (name.as_str(), inputs[input.unwrap_or_else(|| panic!("{expression}"))].as_str())
        });
        self.bash_with(script, folder, &environment.collect::<Vec<_>>())
    }
}
