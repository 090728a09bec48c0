/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Opens connections and closes them from the client's side, from the server's, and from both at once, in random order,
 * and checks what each side sees of it.
 */
#include "figures.h"

static const struct about ABOUT = {
    .name = "tcp-close",
    .shows = "Opens connections and closes them in random order: from the client's side, from the server's, and from both.\n"
             "Checks that each side sees the end exactly once, and that what is pending is cancelled.",
    .takes = PAIR | COUNT | CLIENTS | SEED,
    .counts = "connections",
    .clients = "connections open at once",
    .count = 1000,
    .many = 16,
    .tries = {"tcp-close --server 127.0.0.1:7000", "tcp-close --client 127.0.0.1:7000"},
};

/* Who closes: the first and only byte of a connection. */
static const char KINDS[] = {'c', 's', 'b'};

static demi_qresult_t wait_for_any_end(demi_qtoken_t qt)
{
    demi_qresult_t qr;
    must(demi_wait(&qr, qt, NULL), "demi_wait");
    return qr;
}

/* The other side closes: one pop gives the end, and the next has nothing more to give. */
static void wait_for_end(int qd)
{
    demi_sgarray_t sga = pop_array(qd);
    check(length_of(&sga) == 0, "bytes came in place of the end");
    release(&sga);
    demi_qresult_t qr = wait_for_any_end(start_pop(qd));
    check(qr.qr_opcode == DEMI_OPC_FAILED && qr.qr_ret == EPIPE, "a pop after the end did not fail with EPIPE");
    must(demi_close(qd), "demi_close");
}

/* This side closes: the pop that is pending is cancelled. */
static void close_with_a_pop(int qd, char kind)
{
    demi_qtoken_t popping = start_pop(qd);
    must(demi_close(qd), "demi_close");
    demi_qresult_t qr = wait_for_any_end(popping);
    if (kind == 'b' && qr.qr_opcode == DEMI_OPC_POP) {
        /* Where both close, the server may have been faster. */
        demi_sgarray_t sga = qr.qr_value.sga;
        check(length_of(&sga) == 0, "bytes came in place of the end");
        release(&sga);
        return;
    }
    check(qr.qr_opcode == DEMI_OPC_FAILED && qr.qr_ret == ECANCELED,
          "a pop that was pending at the close did not fail with ECANCELED");
}

static void call(const struct options *options)
{
    static int open[CLIENTS_MAX];
    uint64_t random = begin_random(options->seed);
    long closed[sizeof KINDS] = {0};
    uint64_t start = nanoseconds();
    for (long left = options->count; left > 0;) {
        long many = left < options->clients ? left : options->clients;
        for (long i = 0; i < many; i++) {
            open[i] = connect_to(&options->place);
        }
        left -= many;
        while (many > 0) {
            long which = below(&random, many);
            long kind = below(&random, sizeof KINDS);
            int qd = open[which];
            demi_qtoken_t qt;
            open[which] = open[--many];
            push_byte(qd, (unsigned char)KINDS[kind]);
            if (KINDS[kind] == 's') {
                wait_for_end(qd);
            } else {
                close_with_a_pop(qd, KINDS[kind]);
            }
            check(demi_pop(&qt, qd) == EBADF, "a pop from what is closed did not fail with EBADF");
            closed[kind]++;
        }
    }
    printf("%ld connections opened and closed, %ld here, %ld by the server, %ld by both: %.0f ns each\n", options->count,
           closed[0], closed[1], closed[2], seconds_since(start) * 1e9 / (double)options->count);
}

/* What the server expects next of a connection. */
enum next { KIND, CLOSED_THERE, NOTHING };

struct connection {
    int qd;
    enum next next;
};

/* One result of a connection's pop. True: the connection is closed now. */
static bool serve_pop(struct connection *connection, demi_qresult_t *qr, long *ends)
{
    if (connection->next == NOTHING) {
        check(qr->qr_opcode == DEMI_OPC_FAILED && qr->qr_ret == EPIPE, "a pop after the end did not fail with EPIPE");
        must(demi_close(connection->qd), "demi_close");
        return true;
    }
    must_be(qr, DEMI_OPC_POP, "pop");
    demi_sgarray_t sga = qr->qr_value.sga;
    bool ended = length_of(&sga) == 0;
    check(ended == (connection->next == CLOSED_THERE), "a connection ended too early or too late");
    bool close_here = !ended && *bytes_of(&sga) != 'c';
    release(&sga);
    if (close_here) {
        must(demi_close(connection->qd), "demi_close");
        return true;
    }
    *ends += ended;
    connection->next = ended ? NOTHING : CLOSED_THERE;
    start_pop(connection->qd);
    return false;
}

static void serve(const struct options *options)
{
    /* Those that the client has not closed yet, and those that we have not. */
    static struct connection connections[2 * CLIENTS_MAX];
    demi_qresult_t results[BATCH];
    long many = 0;
    long accepted = 0;
    long closed = 0;
    long ends = 0;
    int listening = listen_at(&options->place, options->clients);
    start_accept(listening);
    while (closed < options->count) {
        int written = 0;
        must(demi_wait_next_n(results, BATCH, &written, NULL), "demi_wait_next_n");
        for (int i = 0; i < written; i++) {
            demi_qresult_t *qr = &results[i];
            if (qr->qr_qd == listening) {
                must_be(qr, DEMI_OPC_ACCEPT, "accept");
                check(many < 2 * CLIENTS_MAX, "too many connections: start both sides with the same numbers");
                connections[many++] = (struct connection){.qd = qr->qr_value.ares.qd, .next = KIND};
                start_pop(qr->qr_value.ares.qd);
                if (++accepted < options->count) {
                    start_accept(listening);
                }
                continue;
            }
            long which = 0;
            while (which < many && connections[which].qd != qr->qr_qd) {
                which++;
            }
            check(which < many, "a result came for a connection that is not ours");
            if (serve_pop(&connections[which], qr, &ends)) {
                connections[which] = connections[--many];
                closed++;
            }
        }
    }
    must(demi_close(listening), "demi_close");
    printf("%ld connections accepted and closed, %ld after their end had been seen\n", closed, ends);
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
