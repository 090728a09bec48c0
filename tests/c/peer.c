/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The C interface between two processes: a server that creates pipes and a client that opens them.
 *
 * main() forks before either side calls demi_init(). Both sides walk through the same list of scenes; each scene has a
 * pipe of its own, named after it, so that a failure in one does not carry over to the next.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/wait.h>

#include "support.h"

typedef void (*side_t)(int qd);

/* Round trips of a small message, the server sending back the very memory that it popped. */
static void echo_server(int qd)
{
    bool good = true;
    for (int i = 0; good && i < 1000; i++) {
        demi_sgarray_t sga;
        demi_qtoken_t qt;
        demi_qresult_t qr;
        good = pop_message(qd, &sga) == 0 && demi_push(&qt, qd, &sga) == 0 && demi_sgafree(&sga) == 0 &&
               demi_sgafree(&sga) == EINVAL && demi_wait(&qr, qt, &LIMIT) == 0 && qr.qr_opcode == DEMI_OPC_PUSH &&
               qr.qr_qd == qd && qr.qr_qt == qt && qr.qr_ret == 0;
    }
    CHECK(good, "1000 messages popped, pushed back and freed once");
}

static void echo_client(int qd)
{
    bool good = true;
    char text[64];
    for (int i = 0; good && i < 1000; i++) {
        demi_sgarray_t sga;
        memset(text, i, sizeof text);
        good = push_bytes(qd, text, sizeof text) == 0 && pop_message(qd, &sga) == 0 &&
               holds_bytes(&sga, text, sizeof text) && demi_sgafree(&sga) == 0;
    }
    CHECK(good, "1000 messages came back as they were sent");
}

/* Segments that are moved, cut, empty, foreign or out of bounds. */
static void segments_client(int qd)
{
    demi_qtoken_t qt;
    demi_qresult_t qr;
    demi_sgarray_t sga = message("0123456789", 10);
    demi_sgarray_t whole = sga;
    char *bytes = sga.sga_segs[0].sgaseg_buf;

    sga.sga_segs[0].sgaseg_len = 0;
    CHECK_ERRNO(demi_push(&qt, qd, &sga), EINVAL, "push of zero bytes");
    sga.sga_segs[0].sgaseg_len = 11;
    CHECK_ERRNO(demi_push(&qt, qd, &sga), EINVAL, "push of more than was allocated");
    sga.sga_segs[0].sgaseg_len = UINT32_MAX;
    CHECK_ERRNO(demi_push(&qt, qd, &sga), EINVAL, "push of 4 GiB");
    sga.sga_segs[0].sgaseg_len = 1;
    sga.sga_segs[0].sgaseg_buf = bytes - 1;
    CHECK_ERRNO(demi_push(&qt, qd, &sga), EINVAL, "push from before the memory");
    sga.sga_segs[0].sgaseg_buf = bytes + 10;
    CHECK_ERRNO(demi_push(&qt, qd, &sga), EINVAL, "push from behind the memory");
    sga.sga_segs[0].sgaseg_buf = NULL;
    CHECK_ERRNO(demi_push(&qt, qd, &sga), EINVAL, "push from nowhere");
    sga = whole;
    sga.sga_numsegs = 0;
    CHECK_ERRNO(demi_push(&qt, qd, &sga), EINVAL, "push of no segment");
    sga.sga_numsegs = 2;
    CHECK_ERRNO(demi_push(&qt, qd, &sga), EINVAL, "push of two segments");
    CHECK_ERRNO(margay_pushv(&qt, qd, &whole, 0), EINVAL, "pushv of no piece");

    sga = whole;
    sga.sga_segs[0].sgaseg_buf = bytes + 2;
    sga.sga_segs[0].sgaseg_len = 5;
    CHECK_ERRNO(demi_push(&qt, qd, &sga), 0, "push of a part");
    CHECK_ERRNO(demi_wait(&qr, qt, &LIMIT), 0, "wait for it");

    char foreign[] = "foreign";
    demi_sgarray_t own = {.sga_numsegs = 1, .sga_segs = {{foreign, 7}}};
    CHECK_ERRNO(demi_push(&qt, qd, &own), 0, "push of the application's own memory");
    memset(foreign, 'x', sizeof foreign);
    CHECK_ERRNO(demi_wait(&qr, qt, &LIMIT), 0, "wait for it");

    demi_sgarray_t pieces[MARGAY_PUSHV_MAX + 1];
    for (size_t i = 0; i <= MARGAY_PUSHV_MAX; i++) {
        pieces[i] = whole;
    }
    CHECK_ERRNO(margay_pushv(&qt, qd, pieces, MARGAY_PUSHV_MAX + 1), EINVAL, "pushv of too many pieces");
    pieces[1].sga_segs[0].sgaseg_len = 0;
    CHECK_ERRNO(margay_pushv(&qt, qd, pieces, 3), EINVAL, "pushv with an empty piece");
    pieces[1] = sga;
    CHECK_ERRNO(margay_pushv(&qt, qd, pieces, 3), 0, "pushv of three pieces");
    CHECK_ERRNO(demi_sgafree(&whole), 0, "free before it completes");
    CHECK_ERRNO(demi_wait(&qr, qt, &LIMIT), 0, "wait for it");
    CHECK(qr.qr_opcode == DEMI_OPC_PUSH, "pushed");
    CHECK_ERRNO(demi_push(&qt, qd, &whole), EINVAL, "push of freed memory");
}

