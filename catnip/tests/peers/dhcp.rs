// SPDX-License-Identifier: MIT OR Apache-2.0
//! An address by DHCP (RFC 2131) from `dnsmasq(8)`: leased, used, renewed, lost, refused, given back.

use crate::alone;
use crate::host::{Host, Link, THEIR_V4, at};
use crate::space::{Program, Space};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use runtime::Errno;
use runtime::socket::Domain;

/// An address of the server's host that only its router's route leads to.
const BEYOND: &str = "10.8.0.1";
/// The shortest lease that dnsmasq grants; half of it is T1.
const LEASE: Duration = Duration::from_mins(2);

struct Server {
    program: Program,
    leases: tempfile::NamedTempFile,
}

impl Server {
    /// Grants addresses of this network that end with a number from `first` on.
    fn start(peer: &Space, network: &str, first: u8) -> Self {
        let leases = tempfile::NamedTempFile::new().unwrap();
        let last = first + 10;
        let range = format!("--dhcp-range={network}.{first},{network}.{last},255.255.255.0,{}", LEASE.as_secs());
        let file = format!("--dhcp-leasefile={}", leases.path().display());
        let router = format!("--dhcp-option=option:router,{THEIR_V4}");
        let arguments = [
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--pid-file=",
            "--user=root",
            "--port=0",
            "--no-resolv",
            "--no-hosts",
            "--interface=theirs",
            "--except-interface=lo",
            "--bind-interfaces",
            "--dhcp-authoritative",
            // It need not try the address first, for seconds.
            "--no-ping",
            "--log-facility=-",
            "--log-dhcp",
            "--dhcp-option=option:mtu,1400",
            "--dhcp-option=option:dns-server,10.9.0.53",
            &range,
            &file,
            &router,
        ];
        Self { program: peer.start("dnsmasq", &arguments), leases }
    }

    fn leases(&self) -> String {
        std::fs::read_to_string(self.leases.path()).unwrap()
    }

    fn said(&self, what: &str) -> usize {
        self.program.said().matches(what).count()
    }
}

fn host(peer: &Space) -> Host {
    let host = Host::beside(Link::Packet, peer, |settings| {
        settings.addresses.clear();
        settings.dhcp = true;
    });
    peer.ip(&format!("addr add {THEIR_V4}/24 dev theirs\naddr add {BEYOND}/32 dev lo\n"));
    host
}

#[track_caller]
fn leased(host: &mut Host, server: &Server) -> IpAddr {
    // The first question is asked within a second or so.
    host.skip(Duration::from_secs(1));
    for _ in 0..5 {
        let waits = |host: &mut Host| host.nic.stack.lease().map(|lease| IpAddr::V4(lease.address()));
        if let Some(address) = waits(host) {
            return address;
        }
        for _ in 0..50 {
            host.work(Duration::from_millis(10));
            if let Some(address) = waits(host) {
                return address;
            }
        }
        // One that was asked before the server was there is asked again.
        host.skip(Duration::from_secs(11));
    }
    panic!("no lease: {}", server.program.said());
}

/// Datagrams between us and an address that the server's route leads to.
#[track_caller]
fn speak(host: &mut Host, peer: &Space, ours: IpAddr) {
    let id = host.nic.stack.udp_socket(Domain::V4).unwrap();
    host.nic.stack.bind(id, SocketAddr::new(ours, 0)).unwrap();
    let socket = peer.udp(&at(BEYOND, 0).to_string());
    host.there_and_back(id, b"by the route", &socket, socket.local_addr().unwrap());
    let now = host.now();
    host.nic.stack.close(id, now).unwrap();
}

fn mac(host: &Host) -> String {
    host.nic.stack.mac().to_string()
}

