/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Memory for messages.
 *
 * Calls belong to the thread that called demi_init(); memory of one thread's LibOs is unknown to another's.
 */
#ifndef DEMI_SGA_H_IS_INCLUDED
#define DEMI_SGA_H_IS_INCLUDED

#include <stddef.h>

#include <demi/cc.h>
#include <demi/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Gives memory for a message from this thread's private pools. Its contents are not cleared.
 *
 * size: bytes, 1 to UINT32_MAX and within the configured pools. For memory that a pipe hands over without a copy, see
 *       margay_sgaalloc_on() in <margay.h>.
 *
 * Returns an array with one segment of exactly `size` bytes. On failure sga_numsegs is 0; margay_last_errno() and
 * margay_last_error() then tell why:
 *   EINVAL    size is 0 or above UINT32_MAX
 *   ENOBUFS   the pools are empty, or the size is above what they may give
 *   ENOSYS    this thread has not called demi_init()
 */
extern demi_sgarray_t demi_sgaalloc(_In_ size_t size);

/**
 * Gives memory back.
 *
 * sga: an array from demi_sgaalloc(), margay_sgaalloc_on() or a completed pop. It may be freed as soon as a push of it
 *      has returned: a pending push keeps its own hold on the memory. The structure itself is not changed.
 *
 * Returns 0, or:
 *   EINVAL    sga is NULL, holds no segment, was freed before, or was not given out by this thread's LibOs
 *   ENOSYS    this thread has not called demi_init()
 */
extern int demi_sgafree(_In_ demi_sgarray_t *sga);

#ifdef __cplusplus
}
#endif

#endif
