/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The socket calls of the C interface in one process: what they return for good and for bad arguments, and in every state
 * of a socket. Connections go from one LibOs to itself. Runs on the default back end.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>

#include "support.h"

/* Descriptors that nobody was given. */
static const int BAD_QDS[] = {-1, 0x7fffffff, 0x12345, -0x7fffffff - 1};

/* An address that is larger than any size that is passed with it. */
union address {
    struct sockaddr generic;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage storage;
};

static union address ipv4(const char *host, uint16_t port)
{
    union address address = {.storage = {0}};
    address.v4.sin_family = AF_INET;
    address.v4.sin_port = htons(port);
    inet_pton(AF_INET, host, &address.v4.sin_addr);
    return address;
}

static union address ipv6(const char *host, uint16_t port)
{
    union address address = {.storage = {0}};
    address.v6.sin6_family = AF_INET6;
    address.v6.sin6_port = htons(port);
    inet_pton(AF_INET6, host, &address.v6.sin6_addr);
    return address;
}

static int make_socket(int domain, int type)
{
    int qd = -1;
    CHECK_ERRNO(demi_socket(&qd, domain, type, 0), 0, "socket");
    return qd;
}

/* The errno that an operation failed with, 0 if it did not; or that of the wait. */
static int outcome(demi_qtoken_t qt)
{
    demi_qresult_t qr;
    int result = demi_wait(&qr, qt, &LIMIT);
    if (result == 0 && qr.qr_opcode == DEMI_OPC_POP) {
        demi_sgafree(&qr.qr_value.sga);
    }
    return result != 0 ? result : (int)qr.qr_ret;
}

static void kinds_of_sockets(void)
{
    static const struct {
        int domain;
        int type;
        int protocol;
        int expected;
        const char *name;
    } KINDS[] = {
        {AF_INET, SOCK_STREAM, 0, 0, "a stream socket"},
        {AF_INET, SOCK_STREAM, IPPROTO_TCP, 0, "a stream socket by its protocol"},
        {AF_INET, SOCK_DGRAM, IPPROTO_UDP, 0, "a datagram socket by its protocol"},
        {AF_INET6, SOCK_STREAM, 0, 0, "an IPv6 stream socket"},
        {AF_INET6, SOCK_DGRAM, 0, 0, "an IPv6 datagram socket"},
        {AF_INET, SOCK_STREAM, IPPROTO_UDP, EPROTONOSUPPORT, "a stream socket with UDP"},
        {AF_INET, SOCK_DGRAM, IPPROTO_TCP, EPROTONOSUPPORT, "a datagram socket with TCP"},
        {AF_INET, SOCK_DGRAM, -1, EPROTONOSUPPORT, "a datagram socket with no protocol"},
        {AF_UNIX, SOCK_STREAM, 0, EAFNOSUPPORT, "a Unix socket, which this back end does not have"},
        {AF_UNIX, SOCK_DGRAM, IPPROTO_UDP, EPROTONOSUPPORT, "a Unix socket with UDP"},
        {-1, SOCK_STREAM, 0, ENOTSUP, "a socket of no domain"},
        {0x10002, SOCK_STREAM, 0, ENOTSUP, "a socket of a domain beyond 16 bits"},
        {AF_INET, SOCK_RAW, 0, ENOTSUP, "a raw socket"},
        {AF_INET, -1, 0, ENOTSUP, "a socket of no type"},
        {AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0, ENOTSUP, "a socket with flags in its type"},
    };
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        int qd = -4711;
        CHECK_ERRNO(demi_socket(&qd, KINDS[i].domain, KINDS[i].type, KINDS[i].protocol), KINDS[i].expected, KINDS[i].name);
        CHECK(KINDS[i].expected == 0 ? qd >= 0 && demi_close(qd) == 0 : qd == -4711, "a descriptor only if it was made");
    }
    setenv("LIBOS", "catmem", 1);
    CHECK_ERRNO(margay_fini(), 0, "fini");
    CHECK_ERRNO(demi_init(NULL), 0, "init with LIBOS=catmem");
    int qd = -4711;
    CHECK_ERRNO(demi_socket(&qd, AF_INET, SOCK_STREAM, 0), ENOTSUP, "a socket where there are pipes only");
    CHECK(qd == -4711 && strstr(margay_last_error(), "libos") != NULL, "and the reason says what to set");
    unsetenv("LIBOS");
    CHECK_ERRNO(margay_fini(), 0, "fini");
    CHECK_ERRNO(demi_init(NULL), 0, "init with the default");
}

