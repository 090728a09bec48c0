// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many connections, one after the other and at once: nothing is left over.

use super::*;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// In a process of its own, where no other test opens descriptors.
fn isolated(test: &str, body: impl FnOnce()) {
    const ALONE: &str = "MARGAY_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return body();
    }
    let test = format!("transport::tests::many::{test}");
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([&test, "--exact", "--nocapture", "--test-threads=1"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_thousand_connections_leave_no_descriptor() {
    isolated("a_thousand_connections_leave_no_descriptor", || {
        let directory = directory();
        let (mut server, mut client) = (Side::new(&directory), Side::new(&directory));
        let (listener, address) = server.listen("127.0.0.1:0", 8);
        let mut before = None;
        for round in 0..1000 {
            let connecting = client.begin(address);
            let accepted = finish(&mut [&mut server, &mut client], |sides| sides[0].accept(listener));
            finish(&mut [&mut client], |sides| sides[0].connected(connecting)).unwrap();
            assert!(client.push(connecting, b"x").is_ready());
            assert_eq!(finish(&mut [&mut server], |sides| sides[0].pop(accepted)), Ok(b"x".to_vec()));
            // Either side first.
            let (a, b) = if round % 2 == 0 {
                ((&mut server, accepted), (&mut client, connecting))
            } else {
                ((&mut client, connecting), (&mut server, accepted))
            };
            a.0.close(a.1);
            assert_eq!(finish(&mut [&mut *b.0], |sides| sides[0].pop(b.1)), Ok(Vec::new()));
            b.0.close(b.1);
            let now = descriptors();
            assert_eq!(*before.get_or_insert(now), now, "after {round} connections");
        }
        // The whole of it, too.
        drop((server, client));
        let empty = descriptors();
        assert!(empty < before.unwrap());
    });
}

#[test]
fn a_connection_costs_one_descriptor_at_each_end() {
    isolated("a_connection_costs_one_descriptor_at_each_end", || {
        let directory = directory();
        let (mut server, mut client) = (Side::new(&directory), Side::new(&directory));
        let (listener, address) = server.listen("127.0.0.1:0", 100);
        // The first one opens the directory.
        let first = client.begin(address);
        finish(&mut [&mut server, &mut client], |sides| sides[1].connected(first)).unwrap();
        let before = descriptors();
        for connections in 1..=99 {
            let connecting = client.begin(address);
            finish(&mut [&mut server, &mut client], |sides| sides[1].connected(connecting)).unwrap();
            assert_eq!(descriptors() - before, 2 * connections);
        }
        while server.accept(listener).is_ready() {}
        assert_eq!(descriptors() - before, 198);
    });
}

#[test]
fn all_of_many_connections_are_served() {
    isolated("all_of_many_connections_are_served", || {
        let directory = directory();
        let (mut server, mut client) = (Side::new(&directory), Side::new(&directory));
        let (listener, address) = server.listen("127.0.0.1:0", 16);
        let ends: Vec<_> = (0..200)
            .map(|_| {
                let connecting = client.begin(address);
                let accepted = finish(&mut [&mut server, &mut client], |sides| sides[0].accept(listener));
                finish(&mut [&mut client], |sides| sides[0].connected(connecting)).unwrap();
                (connecting, accepted)
            })
            .collect();
        // All servers' ends wait: more than are looked at in each round.
        for &(_, accepted) in &ends {
            assert!(server.pop(accepted).is_pending());
        }
        for (number, &(connecting, accepted)) in ends.iter().enumerate().rev() {
            server.woken();
            assert!(client.push(connecting, &number.to_le_bytes()).is_ready());
            until(&mut [&mut server], |sides| {
                sides[0].woken().iter().any(|&(_, way)| way == Direction::Pop).then_some(())
            });
            assert_eq!(server.pop(accepted), Poll::Ready(Ok(number.to_le_bytes().to_vec())));
        }
    });
}
