// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every back end with sockets must do, written once over the public API, with processes of its own for each test.
//! A new back end is one constant in `backends`, and one line at the end of this file. Those that use the kernel's
//! network have one of their own in each test, for which they need root.
//!
//! - `backends`: the back ends. `subject`: one test on one of them. `harness`: processes, boards, seeds. These are in
//!   `tests/common`.
//! - `arguments`, `addresses`, `options`: calls that are wrong, and what sockets say about themselves.
//! - `connecting`, `backlog`, `ends`, `cancel`, `death`: how connections come and go.
//! - `transfer`, `many`, `datagrams`, `groups`, `losses`: what goes through them. `waits`, `sleeping`: how it is waited for.
//! - `without_streams`: of all that, what datagram sockets alone show.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where what it stands on is missing")]

#[macro_use]
#[path = "../common/suite.rs"]
mod suite;

mod addresses;
mod arguments;
#[path = "../common/backends.rs"]
mod backends;
mod backlog;
mod cancel;
mod connecting;
mod datagrams;
mod death;
mod ends;
mod groups;
#[path = "../common/harness/mod.rs"]
mod harness;
mod losses;
mod many;
mod options;
mod sleeping;
#[path = "../common/subject.rs"]
mod subject;
mod transfer;
mod waits;
#[path = "../common/wires.rs"]
mod wires;
mod without_streams;

suite! {
    {
        arguments: bad_descriptors pipes_are_no_sockets sockets_need_a_back_end bind listen odd_backlogs
            accept_what_does_not_listen connect while_connecting not_connected messages stale_tokens full_tables;
        addresses: port_zero port_zero_across_processes one_owner one_owner_across_processes a_killed_owner
            both_ends_tell_the_truth only_where_it_is_bound dual_stack;
        connecting: either_first begun_while_connecting refused close_cancels_everything closed_before_or_after_accept
            both_close_at_once to_oneself thirty_two_clients_at_once;
        backlog: a_full_backlog_waits a_full_backlog_times_out a_full_backlog_refuses closed_with_a_backlog;
        ends: half_close_by_the_server half_close_by_the_client shut_for_reading shut_both_ways the_end_comes_last
            pops_behind_the_end the_peer_has_closed double_close no_linger linger_zero linger_until_it_is_read linger_runs_out libos_dropped libos_dropped_under_a_flood;
        transfer: every_length_and_segments pop_sizes pop_before_push ping_pong thousands_outstanding
            many_connections_at_once without_a_copy what_was_popped_stays more_than_the_ring_before_the_end;
        many: at_once one_after_another any_one_of_many idle;
        cancel: accepts connects pops pushes a_push_half_way a_close too_late thousands_of_pops_given_up
            against_a_busy_peer;
        waits: wait_any_gives_the_oldest wait_next_n_gives_the_oldest wait_sets_give_the_oldest_of_their_own
            a_busy_socket_starves_nobody a_busy_pipe_starves_nobody a_flood_does_not_starve_accept
            each_token_its_own_completion one_set_for_everything;
        sleeping: timeouts sleepers_are_woken two_threads woken_by_another_thread readiness;
        options: set_and_read ranges sizes inherited_on_accept small_buffers of_datagram_sockets;
        death: of_the_server of_the_client of_clients_in_the_backlog of_a_server_that_is_called leaves_nothing;
        datagrams: boundaries errors reply_to_the_sender wildcard_server connected_filter connected_both_ways sized_pops
            pops_wait;
        losses: drops_are_counted order_of_each_sender to_nobody the_server_comes_back a_killed_peer hundreds_of_peers;
    } on
    catloop_v4 = CATLOOP_V4;
    catloop_v6 = CATLOOP_V6;
    catnap_v4 = CATNAP_V4;
    catnap_v6 = CATNAP_V6;
    catcollar_v4 = CATCOLLAR_V4;
    catcollar_v6 = CATCOLLAR_V6;
}

