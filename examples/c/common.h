/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the examples share: the command line, the end of the program on an error or at its deadline, and the usual
 * sequences of calls.
 *
 * An example ends by itself: after what it was told to do, or at the deadline of --timeout, whatever it waits for then. So
 * its waits need no limit of their own. Only Demikernel's calls are used here.
 */
#ifndef MARGAY_EXAMPLES_COMMON_H
#define MARGAY_EXAMPLES_COMMON_H

#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <demi/libos.h>
#include <demi/sga.h>
#include <demi/types.h>
#include <demi/wait.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Results taken at once. */
#define BATCH 64
/* Most connections of one program. */
#define CLIENTS_MAX 1024

/* What an example can be told. */
enum {
    SERVER = 1,
    CLIENT = 2,
    PAIR = SERVER | CLIENT,
    RELAY = 4,
    PIPE = 8, /* sides meet at a pipe, not at an address */
    COUNT = 16,
    SIZE = 32,
    CLIENTS = 64,
    RATE = 128,
    SEED = 256,
    RUN_MODE = 512,
};

/* What one example says about itself. */
struct about {
    const char *name;
    const char *shows;    /* in whole sentences */
    unsigned takes;       /* of the constants above */
    const char *counts;   /* what --count counts */
    const char *clients;  /* what --clients counts */
    long count;           /* defaults */
    long size;
    long many;
    long rate;
    const char *tries[3]; /* commands to try, one for each side */
};

struct place {
    struct sockaddr_storage address;
    socklen_t length;
};

/* What the command line says. What an example does not take is 0. */
struct options {
    bool server;      /* the side that the other one looks for */
    const char *name; /* of a pipe */
    struct place place;
    struct place to; /* of a relay */
    long count;
    long size;
    long clients;
    long rate;
    uint64_t seed;
    bool concurrent;
    long timeout;
};

static const char *program = "example";

/* What to do about an error that people meet. */
static inline const char *advice(int error)
{
    switch (error) {
    case ENOTSUP:
        return ": this back end does not have it; unset LIBOS, or set it to catloop";
    case EADDRINUSE:
        return ": end the program that has the port, or take another, such as 0 for any that is free";
    case EADDRNOTAVAIL:
    case ENETUNREACH:
        return ": take an address of this host, such as 127.0.0.1 or [::1]; catloop has 127.0.0.0/8, [::1] and its catloop.addresses";
    case ECONNREFUSED:
        return ": start the server first";
    case EACCES:
        return ": run both sides as the same user";
    case ECONNRESET:
    case EPIPE:
        return ": the other side ended early; it has said why";
    case EEXIST:
        return ": end the program that has the name, or take another";
    case EMSGSIZE:
        return ": take a smaller --size";
    case ENOBUFS:
        return ": take a smaller --size, or configure more buffers";
    case EMFILE:
        return ": take fewer --clients, or raise limits.queues in the configuration and ulimit -n";
    default:
        return "";
    }
}

/* Ends the program with the reason unless the call returned 0. */
static inline void must(int result, const char *what)
{
    if (result != 0) {
        fprintf(stderr, "%s: %s: %s%s\n", program, what, strerror(result), advice(result));
        exit(EXIT_FAILURE);
    }
}

/* Ends the program with this reason unless it holds. */
static inline void check(bool holds, const char *reason)
{
    if (!holds) {
        fprintf(stderr, "%s: %s\n", program, reason);
        exit(EXIT_FAILURE);
    }
}

/* Ends the program unless the operation ended as this opcode. */
static inline void must_be(const demi_qresult_t *qr, enum demi_opcode opcode, const char *what)
{
    if (qr->qr_opcode == DEMI_OPC_FAILED) {
        must((int)qr->qr_ret, what);
    }
    check(qr->qr_opcode == opcode, "an operation completed as another one");
}

static inline demi_qresult_t wait_for(demi_qtoken_t qt, enum demi_opcode opcode, const char *what)
{
    demi_qresult_t qr;
    must(demi_wait(&qr, qt, NULL), "demi_wait");
    must_be(&qr, opcode, what);
    return qr;
}

/* The bytes of a message. Of what is popped from a stream, none are the end. */
static inline size_t length_of(const demi_sgarray_t *sga)
{
    return sga->sga_numsegs == 0 ? 0 : sga->sga_segs[0].sgaseg_len;
}

static inline unsigned char *bytes_of(const demi_sgarray_t *sga)
{
    return sga->sga_segs[0].sgaseg_buf;
}

/* Whether the message is made of this byte alone. */
static inline bool is_filled(const demi_sgarray_t *sga, unsigned char with)
{
    const unsigned char *bytes = bytes_of(sga);
    for (size_t i = 0; i < length_of(sga); i++) {
        if (bytes[i] != with) {
            return false;
        }
    }
    return true;
}

static inline demi_sgarray_t allocate(size_t size)
{
    demi_sgarray_t sga = demi_sgaalloc(size);
    check(sga.sga_numsegs == 1, "demi_sgaalloc: no memory: take a smaller --size, or configure more buffers");
    return sga;
}

static inline void release(demi_sgarray_t *sga)
{
    if (sga->sga_numsegs > 0) {
        must(demi_sgafree(sga), "demi_sgafree");
    }
}

