//! The network, and sockets of this machine.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};

use libc::{EACCES, EPERM};

use super::Attempt;
use super::files::done;
use crate::child::call;
use crate::scene::abstract_name;

#[rustfmt::skip]
pub const ATTEMPTS: &[Attempt] = &[
    Attempt::new("connect by TCP", |i| {
        let port = i.port;
        Box::new(move || done(TcpStream::connect(("127.0.0.1", port))))
    }).landlock(4, EACCES).seccomp(),
    Attempt::new("connect a socket from outside by TCP", |i| {
        let socket = call(libc::SYS_socket, &[libc::AF_INET as usize, libc::SOCK_STREAM as usize, 0]).expect("a socket");
        let port = i.port;
        Box::new(move || {
            let mut address = [0_u8; 16];
            address[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
            address[2..4].copy_from_slice(&port.to_be_bytes());
            address[4..8].copy_from_slice(&[127, 0, 0, 1]);
            done(call(libc::SYS_connect, &[socket as usize, address.as_ptr() as usize, address.len()]))
        })
    }).landlock(4, EACCES).seccomp(),
    Attempt::new("listen by TCP", |_| Box::new(|| done(TcpListener::bind("127.0.0.1:0")))).landlock(4, EACCES).seccomp(),
    Attempt::new("send by UDP", |i| {
        let port = i.port;
        Box::new(move || done(UdpSocket::bind("127.0.0.1:0")?.send_to(b"", ("127.0.0.1", port))))
    }).landlock(10, EACCES).seccomp(),
    Attempt::new("connect to a UNIX socket with a path", |i| {
        let path = i.place.join("socket");
        Box::new(move || done(UnixStream::connect(path)))
    }).landlock(9, EACCES).seccomp(),
    Attempt::new("connect to an abstract UNIX socket", |i| {
        let address = SocketAddr::from_abstract_name(abstract_name(&i.place)).expect("an address");
        Box::new(move || done(UnixStream::connect_addr(&address)))
    }).landlock(6, EPERM).seccomp(),
    // It reaches no other process, so Landlock does not restrict it.
    Attempt::new("make a pair of sockets", |_| Box::new(|| done(UnixStream::pair()))).seccomp(),
    Attempt::new("send on a socket from outside", |i| {
        let stream = UnixStream::connect(i.place.join("socket")).expect("a connection");
        Box::new(move || done(call(libc::SYS_sendto, &[stream.as_raw_fd() as usize, 0, 0, 0, 0, 0])))
    }).seccomp(),
];
