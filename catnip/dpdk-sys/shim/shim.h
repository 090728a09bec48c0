/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What of DPDK is inline in its headers, as functions, and the fields of packet buffers, as plain structures.
 *
 * Whoever calls has checked nothing: a function says what it cannot do. Packet buffers (`rte_mbuf.h`) are named by pointers. */
#ifndef MARGAY_SHIM_H
#define MARGAY_SHIM_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_interrupts.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_memory.h>
#include <rte_mempool.h>
#include <rte_ring.h>
#include <rte_version.h>

/* Offloads of a port, and marks of a packet, that are used here: constant expressions, which bindgen does not read out of macros. */
static const uint64_t MARGAY_RX_IPV4_CKSUM = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
static const uint64_t MARGAY_RX_UDP_CKSUM = RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
static const uint64_t MARGAY_RX_TCP_CKSUM = RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
static const uint64_t MARGAY_RX_SCATTER = RTE_ETH_RX_OFFLOAD_SCATTER;
static const uint64_t MARGAY_TX_IPV4_CKSUM = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
static const uint64_t MARGAY_TX_UDP_CKSUM = RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
static const uint64_t MARGAY_TX_TCP_CKSUM = RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
static const uint64_t MARGAY_TX_TCP_TSO = RTE_ETH_TX_OFFLOAD_TCP_TSO;
static const uint64_t MARGAY_TX_MULTI_SEGS = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
static const uint64_t MARGAY_FLAG_TX_IPV4 = RTE_MBUF_F_TX_IPV4;
static const uint64_t MARGAY_FLAG_TX_IPV6 = RTE_MBUF_F_TX_IPV6;
static const uint64_t MARGAY_FLAG_TX_TCP_CKSUM = RTE_MBUF_F_TX_TCP_CKSUM;
static const uint64_t MARGAY_FLAG_TX_UDP_CKSUM = RTE_MBUF_F_TX_UDP_CKSUM;
static const uint64_t MARGAY_FLAG_TX_TCP_SEG = RTE_MBUF_F_TX_TCP_SEG;
static const uint64_t MARGAY_FLAG_TX_IP_CKSUM = RTE_MBUF_F_TX_IP_CKSUM;
static const uint32_t MARGAY_PACKET_UDP = RTE_PTYPE_L4_UDP;
static const uint64_t MARGAY_RSS_IP = RTE_ETH_RSS_IP;
static const uint64_t MARGAY_RSS_TCP = RTE_ETH_RSS_TCP;
static const uint64_t MARGAY_RSS_UDP = RTE_ETH_RSS_UDP;
static const uint32_t MARGAY_SPREAD_BY_HASH = RTE_ETH_MQ_RX_RSS;
static const int MARGAY_INTERRUPT_ADD = RTE_INTR_EVENT_ADD;
static const int MARGAY_INTERRUPT_DELETE = RTE_INTR_EVENT_DEL;
static const uint16_t MARGAY_PORTS_MAX = RTE_MAX_ETHPORTS;
static const uint32_t MARGAY_HEADROOM = RTE_PKTMBUF_HEADROOM;

/* What a device has found out of a received packet: nothing, that its sums are right, that one of them is wrong. */
static const uint8_t MARGAY_SUMS_UNKNOWN = 0;
static const uint8_t MARGAY_SUMS_GOOD = 1;
static const uint8_t MARGAY_SUMS_BAD = 2;

/* One segment of a received packet, as it is at the time of the call. */
struct margay_segment {
	struct rte_mbuf *mbuf;
	struct rte_mbuf *next;
	/* Where its block begins, how long it is, and where in it the data are. */
	uint8_t *block;
	uint32_t block_len;
	uint32_t offset;
	uint32_t len;
	/* Of the whole packet, in its first segment. */
	uint32_t packet_len;
	uint16_t segments;
	/* A VLAN tag that was taken out, in its first segment. */
	uint16_t tag;
	bool tagged;
	/* Nobody else has the block: it is the buffer's own, and has no second reference. */
	bool alone;
	uint8_t sums;
};

/* What a driver is to do to a packet that it sends. */
struct margay_work {
	uint64_t flags;
	/* What it is (RTE_PTYPE_*), for drivers that sum by software and look there; 0 for all others. */
	uint32_t packet_type;
	uint16_t link_len;
	uint16_t network_len;
	uint16_t transport_len;
	uint16_t segment_size;
};

/* Memory of somebody else that a packet buffer points to. When the driver is done with it, the structure is put into `home`, on whatever
 * thread that happens. */
struct margay_loan {
	struct rte_mbuf_ext_shared_info shared;
	struct rte_ring *home;
	void *what;
};

int margay_errno(void);

/* Up to `count` packets; `out` says what they are. What is looked at of each is fetched into the cache `ahead` packets earlier, and the
 * front of its data with it; 0: nothing is. */
uint16_t margay_receive(uint16_t port, uint16_t queue, struct margay_segment *out, uint16_t count, uint16_t ahead);
/* What a segment is. */
void margay_look(struct rte_mbuf *mbuf, struct margay_segment *out);
/* Frees one segment, whatever hangs on it. */
void margay_free_segment(struct rte_mbuf *mbuf);
/* Frees a packet. */
void margay_free(struct rte_mbuf *mbuf);

/* A buffer without data, or a null pointer: the pool is empty. */
struct rte_mbuf *margay_alloc(struct rte_mempool *pool);
/* Makes the data of a buffer `len` bytes longer, and says where those are; a null pointer if it has no room for them. */
uint8_t *margay_extend(struct rte_mbuf *mbuf, uint16_t len);
/* Makes memory of somebody else the data of a buffer that has none. */
void margay_attach(struct rte_mbuf *mbuf, struct margay_loan *loan, uint8_t *data, uint16_t len);
/* Hangs a segment behind the last one of a packet. */
void margay_chain(struct rte_mbuf *last, struct rte_mbuf *next);
/* Counts a packet's segments and bytes, which it says afterwards; how many segments it has. */
uint16_t margay_finish(struct rte_mbuf *head);
/* Says what is to be done to a packet. */
void margay_set_work(struct rte_mbuf *head, const struct margay_work *work);

/* Has the driver make ready what asks for work; says how many of the first it can do. */
uint16_t margay_prepare(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count);
/* Sends; says how many of the first were taken. */
uint16_t margay_send(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count);

/* A loan that is back in the ring, or a null pointer. */
struct margay_loan *margay_returned(struct rte_ring *home);

/* As rte_pktmbuf_pool_create, of buffers that lie side by side: none is moved to the next page lest it cross into one. */
struct rte_mempool *margay_dense_pool(const char *name, unsigned int count, unsigned int cache, uint16_t room, int socket);
/* Frees a pool of buffers that are all back, or any; false, and nothing is done, while some are not. */
bool margay_free_pool(struct rte_mempool *pool, bool anyhow);

/* Whether addresses of this process are those that devices use. */
bool margay_iova_is_va(void);
/* The device behind a port, or a null pointer. */
struct rte_device *margay_device(uint16_t port);
/* Has DPDK's interrupt thread call a function whenever a descriptor is readable, for good; 0, or a negative errno. */
int margay_watch(int descriptor, void (*callback)(void *), void *argument);
/* Takes back what interrupts of queues have left in an epoll instance to which they were added. */
void margay_quiet(int instance);

/* Whether this thread is one that DPDK knows. */
bool margay_knows_thread(void);

#endif