/* Every call that takes an address, with addresses that are none. */
static void addresses(void)
{
    static const socklen_t SIZES[] = {0, 1, 15, 17, 27, 28, 29, 128};
    union address loopback = ipv4("127.0.0.1", 4711);
    union address loopback6 = ipv6("::1", 4711);
    union address other = {.generic = {.sa_family = AF_NETLINK}};
    union address local = {.generic = {.sa_family = AF_UNIX, .sa_data = "/tmp/nothing"}};
    demi_sgarray_t sga = message("datagram", 8);
    demi_qtoken_t qt = 4711;
    int stream = make_socket(AF_INET, SOCK_STREAM);
    int datagram = make_socket(AF_INET, SOCK_DGRAM);
    int stream6 = make_socket(AF_INET6, SOCK_STREAM);
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        printf("# %u bytes\n", (unsigned)SIZES[i]);
        CHECK_ERRNO(demi_bind(stream, &loopback.generic, SIZES[i]), EINVAL, "bind with an IPv4 address of another size");
        CHECK_ERRNO(demi_connect(&qt, stream, &loopback.generic, SIZES[i]), EINVAL, "connect with it");
        CHECK_ERRNO(demi_pushto(&qt, datagram, &sga, &loopback.generic, SIZES[i]), EINVAL, "pushto with it");
    }
    CHECK_ERRNO(demi_bind(stream6, &loopback6.generic, 16), EINVAL, "bind with a short IPv6 address");
    CHECK_ERRNO(demi_connect(&qt, stream6, &loopback6.generic, 16), EINVAL, "connect with it");
    for (socklen_t size = 16; size <= 28; size += 12) {
        CHECK_ERRNO(demi_bind(stream, &other.generic, size), EINVAL, "bind with an address of no family of ours");
        CHECK_ERRNO(demi_connect(&qt, stream, &other.generic, size), EINVAL, "connect with it");
        CHECK_ERRNO(demi_pushto(&qt, datagram, &sga, &other.generic, size), EINVAL, "pushto with it");
    }
    CHECK_ERRNO(demi_bind(stream, &local.generic, 16), EAFNOSUPPORT, "bind of an IPv4 socket to a path");
    CHECK_ERRNO(demi_connect(&qt, stream, &local.generic, 16), EAFNOSUPPORT, "connect of an IPv4 socket to a path");
    CHECK_ERRNO(demi_bind(stream, &local.generic, 2), EINVAL, "bind to a path that is not there");
    CHECK_ERRNO(demi_bind(stream, &local.generic, 111), EINVAL, "bind to a path in more than a struct sockaddr_un");
    CHECK_ERRNO(demi_bind(stream, &loopback6.generic, 28), EAFNOSUPPORT, "bind of an IPv4 socket to an IPv6 address");
    CHECK_ERRNO(demi_bind(stream6, &loopback.generic, 16), EAFNOSUPPORT, "bind of an IPv6 socket to an IPv4 address");
    CHECK_ERRNO(demi_connect(&qt, stream, &loopback6.generic, 28), EAFNOSUPPORT, "connect of an IPv4 socket to an IPv6 address");
    CHECK(qt == 4711, "no token was given");
    CHECK_ERRNO(demi_pushto(&qt, datagram, &sga, &loopback6.generic, 28), 0, "pushto of an IPv4 socket to an IPv6 address");
    CHECK_ERRNO(outcome(qt), EAFNOSUPPORT, "fails in its completion");
    CHECK_ERRNO(demi_pushto(&qt, datagram, &sga, &local.generic, 16), 0, "pushto of an IPv4 socket to a path");
    CHECK_ERRNO(outcome(qt), EAFNOSUPPORT, "fails in its completion");
    CHECK_ERRNO(demi_bind(stream6, &loopback6.generic, 28), 0, "bind of an IPv6 socket to an IPv6 address");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "sgafree");
    CHECK(demi_close(stream) == 0 && demi_close(datagram) == 0 && demi_close(stream6) == 0, "close of all three");
}

/* Every socket call on what is no socket: pipes, and descriptors that nobody was given. */
static void no_sockets(void)
{
    union address address = ipv4("127.0.0.1", 4711);
    socklen_t length = sizeof address.v4;
    demi_sgarray_t sga = message("datagram", 8);
    demi_qtoken_t qt = 4711;
    int value = 1;
    int pipe = -1;
    CHECK_ERRNO(demi_create_pipe(&pipe, "no-socket"), 0, "create_pipe");
    for (size_t i = 0; i <= sizeof BAD_QDS / sizeof *BAD_QDS; i++) {
        bool bad = i < sizeof BAD_QDS / sizeof *BAD_QDS;
        int qd = bad ? BAD_QDS[i] : pipe;
        int expected = bad ? EBADF : EOPNOTSUPP;
        printf("# %s, descriptor %d\n", bad ? "nothing" : "a pipe", qd);
        CHECK_ERRNO(demi_bind(qd, &address.generic, length), expected, "bind");
        CHECK_ERRNO(demi_listen(qd, 8), expected, "listen");
        CHECK_ERRNO(demi_accept(&qt, qd), expected, "accept");
        CHECK_ERRNO(demi_connect(&qt, qd, &address.generic, length), expected, "connect");
        CHECK_ERRNO(demi_pushto(&qt, qd, &sga, &address.generic, length), expected, "pushto");
        CHECK_ERRNO(demi_setsockopt(qd, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof value), expected, "setsockopt");
        length = sizeof value;
        CHECK_ERRNO(demi_getsockopt(qd, SOL_SOCKET, SO_KEEPALIVE, &value, &length), expected, "getsockopt");
        length = sizeof address.v4;
        CHECK_ERRNO(demi_getpeername(qd, &address.generic, &length), expected, "getpeername");
        CHECK_ERRNO(demi_getsockname(qd, &address.generic, &length), expected, "getsockname");
        CHECK(length == sizeof address.v4 && qt == 4711 && value == 1, "nothing was written");
    }
    CHECK_ERRNO(demi_close(pipe), 0, "close");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "sgafree");
}

