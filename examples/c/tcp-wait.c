/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * One wait over many connections, with a time limit: what comes first is served first, and a limit that passes leaves
 * every operation pending.
 */
#include "figures.h"

static const struct about ABOUT = {
    .name = "tcp-wait",
    .shows = "Waits for whichever of many connections has something, with a time limit. The client sends over connections\n"
             "picked at random and rests now and then, so that limits pass.",
    .takes = PAIR | COUNT | CLIENTS | SEED,
    .counts = "messages of one byte",
    .clients = "connections",
    .count = 10000,
    .many = 64,
    .tries = {"tcp-wait --server 127.0.0.1:7000", "tcp-wait --client 127.0.0.1:7000"},
};

/* The server's limit of each wait, and the client's rests, which are longer. */
static const struct timespec LIMIT = {0, 10000000};
static const struct timespec REST = {0, 50000000};
#define RESTS 3

/* Connections that the server waits for: entry by entry, their pops and the bytes that have come. */
static int qds[CLIENTS_MAX];
static demi_qtoken_t pops[CLIENTS_MAX];
static uint64_t bytes[CLIENTS_MAX];

/* Serves until every connection has ended; says how often the limit passed. */
static long serve_until_the_end(long many, long *total)
{
    long passed = 0;
    while (many > 0) {
        demi_qresult_t qr;
        int which = -1;
        int result = demi_wait_any(&qr, &which, pops, (int)many, &LIMIT);
        if (result == ETIMEDOUT) {
            passed++;
            continue;
        }
        must(result, "demi_wait_any");
        must_be(&qr, DEMI_OPC_POP, "pop");
        check(which >= 0 && which < many && qr.qr_qd == qds[which] && qr.qr_qt == pops[which],
              "a result came for another connection");
        demi_sgarray_t sga = qr.qr_value.sga;
        size_t length = length_of(&sga);
        for (size_t i = 0; i < length; i++) {
            /* The bytes of each connection are numbered. */
            check(bytes_of(&sga)[i] == (unsigned char)bytes[which]++, "a byte came out of order");
        }
        release(&sga);
        *total += (long)length;
        if (length > 0) {
            pops[which] = start_pop(qds[which]);
            continue;
        }
        must(demi_close(qds[which]), "demi_close");
        many--;
        qds[which] = qds[many];
        pops[which] = pops[many];
        bytes[which] = bytes[many];
    }
    return passed;
}

static void serve(const struct options *options)
{
    const struct timespec at_once = {0, 0};
    demi_qresult_t qr;
    int which = -1;
    long total = 0;
    int listening = listen_at(&options->place, options->clients);
    for (long i = 0; i < options->clients; i++) {
        qds[i] = accept_one(listening);
        pops[i] = start_pop(qds[i]);
    }
    /* Nothing is sent before the client is told so: these limits must pass, and the pops must stay. */
    check(demi_wait_any(&qr, &which, pops, (int)options->clients, &at_once) == ETIMEDOUT &&
              demi_wait_any(&qr, &which, pops, (int)options->clients, &LIMIT) == ETIMEDOUT,
          "a connection had something before it was sent");
    for (long i = 0; i < options->clients; i++) {
        push_byte(qds[i], '!');
    }
    long passed = serve_until_the_end(options->clients, &total);
    must(demi_close(listening), "demi_close");
    check(total == options->count, "another number of messages came: start both sides with the same numbers");
    printf("%ld messages over %ld connections, the limit passed %ld times\n", total, options->clients, passed);
}

static void call(const struct options *options)
{
    uint64_t random = begin_random(options->seed);
    for (long i = 0; i < options->clients; i++) {
        qds[i] = connect_to(&options->place);
    }
    for (long i = 0; i < options->clients; i++) {
        pop_filled(qds[i], 1, '!');
    }
    uint64_t start = nanoseconds();
    for (long i = 0; i < options->count; i++) {
        if (i % ((options->count + RESTS - 1) / RESTS) == 0) {
            nanosleep(&REST, NULL);
        }
        long which = below(&random, options->clients);
        push_byte(qds[which], (unsigned char)bytes[which]++);
    }
    double took = seconds_since(start);
    for (long i = 0; i < options->clients; i++) {
        must(demi_close(qds[i]), "demi_close");
    }
    printf("%ld messages sent over %ld connections in %.3f s\n", options->count, options->clients, took);
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
