/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The queue calls.
 *
 * Each thread has its own LibOs: descriptors, tokens and memory are valid only in the thread that got them, and calls of
 * different threads never wait for each other. All calls return 0 or a positive errno and never set `errno`;
 * margay_last_error() in <margay.h> gives the reason as text. Calls that start an operation store a token, and the
 * operation's result comes from a wait (<demi/wait.h>). A call that fails leaves its out-parameters unchanged.
 *
 * Every call can also return:
 *   EINVAL    an argument that must not be NULL is NULL
 *   ENOSYS    this thread has not called demi_init()
 *   EBUSY     a call was made from inside another one of the same thread
 *   EIO       an internal fault was caught; close the queues and call margay_fini()
 *
 * No call but margay_wake() may be made from a signal handler.
 *
 * Calls on sockets return ENOTSUP as long as no configured back end serves sockets.
 */
#ifndef DEMI_LIBOS_H_IS_INCLUDED
#define DEMI_LIBOS_H_IS_INCLUDED

#include <stddef.h>
#include <sys/socket.h>

#include <demi/cc.h>
#include <demi/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Makes this thread's LibOs. The configuration is the YAML file that CONFIG_PATH names; without that variable all
 * defaults hold. LIBOS, if set, overrides the choice of the back end.
 *
 * After a fork() the child has no LibOs, and may make its own: the parent's goes on undisturbed, whatever the child does
 * and however it ends. Only the parent's death is not seen by its peers as long as a child that did not exec keeps copies
 * of the parent's descriptors; so fork first, if the child is to live.
 *
 * args: the program's arguments, or NULL
 *
 * Returns 0, or:
 *   EINVAL    args->argc is negative or counts entries of a NULL argv, or the configuration is wrong
 *   EEXIST    this thread already has a LibOs
 *   ENOENT    CONFIG_PATH names no file
 *   ENOTSUP   LIBOS or the configuration asks for a back end that is not there
 *   EMFILE, ENOMEM   the system is out of descriptors or memory
 */
extern int demi_init(_In_opt_ const struct demi_args *args);

/**
 * Creates a pipe between processes of one host and of one user, and waits in the background for the process that opens
 * it. Pushes and pops may start at once.
 *
 * memqd_out: where the queue descriptor goes
 * name:      1 to 64 bytes of UTF-8 without '/', and neither "." nor ".."
 *
 * Returns 0, or:
 *   EINVAL    the name is not as said above
 *   EEXIST    another live pipe has the name
 *   EACCES    the pipe directory belongs to another user or others may write to it
 *   EMFILE    the table of queues or of file descriptors is full
 */
extern int demi_create_pipe(_Out_ int *memqd_out, _In_z_ const char *name);

/**
 * Opens a pipe that another process, or this one, has created. The handshake ends in the background; pushes and pops may
 * start at once.
 *
 * Returns 0, or:
 *   EINVAL        the name is not as demi_create_pipe() wants it
 *   ENOENT        no pipe has the name
 *   ECONNREFUSED  the process that created it is gone, or somebody else has opened it
 *   EACCES        it belongs to another user
 *   EMFILE        the table of queues or of file descriptors is full
 */
extern int demi_open_pipe(_Out_ int *memqd_out, _In_z_ const char *name);

/**
 * Creates a socket.
 *
 * domain: AF_INET. type: SOCK_STREAM or SOCK_DGRAM. protocol: follows from the two; pass 0.
 *
 * Returns 0, or ENOTSUP for a domain or type that no configured back end serves.
 */
extern int demi_socket(_Out_ int *sockqd_out, _In_ int domain, _In_ int type, _In_ int protocol);

/**
 * Gives a socket its local address.
 *
 * addr: a struct sockaddr_in. size: its size in bytes.
 *
 * Returns 0, or EINVAL (size or family is wrong, or the queue is no socket), EADDRINUSE, EBADF, ENOTSUP.
 */
extern int demi_bind(_In_ int sockqd, _In_reads_bytes_(size) const struct sockaddr *addr, _In_ socklen_t size);

/**
 * Makes a bound stream socket ready to accept connections.
 *
 * backlog: connections that may wait to be accepted, at least 1
 *
 * Returns 0, or EINVAL (backlog below 1, or the queue cannot listen), EDESTADDRREQ (not bound), EADDRINUSE, EBADF,
 * ENOTSUP.
 */
extern int demi_listen(_In_ int sockqd, _In_ int backlog);

/**
 * Starts to accept one connection; completes with DEMI_OPC_ACCEPT.
 *
 * Returns 0, or EINVAL (the queue does not listen), EAGAIN (too many tokens are out), EBADF, ENOTSUP.
 */
extern int demi_accept(_Out_ demi_qtoken_t *qt_out, _In_ int sockqd);

/**
 * Starts to connect a socket; completes with DEMI_OPC_CONNECT.
 *
 * addr: the remote struct sockaddr_in. size: its size in bytes.
 *
 * Returns 0, or EINVAL (size or family is wrong, or the queue is no socket), EAGAIN, EBADF, ENOTSUP.
 */
