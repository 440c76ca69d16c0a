//! Responses that are read, and responses that are refused.

use std::os::fd::AsFd as _;

use super::*;
use crate::container::TIMEOUTS;
use crate::container::scripted::Scripted;

/// Sends a request to an engine that responds with these bytes and then closes the connection.
fn response(bytes: &[u8]) -> Result<(u16, Vec<u8>), EngineError> {
    let engine = Scripted::bytes(bytes);
    let mut stream = Stream::new(engine.as_fd(), TIMEOUTS);
    let (head, body) = get(&mut stream, &RequestTarget::new(&["version"]))?;
    Ok((head.status, body.whole(1 << 20)?))
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn a_target_is_percent_encoded() {
    let target = RequestTarget::new(&["v1.41", "containers", "a b/../c?d#e%é", "json"]).query("path", "/etc/.");
    assert_eq!(target.0, "/v1.41/containers/a%20b%2F..%2Fc%3Fd%23e%25%C3%A9/json?path=%2Fetc%2F.");
    assert_eq!(RequestTarget::new(&["images", "sha256:ab", "json"]).0, "/images/sha256:ab/json");
}

#[test]
fn bodies_of_every_framing_are_the_same() {
    let body = b"0123456789".repeat(30);
    let plain = [format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat();
    assert_eq!(response(&plain).unwrap(), (200, body.clone()));
    for size in [1, 2, 3, 7, 299, 300, 1000] {
        let mut chunked = CHUNKED.as_bytes().to_vec();
        for chunk in body.chunks(size) {
            chunked.extend_from_slice(format!("{:x};extension\r\n", chunk.len()).as_bytes());
            chunked.extend_from_slice(chunk);
            chunked.extend_from_slice(b"\r\n");
        }
        chunked.extend_from_slice(b"0\r\nTrailer: x\r\n\r\n");
        assert_eq!(response(&chunked).unwrap(), (200, body.clone()), "{size}");
    }
}

#[test]
fn malformed_responses_are_refused() {
    let fields = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(1000));
    for (raw, problem) in [
        ("", "it closed the connection"),
        ("HTTP/1.1 200", "it closed the connection"),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "it is not HTTP"),
        (&fields, "it is not HTTP: too many headers"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", "it is not a final HTTP/1.1 response"),
        ("HTTP/1.1 100 Continue\r\n\r\n", "it is not a final HTTP/1.1 response (status 100)"),
        ("HTTP/1.1 200 OK\r\n\r\n{}", "it does not state its length"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "it has both a Content-Length and chunks",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
            "its Content-Length is not a single number",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}", "its Content-Length is not a single number"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "its Content-Length is not a single number",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "its transfer encoding is not `chunked`",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", "it is compressed"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "it closed the connection"),
        (&format!("{CHUNKED}zz\r\n"), "a chunk does not state its length"),
        (&format!("{CHUNKED}fffffffffffffffff\r\n"), "a chunk does not state its length"),
        (&format!("{CHUNKED}-1\r\n"), "a chunk does not state its length"),
        (&format!("{CHUNKED}1\r\n{{}}\r\n"), "a chunk is longer than stated"),
        (&format!("{CHUNKED}1\n{{\n"), "ends with LF alone"),
        (&format!("{CHUNKED}2\r\n{{}}\r\n"), "it closed the connection"),
        (&format!("{CHUNKED}1;{}", "x".repeat(2000)), "a line between its chunks is too long"),
        (&format!("{CHUNKED}0\r\n{}", "x: y\r\n".repeat(3000)), "bytes after the body"),
        (&format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(20_000)), "bytes before the body"),
    ] {
        let refused = response(raw.as_bytes()).unwrap_err().to_string();
        assert!(refused.contains(problem), "{raw:.200}: {refused}");
    }
    let large = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", 100 << 20, "x".repeat(50_000));
    let engine = Scripted::bytes(large.as_bytes());
    let mut stream = Stream::new(engine.as_fd(), TIMEOUTS);
    let (_, body) = get(&mut stream, &RequestTarget::new(&["version"])).unwrap();
    assert_eq!(body.whole(1000).unwrap_err().to_string(), "its answer is too large: more than 1000 bytes");
}
