/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the C tests share: a private pipe directory, deadlines, and short forms of the usual calls.
 *
 * No wait is without a limit: each has SECONDS_MAX, and the process ends by SIGALRM after PROGRAM_SECONDS_MAX.
 */
#ifndef MARGAY_TESTS_SUPPORT_H
#define MARGAY_TESTS_SUPPORT_H

#include <dirent.h>
#include <errno.h>
#include <margay.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

#define SECONDS_MAX 5
#define PROGRAM_SECONDS_MAX 60

static const struct timespec LIMIT = {SECONDS_MAX, 0};
static const struct timespec AT_ONCE = {0, 0};

static char support_directory[] = "/tmp/margay-c-test-XXXXXX";

/* Points the library at an empty directory of our own and at no configuration file. */
static inline void support_begin(void)
{
    alarm(PROGRAM_SECONDS_MAX);
    if (mkdtemp(support_directory) == NULL || setenv("XDG_RUNTIME_DIR", support_directory, 1) != 0) {
        perror("private pipe directory");
        exit(2);
    }
    unsetenv("CONFIG_PATH");
    unsetenv("LIBOS");
}

/* Counts what is left in the pipe directory, and removes it with what it holds. */
static inline int support_end(void)
{
    char path[512];
    int left = 0;
    snprintf(path, sizeof path, "%s/margay", support_directory);
    DIR *directory = opendir(path);
    if (directory != NULL) {
        for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
            if (entry->d_name[0] != '.') {
                printf("# left behind: %s\n", entry->d_name);
                unlinkat(dirfd(directory), entry->d_name, 0);
                left++;
            }
        }
        closedir(directory);
        rmdir(path);
    }
    rmdir(support_directory);
    return left;
}

/* Allocates a message with these bytes; a null array if there is no memory. */
static inline demi_sgarray_t message(const void *bytes, size_t length)
{
    demi_sgarray_t sga = demi_sgaalloc(length);
    if (sga.sga_numsegs == 1) {
        memcpy(sga.sga_segs[0].sgaseg_buf, bytes, length);
    }
    return sga;
}

/* Pushes these bytes and waits for it: 0, or the errno of whichever step failed. */
static inline int push_bytes(int qd, const void *bytes, size_t length)
{
    demi_sgarray_t sga = message(bytes, length);
    demi_qtoken_t qt;
    demi_qresult_t qr;
    if (sga.sga_numsegs != 1) {
        return margay_last_errno();
    }
    int result = demi_push(&qt, qd, &sga);
    int freed = demi_sgafree(&sga);
    if (result == 0) {
        result = freed;
    }
    if (result == 0) {
        result = demi_wait(&qr, qt, &LIMIT);
    }
    if (result == 0 && qr.qr_opcode != DEMI_OPC_PUSH) {
        result = qr.qr_opcode == DEMI_OPC_FAILED ? (int)qr.qr_ret : EPROTO;
    }
    return result;
}

/* Pops one message and waits for it: 0, or the errno of whichever step failed. The caller frees it. */
static inline int pop_message(int qd, demi_sgarray_t *sga)
{
    demi_qtoken_t qt;
    demi_qresult_t qr;
    int result = demi_pop(&qt, qd);
    if (result == 0) {
        result = demi_wait(&qr, qt, &LIMIT);
    }
    if (result == 0 && qr.qr_opcode != DEMI_OPC_POP) {
        result = qr.qr_opcode == DEMI_OPC_FAILED ? (int)qr.qr_ret : EPROTO;
    }
    if (result == 0) {
        *sga = qr.qr_value.sga;
    }
    return result;
}

/* True if the array holds exactly these bytes. */
static inline bool holds_bytes(const demi_sgarray_t *sga, const void *bytes, size_t length)
{
    return sga->sga_numsegs == 1 && sga->sga_segs[0].sgaseg_len == length &&
           memcmp(sga->sga_segs[0].sgaseg_buf, bytes, length) == 0;
}

/* Opens a pipe that the peer is about to create. */
static inline int open_soon(int *qd, const char *name)
{
    const struct timespec pause = {0, 1000000};
    int result = ENOENT;
    for (int i = 0; i < SECONDS_MAX * 1000; i++) {
        result = demi_open_pipe(qd, name);
        if (result != ENOENT && result != ECONNREFUSED) {
            break;
        }
        nanosleep(&pause, NULL);
    }
    return result;
}

#endif
