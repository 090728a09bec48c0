/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A program as it is written for Demikernel, unchanged: only <demi/...>, the structures by their names, blocking calls, a
 * null timeout to wait for ever. It checks what such programs rely on: return codes and opcodes, what blocks and what does
 * not, order with many operations outstanding, messages of 16 KiB.
 *
 * main() forks before either side calls demi_init(): the child is the server. With LIBOS=catmem the two meet at a pipe,
 * with any other at a stream socket, and after that at datagram sockets.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <demi/libos.h>
#include <demi/sga.h>
#include <demi/types.h>
#include <demi/wait.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a check prints of an errno; <margay.h> is not included here. */
#define margay_strerror(error) strerror(error)
#include "check.h"

#define SECONDS_MAX 60
#define PORT 7777
/* Operations outstanding at once, and all together. */
#define OUTSTANDING 64
#define MESSAGES 4096
#define LARGE (16 * 1024)
#define PIPE "demikernel-style"

static char directory[] = "/tmp/margay-c-test-XXXXXX";

static struct sockaddr_in address_of(uint16_t port)
{
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    return address;
}

static void pause_for(long nanoseconds)
{
    struct timespec pause = {0, nanoseconds};
    nanosleep(&pause, NULL);
}

/* Waits for ever, and checks everything that a result says but its value. */
static demi_qresult_t wait_for(demi_qtoken_t qt, int qd, demi_opcode_t opcode)
{
    demi_qresult_t qr;
    memset(&qr, 0xa5, sizeof qr);
    int result = demi_wait(&qr, qt, NULL);
    if (result != 0 || qr.qr_opcode != opcode || qr.qr_qd != qd || qr.qr_qt != qt || qr.qr_ret != 0) {
        printf("# wait returned %d, opcode %d, descriptor %d, ret %lld\n", result, (int)qr.qr_opcode, (int)qr.qr_qd,
               (long long)qr.qr_ret);
        CHECK(false, "a wait gives the operation that was asked for");
        exit(check_done());
    }
    return qr;
}

static demi_sgarray_t filled(size_t size, unsigned number)
{
    demi_sgarray_t sga = demi_sgaalloc(size);
    if (sga.sga_numsegs != 1 || sga.sga_segs[0].sgaseg_len != size) {
        CHECK(false, "sgaalloc gives one segment of the size asked for");
        exit(check_done());
    }
    memset(sga.sga_segs[0].sgaseg_buf, (int)(number & 0xff), size);
    return sga;
}

/* Pushes a message, waits, frees. */
static bool push_one(int qd, size_t size, unsigned number)
{
    demi_qtoken_t qt = 0;
    demi_sgarray_t sga = filled(size, number);
    bool good = demi_push(&qt, qd, &sga) == 0;
    if (good) {
        wait_for(qt, qd, DEMI_OPC_PUSH);
    }
    return demi_sgafree(&sga) == 0 && good;
}

/* Pops until `size` bytes of this number have come, in one piece on a pipe. */
static bool pop_one(int qd, size_t size, unsigned number)
{
    for (size_t left = size; left > 0;) {
        demi_qtoken_t qt = 0;
        if (demi_pop(&qt, qd) != 0) {
            return false;
        }
        demi_sgarray_t sga = wait_for(qt, qd, DEMI_OPC_POP).qr_value.sga;
        const unsigned char *bytes = sga.sga_segs[0].sgaseg_buf;
        uint32_t length = sga.sga_segs[0].sgaseg_len;
        bool good = sga.sga_numsegs == 1 && length > 0 && length <= left;
        for (uint32_t i = 0; good && i < length; i++) {
            good = bytes[i] == (unsigned char)number;
        }
        if (demi_sgafree(&sga) != 0 || !good) {
            return false;
        }
        left -= length;
    }
    return true;
}

/* The end of the stream: length 0, once. */
static void pop_end(int qd)
{
    demi_qtoken_t qt = 0;
    CHECK_ERRNO(demi_pop(&qt, qd), 0, "pop at the end");
    demi_sgarray_t sga = wait_for(qt, qd, DEMI_OPC_POP).qr_value.sga;
    CHECK(sga.sga_segs[0].sgaseg_len == 0, "the peer's close is a message of length 0");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "which is freed like any other");
}

