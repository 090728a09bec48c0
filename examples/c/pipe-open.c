/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Creates, opens and closes many pipes, one after another, with one message over each.
 */
#include "figures.h"

/* Longest name of a pipe. */
#define NAME_MAX_BYTES 64

static const struct about ABOUT = {
    .name = "pipe-open",
    .shows = "Opens and closes many pipes, one after another, with one message over each.",
    .takes = PAIR | PIPE | COUNT | SIZE,
    .counts = "pipes",
    .count = 1000,
    .size = 64,
    .tries = {"pipe-open --server many", "pipe-open --client many"},
};

int main(int argc, char *argv[])
{
    struct options options = start(argc, argv, &ABOUT);
    uint64_t begin = nanoseconds();
    for (long i = 0; i < options.count; i++) {
        char name[NAME_MAX_BYTES + 1];
        int length = snprintf(name, sizeof name, "%s-%ld", options.name, i);
        check(length > 0 && (size_t)length < sizeof name, "the name is too long: take a shorter one");
        int qd = get_pipe(options.server, name);
        if (!options.server) {
            demi_sgarray_t sga = allocate((size_t)options.size);
            memset(bytes_of(&sga), (int)(i & 0xff), (size_t)options.size);
            push_array(qd, &sga);
            release(&sga);
        }
        /* The server pops the message, and the client the end of the stream that the server's close gives. */
        demi_sgarray_t sga = pop_array(qd);
        check(length_of(&sga) == (options.server ? (size_t)options.size : 0),
              "a message has another length: start both sides with the same numbers");
        release(&sga);
        must(demi_close(qd), "demi_close");
    }
    double took = seconds_since(begin);
    printf("%ld pipes %s and closed in %.3f s: %.0f ns each\n", options.count, options.server ? "created" : "opened", took,
           took * 1e9 / (double)options.count);
    return EXIT_SUCCESS;
}
