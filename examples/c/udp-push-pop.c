/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Sends numbered datagrams one way and counts what arrives: they come whole or not at all, and a receiver does not slow
 * the sender down.
 */
#include "datagrams.h"
#include "figures.h"

static const struct about ABOUT = {
    .name = "udp-push-pop",
    .shows = "Sends numbered datagrams one way, and prints how many arrive, and how fast. Nothing slows the sender down but\n"
             "--rate: what finds no room is lost.",
    .takes = PAIR | COUNT | SIZE | RATE,
    .counts = "datagrams",
    .count = 100000,
    .size = 1024,
    .tries = {"udp-push-pop --server 127.0.0.1:7000", "udp-push-pop --client 127.0.0.1:7000"},
};

static void serve(const struct options *options)
{
    int qd = bound_socket(&options->place, SOCK_DGRAM);
    long came = 0;
    long late = 0;
    uint64_t next = 0;
    uint64_t start = nanoseconds();
    say_where(qd);
    for (bool end = false; !end;) {
        demi_sgarray_t sga = pop_array(qd);
        uint64_t number = number_of(&sga);
        if (number == UINT64_MAX) {
            end = is_mark(&sga, END);
            push_back(qd, &sga);
            start = end ? start : nanoseconds();
        } else {
            check(length_of(&sga) == (size_t)options->size,
                  "a datagram has another length: start both sides with the same --size");
            came++;
            late += number < next;
            next = number < next ? next : number + 1;
        }
        release(&sga);
    }
    double took = seconds_since(start);
    must(demi_close(qd), "demi_close");
    check(came <= options->count, "too many datagrams came: start both sides with the same numbers");
    printf("%ld of %ld datagrams came in %.3f s, %ld were lost, %ld came late: %.3f M datagrams/s, %.3f GB/s\n", came,
           options->count, took, options->count - came, late, (double)came / took * 1e-6,
           (double)came * (double)options->size / took * 1e-9);
}

static void send_all(const struct options *options)
{
    struct caller caller = make_caller(&options->place);
    ask_mark(&caller, HELLO);
    uint64_t start = nanoseconds();
    for (long i = 0; i < options->count; i++) {
        keep_pace(start, options->rate, i);
        demi_sgarray_t sga = allocate((size_t)options->size);
        set_number(&sga, (uint64_t)i);
        push_array(caller.qd, &sga);
        release(&sga);
    }
    double took = seconds_since(start);
    ask_mark(&caller, END);
    must(demi_close(caller.qd), "demi_close");
    printf("%ld datagrams of %ld bytes pushed in %.3f s\n", options->count, options->size, took);
}

int main(int argc, char *argv[])
{
    struct options options = start(argc, argv, &ABOUT);
    must_fit_number(options.size);
    if (options.server) {
        serve(&options);
    } else {
        send_all(&options);
    }
    return EXIT_SUCCESS;
}