static void options(void)
{
    static const struct {
        int level;
        int name;
        int value;
        int expected; /* errno of setsockopt */
        const char *text;
    } OPTIONS[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1, 0, "SO_KEEPALIVE"},
        {SOL_SOCKET, SO_REUSEADDR, 1, 0, "SO_REUSEADDR"},
        {SOL_SOCKET, SO_SNDBUF, 65536, 0, "SO_SNDBUF"},
        {SOL_SOCKET, SO_RCVBUF, 65536, 0, "SO_RCVBUF"},
        {SOL_SOCKET, SO_SNDBUF, -1, EINVAL, "SO_SNDBUF below 0"},
        {IPPROTO_TCP, TCP_NODELAY, 1, 0, "TCP_NODELAY"},
        {IPPROTO_TCP, TCP_KEEPIDLE, 32767, 0, "TCP_KEEPIDLE"},
        {IPPROTO_TCP, TCP_KEEPIDLE, 32768, EINVAL, "TCP_KEEPIDLE above its range"},
        {IPPROTO_TCP, TCP_KEEPIDLE, 0, EINVAL, "TCP_KEEPIDLE of 0"},
        {IPPROTO_TCP, TCP_KEEPIDLE, -1, EINVAL, "TCP_KEEPIDLE below 0"},
        {IPPROTO_TCP, TCP_KEEPINTVL, 1, 0, "TCP_KEEPINTVL"},
        {IPPROTO_TCP, TCP_KEEPINTVL, 0, EINVAL, "TCP_KEEPINTVL of 0"},
        {IPPROTO_TCP, TCP_KEEPCNT, 127, 0, "TCP_KEEPCNT"},
        {IPPROTO_TCP, TCP_KEEPCNT, 128, EINVAL, "TCP_KEEPCNT above its range"},
        {IPPROTO_TCP, TCP_KEEPCNT, 0, EINVAL, "TCP_KEEPCNT of 0"},
        {SOL_SOCKET, TCP_NODELAY, 1, ENOPROTOOPT, "TCP_NODELAY of another level"},
        {IPPROTO_TCP, SO_KEEPALIVE, 1, ENOPROTOOPT, "SO_KEEPALIVE of another level"},
        {SOL_SOCKET, SO_ERROR, 1, ENOPROTOOPT, "SO_ERROR"},
        {SOL_SOCKET, 9999, 1, ENOPROTOOPT, "an option that nobody knows"},
        {-1, SO_LINGER, 1, ENOPROTOOPT, "a level that nobody knows"},
        {IPPROTO_IP, IP_TTL, 1, ENOPROTOOPT, "IP_TTL"},
    };
    int qd = make_socket(AF_INET, SOCK_STREAM);
    for (size_t i = 0; i < sizeof OPTIONS / sizeof *OPTIONS; i++) {
        int level = OPTIONS[i].level;
        int name = OPTIONS[i].name;
        int value = OPTIONS[i].value;
        char room[64] = {0};
        socklen_t length = sizeof room;
        printf("# %s\n", OPTIONS[i].text);
        CHECK_ERRNO(demi_setsockopt(qd, level, name, &value, sizeof value), OPTIONS[i].expected, "setsockopt");
        bool known = OPTIONS[i].expected != ENOPROTOOPT;
        CHECK_ERRNO(demi_getsockopt(qd, level, name, room, &length), known ? 0 : ENOPROTOOPT, "getsockopt");
        if (OPTIONS[i].expected == 0) {
            CHECK(length == sizeof value && memcmp(room, &value, sizeof value) == 0, "gives what was set, and its size");
        }
        for (socklen_t size = 0; known && size < sizeof value; size += 3) {
            length = size;
            CHECK_ERRNO(demi_setsockopt(qd, level, name, &value, size), EINVAL, "setsockopt of too few bytes");
            CHECK_ERRNO(demi_getsockopt(qd, level, name, &value, &length), EINVAL, "getsockopt into too few bytes");
            CHECK(length == size && value == OPTIONS[i].value, "writes nothing");
        }
    }

    static const struct {
        struct linger linger;
        int expected;
    } LINGERS[] = {{{1, 3}, 0}, {{1, 0}, 0}, {{1, 65535}, 0}, {{1, 65536}, EINVAL}, {{1, -1}, EINVAL}, {{0, 0}, 0}};
    for (size_t i = 0; i < sizeof LINGERS / sizeof *LINGERS; i++) {
        struct linger linger = LINGERS[i].linger;
        struct linger got = {7, 7};
        socklen_t length = sizeof got;
        printf("# linger %d, %d s\n", linger.l_onoff, linger.l_linger);
        CHECK_ERRNO(demi_setsockopt(qd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), LINGERS[i].expected, "setsockopt");
        CHECK_ERRNO(demi_getsockopt(qd, SOL_SOCKET, SO_LINGER, &got, &length), 0, "getsockopt");
        CHECK(LINGERS[i].expected != 0 ||
                  (length == sizeof got && got.l_onoff == linger.l_onoff && got.l_linger == linger.l_linger),
              "gives what was set");
        length = sizeof(int);
        CHECK_ERRNO(demi_setsockopt(qd, SOL_SOCKET, SO_LINGER, &linger, sizeof(int)), EINVAL, "half a struct linger");
        CHECK_ERRNO(demi_getsockopt(qd, SOL_SOCKET, SO_LINGER, &got, &length), EINVAL, "room for half of it");
    }
    CHECK_ERRNO(demi_close(qd), 0, "close");
}

