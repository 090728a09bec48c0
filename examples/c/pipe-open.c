/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Creates, opens and closes many pipes, one after another, with one message over each.
 */
#include "common.h"

int main(int argc, char *argv[])
{
    struct options options = parse(argc, argv, "Opens and closes many pipes.", 1000, 64);
    struct demi_args args = {.argc = argc, .argv = argv, .callback = NULL};
    must(demi_init(&args), "demi_init");
    double start = seconds();
    for (long i = 0; i < options.count; i++) {
        char name[MARGAY_PIPE_NAME_MAX + 1];
        int length = snprintf(name, sizeof name, "%s-%ld", options.name, i);
        if (length < 0 || (size_t)length >= sizeof name) {
            fprintf(stderr, "the name is too long: %s\n", options.name);
            return 2;
        }
        int qd = get_pipe(options.server, name);
        if (!options.server) {
            demi_sgarray_t sga = allocate((size_t)options.size);
            memset(sga.sga_segs[0].sgaseg_buf, (int)(i & 0xff), (size_t)options.size);
            push_array(qd, &sga);
            must(demi_sgafree(&sga), "demi_sgafree");
        }
        /* The server pops the message, and the client the end of the stream that the server's close gives. */
        demi_sgarray_t sga = pop_array(qd);
        size_t expected = options.server ? (size_t)options.size : 0;
        if (sga.sga_segs[0].sgaseg_len != expected) {
            fprintf(stderr, "%s: popped %u bytes instead of %zu\n", name, (unsigned)sga.sga_segs[0].sgaseg_len, expected);
            return EXIT_FAILURE;
        }
        must(demi_sgafree(&sga), "demi_sgafree");
        must(demi_close(qd), "demi_close");
    }
    double took = seconds() - start;
    printf("%ld pipes %s and closed in %.3f s: %.1f us each\n", options.count, options.server ? "created" : "opened", took,
           took * 1e6 / (double)options.count);
    must(margay_fini(), "margay_fini");
    return EXIT_SUCCESS;
}
