/* kern_conv_rows.c: weight gradients in registers, row by row (see conv_rows_kern.h).
 *
 * A row's dst goes through a window of as many vectors as there are taps: a column costs one load of dst and one broadcast a
 * channel of src, which every tap uses. 3 taps times 4 channels of sums, the window and a broadcast are AVX2's 16
 * registers; with 8 channels they are 28 of AVX-512's 32. Beyond dst's edges the window is filled with zeros, so that
 * the loop has no branches.
 */
#include "conv_rows_kern.h"

#define INLINE static inline __attribute__((always_inline))

enum { L = LN_LANES };

/* sum[c][t] += src[c] window[t], for t from `first` on. */
INLINE void multiply(vf sum[L][LN_ROWS_TAPS], const float *src, const vf window[LN_ROWS_TAPS], const int first,
                     const int taps, const int channels) {
#pragma GCC unroll 16
  for (int c = 0; c < channels; c++) {
    const vf x = vf_splat(src[c]);
#pragma GCC unroll 3
    for (int t = first; t < taps; t++) sum[c][t] += x * window[t];
  }
}

INLINE void advance(vf window[LN_ROWS_TAPS], const int taps) {
#pragma GCC unroll 3
  for (int t = taps - 1; t > 0; t--) window[t] = window[t - 1];
}

INLINE vf column(const float *dst, int64_t at, int64_t width) {
  return at >= 0 && at < width ? vf_load(dst + at * L) : (vf){0};
}

/* The window enters dst at column begin + shift >= 0. After the columns in which its first tap is `inside` there are up to
 * taps - 1 in which only later ones are. */
INLINE void grad(const ln_rows_grad *given, const int taps, const int channels) {
  const ln_rows_grad r = *given; /* a copy that no store can change */
  const int64_t first = r.begin + r.shift, inside = r.width - r.shift < r.end ? r.width - r.shift : r.end;
  vf sum[L][LN_ROWS_TAPS];
#pragma GCC unroll 16
  for (int c = 0; c < channels; c++)
    for (int t = 0; t < taps; t++) sum[c][t] = (vf){0};
  for (int64_t i = 0; i < r.rows; i++) {
    const float *src = r.src + r.src_at[i], *dst = r.dst + r.dst_at[i];
    vf window[LN_ROWS_TAPS];
    for (int t = 1; t < taps; t++) window[t - 1] = column(dst, first - t, r.width);
    int64_t x = r.begin;
    dst += r.shift * L;
    for (; x < inside; x++) {
      advance(window, taps);
      window[0] = vf_load(dst + x * L);
      multiply(sum, src + x * L, window, 0, taps, channels);
    }
    for (int t = 1; t < taps && x < r.end; t++, x++) {
      advance(window, taps);
      multiply(sum, src + x * L, window, t, taps, channels);
    }
  }
#pragma GCC unroll 16
  for (int c = 0; c < channels; c++)
    for (int t = 0; t < taps; t++) {
      float *to = r.sums + c * r.channel_step + t * L;
      if (r.add) sum[c][t] += vf_load(to);
      vf_store(to, sum[c][t]);
    }
}

enum { HALF = LN_LANES / 2 };
static void grad_1(const ln_rows_grad *r) { grad(r, 1, L); }
static void grad_2(const ln_rows_grad *r) { grad(r, 2, HALF); }
static void grad_3(const ln_rows_grad *r) { grad(r, 3, HALF); }

const ln_rows_kerns KERN(rows) = {.grad = {NULL, grad_1, grad_2, grad_3}, .channels = {0, L, HALF, HALF}};
