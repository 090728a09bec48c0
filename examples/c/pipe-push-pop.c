/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Streams messages one way: the client keeps many pushes under way and ends its direction, the server pops until that end.
 */
#include "figures.h"
/* Demikernel has no half-close. */
#include <margay.h>

/* Pushes that the client keeps under way at once. */
#define WINDOW 32

static const struct about ABOUT = {
    .name = "pipe-push-pop",
    .shows = "Streams messages one way over a pipe, and prints the throughput.",
    .takes = PAIR | PIPE | COUNT | SIZE,
    .counts = "messages",
    .count = 100000,
    .size = 1024,
    .tries = {"pipe-push-pop --server stream", "pipe-push-pop --client stream"},
};

static void serve(int qd)
{
    long messages = 0;
    double bytes = 0;
    uint64_t start = 0;
    for (;;) {
        demi_sgarray_t sga = pop_array(qd);
        size_t length = length_of(&sga);
        check(length == 0 || *bytes_of(&sga) == (unsigned char)messages, "a message is out of order");
        release(&sga);
        if (length == 0) {
            break;
        }
        if (messages++ == 0) {
            start = nanoseconds();
        }
        bytes += (double)length;
    }
    double took = seconds_since(start);
    printf("%ld messages, %.0f bytes one way in %.3f s: %.3f M messages/s, %.3f GB/s\n", messages, bytes, took,
           (double)messages / took * 1e-6, bytes / took * 1e-9);
}

static void stream(int qd, const struct options *options)
{
    demi_qresult_t results[WINDOW];
    long pushed = 0;
    long done = 0;
    while (done < options->count) {
        while (pushed < options->count && pushed - done < WINDOW) {
            demi_sgarray_t sga = allocate((size_t)options->size);
            memset(bytes_of(&sga), (int)(pushed & 0xff), (size_t)options->size);
            start_push(qd, &sga);
            /* The push holds on to the memory by itself. */
            release(&sga);
            pushed++;
        }
        int written = 0;
        must(demi_wait_next_n(results, WINDOW, &written, NULL), "demi_wait_next_n");
        for (int i = 0; i < written; i++) {
            must_be(&results[i], DEMI_OPC_PUSH, "push");
        }
        done += written;
    }
    must(margay_shutdown(qd, SHUT_WR), "margay_shutdown");
    printf("%ld messages of %ld bytes pushed\n", done, options->size);
    /* The server closes after it has read the end, and so ends our stream as well. */
    demi_sgarray_t end = pop_array(qd);
    release(&end);
}

int main(int argc, char *argv[])
{
    struct options options = start(argc, argv, &ABOUT);
    int qd = get_pipe(options.server, options.name);
    if (options.server) {
        serve(qd);
    } else {
        stream(qd, &options);
    }
    must(demi_close(qd), "demi_close");
    return EXIT_SUCCESS;
}
