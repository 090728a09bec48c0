// SPDX-License-Identifier: MIT OR Apache-2.0
//! Group membership against the rules of RFC 2236, 2710, 3376 and 3810.

use super::*;
use crate::keyed::Secret;
use crate::limits::OLDER_QUERIER_MAX;
use igmp::RecordKind::{IsExclude, ToExclude, ToInclude};
use proptest::prelude::*;
use std::collections::HashMap;

const START: Time = Time::from_nanos(5_000_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn groups() -> Groups {
    Groups::new(Random::new(Secret([5; 16])))
}

fn v4(last: u8) -> IpAddr {
    Ipv4Addr::new(239, 1, 0, last).into()
}

fn v6(last: u16) -> IpAddr {
    Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, last).into()
}

fn query(version: u8, group: Option<IpAddr>, tenths: u8) -> igmp::Header {
    let group = match group {
        Some(IpAddr::V4(group)) => group,
        _ => Ipv4Addr::UNSPECIFIED,
    };
    let v3 = (version == 3).then_some(igmp::QueryV3 { suppress: false, robustness: 0, interval_code: 0 });
    igmp::Header::Query(igmp::Query { group, max_response_code: if version == 1 { 0 } else { tenths }, v3 })
}

fn query_v6(version: u8, group: Option<IpAddr>, millis: u16) -> mld::Header {
    let group = match group {
        Some(IpAddr::V6(group)) => group,
        _ => Ipv6Addr::UNSPECIFIED,
    };
    let v2 = (version == 2).then_some(mld::QueryV2 { suppress: false, robustness: 3, interval_code: 60 });
    mld::Header::Query(mld::Query { group, max_response_code: millis, v2 })
}

/// What a report says, in words and with its records sorted as they are.
fn words(report: &Report) -> String {
    let records = |records: Vec<(RecordKind, IpAddr)>| {
        records.iter().map(|(kind, group)| format!("{kind:?} {group}")).collect::<Vec<_>>().join(", ")
    };
    let text = match &report.message {
        Message::Igmp(igmp::Header::ReportV3(all)) => records(all.iter().map(|r| (r.kind, r.group.into())).collect()),
        Message::Mld(mld::Header::ReportV2(all)) => records(all.iter().map(|r| (r.kind, r.group.into())).collect()),
        Message::Igmp(message) => format!("{message:?}"),
        Message::Mld(message) => format!("{message:?}"),
    };
    format!("{} -> {text}", report.to)
}

/// Polls at each deadline up to `until` and gives what was said and how long after `from`.
fn run(groups: &mut Groups, from: Time, until: Time) -> Vec<(String, Duration)> {
    let mut said = Vec::new();
    while let Some(at) = groups.next_deadline().filter(|at| *at <= until) {
        while let Some(report) = groups.poll(at) {
            said.push((words(&report), at - from));
        }
        assert!(groups.next_deadline().is_none_or(|next| next > at), "a caller would spin");
        assert!(said.len() < 1000);
    }
    said
}

fn texts(said: &[(String, Duration)]) -> Vec<&str> {
    said.iter().map(|(text, _)| text.as_str()).collect()
}

/// RFC 3376 §4.2.12, §4.2.14, §8.1, §8.11.
#[test]
fn joining_and_leaving_are_told_twice_and_counted() {
    let mut groups = groups();
    assert!(groups.join(v4(1), START).unwrap());
    assert!(!groups.join(v4(1), START).unwrap());
    let said = run(&mut groups, START, Time::MAX);
    assert_eq!(texts(&said), ["224.0.0.22 -> ToExclude 239.1.0.1"; 2]);
    assert_eq!(said[0].1, Duration::ZERO);
    assert!(said[1].1 <= SECOND);
    assert!(!groups.leave(v4(1), START).unwrap());
    assert!(groups.is_member(v4(1)) && groups.next_deadline().is_none());
    assert!(groups.leave(v4(1), START).unwrap());
    assert!(!groups.is_member(v4(1)));
    assert_eq!(texts(&run(&mut groups, START, Time::MAX)), ["224.0.0.22 -> ToInclude 239.1.0.1"; 2]);
    assert!(groups.groups.is_empty());
    assert_eq!(groups.leave(v4(1), START).unwrap_err().errno(), Errno::ADDRNOTAVAIL);
}

