//! What a container engine answers over its socket: HTTP, JSON and archives.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use driftlock::internals::container::{
    ALL_ATTRIBUTES, ContainerFilter, EngineError, Files, TIMEOUTS, containers, files,
};
use driftlock::internals::declaration::Selection;
use driftlock::internals::manifest::{AttributeSet, List};

use crate::{Case, Input};

const ID: &str = "1def0e5e177c719cb7ec448fb2d140ba8f2e35cb93e77059f858820a1862a119";
const IMAGE: &str = "sha256:2f61006af360f7a1f3aadd7ebf198de8b4428d9bc44a2ddbb94786d5fc1dcf3c";

/// What is said of the one container.
#[derive(Default)]
struct Said {
    config: String,
    host: String,
    mounts: String,
    networks: String,
    digests: String,
    archive: Vec<u8>,
    /// How many bytes a chunk of the archive has.
    chunk: usize,
}

impl Said {
    fn inspected(&self) -> String {
        let Self { config, host, mounts, networks, .. } = self;
        format!(
            r#"{{"Id":"{ID}","Name":"/web","Image":"{IMAGE}","State":{{"Status":"running"}},"Config":{{"Image":"web:1"{config}}},"HostConfig":{{"NetworkMode":"default"{host}}},"Mounts":[{mounts}],"NetworkSettings":{{"Networks":{{{networks}}}}}}}"#
        )
    }

    fn bytes(&self) -> usize {
        self.inspected().len() + self.digests.len() + self.archive.len()
    }

    fn answer(&self, target: &str) -> Vec<u8> {
        let body = match target {
            "/version" => r#"{"ApiVersion":"1.41","MinAPIVersion":"1.12"}"#.to_owned(),
            "/v1.41/containers/json?all=1" => format!(r#"[{{"Id":"{ID}","Names":["/web"]}}]"#),
            _ if target.contains("/archive?") => return self.chunks(),
            _ if target.starts_with("/v1.41/containers/") => self.inspected(),
            _ => format!(r#"{{"RepoDigests":[{}]}}"#, self.digests),
        };
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    fn chunks(&self) -> Vec<u8> {
        // `{"mode":2147484141}`: a directory.
        let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\
            X-Docker-Container-Path-Stat: eyJtb2RlIjoyMTQ3NDg0MTQxfQ==\r\n\r\n"
            .to_vec();
        for chunk in self.archive.chunks(self.chunk.max(1)) {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        bytes
    }

    /// Answers in another thread. Its work is counted too, and grows as the answers do.
    fn asked(self, ask: impl FnOnce(&UnixStream) -> Result<List, EngineError>) -> usize {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut input = BufReader::new(&theirs);
                let mut line = String::new();
                while matches!(input.read_line(&mut line), Ok(1..)) {
                    if let Some(target) = line.strip_prefix("GET ").and_then(|rest| rest.split(' ').next()) {
                        // The client may have closed the connection.
                        let _ = (&theirs).write_all(&self.answer(target));
                    }
                    line.clear();
                }
            });
            let found = ask(&ours);
            drop(ours);
            found.map_or_else(|error| error.to_string().len(), |_| 0)
        })
    }
}

fn list(number: usize, item: impl Fn(usize) -> String) -> String {
    (0..number).map(item).collect::<Vec<_>>().join(",")
}

