// SPDX-License-Identifier: MIT OR Apache-2.0
//! Offers: the memory and nothing else.

use std::os::fd::AsFd;

use runtime::{Errno, Error};

use super::{connection, hello};
use crate::eventfd::Eventfd;
use crate::mapping::Mapping;
use crate::rendezvous::{recv_bytes, recv_offer, send_bytes, send_hello, send_offer, send_refusal};
use crate::testing::{isolated, open_fds};

#[test]
fn an_offer_brings_the_memory() {
    let (host, guest) = connection();
    assert!(recv_offer(&guest).unwrap().is_none());
    let (_ours, memory) = Mapping::create(usize::try_from(hello().total_len()).unwrap()).unwrap();
    send_offer(&host, &hello(), &memory).unwrap();
    let (answer, memory) = recv_offer(&guest).unwrap().unwrap();
    assert_eq!(answer, hello());
    Mapping::attach(memory, usize::try_from(answer.total_len()).unwrap()).unwrap();
}

#[test]
fn a_refusal_says_why_even_if_the_request_was_not_read() {
    let (host, guest) = connection();
    send_bytes(&guest, b"never read").unwrap();
    send_refusal(&host, Errno::CONNREFUSED).unwrap();
    drop(host);
    assert_eq!(recv_offer(&guest).map_err(Error::errno).unwrap_err(), Errno::CONNREFUSED);
    assert_eq!(recv_offer(&guest).map_err(Error::errno).unwrap_err(), Errno::CONNRESET);
    assert_eq!(send_bytes(&guest, b"x").unwrap_err().errno(), Errno::CONNRESET);
}

#[test]
fn wrong_descriptors_are_closed() {
    isolated(concat!(module_path!(), "::wrong_descriptors_are_closed"), || {
        let (host, guest) = connection();
        let bell = Eventfd::new().unwrap();
        let before = open_fds();
        // Doorbells, which belong to another handshake; a request with descriptors.
        send_hello(&host, &hello(), &bell, [bell.as_fd(), bell.as_fd()]).unwrap();
        assert_eq!(recv_offer(&guest).map_err(Error::errno).unwrap_err(), Errno::PROTO);
        send_offer(&host, &hello(), &bell).unwrap();
        assert_eq!(recv_bytes::<32>(&guest).map_err(Error::errno), Err(Errno::PROTO));
        assert_eq!(open_fds(), before);
    });
}

#[test]
fn bytes_come_whole_or_not_at_all() {
    let (host, guest) = connection();
    assert_eq!(recv_bytes::<4>(&guest), Ok(None));
    send_bytes(&host, b"four").unwrap();
    assert_eq!(recv_bytes(&guest), Ok(Some(*b"four")));
    for wrong in [&b"fiver"[..], b"two"] {
        send_bytes(&host, wrong).unwrap();
        assert_eq!(recv_bytes::<4>(&guest).map_err(Error::errno), Err(Errno::PROTO));
    }
    drop(host);
    assert_eq!(recv_bytes::<4>(&guest).map_err(Error::errno), Err(Errno::CONNRESET));
}
