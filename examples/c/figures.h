/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Clocks, percentiles, random numbers, an even rate, hexadecimal.
 */
#ifndef MARGAY_EXAMPLES_FIGURES_H
#define MARGAY_EXAMPLES_FIGURES_H

#include "common.h"

/* Parts of each power of two that a `latencies` tells apart: its percentiles are right to one sixteenth. */
#define PARTS 16
/* Bytes of a message that print_head() shows. */
#define SHOWN 16

static inline uint64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline double seconds_since(uint64_t start)
{
    return (double)(nanoseconds() - start + 1) * 1e-9;
}

/* How long things took: counted by length. */
struct latencies {
    uint64_t counts[64 * PARTS];
    uint64_t total;
};

static inline void add_latency(struct latencies *latencies, uint64_t took)
{
    /* Below PARTS each length has a place of its own; from there on, each power of two has PARTS. */
    unsigned shift = 0;
    while (took >> shift >= 2 * PARTS) {
        shift++;
    }
    latencies->counts[shift * PARTS + (took >> shift)]++;
    latencies->total++;
}

/* So many of a hundred took at most this long, in microseconds. */
static inline double percentile(const struct latencies *latencies, unsigned percent)
{
    uint64_t wanted = (latencies->total * percent + 99) / 100;
    uint64_t seen = 0;
    for (size_t place = 0; place < 64 * PARTS; place++) {
        seen += latencies->counts[place];
        if (seen >= wanted) {
            size_t shift = place < 2 * PARTS ? 0 : place / PARTS - 1;
            return (double)((uint64_t)(place - shift * PARTS) << shift) * 1e-3;
        }
    }
    return 0;
}

/* The numbers of this seed, or of a new one if it is 0; says which. */
static inline uint64_t begin_random(uint64_t seed)
{
    if (seed == 0) {
        seed = (nanoseconds() ^ (uint64_t)getpid() << 32) & INT64_MAX;
    }
    printf("seed %llu\n", (unsigned long long)seed);
    return seed;
}

/* A number below `end`, by SplitMix64. */
static inline long below(uint64_t *state, long end)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (long)((z ^ z >> 31) % (uint64_t)end);
}

/* Waits until thing `number` is due, so many a second since the start. A rate of 0 never waits. */
static inline void keep_pace(uint64_t start, long rate, long number)
{
    if (rate == 0) {
        return;
    }
    uint64_t due = start + (uint64_t)((double)number * 1e9 / (double)rate);
    uint64_t now = nanoseconds();
    if (due > now) {
        const struct timespec left = {(time_t)((due - now) / 1000000000), (long)((due - now) % 1000000000)};
        nanosleep(&left, NULL);
    }
}

/* Prints the first bytes of a message, in hexadecimal. */
static inline void print_head(const demi_sgarray_t *sga)
{
    size_t length = length_of(sga);
    for (size_t i = 0; i < length && i < SHOWN; i++) {
        printf(" %02x", bytes_of(sga)[i]);
    }
    printf("%s\n", length > SHOWN ? " ..." : "");
}

#endif
