/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Every call of the C interface in one process: what it returns for good and for bad arguments.
 *
 * Two ends of one pipe in one LibOs stand in for two processes; peer.c has the real ones.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>

#include "support.h"

/* Descriptors and tokens that nobody was given. */
static const int BAD_QDS[] = {-1, 0x7fffffff, 0x12345, -0x7fffffff - 1};
static const demi_qtoken_t BAD_QTS[] = {0, UINT64_MAX, 0x7777777777777777u};

static void before_init(void)
{
    int qd = 4711;
    int n = 4711;
    demi_qtoken_t qt = 4711;
    demi_qresult_t qr;
    demi_sgarray_t sga = {0};
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    struct sockaddr *generic = (struct sockaddr *)&address;
    margay_wake_handle_t *handle = NULL;

    CHECK_ERRNO(demi_create_pipe(&qd, "early"), ENOSYS, "create_pipe before init");
    CHECK_ERRNO(demi_open_pipe(&qd, "early"), ENOSYS, "open_pipe before init");
    CHECK_ERRNO(demi_socket(&qd, AF_INET, SOCK_STREAM, 0), ENOSYS, "socket before init");
    CHECK_ERRNO(demi_bind(1, generic, length), ENOSYS, "bind before init");
    CHECK_ERRNO(demi_listen(1, 1), ENOSYS, "listen before init");
    CHECK_ERRNO(demi_accept(&qt, 1), ENOSYS, "accept before init");
    CHECK_ERRNO(demi_connect(&qt, 1, generic, length), ENOSYS, "connect before init");
    CHECK_ERRNO(demi_close(1), ENOSYS, "close before init");
    CHECK_ERRNO(demi_push(&qt, 1, &sga), ENOSYS, "push before init");
    CHECK_ERRNO(demi_pushto(&qt, 1, &sga, generic, length), ENOSYS, "pushto before init");
    CHECK_ERRNO(demi_pop(&qt, 1), ENOSYS, "pop before init");
    CHECK_ERRNO(demi_setsockopt(1, SOL_SOCKET, SO_LINGER, &n, sizeof n), ENOSYS, "setsockopt before init");
    CHECK_ERRNO(demi_getsockopt(1, SOL_SOCKET, SO_LINGER, &n, &length), ENOSYS, "getsockopt before init");
    length = sizeof address;
    CHECK_ERRNO(demi_getpeername(1, generic, &length), ENOSYS, "getpeername before init");
    CHECK_ERRNO(demi_getsockname(1, generic, &length), ENOSYS, "getsockname before init");
    CHECK_ERRNO(demi_sgafree(&sga), ENOSYS, "sgafree before init");
    CHECK(demi_sgaalloc(64).sga_numsegs == 0, "sgaalloc before init gives a null array");
    CHECK_ERRNO(margay_last_errno(), ENOSYS, "and the errno is kept");
    CHECK(margay_last_error()[0] != '\0', "and so is the reason");
    CHECK_ERRNO(demi_wait(&qr, 1, &AT_ONCE), ENOSYS, "wait before init");
    CHECK_ERRNO(demi_timedwait(&qr, 1, &AT_ONCE), ENOSYS, "timedwait before init");
    CHECK_ERRNO(demi_wait_any(&qr, &n, BAD_QTS, 1, &AT_ONCE), ENOSYS, "wait_any before init");
    CHECK_ERRNO(demi_wait_next_n(&qr, 1, &n, &AT_ONCE), ENOSYS, "wait_next_n before init");
    CHECK_ERRNO(margay_fini(), ENOSYS, "fini before init");
    CHECK_ERRNO(margay_shutdown(1, SHUT_WR), ENOSYS, "shutdown before init");
    CHECK_ERRNO(margay_close(&qt, 1), ENOSYS, "asynchronous close before init");
    CHECK_ERRNO(margay_cancel(1), ENOSYS, "cancel before init");
    CHECK_ERRNO(margay_pushv(&qt, 1, &sga, 1), ENOSYS, "pushv before init");
    CHECK_ERRNO(margay_pop(&qt, 1, 1), ENOSYS, "sized pop before init");
    CHECK_ERRNO(margay_sgaalloc_on(&sga, 1, 1), ENOSYS, "sgaalloc_on before init");
    CHECK_ERRNO(margay_waitset_create(&n), ENOSYS, "waitset_create before init");
    CHECK_ERRNO(margay_waitset_add(1, 1), ENOSYS, "waitset_add before init");
    CHECK_ERRNO(margay_waitset_take(&qr, 1, &AT_ONCE), ENOSYS, "waitset_take before init");
    CHECK_ERRNO(margay_waitset_destroy(1), ENOSYS, "waitset_destroy before init");
    CHECK_ERRNO(margay_readiness_fd(&n), ENOSYS, "readiness_fd before init");
    CHECK_ERRNO(margay_arm(&n), ENOSYS, "arm before init");
    CHECK_ERRNO(margay_poll(), ENOSYS, "poll before init");
    CHECK_ERRNO(margay_wake_handle_create(&handle), ENOSYS, "wake_handle_create before init");
    CHECK(qd == 4711 && qt == 4711 && handle == NULL, "failed calls leave their out-parameters alone");
}

