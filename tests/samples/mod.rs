//! Reports to test with. What drifted is never made up: two trees are written down, and compared for real.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use driftlock::internals::baseline::OldLock;
use driftlock::internals::compare::{Comparison, DifferenceBudget, Excerpt, Hidden, LINES, compare};
use driftlock::internals::digest::Sha256;
use driftlock::internals::manifest::{
    Attributes, Boundary, Compose, Container, Content, Crossing, Entries, Kind, LockError, Mount, Observed, Record,
    Security, Sha256Digest, Unverified,
};
use driftlock::internals::remote::Head;
use driftlock::internals::report::chain::Previous;
use driftlock::internals::report::seal::{SealReport, Sealed};
use driftlock::internals::report::{
    CheckReport, Error, ErrorKind, HostReport, Outcome, Report, RunInfo, Scope, ServerReport, Window,
};
use driftlock::internals::sandbox::{Enforced, Landlock};

/// A tree, by path.
#[derive(Clone, Debug, Default)]
pub struct Tree(pub BTreeMap<Vec<u8>, Result<Record, Unverified>>);

impl Tree {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn with(mut self, path: impl AsRef<[u8]>, content: Content) -> Self {
        self.0.insert(path.as_ref().to_vec(), Ok(Record { content, attributes: None }));
        self
    }

    pub fn file(self, path: impl AsRef<[u8]>, content: &str) -> Self {
        self.with(path, file(content))
    }

    pub fn dir(self, path: impl AsRef<[u8]>) -> Self {
        self.with(path, Content::Directory { nar: None })
    }

    pub fn link(self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.with(path, Content::Symlink { target: target.as_ref().into() })
    }

    pub fn attributes(mut self, path: &str, attributes: Attributes) -> Self {
        if let Some(Ok(record)) = self.0.get_mut(path.as_bytes()) {
            record.attributes = Some(Box::new(attributes));
        }
        self
    }

    pub fn unverified(mut self, path: impl AsRef<[u8]>, reason: Unverified) -> Self {
        self.0.insert(path.as_ref().to_vec(), Err(reason));
        self
    }
}

struct Stream<'a>(std::collections::btree_map::Iter<'a, Vec<u8>, Result<Record, Unverified>>);

impl Entries for Stream<'_> {
    fn next(&mut self) -> Result<Option<Observed<'_>>, LockError> {
        Ok(self.0.next().map(|(path, state)| Observed { path, state: state.as_ref() }))
    }
}

/// The entries of a tree, as a lock is written from them.
pub fn entries(tree: &Tree) -> impl Entries {
    Stream(tree.0.iter())
}

pub fn compared(locked: &Tree, live: &Tree) -> Comparison {
    compare(&mut DifferenceBudget::unlimited(), &mut Stream(locked.0.iter()), &mut Stream(live.0.iter())).unwrap()
}

pub fn sha256(content: &[u8]) -> Sha256Digest {
    let mut hasher = Sha256::new();
    hasher.update(content);
    hasher.finish()
}

pub fn file(content: &str) -> Content {
    Content::File { executable: false, size: content.len() as u64, sha256: sha256(content.as_bytes()) }
}

pub fn executable(content: &str) -> Content {
    Content::File { executable: true, size: content.len() as u64, sha256: sha256(content.as_bytes()) }
}

pub const DENIED: Unverified = Unverified::Refused { action: "open it", errno: 13 };

pub fn check(name: &str, kind: Kind, root: &str, outcome: Outcome) -> CheckReport {
    CheckReport {
        name: name.to_owned(),
        kind,
        root: root.to_owned(),
        resolved_root: Some(format!("/home/op/{root}")),
        declared_root: None,
        lock: format!("audit/locks/{name}.lock.json"),
        outcome,
        mounts: Vec::new(),
        uncovered: Vec::new(),
        uncovered_is_trouble: false,
        touched: Vec::new(),
        trusted: 0,
        old_lock: None,
    }
}

