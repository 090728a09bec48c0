// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which multicast groups this host is a member of, and what it tells routers of them: IGMP version 1 (RFC 1112), 2
//! (RFC 2236) and 3 (RFC 3376) for IPv4, MLD version 1 (RFC 2710) and 2 (RFC 3810) for IPv6.
//!
//! Both families have the same machine, which speaks the newest version until a router is heard that speaks an older one.
//! A member hears every source of its group ("exclude none"), so that records have no sources, and a question for some
//! sources is answered as one for the group.
//!
//! What must always hold: a group is a member's until it was left as often as it was joined; after that it stays in the table
//! only until the last message about its end was given out, and counts against the bound meanwhile.
//!
//! Who has a [`Groups`] checks what the header of the packet around a message must be: the hop limit of 1 and the router alert
//! option, for MLD the link-local source (RFC 2710 section 5, RFC 3810 section 6), for IGMP whom a question went to and where a
//! report is from (RFC 3376 section 9.1, RFC 2236 section 10).

mod family;
mod group;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use arrayvec::ArrayVec;
use runtime::time::Time;
use runtime::{Errno, Error, Result};

use crate::keyed::Random;
use crate::limits::{GROUPS_MAX, REPORT_RECORDS_MAX};
use crate::wire::{igmp, mld};
use family::{Family, Mode};
use group::Group;
use igmp::RecordKind;

/// Reports of IGMP version 3 go here (RFC 3376 section 4.2.14).
const REPORTS_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);
/// Those of MLD version 2 (RFC 3810 section 5.2.14).
const REPORTS_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
/// Who leaves says so to all routers (RFC 2236 section 3; RFC 2710 section 4).
const ROUTERS_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 2);
const ROUTERS_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const ALL_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
const ALL_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// A message to routers, for a packet with a hop limit of 1 and the router alert option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Where the packet goes.
    pub to: IpAddr,
    /// What it says.
    pub message: Message,
}

/// The message of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "made rarely, written out at once, and never kept")]
pub enum Message {
    /// For IPv4.
    Igmp(igmp::Header),
    /// For IPv6.
    Mld(mld::Header),
}

/// The groups of one interface. See the module's first lines.
pub struct Groups {
    /// Which addresses are here is this host's choice alone, so that they need no keyed hash.
    groups: BTreeMap<IpAddr, Group>,
    v4: Family,
    v6: Family,
    random: Random,
    next: Option<Time>,
}

impl Groups {
    /// No group but those that every host is in.
    #[must_use]
    pub const fn new(random: Random) -> Self {
        Self { groups: BTreeMap::new(), v4: Family::new(), v6: Family::new(), random, next: None }
    }

    /// Whether packets to this group are for this host: it was joined, or every host is in it.
    #[must_use]
    pub fn is_member(&self, group: IpAddr) -> bool {
        is_everybody(group) || self.groups.get(&group).is_some_and(|group| group.references > 0)
    }

    /// Becomes a member, or a member once more; true if it was none before.
    ///
    /// # Errors
    /// `EINVAL` if this is no multicast address, `EMFILE` if the table is full.
    pub fn join(&mut self, group: IpAddr, now: Time) -> Result<bool> {
        if !group.is_multicast() {
            return Err(Error::new(Errno::INVAL, "not a multicast address"));
        }
        if is_everybody(group) {
            return Ok(false);
        }
        if !self.groups.contains_key(&group) && self.groups.len() >= GROUPS_MAX {
            return Err(Error::new(Errno::MFILE, "a member of as many groups as may be"));
        }
        self.update_modes(now);
        let family = if group.is_ipv4() { &self.v4 } else { &self.v6 };
        let entry = self.groups.entry(group).or_default();
        entry.references = entry.references.saturating_add(1);
        let first = entry.references == 1;
        if first && is_reported(group) {
            entry.changed(family.repeats(), now);
        }
        self.schedule();
        Ok(first)
    }

    /// Ends one membership; true if it was the last one of this group.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` if this host has not joined the group.
    pub fn leave(&mut self, group: IpAddr, now: Time) -> Result<bool> {
        self.update_modes(now);
        let family = if group.is_ipv4() { &self.v4 } else { &self.v6 };
        let entry = self.groups.get_mut(&group).filter(|entry| entry.references > 0);
        let entry = entry.ok_or(Error::new(Errno::ADDRNOTAVAIL, "not a member of this group"))?;
        entry.references -= 1;
        let last = entry.references == 0;
        if last {
            entry.respond_at = None;
            // RFC 2236 section 3: only who answered last says that he leaves; in version 1 nobody does.
            let said = match family.mode {
                Mode::Newest => true,
                Mode::Reports => entry.answered_last,
                Mode::Oldest => false,
            };
            if said && is_reported(group) {
                entry.changed(if family.mode == Mode::Newest { family.repeats() } else { 1 }, now);
            } else {
                self.groups.remove(&group);
            }
        }
        self.schedule();
        Ok(last)
    }

