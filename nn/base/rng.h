/* rng.h: Philox4x32-10 (Salmon et al., SC'11), the generator behind everything
 * random but the splits. Counter-based: element i of a draw depends on (seed,
 * counter, i) alone, so threads, fusion and dead nodes never shift randomness.
 */
#ifndef LN_BASE_RNG_H
#define LN_BASE_RNG_H

#include <stdint.h>

/* Four words for block `block` of draw number `counter` under `seed`. Element i of a
 * draw is word i % 4 of block i / 4. */
void ln_philox(uint64_t seed, uint64_t counter, uint64_t block, uint32_t out[4]);

/* A word as a float in [0, 1): 24 bits. */
static inline float ln_unit_f32(uint32_t word) { return (float)(word >> 8) * 0x1p-24f; }

/* Element i of draw `counter`: uniform in [0,1), and standard normal (Box-Muller on the
 * pair of words the element belongs to; computed in double, returned rounded). */
float ln_uniform_at(uint64_t seed, uint64_t counter, uint64_t i);
float ln_normal_at(uint64_t seed, uint64_t counter, uint64_t i);

/* 0 <= result < n, for shuffles: element i (a block each); the bias is below n / 2^64. */
uint64_t ln_below_at(uint64_t seed, uint64_t counter, uint64_t i, uint64_t n);

#endif
