//! A peer behind a socket that says whatever a test wants it to: what a hostile engine would.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// What it says to one request.
pub enum Reply {
    /// These bytes, and then it waits for the next request.
    Bytes(Vec<u8>),
    /// These bytes, and then it hangs up.
    Last(Vec<u8>),
    /// These bytes, and then the others again and again until the peer closes the connection.
    Endless(Vec<u8>, Vec<u8>),
    /// Nothing, until the peer closes the connection.
    Silence,
}

/// The first lines of all requests that came.
pub type Requests = Arc<Mutex<Vec<String>>>;

/// Listens at a path, and answers by the target of each request, for as long as the test runs.
pub fn listen(socket: &Path, answer: impl Fn(&str) -> Reply + Send + 'static) -> Requests {
    let _ = std::fs::remove_file(socket);
    let listener = UnixListener::bind(socket).unwrap();
    let requests = Requests::default();
    let seen = Arc::clone(&requests);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // The peer may close the connection at any time.
            let _ = serve(&stream, &answer, &seen);
        }
    });
    requests
}

fn serve(mut stream: &UnixStream, answer: &impl Fn(&str) -> Reply, seen: &Requests) -> std::io::Result<()> {
    let mut input = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if input.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let first = head.lines().next().unwrap_or_default().to_owned();
        let target = first.split(' ').nth(1).unwrap_or_default().to_owned();
        seen.lock().unwrap().push(first);
        match answer(&target) {
            Reply::Bytes(bytes) => stream.write_all(&bytes)?,
            Reply::Last(bytes) => return stream.write_all(&bytes),
            Reply::Endless(start, again) => {
                stream.write_all(&start)?;
                loop {
                    stream.write_all(&again)?;
                }
            }
            Reply::Silence => {
                let mut rest = Vec::new();
                std::io::Read::read_to_end(&mut input, &mut rest)?;
            }
        }
    }
}

/// A whole answer.
pub fn answer(status: u16, body: impl AsRef<[u8]>) -> Reply {
    Reply::Bytes(whole(status, body))
}

fn whole(status: u16, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// The same in chunks of a size.
pub fn chunked(more: &str, body: &[u8], size: usize) -> Reply {
    let mut bytes = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{more}\r\n").into_bytes();
    for chunk in body.chunks(size) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    Reply::Bytes(bytes)
}

pub const VERSION: &str = r#"{"ApiVersion":"1.41","MinAPIVersion":"1.12","Unknown":[{}]}"#;
pub const ID: &str = "1def0e5e177c719cb7ec448fb2d140ba8f2e35cb93e77059f858820a1862a119";
pub const IMAGE: &str = "sha256:2f61006af360f7a1f3aadd7ebf198de8b4428d9bc44a2ddbb94786d5fc1dcf3c";

pub fn list() -> String {
    format!(r#"[{{"Id":"{ID}","Names":["/web"]}}]"#)
}

pub fn inspected() -> String {
    format!(
        r#"{{"Id":"{ID}","Name":"/web","Image":"{IMAGE}","State":{{"Status":"running"}},"Config":{{"Image":"web:1","Env":["A=b"],"Labels":null}},"HostConfig":{{"NetworkMode":"default"}},"Mounts":[],"NetworkSettings":{{"Networks":null}}}}"#
    )
}

/// What a well-behaved engine with one container says.
pub fn well_behaved(target: &str) -> Reply {
    match target {
        "/version" => answer(200, VERSION),
        "/v1.41/containers/json?all=1" => answer(200, list()),
        "/v1.41/images/json" => answer(200, format!(r#"[{{"Id":"{IMAGE}","RepoTags":["web:1"],"RepoDigests":null}}]"#)),
        "/v1.41/networks" => answer(200, "[]"),
        "/v1.41/volumes" => answer(200, r#"{"Volumes":null}"#),
        _ if target.starts_with("/v1.41/containers/") => answer(200, inspected()),
        _ => answer(200, r#"{"RepoDigests":["web@sha256:1"]}"#),
    }
}