/* Where a call does not fit the state that a stream socket is in. */
static void stream_states(void)
{
    union address any = ipv4("127.0.0.1", 0);
    union address own = {.storage = {0}};
    union address peer = {.storage = {0}};
    union address foreign = ipv4("192.0.2.1", 4711);
    demi_sgarray_t sga = message("x", 1);
    demi_qtoken_t qt = 0;
    demi_qtoken_t accepting = 0;
    demi_qresult_t qr;
    socklen_t length = sizeof own;

    int listening = make_socket(AF_INET, SOCK_STREAM);
    CHECK_ERRNO(demi_getsockname(listening, &own.generic, &length), 0, "getsockname of what is not bound");
    CHECK(length == sizeof own.v4 && own.v4.sin_family == AF_INET && own.v4.sin_port == 0 && own.v4.sin_addr.s_addr == 0,
          "is the wildcard with port 0");
    CHECK_ERRNO(demi_getpeername(listening, &peer.generic, &length), ENOTCONN, "getpeername of what is not connected");
    CHECK_ERRNO(demi_listen(listening, 1), EDESTADDRREQ, "listen of what is not bound");
    CHECK_ERRNO(demi_accept(&qt, listening), EINVAL, "accept of what does not listen");
    CHECK_ERRNO(margay_shutdown(listening, SHUT_WR), ENOTCONN, "shutdown of what is not connected");
    CHECK_ERRNO(margay_shutdown(listening, SHUT_RD), ENOTCONN, "in either direction");
    CHECK_ERRNO(demi_pop(&qt, listening), 0, "pop from what is not connected");
    CHECK_ERRNO(outcome(qt), ENOTCONN, "fails in its completion");
    CHECK_ERRNO(demi_push(&qt, listening, &sga), 0, "push to what is not connected");
    CHECK_ERRNO(outcome(qt), ENOTCONN, "fails in its completion");
    CHECK_ERRNO(demi_pushto(&qt, listening, &sga, &any.generic, sizeof any.v4), EOPNOTSUPP, "pushto on a stream socket");

    CHECK_ERRNO(demi_bind(listening, &foreign.generic, sizeof foreign.v4), EADDRNOTAVAIL, "bind to another host's address");
    CHECK_ERRNO(demi_bind(listening, &any.generic, sizeof any.v4), 0, "bind to any port");
    CHECK_ERRNO(demi_bind(listening, &any.generic, sizeof any.v4), EINVAL, "a second bind");
    length = sizeof own.v4 - 1;
    CHECK_ERRNO(demi_getsockname(listening, &own.generic, &length), EINVAL, "getsockname into too few bytes");
    CHECK(length == sizeof own.v4 - 1, "writes nothing");
    length = sizeof own;
    CHECK_ERRNO(demi_getsockname(listening, &own.generic, &length), 0, "getsockname");
    CHECK(length == sizeof own.v4 && own.v4.sin_port != 0 && own.v4.sin_addr.s_addr == any.v4.sin_addr.s_addr,
          "tells the port");
    int second = make_socket(AF_INET, SOCK_STREAM);
    CHECK_ERRNO(demi_bind(second, &own.generic, sizeof own.v4), EADDRINUSE, "bind to an address that is taken");
    CHECK_ERRNO(demi_listen(listening, 0), EINVAL, "listen with no backlog");
    CHECK_ERRNO(demi_listen(listening, -1), EINVAL, "listen with a negative backlog");
    CHECK_ERRNO(demi_listen(listening, 4), 0, "listen");
    CHECK_ERRNO(demi_listen(listening, 4), EADDRINUSE, "a second listen");
    CHECK_ERRNO(demi_connect(&qt, listening, &own.generic, sizeof own.v4), EOPNOTSUPP, "connect of what listens");
    CHECK_ERRNO(demi_connect(&qt, second, &any.generic, sizeof any.v4), EADDRNOTAVAIL, "connect to port 0");
    CHECK_ERRNO(demi_connect(&qt, second, &foreign.generic, sizeof foreign.v4), ENETUNREACH, "connect to another host");

    CHECK_ERRNO(demi_accept(&accepting, listening), 0, "accept");
    CHECK_ERRNO(demi_wait(&qr, accepting, &AT_ONCE), ETIMEDOUT, "nobody has come");
    CHECK_ERRNO(demi_connect(&qt, second, &own.generic, sizeof own.v4), 0, "connect");
    CHECK_ERRNO(demi_wait(&qr, qt, &LIMIT), 0, "wait for it");
    CHECK(qr.qr_opcode == DEMI_OPC_CONNECT && qr.qr_ret == 0 && qr.qr_qd == second && qr.qr_qt == qt, "connected");
    CHECK_ERRNO(demi_wait(&qr, accepting, &LIMIT), 0, "wait for the accept");
    CHECK(qr.qr_opcode == DEMI_OPC_ACCEPT && qr.qr_ret == 0 && qr.qr_qd == listening && qr.qr_qt == accepting, "accepted");
    int served = qr.qr_value.ares.qd;
    struct sockaddr_in caller = qr.qr_value.ares.addr;
    length = sizeof peer;
    CHECK_ERRNO(demi_getsockname(second, &peer.generic, &length), 0, "getsockname of the caller");
    CHECK(length == sizeof caller && memcmp(&caller, &peer.v4, 8) == 0, "is what the accept told");
    CHECK_ERRNO(demi_getpeername(served, &peer.generic, &length), 0, "getpeername");
    CHECK(memcmp(&caller, &peer.v4, 8) == 0, "tells the same");
    CHECK_ERRNO(demi_getpeername(second, &peer.generic, &length), 0, "getpeername of the caller");
    CHECK(memcmp(&own.v4, &peer.v4, 8) == 0, "is the address that it connected to");

    CHECK_ERRNO(demi_connect(&qt, second, &own.generic, sizeof own.v4), EISCONN, "a second connect");
    CHECK_ERRNO(demi_listen(served, 1), EINVAL, "listen of what is connected");
    CHECK_ERRNO(demi_accept(&qt, served), EINVAL, "accept of what is connected");
    CHECK_ERRNO(demi_bind(served, &any.generic, sizeof any.v4), EINVAL, "bind of what is connected");
    demi_sgarray_t popped = {0};
    CHECK_ERRNO(push_bytes(second, "hello", 5), 0, "push");
    int result = pop_message(served, &popped);
    CHECK(result == 0 && holds_bytes(&popped, "hello", 5) && demi_sgafree(&popped) == 0, "arrives");
    CHECK_ERRNO(margay_shutdown(second, SHUT_WR), 0, "half-close");
    result = pop_message(served, &popped);
    CHECK(result == 0 && popped.sga_segs[0].sgaseg_len == 0 && demi_sgafree(&popped) == 0, "is the end for the other side");
    CHECK_ERRNO(push_bytes(served, "still", 5), 0, "which can still push");
    result = pop_message(second, &popped);
    CHECK(result == 0 && holds_bytes(&popped, "still", 5) && demi_sgafree(&popped) == 0, "and is heard");
    CHECK_ERRNO(demi_close(served), 0, "close");
    result = pop_message(second, &popped);
    CHECK(result == 0 && popped.sga_segs[0].sgaseg_len == 0 && demi_sgafree(&popped) == 0, "is the end for the first side");
    CHECK_ERRNO(pop_message(second, &popped), EPIPE, "which is given once");
    CHECK_ERRNO(demi_close(second), 0, "close");

    CHECK_ERRNO(demi_accept(&accepting, listening), 0, "accept of nobody");
    CHECK_ERRNO(demi_close(listening), 0, "close with it pending");
    CHECK_ERRNO(outcome(accepting), ECANCELED, "cancels it");
    int late = make_socket(AF_INET, SOCK_STREAM);
    CHECK_ERRNO(demi_connect(&qt, late, &own.generic, sizeof own.v4), 0, "connect where nobody listens any more");
    CHECK_ERRNO(outcome(qt), ECONNREFUSED, "fails in its completion");
    CHECK_ERRNO(demi_close(late), 0, "close");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "sgafree");
}

