/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Streams messages one way: the client keeps many pushes under way, the server pops until the end of the stream.
 */
#include "common.h"

/* Pushes that the client keeps under way at once. */
#define WINDOW 32

static void serve(int qd)
{
    const struct timespec limit = {PATIENCE, 0};
    demi_qtoken_t qt;
    demi_qresult_t qr;
    long messages = 0;
    double bytes = 0;
    double start = 0;
    for (;;) {
        must(demi_pop(&qt, qd), "demi_pop");
        must(demi_wait(&qr, qt, &limit), "pop");
        must_be(&qr, DEMI_OPC_POP, "pop");
        demi_sgarray_t sga = qr.qr_value.sga;
        size_t length = sga.sga_segs[0].sgaseg_len;
        if (length > 0 && *(unsigned char *)sga.sga_segs[0].sgaseg_buf != (unsigned char)messages) {
            fprintf(stderr, "message %ld is out of order\n", messages);
            exit(EXIT_FAILURE);
        }
        must(demi_sgafree(&sga), "demi_sgafree");
        if (length == 0) {
            break;
        }
        if (messages++ == 0) {
            start = seconds();
        }
        bytes += (double)length;
    }
    double took = seconds() - start;
    printf("%ld messages, %.0f bytes in %.3f s: %.2f M messages/s, %.3f GB/s\n", messages, bytes, took,
           (double)messages / took * 1e-6, bytes / took * 1e-9);
}

static void stream(int qd, const struct options *options)
{
    const struct timespec limit = {PATIENCE, 0};
    demi_qresult_t results[WINDOW];
    long pushed = 0;
    long done = 0;
    while (done < options->count) {
        while (pushed < options->count && pushed - done < WINDOW) {
            demi_qtoken_t qt;
            demi_sgarray_t sga = allocate((size_t)options->size);
            memset(sga.sga_segs[0].sgaseg_buf, (int)(pushed & 0xff), (size_t)options->size);
            must(demi_push(&qt, qd, &sga), "demi_push");
            /* The push holds on to the memory by itself. */
            must(demi_sgafree(&sga), "demi_sgafree");
            pushed++;
        }
        int written = 0;
        must(demi_wait_next_n(results, WINDOW, &written, &limit), "demi_wait_next_n");
        for (int i = 0; i < written; i++) {
            must_be(&results[i], DEMI_OPC_PUSH, "push");
        }
        done += written;
    }
    must(margay_shutdown(qd, SHUT_WR), "margay_shutdown");
    printf("%ld messages of %ld bytes pushed\n", done, options->size);
    /* The server closes after it has read the end, and so ends our stream as well. */
    demi_sgarray_t end = pop_array(qd);
    must(demi_sgafree(&end), "demi_sgafree");
}

int main(int argc, char *argv[])
{
    struct options options = parse(argc, argv, "Streams messages one way over a pipe.", 100000, 1024);
    struct demi_args args = {.argc = argc, .argv = argv, .callback = NULL};
    must(demi_init(&args), "demi_init");
    int qd = get_pipe(options.server, options.name);
    if (options.server) {
        serve(qd);
    } else {
        stream(qd, &options);
    }
    must(demi_close(qd), "demi_close");
    must(margay_fini(), "margay_fini");
    return EXIT_SUCCESS;
}