pub fn cases() -> Vec<Case> {
    let of_containers: [(&str, fn(usize) -> Said); 9] = [
        ("many-labels", |size| {
            let labels = list(size / 20, |number| format!("\"label{number}\":\"x\""));
            Said { config: format!(",\"Labels\":{{{labels}}}"), ..Said::default() }
        }),
        ("many-variables", |size| Said {
            config: format!(",\"Env\":[{}]", list(size / 20, |number| format!("\"VARIABLE{number}=x\""))),
            ..Said::default()
        }),
        ("many-ports", |size| {
            let ports = list(size / 70, |number| {
                format!("\"{number}/tcp\":[{{\"HostIp\":\"::1\",\"HostPort\":\"{number}\"}}]")
            });
            Said { host: format!(",\"PortBindings\":{{{ports}}}"), ..Said::default() }
        }),
        ("many-mounts", |size| {
            let mount =
                |number| format!("{{\"Type\":\"bind\",\"Source\":\"/s\",\"Destination\":\"/{number}\",\"RW\":true}}");
            Said { mounts: list(size / 65, mount), ..Said::default() }
        }),
        ("many-mounts-and-many-in-memory", |size| {
            let mount =
                |number| format!("{{\"Type\":\"bind\",\"Source\":\"/s\",\"Destination\":\"/{number}\",\"RW\":true}}");
            let memory = list(size / 40, |number| format!("\"/tmp/{number}\":\"\""));
            Said { mounts: list(size / 130, mount), host: format!(",\"Tmpfs\":{{{memory}}}"), ..Said::default() }
        }),
        ("many-networks", |size| Said {
            networks: list(size / 20, |number| format!("\"network{number}\":{{}}")),
            ..Said::default()
        }),
        ("many-digests", |size| Said {
            digests: list(size / 20, |number| format!("\"web@{number}\"")),
            ..Said::default()
        }),
        ("a-long-variable", |size| Said {
            config: format!(",\"Env\":[\"A={}\"]", "=".repeat(size)),
            ..Said::default()
        }),
        ("a-wrong-answer", |size| Said {
            config: format!(",\"Env\":[{}1]", "\"A\",".repeat(size / 4)),
            ..Said::default()
        }),
    ];
    let of_containers = of_containers.into_iter().map(|(name, make)| {
        Case::new(format!("engine/containers/{name}"), move |size| {
            let said = make(size);
            let bytes = said.bytes();
            let everything = Selection::everything();
            let all = move |socket: &UnixStream| {
                containers(socket.as_fd(), ContainerFilter::all(&everything), ALL_ATTRIBUTES, TIMEOUTS)
                    .map(|(list, _)| list)
            };
            let work = move || said.asked(all);
            Input::to("read", bytes, work)
        })
    });
    let many = |size: usize| archive((0..size / 512).map(|number| entry(&format!("{number}"), b'0', "", b"")));
    let archives: [(&str, Vec<u8>, fn(usize) -> Vec<u8>, usize); 9] = [
        ("many-files", Vec::new(), many, 32 << 10),
        ("many-files-in-small-chunks", Vec::new(), many, 1),
        (
            "many-directories",
            Vec::new(),
            |size| archive((0..size / 512).map(|number| entry(&format!("{number}/"), b'5', "", b""))),
            4096,
        ),
        (
            "many-links-to-one-file",
            Vec::new(),
            |size| {
                let links = (0..size / 512).map(|number| entry(&format!("b{number}"), b'1', "a", b""));
                archive([entry("a", b'0', "", b"x")].into_iter().chain(links))
            },
            4096,
        ),
        ("a-long-path", Vec::new(), |size| archive([long(size), entry("x", b'0', "", b"")]), 4096),
        (
            "a-long-path-that-may-be-excluded",
            b"**/q".to_vec(),
            |size| archive([long(size), entry("x", b'0', "", b"")]),
            4096,
        ),
        (
            "many-long-paths-that-may-be-excluded",
            b"**/q/*".to_vec(),
            |size| {
                archive((0..size / 3000).flat_map(|number| [long(2000), entry(&format!("{number}"), b'0', "", b"")]))
            },
            4096,
        ),
        (
            "many-headers-before-one",
            Vec::new(),
            |size| {
                let more = (0..size / 1024).map(|_| entry("x", b'x', "", b"12 comment=x\n"));
                archive(more.chain([entry("a", b'0', "", b"")]))
            },
            4096,
        ),
        (
            "many-records-in-a-header",
            Vec::new(),
            |size| archive([entry("x", b'x', "", &b"7 a=bc\n".repeat(size / 7)), entry("a", b'0', "", b"")]),
            4096,
        ),
    ];
    let archives = archives.into_iter().map(|(name, exclude, make, chunk)| {
        Case::new(format!("engine/archive/{name}"), move |size| {
            let said = Said { archive: make(size), chunk, ..Said::default() };
            let bytes = said.bytes();
            let exclude: Vec<_> = Some(String::from_utf8_lossy(&exclude).into_owned())
                .filter(|glob| !glob.is_empty())
                .into_iter()
                .collect();
            let selection = Selection::new(vec!["**".to_owned()], exclude).expect("globs");
            let work = move || {
                let attributes = AttributeSet { mode: true, owner: true, ..AttributeSet::default() };
                let wanted = Files { container: "web", root: "/etc", selection: &selection, attributes };
                said.asked(|socket| files(socket.as_fd(), &wanted, TIMEOUTS).map(|(found, _)| found))
            };
            Input::to("read", bytes, work)
        })
    });
    of_containers.chain(archives).collect()
}

/// A record in an extended header says the path of the next entry.
fn long(size: usize) -> Vec<u8> {
    let path = String::from_utf8(crate::trees::long(size)).expect("ASCII");
    let rest = format!(" path={path}\n");
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length += 1;
    }
    entry("x", b'x', "", format!("{length}{rest}").as_bytes())
}

fn archive(entries: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut archive = entries.into_iter().flatten().collect::<Vec<_>>();
    archive.extend_from_slice(&[0; 1024]);
    archive
}

/// A header, its checksum right, and contents.
fn entry(name: &str, flag: u8, link: &str, contents: &[u8]) -> Vec<u8> {
    let mut block = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", contents.len()).as_bytes());
    put(148, b"        ");
    put(156, &[flag]);
    put(157, link.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut entry = [&block[..], contents].concat();
    entry.resize(entry.len().next_multiple_of(512), 0);
    entry
}