static void init(void)
{
    char name[] = "program";
    char *const arguments[] = {name, NULL};
    struct demi_args args = {.argc = -1, .argv = arguments, .callback = NULL};
    CHECK_ERRNO(demi_init(&args), EINVAL, "init with a negative argc");
    args.argc = 1;
    args.argv = NULL;
    CHECK_ERRNO(demi_init(&args), EINVAL, "init with arguments that are not there");

    setenv("CONFIG_PATH", "/nonexistent/margay.yaml", 1);
    CHECK_ERRNO(demi_init(NULL), ENOENT, "init with a configuration file that is not there");
    CHECK(strstr(margay_last_error(), "/nonexistent/margay.yaml") != NULL, "the message names the file");
    unsetenv("CONFIG_PATH");
    setenv("LIBOS", "catastrophe", 1);
    int result = demi_init(NULL);
    CHECK(result == EINVAL || result == ENOTSUP, "init with an unknown LIBOS");
    unsetenv("LIBOS");

    args.argv = arguments;
    CHECK_ERRNO(demi_init(&args), 0, "init");
    CHECK_ERRNO(demi_init(&args), EEXIST, "a second init");
    CHECK_ERRNO(demi_init(NULL), EEXIST, "a second init without arguments");
}

static void null_pointers(void)
{
    int n = 0;
    demi_qtoken_t qt;
    demi_qresult_t qr;
    demi_sgarray_t sga = {0};
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    struct sockaddr *generic = (struct sockaddr *)&address;

    CHECK_ERRNO(demi_create_pipe(NULL, "name"), EINVAL, "create_pipe: no place for the descriptor");
    CHECK_ERRNO(demi_create_pipe(&n, NULL), EINVAL, "create_pipe: no name");
    CHECK_ERRNO(demi_open_pipe(NULL, "name"), EINVAL, "open_pipe: no place for the descriptor");
    CHECK_ERRNO(demi_open_pipe(&n, NULL), EINVAL, "open_pipe: no name");
    CHECK_ERRNO(demi_socket(NULL, AF_INET, SOCK_STREAM, 0), EINVAL, "socket: no place for the descriptor");
    CHECK_ERRNO(demi_bind(1, NULL, length), EINVAL, "bind: no address");
    CHECK_ERRNO(demi_accept(NULL, 1), EINVAL, "accept: no place for the token");
    CHECK_ERRNO(demi_connect(NULL, 1, generic, length), EINVAL, "connect: no place for the token");
    CHECK_ERRNO(demi_connect(&qt, 1, NULL, length), EINVAL, "connect: no address");
    CHECK_ERRNO(demi_push(NULL, 1, &sga), EINVAL, "push: no place for the token");
    CHECK_ERRNO(demi_push(&qt, 1, NULL), EINVAL, "push: no array");
    CHECK_ERRNO(demi_pushto(NULL, 1, &sga, generic, length), EINVAL, "pushto: no place for the token");
    CHECK_ERRNO(demi_pushto(&qt, 1, NULL, generic, length), EINVAL, "pushto: no array");
    CHECK_ERRNO(demi_pushto(&qt, 1, &sga, NULL, length), EINVAL, "pushto: no address");
    CHECK_ERRNO(demi_pop(NULL, 1), EINVAL, "pop: no place for the token");
    CHECK_ERRNO(demi_setsockopt(1, SOL_SOCKET, SO_LINGER, NULL, 4), EINVAL, "setsockopt: no value");
    CHECK_ERRNO(demi_getsockopt(1, SOL_SOCKET, SO_LINGER, NULL, &length), EINVAL, "getsockopt: no value");
    CHECK_ERRNO(demi_getsockopt(1, SOL_SOCKET, SO_LINGER, &n, NULL), EINVAL, "getsockopt: no length");
    CHECK_ERRNO(demi_getpeername(1, NULL, &length), EINVAL, "getpeername: no address");
    CHECK_ERRNO(demi_getpeername(1, generic, NULL), EINVAL, "getpeername: no length");
    CHECK_ERRNO(demi_getsockname(1, NULL, &length), EINVAL, "getsockname: no address");
    CHECK_ERRNO(demi_getsockname(1, generic, NULL), EINVAL, "getsockname: no length");
    CHECK_ERRNO(demi_sgafree(NULL), EINVAL, "sgafree: no array");
    CHECK_ERRNO(demi_wait(NULL, 1, &AT_ONCE), EINVAL, "wait: no place for the result");
    CHECK_ERRNO(demi_timedwait(NULL, 1, &AT_ONCE), EINVAL, "timedwait: no place for the result");
    CHECK_ERRNO(demi_timedwait(&qr, 1, NULL), EINVAL, "timedwait: no time");
    CHECK_ERRNO(demi_wait_any(NULL, &n, BAD_QTS, 1, &AT_ONCE), EINVAL, "wait_any: no place for the result");
    CHECK_ERRNO(demi_wait_any(&qr, NULL, BAD_QTS, 1, &AT_ONCE), EINVAL, "wait_any: no place for the offset");
    CHECK_ERRNO(demi_wait_any(&qr, &n, NULL, 1, &AT_ONCE), EINVAL, "wait_any: no tokens");
    CHECK_ERRNO(demi_wait_next_n(NULL, 1, &n, &AT_ONCE), EINVAL, "wait_next_n: no place for the results");
    CHECK_ERRNO(demi_wait_next_n(&qr, 1, NULL, &AT_ONCE), EINVAL, "wait_next_n: no place for the count");
    CHECK_ERRNO(margay_close(NULL, 1), EINVAL, "asynchronous close: no place for the token");
    CHECK_ERRNO(margay_pushv(NULL, 1, &sga, 1), EINVAL, "pushv: no place for the token");
    CHECK_ERRNO(margay_pushv(&qt, 1, NULL, 1), EINVAL, "pushv: no pieces");
    CHECK_ERRNO(margay_pop(NULL, 1, 1), EINVAL, "sized pop: no place for the token");
    CHECK_ERRNO(margay_sgaalloc_on(NULL, 1, 1), EINVAL, "sgaalloc_on: no place for the array");
    CHECK_ERRNO(margay_waitset_create(NULL), EINVAL, "waitset_create: no place for the set");
    CHECK_ERRNO(margay_waitset_take(NULL, 1, &AT_ONCE), EINVAL, "waitset_take: no place for the result");
    CHECK_ERRNO(margay_readiness_fd(NULL), EINVAL, "readiness_fd: no place for it");
    CHECK_ERRNO(margay_arm(NULL), EINVAL, "arm: no place for the answer");
    CHECK_ERRNO(margay_wake_handle_create(NULL), EINVAL, "wake_handle_create: no place for it");
    CHECK_ERRNO(margay_wake(NULL), EINVAL, "wake: no handle");
    CHECK_ERRNO(margay_wake_handle_destroy(NULL), 0, "wake_handle_destroy of NULL does nothing");
}