static void segments_server(int qd)
{
    demi_sgarray_t sga;
    CHECK_ERRNO(pop_message(qd, &sga), 0, "pop of the part");
    CHECK(holds_bytes(&sga, "23456", 5), "only the part arrived");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "free");
    CHECK_ERRNO(pop_message(qd, &sga), 0, "pop of the application's own memory");
    CHECK(holds_bytes(&sga, "foreign", 7), "as it was at the time of the push");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "free");
    CHECK_ERRNO(pop_message(qd, &sga), 0, "pop of the three pieces");
    CHECK(holds_bytes(&sga, "0123456789" "23456" "0123456789", 25), "they are one message");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "free");
}

/* Pops of less than a message. */
static void parts_client(int qd)
{
    CHECK_ERRNO(push_bytes(qd, "abcdefgh", 8), 0, "push");
    CHECK_ERRNO(push_bytes(qd, "next", 4), 0, "push");
}

static void parts_server(int qd)
{
    static const struct {
        size_t size;
        const char *expected;
    } PARTS[] = {{3, "abc"}, {4, "defg"}, {100, "h"}, {SIZE_MAX, "next"}};
    demi_qtoken_t qt;
    demi_qresult_t qr;
    CHECK_ERRNO(margay_pop(&qt, qd, 0), EINVAL, "pop of no bytes");
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++) {
        CHECK_ERRNO(margay_pop(&qt, qd, PARTS[i].size), 0, "pop of at most so many bytes");
        CHECK_ERRNO(demi_wait(&qr, qt, &LIMIT), 0, "wait for it");
        bool popped = qr.qr_opcode == DEMI_OPC_POP;
        CHECK(popped && holds_bytes(&qr.qr_value.sga, PARTS[i].expected, strlen(PARTS[i].expected)), PARTS[i].expected);
        CHECK_ERRNO(popped ? demi_sgafree(&qr.qr_value.sga) : EINVAL, 0, "free");
    }
}

/* Messages of all sizes, below and above slot and ring. */
static const size_t SIZES[] = {1, 63, 4096, 65535, 65536, 65537, 262144, 1 << 20, 5000001};

static void fill(unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        bytes[i] = (unsigned char)(i * 31 + (i >> 8) + length);
    }
}

