/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Unix sockets through the C interface, on each back end that has them: streams, datagrams that are answered, abstract
 * names, and what is wrong. Connections go from one LibOs to itself.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/un.h>

#include "support.h"

static const socklen_t NAME = offsetof(struct sockaddr_un, sun_path);

/* The address of a path in the test's own directory. */
static struct sockaddr_un path(const char *file)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", support_directory, file);
    return address;
}

/* An abstract name of this process, `length` bytes with the first NUL. */
static struct sockaddr_un abstract(socklen_t *length)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "margay-c-test-%ld", (long)getpid());
    /* With a NUL byte inside, which belongs to the name. */
    memcpy(address.sun_path + 1 + n, "\0x", 2);
    *length = NAME + 1 + (socklen_t)n + 2;
    return address;
}

static struct sockaddr *generic(struct sockaddr_un *address)
{
    return (struct sockaddr *)address;
}

static int make_socket(int type)
{
    int qd = -1;
    CHECK_ERRNO(demi_socket(&qd, AF_UNIX, type, 0), 0, "socket");
    return qd;
}

/* The errno that an operation failed with, 0 if it did not; or that of the wait. */
static int outcome(demi_qtoken_t qt)
{
    demi_qresult_t qr;
    int result = demi_wait(&qr, qt, &LIMIT);
    return result != 0 ? result : (int)qr.qr_ret;
}

/* Connects, and gives the errno of whichever step failed. */
static int connect_to(int qd, struct sockaddr_un *address, socklen_t size)
{
    demi_qtoken_t qt;
    int result = demi_connect(&qt, qd, generic(address), size);
    return result != 0 ? result : outcome(qt);
}

static bool is_name(const struct sockaddr_un *one, socklen_t length, const struct sockaddr_un *other, socklen_t expected)
{
    return length == expected && one->sun_family == AF_UNIX && memcmp(one, other, length) == 0;
}

/* A connection by this name; `size` is what is passed, `told` what the calls then tell. */
static void stream(struct sockaddr_un address, socklen_t size, socklen_t told)
{
    struct sockaddr_un name = {0};
    socklen_t length = sizeof name;
    demi_qtoken_t accepting;
    demi_qresult_t qr;
    demi_sgarray_t popped = {0};
    int listening = make_socket(SOCK_STREAM);
    int calling = make_socket(SOCK_STREAM);
    CHECK_ERRNO(demi_getsockname(listening, generic(&name), &length), 0, "getsockname of what is not bound");
    CHECK(length == NAME && name.sun_family == AF_UNIX, "is the family alone");
    length = sizeof name;
    CHECK_ERRNO(demi_getpeername(calling, generic(&name), &length), ENOTCONN, "getpeername of what is not connected");
    CHECK_ERRNO(demi_listen(listening, 1), EDESTADDRREQ, "listen of what is not bound");
    CHECK_ERRNO(margay_shutdown(calling, SHUT_RD), ENOTCONN, "shutdown of what is not connected");
    CHECK_ERRNO(demi_bind(listening, generic(&address), size), 0, "bind");
    CHECK_ERRNO(demi_bind(listening, generic(&address), size), EINVAL, "a second bind");
    CHECK_ERRNO(demi_bind(calling, generic(&address), size), EADDRINUSE, "bind to a name that is taken");
    CHECK_ERRNO(connect_to(calling, &address, size), ECONNREFUSED, "connect where nobody listens");
    CHECK_ERRNO(demi_listen(listening, 4), 0, "listen");
    CHECK_ERRNO(demi_getsockname(listening, generic(&name), &length), 0, "getsockname");
    CHECK(is_name(&name, length, &address, told), "is the name");
    CHECK_ERRNO(demi_accept(&accepting, listening), 0, "accept");
    CHECK_ERRNO(connect_to(calling, &address, size), 0, "connect");
    CHECK_ERRNO(demi_wait(&qr, accepting, &LIMIT), 0, "wait for the accept");
    CHECK(qr.qr_opcode == DEMI_OPC_ACCEPT && qr.qr_value.ares.addr.sin_family == AF_UNIX, "accepted from a Unix socket");
    int served = qr.qr_value.ares.qd;
    length = sizeof name;
    CHECK_ERRNO(demi_getpeername(calling, generic(&name), &length), 0, "getpeername");
    CHECK(is_name(&name, length, &address, told), "is the listener's name");
    length = sizeof name;
    CHECK_ERRNO(demi_getpeername(served, generic(&name), &length), 0, "getpeername of the other side");
    CHECK(length == NAME, "is the family alone: the caller has no name");
    length = 15;
    CHECK_ERRNO(demi_getpeername(calling, generic(&name), &length), EINVAL, "getpeername into too few bytes");
    CHECK_ERRNO(push_bytes(calling, "hello", 5), 0, "push");
    int result = pop_message(served, &popped);
    CHECK(result == 0 && holds_bytes(&popped, "hello", 5), "arrives");
    length = sizeof name;
    CHECK_ERRNO(margay_sender(&popped, generic(&name), &length), EOPNOTSUPP, "sender of a stream's message");
    CHECK(result == 0 && demi_sgafree(&popped) == 0, "sgafree");
    CHECK_ERRNO(margay_shutdown(calling, SHUT_WR), 0, "half-close");
    result = pop_message(served, &popped);
    CHECK(result == 0 && popped.sga_segs[0].sgaseg_len == 0 && demi_sgafree(&popped) == 0, "is the end for the other side");
    CHECK_ERRNO(push_bytes(served, "still", 5), 0, "which can still push");
    result = pop_message(calling, &popped);
    CHECK(result == 0 && holds_bytes(&popped, "still", 5) && demi_sgafree(&popped) == 0, "and is heard");
    CHECK(demi_close(served) == 0 && demi_close(calling) == 0 && demi_close(listening) == 0, "close");
}