pub fn outcome(locked: &Tree, live: &Tree) -> Outcome {
    let comparison = compared(locked, live);
    let live: &[u8] = if comparison.counts.drifted == 0 { b"lock" } else { b"live" };
    let live_digest = (comparison.counts.unverified == 0).then(|| sha256(live).sri());
    Outcome::Compared { comparison, digest: Some(sha256(b"lock").sri()), live_digest }
}

pub fn files(locked: &Tree, live: &Tree) -> CheckReport {
    check("compose_hashes", Kind::Files, "infra/stacks", outcome(locked, live))
}

/// A check of files whose report shows the lines that changed, as many as it may, and of some why it does not.
pub fn showing(locked: Tree, live: Tree) -> CheckReport {
    let mut check = files(&locked, &live);
    if let Outcome::Compared { comparison, .. } = &mut check.outcome {
        for (drift, hidden) in comparison.drift.iter_mut().zip(Hidden::ALL.into_iter().cycle()) {
            let line =
                |number: usize| format!("{}{}", ['@', '-', '+', ' ', '\\'][number % 5], "\u{1b}[31m<b>".repeat(40));
            let lines = Excerpt::Lines { lines: (0..LINES).map(line).collect(), left_out: 7 };
            drift.diff = Some(Box::new(if drift.expected.is_some() { lines } else { Excerpt::Hidden(hidden) }));
        }
    }
    check
}

pub fn trees(locked: &Tree, live: &Tree) -> CheckReport {
    check("addon_hashes", Kind::Trees, "odoo_modules/seisei", outcome(locked, live))
}

pub fn report(checks: Vec<CheckReport>) -> Report {
    let run = RunInfo {
        scope: Scope::ThisMachine,
        timestamp: "20260129_153042".to_owned(),
        started: "2026-01-29T15:30:42+09:00".to_owned(),
        previous: None,
        window: None,
        sandbox: Enforced {
            landlock: Some(Landlock { abi: 6, restrictions: vec!["filesystem", "tcp", "scope"] }),
            seccomp: true,
        },
        ground: None,
    };
    let host = HostReport { server: None, seal: None, duration: Duration::from_millis(1234), bytes: 56_789, checks };
    Report { run, hosts: vec![host] }
}

/// The two checks of the seed's examples, without drift.
fn seed_trees() -> (Tree, Tree) {
    let compose = Tree::new()
        .file("edge-traefik/docker-compose.yml", "traefik: 3.1\n")
        .file("odoo18-prod/docker-compose.yml", "odoo: 18\n");
    let addons = Tree::new()
        .dir("custom_ocr_finance")
        .file("custom_ocr_finance/__init__.py", "")
        .file("custom_ocr_finance/ocr.py", "ocr\n")
        .dir("qr_ordering")
        .file("qr_ordering/__init__.py", "")
        .file("qr_ordering/qr.py", "qr\n");
    (compose, addons)
}

pub fn seed_pass() -> Report {
    let (compose, addons) = seed_trees();
    report(vec![files(&compose, &compose), trees(&addons, &addons)])
}

pub fn seed_fail() -> Report {
    let (compose, addons) = seed_trees();
    let live_compose = compose
        .clone()
        .file("edge-traefik/docker-compose.yml", "traefik: 3.2.1\n")
        .file("odoo18-prod/docker-compose.yml", "odoo: 17\n");
    let live_addons =
        addons.clone().file("custom_ocr_finance/ocr.py", "OCR\n").file("qr_ordering/backdoor.py", "import os\n");
    let mut report = report(vec![files(&compose, &live_compose), trees(&addons, &live_addons)]);
    report.run.timestamp = "20260129_154215".to_owned();
    report.run.started = "2026-01-29T15:42:15+09:00".to_owned();
    report
}

pub fn all_attributes(mode: u16, owner: (u32, u32), xattr: &[u8]) -> Attributes {
    let xattrs = vec![
        (b"security.capability".as_slice().into(), xattr.into()),
        (b"user.\xff".as_slice().into(), b"\0".as_slice().into()),
    ];
    Attributes { mode: Some(mode), owner: Some(owner), xattrs: Some(xattrs) }
}