static void bad_handles(void)
{
    demi_qtoken_t qt;
    demi_qresult_t qr;
    demi_sgarray_t sga = message("x", 1);
    demi_sgarray_t on;
    int n;
    for (size_t i = 0; i < sizeof BAD_QDS / sizeof *BAD_QDS; i++) {
        int qd = BAD_QDS[i];
        printf("# descriptor %d\n", qd);
        CHECK_ERRNO(demi_close(qd), EBADF, "close of a bad descriptor");
        CHECK_ERRNO(demi_push(&qt, qd, &sga), EBADF, "push to a bad descriptor");
        CHECK_ERRNO(demi_pop(&qt, qd), EBADF, "pop from a bad descriptor");
        CHECK_ERRNO(margay_pop(&qt, qd, 8), EBADF, "sized pop from a bad descriptor");
        CHECK_ERRNO(margay_pushv(&qt, qd, &sga, 1), EBADF, "pushv to a bad descriptor");
        CHECK_ERRNO(margay_shutdown(qd, SHUT_WR), EBADF, "shutdown of a bad descriptor");
        CHECK_ERRNO(margay_close(&qt, qd), EBADF, "asynchronous close of a bad descriptor");
        CHECK_ERRNO(margay_sgaalloc_on(&on, qd, 8), EBADF, "sgaalloc_on a bad descriptor");
        CHECK_ERRNO(margay_waitset_destroy(qd), EBADF, "destroy of a bad wait set");
        CHECK_ERRNO(margay_waitset_take(&qr, qd, &AT_ONCE), EBADF, "take from a bad wait set");
        CHECK_ERRNO(margay_waitset_add(qd, 1), EBADF, "add to a bad wait set");
    }
    for (size_t i = 0; i < sizeof BAD_QTS / sizeof *BAD_QTS; i++) {
        printf("# token %llu\n", (unsigned long long)BAD_QTS[i]);
        CHECK_ERRNO(demi_wait(&qr, BAD_QTS[i], NULL), EINVAL, "wait for a bad token, for ever");
        CHECK_ERRNO(demi_timedwait(&qr, BAD_QTS[i], &AT_ONCE), EINVAL, "timedwait for a bad token");
        CHECK_ERRNO(demi_wait_any(&qr, &n, &BAD_QTS[i], 1, NULL), EINVAL, "wait_any for a bad token");
        CHECK_ERRNO(margay_cancel(BAD_QTS[i]), EINVAL, "cancel of a bad token");
    }
    CHECK_ERRNO(demi_wait_any(&qr, &n, BAD_QTS, 0, &AT_ONCE), EINVAL, "wait_any for no tokens");
    CHECK_ERRNO(demi_wait_any(&qr, &n, BAD_QTS, -1, &AT_ONCE), EINVAL, "wait_any for a negative number of tokens");
    CHECK_ERRNO(demi_wait_next_n(&qr, 0, &n, &AT_ONCE), EINVAL, "wait_next_n into no room");
    CHECK_ERRNO(demi_wait_next_n(&qr, -5, &n, &AT_ONCE), EINVAL, "wait_next_n into negative room");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "free of the message");
}

