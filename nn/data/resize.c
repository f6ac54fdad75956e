/* resize.c: Pillow's resampling, restated.
 *
 * Bilinear is a triangle filter whose support grows with the shrink factor. Weights are
 * computed in double, normalised, and rounded to 22 fractional bits; a horizontal pass
 * makes 8-bit rows (rounded half up), a vertical pass the result (the other way round where
 * a very tall image is shortened); a pass that would not change the size is skipped.
 * Every rounding here is Pillow's: the paper's networks were trained on exactly these
 * bytes, and the masks' grey borders decide some of their scores.
 */
#include "resize.h"

#include <math.h>
#include <string.h>

#include "../base/clones.h"
#include "image.h"

enum { PRECISION = 22, GROUP = 4 };

static const char *const filter_names[LN_FILTER_COUNT] = {"nearest", "bilinear"};

ln_code ln_filter_named(const char *name, ln_filter *filter, ln_error *err) {
  for (int i = 0; i < LN_FILTER_COUNT; i++)
    if (strcmp(name, filter_names[i]) == 0) return *filter = (ln_filter)i, LN_OK;
  return ln_fail(err, LN_EINVAL, "resize is '%s'; it must be 'nearest' or 'bilinear'", name);
}

/* Output i is the sum over j < count[i] of weight[i * taps + j] * in[first[i] + j]. There are
 * at least GROUP taps, and those from count[i] on weigh 0. */
typedef struct kernel {
  int64_t taps;
  int64_t *first, *count;
  int32_t *weight;
  double *exact; /* one output's weights before rounding */
} kernel;

static void kernel_free(ln_mem *mem, kernel *k) {
  ln_free(mem, k->first);
  ln_free(mem, k->count);
  ln_free(mem, k->weight);
  ln_free(mem, k->exact);
}

static double triangle(double x) {
  x = fabs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

/* The weights of output i; the order of operations is Pillow's precompute_coeffs. */
static void fill_weights(kernel *k, int64_t i, int64_t in_size, double scale, double filter_scale) {
  double center = ((double)i + 0.5) * scale, shrink = 1.0 / filter_scale, sum = 0.0;
  int64_t first = (int64_t)(center - filter_scale + 0.5);
  if (first < 0) first = 0;
  int64_t last = (int64_t)(center + filter_scale + 0.5);
  if (last > in_size) last = in_size;
  k->first[i] = first;
  k->count[i] = last - first;
  for (int64_t j = 0; j < last - first; j++) {
    k->exact[j] = triangle(((double)(j + first) - center + 0.5) * shrink);
    sum += k->exact[j];
  }
  for (int64_t j = 0; j < last - first; j++) {
    double weight = sum != 0.0 ? k->exact[j] / sum : k->exact[j];
    k->weight[i * k->taps + j] = (int32_t)(0.5 + weight * (1 << PRECISION));
  }
}

static ln_code kernel_make(ln_mem *mem, int64_t in_size, int64_t out_size, kernel *k, ln_error *err) {
  memset(k, 0, sizeof *k);
  double scale = (double)in_size / (double)out_size;
  double filter_scale = scale < 1.0 ? 1.0 : scale;
  k->taps = (int64_t)ceil(filter_scale) * 2 + 1;
  if (k->taps < GROUP) k->taps = GROUP;
  size_t outputs = (size_t)out_size, taps = (size_t)k->taps;
  k->first = ln_alloc(mem, ln_mul(outputs, sizeof *k->first));
  k->count = ln_alloc(mem, ln_mul(outputs, sizeof *k->count));
  k->weight = ln_calloc(mem, ln_mul(outputs, taps), sizeof *k->weight);
  k->exact = ln_alloc(mem, ln_mul(taps, sizeof *k->exact));
  if (k->first == NULL || k->count == NULL || k->weight == NULL || k->exact == NULL) {
    kernel_free(mem, k);
    return ln_fail(err, LN_ENOMEM, "no memory to resize an image");
  }
  for (int64_t i = 0; i < out_size; i++) fill_weights(k, i, in_size, scale, filter_scale);
  return LN_OK;
}

/* -- passes: sixteen outputs at a time */

#define INLINE static inline __attribute__((always_inline))
enum { LANES = 16 };
typedef uint8_t octets __attribute__((vector_size(LANES)));

INLINE uint8_t clip8(int32_t sum) { return sum >> PRECISION > 255 ? 255 : (uint8_t)(sum >> PRECISION); }

/* LANES neighbours, whose taps are `stride` apart; up to GROUP of them, the usual case, in
 * one expression that stays in registers. Weights beyond count are 0. Plain loops of a fixed
 * length: gcc makes better AVX2 of them than of its vector types. */
INLINE void weigh(const uint8_t *in, int64_t stride, const int32_t *weight, int64_t count, uint8_t *restrict out) {
  const uint8_t *a = in, *b = in + (count > 1 ? stride : 0), *c = in + (count > 2 ? 2 * stride : 0),
                *d = in + (count > 3 ? 3 * stride : 0);
  const int32_t half = 1 << (PRECISION - 1), wa = weight[0], wb = weight[1], wc = weight[2], wd = weight[3];
  if (count <= GROUP) {
    for (int i = 0; i < LANES; i++) out[i] = clip8(half + a[i] * wa + b[i] * wb + c[i] * wc + d[i] * wd);
    return;
  }
  int32_t sum[LANES];
  for (int i = 0; i < LANES; i++) sum[i] = half + a[i] * wa + b[i] * wb + c[i] * wc + d[i] * wd;
  for (int64_t j = GROUP; j < count; j++)
    for (int i = 0; i < LANES; i++) sum[i] += in[j * stride + i] * weight[j];
  for (int i = 0; i < LANES; i++) out[i] = clip8(sum[i]);
}

/* Interleaving row i with row i + 8, four times over, makes rows of columns. */
INLINE void transpose(octets m[LANES]) {
  const octets first = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23};
  for (int round = 0; round < 4; round++) {
    octets next[LANES];
    for (int i = 0; i < LANES / 2; i++) {
      next[2 * i] = __builtin_shuffle(m[i], m[i + LANES / 2], first);
      next[2 * i + 1] = __builtin_shuffle(m[i], m[i + LANES / 2], first + 8);
    }
    memcpy(m, next, sizeof next);
  }
}