static void sizes_client(int qd)
{
    unsigned char *bytes = malloc(SIZES[8]);
    for (size_t i = 0; bytes != NULL && i < sizeof SIZES / sizeof *SIZES; i++) {
        fill(bytes, SIZES[i]);
        CHECK_ERRNO(push_bytes(qd, bytes, SIZES[i]), 0, "push");
    }
    free(bytes);
}

static void sizes_server(int qd)
{
    unsigned char *bytes = malloc(SIZES[8]);
    for (size_t i = 0; bytes != NULL && i < sizeof SIZES / sizeof *SIZES; i++) {
        demi_sgarray_t sga;
        fill(bytes, SIZES[i]);
        int result = pop_message(qd, &sga);
        CHECK_ERRNO(result, 0, "pop");
        if (result == 0) {
            CHECK(holds_bytes(&sga, bytes, SIZES[i]), "whole and unchanged");
            CHECK_ERRNO(demi_sgafree(&sga), 0, "free");
        }
    }
    free(bytes);
}

/* Memory of the pipe itself. */
static void shared_client(int qd)
{
    demi_sgarray_t sga;
    demi_sgarray_t go;
    demi_qtoken_t qt;
    demi_qresult_t qr;
    CHECK_ERRNO(pop_message(qd, &go), 0, "pop of the first message, so that the segment is there");
    CHECK_ERRNO(demi_sgafree(&go), 0, "free");
    CHECK_ERRNO(margay_sgaalloc_on(&sga, qd, 0), EINVAL, "sgaalloc_on of nothing");
    CHECK_ERRNO(margay_sgaalloc_on(&sga, qd, (size_t)1 << 30), EMSGSIZE, "sgaalloc_on of more than a slot");
    for (int i = 0; i < 100; i++) {
        if (margay_sgaalloc_on(&sga, qd, 30000) != 0) {
            CHECK_ERRNO(margay_last_errno(), 0, "sgaalloc_on");
            return;
        }
        fill(sga.sga_segs[0].sgaseg_buf, 30000);
        if (demi_push(&qt, qd, &sga) != 0 || demi_sgafree(&sga) != 0 || demi_wait(&qr, qt, &LIMIT) != 0 ||
            pop_message(qd, &go) != 0 || demi_sgafree(&go) != 0) {
            CHECK_ERRNO(margay_last_errno(), 0, "push, free, wait, pop, free");
            return;
        }
    }
    CHECK(true, "100 messages from memory of the pipe: every slot came back");
}

static void shared_server(int qd)
{
    static unsigned char expected[30000];
    bool good = push_bytes(qd, "go", 2) == 0;
    fill(expected, sizeof expected);
    for (int i = 0; good && i < 100; i++) {
        demi_sgarray_t sga;
        good = pop_message(qd, &sga) == 0 && holds_bytes(&sga, expected, sizeof expected) && demi_sgafree(&sga) == 0 &&
               push_bytes(qd, "ok", 2) == 0;
    }
    CHECK(good, "100 messages read where they were written");
}

/* One message out of several slots: the reader's array has one segment all the same. */
static void joined_client(int qd)
{
    demi_sgarray_t pieces[3];
    demi_sgarray_t go;
    demi_qtoken_t qt;
    demi_qresult_t qr;
    CHECK_ERRNO(pop_message(qd, &go), 0, "pop of the first message");
    CHECK_ERRNO(demi_sgafree(&go), 0, "free");
    for (int round = 0; round < 20; round++) {
        bool good = true;
        for (size_t i = 0; i < 3; i++) {
            good = good && margay_sgaalloc_on(&pieces[i], qd, 20000) == 0;
            if (good) {
                memset(pieces[i].sga_segs[0].sgaseg_buf, 'a' + (int)i, 20000);
            }
        }
        good = good && margay_pushv(&qt, qd, pieces, 3) == 0 && demi_wait(&qr, qt, &LIMIT) == 0 &&
               qr.qr_opcode == DEMI_OPC_PUSH;
        for (size_t i = 0; good && i < 3; i++) {
            good = demi_sgafree(&pieces[i]) == 0;
        }
        good = good && pop_message(qd, &go) == 0 && demi_sgafree(&go) == 0;
        if (!good) {
            CHECK_ERRNO(margay_last_errno(), 0, "sgaalloc_on, pushv, wait, free, pop");
            return;
        }
    }
    CHECK(true, "20 messages of three slots each: every slot came back");
}

