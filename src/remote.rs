//! Collects the same manifests on a server: the protocol, and both sides of it.
//!
//! The client sends one line ([`request`]): a declaration as JSON, with only the checks, and with the roots on the
//! server. On the server, `driftlock collect` validates it like every declaration, opens the roots, enters the sandbox,
//! walks, and responds ([`encode`]) with lines of JSON:
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
//! It sends `{"failed":{"problem":"…","remedy":"…"}}` instead of a part that it can't send. Entries and unverified
//! entries are sorted by path together.
//!
//! For an export, modules have their `nar`. After the checks comes the inventory of each engine, in the order of its
//! first mention in the request. The final count includes these:
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
//! After an answer that is not an export, the client may send a second request. It lists entries of the answer, in the
//! order of the checks and of paths, and requests the contents of files, which `collect --contents` must allow, or only
//! their status. The answer:
//!
//! ```text
//! {"further":[{"check":"compose_hashes","path":"web/docker-compose.yml","contents":true},{"check":"…","path_base64":"…","contents":false}]}
//!
//! {"further":0,"live":{"mtime":1764262212,"uid":0,"gid":0},"base64":"…"}       each, by its place in the request
//! {"further":1,"live":null}                                                    or with `"failed":"…"` for the contents
//! {"done":2}
//! ```
//!
//! No answer is trusted ([`Answer`]): the server may be compromised. The sizes of lines and answers are limited. Every
//! line must be in canonical form, the order and the names must be those of the request, and an incomplete answer
//! counts as none. No client can detect a server that lies consistently: it can always send what the lock says.

pub mod connection;
mod decode;
pub mod encode;
mod error;
pub mod followup;
mod inventory;
pub mod push;
pub mod request;
pub mod ssh;

pub use decode::{Answer, CheckEntries, CheckExtras, Head};
pub use error::AnswerError;

/// The version of the protocol. It changes with the form of a request or an answer.
pub const PROTOCOL: u64 = 5;

/// The longest line of either side, in bytes: the limit of an entry in a lock.
const LINE_LIMIT: u64 = 16 << 20;
