// SPDX-License-Identifier: MIT OR Apache-2.0
//! The servers among the examples, and their clients: those that people have installed (curl, netcat, socat, redis-cli,
//! redis-benchmark, wrk) on the back ends of kernel sockets and on a network stack of our own, with the kernel as the other host; and Margay
//! itself on every back end for sockets.
//!
//! - `tools`: running them. - `hosts`, `wires`, `harness`: networks of a test's own. - `margay_client`: a client on Margay's own API. - `web`,
//!   `curl`, `netcat`, `redis`, `wrk`: one server and one kind of client each. - `loops`: the servers' loop: many connections, slow ones,
//!   broken ones. - `servers_of_others`: nginx and redis-server.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod curl;
#[path = "../common/harness/mod.rs"]
mod harness;
#[path = "../common/hosts.rs"]
mod hosts;
mod loops;
mod margay_client;
mod netcat;
#[path = "../common/programs/mod.rs"]
mod programs;
mod redis;
mod servers_of_others;
mod tools;
mod web;
#[path = "../common/wires.rs"]
mod wires;
mod wrk;

/// The tests of a module on some back ends; a test that needs programs of others names them.
macro_rules! on {
    ($($libos:ident)+: $tests:tt) => {
        $(on!(@one $libos $tests);)+
    };
    (@one $libos:ident { $($module:ident: { $($test:ident $([$($tool:literal)+])?),+ $(,)? }),+ $(,)? }) => {
        mod $libos {
            $(mod $module {
                $(#[test]
                fn $test() {
                    let (libos, test) = (stringify!($libos), concat!(module_path!(), "::", stringify!($test)));
                    if crate::programs::build::has(test, &[$($($tool),+)?]) && crate::hosts::ready_with_the_kernel(libos, test) {
                        crate::$module::$test(libos);
                    }
                })+
            })+
        }
    };
}

on!(catloop catnap catcollar: {
    loops: {
        requests_in_single_bytes_and_in_one_piece,
        values_of_all_sizes,
        replies_that_nobody_reads_are_not_made,
        many_connections,
        no_more_connections_than_allowed,
        slow_senders_are_told_and_closed,
        silent_connections_are_closed,
        noise_and_broken_connections_harm_nobody,
        a_signal_ends_the_server,
    },
});

// Replies that nobody reads lie in the kernel's memory elsewhere; in a stack of our own they lie in ours, of which there is less.
on!(catnip_packet: {
    loops: {
        requests_in_single_bytes_and_in_one_piece,
        values_of_all_sizes,
        many_connections,
        no_more_connections_than_allowed,
        slow_senders_are_told_and_closed,
        silent_connections_are_closed,
        noise_and_broken_connections_harm_nobody,
        a_signal_ends_the_server,
    },
});

mod programs_of_others {
    on!(catnap catcollar catnip_packet: {
        curl: {
            files_and_heads ["curl"],
            one_connection_for_many_files ["curl"],
            big_files ["curl"],
            what_is_refused ["curl"],
            parts_of_files ["curl"],
            conditions ["curl"],
            versions_and_families ["curl"],
        },
        netcat: {
            requests_in_single_bytes ["nc"],
            half_closed_requests ["nc" "socat"],
            tcp_echo_through_both ["nc" "socat"],
            echo_of_others ["socat"],
            streams_to_and_from_others ["nc"],
            udp_through_both ["nc" "socat"],
            udp_echo_of_others ["socat"],
            ipv6 ["nc" "socat"],
        },
        redis: {
            commands ["redis-cli"],
            binary_values ["redis-cli"],
            mass_insertion ["redis-cli"],
            benchmark_one_by_one ["redis-benchmark" "redis-cli"],
            benchmark_of_pipelines ["redis-benchmark" "redis-cli"],
            benchmark_of_large_values ["redis-benchmark" "redis-cli"],
        },
        wrk: {
            small_files ["wrk"],
            larger_files ["wrk"],
        },
        servers_of_others: {
            nginx_gives_files ["nginx"],
            nginx_takes_files ["nginx"],
            nginx_serves_many_at_once ["nginx"],
            redis_server_keeps_values ["redis-server"],
            redis_server_tells_its_subscribers ["redis-server"],
        },
    });

    // What differs by the wire: long transfers both ways, with frames that stand for many.
    on!(catnip_tap: {
        curl: {
            big_files ["curl"],
            versions_and_families ["curl"],
        },
        netcat: {
            half_closed_requests ["nc" "socat"],
            streams_to_and_from_others ["nc"],
            udp_through_both ["nc" "socat"],
        },
        redis: {
            benchmark_of_pipelines ["redis-benchmark" "redis-cli"],
            benchmark_of_large_values ["redis-benchmark" "redis-cli"],
        },
        wrk: {
            larger_files ["wrk"],
        },
        servers_of_others: {
            nginx_gives_files ["nginx"],
            nginx_takes_files ["nginx"],
            redis_server_keeps_values ["redis-server"],
        },
    });
}
