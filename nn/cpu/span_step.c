/* span_step.c: random draws, dropout and the optimizers' updates over contiguous f32
 * (compiled once per instruction set, see cpu.h).
 */
#include "span.h"
#include "span_math.h"
#include "../base/rng.h"

#pragma GCC diagnostic ignored "-Wpsabi" /* these vectors never cross a call */
typedef uint32_t v8u __attribute__((vector_size(32)));
typedef int32_t v8i __attribute__((vector_size(32)));
typedef float v8f __attribute__((vector_size(32)));

enum { GROUPS = 2, DRAW = GROUPS * 8 * 4 }; /* two groups of 8 Philox blocks, 4 words each, are in flight */

/* The two halves of the 64-bit product of each lane with a constant. There is no vector
 * instruction for the upper half on all sets, so it is put together from 16-bit halves. */
#define PRODUCT(high, low, x, constant)                                 \
  do {                                                                  \
    const v8u xl = (x) & 0xffffu, xh = (x) >> 16;                       \
    const v8u t = xl * ((constant) & 0xffffu);                          \
    const v8u u = xh * ((constant) & 0xffffu) + (t >> 16);              \
    const v8u v = xl * ((constant) >> 16) + (u & 0xffffu);              \
    high = xh * ((constant) >> 16) + (u >> 16) + (v >> 16);             \
    low = (x) * (constant);                                             \
  } while (0)

/* Philox4x32-10 of blocks block .. block + 8 GROUPS - 1: w[g][j] holds word j of group g's
 * blocks. The rounds are those of ln_philox. */
static inline void philox(v8u w[GROUPS][4], uint64_t seed, uint64_t counter, uint64_t block) {
  const v8u iota = {0, 1, 2, 3, 4, 5, 6, 7}, zero = {0};
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  for (uint32_t g = 0; g < GROUPS; g++) {
    const v8u low = zero + (uint32_t)block;
    w[g][0] = low + iota + 8 * g;
    w[g][1] = zero + (uint32_t)(block >> 32) - (v8u)(w[g][0] < low); /* a comparison is -1 where true: the carry */
    w[g][2] = zero + (uint32_t)counter;
    w[g][3] = zero + (uint32_t)(counter >> 32);
  }
  for (int round = 0; round < 10; round++) {
    for (int g = 0; g < GROUPS; g++) {
      v8u high0, low0, high1, low1;
      PRODUCT(high0, low0, w[g][0], 0xD2511F53u);
      PRODUCT(high1, low1, w[g][2], 0xCD9E8D57u);
      w[g][0] = high1 ^ w[g][1] ^ k0;
      w[g][2] = high0 ^ w[g][3] ^ k1;
      w[g][1] = low1;
      w[g][3] = low0;
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

/* DRAW uniforms in element order: word j of block b is element 4 b + j. */
static inline void uniforms(v8f u[DRAW / 8], const ln_scalars *draw, int64_t first) {
  v8u w[GROUPS][4];
  philox(w, draw->seed, draw->counter, (uint64_t)first / 4);
  for (int g = 0; g < GROUPS; g++) {
    const v8u a = __builtin_shufflevector(w[g][0], w[g][1], 0, 8, 1, 9, 2, 10, 3, 11);
    const v8u b = __builtin_shufflevector(w[g][2], w[g][3], 0, 8, 1, 9, 2, 10, 3, 11);
    const v8u c = __builtin_shufflevector(w[g][0], w[g][1], 4, 12, 5, 13, 6, 14, 7, 15);
    const v8u d = __builtin_shufflevector(w[g][2], w[g][3], 4, 12, 5, 13, 6, 14, 7, 15);
    const v8u e[4] = {__builtin_shufflevector(a, b, 0, 1, 8, 9, 2, 3, 10, 11),
                      __builtin_shufflevector(a, b, 4, 5, 12, 13, 6, 7, 14, 15),
                      __builtin_shufflevector(c, d, 0, 1, 8, 9, 2, 3, 10, 11),
                      __builtin_shufflevector(c, d, 4, 5, 12, 13, 6, 7, 14, 15)};
    for (int k = 0; k < 4; k++) {
      const v8i bits = (v8i)(e[k] >> 8);
      u[4 * g + k] = __builtin_convertvector(bits, v8f) * 0x1p-24f;
    }
  }
}

static void uniform(float *y, int64_t n, const ln_scalars *draw, int64_t first) {
  v8f u[DRAW / 8];
  for (int64_t from = 0; from < n; from += DRAW) {
    uniforms(u, draw, first + from);
    const int64_t count = n - from < DRAW ? n - from : DRAW;
    memcpy(y + from, u, (size_t)count * sizeof *y);
  }
}

static void dropout(float *y, const float *x, int64_t n, const ln_scalars *draw, int64_t first, float factor) {
  v8f vectors[DRAW / 8];
  float u[DRAW];
  const float p = (float)draw->p;
  for (int64_t from = 0; from < n; from += DRAW) {
    uniforms(vectors, draw, first + from);
    memcpy(u, vectors, sizeof u);
    const int64_t count = n - from < DRAW ? n - from : DRAW;
    const float *in = x + from;
    float *out = y + from;
    SPAN_LOOP(count) {
      const float v = in[i] * factor;
      out[i] = u[i] >= p ? v : 0.0f;
    }
  }
}

static void adam(float *restrict p, const float *restrict g, float *restrict m, float *restrict v,
                 int64_t n, const ln_step *s) {
  const ln_step c = *s;
  for (int64_t i = 0; i < n; i++) {
    const float param = p[i] * c.decay;
    const float grad = g[i] + c.l2 * param;
    const float m1 = m[i] + (grad - m[i]) * c.beta1c;
    const float v1 = v[i] * c.beta2 + c.beta2c * grad * grad;
    m[i] = m1;
    v[i] = v1;
    p[i] = param - c.step * m1 / (sqrtf(v1) / c.root_bias2 + c.eps);
  }
}

static void sgd(float *restrict p, const float *restrict g, float *restrict buffer, int64_t n,
                const ln_step *s, bool nesterov) {
  const ln_step c = *s;
  if (buffer == NULL) {
    for (int64_t i = 0; i < n; i++) p[i] = p[i] - c.step * (g[i] + c.l2 * p[i]);
    return;
  }
  for (int64_t i = 0; i < n; i++) {
    const float grad = g[i] + c.l2 * p[i];
    const float b = c.momentum * buffer[i] + c.dampc * grad;
    buffer[i] = b;
    p[i] = p[i] - c.step * (nesterov ? grad + c.momentum * b : b);
  }
}

const ln_step_spans SPAN(step) = {.dropout = dropout, .uniform = uniform, .adam = adam, .sgd = sgd};