static void names(void)
{
    static const char *const BAD[] = {"", ".", "..", "a/b", "/", "\xff\xfe"};
    char longest[MARGAY_PIPE_NAME_MAX + 2];
    int qd;
    int other;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        CHECK_ERRNO(demi_create_pipe(&qd, BAD[i]), EINVAL, "create_pipe with a bad name");
        CHECK_ERRNO(demi_open_pipe(&qd, BAD[i]), EINVAL, "open_pipe with a bad name");
    }
    memset(longest, 'n', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    CHECK_ERRNO(demi_create_pipe(&qd, longest), EINVAL, "create_pipe with a name one byte too long");
    CHECK_ERRNO(demi_open_pipe(&qd, longest), EINVAL, "open_pipe with a name one byte too long");
    longest[sizeof longest - 2] = '\0';
    CHECK_ERRNO(demi_create_pipe(&qd, longest), 0, "create_pipe with the longest name");
    CHECK_ERRNO(demi_create_pipe(&other, longest), EEXIST, "create_pipe with a name that is taken");
    CHECK_ERRNO(demi_open_pipe(&other, "nobody"), ENOENT, "open_pipe with a name that nobody created");
    CHECK_ERRNO(demi_close(qd), 0, "close of a pipe that nobody opened");
    CHECK_ERRNO(demi_close(qd), EBADF, "close of a closed descriptor");
    CHECK_ERRNO(demi_open_pipe(&other, longest), ENOENT, "open_pipe after its close");
}

