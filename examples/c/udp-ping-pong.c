/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Sends a datagram back and forth. The client's socket is connected, so that it hears from the server alone; the server's
 * is not, and answers whoever asks.
 */
#include "datagrams.h"
#include "figures.h"

static const struct about ABOUT = {
    .name = "udp-ping-pong",
    .shows = "Sends a datagram back and forth, and prints how long a round trip takes. What is lost is sent again.",
    .takes = PAIR | COUNT | SIZE,
    .counts = "round trips",
    .count = 100000,
    .size = 64,
    .tries = {"udp-ping-pong --server 127.0.0.1:7000", "udp-ping-pong --client 127.0.0.1:7000"},
};

static void serve(const struct options *options)
{
    int qd = bound_socket(&options->place, SOCK_DGRAM);
    long returned = 0;
    say_where(qd);
    for (bool end = false; !end;) {
        demi_sgarray_t sga = pop_array(qd);
        end = is_mark(&sga, END);
        /* The memory that was popped is pushed: nothing is copied here. */
        push_back(qd, &sga);
        release(&sga);
        returned += !end;
    }
    must(demi_close(qd), "demi_close");
    printf("%ld datagrams returned\n", returned);
}

static void call(const struct options *options)
{
    struct caller caller = make_caller(&options->place);
    demi_sgarray_t ping = allocate((size_t)options->size);
    /* The first answer says that the server is there. */
    ask_mark(&caller, HELLO);
    caller.again = 0;
    uint64_t start = nanoseconds();
    for (long i = 0; i < options->count; i++) {
        set_number(&ping, (uint64_t)i);
        demi_sgarray_t pong = ask(&caller, &ping);
        check(memcmp(bytes_of(&pong), bytes_of(&ping), (size_t)options->size) == 0,
              "a datagram did not come back as it was sent");
        release(&pong);
    }
    double took = seconds_since(start);
    long again = caller.again;
    release(&ping);
    ask_mark(&caller, END);
    must(demi_close(caller.qd), "demi_close");
    printf("%ld round trips of %ld bytes in %.3f s: %.0f ns each, %ld sent again\n", options->count, options->size, took,
           took * 1e9 / (double)options->count, again);
}

int main(int argc, char *argv[])
{
    struct options options = start(argc, argv, &ABOUT);
    must_fit_number(options.size);
    if (options.server) {
        serve(&options);
    } else {
        call(&options);
    }
    return EXIT_SUCCESS;
}
