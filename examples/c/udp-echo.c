/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Many datagram sockets at once on one thread: a server that returns what it gets to whoever sent it, and clients that
 * measure it and send again what is lost.
 */
#include "datagrams.h"
#include "figures.h"

static const struct about ABOUT = {
    .name = "udp-echo",
    .shows = "Echoes datagrams to many clients at once, and prints throughput and latency. What is lost is sent again.",
    .takes = PAIR | COUNT | SIZE | CLIENTS,
    .counts = "messages of each client",
    .clients = "sockets of the client",
    .count = 10000,
    .size = 64,
    .many = 4,
    .tries = {"udp-echo --server 127.0.0.1:7000 --clients 4", "udp-echo --client 127.0.0.1:7000 --clients 4"},
};

static void serve(const struct options *options)
{
    static struct sockaddr_in ended[CLIENTS_MAX];
    long ends = 0;
    long returned = 0;
    int qd = bound_socket(&options->place, SOCK_DGRAM);
    say_where(qd);
    while (ends < options->clients) {
        demi_sgarray_t sga = pop_array(qd);
        if (is_mark(&sga, END)) {
            struct sockaddr_in sender = sga.sga_addr;
            long known = 0;
            while (known < ends && (ended[known].sin_port != sender.sin_port ||
                                    ended[known].sin_addr.s_addr != sender.sin_addr.s_addr)) {
                known++;
            }
            ended[known] = sender;
            ends += known == ends;
        }
        push_back(qd, &sga);
        release(&sga);
        returned++;
    }
    must(demi_close(qd), "demi_close");
    printf("%ld datagrams of %ld clients returned\n", returned, ends);
}

/* A socket, and its message that is on its way. */
struct client {
    int qd;
    long number;
    uint64_t since;
};

/* Sends the message, or the end behind the last one. */
static void send_next(struct client *client, const struct options *options)
{
    bool last = client->number == options->count;
    demi_sgarray_t sga = allocate(last ? 1 : (size_t)options->size);
    if (last) {
        *bytes_of(&sga) = END;
    } else {
        set_number(&sga, (uint64_t)client->number);
    }
    client->since = nanoseconds();
    start_push_to(client->qd, &sga, (const struct sockaddr *)&options->place.address, options->place.length);
    /* The push holds on to the memory by itself. */
    release(&sga);
}

/* Takes an answer. True: it was the last. */
static bool take(struct client *client, const demi_sgarray_t *sga, const struct options *options,
                 struct latencies *latencies)
{
    if (client->number == options->count && is_mark(sga, END)) {
        return true;
    }
    /* Anything else is the second answer to an earlier message. */
    if (number_of(sga) == (uint64_t)client->number) {
        add_latency(latencies, nanoseconds() - client->since);
        client->number++;
        send_next(client, options);
    }
    start_pop(client->qd);
    return false;
}

static void call(const struct options *options)
{
    static struct client clients[CLIENTS_MAX];
    static struct latencies latencies;
    demi_qresult_t results[BATCH];
    long open = options->clients;
    long again = 0;
    uint64_t start = nanoseconds();
    for (long i = 0; i < open; i++) {
        clients[i] = (struct client){.qd = make_socket(&options->place, SOCK_DGRAM)};
        send_next(&clients[i], options);
        start_pop(clients[i].qd);
    }
    while (open > 0) {
        int written = 0;
        int result = demi_wait_next_n(results, BATCH, &written, &RESEND);
        if (result == ETIMEDOUT) {
            for (long i = 0; i < open; i++) {
                send_next(&clients[i], options);
            }
            again += open;
            continue;
        }
        must(result, "demi_wait_next_n");
        for (int i = 0; i < written; i++) {
            if (results[i].qr_opcode == DEMI_OPC_PUSH) {
                continue;
            }
            must_be(&results[i], DEMI_OPC_POP, "pop");
            long which = 0;
            while (which < open && clients[which].qd != results[i].qr_qd) {
                which++;
            }
            check(which < open, "a result came for a socket that is not ours");
            demi_sgarray_t sga = results[i].qr_value.sga;
            if (take(&clients[which], &sga, options, &latencies)) {
                must(demi_close(clients[which].qd), "demi_close");
                clients[which] = clients[--open];
            }
            release(&sga);
        }
    }
    double took = seconds_since(start);
    double messages = (double)options->count * (double)options->clients;
    printf("%ld sockets, %.0f datagrams of %ld bytes there and back in %.3f s: %.0f datagrams/s, %.2f MB/s, "
           "latency p50 %.1f us, p99 %.1f us, %ld sent again\n",
           options->clients, messages, options->size, took, messages / took,
           messages * (double)options->size / took * 1e-6, percentile(&latencies, 50), percentile(&latencies, 99), again);
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