static void joined_server(int qd)
{
    bool good = push_bytes(qd, "go", 2) == 0;
    for (int round = 0; good && round < 20; round++) {
        demi_sgarray_t sga;
        demi_qtoken_t qt;
        demi_qresult_t qr;
        /* In place or not makes no difference to what several segments become. */
        good = (round % 2 == 0 ? demi_pop(&qt, qd) : margay_pop_in_place(&qt, qd)) == 0 &&
               demi_wait(&qr, qt, &LIMIT) == 0 && qr.qr_opcode == DEMI_OPC_POP;
        if (!good) {
            break;
        }
        sga = qr.qr_value.sga;
        const char *bytes = sga.sga_segs[0].sgaseg_buf;
        good = sga.sga_numsegs == 1 && sga.sga_segs[0].sgaseg_len == 60000;
        for (size_t i = 0; good && i < 60000; i++) {
            good = bytes[i] == (char)('a' + i / 20000);
        }
        if (round == 0) {
            /* What was joined can be pushed like anything else. */
            sga.sga_segs[0].sgaseg_buf = (char *)sga.sga_segs[0].sgaseg_buf + 19999;
            sga.sga_segs[0].sgaseg_len = 2;
        }
        good = good && (round == 0 ? demi_push(&qt, qd, &sga) == 0 && demi_wait(&qr, qt, &LIMIT) == 0 &&
                                         qr.qr_opcode == DEMI_OPC_PUSH
                                   : push_bytes(qd, "ok", 2) == 0);
        good = good && demi_sgafree(&sga) == 0 && demi_sgafree(&sga) == EINVAL;
    }
    CHECK(good, "20 messages of three slots each arrived as one segment");
}

/* Messages read where they lie. */
static void in_place_client(int qd)
{
    static unsigned char bytes[3000];
    demi_sgarray_t sga;
    for (int i = 0; i < 200; i++) {
        memset(bytes, i, sizeof bytes);
        int result = push_bytes(qd, bytes, sizeof bytes);
        if (result != 0) {
            CHECK_ERRNO(result, 0, "push");
            return;
        }
    }
    CHECK(true, "200 messages pushed");
    CHECK_ERRNO(pop_message(qd, &sga), 0, "pop of the answer");
    CHECK(holds_bytes(&sga, "done", 4), "done");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "free");
    CHECK_ERRNO(push_bytes(qd, "kept", 4), 0, "push of what is kept beyond the close");
}

static void in_place_server(int qd)
{
    demi_sgarray_t held[20];
    demi_qtoken_t qt;
    demi_qresult_t qr;
    bool good = true;
    for (int i = 0; good && i < 200; i++) {
        good = margay_pop_in_place(&qt, qd) == 0 && demi_wait(&qr, qt, &LIMIT) == 0 && qr.qr_opcode == DEMI_OPC_POP;
        if (!good) {
            break;
        }
        held[i % 20] = qr.qr_value.sga;
        if (i % 20 != 19) {
            continue;
        }
        /* Twenty at once, freed in another order. */
        for (int j = 0; j < 20; j++) {
            demi_sgarray_t *sga = &held[j * 7 % 20];
            const unsigned char *bytes = sga->sga_segs[0].sgaseg_buf;
            unsigned char expected = (unsigned char)(i - 19 + j * 7 % 20);
            good = good && sga->sga_segs[0].sgaseg_len == 3000 && bytes[0] == expected && bytes[2999] == expected &&
                   demi_sgafree(sga) == 0 && demi_sgafree(sga) == EINVAL;
        }
    }
    CHECK(good, "200 messages read in place and freed once");
    CHECK_ERRNO(push_bytes(qd, "done", 4), 0, "push of the answer");
    CHECK_ERRNO(margay_pop_in_place(&qt, qd), 0, "in-place pop of one more");
    CHECK_ERRNO(demi_wait(&qr, qt, &LIMIT), 0, "wait for it");
    good = qr.qr_opcode == DEMI_OPC_POP;
    CHECK_ERRNO(demi_close(qd), 0, "close with it in hand");
    CHECK(good && holds_bytes(&qr.qr_value.sga, "kept", 4), "it can still be read");
    CHECK_ERRNO(good ? demi_sgafree(&qr.qr_value.sga) : EINVAL, 0, "and is freed as ever");
}

