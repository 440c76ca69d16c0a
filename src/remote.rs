//! The same manifests, collected on a server: what is said over the connection, and how the answer is read.
//!
//! The side of the operator writes one line ([`request`]): a declaration as JSON, of the checks alone, with the roots as
//! they lie on the server. `driftlock collect` on the server checks it as every declaration, opens the roots, enters the
//! sandbox, walks, and answers ([`answer`]) in lines of JSON:
//!
//! ```text
//! {"driftlock_collect":5,"driftlock":"0.1.0","landlock":6,"seccomp":true}       first, once the sandbox holds
//! {"progress":{"entries":0,"bytes":0}}                                          every two seconds while it walks, and then
//! {"check":"compose_hashes","resolved_root":"/srv/stacks","failed":null}        each check, in the order of the request
//! {"mount":"path","what":"file_system"} or {"mount_base64":"…",…}                where another mount or file system begins
//! {"uncovered":{"glob":"*.cnf","list":"include"}}                               what lies on the way and is not looked at
//! {"uncovered":{"path":"current","target":"/opt/web"}}
//! {"touched":"path"} or {"touched_base64":"…"}                                 what was touched while it was read
//! {"path":"web/docker-compose.yml","type":"file",…}                             an entry line as a lock has it
//! {"unverified":"could not open it: …","cause":"permission","path":"secret"}    an entry that could not be read
//! {"unverified":null,"cause":"absent","path":"traefik"}                         a container that is declared and not there
//! {"end":"compose_hashes","lines":2,"digest":"sha256-…"}                        over the lines of this check
//! {"done":1}                                                                    how many of these there were; then nothing
//! ```
//!
//! or with `{"failed":{"problem":"…","remedy":"…"}}` instead of what it can't give. Entries and unverified entries share
//! the one order of paths.
//!
//! Where an export is asked for, modules have their `nar`, and behind the checks comes what else each of their engines
//! has, in the order in which the request names them first, before the end counts these too:
//!
//! ```text
//! {"engine":"/var/run/docker.sock","failed":null}
//! {"path":"web","type":"container",…}                                           all containers, with all attributes
//! {"image":{"id":"sha256:…","repo_tags":["web:1"],"repo_digests":[]}}           images, then networks, then volumes, sorted
//! {"network":{…}}
//! {"volume":{…}}
//! {"end":"/var/run/docker.sock","lines":4,"digest":"sha256-…"}
//! ```
//!
//! Behind an answer that is no export, there may be a second request: a line that names entries of it, in the order of the checks
//! and of paths, and wants contents of files, which `collect --contents` has to allow, or the status alone. The answer to that:
//!
//! ```text
//! {"further":[{"check":"compose_hashes","path":"web/docker-compose.yml","contents":true},{"check":"…","path_base64":"…","contents":false}]}
//!
//! {"further":0,"live":{"mtime":1764262212,"uid":0,"gid":0},"base64":"…"}       each, by its place in the request
//! {"further":1,"live":null}                                                    or with `"failed":"…"` for the contents
//! {"done":2}
//! ```
//!
//! Nothing of an answer is believed ([`Answer`]): it may come from a server that was taken over. Lines and the whole are
//! bounded, every line is in the one form that it can have, order and names are those that were asked for, and an answer
//! that is not whole is none. What no reader can see is a server that lies well: it can always say what the lock says.

pub mod answer;
pub mod connection;
mod error;
pub mod further;
mod inventory;
pub mod push;
mod read;
pub mod request;
pub mod ssh;

pub use error::AnswerError;
pub use read::{Answer, Beside, Collected, Head};

/// The version of what is said over the connection. It changes with the form of request or answer.
pub const PROTOCOL: u64 = 5;

/// The longest line of either side, in bytes: that of an entry in a lock.
const LINE_LIMIT: u64 = 16 << 20;