    /// Tells routers of every group of IPv6 once more, as if it were joined now: what was said before came from no address that
    /// they heed.
    pub fn tell_again(&mut self, now: Time) {
        self.update_modes(now);
        for (address, group) in &mut self.groups {
            if address.is_ipv6() && group.references > 0 && is_reported(*address) {
                group.changed(self.v6.repeats(), now);
            }
        }
        self.schedule();
    }

    /// The groups that were joined, in order.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.groups.iter().filter(|(_, group)| group.references > 0).map(|(address, _)| *address)
    }

    /// Takes a message of IGMP.
    pub fn heard_igmp(&mut self, message: &igmp::Header, now: Time) {
        match message {
            igmp::Header::Query(query) => {
                let mode = match query.version() {
                    1 => Mode::Oldest,
                    2 => Mode::Reports,
                    _ => Mode::Newest,
                };
                if let Some(v3) = query.v3 {
                    self.v4.queried(v3.robustness, v3.interval());
                }
                self.asked(query.group.into(), mode, query.max_response(), now);
            }
            igmp::Header::ReportV1(group) | igmp::Header::ReportV2(group) => self.overheard((*group).into(), now),
            igmp::Header::Leave(_) | igmp::Header::ReportV3(_) => {}
        }
    }

    /// Takes a message of MLD.
    pub fn heard_mld(&mut self, message: &mld::Header, now: Time) {
        match message {
            mld::Header::Query(query) => {
                let mode = if query.version() == 1 { Mode::Reports } else { Mode::Newest };
                if let Some(v2) = query.v2 {
                    self.v6.queried(v2.robustness, v2.interval());
                }
                self.asked(query.group.into(), mode, query.max_response(), now);
            }
            mld::Header::ReportV1(group) => self.overheard((*group).into(), now),
            mld::Header::Done(_) | mld::Header::ReportV2(_) => {}
        }
    }

    /// What is to be sent now; called until it gives nothing.
    pub fn poll(&mut self, now: Time) -> Option<Report> {
        if self.next? > now {
            return None;
        }
        self.update_modes(now);
        let report = self.report(true, now).or_else(|| self.report(false, now));
        self.schedule();
        report
    }

    /// When to poll next.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<Time> {
        self.next
    }

    /// A router asks (RFC 2236 section 3, RFC 3376 section 5.2, RFC 3810 section 6.2).
    fn asked(&mut self, group: IpAddr, mode: Mode, max_response: u32, now: Time) {
        let family = if group.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        family.querier(mode, now);
        self.update_modes(now);
        let family = if group.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        let most = Duration::from_millis(max_response.into());
        let general = group.is_unspecified();
        if family.mode == Mode::Newest {
            // One answer for all groups, or for one; nothing more where an earlier one says it all.
            let at = now + self.random.between(Duration::ZERO, most);
            let said = family.general_at.is_some_and(|general| general <= at);
            if general && !said {
                family.general_at = Some(at);
            } else if let Some(group) = self.groups.get_mut(&group).filter(|group| group.references > 0 && !said) {
                group.respond_by(at);
            }
        } else {
            // Each group answers at a time of its own, so that one of its members speaks for all.
            for (address, entry) in &mut self.groups {
                let asked = if general { address.is_ipv4() == group.is_ipv4() } else { *address == group };
                if asked && entry.references > 0 && is_reported(*address) {
                    entry.respond_by(now + self.random.between(Duration::ZERO, most));
                }
            }
        }
        self.schedule();
    }

    /// Another member has told routers of the group (RFC 2236 section 3, RFC 2710 section 4). In the newest versions each
    /// member speaks for itself.
    fn overheard(&mut self, group: IpAddr, now: Time) {
        self.update_modes(now);
        let family = if group.is_ipv4() { &self.v4 } else { &self.v6 };
        if family.mode != Mode::Newest
            && let Some(entry) = self.groups.get_mut(&group).filter(|group| group.references > 0)
        {
            entry.respond_at = None;
            entry.silence();
            entry.answered_last = false;
        }
        self.schedule();
    }

    /// A host that changes its version forgets what it was about to say (RFC 3376 section 7.2.1, RFC 3810 section 8.2.1).
    fn update_modes(&mut self, now: Time) {
        for (is_v4, family) in [(true, &mut self.v4), (false, &mut self.v6)] {
            if family.update(now) {
                self.groups.retain(|address, group| {
                    if address.is_ipv4() == is_v4 {
                        group.respond_at = None;
                        group.silence();
                    }
                    group.references > 0 || address.is_ipv4() != is_v4
                });
            }
        }
    }

    /// The next message of one family that is due.
    fn report(&mut self, is_v4: bool, now: Time) -> Option<Report> {
        let family = if is_v4 { &mut self.v4 } else { &mut self.v6 };
        if family.mode != Mode::Newest {
            return self.single(is_v4, now);
        }
        if family.general_at.is_some_and(|at| at <= now) {
            family.general_at = None;
            for (address, group) in &mut self.groups {
                if address.is_ipv4() == is_v4 && group.references > 0 && is_reported(*address) {
                    group.respond_at = Some(now);
                }
            }
        }
        let mut records = ArrayVec::<_, REPORT_RECORDS_MAX>::new();
        self.groups.retain(|address, group| {
            if address.is_ipv4() == is_v4
                && let Some(kind) = group.record(!records.is_full(), &mut self.random, now)
            {
                records.push((*address, kind));
            }
            !group.is_over()
        });
        (!records.is_empty()).then(|| Report::of_records(is_v4, &records))
    }

    /// The next message of a version that has one for each group.
    fn single(&mut self, is_v4: bool, now: Time) -> Option<Report> {
        let mode = if is_v4 { self.v4.mode } else { self.v6.mode };
        let mut due = self.groups.iter_mut().filter(|(address, _)| address.is_ipv4() == is_v4);
        let (address, group) = due.find(|(_, group)| group.is_due(now))?;
        let address = *address;
        if group.references == 0 {
            self.groups.remove(&address);
            return Some(Report::leave(address));
        }
        group.told(family::UNSOLICITED_INTERVAL_OLD, &mut self.random, now);
        Some(Report::single(address, mode))
    }

    fn schedule(&mut self) {
        let groups = self.groups.values().flat_map(|group| [group.respond_at, group.change_at]);
        self.next = groups.chain([self.v4.general_at, self.v6.general_at]).flatten().min();
    }
}

