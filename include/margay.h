/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What Margay adds to Demikernel's calls: half-close, cancel, partial and in-place pops, messages in pieces, memory that a
 * pipe hands over without a copy, wait sets, a readiness descriptor for foreign event loops, wake-ups from other threads, and error
 * texts.
 *
 * The conventions are those of <demi/libos.h>: 0 or a positive errno, out-parameters first and unchanged on failure,
 * NULL gives EINVAL, ENOSYS before demi_init(), and everything belongs to the calling thread, except where a call says
 * otherwise.
 */
#ifndef MARGAY_H_IS_INCLUDED
#define MARGAY_H_IS_INCLUDED

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>

#include <demi/libos.h>
#include <demi/sga.h>
#include <demi/types.h>
#include <demi/wait.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Most pieces of one message in margay_pushv(). */
#define MARGAY_PUSHV_MAX 64

/** Longest name of a pipe, in bytes, without the final NUL. */
#define MARGAY_PIPE_NAME_MAX 64

/**
 * Ends this thread's LibOs: closes its queues, drops its pending operations and takes all its memory back. Pointers into
 * messages, descriptors and tokens are invalid afterwards. Old pointers and tokens stay so after another demi_init(); so do
 * old descriptors, as long as their few bits tell one LibOs from another. A thread that ends does this by itself.
 *
 * Returns 0.
 */
extern int margay_fini(void);

/**
 * Ends one direction of a queue, or both.
 *
 * how: SHUT_WR: the peer pops everything pushed before, then the end of the stream, and can still push.
 *      SHUT_RD: pops here give the end of the stream once, then EPIPE, whatever the peer has pushed or will push; it is
 *      not told. SHUT_RDWR: what of both has not been done.
 *
 * Returns 0, or:
 *   EINVAL      how is no SHUT_ constant
 *   EPIPE       it was done before, or, of writing, the peer has gone
 *   ENOTCONN    the stream socket is not connected
 *   EOPNOTSUPP  the queue is a datagram socket, and how is not SHUT_WR
 *   EAGAIN      too many tokens are out: wait for some first
 *   EBADF       the descriptor is not open
 */
extern int margay_shutdown(int qd, int how);

/**
 * Starts to close a queue; completes with DEMI_OPC_CLOSE. The descriptor is gone when the call returns 0; operations
 * still pending on it complete with ECANCELED.
 *
 * Returns 0, or:
 *   EAGAIN    too many tokens are out: wait for some first
 *   EBADF     the descriptor is not open
 */
extern int margay_close(demi_qtoken_t *qt_out, int qd);

/**
 * Ends a pending operation: it completes with DEMI_OPC_FAILED and ECANCELED, and its token must still be waited for. Of a
 * message that was being pushed the peer of a pipe gets all or nothing; on a stream socket what was sent stays sent. A
 * close that is cancelled is undone.
 *
 * Returns 0, or:
 *   EALREADY  the operation has completed: wait for its token
 *   EINVAL    the token is not pending
 */
extern int margay_cancel(demi_qtoken_t qt);

/**
 * Starts to push several pieces as one message, in their order, without joining them first; completes with DEMI_OPC_PUSH.
 *
 * sgas: the pieces, each as demi_push() wants it
 * n:    how many, 1 to MARGAY_PUSHV_MAX
 *
 * Returns 0, or the errors of demi_push(); EINVAL also if n is out of range.
 */
extern int margay_pushv(demi_qtoken_t *qt_out, int qd, const demi_sgarray_t *sgas, size_t n);

/**
 * Starts to pop at most `size` bytes; completes with DEMI_OPC_POP. If the message is longer, the rest of it stays for the
 * next pop; on a datagram socket it is lost.
 *
 * size: bytes, at least 1
 *
 * Returns 0, or the errors of demi_pop(); EINVAL if size is 0.
 */
extern int margay_pop(demi_qtoken_t *qt_out, int qd, size_t size);

/**
 * Starts to pop one whole message where it lies, without a copy if the queue can: on a pipe, in the shared memory.
 * Completes with DEMI_OPC_POP. The peer has no use of that memory until demi_sgafree(), so free it soon. The bytes are as
 * trustworthy as the peer, which can change them while they are read; demi_pop() copies what lies in the ring.
 *
 * Returns 0, or the errors of demi_pop().
 */
extern int margay_pop_in_place(demi_qtoken_t *qt_out, int qd);

/**
 * Tells who sent a popped datagram, as long as it was not freed: the whole address of an IPv6 sender or a Unix socket, for
 * which sga_addr has no room. A Unix socket without a name has an address of two bytes, the family, and cannot be answered.
 *
 * sga:     what a pop of a datagram socket gave
 * addr:    where a struct sockaddr_in, sockaddr_in6 or sockaddr_un goes
 * addrlen: size of addr in bytes; changed to the size of the address. A struct sockaddr_storage is always enough.
 *
 * Returns 0, or:
 *   EINVAL      the array was freed or never given out, or *addrlen is too small
 *   EOPNOTSUPP  it is no datagram
 */