static void datagram_states(void)
{
    static unsigned char long_bytes[65508];
    union address any = ipv4("127.0.0.1", 0);
    union address own = {.storage = {0}};
    union address foreign = ipv4("192.0.2.1", 4711);
    demi_sgarray_t sga = message("datagram", 8);
    demi_sgarray_t too_long = {.sga_numsegs = 1, .sga_segs = {{long_bytes, sizeof long_bytes}}};
    demi_sgarray_t popped = {0};
    demi_qtoken_t qt = 0;
    socklen_t length = sizeof own;
    int server = make_socket(AF_INET, SOCK_DGRAM);
    int client = make_socket(AF_INET, SOCK_DGRAM);

    CHECK_ERRNO(demi_listen(server, 1), EOPNOTSUPP, "listen of a datagram socket");
    CHECK_ERRNO(demi_accept(&qt, server), EOPNOTSUPP, "accept of a datagram socket");
    CHECK_ERRNO(margay_shutdown(server, SHUT_RD), EOPNOTSUPP, "shutdown of the reading side of a datagram socket");
    CHECK_ERRNO(demi_bind(server, &any.generic, sizeof any.v4), 0, "bind");
    CHECK_ERRNO(demi_getsockname(server, &own.generic, &length), 0, "getsockname");
    CHECK_ERRNO(demi_bind(client, &own.generic, sizeof own.v4), EADDRINUSE, "bind to an address that is taken");
    CHECK_ERRNO(demi_push(&qt, client, &sga), 0, "push with no destination");
    CHECK_ERRNO(outcome(qt), EDESTADDRREQ, "fails in its completion");
    CHECK_ERRNO(demi_pushto(&qt, client, &sga, &any.generic, sizeof any.v4), 0, "pushto port 0");
    CHECK_ERRNO(outcome(qt), EADDRNOTAVAIL, "fails in its completion");
    CHECK_ERRNO(demi_pushto(&qt, client, &sga, &foreign.generic, sizeof foreign.v4), 0, "pushto another host");
    CHECK_ERRNO(outcome(qt), ENETUNREACH, "fails in its completion");
    CHECK_ERRNO(demi_pushto(&qt, client, &too_long, &own.generic, sizeof own.v4), 0, "pushto of 65,508 bytes");
    CHECK_ERRNO(outcome(qt), EMSGSIZE, "fails in its completion");

    CHECK_ERRNO(demi_pushto(&qt, client, &sga, &own.generic, sizeof own.v4), 0, "pushto");
    CHECK_ERRNO(outcome(qt), 0, "is done");
    int result = pop_message(server, &popped);
    CHECK(result == 0 && holds_bytes(&popped, "datagram", 8), "the datagram arrives");
    union address sender = {.storage = {0}};
    length = sizeof sender;
    CHECK_ERRNO(demi_getsockname(client, &sender.generic, &length), 0, "getsockname of the sender");
    CHECK(sender.v4.sin_port != 0 && memcmp(&popped.sga_addr, &sender.v4, 4) == 0, "is what the datagram says");
    CHECK(popped.sga_addr.sin_addr.s_addr == htonl(INADDR_LOOPBACK), "with the address of this host");
    union address told = {.storage = {0}};
    length = sizeof told.v4 - 1;
    CHECK_ERRNO(margay_sender(&popped, &told.generic, &length), EINVAL, "sender into too few bytes");
    length = sizeof told;
    CHECK_ERRNO(margay_sender(&popped, &told.generic, &length), 0, "sender");
    CHECK(length == sizeof told.v4 && memcmp(&told.v4, &popped.sga_addr, sizeof told.v4) == 0, "says the same");
    CHECK_ERRNO(margay_sender(&sga, &told.generic, &length), EOPNOTSUPP, "sender of what was not popped");
    CHECK_ERRNO(margay_sender(NULL, &told.generic, &length), EINVAL, "sender of nothing");
    CHECK_ERRNO(margay_sender(&popped, NULL, &length), EINVAL, "sender into nothing");
    CHECK_ERRNO(margay_sender(&popped, &told.generic, NULL), EINVAL, "sender without a size");
    CHECK(result == 0 && demi_sgafree(&popped) == 0, "sgafree");
    CHECK_ERRNO(margay_sender(&popped, &told.generic, &length), EINVAL, "sender of what was freed");

    too_long.sga_segs[0].sgaseg_len = 65507;
    CHECK_ERRNO(demi_connect(&qt, client, &own.generic, sizeof own.v4), 0, "connect of a datagram socket");
    CHECK_ERRNO(demi_wait(&(demi_qresult_t){0}, qt, &AT_ONCE), 0, "is done at once");
    CHECK_ERRNO(demi_push(&qt, client, &too_long), 0, "push of 65,507 bytes");
    CHECK_ERRNO(outcome(qt), 0, "is done");
    result = pop_message(server, &popped);
    CHECK(result == 0 && holds_bytes(&popped, long_bytes, 65507) && demi_sgafree(&popped) == 0, "which arrive whole");
    CHECK_ERRNO(demi_getpeername(client, &sender.generic, &length), 0, "getpeername");
    CHECK(memcmp(&sender.v4, &own.v4, 8) == 0, "is where it was connected to");
    CHECK_ERRNO(demi_getpeername(server, &sender.generic, &length), ENOTCONN, "getpeername of what is not connected");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "sgafree");
    CHECK(demi_close(server) == 0 && demi_close(client) == 0, "close");
}

