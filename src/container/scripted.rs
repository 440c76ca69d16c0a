//! An engine whose responses are written in advance, for tests.

use std::io::Write as _;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// A connection to such an engine.
pub(super) struct Scripted {
    ours: UnixStream,
    /// Requests need a peer that is still open.
    _engine: UnixStream,
}

impl Scripted {
    /// The engine sends these bytes, which must fit into the socket, and then closes the connection.
    pub fn bytes(bytes: &[u8]) -> Self {
        let (ours, mut engine) = UnixStream::pair().unwrap();
        engine.write_all(bytes).unwrap();
        engine.shutdown(Shutdown::Write).unwrap();
        Self { ours, _engine: engine }
    }

    /// The engine sends these responses, each with a status and a body.
    pub fn responses(responses: &[(u16, &str)]) -> Self {
        let response = |(status, body): &(u16, &str)| {
            format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        };
        Self::bytes(responses.iter().map(response).collect::<String>().as_bytes())
    }
}

impl AsFd for Scripted {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ours.as_fd()
    }
}
