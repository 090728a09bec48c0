/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Waiting for operations.
 *
 * Every wait spins for the configured `wait.spin` and then sleeps. A timeout of NULL means for ever; one of zero looks
 * once and returns. Relative timeouts are measured by the monotonic clock; tv_sec must not be negative, and tv_nsec must
 * lie in 0..=999999999. A wait that returns 0 has spent the token, also when the operation failed: look at qr_opcode. A
 * wait that returns anything else leaves every token pending and *qr_out unchanged.
 *
 * All of these calls can also return:
 *   EINVAL    an out-parameter is NULL, a timeout is out of range, or a token is not pending
 *   EINTR     margay_wake() was called for this thread. A signal alone ends no wait, not even one without a timeout: its
 *             handler may call margay_wake().
 *   ENOBUFS   the application holds as many popped messages as the limits allow; free some
 *   ENOSYS    this thread has not called demi_init()
 */
#ifndef DEMI_WAIT_H_IS_INCLUDED
#define DEMI_WAIT_H_IS_INCLUDED

#include <time.h>

#include <demi/cc.h>
#include <demi/types.h>

/* Strict ISO C before C11 hides the definition in <time.h>; such a program can still pass NULL. */
struct timespec;

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Waits for one operation.
 *
 * qr_out:  where the result goes
 * qt:      token of the operation
 * timeout: longest time to wait, or NULL
 *
 * Returns 0, ETIMEDOUT, or one of the errors above.
 */
extern int demi_wait(_Out_ demi_qresult_t *qr_out, _In_ demi_qtoken_t qt, _In_opt_ const struct timespec *timeout);

/**
 * Waits for one operation until a point in time.
 *
 * abstime: seconds and nanoseconds since the Epoch (CLOCK_REALTIME), not NULL. If it is past, the call looks once: an
 *          operation that has completed is returned, never a timeout.
 *
 * Returns 0, ETIMEDOUT, or one of the errors above.
 */
extern int demi_timedwait(_Out_ demi_qresult_t *qr_out, _In_ demi_qtoken_t qt, _In_ const struct timespec *abstime);

/**
 * Waits until one of several operations completes.
 *
 * ready_offset: where the index in qts of the completed one goes
 * qts:          the tokens; each must be pending
 * num_qts:      entries in qts, at least 1
 *
 * The cost grows with num_qts; a program with many connections uses demi_wait_next_n() or a wait set (<margay.h>).
 *
 * Returns 0, ETIMEDOUT, or one of the errors above; EINVAL also if num_qts is below 1.
 */
extern int demi_wait_any(_Out_ demi_qresult_t *qr_out, _Out_ int *ready_offset,
                         _In_reads_(num_qts) const demi_qtoken_t qts[], _In_ int num_qts,
                         _In_opt_ const struct timespec *timeout);

/**
 * Waits until at least one operation of this thread's LibOs completes, whichever it is, and takes up to qr_out_size
 * results, oldest completion first.
 *
 * qr_out:      where the results go
 * qr_out_size: entries in qr_out, at least 1
 * qr_written:  where the number of results goes; 0 if the call fails
 *
 * Returns 0 with 1..=qr_out_size results, ETIMEDOUT with none, or one of the errors above; EINVAL also if qr_out_size is
 * below 1.
 */
extern int demi_wait_next_n(_Out_writes_to_(qr_out_size, *qr_written) demi_qresult_t *qr_out, _In_ int qr_out_size,
                            _Out_ int *qr_written, _In_opt_ const struct timespec *timeout);

#ifdef __cplusplus
}
#endif

#endif
