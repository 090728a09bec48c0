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
 * Sockets are served by the back end that the configuration names. An address is a struct sockaddr_in, a struct
 * sockaddr_in6 or a struct sockaddr_un, of the socket's own family; the packed structures of <demi/types.h> have room for the
 * first only: of an IPv6 address they tell family and port, of a Unix socket's the family. A call that needs a socket answers
 * a pipe with EOPNOTSUPP, the same number as ENOTSUP on Linux.
 *
 * A Unix socket is named by sun_path: a path of at most 107 bytes, up to its NUL byte or the end of the address; or, if it
 * begins with a NUL byte, an abstract name that goes to the end of the address. Binding to a path makes a file there, which
 * stays when the socket is closed. catcollar and catnap have Unix sockets.
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
 *   EINVAL    args->argc is negative or counts entries of a NULL argv, the configuration is wrong, or it or LIBOS names a
 *             back end that is not there
 *   EEXIST    this thread already has a LibOs
 *   ENOENT    CONFIG_PATH names no file
 *   EPERM, ENOSYS    the back end is catcollar, and io_uring is forbidden or not there: name catnap or auto
 *   EPERM, ENODEV    the back end is catnip or catpowder, and its device may not be opened, or is not there
 *   EMFILE, ENOMEM   the system is out of descriptors or memory, or of memory that may be locked for io_uring
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
 * domain: AF_INET, AF_INET6 or AF_UNIX. type: SOCK_STREAM or SOCK_DGRAM. protocol: follows from the type; 0, or with an IP
 * domain IPPROTO_TCP for a stream and IPPROTO_UDP for datagrams.
 *
 * Returns 0, or:
 *   ENOTSUP          another domain or type, or the configured back end has no sockets
 *   EAFNOSUPPORT     the configured back end has no sockets of this domain
 *   EPROTONOSUPPORT  the protocol does not belong to the type
 *   EMFILE           the table of queues or of file descriptors is full
 */
extern int demi_socket(_Out_ int *sockqd_out, _In_ int domain, _In_ int type, _In_ int protocol);

/**
 * Gives a socket its local address. Port 0 takes any that is free, which demi_getsockname() tells; the wildcard address
 * stands for all addresses of this host, and that of IPv6 for those of IPv4, too.
 *
 * addr: a struct sockaddr_in, sockaddr_in6 or sockaddr_un. size: its size in bytes.
 *
 * Returns 0, or:
 *   EINVAL         size is not that of an address of its family, the family is none of the three, or the socket is bound
 *                  already
 *   EAFNOSUPPORT   the address is of another family than the socket
 *   EADDRNOTAVAIL  it is not an address of this host
 *   EADDRINUSE     it is taken, or the port is 0 and none is free; for a path, a file is there
 *   ENAMETOOLONG   the path has 108 bytes
 *   ENOENT, ENOTDIR, EACCES   what is wrong with the folder of the path, or the port is not for this user
 *   EOPNOTSUPP     the queue is a pipe
 *   EBADF          the descriptor is not open
 */
extern int demi_bind(_In_ int sockqd, _In_reads_bytes_(size) const struct sockaddr *addr, _In_ socklen_t size);

/**
 * Makes a bound stream socket ready to accept connections.
 *
 * backlog: connections that may wait to be accepted, at least 1. Who comes beyond that waits, or is refused, as the
 *          configuration says.
 *
 * Returns 0, or:
 *   EINVAL        backlog is below 1, or the socket is connected
 *   EDESTADDRREQ  the socket is not bound
 *   EADDRINUSE    the socket listens already, or is connecting
 *   EOPNOTSUPP    the queue is a pipe or a datagram socket
 *   EBADF         the descriptor is not open
 */
extern int demi_listen(_In_ int sockqd, _In_ int backlog);

/**
 * Starts to accept one connection; completes with DEMI_OPC_ACCEPT. The application closes the connection's queue. Of an
 * IPv6 peer the result has family and port only, of a Unix socket the family; demi_getpeername() gives the whole address.
 *
 * Returns 0, or:
 *   EINVAL      the socket does not listen
 *   EOPNOTSUPP  the queue is a pipe or a datagram socket
 *   EAGAIN      too many tokens are out: wait for some first
 *   EBADF       the descriptor is not open
 * What goes wrong later comes with the completion, as DEMI_OPC_FAILED and one of
 *   EMFILE      the table of queues or of file descriptors is full; the connection goes on waiting to be accepted
 *   ECANCELED   by margay_cancel() or a close
 */
extern int demi_accept(_Out_ demi_qtoken_t *qt_out, _In_ int sockqd);

