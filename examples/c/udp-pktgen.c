/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Sends datagrams of one length at an even rate: the counterpart of udp-dump. It does not hear whether they arrive.
 */
#include "datagrams.h"
#include "figures.h"

static const struct about ABOUT = {
    .name = "udp-pktgen",
    .shows = "Sends numbered datagrams of one length, at an even rate or as fast as they are taken. Those that nobody takes\n"
             "are lost.",
    .takes = CLIENT | COUNT | SIZE | RATE,
    .counts = "datagrams",
    .count = 1000,
    .size = 64,
    .rate = 1000,
    .tries = {"udp-dump --server 127.0.0.1:7000", "udp-pktgen --client 127.0.0.1:7000 --count 16 --rate 50"},
};

int main(int argc, char *argv[])
{
    struct options options = start(argc, argv, &ABOUT);
    must_fit_number(options.size);
    int qd = make_socket(&options.place, SOCK_DGRAM);
    const struct sockaddr *to = (const struct sockaddr *)&options.place.address;
    uint64_t start = nanoseconds();
    for (long i = 0; i < options.count; i++) {
        keep_pace(start, options.rate, i);
        demi_sgarray_t sga = allocate((size_t)options.size);
        set_number(&sga, (uint64_t)i);
        wait_for(start_push_to(qd, &sga, to, options.place.length), DEMI_OPC_PUSH, "pushto");
        release(&sga);
    }
    double took = seconds_since(start);
    must(demi_close(qd), "demi_close");
    printf("%ld datagrams of %ld bytes sent in %.3f s: %.0f datagrams/s, %.3f MB/s\n", options.count, options.size, took,
           (double)options.count / took, (double)options.count * (double)options.size / took * 1e-6);
    return EXIT_SUCCESS;
}
