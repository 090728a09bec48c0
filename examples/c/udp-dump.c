/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Prints the datagrams that arrive: the counterpart of udp-pktgen.
 */
#include "datagrams.h"
#include "figures.h"

static const struct about ABOUT = {
    .name = "udp-dump",
    .shows = "Prints the datagrams that arrive: sender, length, first bytes. Ends when it has enough, or when none has come\n"
             "for two seconds.",
    .takes = SERVER | COUNT,
    .counts = "datagrams",
    .count = 16,
    .tries = {"udp-dump --server 127.0.0.1:7000", "udp-pktgen --client 127.0.0.1:7000 --count 16 --rate 50"},
};

int main(int argc, char *argv[])
{
    struct options options = start(argc, argv, &ABOUT);
    int qd = bound_socket(&options.place, SOCK_DGRAM);
    long came = 0;
    unsigned long long bytes = 0;
    say_where(qd);
    while (came < options.count) {
        demi_qresult_t qr;
        /* Nobody says which datagram is the last. */
        int result = demi_wait(&qr, start_pop(qd), came > 0 ? &QUIET : NULL);
        if (result == ETIMEDOUT) {
            break;
        }
        must(result, "demi_wait");
        must_be(&qr, DEMI_OPC_POP, "pop");
        demi_sgarray_t sga = qr.qr_value.sga;
        struct sockaddr_in sender = sga.sga_addr;
        printf("%6ld: %6zu bytes from %s:", came, length_of(&sga),
               sender.sin_family == AF_INET ? text_of((const struct sockaddr *)&sender) : "an IPv6 address");
        print_head(&sga);
        came++;
        bytes += length_of(&sga);
        release(&sga);
    }
    must(demi_close(qd), "demi_close");
    printf("%llu bytes in %ld datagrams\n", bytes, came);
    return EXIT_SUCCESS;
}