// Our own stack, on each of its wires: datagrams.
suite! {
    {
        options: of_datagram_sockets;
        datagrams: errors reply_to_the_sender wildcard_server connected_filter connected_both_ways sized_pops pops_wait;
        losses: drops_are_counted order_of_each_sender to_nobody the_server_comes_back a_killed_peer hundreds_of_peers;
        without_streams: ports owners bad_calls limits sleepers somebody_elses_loop given_up together;
    } on
    catnip_socket_v4 = CATNIP_SOCKET_V4;
    catnip_socket_v6 = CATNIP_SOCKET_V6;
    catnip_tap_v4 = CATNIP_TAP_V4;
    catnip_tap_v6 = CATNIP_TAP_V6;
    catnip_packet_v4 = CATNIP_PACKET_V4;
    catnip_packet_v6 = CATNIP_PACKET_V6;
    catnip_xdp_v4 = CATNIP_XDP_V4;
    catnip_xdp_v6 = CATNIP_XDP_V6;
    #[cfg(feature = "catnip-dpdk")]
    catnip_dpdk_v4 = CATNIP_DPDK_V4;
    #[cfg(feature = "catnip-dpdk")]
    catnip_dpdk_v6 = CATNIP_DPDK_V6;
}

// Datagrams of every length. For `net_af_packet` the kernel puts those of IPv4 together, and they find no room then (docs/devices.md).
suite! {
    {
        datagrams: boundaries;
    } on
    lengths_of_catnip_socket_v4 = CATNIP_SOCKET_V4;
    lengths_of_catnip_socket_v6 = CATNIP_SOCKET_V6;
    lengths_of_catnip_tap_v4 = CATNIP_TAP_V4;
    lengths_of_catnip_tap_v6 = CATNIP_TAP_V6;
    lengths_of_catnip_packet_v4 = CATNIP_PACKET_V4;
    lengths_of_catnip_packet_v6 = CATNIP_PACKET_V6;
    lengths_of_catnip_xdp_v4 = CATNIP_XDP_V4;
    lengths_of_catnip_xdp_v6 = CATNIP_XDP_V6;
    #[cfg(feature = "catnip-dpdk")]
    lengths_of_catnip_dpdk_v6 = CATNIP_DPDK_V6;
}

// Multicast, where there is a network.
suite! {
    {
        groups: members refusals options;
    } on
    groups_of_catnap_v4 = CATNAP_V4;
    groups_of_catnap_v6 = CATNAP_V6;
    groups_of_catcollar_v4 = CATCOLLAR_V4;
    groups_of_catcollar_v6 = CATCOLLAR_V6;
    groups_of_catnip_tap_v4 = CATNIP_TAP_V4;
    groups_of_catnip_packet_v6 = CATNIP_PACKET_V6;
    groups_of_catnip_xdp_v4 = CATNIP_XDP_V4;
}

