/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Streams messages one way: the client keeps many pushes under way and closes, the server pops until the end.
 */
#include "figures.h"

/* Pushes that the client keeps under way at once. */
#define WINDOW 32

static const struct about ABOUT = {
    .name = "tcp-push-pop",
    .shows = "Streams messages one way over a stream socket, and prints the throughput.",
    .takes = PAIR | COUNT | SIZE,
    .counts = "messages",
    .count = 100000,
    .size = 1024,
    .tries = {"tcp-push-pop --server 127.0.0.1:7000", "tcp-push-pop --client 127.0.0.1:7000"},
};

static void serve(const struct options *options)
{
    int listening = listen_at(&options->place, 1);
    int qd = accept_one(listening);
    uint64_t size = (uint64_t)options->size;
    uint64_t bytes = 0;
    uint64_t start = 0;
    for (;;) {
        demi_sgarray_t sga = pop_array(qd);
        size_t length = length_of(&sga);
        if (length > 0) {
            /* Message n consists of bytes n. A look at the first and the last shows what is lost or moved. */
            uint64_t last = bytes + length - 1;
            check(bytes_of(&sga)[0] == (unsigned char)(bytes / size) &&
                      bytes_of(&sga)[length - 1] == (unsigned char)(last / size),
                  "bytes are not as they were pushed: start both sides with the same --size");
        }
        release(&sga);
        if (length == 0) {
            break;
        }
        start = bytes == 0 ? nanoseconds() : start;
        bytes += length;
    }
    double took = seconds_since(start);
    must(demi_close(qd), "demi_close");
    must(demi_close(listening), "demi_close");
    check(bytes == (uint64_t)options->count * size, "the end came too early or too late: start both sides with the same numbers");
    printf("%ld messages, %llu bytes one way in %.3f s: %.3f M messages/s, %.3f GB/s\n", options->count,
           (unsigned long long)bytes, took, (double)options->count / took * 1e-6, (double)bytes / took * 1e-9);
}

static void stream(const struct options *options)
{
    demi_qresult_t results[WINDOW];
    int qd = connect_to(&options->place);
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
    /* What was pushed is delivered also after the close. */
    must(demi_close(qd), "demi_close");
    printf("%ld messages of %ld bytes pushed\n", done, options->size);
}

int main(int argc, char *argv[])
{
    struct options options = start(argc, argv, &ABOUT);
    if (options.server) {
        serve(&options);
    } else {
        stream(&options);
    }
    return EXIT_SUCCESS;
}