static void memory(void)
{
    demi_sgarray_t null_array = {0};
    CHECK(demi_sgaalloc(0).sga_numsegs == 0, "sgaalloc of nothing gives a null array");
    CHECK_ERRNO(margay_last_errno(), EINVAL, "because of EINVAL");
    CHECK(demi_sgaalloc(SIZE_MAX).sga_numsegs == 0, "sgaalloc of everything gives a null array");
    CHECK(demi_sgaalloc((size_t)UINT32_MAX + 1).sga_numsegs == 0, "sgaalloc above 32 bits gives a null array");
    CHECK_ERRNO(demi_sgafree(&null_array), EINVAL, "sgafree of a null array");

    static const size_t SIZES[] = {1, 64, 2048, 2049, 65536, 65537, 1 << 20};
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        demi_sgarray_t sga = demi_sgaalloc(SIZES[i]);
        bool good = sga.sga_numsegs == 1 && sga.sga_segs[0].sgaseg_len == SIZES[i];
        CHECK(good, "sgaalloc gives one segment of the size asked for");
        if (good) {
            memset(sga.sga_segs[0].sgaseg_buf, 0xa5, SIZES[i]);
        }
        demi_sgarray_t copy = sga;
        sga.sga_numsegs = 0;
        CHECK_ERRNO(demi_sgafree(&sga), EINVAL, "sgafree with no segment");
        sga.sga_numsegs = 2;
        CHECK_ERRNO(demi_sgafree(&sga), EINVAL, "sgafree with two segments");
        sga.sga_numsegs = 1;
        CHECK_ERRNO(demi_sgafree(&sga), 0, "sgafree");
        CHECK_ERRNO(demi_sgafree(&sga), EINVAL, "a second sgafree");
        CHECK_ERRNO(demi_sgafree(&copy), EINVAL, "sgafree of a copy of what was freed");
    }
    demi_sgarray_t first = demi_sgaalloc(16);
    CHECK_ERRNO(demi_sgafree(&first), 0, "sgafree");
    demi_sgarray_t second = demi_sgaalloc(16);
    CHECK_ERRNO(demi_sgafree(&first), EINVAL, "sgafree of a stale array does not free its successor");
    CHECK_ERRNO(demi_sgafree(&second), 0, "which is still there");
    demi_sgarray_t foreign = {.sga_buf = &foreign, .sga_numsegs = 1};
    CHECK_ERRNO(demi_sgafree(&foreign), EINVAL, "sgafree of an invented array");

    demi_sgarray_t many[512];
    for (size_t i = 0; i < 512; i++) {
        many[i] = demi_sgaalloc(32);
        memset(many[i].sga_segs[0].sgaseg_buf, (int)i, 32);
    }
    int freed = 0;
    for (size_t i = 0; i < 512; i++) {
        size_t j = i * 37 % 512;
        const unsigned char *bytes = many[j].sga_segs[0].sgaseg_buf;
        freed += bytes[0] == (unsigned char)j && bytes[31] == (unsigned char)j && demi_sgafree(&many[j]) == 0;
    }
    CHECK(freed == 512, "512 arrays at once, each with memory of its own, freed in another order");
}

