/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Every call of the C interface in one process: what it returns for good and for bad arguments. What needs a socket is in
 * sockets.c.
 *
 * Two ends of one pipe in one LibOs stand in for two processes; peer.c has the real ones.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

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
    CHECK_ERRNO(margay_pop_in_place(&qt, 1), ENOSYS, "in-place pop before init");
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

/* Writes a configuration file for the next demi_init(). */
static void configure(const char *yaml)
{
    char path[256];
    snprintf(path, sizeof path, "%s/margay.yaml", support_directory);
    FILE *file = fopen(path, "w");
    bool written = file != NULL && fputs(yaml, file) >= 0;
    written = file != NULL && fclose(file) == 0 && written;
    CHECK(written && setenv("CONFIG_PATH", path, 1) == 0, "a configuration file");
}

static void unconfigure(void)
{
    unlink(getenv("CONFIG_PATH"));
    unsetenv("CONFIG_PATH");
}

static void wrong_configurations(void)
{
    static const struct {
        const char *yaml;
        const char *expected[3]; /* texts in the message */
    } WRONG[] = {
        {"wait:\n  spin: sometimes\n", {"margay.yaml:2:9", "spin", "sometimes"}},
        {"catmem:\n  rung: 64 KiB\n", {"margay.yaml:2:3", "rung", "ring"}},
        {"catmem:\n  ring: 3\n", {"margay.yaml:2:9", "ring", "3"}},
        {"buffers: [\n", {"margay.yaml:", "", ""}},
    };
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        configure(WRONG[i].yaml);
        CHECK_ERRNO(demi_init(NULL), EINVAL, "init with a wrong configuration");
        const char *text = margay_last_error();
        bool good = true;
        for (int j = 0; j < 3; j++) {
            good = good && strstr(text, WRONG[i].expected[j]) != NULL;
        }
        if (!CHECK(good, "the message says where and what")) {
            printf("# said: %s\n", text);
        }
        CHECK_ERRNO(margay_last_errno(), EINVAL, "and the errno is kept");
        unconfigure();
    }
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
    wrong_configurations();
    setenv("LIBOS", "catastrophe", 1);
    int result = demi_init(NULL);
    CHECK(result == EINVAL || result == ENOTSUP, "init with an unknown LIBOS");
    CHECK(strstr(margay_last_error(), "catastrophe") != NULL, "the message names it");
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
    CHECK_ERRNO(margay_pop_in_place(NULL, 1), EINVAL, "in-place pop: no place for the token");
    CHECK_ERRNO(margay_sgaalloc_on(NULL, 1, 1), EINVAL, "sgaalloc_on: no place for the array");
    CHECK_ERRNO(margay_waitset_create(NULL), EINVAL, "waitset_create: no place for the set");
    CHECK_ERRNO(margay_waitset_take(NULL, 1, &AT_ONCE), EINVAL, "waitset_take: no place for the result");
    CHECK_ERRNO(margay_readiness_fd(NULL), EINVAL, "readiness_fd: no place for it");
    CHECK_ERRNO(margay_arm(NULL), EINVAL, "arm: no place for the answer");
    CHECK_ERRNO(margay_wake_handle_create(NULL), EINVAL, "wake_handle_create: no place for it");
    const char *text = margay_last_error();
    CHECK(margay_wake(NULL) == EINVAL && text == margay_last_error(), "a wake without a handle touches nothing of this thread");
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
        CHECK_ERRNO(margay_pop_in_place(&qt, qd), EBADF, "in-place pop from a bad descriptor");
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
    CHECK_ERRNO(margay_cancel(qt), EALREADY, "cancel of what has completed");
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

