//! A run as the kernel sees it.

use std::fs;
use std::path::Path;

use crate::scene::{Layers, Scene, is_root, said};
use crate::working::THREADS;

/// What must not be asked for once inside, refused or not.
const NEVER: [&str; 15] = [
    "execve", "execveat", "fork", "vfork", "socket", "connect", "bind", "sendto", "ptrace", "kill", "mount", "unlink",
    "unlinkat", "chmod", "open",
];

pub fn only_what_was_granted_is_called_for() {
    for unprivileged in [false, is_root()] {
        let scene = Scene::new(unprivileged);
        let trace = scene.place().join("trace");
        let options = ["-y", "-o", trace.to_str().expect("a name in UTF-8")];
        assert_eq!(said(scene.traced(&options, "working:both", Layers::All)), "ok");
        let trace = fs::read_to_string(trace).expect("a trace");
        check(&trace, scene.place());
    }
}

fn check(trace: &str, place: &Path) {
    let calls: Vec<_> = trace.lines().filter_map(call).collect();
    let last = |wanted: &str| {
        calls.iter().rposition(|(name, rest)| *name == wanted && rest.ends_with(" = 0")).expect("a call that succeeded")
    };
    let entered = last("seccomp");
    assert!(last("landlock_restrict_self") < entered);

    let threads = |calls: &[(&str, &str)]| calls.iter().filter(|(name, _)| name.starts_with("clone")).count();
    assert_eq!(threads(&calls[..entered]), 0, "a thread or a process was started before");

    let granted = ["root", "out"].map(|name| place.join(name).display().to_string());
    let mut opened = 0;
    let mut started = 0;
    for (name, rest) in &calls[entered + 1..] {
        assert!(!NEVER.contains(name), "{name}({rest}");
        // Nothing that the run asks for is refused and survived by luck, or by a library's slower way.
        assert!(!rest.contains("= -1 EPERM"), "{name}({rest}");
        match *name {
            "openat" | "openat2" => {
                let (from, path) = rest.split_once(", ").expect("two arguments");
                let from = from.split_once('<').and_then(|(_, path)| path.strip_suffix('>')).expect("a handle");
                let path = path.strip_prefix('"').expect("a path");
                assert!(granted.iter().any(|root| Path::new(from).starts_with(root)), "{name}({rest}");
                assert!(!path.starts_with(['/']) && !path.starts_with(".."), "{name}({rest}");
                opened += 1;
            }
            "clone" => {
                assert!(rest.contains("CLONE_THREAD"), "{name}({rest}");
                started += 1;
            }
            "clone3" => assert!(rest.contains("ENOSYS") || rest.contains("unfinished"), "{name}({rest}"),
            _ => {}
        }
    }
    assert_eq!(started, THREADS);
    assert!(opened >= THREADS, "{opened}");
}

/// The name of a call and the rest of its line.
fn call(line: &str) -> Option<(&str, &str)> {
    let (_, call) = line.split_once(' ')?;
    let (name, rest) = call.trim_start().split_once('(')?;
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then_some((name, rest))
}