static void timeouts(void)
{
    static const struct timespec BAD[] = {{-1, 0}, {0, -1}, {0, 1000000000}, {0, 0x7fffffff}};
    static const struct timespec SHORT = {0, 2000000};
    int qd;
    int n = 0;
    demi_qtoken_t qt = 0;
    demi_qresult_t qr;
    struct timespec now;

    CHECK_ERRNO(demi_create_pipe(&qd, "timeouts"), 0, "create_pipe");
    CHECK_ERRNO(demi_pop(&qt, qd), 0, "pop of what will never come");
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        CHECK_ERRNO(demi_wait(&qr, qt, &BAD[i]), EINVAL, "wait with a bad timeout");
        CHECK_ERRNO(demi_timedwait(&qr, qt, &BAD[i]), EINVAL, "timedwait with a bad time");
        CHECK_ERRNO(demi_wait_any(&qr, &n, &qt, 1, &BAD[i]), EINVAL, "wait_any with a bad timeout");
        CHECK_ERRNO(demi_wait_next_n(&qr, 1, &n, &BAD[i]), EINVAL, "wait_next_n with a bad timeout");
    }
    CHECK_ERRNO(demi_wait(&qr, qt, &AT_ONCE), ETIMEDOUT, "wait that looks once");
    CHECK_ERRNO(demi_wait(&qr, qt, &SHORT), ETIMEDOUT, "wait with a short timeout");
    CHECK_ERRNO(demi_timedwait(&qr, qt, &AT_ONCE), ETIMEDOUT, "timedwait until 1970");
    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_nsec = (now.tv_nsec + SHORT.tv_nsec) % 1000000000;
    CHECK_ERRNO(demi_timedwait(&qr, qt, &now), ETIMEDOUT, "timedwait until soon");
    CHECK_ERRNO(demi_wait_any(&qr, &n, &qt, 1, &SHORT), ETIMEDOUT, "wait_any with a short timeout");
    n = 7;
    CHECK_ERRNO(demi_wait_next_n(&qr, 1, &n, &SHORT), ETIMEDOUT, "wait_next_n with a short timeout");
    CHECK(n == 0, "and it wrote no result");

    CHECK_ERRNO(margay_cancel(qt), 0, "cancel");
    CHECK_ERRNO(demi_wait(&qr, qt, &LIMIT), 0, "wait for the cancelled pop");
    CHECK(qr.qr_opcode == DEMI_OPC_FAILED && qr.qr_ret == ECANCELED && qr.qr_qd == qd && qr.qr_qt == qt,
          "it failed with ECANCELED, under its own token and descriptor");
    CHECK_ERRNO(demi_wait(&qr, qt, &AT_ONCE), EINVAL, "wait for a spent token");
    CHECK_ERRNO(margay_cancel(qt), EINVAL, "cancel of a spent token");

    demi_qtoken_t pending = 0;
    CHECK_ERRNO(demi_pop(&pending, qd), 0, "pop");
    CHECK_ERRNO(demi_close(qd), 0, "close with a pop pending");
    CHECK_ERRNO(demi_wait(&qr, pending, &LIMIT), 0, "wait for the pop");
    CHECK(qr.qr_opcode == DEMI_OPC_FAILED && qr.qr_ret == ECANCELED, "it failed with ECANCELED");
}