/* IPv6 addresses need more room than the packed structures have. */
static void ipv6_names(void)
{
    union address any = ipv6("::1", 0);
    union address own = {.storage = {0}};
    demi_qtoken_t qt = 0;
    demi_qresult_t qr;
    socklen_t length = sizeof own;
    int listening = make_socket(AF_INET6, SOCK_STREAM);
    int calling = make_socket(AF_INET6, SOCK_STREAM);
    CHECK_ERRNO(demi_bind(listening, &any.generic, sizeof any.v6), 0, "bind to ::1");
    CHECK_ERRNO(demi_getsockname(listening, &own.generic, &length), 0, "getsockname");
    CHECK(length == sizeof own.v6 && own.v6.sin6_family == AF_INET6 && own.v6.sin6_port != 0 &&
              IN6_IS_ADDR_LOOPBACK(&own.v6.sin6_addr),
          "is the whole address");
    length = sizeof own.v4;
    CHECK_ERRNO(demi_getsockname(listening, &(union address){.storage = {0}}.generic, &length), EINVAL,
                "getsockname into a struct sockaddr_in");
    CHECK(length == sizeof own.v4, "writes nothing");
    CHECK_ERRNO(demi_listen(listening, 1), 0, "listen");
    CHECK_ERRNO(demi_connect(&qt, calling, &own.generic, sizeof own.v6), 0, "connect");
    CHECK_ERRNO(outcome(qt), 0, "is done");
    CHECK_ERRNO(demi_accept(&qt, listening), 0, "accept");
    CHECK_ERRNO(demi_wait(&qr, qt, &LIMIT), 0, "wait for it");
    struct sockaddr_in caller = qr.qr_value.ares.addr;
    length = sizeof own;
    CHECK_ERRNO(demi_getpeername(qr.qr_value.ares.qd, &own.generic, &length), 0, "getpeername");
    CHECK(length == sizeof own.v6 && caller.sin_family == AF_INET6 && caller.sin_port == own.v6.sin6_port,
          "the accept tells family and port of an IPv6 peer");
    CHECK(demi_close(qr.qr_value.ares.qd) == 0 && demi_close(calling) == 0 && demi_close(listening) == 0, "close");

    /* A server of datagrams answers an IPv6 sender by its whole address. */
    int server = make_socket(AF_INET6, SOCK_DGRAM);
    int client = make_socket(AF_INET6, SOCK_DGRAM);
    demi_sgarray_t sga = message("question", 8);
    demi_sgarray_t popped = {0};
    CHECK_ERRNO(demi_bind(server, &any.generic, sizeof any.v6), 0, "bind of a datagram socket to ::1");
    length = sizeof own;
    CHECK_ERRNO(demi_getsockname(server, &own.generic, &length), 0, "getsockname");
    CHECK_ERRNO(demi_pushto(&qt, client, &sga, &own.generic, length), 0, "pushto");
    CHECK_ERRNO(outcome(qt), 0, "is done");
    int result = pop_message(server, &popped);
    union address sender = {.storage = {0}};
    length = sizeof sender.v4;
    CHECK_ERRNO(margay_sender(&popped, &sender.generic, &length), EINVAL, "sender into a struct sockaddr_in");
    length = sizeof sender;
    CHECK_ERRNO(margay_sender(&popped, &sender.generic, &length), 0, "sender");
    CHECK(result == 0 && length == sizeof sender.v6 && IN6_IS_ADDR_LOOPBACK(&sender.v6.sin6_addr) &&
              sender.v6.sin6_port == popped.sga_addr.sin_port,
          "is the whole address");
    CHECK_ERRNO(demi_pushto(&qt, server, &popped, &sender.generic, length), 0, "pushto of the answer");
    CHECK_ERRNO(outcome(qt), 0, "is done");
    CHECK(result == 0 && demi_sgafree(&popped) == 0, "sgafree");
    result = pop_message(client, &popped);
    CHECK(result == 0 && holds_bytes(&popped, "question", 8) && demi_sgafree(&popped) == 0, "arrives");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "sgafree");
    CHECK(demi_close(server) == 0 && demi_close(client) == 0, "close of the datagram sockets");
}