/* Bounds that are configured, and what reaching them gives. */
static void limits(void)
{
    static unsigned char big[40000];
    int qd;
    int other;
    demi_qtoken_t qt = 0;
    demi_qtoken_t last = 0;
    demi_qresult_t qr;
    demi_sgarray_t sga = {0};
    demi_sgarray_t own = {.sga_numsegs = 1, .sga_segs = {{big, sizeof big}}};

    configure("buffers: {small_count: 16, large_count: 4, oversize_limit: 1 MiB}\n"
              "catmem: {slots: 2, slot: 4 KiB, max_message: 32 KiB}\n"
              "limits: {queues: 2, operations: 32}\n");
    CHECK_ERRNO(demi_init(NULL), 0, "init with small limits");
    CHECK_ERRNO(demi_create_pipe(&qd, "one"), 0, "create_pipe");
    CHECK_ERRNO(demi_create_pipe(&other, "two"), 0, "create_pipe");
    CHECK_ERRNO(demi_create_pipe(&other, "three"), EMFILE, "create_pipe beyond the limit");
    CHECK_ERRNO(demi_open_pipe(&other, "one"), EMFILE, "open_pipe beyond the limit");

    CHECK(demi_sgaalloc((size_t)2 << 20).sga_numsegs == 0, "sgaalloc of more than the limit");
    CHECK_ERRNO(margay_last_errno(), ENOBUFS, "because of ENOBUFS");
    int given = 0;
    demi_sgarray_t held[64];
    while (given < 64 && (held[given] = demi_sgaalloc(64)).sga_numsegs == 1) {
        given++;
    }
    CHECK(given >= 16 && given < 64, "sgaalloc until the pools are empty");
    CHECK_ERRNO(margay_last_errno(), ENOBUFS, "because of ENOBUFS");
    int freed = 0;
    for (int i = 0; i < given; i++) {
        freed += demi_sgafree(&held[i]) == 0;
    }
    CHECK(freed == given, "all are freed");
    sga = demi_sgaalloc(64);
    CHECK(sga.sga_numsegs == 1 && demi_sgafree(&sga) == 0, "and can be given again");

    CHECK_ERRNO(margay_sgaalloc_on(&held[0], qd, 4097), EMSGSIZE, "sgaalloc_on of more than a slot");
    CHECK_ERRNO(margay_sgaalloc_on(&held[0], qd, 4096), 0, "sgaalloc_on of a slot");
    CHECK_ERRNO(margay_sgaalloc_on(&held[1], qd, 1), 0, "sgaalloc_on of the other");
    CHECK_ERRNO(margay_sgaalloc_on(&held[2], qd, 1), ENOBUFS, "sgaalloc_on when all are out");
    CHECK(demi_sgafree(&held[0]) == 0 && demi_sgafree(&held[1]) == 0, "both are freed");

    CHECK_ERRNO(demi_push(&qt, qd, &own), 0, "push of more than the longest message");
    CHECK_ERRNO(demi_wait(&qr, qt, &LIMIT), 0, "wait for it");
    CHECK(qr.qr_opcode == DEMI_OPC_FAILED && qr.qr_ret == EMSGSIZE, "it failed with EMSGSIZE");

    int begun = 0;
    int result = 0;
    while (begun < 64 && (result = demi_pop(&qt, qd)) == 0) {
        last = qt;
        begun++;
    }
    CHECK_ERRNO(result, EAGAIN, "pop with too many tokens out");
    CHECK(begun == 32 && qt == last, "which were as many as configured");
    CHECK_ERRNO(margay_close(&qt, qd), EAGAIN, "even a close needs a token");
    CHECK_ERRNO(margay_cancel(last), 0, "cancel of one of them");
    CHECK_ERRNO(demi_wait(&qr, last, &LIMIT), 0, "wait for it");
    CHECK_ERRNO(demi_close(qd), 0, "close");
    int ended = 0;
    int written = 0;
    demi_qresult_t results[8];
    while (demi_wait_next_n(results, 8, &written, &AT_ONCE) == 0) {
        for (int i = 0; i < written; i++) {
            ended += results[i].qr_opcode == DEMI_OPC_FAILED && results[i].qr_ret == ECANCELED;
        }
    }
    CHECK(ended == 31, "the others were cancelled by it");

    int sets = 0;
    int ws = 0;
    while (sets < 100000 && (result = margay_waitset_create(&ws)) == 0) {
        sets++;
    }
    CHECK_ERRNO(result, EMFILE, "waitset_create until the table is full");
    CHECK_ERRNO(margay_waitset_destroy(ws), 0, "waitset_destroy");
    CHECK_ERRNO(margay_waitset_create(&ws), 0, "waitset_create in its place");
    CHECK_ERRNO(margay_fini(), 0, "fini");
    unconfigure();
}