/// Drift of every change, every type, on either side.
pub fn every_change() -> CheckReport {
    let locked = Tree::new()
        .dir("m")
        .file("m/modified", "before")
        .file("m/removed", "gone")
        .file("m/type", "file")
        .dir("m/was_dir")
        .file("m/was_dir/below", "below")
        .file("m/old_name", "the same content")
        .with("m/run", file("#!"))
        .link("m/link", "a")
        .link("m/raw_link", b"\xff")
        .with("m/null", Content::CharDevice { major: 1, minor: 3 })
        .with("m/disk", Content::BlockDevice { major: 8, minor: 0 })
        .with("m/sum", Content::Checksum { sha256: sha256(b"x") })
        .file("m/mode", "mode")
        .attributes("m/mode", all_attributes(0o644, (0, 0), b"1"))
        .file("m/owner", "owner")
        .attributes("m/owner", all_attributes(0o644, (0, 0), b"1"))
        .file("m/xattrs", "xattrs")
        .attributes("m/xattrs", all_attributes(0o644, (0, 0), b"1"))
        .file("m/swap_a", "swap a")
        .file("m/swap_b", "swap b")
        .dir("gone")
        .file("gone/1", "gone 1")
        .dir("gone/2")
        .dir("old_place")
        .file("old_place/empty", "")
        .file("old_place/x", "moves with its directory");
    let live = Tree::new()
        .dir("m")
        .file("m/modified", "after it")
        .link("m/type", "../elsewhere")
        .file("m/was_dir", "now a file")
        .file("m/new_name", "the same content")
        .with("m/run", executable("#!"))
        .link("m/link", "/etc/shadow")
        .link("m/raw_link", b"\xfe")
        .with("m/null", Content::CharDevice { major: 1, minor: 5 })
        .with("m/disk", Content::Fifo)
        .file("m/sum", "y")
        .with("m/socket", Content::Socket)
        .file("m/mode", "mode")
        .attributes("m/mode", all_attributes(0o4755, (0, 0), b"1"))
        .file("m/owner", "owner")
        .attributes("m/owner", all_attributes(0o644, (1000, 100), b"1"))
        .file("m/xattrs", "xattrs")
        .attributes("m/xattrs", all_attributes(0o644, (0, 0), b"2"))
        .file("m/swap_a", "swap b")
        .file("m/swap_b", "swap a")
        .with("new", Content::Directory { nar: Some(sha256(b"nar")) })
        .with("new/run", executable("new"))
        .dir("new_place")
        .file("new_place/empty", "")
        .file("new_place/x", "moves with its directory")
        .file("loose", "loose");
    trees(&locked, &live)
}

/// [`every_change`] under another name.
pub fn every_change_as(name: &str) -> CheckReport {
    CheckReport { name: name.to_owned(), ..every_change() }
}

/// The same of a server that was asked, with what came of it.
pub fn of_server(mut report: Report, trouble: Option<Error>) -> Report {
    let head = Head { driftlock: "0.1.0".to_owned(), landlock: Some(6), seccomp: true };
    let (name, host) = ("web".to_owned(), "web.example.org".to_owned());
    report.run.scope = Scope::OneServer;
    report.hosts[0].server = Some(ServerReport { name, host, head: trouble.is_none().then_some(head), trouble });
    report
}

/// [`of_server`] under another name.
pub fn on(name: impl AsRef<[u8]>, mut report: Report) -> Report {
    report = of_server(report, None);
    if let Some(server) = &mut report.hosts[0].server {
        server.name = String::from_utf8_lossy(name.as_ref()).into_owned();
        server.host.clone_from(&server.name);
    }
    report
}

/// One that could not be asked, for its own reason.
pub fn unreached_on(name: &str) -> Report {
    let mut report = unreached();
    if let Some(server) = &mut report.hosts[0].server {
        name.clone_into(&mut server.name);
        server.trouble = Some(Error::new(
            ErrorKind::Recorded,
            format!("ssh: connect to {name}: Connection refused"),
            "see whether sshd runs",
        ));
    }
    report
}

