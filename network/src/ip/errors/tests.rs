// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which packets are answered by an ICMP error.

use core::net::IpAddr;

use super::{Complaint, Offender, is_error, may_answer, quoted};

fn offender(source: &str, destination: &str) -> Offender<'static> {
    let (source, destination): (IpAddr, IpAddr) = (source.parse().unwrap(), destination.parse().unwrap());
    Offender { source, destination, broadcast: false, to_many: false, offset: 0, protocol: 17, payload: &[0; 8] }
}

#[test]
fn packet_from_one_host_to_one_host_is_answered() {
    assert!(may_answer(&offender("10.0.0.1", "10.0.0.2"), Complaint::Usual));
    assert!(may_answer(&offender("2001:db8::1", "2001:db8::2"), Complaint::Usual));
    assert!(may_answer(&offender("fe80::1", "fe80::2"), Complaint::EvenToMany));
}

/// RFC 1122 §3.2.2, RFC 4443 §2.4.
#[test]
fn source_that_is_not_one_host_is_not_answered() {
    for source in ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1"] {
        assert!(!may_answer(&offender(source, "10.0.0.2"), Complaint::Usual), "{source}");
    }
    for source in ["::", "::1", "ff02::1"] {
        assert!(!may_answer(&offender(source, "2001:db8::2"), Complaint::EvenToMany), "{source}");
    }
}

/// RFC 1122 §3.2.2, RFC 4443 §2.4.
#[test]
fn what_went_to_many_is_not_answered_but_for_two_errors_of_ipv6() {
    for (destination, usual, excepted) in [
        ("255.255.255.255", false, false),
        ("224.0.0.251", false, false),
        ("ff02::1", false, true),
        ("ff0e::1234", false, true),
    ] {
        let source = if destination.contains(':') { "2001:db8::1" } else { "10.0.0.1" };
        let offender = offender(source, destination);
        assert_eq!(may_answer(&offender, Complaint::Usual), usual, "{destination}");
        assert_eq!(may_answer(&offender, Complaint::EvenToMany), excepted, "{destination}");
    }
    let directed = Offender { broadcast: true, ..offender("10.0.0.1", "10.0.0.255") };
    assert!(!may_answer(&directed, Complaint::EvenToMany));
    let v4 = Offender { to_many: true, ..offender("10.0.0.1", "10.0.0.2") };
    assert!(!may_answer(&v4, Complaint::EvenToMany));
    let v6 = Offender { to_many: true, ..offender("2001:db8::1", "2001:db8::2") };
    assert!(!may_answer(&v6, Complaint::Usual));
    assert!(may_answer(&v6, Complaint::EvenToMany));
}

#[test]
fn only_the_first_fragment_is_answered() {
    let later = Offender { offset: 8, ..offender("10.0.0.1", "10.0.0.2") };
    assert!(!may_answer(&later, Complaint::Usual));
}

/// RFC 1122 §3.2.2; RFC 4443 §1, §2.1, §2.4; RFC 792; RFC 8335.
#[test]
fn errors_are_not_answered() {
    // ICMP of IPv4 (RFC 792, RFC 1122 §3.2.2, RFC 8335), and of IPv6 (RFC 4443 §2.1, RFC 4861 §4.5).
    for kind in 0..=255_u8 {
        let query = matches!(kind, 0 | 8 | 9 | 10 | 13 | 14 | 15 | 16 | 17 | 18 | 42 | 43);
        let v4 = [kind];
        let v4 = Offender { protocol: 1, payload: &v4, ..offender("10.0.0.1", "10.0.0.2") };
        assert_eq!(may_answer(&v4, Complaint::Usual), query, "{kind}");
        let v6 = [kind];
        let v6 = Offender { protocol: 58, payload: &v6, ..offender("fe80::1", "fe80::2") };
        assert_eq!(may_answer(&v6, Complaint::EvenToMany), kind >= 128 && kind != 137, "{kind}");
    }
    assert!(is_error(1, &[]) && is_error(58, &[]));
    // The number of the other family's ICMP means nothing of the sort there, but is no query either.
    assert!(!is_error(6, &[3]) && !is_error(17, &[]));
}

/// RFC 1812 §4.3.2.3, RFC 4443 §2.4.
#[test]
fn quotes_fit_into_what_every_host_takes() {
    let (v4, v6): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "fe80::1".parse().unwrap());
    assert_eq!((quoted(v4, 1500), quoted(v4, 548), quoted(v4, 28)), (548, 548, 28));
    assert_eq!((quoted(v6, 1500), quoted(v6, 1232), quoted(v6, 48)), (1232, 1232, 48));
}
