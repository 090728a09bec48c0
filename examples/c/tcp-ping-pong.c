/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Sends a message back and forth over one connection. The server returns the memory that it popped, so it copies nothing
 * itself.
 */
#include "figures.h"

static const struct about ABOUT = {
    .name = "tcp-ping-pong",
    .shows = "Sends a message back and forth over a stream socket, and prints how long a round trip takes.",
    .takes = PAIR | COUNT | SIZE,
    .counts = "round trips",
    .count = 100000,
    .size = 64,
    .tries = {"tcp-ping-pong --server 127.0.0.1:7000", "tcp-ping-pong --client 127.0.0.1:7000"},
};

static void serve(const struct options *options)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    int listening = listen_at(&options->place, 1);
    int qd = accept_one(listening);
    must(demi_getpeername(qd, (struct sockaddr *)&peer, &length), "demi_getpeername");
    printf("%s connected\n", text_of((const struct sockaddr *)&peer));
    double bytes = 0;
    for (;;) {
        demi_sgarray_t sga = pop_array(qd);
        size_t popped = length_of(&sga);
        if (popped > 0) {
            push_array(qd, &sga);
        }
        release(&sga);
        if (popped == 0) {
            break;
        }
        bytes += (double)popped;
    }
    must(demi_close(qd), "demi_close");
    must(demi_close(listening), "demi_close");
    printf("%.0f bytes returned\n", bytes);
}

static void call(const struct options *options)
{
    size_t size = (size_t)options->size;
    int qd = connect_to(&options->place);
    demi_sgarray_t ping = allocate(size);
    uint64_t start = nanoseconds();
    for (long i = 0; i < options->count; i++) {
        memset(bytes_of(&ping), (int)(i & 0xff), size);
        /* Popped while it is still being pushed: a message may be longer than what both directions hold. */
        demi_qtoken_t pushed = start_push(qd, &ping);
        pop_filled(qd, size, (unsigned char)i);
        wait_for(pushed, DEMI_OPC_PUSH, "push");
    }
    double took = seconds_since(start);
    release(&ping);
    must(demi_close(qd), "demi_close");
    printf("%ld round trips of %ld bytes in %.3f s: %.0f ns each\n", options->count, options->size, took,
           took * 1e9 / (double)options->count);
}

int main(int argc, char *argv[])
{
    struct options options = start(argc, argv, &ABOUT);
    if (options.server) {
        serve(&options);
    } else {
        call(&options);
    }
    return EXIT_SUCCESS;
}
