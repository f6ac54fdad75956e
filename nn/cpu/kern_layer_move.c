/* kern_layer_move.c: between the plain and the blocked layout, and resampling along a blocked row. */
#include "layer_kern.h"

enum { L = LN_LANES };

/* -- an L x L transpose in registers: for h = 1, 2, 4, .. the blocks of h x h off the diagonal of each
 * 2h x 2h block change places. */

#if LN_LANES == 8
#define EACH(f, h) f(h, 0), f(h, 1), f(h, 2), f(h, 3), f(h, 4), f(h, 5), f(h, 6), f(h, 7)
#elif LN_LANES == 16
#define EACH(f, h)                                                                                      \
  f(h, 0), f(h, 1), f(h, 2), f(h, 3), f(h, 4), f(h, 5), f(h, 6), f(h, 7), f(h, 8), f(h, 9), f(h, 10), \
      f(h, 11), f(h, 12), f(h, 13), f(h, 14), f(h, 15)
#else
#error "write EACH for this number of lanes"
#endif
#define FROM_UPPER(h, j) ((j) & (h) ? LN_LANES + (j) - (h) : (j))
#define FROM_LOWER(h, j) ((j) & (h) ? LN_LANES + (j) : (j) + (h))

#define EXCHANGE(h)                                                                     \
  _Pragma("GCC unroll 16") for (int i = 0; i < L; i++) {                                \
    if (i & (h)) continue;                                                              \
    const vf a = r[i], b = r[i + (h)];                                                  \
    r[i] = __builtin_shuffle(a, b, (vi){EACH(FROM_UPPER, h)});                          \
    r[i + (h)] = __builtin_shuffle(a, b, (vi){EACH(FROM_LOWER, h)});                    \
  }

static inline __attribute__((always_inline)) void transpose(vf r[L]) {
  EXCHANGE(1)
  EXCHANGE(2)
  EXCHANGE(4)
#if LN_LANES == 16
  EXCHANGE(8)
#endif
}

static inline __attribute__((always_inline)) void square_to_blocked(act *y, const float *x, int64_t row) {
  vf r[L];
  _Pragma("GCC unroll 16") for (int i = 0; i < L; i++) r[i] = vf_load(x + i * row);
  transpose(r);
  _Pragma("GCC unroll 16") for (int i = 0; i < L; i++) act_store(y + i * L, act_round(r[i]));
}

static inline __attribute__((always_inline)) void square_to_plain(float *y, int64_t row, const act *x) {
  vf r[L];
  _Pragma("GCC unroll 16") for (int i = 0; i < L; i++) r[i] = act_load(x + i * L);
  transpose(r);
  _Pragma("GCC unroll 16") for (int i = 0; i < L; i++) vf_store(y + i * row, r[i]);
}

static void to_blocked(void *to, const float *x, int64_t row, int64_t n) {
  act *y = to;
  int64_t i = 0;
  for (; i + L <= n; i += L) square_to_blocked(y + i * L, x + i, row);
  for (; i < n; i++) {
    vf v = {0};
    for (int k = 0; k < L; k++) v[k] = x[k * row + i];
    act_store(y + i * L, act_round(v));
  }
}

static void to_plain(float *y, int64_t row, const void *from, int64_t n) {
  const act *x = from;
  int64_t i = 0;
  for (; i + L <= n; i += L) square_to_plain(y + i, row, x + i * L);
  for (; i < n; i++) {
    const vf v = act_load(x + i * L);
    for (int k = 0; k < L; k++) y[k * row + i] = v[k];
  }
}

/* -- resampling */

static void taps(void *to, const float *x, const int32_t *lo, const int32_t *hi, const float *wlo, const float *whi, int64_t n) {
  act *y = to;
  for (int64_t i = 0; i < n; i++)
    act_store(y + i * L, act_round(vf_load(x + lo[i] * L) * vf_splat(wlo[i]) + vf_load(x + hi[i] * L) * vf_splat(whi[i])));
}

static void pick(void *to, const float *x, const int32_t *lo, int64_t n) {
  act *y = to;
  for (int64_t i = 0; i < n; i++) act_store(y + i * L, act_round(vf_load(x + lo[i] * L)));
}

static void collect(void *to, const float *x, const int32_t *first, const int32_t *count, const int32_t *start,
                    const float *weight, int64_t n) {
  act *y = to;
  for (int64_t i = 0; i < n; i++) {
    const float *at = x + first[i] * L, *w = weight + start[i];
    vf s = {0};
    for (int32_t k = 0; k < count[i]; k++) s += vf_load(at + k * L) * vf_splat(w[k]);
    act_store(y + i * L, act_round(s));
  }
}

const ln_move_kerns KERN_ACT(move) = {
    .to_blocked = to_blocked, .to_plain = to_plain, .taps = taps, .pick = pick, .collect = collect};