/* Sets, and tokens in them. */
static void sets(void)
{
    int qd;
    int ws = -1;
    int second = -1;
    int written = 7;
    demi_qtoken_t qt = 0;
    demi_qresult_t qr;
    CHECK_ERRNO(demi_create_pipe(&qd, "sets"), 0, "create_pipe");
    CHECK_ERRNO(demi_pop(&qt, qd), 0, "pop");
    CHECK_ERRNO(margay_waitset_create(&ws), 0, "waitset_create");
    CHECK_ERRNO(margay_waitset_create(&second), 0, "waitset_create");
    CHECK(ws >= 0 && second >= 0 && ws != second, "two handles");
    CHECK_ERRNO(margay_waitset_add(ws, qt), 0, "waitset_add");
    CHECK_ERRNO(margay_waitset_add(ws, qt), EEXIST, "waitset_add of what is in it");
    CHECK_ERRNO(margay_waitset_add(second, qt), EEXIST, "waitset_add of what is in another");
    CHECK_ERRNO(margay_waitset_take(&qr, ws, &AT_ONCE), ETIMEDOUT, "take of what has not completed");
    CHECK_ERRNO(margay_waitset_take(&qr, second, NULL), EINVAL, "take from an empty set, for ever");
    CHECK_ERRNO(margay_cancel(qt), 0, "cancel");
    CHECK_ERRNO(demi_wait_next_n(&qr, 1, &written, &AT_ONCE), ETIMEDOUT, "wait_next_n leaves tokens of sets out");
    CHECK(written == 0, "and gives none");
    CHECK_ERRNO(margay_waitset_destroy(ws), 0, "waitset_destroy with a result in it");
    CHECK_ERRNO(margay_waitset_add(ws, qt), EBADF, "waitset_add to what is gone");
    CHECK_ERRNO(demi_wait_next_n(&qr, 1, &written, &LIMIT), 0, "wait_next_n gives it now");
    CHECK(written == 1 && qr.qr_qt == qt && qr.qr_ret == ECANCELED, "the cancelled pop");
    CHECK_ERRNO(margay_waitset_destroy(second), 0, "waitset_destroy");
    CHECK_ERRNO(demi_close(qd), 0, "close");
}

/* Pointers that are not aligned, as they are inside packed structures. */
static void unaligned(void)
{
    static unsigned char room[256];
    unsigned char *odd = room + 1;
    int qd;
    demi_qtoken_t qt = 0;
    int n;
    CHECK_ERRNO(demi_create_pipe((int *)(void *)odd, "odd"), 0, "create_pipe into an odd place");
    memcpy(&qd, odd, sizeof qd);
    CHECK_ERRNO(demi_pop((demi_qtoken_t *)(void *)odd, qd), 0, "pop into an odd place");
    memcpy(&qt, odd, sizeof qt);
    memcpy(odd, &AT_ONCE, sizeof AT_ONCE);
    CHECK_ERRNO(demi_wait((demi_qresult_t *)(room + 65), qt, (const struct timespec *)(void *)odd), ETIMEDOUT,
                "wait with an odd timeout");
    memcpy(odd, &qt, sizeof qt);
    CHECK_ERRNO(demi_wait_any((demi_qresult_t *)(room + 65), &n, (const demi_qtoken_t *)(void *)odd, 1, &AT_ONCE), EINVAL,
                "wait_any for tokens in an odd place");
    CHECK_ERRNO(margay_wake((const margay_wake_handle_t *)(void *)odd), EINVAL, "wake of an odd handle");
    CHECK_ERRNO(demi_close(qd), 0, "close");
    CHECK_ERRNO(demi_wait((demi_qresult_t *)(room + 65), qt, &LIMIT), 0, "wait for the pop, into an odd place");
}

static void *wake_soon(void *handle)
{
    const struct timespec pause = {0, 20000000};
    nanosleep(&pause, NULL);
    margay_wake(handle);
    return NULL;
}

