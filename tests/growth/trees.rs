//! Trees in which each field is as bad as it gets, for a number of bytes.

use driftlock::internals::manifest::{Attributes, Container, Content, Kind, Mount, Unverified};

use crate::samples::{DENIED, Tree, executable, file, sha256};

/// What a lock has, and what is there.
pub struct Pair {
    pub kind: Kind,
    pub locked: Tree,
    pub live: Tree,
}

pub type Make = fn(usize) -> Pair;

/// By name.
pub const WORST: &[(&str, Make)] = &[
    ("a-long-path-is-new", |size| trees(Tree::new(), Tree::new().file(long(size), "new"))),
    ("a-long-path-is-gone", |size| trees(Tree::new().file(long(size), "gone"), Tree::new())),
    ("a-long-path-is-modified", |size| {
        trees(Tree::new().file(long(size), "before"), Tree::new().file(long(size), "after"))
    }),
    ("a-long-path-has-moved", |size| {
        let (before, after) = ([b"a/", &*long(size / 2)].concat(), [b"b/", &*long(size / 2)].concat());
        trees(Tree::new().file(before, "moves"), Tree::new().file(after, "moves"))
    }),
    ("a-long-path-is-unread", |size| {
        trees(Tree::new().file(long(size), "x"), Tree::new().unverified(long(size), DENIED))
    }),
    ("directories-in-directories-are-new", |size| trees(Tree::new(), chain(size))),
    ("directories-in-directories-are-gone", |size| trees(chain(size), Tree::new())),
    ("directories-in-directories-have-moved", |size| {
        trees(below(b"before", &chain(size / 2)), below(b"after", &chain(size / 2)))
    }),
    ("directories-and-what-is-beside-them", beside_directories),
    ("directories-that-were-not-read", not_read),
    ("entries-below-what-was-not-read", below_not_read),
    ("many-files-are-modified", |size| trees(many(size, "before"), many(size, "after"))),
    ("many-files-are-new-beside-each-other", |size| {
        let new = (0..size / 150).fold(Tree::new(), |tree, number| tree.file(format!("m/{number}"), "new"));
        Pair { kind: Kind::Files, locked: Tree::new(), live: new }
    }),
    ("many-files-have-moved", |size| {
        let of = |directory: &str| {
            let moved = |tree: Tree, number| tree.file(format!("{directory}/{number}"), &format!("content {number}"));
            (0..size / 300).fold(Tree::new().dir(directory), moved)
        };
        trees(of("before"), of("after"))
    }),
    ("many-modules-with-one-change-each", |size| {
        let of = |content: &str| {
            (0..size / 200).fold(Tree::new(), |tree, number| {
                let name = format!("module{number}");
                tree.dir(&name).file(format!("{name}/file"), content)
            })
        };
        trees(of("before"), of("after"))
    }),
    ("many-files-have-swapped", |size| {
        let of = |other: usize| {
            let swapped =
                |tree: Tree, number: usize| tree.file(format!("m/{number:06}"), &format!("{}", number ^ other));
            (0..size / 400 * 2).fold(Tree::new().dir("m"), swapped)
        };
        trees(of(0), of(1))
    }),
    ("many-files-are-alike", |size| trees(many(size, "one"), below(b"elsewhere", &many(size, "one")))),
    ("many-are-unread", |size| {
        let unread = |tree: Tree, number| tree.unverified(format!("m/{number}"), Unverified::Unstable { attempts: 3 });
        trees(many(size, "x"), (0..size / 150).fold(Tree::new().dir("m"), unread))
    }),
    ("names-of-hazards", |size| {
        let of = |content: &str| {
            (0..size / 600)
                .fold(Tree::new(), |tree, number| tree.file("\u{1b}".repeat(50) + &number.to_string(), content))
        };
        trees(of("before"), of("after"))
    }),
    ("names-of-number-signs-and-colons", |size| {
        let of = |content: &str| {
            (0..size / 300)
                .fold(Tree::new(), |tree, number| tree.file(format!(" {}{number}", "#::".repeat(16)), content))
        };
        trees(of("before"), of("after"))
    }),
    ("names-that-are-not-utf8", |size| {
        let of = |content: &str| {
            (0..size / 300).fold(Tree::new(), |tree, number| {
                tree.file([&[0xff; 50][..], number.to_string().as_bytes()].concat(), content)
            })
        };
        trees(of("before"), of("after"))
    }),
    ("long-targets", |size| {
        trees(Tree::new().link("link", "a".repeat(size / 2)), Tree::new().link("link", "b".repeat(size / 2)))
    }),
    ("many-xattrs-have-changed", |size| xattrs(size / 60, "a", "a", b"1", b"2")),
    ("many-xattrs-are-others", |size| xattrs(size / 60, "a", "b", b"1", b"1")),
    ("many-labels-have-changed", |size| containers(size / 160, "a", "a", b"1", b"2")),
    ("many-labels-are-others", |size| containers(size / 160, "a", "b", b"1", b"1")),
    ("many-lists-have-changed", |size| lists(size / 170)),
    ("many-mounts-at-one-place", |size| {
        let of = |source: &str| {
            let mount = |number: usize| Mount {
                destination: "/data".into(),
                kind: "bind".into(),
                source: Some(format!("/{source}/{number:06}").into()),
                read_only: false,
            };
            container(Container { mounts: Some((0..size / 120).map(mount).collect()), ..bare() })
        };
        Pair {
            kind: Kind::Containers,
            locked: Tree::new().with("web", of("a")),
            live: Tree::new().with("web", of("b")),
        }
    }),
    ("executable-bits", |size| {
        let of = |content: fn(&str) -> Content| {
            (0..size / 250).fold(Tree::new().dir("m"), |tree, number| tree.with(format!("m/{number}"), content("x")))
        };
        trees(of(file), of(executable))
    }),
];

