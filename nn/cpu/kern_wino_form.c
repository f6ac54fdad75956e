/* kern_wino_form.c: Winograd's two-dimensional transforms of patches, weights and tiles, F(4x4,3x3) and
 * F(2x2,3x3), one channel a lane. The output transform ends in the convolution's epilogue, while a tile is in
 * the first-level cache.
 */
#include <string.h>

#include "wino_transform.h"
#include "wino_kern.h"

enum { M_MOST = 4, SIDE_MOST = 6 };

WINO_INLINE void input_1d(int m, const vf *d, int64_t s, vf *v, int64_t t) {
  if (m == 4) wino4_input(d, s, v, t);
  else wino2_input(d, s, v, t);
}
WINO_INLINE void weights_1d(int m, const vf *g, int64_t s, vf *u, int64_t t) {
  if (m == 4) wino4_weights(g, s, u, t);
  else wino2_weights(g, s, u, t);
}
WINO_INLINE void output_1d(int m, const vf *x, int64_t s, vf *y, int64_t t) {
  if (m == 4) wino4_output(x, s, y, t);
  else wino2_output(x, s, y, t);
}

/* -- input */

/* The patch with zeros for what is outside of the map. */
static void copy_patch(const float *src, int64_t width, const ln_wino_tile *tile, int side, bool outside, vf *patch) {
  memset(patch, 0, (size_t)(side * side) * sizeof *patch);
  if (outside) return;
  for (int i = tile->top; i < tile->bottom; i++)
    for (int j = tile->left; j < tile->right; j++) patch[i * side + j] = vf_load(src + (i * width + j) * LN_LANES);
}

WINO_INLINE void input(int m, const ln_wino_source *s, const ln_wino_tile *tiles, int64_t count, float *v,
                       int64_t vectors, int64_t at, int64_t step) {
  const int side = m + 2;
  for (int64_t n = 0; n < count; n++) {
    const ln_wino_tile *tile = &tiles[n];
    const float *src = s->src + tile->src;
    const bool outside = tile->depth + s->tap < 0 || tile->depth + s->tap >= s->depth;
    const bool whole = tile->top == 0 && tile->left == 0 && tile->bottom == side && tile->right == side;
    vf patch[SIDE_MOST * SIDE_MOST], half[SIDE_MOST * SIDE_MOST];
    if (outside || !whole) {
      copy_patch(src, s->width, tile, side, outside, patch);
      for (int j = 0; j < side; j++) input_1d(m, patch + j, side, half + j, side);
    } else {
      for (int j = 0; j < side; j++) input_1d(m, (const vf *)src + j, s->width, half + j, side);
    }
    vf *to = (vf *)v + ln_wino_at(tiles, n, vectors, at);
    for (int i = 0; i < side; i++) input_1d(m, half + i * side, 1, to + i * side * step, step);
  }
}

/* -- weights */

WINO_INLINE void weights(int m, const ln_wino_filter *f, float *u, int64_t row, int64_t step) {
  const int side = m + 2;
  for (int k = 0; k < LN_LANES; k++) {
    vf g[9], half[SIDE_MOST * 3];
    for (int tap = 0; tap < 9; tap++)
      for (int l = 0; l < LN_LANES; l++) g[f->flip ? 8 - tap : tap][l] = f->w[l * f->lane + k * f->k + tap];
    for (int j = 0; j < 3; j++) weights_1d(m, g + j, 3, half + j, 3);
    vf *to = (vf *)u + k * row;
    for (int i = 0; i < side; i++) weights_1d(m, half + i * 3, 1, to + i * side * step, step);
  }
}

/* -- output */

/* Sums over the tiles of one call, relative to the first tile's mean, which is near enough to the whole
 * mean that the subtraction at the end loses nothing. */
typedef struct moments {
  vf origin, first, second;
  int64_t count;
} moments;

