// SPDX-License-Identifier: MIT OR Apache-2.0
//! Streams between a virtual machine's card and its host (ports of DPDK), where the card leaves segmentation to the host, and where it does
//! not. What the devices count shows which.

use crate::{NAP, Side, at, bytes};
use catnip::device::dpdk;
use catnip::{Settings, Wire};
use core::task::Poll;
use runtime::transport::{Handle, PopMode, Transport};
use std::collections::HashMap;

/// Bytes of one push, and how many there are: to open the windows, and then counted.
const PUSH: usize = 256 << 10;
const WARM: usize = 4;
const BULK: usize = 16;
/// Bytes of the longest frame of a link whose packets have 1,500.
const FRAME: u64 = 1514;
/// What frames of many segments are longer than on the mean.
const LONG: u64 = 16 << 10;

fn side(port: &str, number: u8) -> Side {
    let mut settings = Settings::new(Wire::Dpdk(dpdk::Settings::new(port)));
    settings.addresses =
        [format!("10.0.0.{number}/24"), format!("fd00::{number}/64")].map(|text| text.parse().unwrap()).into();
    Side::new(&settings)
}

/// What a device has counted, by name.
fn counted(side: &mut Side) -> HashMap<String, u64> {
    let mut counted = HashMap::new();
    side.catnip.device_counters(&mut |name, value| {
        counted.insert(name.to_owned(), value);
    });
    counted
}

impl Side {
    /// Pushes so much, which comes out at the other end byte for byte.
    fn pours(&mut self, from: Handle, into: &mut Side, to: Handle, pushes: usize) {
        for number in 0..pushes {
            let sent = bytes(PUSH, number);
            let mut message = self.message(&sent);
            let (mut came, mut pushed) = (Vec::with_capacity(PUSH), false);
            into.work_until(&mut [], |into| {
                pushed = pushed || self.catnip.push(from, &mut message).map(Result::unwrap).is_ready();
                self.round(NAP);
                while let Poll::Ready(part) = into.catnip.pop(to, PopMode::Whole) {
                    came.extend(part.unwrap().to_vec());
                }
                pushed && came.len() >= PUSH
            });
            assert!(came == sent, "push {number}: {} bytes came", came.len());
        }
    }
}

/// The mean lengths of frames as they went and as they came, while so much goes from one side to the other.
fn mean((from, out): (&mut Side, Handle), (to, into): (&mut Side, Handle)) -> [u64; 2] {
    from.pours(out, to, into, WARM);
    let before = [counted(from), counted(to)];
    from.pours(out, to, into, BULK);
    let after = [counted(from), counted(to)];
    for side in [from, to] {
        let counted = counted(side);
        assert_eq!((counted["send_drops"], counted["receive_drops"], side.catnip.counters().drops), (0, 0, 0));
    }
    [(0, "sent", "sent_bytes"), (1, "received", "received_bytes")].map(|(side, frames, bytes)| {
        let [frames, bytes] = [frames, bytes].map(|name| after[side][name] - before[side][name]);
        println!("{frames} frames of {} bytes", bytes / frames);
        assert!(bytes > (PUSH * BULK) as u64);
        bytes / frames
    })
}

/// What goes either way in both families, and whether a virtual machine's frames are long on the mean. Those of its host never are: net_vhost offers
/// no segmentation.
fn frames_are_long(name: &str, hosts: &str, long: bool) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("vhost.sock");
    let mut host = side(&format!("net_vhost_{name}0,iface={}{hosts}", socket.display()), 1);
    let mut guest = side(&format!("net_virtio_user_{name}0,path={}", socket.display()), 2);
    for to in ["10.0.0.1:7", "[fd00::1]:7"] {
        let (client, server) = guest.connects(&mut host, at(to));
        let of_guest = mean((&mut guest, client), (&mut host, server));
        assert!(of_guest.iter().all(|&len| if long { len > LONG } else { len <= FRAME }), "{to}: {of_guest:?}");
        let of_host = mean((&mut host, server), (&mut guest, client));
        assert!(of_host.iter().all(|&len| len <= FRAME), "{to}: {of_host:?}");
        // Neither is left with somebody to say goodbye to.
        let mut closed = [false; 2];
        guest.work_until(&mut [], |guest| {
            closed[0] = closed[0] || guest.catnip.close(client).is_ready();
            closed[1] = closed[1] || host.catnip.close(server).is_ready();
            host.round(NAP);
            closed == [true; 2]
        });
    }
    // Its goodbye has somebody to answer it.
    drop(guest);
}

#[test]
fn a_card_leaves_segmentation_to_its_host() {
    frames_are_long("cuts", ",tso=1", true);
}

#[test]
fn a_card_leaves_segmentation_to_its_host_by_the_old_marks() {
    frames_are_long("old", ",tso=1,legacy-ol-flags=1", true);
}

#[test]
fn a_card_cuts_for_a_host_that_takes_no_long_frames() {
    frames_are_long("plain", "", false);
}