/* The waits that serve many operations. */
static void waits_client(int qd)
{
    demi_sgarray_t sga;
    for (int i = 0; i < 12; i++) {
        char byte = (char)('a' + i);
        CHECK_ERRNO(push_bytes(qd, &byte, 1), 0, "push");
    }
    CHECK_ERRNO(pop_message(qd, &sga), 0, "the server has seen all");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "free");
}

static void take(const demi_qresult_t *qr, char *text)
{
    demi_sgarray_t sga = qr->qr_value.sga;
    if (CHECK(qr->qr_opcode == DEMI_OPC_POP && sga.sga_segs[0].sgaseg_len == 1, "a message of one byte")) {
        strncat(text, sga.sga_segs[0].sgaseg_buf, 1);
        CHECK_ERRNO(demi_sgafree(&sga), 0, "free");
    }
}

static void waits_server(int qd)
{
    demi_qtoken_t qts[4];
    demi_qresult_t results[8];
    char text[32] = "";
    int offset = -1;
    int ws = -1;
    int written = 0;

    for (int i = 0; i < 4; i++) {
        CHECK_ERRNO(demi_pop(&qts[i], qd), 0, "pop");
    }
    for (int left = 4; left > 0; left--) {
        if (demi_wait_any(results, &offset, qts, left, &LIMIT) != 0) {
            CHECK_ERRNO(margay_last_errno(), 0, "wait_any");
            return;
        }
        CHECK(offset >= 0 && offset < left && qts[offset] == results[0].qr_qt, "the offset names the token");
        take(results, text);
        memmove(&qts[offset], &qts[offset + 1], (size_t)(left - offset - 1) * sizeof *qts);
    }
    CHECK(strcmp(text, "abcd") == 0, "wait_any gave all four, in their order");

    for (int i = 0; i < 4; i++) {
        CHECK_ERRNO(demi_pop(&qts[i], qd), 0, "pop");
    }
    for (int seen = 0; seen < 4; seen += written) {
        if (demi_wait_next_n(results, 3, &written, &LIMIT) != 0 || written < 1 || written > 3) {
            CHECK_ERRNO(margay_last_errno(), 0, "wait_next_n");
            return;
        }
        for (int i = 0; i < written; i++) {
            take(&results[i], text);
        }
    }
    CHECK(strcmp(text, "abcdefgh") == 0, "wait_next_n gave all four, never more than asked for");

    CHECK_ERRNO(margay_waitset_create(&ws), 0, "waitset_create");
    CHECK_ERRNO(margay_waitset_take(results, ws, &AT_ONCE), EINVAL, "take from an empty set");
    for (int i = 0; i < 4; i++) {
        CHECK_ERRNO(demi_pop(&qts[i], qd), 0, "pop");
        CHECK_ERRNO(margay_waitset_add(ws, qts[i]), 0, "waitset_add");
    }
    CHECK_ERRNO(margay_waitset_add(ws, UINT64_MAX), EINVAL, "waitset_add of a bad token");
    for (int i = 0; i < 4; i++) {
        if (margay_waitset_take(results, ws, &LIMIT) != 0) {
            CHECK_ERRNO(margay_last_errno(), 0, "waitset_take");
            return;
        }
        take(results, text);
    }
    CHECK(strcmp(text, "abcdefghijkl") == 0, "the wait set gave all four");
    CHECK_ERRNO(margay_waitset_destroy(ws), 0, "waitset_destroy");
    CHECK_ERRNO(margay_waitset_destroy(ws), EBADF, "a second waitset_destroy");
    CHECK_ERRNO(push_bytes(qd, "!", 1), 0, "push");
}

