/* span_layer.c: the inner loops of normalisation, softmax, pooling and resampling over
 * contiguous f32 (compiled once per instruction set, see cpu.h).
 */
#include "span.h"
#include "span_math.h"

static void normalize(float *y, const float *x, int64_t n, float mean, float factor, float shift) {
  SPAN_LOOP(n) y[i] = (x[i] - mean) * factor + shift;
}

static void normalize_grad(float *gx, const float *gy, const float *x, int64_t n, float mean,
                           float factor, float c1, float c2) {
  SPAN_LOOP(n) gx[i] = factor * (gy[i] - c1 - (x[i] - mean) * c2);
}

/* -- softmax. Rows: the exponentials are stored first, then summed by the accurate sum. */

static void softmax_row(float *y, const float *x, int64_t n, bool log) {
  double top = -INFINITY, sum = 0;
  SPAN(reduce).max_run(&top, x, n);
  const float max = (float)top;
  if (!log) {
    SPAN_LOOP(n) y[i] = ln_expf(x[i] - max);
    SPAN(reduce).sum_run(&sum, y, n);
    const float factor = (float)(1.0 / sum);
    SPAN_LOOP(n) y[i] = y[i] * factor;
    return;
  }
  /* x is still needed after the sum and may be y, so the exponentials go by pieces. */
  float piece[256];
  for (int64_t from = 0; from < n; from += 256) {
    const int64_t count = n - from < 256 ? n - from : 256;
    SPAN_LOOP(count) piece[i] = ln_expf(x[from + i] - max);
    SPAN(reduce).sum_run(&sum, piece, count);
  }
  const float shift = logf((float)sum);
  SPAN_LOOP(n) y[i] = x[i] - max - shift;
}

static void softmax_columns(float *y, const float *x, int64_t d, int64_t stride, int64_t n, bool log) {
  float max[LN_COLUMNS], sum[LN_COLUMNS];
  SPAN_LOOP(n) max[i] = x[i], sum[i] = 0.0f;
  for (int64_t k = 1; k < d; k++) {
    const float *row = x + k * stride;
    SPAN_LOOP(n) max[i] = ln_maxf(max[i], row[i]);
  }
  for (int64_t k = 0; k < d; k++) {
    const float *row = x + k * stride;
    float *to = y + k * stride;
    if (log) {
      SPAN_LOOP(n) sum[i] += ln_expf(row[i] - max[i]);
    } else {
      SPAN_LOOP(n) {
        const float e = ln_expf(row[i] - max[i]);
        to[i] = e;
        sum[i] += e;
      }
    }
  }
  if (log) {
    SPAN_LOOP(n) sum[i] = ln_logf(sum[i]);
  } else {
    SPAN_LOOP(n) sum[i] = 1.0f / sum[i];
  }
  for (int64_t k = 0; k < d; k++) {
    const float *row = x + k * stride;
    float *to = y + k * stride;
    if (log) {
      SPAN_LOOP(n) to[i] = row[i] - max[i] - sum[i];
    } else {
      SPAN_LOOP(n) to[i] = to[i] * sum[i];
    }
  }
}

/* softmax: gx = y (gy - sum gy y); log_softmax: gx = gy - exp(y) sum gy. */
static void softmax_grad_row(float *gx, const float *gy, const float *y, int64_t n, bool log) {
  double sum[2] = {0, 0};
  if (log) SPAN(reduce).sum_run(sum, gy, n);
  else SPAN(reduce).dots(sum, gy, y, n, 0.0f);
  const float s = (float)sum[log ? 0 : 1];
  if (log) {
    SPAN_LOOP(n) gx[i] = gy[i] - ln_expf(y[i]) * s;
  } else {
    SPAN_LOOP(n) gx[i] = y[i] * (gy[i] - s);
  }
}

