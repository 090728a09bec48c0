/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Datagrams get lost, and a server that is not there yet loses them all. So what must arrive is sent again until it is
 * answered. Numbered messages are at least NUMBERED bytes long; a HELLO and an END are one byte, and every server sends
 * them back.
 */
#ifndef MARGAY_EXAMPLES_DATAGRAMS_H
#define MARGAY_EXAMPLES_DATAGRAMS_H

#include "common.h"

/* Is there anybody? */
#define HELLO '?'
/* That was all. */
#define END '.'
/* Bytes of a number in front of a message. */
#define NUMBERED 8

/* After so long without an answer, a question is sent again. */
static const struct timespec RESEND = {0, 200000000};
/* After so long without any datagram, a program that cannot know the last one takes it that it has come. */
static const struct timespec QUIET = {2, 0};

/* Whether a datagram is this one byte. */
static inline bool is_mark(const demi_sgarray_t *sga, char mark)
{
    return length_of(sga) == 1 && *bytes_of(sga) == (unsigned char)mark;
}

static inline void must_fit_number(long size)
{
    check(size >= NUMBERED, "a message needs 8 bytes for its number: take a larger --size");
}

/* Numbers a message, and fills the rest of it with the last byte of the number. */
static inline void set_number(demi_sgarray_t *sga, uint64_t number)
{
    unsigned char *bytes = bytes_of(sga);
    for (int i = 0; i < NUMBERED; i++) {
        bytes[i] = (unsigned char)(number >> 8 * i);
    }
    memset(bytes + NUMBERED, (int)(number & 0xff), length_of(sga) - NUMBERED);
}

/* The number of a message, or UINT64_MAX if it has none. */
static inline uint64_t number_of(const demi_sgarray_t *sga)
{
    uint64_t number = 0;
    if (length_of(sga) < NUMBERED) {
        return UINT64_MAX;
    }
    for (int i = 0; i < NUMBERED; i++) {
        number |= (uint64_t)bytes_of(sga)[i] << 8 * i;
    }
    return number;
}

static inline demi_qtoken_t start_push_to(int qd, const demi_sgarray_t *sga, const struct sockaddr *to, socklen_t length)
{
    demi_qtoken_t qt = 0;
    must(demi_pushto(&qt, qd, sga, to, length), "demi_pushto");
    return qt;
}

/* Sends a datagram back to where it came from. */
static inline void push_back(int qd, const demi_sgarray_t *sga)
{
    struct sockaddr_in sender = sga->sga_addr;
    check(sender.sin_family == AF_INET, "an array has room for an IPv4 sender alone: serve at an IPv4 address");
    demi_qtoken_t qt = start_push_to(qd, sga, (const struct sockaddr *)&sender, sizeof sender);
    wait_for(qt, DEMI_OPC_PUSH, "pushto");
}

/* A socket that is connected to a server, and asks it one thing at a time. */
struct caller {
    int qd;
    bool popping;
    demi_qtoken_t pop;
    long again; /* questions that were sent again */
};

static inline struct caller make_caller(const struct place *place)
{
    struct caller caller = {.qd = make_socket(place, SOCK_DGRAM)};
    demi_qtoken_t qt = 0;
    must(demi_connect(&qt, caller.qd, (const struct sockaddr *)&place->address, place->length), "demi_connect");
    wait_for(qt, DEMI_OPC_CONNECT, "connect");
    return caller;
}

/* Whether the operation succeeded; not, if nobody is there yet. Any other failure ends the program. */
static inline bool was_heard(const demi_qresult_t *qr, enum demi_opcode opcode, const char *what)
{
    if (qr->qr_opcode == DEMI_OPC_FAILED && qr->qr_ret == ECONNREFUSED) {
        rest();
        return false;
    }
    must_be(qr, opcode, what);
    return true;
}

/* Pops what comes within RESEND; true if there was something. */
static inline bool pop_soon(struct caller *caller, demi_sgarray_t *sga)
{
    demi_qresult_t qr;
    if (!caller->popping) {
        caller->pop = start_pop(caller->qd);
        caller->popping = true;
    }
    int result = demi_wait(&qr, caller->pop, &RESEND);
    if (result == ETIMEDOUT) {
        return false;
    }
    must(result, "demi_wait");
    caller->popping = false;
    if (!was_heard(&qr, DEMI_OPC_POP, "pop")) {
        return false;
    }
    *sga = qr.qr_value.sga;
    return true;
}

/* Sends a question until its answer comes, which begins like the question; the caller releases it. */
static inline demi_sgarray_t ask(struct caller *caller, const demi_sgarray_t *question)
{
    size_t head = length_of(question) < NUMBERED ? length_of(question) : NUMBERED;
    for (;; caller->again++) {
        demi_qresult_t qr;
        demi_sgarray_t answer;
        must(demi_wait(&qr, start_push(caller->qd, question), NULL), "demi_wait");
        was_heard(&qr, DEMI_OPC_PUSH, "push");
        while (pop_soon(caller, &answer)) {
            if (length_of(&answer) == length_of(question) && memcmp(bytes_of(&answer), bytes_of(question), head) == 0) {
                return answer;
            }
            /* The second answer to an earlier question. */
            release(&answer);
        }
    }
}

/* Sends a HELLO or an END until it is answered. */
static inline void ask_mark(struct caller *caller, char mark)
{
    demi_sgarray_t question = allocate(1);
    *bytes_of(&question) = (unsigned char)mark;
    demi_sgarray_t answer = ask(caller, &question);
    release(&answer);
    release(&question);
}

#endif