/* Half-close: the end of one direction, while the other goes on. */
static void half_client(int qd)
{
    demi_sgarray_t sga;
    demi_sgarray_t late = message("late", 4);
    demi_qtoken_t qt;
    CHECK_ERRNO(push_bytes(qd, "last words", 10), 0, "push");
    CHECK_ERRNO(margay_shutdown(qd, 99), EINVAL, "shutdown of no known kind");
    CHECK_ERRNO(margay_shutdown(qd, SHUT_WR), 0, "shutdown of the writing side");
    CHECK_ERRNO(demi_push(&qt, qd, &late), EPIPE, "push after it");
    CHECK_ERRNO(demi_sgafree(&late), 0, "free");
    CHECK_ERRNO(pop_message(qd, &sga), 0, "pop still works");
    CHECK(holds_bytes(&sga, "heard", 5), "the answer");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "free");
    CHECK_ERRNO(pop_message(qd, &sga), 0, "pop at the end of the stream");
    CHECK(sga.sga_numsegs == 1 && sga.sga_segs[0].sgaseg_len == 0, "gives length 0");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "which is freed like any other");
    CHECK_ERRNO(demi_sgafree(&sga), EINVAL, "once");
    CHECK_ERRNO(pop_message(qd, &sga), EPIPE, "pop after the end of the stream");
    CHECK_ERRNO(margay_shutdown(qd, SHUT_WR), EPIPE, "a second shutdown");
}

static void half_server(int qd)
{
    demi_sgarray_t sga;
    CHECK_ERRNO(pop_message(qd, &sga), 0, "pop of what was pushed before");
    CHECK(holds_bytes(&sga, "last words", 10), "as it was pushed");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "free");
    CHECK_ERRNO(pop_message(qd, &sga), 0, "pop at the end of the stream");
    CHECK(sga.sga_numsegs == 1 && sga.sga_segs[0].sgaseg_len == 0, "gives length 0");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "which is freed like any other");
    CHECK_ERRNO(push_bytes(qd, "heard", 5), 0, "push the other way");
}

/* An end of the reading side, of which the peer is not told. */
static void deaf_client(int qd)
{
    demi_sgarray_t sga;
    demi_qtoken_t first = 0;
    demi_qtoken_t second = 0;
    demi_qresult_t qr;
    CHECK_ERRNO(demi_pop(&first, qd), 0, "pop");
    CHECK_ERRNO(demi_pop(&second, qd), 0, "another pop");
    CHECK_ERRNO(margay_shutdown(qd, SHUT_RD), 0, "shutdown of the reading side with both pending");
    CHECK_ERRNO(demi_wait(&qr, first, &LIMIT), 0, "wait for the first");
    CHECK(qr.qr_opcode == DEMI_OPC_POP && qr.qr_value.sga.sga_segs[0].sgaseg_len == 0, "is the end of the stream");
    CHECK_ERRNO(qr.qr_opcode == DEMI_OPC_POP ? demi_sgafree(&qr.qr_value.sga) : EINVAL, 0, "free");
    CHECK_ERRNO(demi_wait(&qr, second, &LIMIT), 0, "wait for the second");
    CHECK(qr.qr_opcode == DEMI_OPC_FAILED && qr.qr_ret == EPIPE, "fails with EPIPE: the end is given once");
    CHECK_ERRNO(pop_message(qd, &sga), EPIPE, "and so does every later pop");
    CHECK_ERRNO(margay_shutdown(qd, SHUT_RD), EPIPE, "a second shutdown of the reading side");
    CHECK_ERRNO(push_bytes(qd, "deaf", 4), 0, "push still works");
    CHECK_ERRNO(margay_shutdown(qd, SHUT_RDWR), 0, "until both are shut down: what was left of them");
    CHECK_ERRNO(push_bytes(qd, "mute", 4), EPIPE, "push after it");
    CHECK_ERRNO(margay_shutdown(qd, SHUT_RDWR), EPIPE, "nothing is left");
}