/// The hosts of several reports in one, of one run.
pub fn fleet(servers: Vec<Report>) -> Report {
    let window = servers.first().and_then(|report| report.run.window.clone());
    let run = RunInfo { scope: Scope::Servers, window, ..seed_pass().run };
    Report { run, hosts: servers.into_iter().flat_map(|report| report.hosts).collect() }
}

/// 200 servers: 30 that drifted alike, 5 that drifted otherwise, 5 that could not be asked.
pub fn large_fleet() -> Report {
    let server = |number: u32| {
        let name = format!("web-{number:03}.example.org");
        match number {
            10..40 => on(name, seed_fail()),
            40..45 => {
                let mut report = seed_fail();
                let (locked, live) = (Tree::new().file("a", "1"), Tree::new().file("a", &format!("{number}")));
                report.hosts[0].checks[0] = files(&locked, &live);
                on(name, report)
            }
            45..50 => unreached_on(&name),
            _ => on(name, seed_pass()),
        }
    };
    fleet((0..200).map(server).collect())
}

/// Reports of several servers of every shape, by name.
pub fn fleets() -> Vec<(&'static str, Report)> {
    let mut bare = on("bare", seed_pass());
    if let Some(head) = bare.hosts[0].server.as_mut().and_then(|server| server.head.as_mut()) {
        (head.landlock, head.seccomp) = (None, false);
    }
    let unlocked = || {
        let mut report = seed_fail();
        report.hosts[0].checks[0].outcome = Outcome::NoLock;
        report
    };
    vec![
        ("clean", fleet(vec![on("a", seed_pass()), on("b", seed_pass())])),
        ("one", fleet(vec![on("a", seed_fail())])),
        ("mixed", fleet(vec![on("a", seed_pass()), on("b", seed_fail()), unreached_on("c"), bare])),
        ("unlocked", fleet(vec![on("a", unlocked()), on("b", unlocked())])),
        ("troubled", fleet(vec![on("a", report(troubled())), on("b", report(troubled()))])),
        ("containers", fleet(vec![on("a", report(vec![containers(), container_files()]))])),
        ("hostile", fleet(HOSTILE.iter().map(|name| on(name, hostile())).collect())),
        ("window", fleet(vec![on("a", in_window()), on("b", seed_pass())])),
        ("continued", after_another(fleet(vec![on("a", seed_pass())]))),
        ("many", fleet((0..4).map(|number| on(number.to_string(), report(vec![many(5000)]))).collect())),
        ("large", large_fleet()),
    ]
}

pub fn unreached() -> Report {
    let (compose, addons) = seed_trees();
    let mut checks = vec![files(&compose, &compose), trees(&addons, &addons)];
    for check in &mut checks {
        check.outcome = Outcome::NotCollected;
        check.resolved_root = None;
    }
    let trouble = Error::new(
        ErrorKind::Recorded,
        "ssh: connect to host web.example.org port 22: Connection refused",
        "see whether sshd runs",
    );
    of_server(report(checks), Some(trouble))
}

/// Names that want to be something else.
pub const HOSTILE: [&[u8]; 13] = [
    b"a\n[PASS] All addon modules match baseline",
    b"\x1b[2J\x1b[1;1H",
    b"\r[PASS] ok",
    b"a;b;",
    b"not\xff\xfeutf8",
    "\u{202e}gpj.exe".as_bytes(),
    "\u{85}\u{2028}\u{feff}".as_bytes(),
    b"\"quote\\x3b\"",
    b"OVERALL: PASS",
    b"\x7f\x08\x08\x9b31m",
    b"<img src=x onerror=alert(1)>",
    b"'\"><svg onload=alert(1)>]]><!--",
    b"`<!channel>` @all *b* _i_ [a](b) ${{ c }}::error::d",
];

