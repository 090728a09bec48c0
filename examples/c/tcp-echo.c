/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Many connections at once on one thread: a server that returns all that it gets, and clients that measure it.
 */
#include "figures.h"

static const struct about ABOUT = {
    .name = "tcp-echo",
    .shows = "Echoes messages over stream sockets, to many clients at once or to one after the other, and prints throughput\n"
             "and latency.",
    .takes = PAIR | COUNT | SIZE | CLIENTS | RUN_MODE,
    .counts = "messages of each client",
    .clients = "connections",
    .count = 10000,
    .size = 64,
    .many = 4,
    .tries = {"tcp-echo --server 127.0.0.1:7000 --clients 4", "tcp-echo --client 127.0.0.1:7000 --clients 4"},
};

static double serve_each(int listening, long clients)
{
    double bytes = 0;
    for (long i = 0; i < clients; i++) {
        int qd = accept_one(listening);
        for (;;) {
            demi_sgarray_t sga = pop_array(qd);
            size_t length = length_of(&sga);
            if (length > 0) {
                /* The memory that was popped is pushed: nothing is copied here. */
                push_array(qd, &sga);
            }
            release(&sga);
            if (length == 0) {
                break;
            }
            bytes += (double)length;
        }
        must(demi_close(qd), "demi_close");
    }
    return bytes;
}

static double serve_all(int listening, long clients)
{
    demi_qresult_t results[BATCH];
    long accepted = 0;
    long closed = 0;
    double bytes = 0;
    start_accept(listening);
    while (closed < clients) {
        int written = 0;
        must(demi_wait_next_n(results, BATCH, &written, NULL), "demi_wait_next_n");
        for (int i = 0; i < written; i++) {
            demi_qresult_t *qr = &results[i];
            switch (qr->qr_opcode) {
            case DEMI_OPC_ACCEPT:
                start_pop(qr->qr_value.ares.qd);
                if (++accepted < clients) {
                    start_accept(listening);
                }
                break;
            case DEMI_OPC_POP: {
                demi_sgarray_t sga = qr->qr_value.sga;
                size_t length = length_of(&sga);
                if (length > 0) {
                    start_push(qr->qr_qd, &sga);
                } else {
                    must(demi_close(qr->qr_qd), "demi_close");
                    closed++;
                }
                release(&sga);
                bytes += (double)length;
                break;
            }
            default:
                must_be(qr, DEMI_OPC_PUSH, "serve");
                start_pop(qr->qr_qd);
            }
        }
    }
    return bytes;
}

/* A connection, and the message that is on its way. */
struct connection {
    int qd;
    long number;    /* messages that came back */
    size_t missing; /* bytes of the message that are still to come */
    uint64_t since;
};

static void send_next(struct connection *connection, size_t size)
{
    demi_sgarray_t sga = allocate(size);
    memset(bytes_of(&sga), (int)(connection->number & 0xff), size);
    connection->missing = size;
    connection->since = nanoseconds();
    start_push(connection->qd, &sga);
    /* The push holds on to the memory by itself. */
    release(&sga);
    start_pop(connection->qd);
}

/* Takes a part of a message. */
static void take(struct connection *connection, demi_sgarray_t *sga)
{
    size_t length = length_of(sga);
    check(length > 0 && length <= connection->missing && is_filled(sga, (unsigned char)connection->number),
          "a message did not come back as it was sent");
    connection->missing -= length;
    release(sga);
}

static struct connection *find(struct connection *connections, long many, int qd)
{
    for (long i = 0; i < many; i++) {
        if (connections[i].qd == qd) {
            return &connections[i];
        }
    }
    check(false, "a result came for a connection that is not ours");
    return NULL;
}

/* Opens so many connections, sends all messages over each, and closes them. */
static void drive(const struct options *options, long many, struct latencies *latencies)
{
    static struct connection connections[CLIENTS_MAX];
    demi_qresult_t results[BATCH];
    for (long i = 0; i < many; i++) {
        connections[i] = (struct connection){.qd = connect_to(&options->place)};
    }
    for (long i = 0; i < many; i++) {
        send_next(&connections[i], (size_t)options->size);
    }
    for (long open = many; open > 0;) {
        int written = 0;
        must(demi_wait_next_n(results, BATCH, &written, NULL), "demi_wait_next_n");
        for (int i = 0; i < written; i++) {
            if (results[i].qr_opcode == DEMI_OPC_PUSH) {
                continue;
            }
            must_be(&results[i], DEMI_OPC_POP, "call");
            struct connection *connection = find(connections, many, results[i].qr_qd);
            demi_sgarray_t sga = results[i].qr_value.sga;
            take(connection, &sga);
            if (connection->missing > 0) {
                start_pop(connection->qd);
                continue;
            }
            add_latency(latencies, nanoseconds() - connection->since);
            if (++connection->number < options->count) {
                send_next(connection, (size_t)options->size);
                continue;
            }
            must(demi_close(connection->qd), "demi_close");
            connection->qd = -1;
            open--;
        }
    }
}

static void call(const struct options *options)
{
    static struct latencies latencies;
    long at_once = options->concurrent ? options->clients : 1;
    uint64_t start = nanoseconds();
    for (long i = 0; i < options->clients / at_once; i++) {
        drive(options, at_once, &latencies);
    }
    double took = seconds_since(start);
    double messages = (double)options->count * (double)options->clients;
    printf("%ld connections, %.0f messages of %ld bytes there and back in %.3f s: %.0f messages/s, %.2f MB/s, "
           "latency p50 %.1f us, p99 %.1f us\n",
           options->clients, messages, options->size, took, messages / took,
           messages * (double)options->size / took * 1e-6, percentile(&latencies, 50), percentile(&latencies, 99));
}

int main(int argc, char *argv[])
{
    struct options options = start(argc, argv, &ABOUT);
    if (!options.server) {
        call(&options);
        return EXIT_SUCCESS;
    }
    int listening = listen_at(&options.place, options.clients);
    double bytes = options.concurrent ? serve_all(listening, options.clients) : serve_each(listening, options.clients);
    printf("%ld connections served, %.0f bytes returned\n", options.clients, bytes);
    must(demi_close(listening), "demi_close");
    return EXIT_SUCCESS;
}