static void deaf_server(int qd)
{
    demi_sgarray_t sga;
    CHECK_ERRNO(pop_message(qd, &sga), 0, "pop");
    CHECK(holds_bytes(&sga, "deaf", 4), "from a peer that does not listen");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "free");
    int result = push_bytes(qd, "unheard", 7);
    CHECK(result == 0 || result == EPIPE, "push to it: it does not say that it is deaf, but may have closed");
    CHECK_ERRNO(pop_message(qd, &sga), 0, "pop at the end of the stream");
    CHECK(sga.sga_segs[0].sgaseg_len == 0, "gives length 0");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "free");
}

/* A shutdown in both directions at once. */
static void both_client(int qd)
{
    demi_sgarray_t sga;
    CHECK_ERRNO(push_bytes(qd, "over", 4), 0, "push");
    CHECK_ERRNO(margay_shutdown(qd, SHUT_RDWR), 0, "shutdown of both sides");
    CHECK_ERRNO(push_bytes(qd, "more", 4), EPIPE, "push after it");
    CHECK_ERRNO(pop_message(qd, &sga), 0, "pop after it");
    CHECK(sga.sga_segs[0].sgaseg_len == 0, "gives the end of the stream");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "free");
    CHECK_ERRNO(pop_message(qd, &sga), EPIPE, "once");
}

static void both_server(int qd)
{
    demi_sgarray_t sga;
    CHECK_ERRNO(pop_message(qd, &sga), 0, "pop");
    CHECK(holds_bytes(&sga, "over", 4), "what was pushed before");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "free");
    CHECK_ERRNO(pop_message(qd, &sga), 0, "pop at the end of the stream");
    CHECK(sga.sga_segs[0].sgaseg_len == 0, "gives length 0");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "free");
}

/* A close that is waited for like any other operation. */
static void closing_client(int qd)
{
    demi_qtoken_t closing;
    demi_qtoken_t popping;
    demi_qtoken_t never;
    demi_qresult_t qr;
    CHECK_ERRNO(push_bytes(qd, "bye", 3), 0, "push");
    CHECK_ERRNO(demi_pop(&popping, qd), 0, "pop");
    CHECK_ERRNO(margay_close(&closing, qd), 0, "asynchronous close");
    CHECK_ERRNO(demi_pop(&never, qd), EBADF, "the descriptor is gone at once");
    CHECK_ERRNO(demi_wait(&qr, closing, &LIMIT), 0, "wait for the close");
    CHECK(qr.qr_opcode == DEMI_OPC_CLOSE && qr.qr_ret == 0 && qr.qr_qd == qd, "closed");
    CHECK_ERRNO(demi_wait(&qr, popping, &LIMIT), 0, "wait for the pop");
    CHECK(qr.qr_opcode == DEMI_OPC_FAILED && qr.qr_ret == ECANCELED, "cancelled");
}

