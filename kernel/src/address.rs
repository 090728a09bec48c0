// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses as the kernel has them and as the API has them (`ip(7)`, `ipv6(7)`, `unix(7)`).
//!
//! A Unix socket's name is a path, or an abstract name that begins with a NUL byte; an empty one is none.

use crate::raw::bytes;
use core::net::SocketAddr;
use runtime::socket::{Domain, check_path};
use runtime::{Errno, Error, Result};
use rustix::net::{SocketAddrAny, SocketAddrUnix};

const NO_NAME: Error = Error::new(Errno::AFNOSUPPORT, "the kernel gave an address of another family");
const TOO_LONG: Error = Error::new(Errno::NAMETOOLONG, "the name of a Unix socket is too long");

/// Bytes of `sun_family`, in front of the name.
const FAMILY_LEN: usize = 2;

/// An address of IPv4 or IPv6.
///
/// # Errors
/// `EAFNOSUPPORT` it is of another family.
#[inline]
pub fn internet(any: SocketAddrAny) -> Result<SocketAddr> {
    SocketAddr::try_from(any).map_err(|_| NO_NAME)
}

/// The address behind which the kernel finds a Unix socket of this name.
///
/// # Errors
/// `EINVAL` no such name, `ENAMETOOLONG`.
pub fn unix(path: &[u8]) -> Result<SocketAddrUnix> {
    check_path(path)?;
    let made = match path.split_first() {
        Some((0, name)) => SocketAddrUnix::new_abstract_name(name),
        _ => SocketAddrUnix::new(path),
    };
    made.map_err(|_| TOO_LONG)
}

/// The name in an address of a Unix socket; empty if it has none, as an unbound socket.
///
/// # Errors
/// `EAFNOSUPPORT` it is of another family.
pub fn path(any: &SocketAddrAny) -> Result<&[u8]> {
    if any.address_family() != rustix::net::AddressFamily::UNIX {
        return Err(NO_NAME);
    }
    let name = bytes(any).get(FAMILY_LEN..).unwrap_or_default();
    Ok(match name.first() {
        None | Some(0) => name,
        // A path ends with its NUL, which the kernel counts, or where all the room is used.
        Some(_) => name.split(|&byte| byte == 0).next().unwrap_or_default(),
    })
}

/// Whether a socket of this family takes this address.
///
/// # Errors
/// `EAFNOSUPPORT`.
pub fn check_family(domain: Domain, address: &SocketAddr) -> Result<()> {
    if Domain::of(address) == domain {
        Ok(())
    } else {
        Err(Error::new(Errno::AFNOSUPPORT, "an address of another family than the socket's"))
    }
}

/// Whether somebody can be there.
///
/// # Errors
/// `EAFNOSUPPORT` another family, `EADDRNOTAVAIL` port 0.
pub fn check_destination(domain: Domain, to: &SocketAddr) -> Result<()> {
    check_family(domain, to)?;
    if to.port() == 0 {
        return Err(Error::new(Errno::ADDRNOTAVAIL, "nobody has port 0"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use runtime::limits::UNIX_PATH_MAX;
    use rustix::net::addr::SocketAddrArg;

    #[test]
    fn internet_addresses_come_back() {
        for address in ["127.1.2.3:65535", "[::1]:9", "[fe80::1%3]:80", "0.0.0.0:0"] {
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(internet(address.into()).unwrap(), address);
        }
        assert_eq!(internet(unix(b"/p").unwrap().into()).unwrap_err().errno(), Errno::AFNOSUPPORT);
        let other = SocketAddr::from(([127, 0, 0, 1], 1));
        assert_eq!(path(&other.into()).unwrap_err().errno(), Errno::AFNOSUPPORT);
    }

    #[test]
    fn names_that_cannot_be() {
        for (name, errno) in [
            (&b""[..], Errno::INVAL),
            (b"a\0b", Errno::INVAL),
            (&[b'p'; UNIX_PATH_MAX + 1], Errno::NAMETOOLONG),
            (&[0; UNIX_PATH_MAX + 1], Errno::NAMETOOLONG),
        ] {
            assert_eq!(unix(name).unwrap_err().errno(), errno);
        }
        assert_eq!(path(&SocketAddrUnix::new_unnamed().as_any()).unwrap(), b"");
    }

    #[test]
    fn destinations() {
        let errno = |domain, to: &str| check_destination(domain, &to.parse().unwrap()).unwrap_err().errno();
        assert_eq!(errno(Domain::V4, "[::1]:7"), Errno::AFNOSUPPORT);
        assert_eq!(errno(Domain::V6, "127.0.0.1:7"), Errno::AFNOSUPPORT);
        assert_eq!(errno(Domain::Unix, "127.0.0.1:7"), Errno::AFNOSUPPORT);
        assert_eq!(errno(Domain::V6, "[::1]:0"), Errno::ADDRNOTAVAIL);
        check_destination(Domain::V4, &"127.0.0.1:7".parse().unwrap()).unwrap();
    }

    proptest! {
        #[test]
        fn names_come_back(name in proptest::collection::vec(1_u8.., 1..UNIX_PATH_MAX)) {
            for name in [name.clone(), [&[0][..], &name].concat()] {
                let any = unix(&name).unwrap().as_any();
                prop_assert_eq!(path(&any).unwrap(), &name[..]);
            }
        }
    }
}