/// RFC 3810 §5.2.14, §6; RFC 4291 §2.7, §2.7.1.
#[test]
fn ipv6_goes_to_its_own_address_and_not_for_every_scope() {
    let mut groups = groups();
    for group in ["ff02::1", "ff01::1", "ff01::7", "ff00::7", "224.0.0.1"] {
        groups.join(group.parse().unwrap(), START).unwrap();
        assert!(groups.is_member(group.parse().unwrap()));
    }
    assert_eq!(groups.next_deadline(), None, "these are never told");
    groups.leave("ff01::7".parse().unwrap(), START).unwrap();
    assert!(!groups.is_member("ff01::7".parse().unwrap()));
    assert!(groups.is_member("224.0.0.1".parse().unwrap()) && groups.is_member("ff02::1".parse().unwrap()));
    groups.join("ff02::1:ff00:1".parse().unwrap(), START).unwrap();
    assert_eq!(texts(&run(&mut groups, START, START)), ["ff02::16 -> ToExclude ff02::1:ff00:1"]);
    assert_eq!(groups.join("10.0.0.1".parse().unwrap(), START).unwrap_err().errno(), Errno::INVAL);
}

#[test]
fn a_change_of_mind_is_told_instead() {
    let mut groups = groups();
    groups.join(v4(1), START).unwrap();
    groups.join(v4(2), START).unwrap();
    assert_eq!(texts(&run(&mut groups, START, START)), ["224.0.0.22 -> ToExclude 239.1.0.1, ToExclude 239.1.0.2"]);
    groups.leave(v4(1), START).unwrap();
    assert_eq!(texts(&run(&mut groups, START, START)), ["224.0.0.22 -> ToInclude 239.1.0.1"]);
    groups.join(v4(1), START).unwrap();
    let said = run(&mut groups, START, Time::MAX).iter().map(|(text, _)| text.clone()).collect::<String>();
    assert!(!said.contains("ToInclude") && said.matches("ToExclude 239.1.0.1").count() == 2, "{said}");
}

/// A cache whose changes were told, with these groups.
fn settled(members: &[IpAddr]) -> Groups {
    let mut groups = groups();
    for group in members {
        groups.join(*group, START).unwrap();
    }
    run(&mut groups, START, Time::MAX);
    groups
}

/// RFC 3376 §5.2; RFC 3810 §6.2, §5.2.12.
#[test]
fn a_general_query_has_one_answer_within_its_time() {
    let mut groups = settled(&[v4(1), v4(2), v6(1)]);
    let now = START + 9 * SECOND;
    groups.heard_igmp(&query(3, None, 100), now);
    groups.heard_igmp(&query(3, None, 100), now);
    let said = run(&mut groups, now, Time::MAX);
    assert_eq!(texts(&said), ["224.0.0.22 -> IsExclude 239.1.0.1, IsExclude 239.1.0.2"]);
    assert!(said[0].1 <= 10 * SECOND);
    groups.heard_mld(&query_v6(2, None, 1000), now);
    let said = run(&mut groups, now, Time::MAX);
    assert_eq!(texts(&said), ["ff02::16 -> IsExclude ff05::1"]);
    assert!(said[0].1 <= SECOND);
}

/// RFC 3376 §5.2.
#[test]
fn a_group_is_answered_for_alone_and_only_by_its_members() {
    let mut groups = settled(&[v4(1), v4(2)]);
    let now = START + 9 * SECOND;
    groups.heard_igmp(&query(3, Some(v4(2)), 10), now);
    groups.heard_igmp(&query(3, Some(v4(7)), 10), now);
    let said = run(&mut groups, now, Time::MAX);
    assert_eq!(texts(&said), ["224.0.0.22 -> IsExclude 239.1.0.2"]);
    assert!(said[0].1 <= SECOND);
    // An answer for all that comes sooner says it too.
    groups.heard_igmp(&query(3, None, 0), now);
    groups.heard_igmp(&query(3, Some(v4(2)), 10), now);
    assert_eq!(texts(&run(&mut groups, now, Time::MAX)), ["224.0.0.22 -> IsExclude 239.1.0.1, IsExclude 239.1.0.2"]);
}

#[test]
fn many_groups_take_several_reports() {
    let all: Vec<_> = (0..100).map(v4).collect();
    let mut groups = settled(&all);
    groups.heard_igmp(&query(3, None, 10), START);
    let said = run(&mut groups, START, Time::MAX);
    assert_eq!(said.len(), 100_usize.div_ceil(REPORT_RECORDS_MAX));
    let text = texts(&said).join(",") + ",";
    assert!(all.iter().all(|group| text.matches(&format!("{group},")).count() == 1));
}