static margay_wake_handle_t *signal_handle;
static volatile sig_atomic_t signals;

static void on_signal(int number)
{
    (void)number;
    signals++;
    if (signal_handle != NULL) {
        margay_wake(signal_handle);
    }
}

static void *signal_soon(void *thread)
{
    const struct timespec pause = {0, 20000000};
    for (int i = 0; i < 3; i++) {
        nanosleep(&pause, NULL);
        pthread_kill(*(pthread_t *)thread, SIGUSR1);
    }
    return NULL;
}

static void *push_to_late(void *unused)
{
    const struct timespec pause = {0, 150000000};
    int qd = -1;
    (void)unused;
    nanosleep(&pause, NULL);
    if (demi_init(NULL) == 0 && demi_open_pipe(&qd, "signals") == 0) {
        push_bytes(qd, "late", 4);
    }
    /* Ends with its LibOs and its queue open: the peer gets the message, then the end. */
    return NULL;
}

static void signals_and_waits(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    pthread_t self = pthread_self();
    pthread_t sender;
    pthread_t late;
    int qd;
    demi_qtoken_t qt = 0;
    demi_qresult_t qr;
    demi_sgarray_t sga = {0};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0, "a signal handler, without SA_RESTART");
    CHECK_ERRNO(demi_create_pipe(&qd, "signals"), 0, "create_pipe");
    CHECK_ERRNO(demi_pop(&qt, qd), 0, "pop");
    CHECK(pthread_create(&sender, NULL, signal_soon, &self) == 0, "a thread that sends signals");
    CHECK(pthread_create(&late, NULL, push_to_late, NULL) == 0, "a thread that pushes later");
    CHECK_ERRNO(demi_wait(&qr, qt, NULL), 0, "wait for ever is not ended by signals");
    CHECK(signals == 3, "which came");
    bool popped = qr.qr_opcode == DEMI_OPC_POP;
    CHECK(popped && holds_bytes(&qr.qr_value.sga, "late", 4), "but by the message");
    CHECK_ERRNO(popped ? demi_sgafree(&qr.qr_value.sga) : EINVAL, 0, "free");
    pthread_join(sender, NULL);
    pthread_join(late, NULL);
    int result = pop_message(qd, &sga);
    CHECK_ERRNO(result, 0, "pop after the peer's thread has ended");
    CHECK(result == 0 && sga.sga_segs[0].sgaseg_len == 0 && demi_sgafree(&sga) == 0, "gives the end of the stream");
    CHECK_ERRNO(pop_message(qd, &sga), EPIPE, "pop after the end");

    int quiet = -1;
    CHECK_ERRNO(demi_create_pipe(&quiet, "quiet"), 0, "create_pipe");
    CHECK_ERRNO(demi_pop(&qt, quiet), 0, "pop");
    CHECK_ERRNO(margay_wake_handle_create(&signal_handle), 0, "wake_handle_create");
    CHECK(pthread_create(&sender, NULL, signal_soon, &self) == 0, "a thread that sends signals");
    CHECK_ERRNO(demi_wait(&qr, qt, NULL), EINTR, "wait for ever ends when the signal handler wakes it");
    pthread_join(sender, NULL);
    signal(SIGUSR1, SIG_DFL);
    result = demi_wait(&qr, qt, &AT_ONCE);
    CHECK(result == EINTR || result == ETIMEDOUT, "the later signals count once at most");
    CHECK_ERRNO(margay_wake(signal_handle), 0, "wake");
    CHECK_ERRNO(demi_close(qd), 0, "close is not ended by it");
    CHECK_ERRNO(demi_wait(&qr, qt, NULL), EINTR, "and leaves it to the next wait");
    CHECK_ERRNO(demi_close(quiet), 0, "close");
    CHECK_ERRNO(demi_wait(&qr, qt, &LIMIT), 0, "wait for the pop");
    CHECK_ERRNO(margay_wake_handle_destroy(signal_handle), 0, "wake_handle_destroy");
    signal_handle = NULL;
}