/**
 * Starts to connect a socket; completes with DEMI_OPC_CONNECT. What is pushed before that follows it. A datagram socket is
 * given its peer, to whom demi_push() sends and from whom alone it pops; that completes at once.
 *
 * addr: the remote struct sockaddr_in, sockaddr_in6 or sockaddr_un. size: its size in bytes.
 *
 * Returns 0, or:
 *   EINVAL         size is not that of an address of its family, or the family is none of the three
 *   EAFNOSUPPORT   the address is of another family than the socket
 *   EALREADY       the socket is connecting
 *   EISCONN        the socket is connected
 *   EADDRNOTAVAIL  the port is 0, or no local port is free
 *   ENETUNREACH    there is no way to the address; catloop reaches this host only
 *   ENAMETOOLONG   the path has 108 bytes
 *   EOPNOTSUPP     the queue is a pipe or a listening socket
 *   EAGAIN         too many tokens are out: wait for some first
 *   EBADF          the descriptor is not open
 * What goes wrong later comes with the completion, as DEMI_OPC_FAILED and one of
 *   ENOENT         no file has this path
 *   EPROTOTYPE     the path is that of a socket of another type
 *   EHOSTUNREACH   a router on the way says so
 *   ECONNREFUSED   nobody listens there, or it was closed before it had answered, or the backlog is full and the
 *                  configuration says to refuse
 *   ETIMEDOUT      the listening process did not answer in time, such as with a full backlog
 *   EACCES         the listening socket belongs to another user, or there is no right to write to the path
 *   EPROTO         the listening process broke the protocol
 *   ECANCELED      by margay_cancel() or a close
 */
extern int demi_connect(_Out_ demi_qtoken_t *qt_out, _In_ int sockqd,
                        _In_reads_bytes_(size) const struct sockaddr *addr, _In_ socklen_t size);

/**
 * Closes a queue and returns when that is done. Operations still pending on it complete with ECANCELED and their tokens
 * stay to be waited for. What was pushed before is still delivered to the peer, who then reads the end of the stream.
 * With SO_LINGER the close of a stream socket waits until the peer has popped everything, for at most the given time; with
 * a time of zero the peer reads ECONNRESET in place of the end. margay_close() is the same without waiting.
 *
 * Returns 0, or:
 *   EBADF     the descriptor is not open
 *   EAGAIN    too many tokens are out: wait for some first
 *   other     the close itself failed; the descriptor is gone nevertheless
 */
extern int demi_close(_In_ int qd);

/**
 * Starts to push one message; completes with DEMI_OPC_PUSH. Messages arrive in the order of their pushes: on a pipe each
 * whole; on a stream socket as bytes, which the peer's pops may cut elsewhere; on a datagram socket each whole or not at
 * all, if there is no room for it.
 *
 * sga: one segment, at least 1 byte; see demi_sgarray_t for whose memory it may be. The call takes its own hold on the
 *      memory: the application may free it at once, but must not write to it before the push has completed, and to
 *      memory of margay_sgaalloc_on() not any more.
 *
 * Returns 0, or:
 *   EINVAL    sga does not hold exactly one segment, the segment is empty, or it lies outside the memory that sga_buf
 *             names (which may have been freed)
 *   EBADF     the descriptor is not open
 *   EPIPE     margay_shutdown() was called on the queue for writing
 *   EAGAIN    too many tokens are out: wait for some first
 *   ENOBUFS   the pools are empty
 * What goes wrong later comes with the completion, as DEMI_OPC_FAILED and one of
 *   EPIPE         the peer has closed
 *   ECONNRESET    the peer died, or closed with a linger time of zero
 *   EPROTO        the peer broke the protocol
 *   EMSGSIZE      the message is larger than the configured limit of a pipe, or than the 65,507 bytes of a datagram
 *   ENOTCONN      the stream socket is not connected
 *   EDESTADDRREQ  the datagram socket has no peer
 *   ECONNREFUSED  an earlier datagram to the peer of this datagram socket found nobody there
 *   ECANCELED     by margay_cancel() or a close
 */
extern int demi_push(_Out_ demi_qtoken_t *qt_out, _In_ int qd, _In_ const demi_sgarray_t *sga);

/**
 * Starts to push one datagram to an address; completes with DEMI_OPC_PUSH. It has at most 65,507 bytes, and arrives whole or
 * not at all: it is dropped and counted if nobody is there or there is no room.
 *
 * dest_addr: a struct sockaddr_in, sockaddr_in6 or sockaddr_un. size: its size in bytes.
 *
 * Returns 0, or EBADF, EPIPE, EAGAIN, ENOBUFS as demi_push(), or:
 *   EINVAL         size is not that of an address of its family, the family is none of the three, or sga is not as
 *                  demi_push() wants it
 *   ENAMETOOLONG   the path has 108 bytes
 *   EOPNOTSUPP     the queue is no datagram socket
 * What goes wrong later comes with the completion, as DEMI_OPC_FAILED and one of
 *   EAFNOSUPPORT   the address is of another family than the socket
 *   EMSGSIZE       the datagram is too long
 *   EADDRNOTAVAIL  the port is 0, or no local port is free
 *   ENETUNREACH    there is no way to the address; catloop reaches this host only
 *   ENOENT, EACCES, EPROTOTYPE   of a path, as demi_connect() has them
 *   ECANCELED      by margay_cancel() or a close
 */
extern int demi_pushto(_Out_ demi_qtoken_t *qt_out, _In_ int sockqd, _In_ const demi_sgarray_t *sga,
                       _In_reads_bytes_(size) const struct sockaddr *dest_addr, _In_ socklen_t size);

