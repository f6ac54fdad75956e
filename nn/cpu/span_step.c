/* span_step.c: random draws, dropout and the optimizers' updates over contiguous f32
 * (compiled once per instruction set, see cpu.h).
 */
#include "span.h"
#include "span_math.h"
#include "../base/rng.h"

enum { LANES = 16 }; /* Philox blocks side by side */

#pragma GCC diagnostic ignored "-Wpsabi" /* these vectors never cross a call */
typedef uint32_t lanes __attribute__((vector_size(4 * LANES)));

/* The two halves of the 64-bit product of each lane with a constant. There is no vector
 * instruction for the upper half on all sets, so it is put together from 16-bit halves. */
#define PRODUCT(high, low, x, constant)                                 \
  do {                                                                  \
    const lanes xl = (x) & 0xffffu, xh = (x) >> 16;                     \
    const lanes t = xl * ((constant) & 0xffffu);                        \
    const lanes u = xh * ((constant) & 0xffffu) + (t >> 16);            \
    const lanes v = xl * ((constant) >> 16) + (u & 0xffffu);            \
    high = xh * ((constant) >> 16) + (u >> 16) + (v >> 16);             \
    low = (x) * (constant);                                             \
  } while (0)

/* LANES consecutive blocks of Philox4x32-10, word by word: w[j][l] = word j of block + l.
 * The rounds are those of ln_philox. */
static void philox_lanes(uint32_t w[4][LANES], uint64_t seed, uint64_t counter, uint64_t block) {
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  lanes c0, c1, c2, c3, high0, low0, high1, low1;
  for (unsigned l = 0; l < LANES; l++) {
    c0[l] = (uint32_t)(block + l), c1[l] = (uint32_t)((block + l) >> 32);
    c2[l] = (uint32_t)counter, c3[l] = (uint32_t)(counter >> 32);
  }
  for (int round = 0; round < 10; round++) {
    PRODUCT(high0, low0, c0, 0xD2511F53u);
    PRODUCT(high1, low1, c2, 0xCD9E8D57u);
    c0 = high1 ^ c1 ^ k0;
    c2 = high0 ^ c3 ^ k1;
    c1 = low1;
    c3 = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  memcpy(w[0], &c0, sizeof c0);
  memcpy(w[1], &c1, sizeof c1);
  memcpy(w[2], &c2, sizeof c2);
  memcpy(w[3], &c3, sizeof c3);
}

/* 4 * LANES uniforms in element order. */
static void uniforms(float u[4 * LANES], const ln_scalars *draw, int64_t first) {
  uint32_t w[4][LANES];
  philox_lanes(w, draw->seed, draw->counter, (uint64_t)first / 4);
  for (int l = 0; l < LANES; l++) {
    for (int j = 0; j < 4; j++) u[4 * l + j] = (float)(int32_t)(w[j][l] >> 8) * 0x1p-24f;
  }
}

static void uniform(float *y, int64_t n, const ln_scalars *draw, int64_t first) {
  float u[4 * LANES];
  for (int64_t from = 0; from < n; from += 4 * LANES) {
    uniforms(u, draw, first + from);
    const int64_t count = n - from < 4 * LANES ? n - from : 4 * LANES;
    memcpy(y + from, u, (size_t)count * sizeof *u);
  }
}

static void dropout(float *y, const float *x, int64_t n, const ln_scalars *draw, int64_t first, float factor) {
  float u[4 * LANES];
  const float p = (float)draw->p;
  for (int64_t from = 0; from < n; from += 4 * LANES) {
    uniforms(u, draw, first + from);
    const int64_t count = n - from < 4 * LANES ? n - from : 4 * LANES;
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
