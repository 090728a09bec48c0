/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Sends messages of one length at an even rate over a connection: the counterpart of tcp-dump.
 */
#include "datagrams.h"
#include "figures.h"

static const struct about ABOUT = {
    .name = "tcp-pktgen",
    .shows = "Connects and sends numbered messages of one length, at an even rate or as fast as they are taken.",
    .takes = CLIENT | COUNT | SIZE | RATE,
    .counts = "messages",
    .count = 1000,
    .size = 64,
    .rate = 1000,
    .tries = {"tcp-dump --server 127.0.0.1:7000", "tcp-pktgen --client 127.0.0.1:7000 --count 100 --rate 50"},
};

int main(int argc, char *argv[])
{
    struct options options = start(argc, argv, &ABOUT);
    must_fit_number(options.size);
    int qd = connect_to(&options.place);
    uint64_t start = nanoseconds();
    for (long i = 0; i < options.count; i++) {
        keep_pace(start, options.rate, i);
        demi_sgarray_t sga = allocate((size_t)options.size);
        set_number(&sga, (uint64_t)i);
        push_array(qd, &sga);
        release(&sga);
    }
    double took = seconds_since(start);
    /* What was pushed is delivered also after the close. */
    must(demi_close(qd), "demi_close");
    printf("%ld messages of %ld bytes sent in %.3f s: %.0f messages/s, %.3f MB/s\n", options.count, options.size, took,
           (double)options.count / took, (double)options.count * (double)options.size / took * 1e-6);
    return EXIT_SUCCESS;
}