WINO_INLINE void add_moments(moments *a, const vf *y, int m, int rows, int cols) {
  const float count = (float)(rows * cols);
  vf sum = {0};
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < cols; j++) sum += y[i * m + j];
  const vf mean = sum * (1 / count);
  vf deviation = {0}, square = {0};
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < cols; j++) {
      const vf d = y[i * m + j] - mean;
      deviation += d;
      square += d * d;
    }
  if (a->count == 0) a->origin = mean;
  const vf d = mean - a->origin;
  a->first += count * d + deviation;
  a->second += square + d * (count * d + 2.0f * deviation);
  a->count += rows * cols;
}

static void merge_moments(const moments *a, ln_moments *to) {
  const double n = (double)a->count;
  for (int l = 0; l < LN_LANES; l++) {
    const double first = (double)a->first[l];
    const ln_moments part = {.count = n, .mean = (double)a->origin[l] + first / n,
                             .m2 = (double)a->second[l] - first * (first / n)};
    ln_moments_merge(&to[l], &part);
  }
}

/* The epilogue of the rows x cols outputs that are inside the map. */
WINO_INLINE void finish(const ln_wino_target *o, const ln_wino_tile *tile, vf *y, int m, int rows, int cols,
                        moments *a, vf *total) {
  const vf bias = o->bias != NULL ? vf_load(o->bias) : (vf){0};
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < cols; j++) y[i * m + j] += bias;
  if (o->moments != NULL) add_moments(a, y, m, rows, cols);
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < cols; j++) {
      vf value = y[i * m + j];
      const int64_t at = (i * o->width + j) * LN_LANES;
      if (o->relu) value = (vf)((vi)value & ~(value < 0.0f));
      if (o->mask != NULL) value = (vf)((vi)value & (vf_load(o->mask + tile->mask + at) > 0.0f));
      *total += value;
      vf_store(o->dst + tile->dst + at, value);
    }
}

WINO_INLINE void output(int m, const ln_wino_target *o, const ln_wino_tile *tiles, int64_t count, const float *products,
                        int64_t vectors, int64_t at, int64_t step) {
  const int side = m + 2;
  moments a = {0};
  vf total = {0};
  for (int64_t n = 0; n < count; n++) {
    const ln_wino_tile *tile = &tiles[n];
    const vf *from = (const vf *)products + ln_wino_at(tiles, n, vectors, at);
    vf half[M_MOST * SIDE_MOST], y[M_MOST * M_MOST];
    for (int j = 0; j < side; j++) output_1d(m, from + j * step, side * step, half + j, side);
    for (int i = 0; i < m; i++) output_1d(m, half + i * side, 1, y + i * m, 1);
    if (tile->rows == m && tile->cols == m) finish(o, tile, y, m, m, m, &a, &total);
    else finish(o, tile, y, m, tile->rows, tile->cols, &a, &total);
  }
  if (o->moments != NULL) merge_moments(&a, o->moments);
  if (o->sums != NULL)
    for (int l = 0; l < LN_LANES; l++) o->sums[l] += (double)total[l];
}

/* -- the two forms */

#define FORM(M)                                                                                                     \
  static void input##M(const ln_wino_source *s, const ln_wino_tile *tiles, int64_t count, float *v, int64_t vectors, \
                       int64_t j, int64_t step) {                                                                   \
    input(M, s, tiles, count, v, vectors, j, step);                                                                 \
  }                                                                                                                 \
  static void weights##M(const ln_wino_filter *f, float *u, int64_t row, int64_t step) {                            \
    weights(M, f, u, row, step);                                                                                    \
  }                                                                                                                 \
  static void output##M(const ln_wino_target *o, const ln_wino_tile *tiles, int64_t count, const float *products,    \
                        int64_t vectors, int64_t j, int64_t step) {                                                 \
    output(M, o, tiles, count, products, vectors, j, step);                                                         \
  }                                                                                                                 \
  const ln_wino_form KERN(wino_form##M) = {.m = M, .input = input##M, .weights = weights##M, .output = output##M};
FORM(2)
FORM(4)