static void closing_server(int qd)
{
    demi_sgarray_t sga;
    CHECK_ERRNO(pop_message(qd, &sga), 0, "pop of what was pushed before the close");
    CHECK(holds_bytes(&sga, "bye", 3), "as it was pushed");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "free");
    CHECK_ERRNO(pop_message(qd, &sga), 0, "pop at the end of the stream");
    CHECK(sga.sga_segs[0].sgaseg_len == 0, "gives length 0");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "free");
    /* The end is in the ring; that the peer has closed the other direction as well is news that come behind it. */
    const struct timespec pause = {0, 1000000};
    int result = 0;
    for (int i = 0; i < 1000 && result == 0; i++) {
        nanosleep(&pause, NULL);
        margay_poll();
        result = push_bytes(qd, "too late", 8);
    }
    CHECK_ERRNO(result, EPIPE, "push to a peer that has closed");
}

/* A peer that dies; must be the last scene. */
static void death_client(int qd)
{
    demi_sgarray_t sga;
    push_bytes(qd, "testament", 9);
    CHECK_ERRNO(pop_message(qd, &sga), 0, "pop of the order to die");
    check_done();
    if (check_failures != 0) {
        _exit(1);
    }
    kill(getpid(), SIGKILL);
}

static void death_server(int qd)
{
    demi_sgarray_t sga;
    CHECK_ERRNO(push_bytes(qd, "die", 3), 0, "push");
    CHECK_ERRNO(pop_message(qd, &sga), 0, "pop of what the peer had published");
    CHECK(holds_bytes(&sga, "testament", 9), "as it was pushed");
    CHECK_ERRNO(demi_sgafree(&sga), 0, "free");
    CHECK_ERRNO(pop_message(qd, &sga), ECONNRESET, "pop from a peer that is dead");
    CHECK_ERRNO(push_bytes(qd, "hello?", 6), ECONNRESET, "push to it");
}

static const struct {
    const char *name;
    side_t server;
    side_t client;
} SCENES[] = {
    {"echo", echo_server, echo_client},          {"segments", segments_server, segments_client},
    {"parts", parts_server, parts_client},       {"sizes", sizes_server, sizes_client},
    {"shared", shared_server, shared_client},    {"joined", joined_server, joined_client},
    {"in-place", in_place_server, in_place_client}, {"waits", waits_server, waits_client},
    {"half", half_server, half_client},          {"deaf", deaf_server, deaf_client},
    {"both", both_server, both_client},          {"closing", closing_server, closing_client},
    {"death", death_server, death_client},
};

static int run(bool server)
{
    if (demi_init(NULL) != 0) {
        CHECK_ERRNO(margay_last_errno(), 0, "init");
        return check_done();
    }
    for (size_t i = 0; i < sizeof SCENES / sizeof *SCENES; i++) {
        int qd = -1;
        int result = server ? demi_create_pipe(&qd, SCENES[i].name) : open_soon(&qd, SCENES[i].name);
        CHECK_ERRNO(result, 0, SCENES[i].name);
        if (result != 0) {
            break;
        }
        (server ? SCENES[i].server : SCENES[i].client)(qd);
        result = demi_close(qd);
        CHECK(result == 0 || result == EBADF, "close, unless the scene has done it");
    }
    CHECK_ERRNO(margay_fini(), 0, "fini");
    return check_failures == 0 ? 0 : 1;
}

int main(void)
{
    int status = -1;
    support_begin();
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        return 2;
    }
    if (child == 0) {
        alarm(PROGRAM_SECONDS_MAX);
        check_role = "# client: ";
        run(false);
        check_done();
        /* Only a peer that was not killed gets here: that is a failure of the last scene. */
        _exit(1);
    }
    run(true);
    kill(child, SIGKILL);
    CHECK(waitpid(child, &status, 0) == child, "the client ended");
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "by its own hand, in the last scene");
    CHECK_ERRNO(demi_init(NULL), 0, "init: the next LibOs removes what a killed one has left");
    CHECK_ERRNO(margay_fini(), 0, "fini");
    CHECK(support_end() == 0, "nothing is left in the pipe directory");
    return check_done();
}
