// SPDX-License-Identifier: MIT OR Apache-2.0
//! Both servers against clients that send whole requests, requests in parts, and go in every way.

use crate::{Counting, Meter, Service, epoll, io_uring};
use rustix::net::sockopt::set_socket_linger;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A server, on its own thread.
struct Server(Receiver<std::io::Result<Meter>>);

impl Server {
    /// How it ended.
    fn ended(self) -> std::io::Result<Meter> {
        self.0.recv_timeout(DEADLINE).expect("it ends in time, and without a panic")
    }
}

type Serve = fn(OwnedFd, Service, &mut Meter) -> std::io::Result<()>;

const SERVERS: [(&str, Serve); 2] = [("epoll", epoll::serve), ("io_uring", io_uring::serve)];
/// Nobody waits longer for anything.
const DEADLINE: Duration = Duration::from_secs(20);

fn start(serve: Serve, service: Service, first: u64, last: u64) -> (SocketAddr, Server) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.set_nonblocking(true).expect("it can");
    let address = listener.local_addr().expect("bound");
    (address, run(listener, serve, service, first, last))
}

fn run(listener: TcpListener, serve: Serve, service: Service, first: u64, last: u64) -> Server {
    let (ended, server) = channel();
    spawn(move || {
        let mut meter = Meter::new(first, last);
        // A test that has given up takes it no more.
        let _ = ended.send(serve(listener.into(), service, &mut meter).map(|()| meter));
    });
    Server(server)
}

fn connect(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).expect("it listens");
    client.set_read_timeout(Some(DEADLINE)).expect("it can");
    client.set_nodelay(true).expect("it can");
    client
}

fn ask(client: &mut TcpStream, request: &[u8], parts: usize) {
    for part in request.chunks(request.len().div_ceil(parts)) {
        client.write_all(part).expect("sent");
        if parts > 1 {
            sleep(Duration::from_millis(2));
        }
    }
    let mut answer = vec![0; request.len()];
    client.read_exact(&mut answer).expect("answered");
    assert!(answer == request, "another answer came");
}

fn bytes(size: usize, salt: usize) -> Vec<u8> {
    (0..size).map(|index| (index * 7 + salt) as u8).collect()
}

#[test]
fn requests_come_back_whole_and_in_parts_of_every_size() {
    for (name, serve) in SERVERS {
        // One that no socket takes at once, too.
        for size in [1, 64, 16 << 10, 8 << 20] {
            let service = Service { connections: 3, size };
            let (address, server) = start(serve, service, 1, 6);
            let mut clients: Vec<TcpStream> = (0..3).map(|_| connect(address)).collect();
            for (index, client) in clients.iter_mut().enumerate() {
                ask(client, &bytes(size, index), 1);
                ask(client, &bytes(size, index + 9), 3);
            }
            drop(clients);
            let meter = server.ended().unwrap_or_else(|error| panic!("{name}, {size} B: {error}"));
            assert_eq!(meter.answers(), 6, "{name}, {size} B");
            let (calls, _) = meter.per_answer().expect("all were given");
            assert!(calls >= 1.0, "{name}, {size} B: {calls}");
        }
    }
}

#[test]
fn a_reset_and_an_end_in_the_middle_of_a_request_are_ends() {
    for (name, serve) in SERVERS {
        let (address, server) = start(serve, Service { connections: 3, size: 64 }, 1, 3);
        let mut reset = connect(address);
        ask(&mut reset, &bytes(64, 1), 1);
        // It stays: a server whose last connection has gone is done.
        let mut last = connect(address);
        ask(&mut last, &bytes(64, 2), 2);
        set_socket_linger(&reset, Some(Duration::ZERO)).expect("it can");
        let mut half = connect(address);
        half.write_all(&[1; 10]).expect("sent");
        sleep(Duration::from_millis(5));
        drop((reset, half));
        ask(&mut last, &bytes(64, 3), 3);
        drop(last);
        let meter = server.ended().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(meter.answers(), 3, "{name}");
    }
}

#[test]
fn an_end_that_lies_behind_bytes_is_seen() {
    for (name, serve) in SERVERS {
        // The server starts when all is there: bytes and end come with one edge.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("it can");
        let address = listener.local_addr().expect("bound");
        let mut whole = connect(address);
        whole.write_all(&bytes(64, 1)).expect("sent");
        whole.shutdown(Shutdown::Write).expect("it can");
        connect(address).write_all(&[1; 10]).expect("sent");
        let server = run(listener, serve, Service { connections: 2, size: 64 }, 0, 1);
        let mut answer = [0; 64];
        whole.read_exact(&mut answer).expect("answered");
        assert_eq!(answer[..], bytes(64, 1), "{name}");
        let meter = server.ended().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(meter.answers(), 1, "{name}");
    }
}

#[test]
fn more_connections_than_buffers_are_all_served() {
    // 16 MiB of buffers: 16 for requests of 1 MiB.
    let size = 1 << 20;
    for (name, serve) in SERVERS {
        let (address, server) = start(serve, Service { connections: 40, size }, 1, 40);
        let clients: Vec<JoinHandle<()>> =
            (0..40).map(|index| spawn(move || ask(&mut connect(address), &bytes(size, index), 1))).collect();
        for client in clients {
            client.join().expect("served");
        }
        let meter = server.ended().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(meter.answers(), 40, "{name}");
    }
}

#[test]
fn one_thread_can_serve_again_and_again() {
    let run = || {
        for (name, serve) in SERVERS {
            // More often than the kernel lets one thread register rings.
            for round in 0..20 {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
                listener.set_nonblocking(true).expect("it can");
                let address = listener.local_addr().expect("bound");
                let client = spawn(move || ask(&mut connect(address), &bytes(64, round), 1));
                let mut meter = Meter::new(0, 1);
                let service = Service { connections: 1, size: 64 };
                serve(listener.into(), service, &mut meter).unwrap_or_else(|error| panic!("{name}: {error}"));
                client.join().expect("served");
            }
        }
    };
    spawn(run).join().expect("served");
}

#[test]
fn a_second_request_before_the_answer_is_refused_on_epoll() {
    // On io_uring it is just the next one: the kernel keeps the two apart.
    let (address, server) = start(epoll::serve, Service { connections: 1, size: 4 }, 1, 2);
    // In one segment, so that the server sees both at once.
    connect(address).write_all(&[1; 7]).expect("sent");
    let error = server.ended().expect_err("refused");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
}

#[test]
fn a_meter_tells_what_lies_between_its_two_answers() {
    assert!(crate::allocations() > 0, "the tests' own are counted");
    let mut meter = Meter::new(1, 3);
    let mut calls = 10;
    for _ in 0..3 {
        meter.answered(|| calls);
        calls += 5;
    }
    let (system_calls, _) = meter.per_answer().expect("three answers");
    assert!((system_calls - 5.0).abs() < 1e-9);
    assert!(Meter::new(1, 3).per_answer().is_none());
}
