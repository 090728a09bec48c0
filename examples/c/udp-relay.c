/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Passes datagrams on to another address, and the answers back: each sender has a socket of its own towards there, as in
 * a network address translator.
 */
#include "datagrams.h"

static const struct about ABOUT = {
    .name = "udp-relay",
    .shows = "Passes datagrams on to another address, and the answers back to whoever asked. Ends when it has passed on\n"
             "enough, or when nothing has come for two seconds.",
    .takes = RELAY | COUNT | CLIENTS,
    .counts = "datagrams to pass on, both ways together",
    .clients = "senders remembered; the oldest goes",
    .count = 1000000,
    .many = 16,
    .tries = {"udp-ping-pong --server 127.0.0.1:7001", "udp-relay --listen 127.0.0.1:7000 --to 127.0.0.1:7001",
              "udp-ping-pong --client 127.0.0.1:7000"},
};

/* Somebody who has sent something, and the socket on which the answers come. */
struct guest {
    struct sockaddr_in address;
    int qd;
    demi_qtoken_t pop;
};

static struct guest guests[CLIENTS_MAX];
static long met; /* guest number n is at n modulo the number of those who are remembered */

/* The guest with this address; makes a socket for somebody new, in the place of the one who came first. */
static struct guest *meet(struct sockaddr_in address, const struct options *options)
{
    for (long i = 0; i < met && i < options->clients; i++) {
        if (guests[i].address.sin_port == address.sin_port && guests[i].address.sin_addr.s_addr == address.sin_addr.s_addr) {
            return &guests[i];
        }
    }
    struct guest *guest = &guests[met % options->clients];
    if (met >= options->clients) {
        must(demi_close(guest->qd), "demi_close");
    }
    guest->address = address;
    guest->qd = make_caller(&options->to).qd;
    guest->pop = start_pop(guest->qd);
    met++;
    return guest;
}

static struct guest *find(int qd, const struct options *options)
{
    for (long i = 0; i < met && i < options->clients; i++) {
        if (guests[i].qd == qd) {
            return &guests[i];
        }
    }
    return NULL;
}

int main(int argc, char *argv[])
{
    struct options options = start(argc, argv, &ABOUT);
    demi_qresult_t results[BATCH];
    long passed = 0;
    long refused = 0;
    int listening = bound_socket(&options.place, SOCK_DGRAM);
    say_where(listening);
    start_pop(listening);
    while (passed < options.count) {
        int written = 0;
        /* Nobody says which datagram is the last. */
        int result = demi_wait_next_n(results, BATCH, &written, passed > 0 ? &QUIET : NULL);
        if (result == ETIMEDOUT) {
            break;
        }
        must(result, "demi_wait_next_n");
        for (int i = 0; i < written; i++) {
            demi_qresult_t *qr = &results[i];
            struct guest *guest = find(qr->qr_qd, &options);
            demi_sgarray_t sga = qr->qr_value.sga;
            if (qr->qr_opcode == DEMI_OPC_PUSH || (qr->qr_opcode == DEMI_OPC_FAILED && qr->qr_ret == ECANCELED)) {
                /* A pop is cancelled when its guest is forgotten. */
                continue;
            }
            if (qr->qr_opcode == DEMI_OPC_FAILED && qr->qr_ret == ECONNREFUSED) {
                /* Nobody is there yet, or any more: what was for them is lost, as datagrams are. */
                refused++;
                if (guest != NULL && guest->pop == qr->qr_qt) {
                    guest->pop = start_pop(guest->qd);
                }
                continue;
            }
            must_be(qr, DEMI_OPC_POP, "relay");
            if (qr->qr_qd == listening) {
                check(sga.sga_addr.sin_family == AF_INET, "an array has room for an IPv4 sender alone: listen at an IPv4 address");
                start_push(meet(sga.sga_addr, &options)->qd, &sga);
                start_pop(listening);
                passed++;
            } else if (guest != NULL) {
                start_push_to(listening, &sga, (const struct sockaddr *)&guest->address, sizeof guest->address);
                guest->pop = start_pop(guest->qd);
                passed++;
            }
            release(&sga);
        }
    }
    must(demi_close(listening), "demi_close");
    printf("%ld datagrams passed on for %ld senders, %ld times nobody was there\n", passed, met, refused);
    return EXIT_SUCCESS;
}