/* TCP_INFO: of a back end without TCP, and of the kernel's. */
static void information(bool has_tcp)
{
    struct tcp_info info;
    unsigned char room[1024];
    int qd = -1;
    CHECK_ERRNO(demi_socket(&qd, AF_INET, SOCK_STREAM, 0), 0, "socket");
    socklen_t length = sizeof info;
    memset(&info, 0xff, sizeof info);
    int expected = has_tcp ? 0 : EOPNOTSUPP;
    CHECK_ERRNO(demi_getsockopt(qd, IPPROTO_TCP, TCP_INFO, &info, &length), expected, "getsockopt of TCP_INFO");
    CHECK(length == sizeof info && info.tcpi_state == (has_tcp ? TCP_CLOSE : 0xff), "tells the state");
    length = 1;
    CHECK_ERRNO(demi_getsockopt(qd, IPPROTO_TCP, TCP_INFO, &info, &length), expected, "of its first byte");
    CHECK(length == 1, "gives as much as there is room for");
    length = sizeof room;
    CHECK_ERRNO(demi_getsockopt(qd, IPPROTO_TCP, TCP_INFO, room, &length), expected, "into more room than it needs");
    CHECK(!has_tcp || (length > sizeof info && length < sizeof room), "and says how long it is");
    length = sizeof info;
    CHECK_ERRNO(demi_setsockopt(qd, IPPROTO_TCP, TCP_INFO, &info, length), ENOPROTOOPT, "setsockopt of TCP_INFO");
    CHECK_ERRNO(demi_close(qd), 0, "close");
    CHECK_ERRNO(demi_socket(&qd, AF_INET, SOCK_DGRAM, 0), 0, "socket");
    CHECK_ERRNO(demi_getsockopt(qd, IPPROTO_TCP, TCP_INFO, &info, &length), has_tcp ? ENOPROTOOPT : EOPNOTSUPP,
                "TCP_INFO of a datagram socket");
    CHECK_ERRNO(demi_close(qd), 0, "close");
}

