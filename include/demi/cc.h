/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Compiler annotations that programs written for Demikernel expect from <demi/cc.h>.
 *
 * The direction markers expand to nothing on Linux. No declaration of Margay carries ATTR_NONNULL: every call answers a
 * null pointer with EINVAL, and the attribute would let a compiler remove the caller's own null checks.
 */
#ifndef DEMI_CC_H
#define DEMI_CC_H

#ifndef _In_
#define _In_
#endif
#ifndef _In_z_
#define _In_z_
#endif
#ifndef _In_opt_
#define _In_opt_
#endif
#ifndef _Inout_
#define _Inout_
#endif
#ifndef _In_reads_
#define _In_reads_(count)
#endif
#ifndef _In_reads_bytes_
#define _In_reads_bytes_(bytes)
#endif
#ifndef _Out_
#define _Out_
#endif
#ifndef _Out_writes_to_
#define _Out_writes_to_(size, count)
#endif
#ifndef _Out_writes_to_opt_
#define _Out_writes_to_opt_(size, count)
#endif
#ifndef _Deref_pre_z_
#define _Deref_pre_z_
#endif

#if defined(__GNUC__)
#define ATTR_NONNULL(...) __attribute__((nonnull(__VA_ARGS__)))
#define ATTR_NODISCARD __attribute__((warn_unused_result))
#else
#define ATTR_NONNULL(...)
#define ATTR_NODISCARD
#endif

#endif
