/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Prints what arrives over a connection: the counterpart of tcp-pktgen.
 */
#include "figures.h"

static const struct about ABOUT = {
    .name = "tcp-dump",
    .shows = "Accepts one connection and prints what arrives, until it ends: the length of each piece, and its first bytes.",
    .takes = SERVER | COUNT,
    .counts = "pieces to print; the others are counted",
    .count = 16,
    .tries = {"tcp-dump --server 127.0.0.1:7000", "tcp-pktgen --client 127.0.0.1:7000 --count 100 --rate 50"},
};

int main(int argc, char *argv[])
{
    struct options options = start(argc, argv, &ABOUT);
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    int listening = listen_at(&options.place, 1);
    int qd = accept_one(listening);
    must(demi_getpeername(qd, (struct sockaddr *)&peer, &size), "demi_getpeername");
    printf("connection from %s\n", text_of((const struct sockaddr *)&peer));
    long pieces = 0;
    unsigned long long bytes = 0;
    for (;;) {
        /* A stream has no messages: what was pushed at once may arrive in pieces, and the other way round. */
        demi_sgarray_t sga = pop_array(qd);
        size_t length = length_of(&sga);
        if (length > 0 && pieces < options.count) {
            printf("%6ld: %6zu bytes at %10llu:", pieces, length, bytes);
            print_head(&sga);
        }
        release(&sga);
        if (length == 0) {
            break;
        }
        pieces++;
        bytes += length;
    }
    must(demi_close(qd), "demi_close");
    must(demi_close(listening), "demi_close");
    printf("%llu bytes in %ld pieces\n", bytes, pieces);
    return EXIT_SUCCESS;
}