INLINE void copy(void *to, const void *from, int64_t bytes) {
  if (bytes >= LANES) memcpy(to, from, LANES);
  else memcpy(to, from, (size_t)bytes);
}

/* Up to LANES rows become columns of LANES bytes each, and back. */
INLINE void into_columns(const uint8_t *in, int64_t rows, int64_t width, uint8_t *columns) {
  octets m[LANES] = {0}; /* what lies outside may be anything, but written once */
  for (int64_t x = 0; x < width; x += LANES, columns += LANES * LANES) {
    for (int64_t i = 0; i < rows; i++) copy(&m[i], in + i * width + x, width - x);
    transpose(m);
    memcpy(columns, m, sizeof m);
  }
}

INLINE void into_rows(const uint8_t *columns, int64_t rows, int64_t width, uint8_t *out) {
  for (int64_t x = 0; x < width; x += LANES, columns += LANES * LANES) {
    octets m[LANES];
    memcpy(m, columns, sizeof m);
    transpose(m);
    for (int64_t i = 0; i < rows; i++) copy(out + i * width + x, &m[i], width - x);
  }
}

/* Neighbours in a row have different weights and those in a column the same, so LANES rows
 * at a time are turned, weighed and turned back within the L1 cache. */
LN_CLONES static void horizontal(const kernel *k, const uint8_t *in, int64_t height, int64_t width, uint8_t *out,
                                 int64_t out_width, uint8_t *columns, uint8_t *out_columns) {
  for (int64_t y = 0; y < height; y += LANES) {
    int64_t rows = height - y < LANES ? height - y : LANES;
    into_columns(in + y * width, rows, width, columns);
    for (int64_t x = 0; x < out_width; x++)
      weigh(columns + k->first[x] * LANES, LANES, k->weight + x * k->taps, k->count[x], out_columns + x * LANES);
    into_rows(out_columns, rows, out_width, out + y * out_width);
  }
}

/* A row's last columns are weighed together with some before them, which get the same again. */
LN_CLONES static void vertical(const kernel *k, const uint8_t *in, int64_t width, uint8_t *out, int64_t out_height) {
  for (int64_t y = 0; y < out_height; y++, out += width) {
    const uint8_t *row = in + k->first[y] * width;
    const int32_t *weight = k->weight + y * k->taps;
    if (width >= LANES) {
      for (int64_t x = 0; x < width; x += LANES) {
        int64_t at = x <= width - LANES ? x : width - LANES;
        weigh(row + at, width, weight, k->count[y], out + at);
      }
      continue;
    }
    for (int64_t x = 0; x < width; x++) {
      int32_t sum = 1 << (PRECISION - 1);
      for (int64_t j = 0; j < k->count[y]; j++) sum += row[j * width + x] * weight[j];
      out[x] = clip8(sum);
    }
  }
}