// Streams of our own stack. Each LibOs is a host of its own, with addresses that nobody else has, so that what two of one host do to each
// other is not to be seen here:
//
// - `addresses`: `port_zero_across_processes`, `one_owner`, `one_owner_across_processes`, `a_killed_owner`, `dual_stack`;
// - `connecting`: `close_cancels_everything`, `to_oneself`, `thirty_two_clients_at_once`; `sleeping`: `two_threads`.
//
// No kernel ends its connections when its process is killed: its peers hear nothing, as of a host without power, and find out by the
// timeouts of TCP. So there is nothing of `death`.
suite! {
    {
        arguments: bad_descriptors pipes_are_no_sockets sockets_need_a_back_end bind listen odd_backlogs
            accept_what_does_not_listen connect while_connecting not_connected messages stale_tokens full_tables;
        addresses: port_zero both_ends_tell_the_truth only_where_it_is_bound;
        connecting: either_first begun_while_connecting refused closed_before_or_after_accept both_close_at_once;
        backlog: a_full_backlog_waits a_full_backlog_times_out a_full_backlog_refuses closed_with_a_backlog;
        ends: half_close_by_the_server half_close_by_the_client shut_for_reading shut_both_ways the_end_comes_last
            pops_behind_the_end the_peer_has_closed double_close no_linger linger_zero linger_until_it_is_read linger_runs_out libos_dropped libos_dropped_under_a_flood;
        transfer: every_length_and_segments pop_sizes pop_before_push ping_pong thousands_outstanding
            many_connections_at_once without_a_copy what_was_popped_stays more_than_the_ring_before_the_end;
        many: one_after_another any_one_of_many;
        cancel: accepts connects pops pushes a_push_half_way a_close too_late thousands_of_pops_given_up against_a_busy_peer;
        waits: wait_any_gives_the_oldest wait_next_n_gives_the_oldest wait_sets_give_the_oldest_of_their_own
            a_busy_socket_starves_nobody a_busy_pipe_starves_nobody each_token_its_own_completion one_set_for_everything;
        sleeping: timeouts sleepers_are_woken woken_by_another_thread readiness;
        options: set_and_read ranges sizes inherited_on_accept small_buffers;
    } on
    catnip_socket_v4_streams = CATNIP_SOCKET_V4;
    catnip_fast_open_v4_streams = CATNIP_FAST_OPEN_V4;
    catnip_packet_v6_streams = CATNIP_PACKET_V6;
    catnip_xdp_v4_streams = CATNIP_XDP_V4;
    #[cfg(feature = "catnip-dpdk")]
    catnip_dpdk_v4_streams = CATNIP_DPDK_V4;
    #[cfg(feature = "catnip-dpdk")]
    catnip_dpdk_v6_streams = CATNIP_DPDK_V6;
    #[cfg(feature = "catnip-dpdk")]
    catnip_memif_v4_streams = CATNIP_MEMIF_V4;
    #[cfg(feature = "catnip-dpdk")]
    catnip_memif_v6_streams = CATNIP_MEMIF_V6;
    #[cfg(feature = "catnip-dpdk")]
    catnip_vhost_v4_streams = CATNIP_VHOST_V4;
    #[cfg(feature = "catnip-dpdk")]
    catnip_vhost_v6_streams = CATNIP_VHOST_V6;
}

// What takes a third process; and as many descriptors before as after, which are more once a peer over shared memory has come.
suite! {
    {
        many: at_once;
        waits: a_flood_does_not_starve_accept;
    } on
    crowds_of_catnip_socket_v4 = CATNIP_SOCKET_V4;
    crowds_of_catnip_fast_open_v4 = CATNIP_FAST_OPEN_V4;
    crowds_of_catnip_packet_v6 = CATNIP_PACKET_V6;
    crowds_of_catnip_xdp_v4 = CATNIP_XDP_V4;
    #[cfg(feature = "catnip-dpdk")]
    crowds_of_catnip_dpdk_v4 = CATNIP_DPDK_V4;
    #[cfg(feature = "catnip-dpdk")]
    crowds_of_catnip_dpdk_v6 = CATNIP_DPDK_V6;
}

// A LibOs that waits does not run.
suite! {
    {
        many: idle;
    } on
    idle_catnip_socket_v4 = CATNIP_SOCKET_V4;
    idle_catnip_packet_v6 = CATNIP_PACKET_V6;
    idle_catnip_xdp_v4 = CATNIP_XDP_V4;
    idle_with_a_kernel_server_v4 = KERNEL_SERVER_V4;
    idle_with_a_kernel_client_v6 = KERNEL_CLIENT_V6;
    idle_with_a_kernel_server_xdp_v4 = KERNEL_SERVER_XDP_V4;
    idle_with_a_kernel_client_xdp_v6 = KERNEL_CLIENT_XDP_V6;
    #[cfg(feature = "catnip-dpdk")]
    idle_with_a_kernel_server_net_tap_v4 = KERNEL_SERVER_NET_TAP_V4;
    #[cfg(feature = "catnip-dpdk")]
    idle_with_a_kernel_client_net_tap_v6 = KERNEL_CLIENT_NET_TAP_V6;
}