extern int demi_connect(_Out_ demi_qtoken_t *qt_out, _In_ int sockqd,
                        _In_reads_bytes_(size) const struct sockaddr *addr, _In_ socklen_t size);

/**
 * Closes a queue and returns when that is done. Operations still pending on it complete with ECANCELED and their tokens
 * stay to be waited for. What was pushed before is still delivered to the peer, who then reads the end of the stream.
 * margay_close() is the same without waiting.
 *
 * Returns 0, or:
 *   EBADF     the descriptor is not open
 *   other     the close itself failed; the descriptor is gone nevertheless
 */
extern int demi_close(_In_ int qd);

/**
 * Starts to push one message; completes with DEMI_OPC_PUSH. Messages arrive whole and in the order of their pushes.
 *
 * sga: one segment, at least 1 byte; see demi_sgarray_t for whose memory it may be. The call takes its own hold on the
 *      memory: the application may free it at once, but must not write to it before the push has completed, and to
 *      memory of margay_sgaalloc_on() not any more.
 *
 * Returns 0, or:
 *   EINVAL    sga does not hold exactly one segment, the segment is empty, or it lies outside the memory that sga_buf
 *             names (which may have been freed)
 *   EBADF     the descriptor is not open
 *   EPIPE     margay_shutdown() was called on the queue
 *   EAGAIN    too many tokens are out: wait for some first
 *   ENOBUFS   the pools are empty
 * What goes wrong later comes with the completion, as DEMI_OPC_FAILED and one of
 *   EPIPE       the peer has closed
 *   ECONNRESET  the peer died
 *   EPROTO      the peer broke the protocol
 *   EMSGSIZE    the message is larger than the configured limit
 *   ECANCELED   by margay_cancel() or a close
 */
extern int demi_push(_Out_ demi_qtoken_t *qt_out, _In_ int qd, _In_ const demi_sgarray_t *sga);

/**
 * Starts to push one datagram to an address; completes with DEMI_OPC_PUSH.
 *
 * dest_addr: a struct sockaddr_in. size: its size in bytes.
 *
 * Returns 0, or the errors of demi_push(), EINVAL for a wrong size or family, ENOTSUP.
 */
extern int demi_pushto(_Out_ demi_qtoken_t *qt_out, _In_ int sockqd, _In_ const demi_sgarray_t *sga,
                       _In_reads_bytes_(size) const struct sockaddr *dest_addr, _In_ socklen_t size);

/**
 * Starts to pop one whole message; completes with DEMI_OPC_POP, and the application frees what it got with
 * demi_sgafree(). A result of length 0 is the end of the stream: given once, to be freed as well; pops after it complete
 * with DEMI_OPC_FAILED and EPIPE. So they do with ECONNRESET after the last message of a peer that died, with EPROTO if
 * the peer broke the protocol, and with ENOBUFS if there is no memory for the message, which then stays for the next pop.
 *
 * Returns 0, or:
 *   EBADF     the descriptor is not open
 *   EAGAIN    too many tokens are out: wait for some first
 */
extern int demi_pop(_Out_ demi_qtoken_t *qt_out, _In_ int qd);

/**
 * Sets an option of a socket.
 *
 * Returns 0, or EINVAL (optlen is wrong), ENOPROTOOPT (unknown option), ENOTSUP (unknown level, or no sockets), EBADF.
 */
extern int demi_setsockopt(_In_ int qd, _In_ int level, _In_ int optname, _In_reads_bytes_(optlen) const void *optval,
                           _In_ socklen_t optlen);

/**
 * Reads an option of a socket.
 *
 * optlen: size of optval in bytes; changed to the size of the value.
 *
 * Returns 0, or EINVAL (*optlen is too small), ENOPROTOOPT, ENOTSUP, EBADF.
 */
extern int demi_getsockopt(_In_ int qd, _In_ int level, _In_ int optname, _Out_writes_to_(*optlen, *optlen) void *optval,
                           _Inout_ socklen_t *optlen);

/**
 * Reads the address of a connected socket's peer.
 *
 * addrlen: size of addr in bytes, at least that of struct sockaddr_in; changed to the size of the address.
 *
 * Returns 0, or EINVAL (*addrlen is too small), ENOTCONN, ENOTSUP, EBADF.
 */
extern int demi_getpeername(_In_ int qd, _Out_writes_to_(*addrlen, *addrlen) struct sockaddr *addr,
                            _Inout_ socklen_t *addrlen);

/**
 * Reads the local address of a socket.
 *
 * addrlen: as for demi_getpeername()
 *
 * Returns 0, or EINVAL (*addrlen is too small), ENOTSUP, EBADF.
 */
extern int demi_getsockname(_In_ int qd, _Out_writes_to_(*addrlen, *addrlen) struct sockaddr *addr,
                            _Inout_ socklen_t *addrlen);

#ifdef __cplusplus
}
#endif

#endif