static size_t turned_bytes(int64_t width) { return ln_mul((size_t)(width + LANES - 1) / LANES, LANES * LANES); }

static ln_code pass_horizontal(ln_mem *mem, const uint8_t *in, int64_t height, int64_t width,
                               uint8_t *out, int64_t out_width, ln_error *err) {
  kernel k;
  ln_code code = kernel_make(mem, width, out_width, &k, err);
  if (code != LN_OK) return code;
  uint8_t *columns = ln_alloc(mem, turned_bytes(width)), *out_columns = ln_alloc(mem, turned_bytes(out_width));
  if (columns != NULL && out_columns != NULL) horizontal(&k, in, height, width, out, out_width, columns, out_columns);
  else code = ln_fail(err, LN_ENOMEM, "no memory to resize an image");
  ln_free(mem, columns);
  ln_free(mem, out_columns);
  kernel_free(mem, &k);
  return code;
}

static ln_code pass_vertical(ln_mem *mem, const uint8_t *in, int64_t height, int64_t width,
                             uint8_t *out, int64_t out_height, ln_error *err) {
  kernel k;
  ln_code code = kernel_make(mem, height, out_height, &k, err);
  if (code != LN_OK) return code;
  vertical(&k, in, width, out, out_height);
  kernel_free(mem, &k);
  return LN_OK;
}

static ln_code bilinear(ln_mem *mem, const uint8_t *in, int64_t height, int64_t width,
                        uint8_t *out, int64_t out_height, int64_t out_width, ln_error *err) {
  if (width == out_width) return pass_vertical(mem, in, height, width, out, out_height, err);
  if (height == out_height) return pass_horizontal(mem, in, height, width, out, out_width, err);
  bool tall = height > 100 * width && out_height < height; /* Pillow shortens such an image first */
  int64_t mid_height = tall ? out_height : height, mid_width = tall ? width : out_width;
  uint8_t *middle = ln_alloc(mem, ln_mul((size_t)mid_height, (size_t)mid_width));
  if (middle == NULL) return ln_fail(err, LN_ENOMEM, "no memory to resize an image");
  ln_code code = tall ? pass_vertical(mem, in, height, width, middle, out_height, err)
                      : pass_horizontal(mem, in, height, width, middle, out_width, err);
  if (code == LN_OK)
    code = tall ? pass_horizontal(mem, middle, out_height, width, out, out_width, err)
                : pass_vertical(mem, middle, height, out_width, out, out_height, err);
  ln_free(mem, middle);
  return code;
}

/* Pillow walks by adding the scale, so ties fall as its rounding errors have them. */
static void source_index(int64_t in_size, int64_t out_size, int64_t *index) {
  double scale = (double)in_size / (double)out_size, at = scale * 0.5;
  for (int64_t i = 0; i < out_size; i++, at += scale) {
    index[i] = (int64_t)at;
    if (index[i] >= in_size) index[i] = in_size - 1;
  }
}

static ln_code nearest(ln_mem *mem, const uint8_t *in, int64_t height, int64_t width,
                       uint8_t *out, int64_t out_height, int64_t out_width, ln_error *err) {
  int64_t *column = ln_alloc(mem, ln_mul((size_t)(out_width + out_height), sizeof *column));
  if (column == NULL) return ln_fail(err, LN_ENOMEM, "no memory to resize an image");
  int64_t *line = column + out_width;
  source_index(width, out_width, column);
  source_index(height, out_height, line);
  for (int64_t y = 0; y < out_height; y++, out += out_width) {
    const uint8_t *row = in + line[y] * width;
    for (int64_t x = 0; x < out_width; x++) out[x] = row[column[x]];
  }
  ln_free(mem, column);
  return LN_OK;
}

ln_code ln_resize(ln_mem *mem, ln_filter filter, const uint8_t *in, int64_t height, int64_t width,
                  uint8_t *out, int64_t out_height, int64_t out_width, ln_error *err) {
  if (out_height < 1 || out_width < 1 || out_height > LN_IMAGE_MAX_PIXELS / out_width)
    return ln_fail(err, LN_EINVAL, "cannot resize to %lldx%lld pixels", (long long)out_width,
                   (long long)out_height);
  if (height == out_height && width == out_width) {
    memcpy(out, in, (size_t)height * (size_t)width);
    return LN_OK;
  }
  if (filter == LN_FILTER_NEAREST) return nearest(mem, in, height, width, out, out_height, out_width, err);
  return bilinear(mem, in, height, width, out, out_height, out_width, err);
}