// Nor does it run over ports of DPDK without interrupts, but to look a thousand times a second.
#[cfg(feature = "catnip-dpdk")]
suite! {
    {
        many: idle_that_looks;
    } on
    idle_catnip_dpdk_v4 = CATNIP_DPDK_V4;
    idle_catnip_memif_v6 = CATNIP_MEMIF_V6;
    idle_catnip_vhost_v4 = CATNIP_VHOST_V4;
    idle_with_a_kernel_server_dpdk_v4 = KERNEL_SERVER_DPDK_V4;
    idle_with_a_kernel_client_af_xdp_v4 = KERNEL_CLIENT_AF_XDP_V4;
}

// Two processes that share memory, and nobody else on the wire: of datagrams what takes no third one. What is sent before the peer comes is counted
// as lost, so that is not compared.
#[cfg(feature = "catnip-dpdk")]
suite! {
    {
        options: of_datagram_sockets;
        datagrams: boundaries wildcard_server connected_filter connected_both_ways sized_pops pops_wait;
        without_streams: ports owners bad_calls limits sleepers somebody_elses_loop given_up together;
    } on
    catnip_memif_v4 = CATNIP_MEMIF_V4;
    catnip_memif_v6 = CATNIP_MEMIF_V6;
    catnip_vhost_v4 = CATNIP_VHOST_V4;
    catnip_vhost_v6 = CATNIP_VHOST_V6;
}

// Who comes again finds the other there. A host that goes takes the link of a card of `net_virtio_user` with it for good.
#[cfg(feature = "catnip-dpdk")]
suite! {
    {
        losses: the_server_comes_back;
    } on
    again_catnip_memif_v4 = CATNIP_MEMIF_V4;
    again_catnip_memif_v6 = CATNIP_MEMIF_V6;
}

// The card leaves segmentation to its host: frames of up to 64 KiB from the client.
#[cfg(feature = "catnip-dpdk")]
suite! {
    {
        ends: half_close_by_the_server the_end_comes_last;
        transfer: every_length_and_segments pop_sizes ping_pong without_a_copy what_was_popped_stays;
        sleeping: readiness;
    } on
    catnip_vhost_tso_v4 = CATNIP_VHOST_TSO_V4;
    catnip_vhost_tso_v6 = CATNIP_VHOST_TSO_V6;
}

// The card makes the socket, either may be first, and the host may go and come again.
#[cfg(feature = "catnip-dpdk")]
suite! {
    {
        connecting: either_first;
        sleeping: readiness;
        losses: the_server_comes_back;
    } on
    catnip_vhost_client_v4 = CATNIP_VHOST_CLIENT_V4;
    catnip_vhost_client_v6 = CATNIP_VHOST_CLIENT_V6;
}