static void later_calls(void)
{
    int qd;
    int value = 0;
    demi_qtoken_t qt;
    demi_sgarray_t sga = message("datagram", 8);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(7)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct sockaddr *generic = (struct sockaddr *)&address;
    socklen_t length = sizeof address;

    CHECK_ERRNO(demi_socket(&qd, AF_INET, SOCK_STREAM, 0), ENOTSUP, "stream socket");
    CHECK_ERRNO(demi_socket(&qd, AF_INET, SOCK_DGRAM, 0), ENOTSUP, "datagram socket");
    CHECK_ERRNO(demi_socket(&qd, -1, -1, -1), ENOTSUP, "socket of no known kind");
    CHECK_ERRNO(demi_create_pipe(&qd, "later"), 0, "create_pipe");
    CHECK_ERRNO(demi_bind(qd, generic, length), ENOTSUP, "bind of a pipe");
    CHECK_ERRNO(demi_bind(qd, generic, 1), EINVAL, "bind with a short address");
    CHECK_ERRNO(demi_listen(qd, 8), ENOTSUP, "listen on a pipe");
    CHECK_ERRNO(demi_listen(qd, 0), EINVAL, "listen with no backlog");
    CHECK_ERRNO(demi_accept(&qt, qd), ENOTSUP, "accept on a pipe");
    CHECK_ERRNO(demi_connect(&qt, qd, generic, length), ENOTSUP, "connect of a pipe");
    CHECK_ERRNO(demi_connect(&qt, qd, generic, 0), EINVAL, "connect with a short address");
    CHECK_ERRNO(demi_pushto(&qt, qd, &sga, generic, length), ENOTSUP, "pushto on a pipe");
    CHECK_ERRNO(demi_pushto(&qt, qd, &sga, generic, 3), EINVAL, "pushto with a short address");
    CHECK_ERRNO(demi_setsockopt(qd, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof value), ENOTSUP, "setsockopt of a pipe");
    length = sizeof value;
    CHECK_ERRNO(demi_getsockopt(qd, SOL_SOCKET, SO_KEEPALIVE, &value, &length), ENOTSUP, "getsockopt of a pipe");
    length = sizeof address;
    CHECK_ERRNO(demi_getpeername(qd, generic, &length), ENOTSUP, "getpeername of a pipe");
    CHECK_ERRNO(demi_getsockname(qd, generic, &length), ENOTSUP, "getsockname of a pipe");
    length = 1;
    CHECK_ERRNO(demi_getpeername(qd, generic, &length), EINVAL, "getpeername into a short address");
    CHECK_ERRNO(demi_getsockname(qd, generic, &length), EINVAL, "getsockname into a short address");
    CHECK_ERRNO(demi_bind(-1, generic, sizeof address), EBADF, "bind of a bad descriptor");
    CHECK_ERRNO(demi_listen(-1, 1), EBADF, "listen on a bad descriptor");
    CHECK_ERRNO(demi_accept(&qt, -1), EBADF, "accept on a bad descriptor");
    CHECK_ERRNO(demi_connect(&qt, -1, generic, sizeof address), EBADF, "connect of a bad descriptor");
    CHECK_ERRNO(demi_pushto(&qt, -1, &sga, generic, sizeof address), EBADF, "pushto to a bad descriptor");
    CHECK_ERRNO(demi_close(qd), 0, "close");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "sgafree");
}

static void *wake_soon(void *handle)
{
    const struct timespec pause = {0, 20000000};
    nanosleep(&pause, NULL);
    margay_wake(handle);
    return NULL;
}

static void *other_thread(void *result)
{
    int qd;
    int *first = result;
    *first = demi_create_pipe(&qd, "thread");
    if (*first == ENOSYS && demi_init(NULL) == 0) {
        *first = demi_create_pipe(&qd, "thread");
    }
    return NULL;
}