/* Many pushes outstanding, each with its number; all are waited for by wait_any. */
static void push_many(int qd, size_t size)
{
    demi_qtoken_t qts[OUTSTANDING];
    int outstanding = 0;
    bool good = true;
    for (unsigned pushed = 0, done = 0; good && done < MESSAGES;) {
        while (good && pushed < MESSAGES && outstanding < OUTSTANDING) {
            demi_sgarray_t sga = filled(size, pushed);
            good = demi_push(&qts[outstanding], qd, &sga) == 0 && demi_sgafree(&sga) == 0;
            outstanding++;
            pushed++;
        }
        demi_qresult_t qr;
        int ready = -1;
        good = good && demi_wait_any(&qr, &ready, qts, outstanding, NULL) == 0 && ready >= 0 && ready < outstanding &&
               qr.qr_opcode == DEMI_OPC_PUSH && qr.qr_qt == qts[ready];
        if (good) {
            qts[ready] = qts[--outstanding];
            done++;
        }
    }
    CHECK(good, "many pushes outstanding, all done");
}

/* Many pops outstanding, waited for in the order in which they were begun: so must the bytes come. */
static void pop_many(int qd, size_t size)
{
    demi_qtoken_t qts[OUTSTANDING];
    size_t total = 0;
    bool good = true;
    for (int i = 0; i < OUTSTANDING; i++) {
        good = good && demi_pop(&qts[i], qd) == 0;
    }
    for (int next = 0; good && total < MESSAGES * size; next = (next + 1) % OUTSTANDING) {
        demi_sgarray_t sga = wait_for(qts[next], qd, DEMI_OPC_POP).qr_value.sga;
        const unsigned char *bytes = sga.sga_segs[0].sgaseg_buf;
        for (uint32_t i = 0; good && i < sga.sga_segs[0].sgaseg_len; i++, total++) {
            good = bytes[i] == (unsigned char)(total / size);
        }
        good = good && sga.sga_segs[0].sgaseg_len > 0 && demi_sgafree(&sga) == 0 && demi_pop(&qts[next], qd) == 0;
    }
    CHECK(good && total == MESSAGES * size, "many pops outstanding get the bytes in their order");
    /* Those that are pending belong to nobody; the close ends them. */
    CHECK_ERRNO(demi_close(qd), 0, "close with pops pending");
    int cancelled = 0;
    for (int i = 0; good && i < OUTSTANDING; i++) {
        demi_qresult_t qr;
        good = demi_wait(&qr, qts[i], NULL) == 0;
        cancelled += qr.qr_opcode == DEMI_OPC_FAILED && qr.qr_ret == ECANCELED;
    }
    CHECK(cancelled == OUTSTANDING, "each of them fails with ECANCELED");
}

static const size_t SIZES[] = {1, 64, 4096, LARGE, LARGE + 1, 65536};

/* The calling side of a connection or pipe. */
static void talk(int qd)
{
    bool good = true;
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        for (unsigned number = 0; good && number < 50; number++) {
            good = push_one(qd, SIZES[i], number) && pop_one(qd, SIZES[i], number);
        }
        printf("# %zu bytes\n", SIZES[i]);
        CHECK(good, "messages come back");
    }

    /* Nothing comes until we have spoken: a wait with a limit says so, and one without sleeps until something does. */
    struct timespec limit = {0, 20000000};
    demi_qtoken_t qt = 0;
    demi_qresult_t qr;
    CHECK_ERRNO(demi_pop(&qt, qd), 0, "pop of what has not come");
    CHECK_ERRNO(demi_wait(&qr, qt, &limit), ETIMEDOUT, "wait with a limit");
    CHECK(push_one(qd, 3, 7), "push of what the peer waits for");
    qr = wait_for(qt, qd, DEMI_OPC_POP);
    CHECK(qr.qr_value.sga.sga_segs[0].sgaseg_len == 5, "the wait for ever ended with the answer, which came late");
    CHECK_ERRNO(demi_sgafree(&qr.qr_value.sga), 0, "free");
    push_many(qd, LARGE);
}

/* The answering side. */
static void answer(int qd)
{
    bool good = true;
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        for (unsigned number = 0; good && number < 50; number++) {
            good = pop_one(qd, SIZES[i], number) && push_one(qd, SIZES[i], number);
        }
    }
    CHECK(good, "messages are answered");
    CHECK(pop_one(qd, 3, 7), "pop of what the peer says when its limit has passed");
    pause_for(50000000);
    CHECK(push_one(qd, 5, 9), "an answer that comes late");
    pop_many(qd, LARGE);
}