/// RFC 3376 §7.2.1, §8.2, §8.3, §8.12; RFC 3810 §8.2.1, §9.2, §9.3, §9.12; RFC 2236 §3, §8.10; RFC 2710 §4, §7.10.
#[test]
fn an_older_querier_is_spoken_to_as_it_understands() {
    let mut groups = settled(&[v4(1), v6(1)]);
    groups.heard_igmp(&query(2, None, 100), START);
    let said = run(&mut groups, START, START + 20 * SECOND);
    assert_eq!(texts(&said), ["239.1.0.1 -> ReportV2(239.1.0.1)"]);
    assert!(said[0].1 <= 10 * SECOND);
    // IPv6 has another querier.
    groups.heard_mld(&query_v6(1, Some(v6(1)), 500), START);
    assert_eq!(texts(&run(&mut groups, START, START + 20 * SECOND)), ["ff05::1 -> ReportV1(ff05::1)"]);
    groups.join(v4(2), START).unwrap();
    let said = run(&mut groups, START, START + 20 * SECOND);
    assert_eq!(texts(&said), ["239.1.0.2 -> ReportV2(239.1.0.2)"; 2]);
    assert!(said[0].1.is_zero() && said[1].1 <= 10 * SECOND);
    groups.leave(v4(2), START).unwrap();
    groups.leave(v6(1), START).unwrap();
    let said = run(&mut groups, START, START + 20 * SECOND);
    assert_eq!(texts(&said), ["224.0.0.2 -> Leave(239.1.0.2)", "ff02::2 -> Done(ff05::1)"]);
    // It is gone after twice its interval and a response time.
    let later = START + 260 * SECOND;
    groups.join(v4(3), later - SECOND).unwrap();
    assert_eq!(texts(&run(&mut groups, START, later - SECOND)), ["239.1.0.3 -> ReportV2(239.1.0.3)"]);
    groups.join(v4(4), later).unwrap();
    assert_eq!(texts(&run(&mut groups, START, Time::MAX)), ["224.0.0.22 -> ToExclude 239.1.0.4"; 2]);
}

/// RFC 1112; RFC 2236 §3; RFC 3376 §7.2.1.
#[test]
fn the_oldest_version_knows_no_leaving() {
    let mut groups = settled(&[v4(1)]);
    groups.heard_igmp(&query(1, None, 0), START);
    groups.heard_igmp(&query(2, None, 10), START);
    let said = run(&mut groups, START, START + 20 * SECOND);
    assert_eq!(texts(&said), ["239.1.0.1 -> ReportV1(239.1.0.1)"]);
    groups.leave(v4(1), START).unwrap();
    assert!(groups.next_deadline().is_none() && groups.groups.is_empty());
}

/// RFC 3376 §8.12: who says that queriers ask every nine hours does not make one of an old version last for days.
#[test]
fn an_older_querier_is_believed_for_a_bounded_time() {
    let mut groups = settled(&[v4(1)]);
    let v3 = Some(igmp::QueryV3 { suppress: false, robustness: 7, interval_code: 255 });
    let slow = igmp::Query { group: Ipv4Addr::UNSPECIFIED, max_response_code: 1, v3 };
    groups.heard_igmp(&igmp::Header::Query(slow), START);
    groups.heard_igmp(&query(1, None, 0), START);
    let until = START + OLDER_QUERIER_MAX + 10 * SECOND;
    for (at, expected) in
        [(until - SECOND, "239.1.0.2 -> ReportV1(239.1.0.2)"), (until, "224.0.0.22 -> ToExclude 239.1.0.2")]
    {
        run(&mut groups, START, at);
        groups.join(v4(2), at).unwrap();
        assert_eq!(groups.poll(at).as_ref().map(words).as_deref(), Some(expected));
        groups.leave(v4(2), at).unwrap();
    }
}

/// RFC 2236 §3, RFC 2710 §4.
#[test]
fn another_members_report_is_enough_in_older_versions_only() {
    let mut groups = settled(&[v4(1), v6(1)]);
    let heard = igmp::Header::ReportV2(Ipv4Addr::new(239, 1, 0, 1));
    groups.heard_igmp(&query(2, None, 100), START);
    groups.heard_igmp(&heard, START);
    assert_eq!(texts(&run(&mut groups, START, START + 20 * SECOND)), [""; 0]);
    groups.leave(v4(1), START).unwrap();
    assert_eq!(texts(&run(&mut groups, START, START + 20 * SECOND)), [""; 0], "the other one speaks for the group");
    groups.heard_mld(&query_v6(2, None, 1000), START);
    groups.heard_mld(&mld::Header::ReportV1(Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 1)), START);
    assert_eq!(texts(&run(&mut groups, START, Time::MAX)), ["ff02::16 -> IsExclude ff05::1"]);
}

