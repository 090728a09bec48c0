/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Sizes, offsets and values of everything that crosses the C interface, checked by the compiler.
 *
 * They are Demikernel's: a program or a binding that was compiled against its headers must keep working.
 */
#include <margay.h>

#include "check.h"

#define SIZE_IS(type, bytes) _Static_assert(sizeof(type) == (bytes), "size of " #type)
#define AT(type, field, bytes) _Static_assert(offsetof(type, field) == (bytes), "offset of " #field)

_Static_assert(sizeof(void *) == 8, "the layouts are those of 64-bit Linux");
_Static_assert(sizeof(struct sockaddr_in) == 16, "size of sockaddr_in");
_Static_assert(sizeof(enum demi_opcode) == 4, "size of demi_opcode");
_Static_assert(sizeof(demi_qtoken_t) == 8, "size of demi_qtoken_t");
_Static_assert((demi_qtoken_t)-1 > 0, "demi_qtoken_t is unsigned");

SIZE_IS(demi_sgaseg_t, 12);
AT(demi_sgaseg_t, sgaseg_buf, 0);
AT(demi_sgaseg_t, sgaseg_len, 8);

SIZE_IS(demi_sgarray_t, 40);
AT(demi_sgarray_t, sga_buf, 0);
AT(demi_sgarray_t, sga_numsegs, 8);
AT(demi_sgarray_t, sga_segs, 12);
AT(demi_sgarray_t, sga_addr, 24);

SIZE_IS(demi_accept_result_t, 20);
AT(demi_accept_result_t, qd, 0);
AT(demi_accept_result_t, addr, 4);

SIZE_IS(demi_qresult_t, 64);
AT(demi_qresult_t, qr_opcode, 0);
AT(demi_qresult_t, qr_qd, 4);
AT(demi_qresult_t, qr_qt, 8);
AT(demi_qresult_t, qr_ret, 16);
AT(demi_qresult_t, qr_value, 24);
AT(demi_qresult_t, qr_value.sga, 24);
AT(demi_qresult_t, qr_value.ares, 24);

SIZE_IS(struct demi_args, 20);
AT(struct demi_args, argc, 0);
AT(struct demi_args, argv, 4);
AT(struct demi_args, callback, 12);

_Static_assert(_Alignof(demi_sgaseg_t) == 1, "packed");
_Static_assert(_Alignof(demi_sgarray_t) == 1, "packed");
_Static_assert(_Alignof(demi_accept_result_t) == 1, "packed");
_Static_assert(_Alignof(demi_qresult_t) == 1, "packed");
_Static_assert(_Alignof(struct demi_args) == 1, "packed");

_Static_assert(DEMI_SGARRAY_MAXSIZE == 1, "segments");
_Static_assert(DEMI_OPC_INVALID == 0, "opcode");
_Static_assert(DEMI_OPC_PUSH == 1, "opcode");
_Static_assert(DEMI_OPC_POP == 2, "opcode");
_Static_assert(DEMI_OPC_ACCEPT == 3, "opcode");
_Static_assert(DEMI_OPC_CONNECT == 4, "opcode");
_Static_assert(DEMI_OPC_CLOSE == 5, "opcode");
_Static_assert(DEMI_OPC_FAILED == 6, "opcode");

int main(void)
{
    CHECK(true, "sizes, offsets, alignments and opcodes (held by the compiler)");
    return check_done();
}