static void wait_for_end_and_close(int qd)
{
    pop_end(qd);
    CHECK_ERRNO(demi_close(qd), 0, "close blocks until it is done, and succeeds");
    CHECK_ERRNO(demi_close(qd), EBADF, "a second close");
}

static void stream_server(void)
{
    struct sockaddr_in address = address_of(PORT);
    int listening = -1;
    demi_qtoken_t qt = 0;
    CHECK_ERRNO(demi_socket(&listening, AF_INET, SOCK_STREAM, 0), 0, "socket");
    CHECK_ERRNO(demi_bind(listening, (const struct sockaddr *)&address, sizeof address), 0, "bind");
    CHECK_ERRNO(demi_listen(listening, 16), 0, "listen");
    CHECK_ERRNO(demi_accept(&qt, listening), 0, "accept");
    demi_qresult_t qr = wait_for(qt, listening, DEMI_OPC_ACCEPT);
    struct sockaddr_in peer = qr.qr_value.ares.addr;
    CHECK(qr.qr_value.ares.qd >= 0 && qr.qr_value.ares.qd != listening, "a connection of its own");
    CHECK(peer.sin_family == AF_INET && peer.sin_addr.s_addr == address.sin_addr.s_addr && peer.sin_port != 0,
          "from a peer of this host");
    answer(qr.qr_value.ares.qd);
    CHECK_ERRNO(demi_close(listening), 0, "close of the listening socket");
}

static void stream_client(void)
{
    struct sockaddr_in address = address_of(PORT);
    int qd = -1;
    demi_qresult_t qr;
    for (int i = 0; i < SECONDS_MAX * 1000; i++) {
        demi_qtoken_t qt = 0;
        if (demi_socket(&qd, AF_INET, SOCK_STREAM, 0) != 0 ||
            demi_connect(&qt, qd, (const struct sockaddr *)&address, sizeof address) != 0 || demi_wait(&qr, qt, NULL) != 0 ||
            qr.qr_opcode == DEMI_OPC_CONNECT || qr.qr_ret != ECONNREFUSED) {
            break;
        }
        demi_close(qd);
        pause_for(1000000);
    }
    CHECK(qr.qr_opcode == DEMI_OPC_CONNECT && qr.qr_ret == 0 && qr.qr_qd == qd, "connect, when somebody listens");
    talk(qd);
    wait_for_end_and_close(qd);
}

static void datagram_server(void)
{
    struct sockaddr_in address = address_of(PORT);
    int qd = -1;
    demi_qtoken_t qt = 0;
    CHECK_ERRNO(demi_socket(&qd, AF_INET, SOCK_DGRAM, 0), 0, "socket");
    CHECK_ERRNO(demi_bind(qd, (const struct sockaddr *)&address, sizeof address), 0, "bind");
    bool good = true;
    uint32_t length = 0;
    /* Until a datagram of one byte comes. */
    while (good && length != 1) {
        good = demi_pop(&qt, qd) == 0;
        demi_sgarray_t sga = wait_for(qt, qd, DEMI_OPC_POP).qr_value.sga;
        struct sockaddr_in sender = sga.sga_addr;
        length = sga.sga_segs[0].sgaseg_len;
        good = good && sender.sin_family == AF_INET && sender.sin_port != 0 &&
               demi_pushto(&qt, qd, &sga, (const struct sockaddr *)&sender, sizeof sender) == 0;
        wait_for(qt, qd, DEMI_OPC_PUSH);
        good = demi_sgafree(&sga) == 0 && good;
    }
    CHECK(good, "datagrams went back to their senders");
    CHECK_ERRNO(demi_close(qd), 0, "close");
}