/* Multicast: groups of a back end that has none, and of the kernel's; what is sent to one comes back by loopback. */
static void groups(bool has_groups)
{
    struct ip_mreqn request = {.imr_multiaddr.s_addr = inet_addr("239.192.77.2"), .imr_address.s_addr = htonl(INADDR_LOOPBACK)};
    struct ipv6_mreq request6 = {.ipv6mr_interface = 1};
    int qd = -1;
    CHECK_ERRNO(demi_socket(&qd, AF_INET, SOCK_DGRAM, 0), 0, "socket");
    int expected = has_groups ? 0 : EOPNOTSUPP;
    CHECK_ERRNO(demi_setsockopt(qd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, 7), EINVAL, "half a struct ip_mreq");
    CHECK_ERRNO(demi_setsockopt(qd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof(struct ip_mreq)), expected, "joining");
    CHECK_ERRNO(demi_setsockopt(qd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request), has_groups ? EADDRINUSE : EOPNOTSUPP,
                "joining again");
    CHECK_ERRNO(demi_setsockopt(qd, IPPROTO_IP, IP_DROP_MEMBERSHIP, &request, sizeof request), expected, "leaving");
    CHECK_ERRNO(demi_setsockopt(qd, IPPROTO_IP, IP_DROP_MEMBERSHIP, &request, sizeof request),
                has_groups ? EADDRNOTAVAIL : EOPNOTSUPP, "leaving again");
    request.imr_ifindex = 1;
    CHECK_ERRNO(demi_setsockopt(qd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request), expected, "joining by an index");
    request.imr_multiaddr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_ERRNO(demi_setsockopt(qd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request), EINVAL, "joining what is no group");
    socklen_t length = sizeof request;
    CHECK_ERRNO(demi_getsockopt(qd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, &length), ENOPROTOOPT, "a membership is not read");
    unsigned char hops = 7;
    int value = 0;
    length = sizeof value;
    CHECK_ERRNO(demi_setsockopt(qd, IPPROTO_IP, IP_MULTICAST_TTL, &hops, sizeof hops), 0, "hops as an unsigned char");
    CHECK_ERRNO(demi_getsockopt(qd, IPPROTO_IP, IP_MULTICAST_TTL, &value, &length), 0, "hops");
    CHECK(value == 7 && length == sizeof value, "gives what was set");
    value = -1;
    CHECK_ERRNO(demi_setsockopt(qd, IPPROTO_IP, IP_MULTICAST_TTL, &value, sizeof value), 0, "the first value again");
    CHECK_ERRNO(demi_getsockopt(qd, IPPROTO_IP, IP_MULTICAST_TTL, &value, &length), 0, "hops");
    CHECK(value == 1, "which is 1");
    value = 256;
    CHECK_ERRNO(demi_setsockopt(qd, IPPROTO_IP, IP_MULTICAST_TTL, &value, sizeof value), EINVAL, "too many hops");
    value = 0;
    CHECK_ERRNO(demi_setsockopt(qd, IPPROTO_IP, IP_MULTICAST_LOOP, &value, sizeof value), 0, "no loop");
    value = 1;
    CHECK_ERRNO(demi_getsockopt(qd, IPPROTO_IP, IP_MULTICAST_LOOP, &value, &length), 0, "whether there is a loop");
    CHECK(value == 0, "there is none");
    CHECK_ERRNO(demi_close(qd), 0, "close");

    CHECK_ERRNO(demi_socket(&qd, AF_INET6, SOCK_DGRAM, 0), 0, "socket");
    CHECK(inet_pton(AF_INET6, "ff11::4d:2", &request6.ipv6mr_multiaddr) == 1, "it is an address");
    CHECK_ERRNO(demi_setsockopt(qd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &request6, sizeof request6 - 1), EINVAL,
                "half a struct ipv6_mreq");
    CHECK_ERRNO(demi_setsockopt(qd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &request6, sizeof request6), expected, "joining");
    CHECK_ERRNO(demi_setsockopt(qd, IPPROTO_IPV6, IPV6_DROP_MEMBERSHIP, &request6, sizeof request6), expected, "leaving");
    value = 3;
    CHECK_ERRNO(demi_setsockopt(qd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &value, sizeof value), 0, "hops");
    CHECK_ERRNO(demi_close(qd), 0, "close");
}

int main(void)
{
    support_begin();
    CHECK_ERRNO(demi_init(NULL), 0, "init");
    kinds_of_sockets();
    addresses();
    no_sockets();
    options();
    stream_states();
    datagram_states();
    ipv6_names();
    information(false);
    groups(false);
    CHECK_ERRNO(margay_fini(), 0, "fini");
    setenv("LIBOS", "catnap", 1);
    CHECK_ERRNO(demi_init(NULL), 0, "init with catnap");
    information(true);
    groups(true);
    CHECK_ERRNO(margay_fini(), 0, "fini");
    CHECK(support_end() == 0, "nothing is left in the runtime directory");
    return check_done();
}