static void wake_and_readiness(void)
{
    int fd = -1;
    int ready = -1;
    int qd;
    demi_qtoken_t qt = 0;
    demi_qresult_t qr;
    margay_wake_handle_t *handle = NULL;
    pthread_t thread;

    CHECK_ERRNO(margay_readiness_fd(&fd), 0, "readiness_fd");
    CHECK(fd >= 0, "it is a descriptor");
    CHECK_ERRNO(margay_poll(), 0, "poll");
    CHECK_ERRNO(demi_create_pipe(&qd, "wake"), 0, "create_pipe");
    CHECK_ERRNO(demi_pop(&qt, qd), 0, "pop");
    CHECK_ERRNO(margay_wake_handle_create(&handle), 0, "wake_handle_create");

    CHECK(pthread_create(&thread, NULL, wake_soon, handle) == 0, "a thread that wakes us");
    CHECK_ERRNO(demi_wait(&qr, qt, &LIMIT), EINTR, "wait ends because another thread woke it");
    pthread_join(thread, NULL);
    CHECK_ERRNO(margay_wake(handle), 0, "wake before the wait");
    CHECK_ERRNO(demi_wait(&qr, qt, &LIMIT), EINTR, "is not lost");
    CHECK_ERRNO(demi_wait(&qr, qt, &AT_ONCE), ETIMEDOUT, "and counts once");

    CHECK_ERRNO(margay_arm(&ready), 0, "arm");
    CHECK(ready == 0, "nothing to do");
    CHECK(pthread_create(&thread, NULL, wake_soon, handle) == 0, "a thread that wakes us");
    struct pollfd readiness = {.fd = fd, .events = POLLIN};
    CHECK(poll(&readiness, 1, SECONDS_MAX * 1000) == 1, "the readiness descriptor became readable");
    pthread_join(thread, NULL);
    CHECK_ERRNO(margay_poll(), 0, "poll");
    CHECK_ERRNO(margay_cancel(qt), 0, "cancel");
    int result = demi_wait(&qr, qt, &LIMIT);
    if (result == EINTR) {
        result = demi_wait(&qr, qt, &LIMIT);
    }
    CHECK_ERRNO(result, 0, "wait for the cancelled pop");
    CHECK_ERRNO(demi_close(qd), 0, "close");

    int in_thread = 0;
    CHECK(pthread_create(&thread, NULL, other_thread, &in_thread) == 0, "a thread with a LibOs of its own");
    pthread_join(thread, NULL);
    CHECK_ERRNO(in_thread, 0, "had none before its init, and then its own; its end took it away");

    CHECK_ERRNO(margay_fini(), 0, "fini");
    CHECK_ERRNO(margay_fini(), ENOSYS, "a second fini");
    CHECK_ERRNO(margay_wake(handle), 0, "wake of a LibOs that is gone");
    CHECK_ERRNO(margay_wake_handle_destroy(handle), 0, "wake_handle_destroy");
}

static void after_fini(void)
{
    demi_sgarray_t kept;
    CHECK_ERRNO(demi_init(NULL), 0, "init after fini");
    kept = demi_sgaalloc(8);
    CHECK_ERRNO(margay_fini(), 0, "fini with memory in use");
    CHECK_ERRNO(demi_init(NULL), 0, "init");
    CHECK_ERRNO(demi_sgafree(&kept), EINVAL, "memory of the LibOs before is unknown");
    demi_sgarray_t fresh = demi_sgaalloc(8);
    CHECK_ERRNO(demi_sgafree(&kept), EINVAL, "also when its place is taken again");
    CHECK_ERRNO(demi_sgafree(&fresh), 0, "sgafree");
    CHECK_ERRNO(margay_fini(), 0, "fini");
}

int main(void)
{
    support_begin();
    CHECK(strcmp(margay_last_error(), "") == 0 && margay_last_errno() == 0, "no error before any call");
    CHECK(strncmp(margay_strerror(EINVAL), "EINVAL", 6) == 0, "strerror names the errno");
    CHECK(margay_strerror(0)[0] != '\0' && margay_strerror(-1)[0] != '\0', "strerror knows what to say of any number");
    before_init();
    init();
    null_pointers();
    bad_handles();
    names();
    memory();
    timeouts();
    later_calls();
    wake_and_readiness();
    after_fini();
    CHECK(support_end() == 0, "nothing is left in the pipe directory");
    return check_done();
}