static void datagram_client(void)
{
    static const size_t LENGTHS[] = {2, 1000, LARGE, 60000, 1};
    struct sockaddr_in address = address_of(PORT);
    struct timespec limit = {0, 200000000};
    int qd = -1;
    demi_qtoken_t popping = 0;
    bool good = true;
    CHECK_ERRNO(demi_socket(&qd, AF_INET, SOCK_DGRAM, 0), 0, "socket");
    for (size_t i = 0; good && i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
        demi_qresult_t qr;
        good = demi_pop(&popping, qd) == 0;
        int result = ETIMEDOUT;
        /* The server may not be there yet. */
        for (int tries = 0; good && result == ETIMEDOUT && tries < SECONDS_MAX * 5; tries++) {
            demi_qtoken_t qt = 0;
            demi_sgarray_t sga = filled(LENGTHS[i], (unsigned)i);
            good = demi_pushto(&qt, qd, &sga, (const struct sockaddr *)&address, sizeof address) == 0;
            wait_for(qt, qd, DEMI_OPC_PUSH);
            good = demi_sgafree(&sga) == 0 && good;
            result = demi_wait(&qr, popping, &limit);
        }
        good = good && result == 0 && qr.qr_opcode == DEMI_OPC_POP;
        if (good) {
            demi_sgarray_t sga = qr.qr_value.sga;
            const unsigned char *bytes = sga.sga_segs[0].sgaseg_buf;
            /* Unless it is the second answer to the first one, which was sent before the server was there. */
            bool second = i > 0 && sga.sga_segs[0].sgaseg_len == LENGTHS[0];
            good = second || (sga.sga_segs[0].sgaseg_len == LENGTHS[i] && bytes[0] == i && bytes[LENGTHS[i] - 1] == i &&
                              sga.sga_addr.sin_port == address.sin_port);
            i -= second;
            good = demi_sgafree(&sga) == 0 && good;
        }
    }
    CHECK(good, "datagrams came back whole, from the server");
    CHECK_ERRNO(demi_close(qd), 0, "close");
}

static void pipe_server(void)
{
    int qd = -1;
    CHECK_ERRNO(demi_create_pipe(&qd, PIPE), 0, "create_pipe");
    answer(qd);
}

static void pipe_client(void)
{
    int qd = -1;
    int result = ENOENT;
    for (int i = 0; i < SECONDS_MAX * 1000 && (result == ENOENT || result == ECONNREFUSED); i++) {
        result = demi_open_pipe(&qd, PIPE);
        pause_for(1000000);
    }
    CHECK_ERRNO(result, 0, "open_pipe, when it is there");
    talk(qd);
    wait_for_end_and_close(qd);
}

/* Runs one side in this process. */
static int run(const char *libos, bool server, char *argv[])
{
    struct demi_args args = {.argc = 1, .argv = argv, .callback = NULL};
    bool pipes = strcmp(libos, "catmem") == 0;
    CHECK_ERRNO(demi_init(&args), 0, "init");
    CHECK_ERRNO(demi_init(&args), EEXIST, "a second init");
    if (pipes) {
        int qd = -1;
        CHECK_ERRNO(demi_socket(&qd, AF_INET, SOCK_STREAM, 0), ENOTSUP, "socket where there are pipes only");
        (server ? pipe_server : pipe_client)();
    } else {
        (server ? stream_server : stream_client)();
        (server ? datagram_server : datagram_client)();
    }
    return check_done();
}

static void both_sides(const char *libos, char *argv[])
{
    int status = -1;
    setenv("LIBOS", libos, 1);
    printf("# LIBOS=%s\n", libos);
    fflush(stdout);
    pid_t server = fork();
    if (server == 0) {
        alarm(SECONDS_MAX);
        check_role = "# server: ";
        exit(run(libos, true, argv));
    }
    pid_t client = fork();
    if (client == 0) {
        alarm(SECONDS_MAX);
        check_role = "# client: ";
        exit(run(libos, false, argv));
    }
    CHECK(waitpid(client, &status, 0) == client && WIFEXITED(status) && WEXITSTATUS(status) == 0, "the client went well");
    CHECK(waitpid(server, &status, 0) == server && WIFEXITED(status) && WEXITSTATUS(status) == 0, "and so did the server");
}

int main(int argc, char *argv[])
{
    char path[64];
    (void)argc;
    alarm(3 * SECONDS_MAX);
    if (mkdtemp(directory) == NULL || setenv("XDG_RUNTIME_DIR", directory, 1) != 0) {
        perror("private directory");
        return 2;
    }
    unsetenv("CONFIG_PATH");
    both_sides("catloop", argv);
    both_sides("catmem", argv);
    snprintf(path, sizeof path, "%s/margay", directory);
    CHECK((rmdir(path) == 0 || errno == ENOENT) && rmdir(directory) == 0, "nothing is left behind");
    return check_done();
}