pub fn hostile() -> Report {
    let mut live = Tree::new();
    let mut locked = Tree::new();
    for (number, name) in HOSTILE.into_iter().enumerate() {
        live = live.dir(name).link([name, b"/", name].concat(), name).unverified([name, b"/u"].concat(), DENIED);
        locked = locked.file([b"moved_".as_slice(), name].concat(), &format!("moved {number}"));
        live = live.file([name, b"/moved"].concat(), &format!("moved {number}"));
    }
    let mut trees = trees(&locked, &live);
    trees.mounts = HOSTILE.map(|path| Crossing::into(Boundary::FileSystem, path)).to_vec();
    let text = String::from_utf8_lossy(HOSTILE[0]).into_owned();
    trees.root.clone_from(&text);
    let trouble = Error::new(ErrorKind::Recorded, text.clone(), "\u{1b}]0;x\u{7}; or so".to_owned());
    let failed = check(&text, Kind::Files, &text, Outcome::Failed(trouble));
    report(vec![trees, failed, check("a;\u{9b}b_files", Kind::Files, ".", Outcome::NoLock)])
}

/// A report that another one was kept before.
pub fn continued() -> Report {
    after_another(seed_pass())
}

/// A report, with the one that was kept before it.
pub fn after_another(mut report: Report) -> Report {
    let started = "2026-01-28T15:30:42+09:00".to_owned();
    let previous = Previous { report: "20260128_153042_2".to_owned(), started, digest: sha256(b"report") };
    report.run.previous = Some(previous);
    report
}

/// The two checks of the seed's success, while something wrote to what they read.
pub fn touched() -> Report {
    let mut report = seed_pass();
    let Outcome::Compared { .. } = &report.hosts[0].checks[0].outcome else { panic!("it was compared") };
    report.hosts[0].checks[0].touched =
        vec![b"edge-traefik/docker-compose.yml".to_vec(), b"odoo18-prod/not\xffutf8\n".to_vec()];
    report
}

/// The two checks of the seed's failure, after a run that did not read everything.
pub fn trusting() -> Report {
    let mut report = seed_fail();
    report.hosts[0].checks[1].trusted = 3;
    report
}

/// One check for each of the scripts' locks.
pub fn old_locks() -> Report {
    let locked = Tree::new().with("a", Content::Checksum { sha256: sha256(b"a") });
    let mut files = files(&locked, &Tree::new().file("a", "b"));
    let module = |content: &[u8]| Content::Module { sha256: sha256(content) };
    let locked = Tree::new().with("changed", module(b"a")).with("gone", module(b"b")).with("same", module(b"c"));
    let live = Tree::new().with("changed", module(b"x")).dir("new").with("same", module(b"c"));
    let mut modules = trees(&locked, &live);
    let mut images = containers();
    for (check, old) in [
        (&mut files, OldLock::FileHashes),
        (&mut modules, OldLock::ModuleHashes),
        (&mut images, OldLock::ContainerImages),
    ] {
        check.old_lock = Some(old);
        if let Outcome::Compared { digest, .. } = &mut check.outcome {
            *digest = None;
        }
    }
    report(vec![files, modules, images])
}

pub fn many(number: usize) -> CheckReport {
    let (mut locked, mut live) = (Tree::new(), Tree::new());
    for number in 0..number {
        let path = format!("{number:05}/docker-compose.yml");
        locked = locked.file(&path, "before");
        live = live.file(&path, "after");
    }
    files(&locked, &live)
}

