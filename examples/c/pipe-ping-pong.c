/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Sends a message back and forth over a pipe. The server returns the memory that it popped, so it copies nothing itself.
 */
#include "common.h"

static void serve(int qd)
{
    long served = 0;
    for (;; served++) {
        demi_sgarray_t sga = pop_array(qd);
        bool end = sga.sga_segs[0].sgaseg_len == 0;
        if (!end) {
            push_array(qd, &sga);
        }
        must(demi_sgafree(&sga), "demi_sgafree");
        if (end) {
            break;
        }
    }
    printf("%ld messages returned\n", served);
}

static void call(int qd, const struct options *options)
{
    size_t size = (size_t)options->size;
    demi_sgarray_t ping = allocate(size);
    double start = seconds();
    for (long i = 0; i < options->count; i++) {
        memset(ping.sga_segs[0].sgaseg_buf, (int)(i & 0xff), size);
        push_array(qd, &ping);
        demi_sgarray_t pong = pop_array(qd);
        if (pong.sga_segs[0].sgaseg_len != size ||
            memcmp(pong.sga_segs[0].sgaseg_buf, ping.sga_segs[0].sgaseg_buf, size) != 0) {
            fprintf(stderr, "message %ld did not come back as it was sent\n", i);
            exit(EXIT_FAILURE);
        }
        must(demi_sgafree(&pong), "demi_sgafree");
    }
    double took = seconds() - start;
    must(demi_sgafree(&ping), "demi_sgafree");
    printf("%ld round trips of %zu bytes in %.3f s: %.0f ns each\n", options->count, size, took,
           took * 1e9 / (double)options->count);
}

int main(int argc, char *argv[])
{
    struct options options = parse(argc, argv, "Sends a message back and forth over a pipe.", 100000, 64);
    struct demi_args args = {.argc = argc, .argv = argv, .callback = NULL};
    must(demi_init(&args), "demi_init");
    int qd = get_pipe(options.server, options.name);
    if (options.server) {
        serve(qd);
    } else {
        call(qd, &options);
    }
    must(demi_close(qd), "demi_close");
    must(margay_fini(), "margay_fini");
    return EXIT_SUCCESS;
}
