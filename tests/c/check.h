/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A very small test harness: numbered `ok N - name` lines, a closing count, and an exit status.
 *
 * A failed check is reported with its place and the test goes on; the whole program has a deadline by alarm(2).
 */
#ifndef MARGAY_TESTS_CHECK_H
#define MARGAY_TESTS_CHECK_H

#include <stdbool.h>
#include <stdio.h>

static const char *check_role = ""; /* put before each line; "# client: " in a process that is not the main one */
static int check_count;
static int check_failures;

static inline bool check_that(bool holds, const char *name, const char *file, int line)
{
    check_count++;
    if (!holds) {
        check_failures++;
    }
    printf("%s%sok %d - %s", check_role, holds ? "" : "not ", check_count, name);
    if (!holds) {
        printf(" (%s:%d)", file, line);
    }
    printf("\n");
    fflush(stdout);
    return holds;
}

/* Holds if the condition does. */
#define CHECK(condition, name) check_that((condition), (name), __FILE__, __LINE__)

/* Holds if the call returns this errno; prints the one that it did return. */
#define CHECK_ERRNO(call, expected, name)                                                                              \
    do {                                                                                                               \
        int check_result = (call);                                                                                     \
        if (!check_that(check_result == (expected), (name), __FILE__, __LINE__)) {                                     \
            printf("# returned %s, expected %s\n", margay_strerror(check_result), margay_strerror(expected));          \
        }                                                                                                              \
    } while (0)

static inline int check_done(void)
{
    printf("%s%d passed, %d failed\n", check_role, check_count - check_failures, check_failures);
    fflush(stdout);
    return check_failures == 0 ? 0 : 1;
}

#endif