/// RFC 3376 §4.1.6, §4.1.7; RFC 3810 §9.1, §9.11.
#[test]
fn the_queriers_robustness_is_taken() {
    let mut groups = groups();
    groups.heard_mld(&query_v6(2, None, 0), START);
    groups.join(v6(1), START).unwrap();
    assert_eq!(texts(&run(&mut groups, START, Time::MAX)), ["ff02::16 -> ToExclude ff05::1"; 3]);
}

#[test]
fn the_table_is_bounded() {
    let mut groups = groups();
    for n in 0..GROUPS_MAX as u16 {
        groups.join(v6(n), START).unwrap();
    }
    assert_eq!(groups.join(v4(1), START).unwrap_err().errno(), Errno::MFILE);
    assert!(!groups.join(v6(0), START).unwrap());
    assert_eq!(groups.iter().count(), GROUPS_MAX);
}

#[derive(Clone, Debug)]
enum Step {
    Join(u8),
    Leave(u8),
    Query { v6: bool, version: u8, group: Option<u8>, time: u8 },
    Report { v6: bool, group: u8 },
    Wait(u64),
    Run,
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0_u8..6;
    prop_oneof![
        4 => who.clone().prop_map(Step::Join),
        3 => who.clone().prop_map(Step::Leave),
        2 => (any::<bool>(), 1_u8..4, prop::option::of(who.clone()), 0_u8..200)
            .prop_map(|(v6, version, group, time)| Step::Query { v6, version, group, time }),
        1 => (any::<bool>(), who).prop_map(|(v6, group)| Step::Report { v6, group }),
        3 => (0_u64..400_000_000_000).prop_map(Step::Wait),
        3 => Just(Step::Run),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Membership is what the calls say, reports speak of members or of those that left, and it comes to rest.
    #[test]
    fn membership_follows_the_calls(steps in prop::collection::vec(step(), 1..100)) {
        let mut groups = groups();
        let mut now = START;
        let mut joined: HashMap<IpAddr, u32> = HashMap::new();
        let address = |n: u8| if n.is_multiple_of(2) { v4(n) } else { v6(n.into()) };
        for step in steps {
            match step {
                Step::Join(n) => {
                    let count = joined.entry(address(n)).or_default();
                    *count += 1;
                    prop_assert_eq!(groups.join(address(n), now).unwrap(), *count == 1);
                }
                Step::Leave(n) => {
                    let count = joined.entry(address(n)).or_default();
                    let expected = (*count > 0).then_some(*count == 1);
                    *count = count.saturating_sub(1);
                    prop_assert_eq!(groups.leave(address(n), now).ok(), expected);
                }
                Step::Query { v6: true, version, group, time } => {
                    groups.heard_mld(&query_v6(version.min(2), group.map(|n| v6(n.into())), u16::from(time) * 100), now);
                }
                Step::Query { version, group, time, .. } => groups.heard_igmp(&query(version, group.map(v4), time), now),
                Step::Report { v6: true, group } => {
                    groups.heard_mld(&mld::Header::ReportV1(Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, group.into())), now);
                }
                Step::Report { group, .. } => groups.heard_igmp(&igmp::Header::ReportV2(Ipv4Addr::new(239, 1, 0, group)), now),
                Step::Wait(nanos) => {
                    let until = now + Duration::from_nanos(nanos);
                    run(&mut groups, now, until);
                    now = until;
                }
                Step::Run => while let Some(report) = groups.poll(now) {
                    let kinds: Vec<(RecordKind, IpAddr)> = match &report.message {
                        Message::Igmp(igmp::Header::ReportV3(all)) => all.iter().map(|r| (r.kind, r.group.into())).collect(),
                        Message::Mld(mld::Header::ReportV2(all)) => all.iter().map(|r| (r.kind, r.group.into())).collect(),
                        _ => Vec::new(),
                    };
                    for (kind, group) in kinds {
                        prop_assert!(matches!(kind, IsExclude | ToExclude | ToInclude));
                        prop_assert_eq!(kind != ToInclude, joined.get(&group).is_some_and(|count| *count > 0));
                    }
                }
            }
            for (group, count) in &joined {
                prop_assert_eq!(groups.is_member(*group), *count > 0);
            }
        }
        run(&mut groups, now, Time::MAX);
        prop_assert_eq!(groups.next_deadline(), None);
        prop_assert_eq!(groups.groups.len(), joined.values().filter(|count| **count > 0).count());
    }
}