/// The group that every host is in.
fn is_everybody(group: IpAddr) -> bool {
    match group {
        IpAddr::V4(group) => group == ALL_V4,
        // Of the interface and of the link (RFC 4291 section 2.7.1).
        IpAddr::V6(group) => group == ALL_V6 || group == Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0, 1),
    }
}

/// Whether packets to a group never leave a host, nor come from another one: those of IPv6 whose scope is the interface, or
/// reserved (RFC 4291 section 2.7).
#[must_use]
pub fn stays_here(group: IpAddr) -> bool {
    matches!(group, IpAddr::V6(group) if group.octets()[1] & 0xf < 2)
}

/// Whether routers are told of a group: not of the one that everybody is in, nor where it does not leave the interface
/// (RFC 3810 section 6).
fn is_reported(group: IpAddr) -> bool {
    !is_everybody(group) && !stays_here(group)
}

impl Report {
    fn of_records(is_v4: bool, records: &[(IpAddr, RecordKind)]) -> Self {
        if is_v4 {
            let records = records.iter().filter_map(|(group, kind)| match group {
                IpAddr::V4(group) => Some(igmp::Record { kind: *kind, group: *group }),
                IpAddr::V6(_) => None,
            });
            let message = igmp::Header::ReportV3(records.take(REPORT_RECORDS_MAX).collect());
            Self { to: REPORTS_V4.into(), message: Message::Igmp(message) }
        } else {
            let records = records.iter().filter_map(|(group, kind)| match group {
                IpAddr::V6(group) => Some(mld::Record { kind: *kind, group: *group }),
                IpAddr::V4(_) => None,
            });
            let message = mld::Header::ReportV2(records.take(REPORT_RECORDS_MAX).collect());
            Self { to: REPORTS_V6.into(), message: Message::Mld(message) }
        }
    }

    fn single(group: IpAddr, mode: Mode) -> Self {
        let message = match group {
            IpAddr::V4(group) if mode == Mode::Oldest => Message::Igmp(igmp::Header::ReportV1(group)),
            IpAddr::V4(group) => Message::Igmp(igmp::Header::ReportV2(group)),
            IpAddr::V6(group) => Message::Mld(mld::Header::ReportV1(group)),
        };
        Self { to: group, message }
    }

    fn leave(group: IpAddr) -> Self {
        match group {
            IpAddr::V4(group) => Self { to: ROUTERS_V4.into(), message: Message::Igmp(igmp::Header::Leave(group)) },
            IpAddr::V6(group) => Self { to: ROUTERS_V6.into(), message: Message::Mld(mld::Header::Done(group)) },
        }
    }
}