// The kernel at one end and our own stack at the other, each as client and as server: what has two hosts of which none dies. Not
// `drops_are_counted`: a kernel keeps no order between what waits for a neighbour and what comes when it was found.
suite! {
    {
        arguments: messages stale_tokens;
        connecting: either_first begun_while_connecting refused closed_before_or_after_accept both_close_at_once;
        backlog: a_full_backlog_waits a_full_backlog_times_out a_full_backlog_refuses closed_with_a_backlog;
        ends: half_close_by_the_server half_close_by_the_client shut_for_reading shut_both_ways the_end_comes_last
            pops_behind_the_end the_peer_has_closed double_close no_linger linger_zero linger_until_it_is_read linger_runs_out libos_dropped libos_dropped_under_a_flood;
        transfer: every_length_and_segments pop_sizes pop_before_push ping_pong thousands_outstanding many_connections_at_once
            without_a_copy what_was_popped_stays more_than_the_ring_before_the_end;
        many: at_once one_after_another any_one_of_many;
        cancel: accepts connects pops pushes a_push_half_way a_close too_late thousands_of_pops_given_up against_a_busy_peer;
        waits: wait_any_gives_the_oldest wait_next_n_gives_the_oldest wait_sets_give_the_oldest_of_their_own
            a_busy_socket_starves_nobody a_busy_pipe_starves_nobody a_flood_does_not_starve_accept
            each_token_its_own_completion one_set_for_everything;
        sleeping: timeouts sleepers_are_woken woken_by_another_thread readiness;
        options: inherited_on_accept small_buffers;
        datagrams: boundaries errors reply_to_the_sender wildcard_server connected_filter connected_both_ways sized_pops
            pops_wait;
        losses: order_of_each_sender to_nobody the_server_comes_back a_killed_peer hundreds_of_peers;
    } on
    kernel_server_v4 = KERNEL_SERVER_V4;
    kernel_server_v6 = KERNEL_SERVER_V6;
    kernel_client_v4 = KERNEL_CLIENT_V4;
    kernel_client_v6 = KERNEL_CLIENT_V6;
    kernel_server_xdp_v4 = KERNEL_SERVER_XDP_V4;
    kernel_client_xdp_v6 = KERNEL_CLIENT_XDP_V6;
    #[cfg(feature = "catnip-dpdk")]
    kernel_server_dpdk_v4 = KERNEL_SERVER_DPDK_V4;
    #[cfg(feature = "catnip-dpdk")]
    kernel_client_dpdk_v6 = KERNEL_CLIENT_DPDK_V6;
    #[cfg(feature = "catnip-dpdk")]
    kernel_client_af_xdp_v4 = KERNEL_CLIENT_AF_XDP_V4;
    #[cfg(feature = "catnip-dpdk")]
    kernel_server_af_xdp_v6 = KERNEL_SERVER_AF_XDP_V6;
    #[cfg(feature = "catnip-dpdk")]
    kernel_server_net_tap_v4 = KERNEL_SERVER_NET_TAP_V4;
    #[cfg(feature = "catnip-dpdk")]
    kernel_server_net_tap_v6 = KERNEL_SERVER_NET_TAP_V6;
    #[cfg(feature = "catnip-dpdk")]
    kernel_client_net_tap_v4 = KERNEL_CLIENT_NET_TAP_V4;
    #[cfg(feature = "catnip-dpdk")]
    kernel_client_net_tap_v6 = KERNEL_CLIENT_NET_TAP_V6;
}

// The kernel ends the connections of a process that is killed, and our own stack hears of it.
suite! {
    {
        death: of_the_server of_a_server_that_is_called;
    } on
    death_of_a_kernel_server_v4 = KERNEL_SERVER_V4;
    death_of_a_kernel_server_v6 = KERNEL_SERVER_V6;
}

suite! {
    {
        death: of_the_client of_clients_in_the_backlog;
    } on
    death_of_a_kernel_client_v4 = KERNEL_CLIENT_V4;
    death_of_a_kernel_client_v6 = KERNEL_CLIENT_V6;
}

// Those that have streams, too, agree with what is asked of it.
suite! {
    {
        without_streams: ports owners bad_calls limits sleepers somebody_elses_loop given_up together;
    } on
    datagrams_of_catloop = CATLOOP_V4;
    datagrams_of_catnap = CATNAP_V4;
    datagrams_of_catcollar = CATCOLLAR_V4;
}

// Unix-domain sockets, whose addresses are paths: what does not ask for addresses, ports or half of the network.
suite! {
    {
        connecting: either_first begun_while_connecting closed_before_or_after_accept both_close_at_once;
        ends: half_close_by_the_server half_close_by_the_client the_end_comes_last pops_behind_the_end the_peer_has_closed no_linger;
        transfer: every_length_and_segments pop_sizes pop_before_push ping_pong thousands_outstanding
            many_connections_at_once without_a_copy what_was_popped_stays more_than_the_ring_before_the_end;
        many: at_once one_after_another any_one_of_many idle;
        cancel: accepts pops pushes a_push_half_way too_late thousands_of_pops_given_up against_a_busy_peer;
        waits: wait_any_gives_the_oldest wait_next_n_gives_the_oldest a_busy_socket_starves_nobody
            a_busy_pipe_starves_nobody a_flood_does_not_starve_accept each_token_its_own_completion one_set_for_everything;
        sleeping: sleepers_are_woken readiness;
        death: of_the_server of_the_client of_clients_in_the_backlog;
    } on
    catnap_unix = CATNAP_UNIX;
    catcollar_unix = CATCOLLAR_UNIX;
}
