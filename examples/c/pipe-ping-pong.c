/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Sends a message back and forth over a pipe. The server returns the memory that it popped, so it copies nothing itself.
 */
#include "figures.h"

static const struct about ABOUT = {
    .name = "pipe-ping-pong",
    .shows = "Sends a message back and forth over a pipe, and prints how long a round trip takes.",
    .takes = PAIR | PIPE | COUNT | SIZE,
    .counts = "round trips",
    .count = 100000,
    .size = 64,
    .tries = {"pipe-ping-pong --server ping", "pipe-ping-pong --client ping"},
};

static void serve(int qd)
{
    long served = 0;
    for (;; served++) {
        demi_sgarray_t sga = pop_array(qd);
        bool end = length_of(&sga) == 0;
        if (!end) {
            push_array(qd, &sga);
        }
        release(&sga);
        if (end) {
            break;
        }
    }
    printf("%ld messages returned\n", served);
}

static void call(int qd, const struct options *options)
{
    size_t size = (size_t)options->size;
    demi_sgarray_t ping = allocate(size);
    uint64_t start = nanoseconds();
    for (long i = 0; i < options->count; i++) {
        memset(bytes_of(&ping), (int)(i & 0xff), size);
        push_array(qd, &ping);
        demi_sgarray_t pong = pop_array(qd);
        /* A pipe keeps messages whole. */
        check(length_of(&pong) == size && is_filled(&pong, (unsigned char)i), "a message did not come back as it was sent");
        release(&pong);
    }
    double took = seconds_since(start);
    release(&ping);
    printf("%ld round trips of %zu bytes in %.3f s: %.0f ns each\n", options->count, size, took,
           took * 1e9 / (double)options->count);
}

int main(int argc, char *argv[])
{
    struct options options = start(argc, argv, &ABOUT);
    int qd = get_pipe(options.server, options.name);
    if (options.server) {
        serve(qd);
    } else {
        call(qd, &options);
    }
    must(demi_close(qd), "demi_close");
    return EXIT_SUCCESS;
}