/**
 * Starts to pop one message; completes with DEMI_OPC_POP, and the application frees what it got with demi_sgafree(). A pipe
 * gives a whole message, a stream socket what has come, a datagram socket a whole datagram with its sender in sga_addr
 * (of an IPv6 sender only family and port, of a Unix socket only the family; margay_sender() gives the whole address).
 *
 * On a pipe and a stream socket a result of length 0 is the end of the stream: given once, to be freed as well. On a
 * datagram socket it is an empty datagram.
 *
 * Returns 0, or:
 *   EBADF     the descriptor is not open
 *   EAGAIN    too many tokens are out: wait for some first
 * What goes wrong later comes with the completion, as DEMI_OPC_FAILED and one of
 *   EPIPE         the end of the stream was popped before
 *   ECONNRESET    the peer died, or closed with a linger time of zero, and all that it had pushed was popped
 *   EPROTO        the peer broke the protocol
 *   ENOBUFS       there is no memory for the message, which stays for the next pop
 *   EMSGSIZE      the message was longer than catmem.max_message, or than any buffer can be, and is gone
 *   ENOTCONN      the stream socket is not connected
 *   ECONNREFUSED  a datagram to the peer of this datagram socket found nobody there
 *   ECANCELED     by margay_cancel() or a close
 */
extern int demi_pop(_Out_ demi_qtoken_t *qt_out, _In_ int qd);

/**
 * Sets an option of a socket. Connections that a listening socket accepts have its options.
 *
 *   SOL_SOCKET   SO_LINGER (struct linger, 0 to 65,535 s), SO_KEEPALIVE, SO_REUSEADDR (int, 0 or not),
 *                SO_SNDBUF, SO_RCVBUF (int, bytes; brought into the back end's range)
 *   IPPROTO_TCP  TCP_NODELAY (int, 0 or not), TCP_KEEPIDLE, TCP_KEEPINTVL (int, 1 to 32,767 s), TCP_KEEPCNT (int, 1 to 127)
 *   SOL_UDP      UDP_SEGMENT (int, bytes of each datagram that one push leaves as; 0: it leaves as one)
 *   IPPROTO_IP   IP_ADD_MEMBERSHIP, IP_DROP_MEMBERSHIP (struct ip_mreq or ip_mreqn; set only), IP_MULTICAST_TTL (0 to 255, -1: 1),
 *                IP_MULTICAST_LOOP (0 or not), these two int or unsigned char
 *   IPPROTO_IPV6 IPV6_ADD_MEMBERSHIP, IPV6_DROP_MEMBERSHIP (struct ipv6_mreq; set only), IPV6_MULTICAST_HOPS,
 *                IPV6_MULTICAST_LOOP (as those of IPPROTO_IP)
 *
 * Returns 0, or:
 *   EINVAL       optlen is smaller than the value, or the value is out of its range
 *   ENOPROTOOPT  unknown option, or it belongs to another level, or not to this type of socket
 *   EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, ENODEV, ENOBUFS
 *                of a group: a member already, or none; of another family; no such interface; a member of too many
 *   EOPNOTSUPP   the queue is a pipe; of a group: the back end has none
 *   EBADF        the descriptor is not open
 */
extern int demi_setsockopt(_In_ int qd, _In_ int level, _In_ int optname, _In_reads_bytes_(optlen) const void *optval,
                           _In_ socklen_t optlen);

/**
 * Reads an option of a socket; see demi_setsockopt().
 *
 * optlen: size of optval in bytes; changed to the size of the value.
 *
 * Returns 0, or EINVAL (*optlen is too small), ENOPROTOOPT, EOPNOTSUPP (the queue is a pipe), EBADF.
 */
extern int demi_getsockopt(_In_ int qd, _In_ int level, _In_ int optname, _Out_writes_to_(*optlen, *optlen) void *optval,
                           _Inout_ socklen_t *optlen);

/**
 * Reads the address of a connected socket's peer.
 *
 * addrlen: size of addr in bytes, at least that of the address and at least 16: struct sockaddr_in; for IPv6 struct
 *          sockaddr_in6; for a Unix socket up to a struct sockaddr_un. Changed to the size of the address: 2, the family
 *          alone, for a Unix socket without a name.
 *
 * Returns 0, or EINVAL (*addrlen is too small), ENOTCONN, EOPNOTSUPP (the queue is a pipe), EBADF.
 */
extern int demi_getpeername(_In_ int qd, _Out_writes_to_(*addrlen, *addrlen) struct sockaddr *addr,
                            _Inout_ socklen_t *addrlen);

/**
 * Reads the local address of a socket: the wildcard with port 0, or a Unix socket's family alone, as long as it is not bound.
 *
 * addrlen: as for demi_getpeername()
 *
 * Returns 0, or EINVAL (*addrlen is too small), EOPNOTSUPP (the queue is a pipe), EBADF.
 */
extern int demi_getsockname(_In_ int qd, _Out_writes_to_(*addrlen, *addrlen) struct sockaddr *addr,
                            _Inout_ socklen_t *addrlen);

#ifdef __cplusplus
}
#endif

#endif