#[test]
fn leased_used_renewed_and_given_back() {
    alone("dhcp::leased_used_renewed_and_given_back", &["dnsmasq"], |peer| {
        let mut host = host(peer);
        // Without an address nobody can be reached.
        let id = host.socket("0.0.0.0");
        assert_eq!(host.send(id, b"x", at(THEIR_V4, 9)).unwrap_err().errno(), Errno::NETUNREACH);
        let server = Server::start(peer, "10.9.0", 50);
        let ours = leased(&mut host, &server);
        assert!(("10.9.0.50".parse::<IpAddr>().unwrap()..="10.9.0.60".parse().unwrap()).contains(&ours), "{ours}");
        let told = server.leases();
        assert!(told.contains(&mac(&host)) && told.contains(&ours.to_string()), "{told}");
        let lease = host.nic.stack.lease().unwrap().clone();
        assert_eq!((lease.mtu, lease.server.to_string()), (Some(1400), THEIR_V4.to_owned()));
        assert_eq!(lease.name_servers.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.9.0.53"]);
        speak(&mut host, peer, ours);
        // The kernel finds us there, too.
        host.until_done(peer.start("ping", &["-n", "-c", "1", "-W", "5", &ours.to_string()]));
        // T1, twice: the lease goes on.
        for round in 1..=2 {
            let (until, acknowledged) = (host.nic.stack.lease().unwrap().until, server.said("DHCPACK"));
            assert_eq!(acknowledged, round);
            host.skip(LEASE / 2 + Duration::from_secs(1));
            host.until("the renewed lease", |host| {
                (host.nic.stack.lease().is_some_and(|lease| lease.until > until)).then_some(())
            });
            assert_eq!(host.nic.stack.lease().unwrap().address(), lease.address());
            speak(&mut host, peer, ours);
        }
        assert_eq!(server.said("DHCPDISCOVER"), 1, "nothing began anew");
        // Who goes gives it back.
        drop(host);
        for _ in 0..1000 {
            if server.leases().is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(server.leases(), "", "{}", server.program.said());
        assert_eq!(server.said("DHCPRELEASE"), 1);
    });
}

/// The server goes; another one has other addresses, and refuses ours.
#[test]
fn refused() {
    alone("dhcp::refused", &["dnsmasq"], |peer| {
        let mut host = host(peer);
        let server = Server::start(peer, "10.9.0", 50);
        let before = leased(&mut host, &server);
        server.program.kill();
        peer.ip("addr add 10.7.0.1/24 dev theirs\n");
        peer.ip(&format!("addr del {THEIR_V4}/24 dev theirs\n"));
        let server = Server::start(peer, "10.7.0", 70);
        // The old server does not answer any more; from T2 on everybody is asked.
        host.skip(LEASE / 2 + Duration::from_secs(1));
        host.work(Duration::from_millis(50));
        host.skip(LEASE * 3 / 8);
        host.until("the refusal", |host| host.nic.stack.lease().is_none().then_some(()));
        assert!(server.said("DHCPNAK") > 0, "{}", server.program.said());
        assert!(host.nic.stack.addresses().next().is_none(), "the address is gone with its lease");
        let after = leased(&mut host, &server);
        assert!(after.to_string().starts_with("10.7.0.") && after != before, "{after}");
    });
}

/// Nobody renews it: it ends when it was said to, and with it the address and its routes.
#[test]
fn the_lease_ends() {
    alone("dhcp::the_lease_ends", &["dnsmasq"], |peer| {
        let mut host = host(peer);
        let server = Server::start(peer, "10.9.0", 50);
        let ours = leased(&mut host, &server);
        speak(&mut host, peer, ours);
        server.program.kill();
        host.skip(LEASE / 2 + Duration::from_secs(1));
        speak(&mut host, peer, ours);
        host.skip(LEASE * 3 / 8);
        speak(&mut host, peer, ours);
        host.skip(LEASE / 8 + Duration::from_secs(1));
        assert!(host.nic.stack.lease().is_none() && host.nic.stack.addresses().next().is_none());
        assert!(host.nic.stack.routes().next().is_none());
        let id = host.socket("0.0.0.0");
        assert_eq!(host.send(id, b"x", at(THEIR_V4, 9)).unwrap_err().errno(), Errno::NETUNREACH);
        // It comes back.
        let server = Server::start(peer, "10.9.0", 50);
        let ours = leased(&mut host, &server);
        speak(&mut host, peer, ours);
    });
}