static void softmax_grad_columns(float *gx, const float *gy, const float *y, int64_t d,
                                 int64_t stride, int64_t n, bool log) {
  float sum[LN_COLUMNS];
  SPAN_LOOP(n) sum[i] = 0.0f;
  for (int64_t k = 0; k < d; k++) {
    const float *g = gy + k * stride, *v = y + k * stride;
    if (log) {
      SPAN_LOOP(n) sum[i] += g[i];
    } else {
      SPAN_LOOP(n) sum[i] += g[i] * v[i];
    }
  }
  for (int64_t k = 0; k < d; k++) {
    const float *g = gy + k * stride, *v = y + k * stride;
    float *to = gx + k * stride;
    if (log) {
      SPAN_LOOP(n) to[i] = g[i] - ln_expf(v[i]) * sum[i];
    } else {
      SPAN_LOOP(n) to[i] = v[i] * (g[i] - sum[i]);
    }
  }
}

/* -- pooling and resampling */

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpsabi" /* 32-byte vectors never cross a call here */

typedef float v8f __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t v8i __attribute__((vector_size(32), aligned(4), may_alias));

/* torch's scan: a later element replaces the best when it is larger or NaN. */
static void pool_one(float *y, int32_t *index, const float *x, int64_t width, int32_t at) {
  const int32_t place[4] = {at, at + 1, at + (int32_t)width, at + (int32_t)width + 1};
  const float value[4] = {x[0], x[1], x[width], x[width + 1]};
  *y = value[0], *index = place[0];
  for (int k = 1; k < 4; k++) {
    if (!(value[k] > *y || value[k] != value[k])) continue;
    *y = value[k];
    *index = place[k];
  }
}

#define LATER(best, at, v, place)                            \
  do {                                                       \
    const v8i wins = ((v) > (best)) | ((v) != (v));          \
    best = (v8f)((wins & (v8i)(v)) | (~wins & (v8i)(best))); \
    at = (wins & (place)) | (~wins & (at));                  \
  } while (0)

static void max_pool_2x2(float *y, int32_t *index, const float *x, int64_t width, int64_t n, int32_t base) {
  const float *below = x + width;
  const int32_t w = (int32_t)width;
  v8i place = {0, 2, 4, 6, 8, 10, 12, 14};
  place += base;
  int64_t i = 0;
  for (; i + 8 <= n; i += 8, place += 16) {
    const v8f t0 = *(const v8f *)(x + 2 * i), t1 = *(const v8f *)(x + 2 * i + 8);
    const v8f b0 = *(const v8f *)(below + 2 * i), b1 = *(const v8f *)(below + 2 * i + 8);
    v8f best = __builtin_shufflevector(t0, t1, 0, 2, 4, 6, 8, 10, 12, 14);
    const v8f v1 = __builtin_shufflevector(t0, t1, 1, 3, 5, 7, 9, 11, 13, 15);
    const v8f v2 = __builtin_shufflevector(b0, b1, 0, 2, 4, 6, 8, 10, 12, 14);
    const v8f v3 = __builtin_shufflevector(b0, b1, 1, 3, 5, 7, 9, 11, 13, 15);
    v8i at = place;
    LATER(best, at, v1, place + 1);
    LATER(best, at, v2, place + w);
    LATER(best, at, v3, place + w + 1);
    *(v8f *)(y + i) = best;
    *(v8i *)(index + i) = at;
  }
  for (; i < n; i++) pool_one(y + i, index + i, x + 2 * i, width, base + 2 * (int32_t)i);
}
#pragma GCC diagnostic pop

static void taps(float *restrict y, const float *restrict x, const int32_t *restrict lo,
                 const int32_t *restrict hi, const float *restrict wlo,
                 const float *restrict whi, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = x[lo[i]] * wlo[i] + x[hi[i]] * whi[i];
}

const ln_layer_spans SPAN(layer) = {
    .normalize = normalize, .normalize_grad = normalize_grad,
    .softmax_row = softmax_row, .softmax_columns = softmax_columns,
    .softmax_grad_row = softmax_grad_row, .softmax_grad_columns = softmax_grad_columns,
    .max_pool_2x2 = max_pool_2x2, .taps = taps};