extern int margay_sender(const demi_sgarray_t *sga, struct sockaddr *addr, socklen_t *addrlen);

/**
 * Gives memory that a push on this queue hands to the peer without a copy: on a pipe, a slot of the shared segment. It is
 * freed with demi_sgafree(), and not written to any more once it was pushed: the peer reads it where it lies, also after
 * the push has completed. Contents are not cleared.
 *
 * size: bytes, at least 1 and at most the configured slot
 *
 * Returns 0, or:
 *   EINVAL    size is 0
 *   EMSGSIZE  size is larger than a slot
 *   ENOBUFS   all slots are in use
 *   ENOTCONN  the peer is not there yet, so there is no segment
 *   EBADF     the descriptor is not open
 *   ENOTSUP   the queue has no such memory
 */
extern int margay_sgaalloc_on(demi_sgarray_t *sga_out, int qd, size_t size);

/**
 * Makes a wait set: tokens are added once and results are taken as they come, at a cost that does not depend on how many
 * tokens are pending.
 *
 * ws_out: where the set's handle goes
 *
 * Returns 0, or EMFILE if there are too many sets.
 */
extern int margay_waitset_create(int *ws_out);

/**
 * Adds a pending operation to a set. demi_wait_next_n() then leaves it out.
 *
 * Returns 0, or:
 *   EBADF     there is no such set
 *   EINVAL    the token is not pending
 *   EEXIST    the token is in a set already
 */
extern int margay_waitset_add(int ws, demi_qtoken_t qt);

/**
 * Takes one result from a set, oldest completion first, and removes its token.
 *
 * timeout: as for demi_wait()
 *
 * Returns 0, or ETIMEDOUT, EBADF (no such set), EINVAL (the set is empty, or the timeout is out of range), EINTR
 * (margay_wake()), ENOBUFS as <demi/wait.h> has them.
 */
extern int margay_waitset_take(demi_qresult_t *qr_out, int ws, const struct timespec *timeout);

/**
 * Ends a set. Tokens still in it stay pending, and can be waited for one by one.
 *
 * Returns 0, or EBADF if there is no such set.
 */
extern int margay_waitset_destroy(int ws);

/**
 * Gives a file descriptor that becomes readable when this thread's LibOs has something to do, for use in poll(2),
 * epoll(7) or an event loop. It belongs to the LibOs: do not read, write or close it. The pattern is
 *
 *     margay_arm(&ready); if (!ready) poll(fd); margay_poll(); take results with a timeout of zero
 *
 * Returns 0.
 */
extern int margay_readiness_fd(int *fd_out);

/**
 * Announces that this thread is about to sleep on the readiness descriptor.
 *
 * ready_out: 1 if there is something to do already, so that the thread must not sleep; else 0, and the descriptor will
 *            become readable
 *
 * Returns 0.
 */
extern int margay_arm(int *ready_out);

/**
 * Lets the LibOs make progress (one bounded batch of work) without waiting.
 *
 * Returns 0.
 */
extern int margay_poll(void);

/** Wakes one thread's LibOs from any other thread. */
typedef struct margay_wake_handle margay_wake_handle_t;

/**
 * Makes a handle that wakes the calling thread's LibOs. It may outlive the LibOs: waking then does nothing.
 *
 * Returns 0.
 */
extern int margay_wake_handle_create(margay_wake_handle_t **handle_out);

/**
 * Makes the wait that the handle's thread is in return EINTR, or else the next one that finds nothing completed: a result
 * that is there goes first. It is the only thing that makes a wait return EINTR. Any thread may call it, at any time and
 * also without demi_init(), and so may a signal handler. Several calls before that wait count once.
 *
 * Returns 0, or EINVAL for NULL; margay_last_error() does not tell of that.
 */
extern int margay_wake(const margay_wake_handle_t *handle);

/**
 * Ends a handle; any thread may, when nobody uses it any more. NULL is allowed and does nothing.
 *
 * Returns 0.
 */
extern int margay_wake_handle_destroy(margay_wake_handle_t *handle);

/**
 * Describes an errno that Margay returns: its symbolic name and what it means here. Any thread may call it; the text is
 * constant.
 */
extern const char *margay_strerror(int error);

/** The errno of the calling thread's last failed call, or 0. A call that succeeds does not change it. */
extern int margay_last_errno(void);

/**
 * Why the calling thread's last failed call failed, in a few words; empty if none has. After demi_init() it is the whole
 * message about the configuration. The text is valid until this thread's next failed call.
 */
extern const char *margay_last_error(void);

#ifdef __cplusplus
}
#endif

#endif
