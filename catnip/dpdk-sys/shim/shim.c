/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "shim.h"

#include <errno.h>
#include <string.h>

#include <rte_mbuf_pool_ops.h>

int margay_errno(void)
{
	return rte_errno;
}

static uint8_t sums(uint64_t flags)
{
	uint64_t l4 = flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;

	if ((flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_BAD || l4 == RTE_MBUF_F_RX_L4_CKSUM_BAD)
		return MARGAY_SUMS_BAD;
	/* NONE: not in the packet, but the data are right. */
	if (l4 == RTE_MBUF_F_RX_L4_CKSUM_GOOD || l4 == RTE_MBUF_F_RX_L4_CKSUM_NONE)
		return MARGAY_SUMS_GOOD;
	/* The same by the marks for sending, as net_vhost has them with legacy-ol-flags=1. */
	if ((flags & (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG)) != 0)
		return MARGAY_SUMS_GOOD;
	return MARGAY_SUMS_UNKNOWN;
}

void margay_look(struct rte_mbuf *mbuf, struct margay_segment *out)
{
	out->mbuf = mbuf;
	out->next = mbuf->next;
	out->block = mbuf->buf_addr;
	out->block_len = mbuf->buf_len;
	out->offset = mbuf->data_off;
	out->len = mbuf->data_len;
	out->packet_len = mbuf->pkt_len;
	out->segments = mbuf->nb_segs;
	out->tag = mbuf->vlan_tci;
	out->tagged = (mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0;
	out->alone = RTE_MBUF_DIRECT(mbuf) && rte_mbuf_refcnt_read(mbuf) == 1;
	out->sums = sums(mbuf->ol_flags);
}

uint16_t margay_receive(uint16_t port, uint16_t queue, struct margay_segment *out, uint16_t count, uint16_t ahead)
{
	struct rte_mbuf *mbufs[64];
	uint16_t came, i;

	came = rte_eth_rx_burst(port, queue, mbufs, count < RTE_DIM(mbufs) ? count : RTE_DIM(mbufs));
	/* The first is looked at now. */
	for (i = 1; i < ahead && i < came; i++)
		rte_prefetch0(mbufs[i]);
	for (i = 0; i < came; i++) {
		if (ahead != 0) {
			if (i + ahead < came)
				rte_prefetch0(mbufs[i + ahead]);
			rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void *));
		}
		margay_look(mbufs[i], &out[i]);
	}
	return came;
}

void margay_free_segment(struct rte_mbuf *mbuf)
{
	rte_pktmbuf_free_seg(mbuf);
}

void margay_free(struct rte_mbuf *mbuf)
{
	rte_pktmbuf_free(mbuf);
}

struct rte_mbuf *margay_alloc(struct rte_mempool *pool)
{
	return rte_pktmbuf_alloc(pool);
}

uint8_t *margay_extend(struct rte_mbuf *mbuf, uint16_t len)
{
	uint32_t end = (uint32_t)mbuf->data_off + mbuf->data_len;

	if (end + len > mbuf->buf_len)
		return NULL;
	mbuf->data_len += len;
	return (uint8_t *)mbuf->buf_addr + end;
}

static void come_home(void *data, void *opaque)
{
	struct margay_loan *loan = opaque;

	(void)data;
	/* There are no more loans than the ring has room for. */
	rte_ring_mp_enqueue(loan->home, loan);
}

void margay_attach(struct rte_mbuf *mbuf, struct margay_loan *loan, uint8_t *data, uint16_t len)
{
	memset(&loan->shared, 0, sizeof(loan->shared));
	loan->shared.free_cb = come_home;
	loan->shared.fcb_opaque = loan;
	rte_mbuf_ext_refcnt_set(&loan->shared, 1);
	rte_pktmbuf_attach_extbuf(mbuf, data, (rte_iova_t)(uintptr_t)data, len, &loan->shared);
	mbuf->data_off = 0;
	mbuf->data_len = len;
	mbuf->pkt_len = len;
}

void margay_chain(struct rte_mbuf *last, struct rte_mbuf *next)
{
	last->next = next;
}

uint16_t margay_finish(struct rte_mbuf *head)
{
	struct rte_mbuf *mbuf;

	head->nb_segs = 0;
	head->pkt_len = 0;
	for (mbuf = head; mbuf != NULL; mbuf = mbuf->next) {
		head->nb_segs++;
		head->pkt_len += mbuf->data_len;
	}
	return head->nb_segs;
}

void margay_set_work(struct rte_mbuf *head, const struct margay_work *work)
{
	head->ol_flags |= work->flags;
	head->packet_type = work->packet_type;
	head->l2_len = work->link_len;
	head->l3_len = work->network_len;
	head->l4_len = work->transport_len;
	head->tso_segsz = work->segment_size;
}

uint16_t margay_prepare(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return rte_eth_tx_prepare(port, queue, mbufs, count);
}

uint16_t margay_send(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return rte_eth_tx_burst(port, queue, mbufs, count);
}

struct margay_loan *margay_returned(struct rte_ring *home)
{
	void *loan;

	return rte_ring_sc_dequeue(home, &loan) == 0 ? loan : NULL;
}

struct rte_mempool *margay_dense_pool(const char *name, unsigned int count, unsigned int cache, uint16_t room, int socket)
{
	struct rte_pktmbuf_pool_private own = { .mbuf_data_room_size = room };
	struct rte_mempool *pool = rte_mempool_create_empty(name, count, sizeof(struct rte_mbuf) + room, cache, sizeof(own),
							    socket, RTE_MEMPOOL_F_NO_IOVA_CONTIG);
	int said;

	if (pool == NULL)
		return NULL;
	said = rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), NULL);
	if (said == 0) {
		rte_pktmbuf_pool_init(pool, &own);
		said = rte_mempool_populate_default(pool);
	}
	if (said < 0) {
		rte_mempool_free(pool);
		rte_errno = -said;
		return NULL;
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
}

bool margay_free_pool(struct rte_mempool *pool, bool anyhow)
{
	if (!anyhow && !rte_mempool_full(pool))
		return false;
	rte_mempool_free(pool);
	return true;
}

bool margay_iova_is_va(void)
{
	return rte_eal_iova_mode() == RTE_IOVA_VA;
}

struct rte_device *margay_device(uint16_t port)
{
	struct rte_eth_dev_info info;

	return rte_eth_dev_info_get(port, &info) == 0 ? info.device : NULL;
}

void margay_quiet(int instance)
{
	struct rte_epoll_event events[64];

	/* Those of more queues than these end one more sleep. */
	rte_epoll_wait(instance, events, RTE_DIM(events), 0);
}

bool margay_knows_thread(void)
{
	return rte_lcore_id() != LCORE_ID_ANY;
}

/* Handles of interrupts are as they are here since 21.11, and were called stable later. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
int margay_watch(int descriptor, void (*callback)(void *), void *argument)
{
	struct rte_intr_handle *handle = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	int said;

	if (handle == NULL)
		return -ENOMEM;
	/* Kept for good, as the callback is. */
	if (rte_intr_fd_set(handle, descriptor) != 0 || rte_intr_type_set(handle, RTE_INTR_HANDLE_EXT) != 0)
		said = -EINVAL;
	else
		said = rte_intr_callback_register(handle, callback, argument);
	if (said < 0)
		rte_intr_instance_free(handle);
	return said;
}
#pragma GCC diagnostic pop