/* Starts to push an array. It stays the caller's. */
static inline demi_qtoken_t start_push(int qd, const demi_sgarray_t *sga)
{
    demi_qtoken_t qt = 0;
    must(demi_push(&qt, qd, sga), "demi_push");
    return qt;
}

static inline demi_qtoken_t start_pop(int qd)
{
    demi_qtoken_t qt = 0;
    must(demi_pop(&qt, qd), "demi_pop");
    return qt;
}

/* Pushes an array and waits until it is pushed. It stays the caller's. */
static inline void push_array(int qd, const demi_sgarray_t *sga)
{
    wait_for(start_push(qd, sga), DEMI_OPC_PUSH, "push");
}

/* Pops what has come, which the caller releases. */
static inline demi_sgarray_t pop_array(int qd)
{
    return wait_for(start_pop(qd), DEMI_OPC_POP, "pop").qr_value.sga;
}

/* Pushes one byte. */
static inline void push_byte(int qd, unsigned char byte)
{
    demi_sgarray_t sga = allocate(1);
    *bytes_of(&sga) = byte;
    push_array(qd, &sga);
    release(&sga);
}

/* Pops until so many bytes have come, and checks that each is `with`. */
static inline void pop_filled(int qd, size_t length, unsigned char with)
{
    for (size_t missing = length; missing > 0;) {
        /* A stream keeps the bytes in order, and not together. */
        demi_sgarray_t sga = pop_array(qd);
        size_t popped = length_of(&sga);
        check(popped > 0, "the server has ended the connection early; it has said why");
        check(popped <= missing && is_filled(&sga, with),
              "a message did not come back as it was sent: start both sides with the same numbers");
        missing -= popped;
        release(&sga);
    }
}

/* Between two tries to reach the other side. */
static inline void rest(void)
{
    const struct timespec pause = {0, 1000000};
    nanosleep(&pause, NULL);
}

/* Makes a socket of the place's family. */
static inline int make_socket(const struct place *place, int type)
{
    int qd = -1;
    must(demi_socket(&qd, place->address.ss_family, type, 0), "demi_socket");
    return qd;
}

/* Makes a socket with this local address. */
static inline int bound_socket(const struct place *place, int type)
{
    int qd = make_socket(place, type);
    must(demi_bind(qd, (const struct sockaddr *)&place->address, place->length), "demi_bind");
    return qd;
}

/* An address as people write it. */
static inline const char *text_of(const struct sockaddr *address)
{
    static char text[INET6_ADDRSTRLEN + 16];
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host);
        snprintf(text, sizeof text, "[%s]:%u", host, ntohs(v6.sin6_port));
    } else {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host);
        snprintf(text, sizeof text, "%s:%u", host, ntohs(v4.sin_port));
    }
    return text;
}

/* Tells people, and programs that start this one, where a client has to go. */
static inline void say_where(int qd)
{
    struct place place = {.length = sizeof place.address};
    must(demi_getsockname(qd, (struct sockaddr *)&place.address, &place.length), "demi_getsockname");
    printf("serving at %s\n", text_of((const struct sockaddr *)&place.address));
}

/* Makes a socket that listens there, and says where; port 0 is any that is free. */
static inline int listen_at(const struct place *place, long backlog)
{
    int qd = bound_socket(place, SOCK_STREAM);
    must(demi_listen(qd, (int)backlog), "demi_listen");
    say_where(qd);
    return qd;
}

static inline void start_accept(int listening)
{
    demi_qtoken_t qt = 0;
    must(demi_accept(&qt, listening), "demi_accept");
}

/* Accepts one connection. */
static inline int accept_one(int listening)
{
    demi_qtoken_t qt = 0;
    must(demi_accept(&qt, listening), "demi_accept");
    return wait_for(qt, DEMI_OPC_ACCEPT, "accept").qr_value.ares.qd;
}

/* Connects, as soon as a server listens there. */
static inline int connect_to(const struct place *place)
{
    for (;;) {
        demi_qtoken_t qt = 0;
        demi_qresult_t qr;
        int qd = make_socket(place, SOCK_STREAM);
        must(demi_connect(&qt, qd, (const struct sockaddr *)&place->address, place->length), "demi_connect");
        must(demi_wait(&qr, qt, NULL), "demi_wait");
        if (qr.qr_opcode != DEMI_OPC_FAILED || qr.qr_ret != ECONNREFUSED) {
            must_be(&qr, DEMI_OPC_CONNECT, "connect");
            return qd;
        }
        /* What a socket is after a failed connect differs between systems: a new one for each try. */
        must(demi_close(qd), "demi_close");
        rest();
    }
}

/* Creates the pipe, or opens it as soon as the server has created it. */
static inline int get_pipe(bool server, const char *name)
{
    int qd = -1;
    if (server) {
        must(demi_create_pipe(&qd, name), "demi_create_pipe");
        return qd;
    }
    int result;
    while ((result = demi_open_pipe(&qd, name)) == ENOENT || result == ECONNREFUSED) {
        rest();
    }
    must(result, "demi_open_pipe");
    return qd;
}

#include "options.h"

#endif
