/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The structures that cross the C interface.
 *
 * Names, sizes and offsets are Demikernel's (one segment per array), so that a program written for it compiles and links
 * unchanged. All structures are packed: sizes and offsets are in bytes and the same on every 64-bit Linux.
 */
#ifndef DEMI_TYPES_H_IS_INCLUDED
#define DEMI_TYPES_H_IS_INCLUDED

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <demi/cc.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Segments in one demi_sgarray_t. A message of several pieces is pushed with margay_pushv(). */
#define DEMI_SGARRAY_MAXSIZE 1

/** Names one pending operation; spent by the wait that returns its result. A spent or foreign token gives EINVAL. */
typedef uint64_t demi_qtoken_t;

/** One run of bytes. 12 bytes. */
typedef struct __attribute__((__packed__)) demi_sgaseg {
    void *sgaseg_buf;    /**< @0 First byte. */
    uint32_t sgaseg_len; /**< @8 Length in bytes. */
} demi_sgaseg_t;

/**
 * A message, or the memory for one. 40 bytes.
 *
 * Memory from demi_sgaalloc(), margay_sgaalloc_on() or a completed pop belongs to the application until it calls
 * demi_sgafree(), exactly once, whatever copies of this structure exist. Before a push the application may move
 * sgaseg_buf forward and make sgaseg_len smaller, as long as the segment stays inside the memory that it was given.
 *
 * Memory of the application's own is described with sga_buf = NULL: a push copies it before it returns, and it must not
 * be given to demi_sgafree().
 */
typedef struct __attribute__((__packed__)) demi_sgarray {
    void *sga_buf;                                /**< @0 Opaque: names the memory to Margay. Never an address to follow. */
    uint32_t sga_numsegs;                         /**< @8 Segments in use: 1; 0 in a null array. */
    demi_sgaseg_t sga_segs[DEMI_SGARRAY_MAXSIZE]; /**< @12 The segments. */
    struct sockaddr_in sga_addr;                  /**< @24 Sender of a popped datagram; zero on pipes. See demi_pop(). */
} demi_sgarray_t;

/** What completed. */
typedef enum demi_opcode {
    DEMI_OPC_INVALID = 0, /**< Never given by a successful wait. */
    DEMI_OPC_PUSH = 1,    /**< A push: the bytes were taken over. */
    DEMI_OPC_POP = 2,     /**< A pop: qr_value.sga has the message, or length 0 at the end of the stream. */
    DEMI_OPC_ACCEPT = 3,  /**< An accept: qr_value.ares has the connection. */
    DEMI_OPC_CONNECT = 4, /**< A connect. */
    DEMI_OPC_CLOSE = 5,   /**< A close. */
    DEMI_OPC_FAILED = 6   /**< Any operation that failed: qr_ret has the errno. */
} demi_opcode_t;

/** What an accept gives. 20 bytes. */
typedef struct __attribute__((__packed__)) demi_accept_result {
    int32_t qd;              /**< @0 Queue descriptor of the new connection. */
    struct sockaddr_in addr; /**< @4 Address of the peer; see demi_accept(). */
} demi_accept_result_t;

/** The result of one operation. 64 bytes. */
typedef struct __attribute__((__packed__)) demi_qresult {
    enum demi_opcode qr_opcode; /**< @0 What completed, or DEMI_OPC_FAILED. */
    int32_t qr_qd;              /**< @4 Queue descriptor that the operation was started on. */
    demi_qtoken_t qr_qt;        /**< @8 Its token. */
    int64_t qr_ret;             /**< @16 0, or a positive errno with DEMI_OPC_FAILED. */

    union {
        demi_sgarray_t sga;        /**< DEMI_OPC_POP only; the application frees it. */
        demi_accept_result_t ares; /**< DEMI_OPC_ACCEPT only. */
    } qr_value;                    /**< @24 Zero for all other opcodes. */
} demi_qresult_t;

/** Demikernel's profiling callback: a scope's name, the name's length in bytes, nanoseconds. */
typedef void (*demi_callback_t)(const char *name, uint32_t name_len, uint64_t nanoseconds);

/** What demi_init() is given. 20 bytes. */
struct __attribute__((__packed__)) demi_args {
    int argc;                 /**< @0 Entries in argv; may be 0. */
    char *const *argv;        /**< @4 Arguments of the program; none has a meaning to Margay. */
    demi_callback_t callback; /**< @12 May be NULL. Accepted for compatibility; Margay does not call it. */
};

#ifdef __cplusplus
}
#endif

#endif