/* What a child does with its copy of our LibOs, or does not, must not reach our pipes. */
static void forks(void)
{
    int made = -1;
    int opened = -1;
    int status = -1;
    demi_qtoken_t qt = 0;
    demi_sgarray_t sga = {0};
    CHECK_ERRNO(demi_create_pipe(&made, "fork"), 0, "create_pipe");
    CHECK_ERRNO(demi_open_pipe(&opened, "fork"), 0, "open_pipe");
    CHECK_ERRNO(push_bytes(opened, "before", 6), 0, "push");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int own = -1;
        bool good = demi_pop(&qt, made) == ENOSYS && demi_close(made) == ENOSYS && margay_fini() == ENOSYS &&
                    demi_init(NULL) == 0 && demi_pop(&qt, made) == EBADF && demi_create_pipe(&own, "child") == 0 &&
                    demi_close(own) == 0 && margay_fini() == 0;
        _exit(good ? 0 : 1);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0,
          "a child has no LibOs, and can make one");
    child = fork();
    if (child == 0) {
        exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child that just exits");
    CHECK_ERRNO(push_bytes(opened, "after", 5), 0, "push after both");
    int result = pop_message(made, &sga);
    CHECK(result == 0 && holds_bytes(&sga, "before", 6) && demi_sgafree(&sga) == 0, "the first message is there");
    result = pop_message(made, &sga);
    CHECK(result == 0 && holds_bytes(&sga, "after", 5) && demi_sgafree(&sga) == 0, "and the second");
    CHECK_ERRNO(push_bytes(made, "back", 4), 0, "push the other way");
    result = pop_message(opened, &sga);
    CHECK(result == 0 && holds_bytes(&sga, "back", 4) && demi_sgafree(&sga) == 0, "arrives");
    CHECK_ERRNO(demi_close(made), 0, "close");
    CHECK_ERRNO(demi_close(opened), 0, "close");
}

static void *wake_all_the_time(void *handle)
{
    for (int i = 0; i < 200000; i++) {
        margay_wake(handle);
    }
    margay_wake_handle_destroy(handle);
    return NULL;
}

/* Another thread wakes us while our LibOs ends, and long after. */
static void wake_across_fini(void)
{
    for (int i = 0; i < 5; i++) {
        pthread_t thread;
        int qd;
        demi_qtoken_t qt = 0;
        demi_qresult_t qr;
        margay_wake_handle_t *handle = NULL;
        const struct timespec limit = {0, 500000};
        int result = demi_init(NULL);
        result = result != 0 ? result : margay_wake_handle_create(&handle);
        result = result != 0 ? result : demi_create_pipe(&qd, "across");
        result = result != 0 ? result : demi_pop(&qt, qd);
        result = result != 0 ? result : pthread_create(&thread, NULL, wake_all_the_time, handle);
        CHECK_ERRNO(result, 0, "a LibOs that another thread wakes all the time");
        result = demi_wait(&qr, qt, &limit);
        CHECK(result == EINTR || result == ETIMEDOUT, "wait");
        CHECK_ERRNO(margay_fini(), 0, "fini meanwhile");
        pthread_join(thread, NULL);
    }
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

    int before, after;
    demi_qtoken_t old, new;
    CHECK_ERRNO(demi_create_pipe(&before, "before"), 0, "create_pipe");
    CHECK_ERRNO(demi_pop(&old, before), 0, "pop");
    CHECK_ERRNO(margay_fini(), 0, "fini with a pop pending");
    CHECK_ERRNO(demi_init(NULL), 0, "init");
    CHECK_ERRNO(demi_create_pipe(&after, "after"), 0, "create_pipe");
    CHECK_ERRNO(demi_pop(&new, after), 0, "pop");
    CHECK_ERRNO(margay_cancel(old), EINVAL, "a token of the LibOs before is unknown");
    CHECK_ERRNO(demi_close(before), EBADF, "a descriptor of the LibOs before is unknown");
    CHECK_ERRNO(margay_cancel(new), 0, "the new one is pending");
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
    sets();
    unaligned();
    signals_and_waits();
    forks();
    wake_and_readiness();
    after_fini();
    wake_across_fini();
    limits();
    CHECK(support_end() == 0, "nothing is left in the pipe directory");
    return check_done();
}