pub fn troubled() -> Vec<CheckReport> {
    let locked =
        Tree::new().dir("m").dir("m/d").file("m/d/x", "x").file("m/d/y", "y").file("m/f", "f").file("m/g", "g");
    let live = Tree::new()
        .dir("m")
        .unverified("m/d", DENIED)
        .unverified("m/f", Unverified::Unstable { attempts: 3 })
        .file("m/g", "G");
    let trouble = Error::new(
        ErrorKind::Recorded,
        "the root infra/stacks does not exist",
        "create it, or correct `root` in driftlock.toml",
    );
    let mut unread = trees(&locked, &live);
    unread.mounts = vec![
        Crossing::into(Boundary::FileSystem, "m/mnt"),
        Crossing::into(Boundary::BindMount, "m/same"),
        Crossing::into(Boundary::Subvolume, "m/vol"),
    ];
    let mut failed = check("compose_hashes", Kind::Files, "infra/stacks", Outcome::Failed(trouble));
    failed.resolved_root = None;
    vec![
        unread,
        failed,
        check("unit_files", Kind::Files, "/etc/systemd", Outcome::NoLock),
        check("docker_images", Kind::Files, "x", Outcome::OtherMode),
    ]
}

/// Drift in a maintenance window that is open.
pub fn in_window() -> Report {
    let window = Window::new("2026-01-29T18:00:00+09:00", "<b>Odoo</b> 18.0.7 & *friends*").unwrap();
    let mut report = seed_fail();
    report.run.window = Some(window);
    report
}

/// The seed's report with a seal, and what is not as that says.
pub fn sealed(troubles: Vec<Error>) -> Report {
    let sealed = Sealed {
        serial: 12,
        signer: "ops@example.org,<b>\u{202e}@x".to_owned(),
        key: "ed25519-sk".to_owned(),
        fingerprint: format!("SHA256:{}", "a".repeat(43)),
        declaration: Some("/etc/<b>\u{202e}.toml".to_owned()),
    };
    let mut report = seed_pass();
    let seal = Arc::new(SealReport { sealed: Some(sealed), troubles });
    report.hosts.iter_mut().for_each(|host| host.seal = Some(Arc::clone(&seal)));
    report
}

/// A report of every shape, by name.
fn container(change: impl FnOnce(&mut Container)) -> Content {
    let text = |text: &str| Box::<str>::from(text);
    let mut container = Container {
        image: text("traefik:v3.1"),
        image_id: Some(sha256(b"image")),
        repo_digests: vec![text("traefik@sha256:1")],
        state: Some(text("running")),
        mounts: Some(vec![
            Mount { destination: text("/a"), kind: text("volume"), source: None, read_only: false },
            Mount { destination: text("/b"), kind: text("bind"), source: Some(text("/srv/b")), read_only: true },
        ]),
        networks: Some(vec![text("edge")]),
        ports: Some(vec![text("80->80/tcp")]),
        labels: Some(vec![(text("a"), sha256(b"1"))]),
        env: Some(vec![text("A")]),
        security: Some(Box::new(Security {
            privileged: false,
            cap_add: Vec::new(),
            cap_drop: vec![text("NET_RAW")],
            user: text("1000"),
            pid_mode: text(""),
            ipc_mode: text("private"),
            userns_mode: text(""),
            security_opt: vec![text("no-new-privileges")],
            devices: Vec::new(),
            read_only_root: true,
            restart: text("always"),
        })),
        compose: Some(Box::new(Compose {
            project: text("shop"),
            service: text("web"),
            config_hash: sha256(b"web").hex().into(),
        })),
    };
    change(&mut container);
    Content::Container(Box::new(container))
}

