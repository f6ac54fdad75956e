/* rng.c: Philox4x32-10. Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy
 * as 1, 2, 3", SC'11; the constants are the paper's.
 */
#include "rng.h"

#include <math.h>

void ln_philox(uint64_t seed, uint64_t counter, uint64_t block, uint32_t out[4]) {
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  uint32_t c0 = (uint32_t)block, c1 = (uint32_t)(block >> 32);
  uint32_t c2 = (uint32_t)counter, c3 = (uint32_t)(counter >> 32);
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
    uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c1 = (uint32_t)p1;
    c3 = (uint32_t)p0;
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

float ln_uniform_at(uint64_t seed, uint64_t counter, uint64_t i) {
  uint32_t w[4];
  ln_philox(seed, counter, i / 4, w);
  return ln_unit_f32(w[i % 4]);
}

float ln_normal_at(uint64_t seed, uint64_t counter, uint64_t i) {
  static const double tau = 6.283185307179586476925286766559;
  uint32_t w[4];
  ln_philox(seed, counter, i / 4, w);
  int pair = (int)(i % 4) & ~1;
  /* (w + 1) / 2^32 lies in (0, 1], so the logarithm is finite. */
  double radius = sqrt(-2.0 * log(((double)w[pair] + 1.0) * 0x1p-32));
  double angle = tau * ((double)w[pair + 1] * 0x1p-32);
  return (float)(radius * (i % 2 == 0 ? cos(angle) : sin(angle)));
}

uint64_t ln_below_at(uint64_t seed, uint64_t counter, uint64_t i, uint64_t n) {
  uint32_t w[4];
  ln_philox(seed, counter, i, w);
  /* 64 random bits times n, the high half: the bias is n / 2^64, never seen. */
  uint64_t bits = (uint64_t)w[0] << 32 | w[1];
  return (uint64_t)(((unsigned __int128)bits * n) >> 64);
}
