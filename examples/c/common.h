/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the examples share: the command line, the end of the program on an error, and the usual sequences of calls.
 */
#ifndef MARGAY_EXAMPLES_COMMON_H
#define MARGAY_EXAMPLES_COMMON_H

#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <getopt.h>
#include <margay.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Longest time that an example waits for its peer, in seconds. */
#define PATIENCE 30

struct options {
    bool server;
    const char *name; /* of the pipe */
    long count;
    long size; /* of a message, in bytes */
};

/* Ends the program with the reason unless the call returned 0. */
static inline void must(int result, const char *what)
{
    if (result != 0) {
        fprintf(stderr, "%s: %s (%s)\n", what, margay_last_error(), margay_strerror(result));
        exit(EXIT_FAILURE);
    }
}

/* Ends the program unless the operation ended as this opcode. */
static inline void must_be(const demi_qresult_t *qr, enum demi_opcode opcode, const char *what)
{
    if (qr->qr_opcode == DEMI_OPC_FAILED) {
        fprintf(stderr, "%s: %s\n", what, margay_strerror((int)qr->qr_ret));
        exit(EXIT_FAILURE);
    }
    if (qr->qr_opcode != opcode) {
        fprintf(stderr, "%s: completed as another operation (%d)\n", what, (int)qr->qr_opcode);
        exit(EXIT_FAILURE);
    }
}

static inline demi_qresult_t wait_for(demi_qtoken_t qt, enum demi_opcode opcode, const char *what)
{
    const struct timespec limit = {PATIENCE, 0};
    demi_qresult_t qr;
    must(demi_wait(&qr, qt, &limit), what);
    must_be(&qr, opcode, what);
    return qr;
}

static inline demi_sgarray_t allocate(size_t size)
{
    demi_sgarray_t sga = demi_sgaalloc(size);
    if (sga.sga_numsegs == 0) {
        must(margay_last_errno(), "demi_sgaalloc");
    }
    return sga;
}

/* Pushes an array and waits until it is pushed. The array stays the caller's. */
static inline void push_array(int qd, const demi_sgarray_t *sga)
{
    demi_qtoken_t qt;
    must(demi_push(&qt, qd, sga), "demi_push");
    wait_for(qt, DEMI_OPC_PUSH, "push");
}

/* Pops one message, which the caller frees. Length 0 is the end of the stream. */
static inline demi_sgarray_t pop_array(int qd)
{
    demi_qtoken_t qt;
    must(demi_pop(&qt, qd), "demi_pop");
    return wait_for(qt, DEMI_OPC_POP, "pop").qr_value.sga;
}

/* Creates the pipe, or opens it as soon as the server has created it. */
static inline int get_pipe(bool server, const char *name)
{
    const struct timespec pause = {0, 1000000};
    int qd = -1;
    if (server) {
        must(demi_create_pipe(&qd, name), "demi_create_pipe");
        return qd;
    }
    int result = ENOENT;
    for (int i = 0; i < PATIENCE * 1000; i++) {
        result = demi_open_pipe(&qd, name);
        if (result != ENOENT && result != ECONNREFUSED) {
            break;
        }
        nanosleep(&pause, NULL);
    }
    must(result, "demi_open_pipe");
    return qd;
}

static inline double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static inline long number(const char *text, long least, long most, const char *option)
{
    char *end = NULL;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < least || value > most) {
        fprintf(stderr, "%s: '%s' is not a number from %ld to %ld\n", option, text, least, most);
        exit(2);
    }
    return value;
}

static inline struct options parse(int argc, char *argv[], const char *purpose, long count, long size)
{
    static const struct option LONG[] = {
        {"server", required_argument, NULL, 's'}, {"client", required_argument, NULL, 'c'},
        {"count", required_argument, NULL, 'n'},  {"size", required_argument, NULL, 'b'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    struct options options = {.server = false, .name = NULL, .count = count, .size = size};
    for (int c; (c = getopt_long(argc, argv, "h", LONG, NULL)) != -1;) {
        switch (c) {
        case 's':
        case 'c':
            options.server = c == 's';
            options.name = optarg;
            break;
        case 'n':
            options.count = number(optarg, 1, 1000000000, "--count");
            break;
        case 'b':
            options.size = number(optarg, 1, 1 << 26, "--size");
            break;
        case 'h':
            printf("%s\n\n"
                   "usage: %s --server NAME | --client NAME [--count N] [--size BYTES]\n\n"
                   "  --server NAME   create the pipe NAME and serve one client\n"
                   "  --client NAME   open the pipe NAME, as soon as a server has created it\n"
                   "  --count N       how many times (default %ld)\n"
                   "  --size BYTES    length of a message (default %ld)\n\n"
                   "Start both with the same numbers, in two terminals of one user. CONFIG_PATH may name a\n"
                   "configuration file.\n",
                   purpose, argv[0], count, size);
            exit(EXIT_SUCCESS);
        default:
            fprintf(stderr, "try %s --help\n", argv[0]);
            exit(2);
        }
    }
    if (options.name == NULL || optind != argc) {
        fprintf(stderr, "say either --server NAME or --client NAME; try %s --help\n", argv[0]);
        exit(2);
    }
    return options;
}

#endif