/// Containers: every change that there is of one, and the image of a hostile engine.
pub fn containers() -> CheckReport {
    type Change = fn(&mut Container);
    let changes: [(&str, Change); 13] = [
        ("compose", |container| {
            if let Some(compose) = &mut container.compose {
                (compose.service, compose.config_hash) = ("db\u{1b}".into(), sha256(b"db").hex().into());
            }
        }),
        ("digests", |container| container.repo_digests = vec!["traefik@sha256:2".into()]),
        ("env", |container| container.env = Some(vec!["A".into(), "B".into()])),
        ("image", |container| (container.image, container.image_id) = ("traefik:v3.2".into(), Some(sha256(b"other")))),
        ("labels", |container| container.labels = Some(vec![("a".into(), sha256(b"2"))])),
        ("mounts", |container| {
            if let Some([_, bind]) = container.mounts.as_deref_mut() {
                bind.read_only = false;
            }
        }),
        ("networks", |container| container.networks = Some(vec!["host".into()])),
        ("ports", |container| container.ports = Some(Vec::new())),
        ("rebuilt", |container| container.image_id = Some(sha256(b"rebuilt"))),
        ("rootless", |container| (container.image, container.image_id) = ("".into(), None)),
        ("same", |_| ()),
        ("security", |container| {
            if let Some(security) = &mut container.security {
                security.privileged = true;
                (security.user, security.pid_mode) = ("".into(), "host\u{1b}".into());
                (security.cap_add, security.cap_drop) = (vec!["SYS_ADMIN".into()], Vec::new());
                (security.security_opt, security.devices) = (Vec::new(), vec!["/dev/mem:/dev/mem:rwm".into()]);
                (security.read_only_root, security.restart) = (false, "no".into());
            }
        }),
        ("state", |container| container.state = Some("exited".into())),
    ];
    let (mut locked, mut live) = (Tree::new(), Tree::new());
    for (name, change) in changes {
        locked = locked.with(name, container(|_| ()));
        live = live.with(name, container(change));
    }
    let locked = locked.with("gone", container(|_| ()));
    let live = live.with("new", container(|container| container.image = "\n[PASS] \u{1b}[31m\u{202e};".into()));
    check("docker_images", Kind::Containers, "", outcome(&locked, &live))
}

/// Files in a container.
pub fn container_files() -> CheckReport {
    let locked = Tree::new().file("conf.d/a.conf", "a").file("nginx.conf", "before");
    let live = Tree::new().file("conf.d/a.conf", "a").file("nginx.conf", "after");
    let mut check = check("nginx_conf", Kind::ContainerFiles, "nginx:/etc/nginx", outcome(&locked, &live));
    check.resolved_root = None;
    check
}

pub fn all() -> Vec<(&'static str, Report)> {
    let mut bare = report(troubled());
    bare.run.sandbox = Enforced { landlock: None, seccomp: false };
    let sum_only = Tree::new().with("a", Content::Checksum { sha256: sha256(b"a") });
    let mut text_lock = files(&sum_only, &Tree::new().file("b", "b"));
    if let Outcome::Compared { digest, .. } = &mut text_lock.outcome {
        *digest = None;
    }
    let trouble = |problem: &str| Error::new(ErrorKind::Recorded, problem, "review it; restore it from git");
    let refused =
        SealReport { sealed: None, troubles: vec![trouble("there is no seal: locks/driftlock.seal is missing")] };
    let mut unsealed = seed_fail();
    unsealed.hosts[0].seal = Some(Arc::new(refused));
    vec![
        ("clean", seed_pass()),
        ("seed", seed_fail()),
        ("empty", report(Vec::new())),
        ("changes shown", report(vec![showing(Tree::new().file("a", "a"), Tree::new().file("a", "b").file("c", "c"))])),
        ("trusting", trusting()),
        ("touched", touched()),
        ("every_change", report(vec![every_change()])),
        ("troubled", report(troubled())),
        ("bare", bare),
        ("skipped", report(troubled().into_iter().skip(3).collect())),
        ("text_lock", report(vec![text_lock])),
        ("old_locks", old_locks()),
        ("containers", report(vec![containers(), container_files()])),
        ("hostile", hostile()),
        ("window", in_window()),
        ("continued", continued()),
        ("server", of_server(seed_fail(), None)),
        ("unreached", unreached()),
        ("many", report(vec![many(5000)])),
        ("sealed", sealed(Vec::new())),
        (
            "sealed otherwise",
            sealed(vec![trouble("the lock a;b is not in the seal"), trouble("the lock c was sealed, and is missing")]),
        ),
        ("without a seal", unsealed),
    ]
}

pub fn json(report: &Report) -> Vec<u8> {
    let mut out = Vec::new();
    driftlock::internals::report::json::write(&mut out, report).unwrap();
    out
}