/* A question to a name, and the answer to its sender's. */
static void datagrams(void)
{
    struct sockaddr_un asked = path("asked");
    struct sockaddr_un asking = path("asking");
    struct sockaddr_un nowhere = path("nowhere");
    struct sockaddr_un name = {0};
    socklen_t length = sizeof name;
    demi_qtoken_t qt;
    demi_sgarray_t popped = {0};
    demi_sgarray_t sga = message("question", 8);
    int server = make_socket(SOCK_DGRAM);
    int client = make_socket(SOCK_DGRAM);
    int nameless = make_socket(SOCK_DGRAM);
    CHECK_ERRNO(demi_bind(server, generic(&asked), sizeof asked), 0, "bind");
    CHECK_ERRNO(demi_bind(client, generic(&asking), sizeof asking), 0, "bind of who asks");
    CHECK_ERRNO(demi_push(&qt, client, &sga), 0, "push with no destination");
    CHECK_ERRNO(outcome(qt), EDESTADDRREQ, "fails in its completion");
    CHECK_ERRNO(demi_pushto(&qt, client, &sga, generic(&nowhere), sizeof nowhere), 0, "pushto a path that is not there");
    CHECK_ERRNO(outcome(qt), ENOENT, "fails in its completion");
    CHECK_ERRNO(demi_pushto(&qt, client, &sga, generic(&asked), sizeof asked), 0, "pushto");
    CHECK_ERRNO(outcome(qt), 0, "is done");
    int result = pop_message(server, &popped);
    CHECK(result == 0 && holds_bytes(&popped, "question", 8) && popped.sga_addr.sin_family == AF_UNIX, "arrives");
    CHECK_ERRNO(margay_sender(&popped, generic(&name), &length), 0, "sender");
    CHECK(is_name(&name, length, &asking, NAME + (socklen_t)strlen(asking.sun_path) + 1), "is the name of who asked");
    CHECK_ERRNO(demi_pushto(&qt, server, &popped, generic(&name), length), 0, "pushto of the answer");
    CHECK_ERRNO(outcome(qt), 0, "is done");
    CHECK(result == 0 && demi_sgafree(&popped) == 0, "sgafree");
    result = pop_message(client, &popped);
    CHECK(result == 0 && holds_bytes(&popped, "question", 8) && demi_sgafree(&popped) == 0, "arrives");

    CHECK_ERRNO(connect_to(nameless, &asked, sizeof asked), 0, "connect of a datagram socket");
    CHECK_ERRNO(demi_push(&qt, nameless, &sga), 0, "push");
    CHECK_ERRNO(outcome(qt), 0, "is done");
    result = pop_message(server, &popped);
    length = sizeof name;
    CHECK_ERRNO(margay_sender(&popped, generic(&name), &length), 0, "sender");
    CHECK(result == 0 && length == NAME && demi_sgafree(&popped) == 0, "has no name");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "sgafree");
    CHECK(demi_close(server) == 0 && demi_close(client) == 0 && demi_close(nameless) == 0, "close");
    CHECK(unlink(asked.sun_path) == 0 && unlink(asking.sun_path) == 0, "the files of the names are still there");
}