fn trees(locked: Tree, live: Tree) -> Pair {
    Pair { kind: Kind::Trees, locked, live }
}

/// A path of so many bytes, with as many names in it as it can have.
pub fn long(size: usize) -> Vec<u8> {
    let mut path = b"a/".repeat(size / 2);
    path.push(b'z');
    path
}

/// Directories in directories whose paths take so many bytes together.
fn chain(size: usize) -> Tree {
    const NAME: usize = 8;
    let mut tree = Tree::new();
    let mut path = Vec::new();
    let mut left = size;
    while left > path.len() + NAME {
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(&[b'd'; NAME]);
        left -= path.len();
        tree = tree.dir(&path);
    }
    tree.file([&path[..], b"/file"].concat(), "at the end")
}

/// Directories that begin with the names of others, so that what is below them does not follow them at once.
fn beside_directories(size: usize) -> Pair {
    let (mut locked, mut live) = (Tree::new(), Tree::new());
    let mut name = String::from("d");
    let mut left = size;
    while left > 2 * name.len() {
        left -= 2 * name.len();
        locked = locked.dir(&name);
        live = live.dir(&name).file(format!("{name}/z"), "new");
        name.push('-');
    }
    trees(locked, live)
}

/// The same, of directories that can't be read and of which a lock has entries.
fn not_read(size: usize) -> Pair {
    let (mut locked, mut live) = (Tree::new(), Tree::new());
    let mut name = String::from("d");
    let mut left = size;
    while left > 3 * name.len() {
        left -= 3 * name.len();
        locked = locked.dir(&name).file(format!("{name}/z"), "x");
        live = live.unverified(&name, DENIED);
        name.push('-');
    }
    trees(locked, live)
}

/// A directory far down that can't be read, and what a lock has below it.
fn below_not_read(size: usize) -> Pair {
    let directory = long(size / 60);
    let (mut locked, mut live) = (Tree::new(), Tree::new());
    for number in 0..25 {
        locked = locked.file([&directory[..], format!("/{number:03}").as_bytes()].concat(), "x");
    }
    live = live.unverified(&directory, DENIED);
    locked = locked.dir(&directory);
    trees(locked, live)
}

fn many(size: usize, content: &str) -> Tree {
    (0..size / 150).fold(Tree::new().dir("m"), |tree, number| tree.file(format!("m/{number}"), content))
}

fn below(directory: &[u8], tree: &Tree) -> Tree {
    let moved = tree.0.iter().map(|(path, found)| ([directory, b"/", path].concat(), found.clone()));
    Tree(moved.collect()).dir(directory)
}

fn xattrs(number: usize, before: &str, after: &str, was: &[u8], is: &[u8]) -> Pair {
    let of = |name: &str, value: &[u8]| {
        let xattrs = (0..number).map(|number| (format!("user.{number:06}{name}").into_bytes().into(), value.into()));
        let attributes = Attributes { xattrs: Some(xattrs.collect()), ..Attributes::default() };
        Tree::new().file("file", "x").attributes("file", attributes)
    };
    trees(of(before, was), of(after, is))
}

pub fn bare() -> Container {
    Container::of_image("web:1".into(), Some(sha256(b"image")))
}

fn container(container: Container) -> Content {
    Content::Container(Box::new(container))
}

fn containers(number: usize, before: &str, after: &str, was: &[u8], is: &[u8]) -> Pair {
    let of = |name: &str, value: &[u8]| {
        let label = |number: usize| (format!("{number:06}{name}").into(), sha256(value));
        container(Container { labels: Some((0..number).map(label).collect()), ..bare() })
    };
    let (locked, live) = (Tree::new().with("web", of(before, was)), Tree::new().with("web", of(after, is)));
    Pair { kind: Kind::Containers, locked, live }
}

fn lists(number: usize) -> Pair {
    let of = |name: &str| {
        let all = |what: &str| (0..number).map(|number| format!("{what}{number:06}{name}").into()).collect::<Vec<_>>();
        let mount = |number: usize| Mount {
            destination: format!("/{number:06}").into(),
            kind: "bind".into(),
            source: Some(format!("/srv/{name}").into()),
            read_only: false,
        };
        container(Container {
            repo_digests: all("digest"),
            mounts: Some((0..number).map(mount).collect()),
            networks: Some(all("network")),
            ports: Some(all("port")),
            env: Some(all("VARIABLE")),
            ..bare()
        })
    };
    let (locked, live) = (Tree::new().with("web", of("a")), Tree::new().with("web", of("b")));
    Pair { kind: Kind::Containers, locked, live }
}