/* Names that are none, and sockets of another family. */
static void wrong(void)
{
    struct sockaddr_un address = path("wrong");
    struct sockaddr_un missing = path("no-such-folder/socket");
    struct sockaddr_in ip = {.sin_family = AF_INET};
    socklen_t length = sizeof ip;
    demi_qtoken_t qt = 4711;
    int qd = make_socket(SOCK_STREAM);
    struct sockaddr_un longest = {.sun_family = AF_UNIX};
    memset(longest.sun_path, 'x', sizeof longest.sun_path);
    CHECK_ERRNO(demi_bind(qd, generic(&address), NAME), EINVAL, "bind to no name");
    CHECK_ERRNO(demi_bind(qd, generic(&address), 1), EINVAL, "bind to half a family");
    CHECK_ERRNO(demi_bind(qd, generic(&longest), sizeof longest), ENAMETOOLONG, "bind to a path without its NUL byte");
    CHECK_ERRNO(demi_connect(&qt, qd, generic(&longest), sizeof longest), ENAMETOOLONG, "connect to it");
    CHECK_ERRNO(demi_bind(qd, generic(&missing), sizeof missing), ENOENT, "bind in a folder that is not there");
    CHECK_ERRNO(demi_bind(qd, (struct sockaddr *)&ip, sizeof ip), EAFNOSUPPORT, "bind to an IPv4 address");
    CHECK_ERRNO(demi_connect(&qt, qd, (struct sockaddr *)&ip, sizeof ip), EAFNOSUPPORT, "connect to an IPv4 address");
    CHECK(qt == 4711, "no token was given");
    CHECK_ERRNO(connect_to(qd, &missing, sizeof missing), ENOENT, "connect to a path that is not there");
    CHECK_ERRNO(demi_close(qd), 0, "close");
    CHECK_ERRNO(demi_socket(&qd, AF_INET, SOCK_STREAM, 0), 0, "an IPv4 socket");
    CHECK_ERRNO(demi_bind(qd, generic(&address), sizeof address), EAFNOSUPPORT, "bind of it to a path");
    CHECK_ERRNO(demi_getsockname(qd, (struct sockaddr *)&ip, &length), 0, "getsockname");
    CHECK(length == sizeof ip && ip.sin_family == AF_INET, "is an IPv4 address");
    CHECK_ERRNO(demi_close(qd), 0, "close");
}

int main(void)
{
    static const char *BACKENDS[] = {"catnap", "catcollar"};
    support_begin();
    for (size_t i = 0; i < sizeof BACKENDS / sizeof *BACKENDS; i++) {
        printf("# on %s\n", BACKENDS[i]);
        setenv("LIBOS", BACKENDS[i], 1);
        int result = demi_init(NULL);
        if (result == EPERM || result == ENOSYS) {
            printf("skipped - Unix sockets in C on %s: %s\n", BACKENDS[i], margay_last_error());
            continue;
        }
        CHECK_ERRNO(result, 0, "init");
        struct sockaddr_un file = path("stream");
        socklen_t length = 0;
        struct sockaddr_un hidden = abstract(&length);
        stream(file, sizeof file, NAME + (socklen_t)strlen(file.sun_path) + 1);
        CHECK(unlink(file.sun_path) == 0, "the file of the name is still there");
        stream(hidden, length, length);
        datagrams();
        wrong();
        CHECK_ERRNO(margay_fini(), 0, "fini");
    }
    CHECK(support_end() == 0, "nothing is left in the runtime directory");
    return check_done();
}
