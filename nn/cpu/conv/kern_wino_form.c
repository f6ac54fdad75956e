/* kern_wino_form.c: Winograd's two-dimensional transforms of patches, weights and tiles, F(4x4,3x3) and
 * F(2x2,3x3), one channel a lane. The output transform ends in the convolution's epilogue, while a tile is in
 * the first-level cache.
 */
#include "wino_transform.h"
#include "wino_kern.h"

/* vf alone may lie anywhere. */
#define LINED __attribute__((aligned(64)))

/* Unrolled, the transforms need more registers than there are. */
#define KEEP_LOOP _Pragma("GCC unroll 1")

enum { M_MOST = 4, SIDE_MOST = 6, LINE = 64 / (int)sizeof(act), AHEAD = 3 /* tiles */ };

/* Rows of m vectors each: maps are read and written a few lines here, a few lines there, which the
 * processor does not foresee. */
WINO_INLINE void fetch(const act *at, int64_t width, int rows, int m, int write) {
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < m * LN_LANES; j += LINE) {
      if (write) __builtin_prefetch(at + i * width * LN_LANES + j, 1, 3);
      else __builtin_prefetch(at + i * width * LN_LANES + j, 0, 3);
    }
}

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

/* The patch with zeros for what is outside of the map. Rare, and kept out of the way of the rest. */
static __attribute__((noinline)) void copy_patch(const act *src, int64_t width, const ln_wino_tile *tile, int side,
                                                 bool outside, vf *patch) {
  for (int i = 0; i < side; i++)
    for (int j = 0; j < side; j++) {
      const bool inside = !outside && i >= tile->top && i < tile->bottom && j >= tile->left && j < tile->right;
      patch[i * side + j] = inside ? act_load(src + (i * width + j) * LN_LANES) : (vf){0};
    }
}

WINO_INLINE void input_columns(int m, const ln_wino_source *s, const ln_wino_tile *tile, vf *half) {
  const int side = m + 2;
  const act *src = (const act *)s->src + tile->src;
  const bool outside = tile->depth + s->tap < 0 || tile->depth + s->tap >= s->depth;
  const bool whole = tile->bottom - tile->top == side && tile->right - tile->left == side;
  if (outside || !whole) {
    LINED vf patch[SIDE_MOST * SIDE_MOST];
    copy_patch(src, s->width, tile, side, outside, patch);
    KEEP_LOOP for (int j = 0; j < side; j++) input_1d(m, patch + j, side, half + j, side);
  } else {
    KEEP_LOOP for (int j = 0; j < side; j++) {
      vf d[SIDE_MOST];
      for (int i = 0; i < side; i++) d[i] = act_load(src + (i * s->width + j) * LN_LANES);
      input_1d(m, d, 1, half + j, side);
    }
  }
}

/* The rows of a tile come after the columns of the next one, so that they need not wait for their own. */
WINO_INLINE void input(int m, const ln_wino_source *source, const ln_wino_tile *tiles, int64_t count, float *v,
                       int64_t vectors, int64_t at, int64_t step) {
  const int side = m + 2;
  const ln_wino_source s = *source; /* so that no store can change it */
  LINED vf half[2][SIDE_MOST * SIDE_MOST];
  input_columns(m, &s, tiles, half[0]);
  for (int64_t n = 0; n < count; n++) {
    const int64_t later = n + AHEAD < count ? n + AHEAD : n + AHEAD - count;
    if (later < count)
      fetch((const act *)s.src + tiles[later].src + (later < n ? s.next : 0) + 2 * LN_LANES, s.width, side, m, 0);
    if (n + 1 < count) input_columns(m, &s, &tiles[n + 1], half[(n + 1) & 1]);
    const vf *from = half[n & 1];
    vf *to = (vf *)v + ln_wino_at(tiles, n, vectors, at);
    KEEP_LOOP for (int i = 0; i < side; i++) input_1d(m, from + i * side, 1, to + i * side * step, step);
  }
}

/* -- weights */

/* The taps of the next `lanes` k are fetched ahead, a run of 9 lanes floats at a time. */
WINO_INLINE void fetch_run(const float *w) {
  for (int i = 0; i < 9 * LN_LANES; i += 16) __builtin_prefetch(w + i, 0, 3);
}

/* g[9 k + tap], a channel a lane, where the taps of neighbouring k follow each other, ... */
WINO_INLINE void gather_dense(const ln_wino_filter *f, vf *g) {
  for (int l = 0; l < LN_LANES; l++) fetch_run(f->w + l * f->lane + 9 * LN_LANES);
  for (int i = 0; i < 9; i++) {
    vf *x = g + i * LN_LANES;
    for (int l = 0; l < LN_LANES; l++) x[l] = vf_load(f->w + l * f->lane + i * LN_LANES);
    wino_transpose(x);
  }
}

/* ... and anywhere. A load of 16 reaches over the nine taps it is for, but the last one not over the end of the weights. */
WINO_INLINE void gather(const ln_wino_filter *f, vf *g) {
  enum { WHOLE = LN_LANES < 9 ? LN_LANES : 9 };
  for (int k = 0; k < LN_LANES; k++, g += 9) {
    const float *w = f->w + k * f->k, *last = w + (LN_LANES - 1) * f->lane;
    vf x[LN_LANES];
    fetch_run(w + LN_LANES * f->k);
    for (int l = 0; l < LN_LANES; l++) x[l] = LN_LANES <= 9 || l < LN_LANES - 1 ? vf_load(w + l * f->lane) : (vf){0};
    if (LN_LANES > 9)
      for (int tap = 0; tap < WHOLE; tap++) x[LN_LANES - 1][tap] = last[tap];
    wino_transpose(x);
    for (int tap = 0; tap < WHOLE; tap++) g[f->flip ? 8 - tap : tap] = x[tap];
    for (int tap = WHOLE; tap < 9; tap++)
      for (int l = 0; l < LN_LANES; l++) g[f->flip ? 8 - tap : tap][l] = w[l * f->lane + tap];
  }
}

WINO_INLINE void weights(int m, const ln_wino_filter *f, float *u, int64_t row, int64_t step) {
  const int side = m + 2;
  LINED vf g[9 * LN_LANES];
  if (f->k == 9 && !f->flip) gather_dense(f, g);
  else gather(f, g);
  for (int i = 0; i < 9 * LN_LANES; i++) g[i] = act_round(g[i]);
  for (int k = 0; k < LN_LANES; k++) {
    LINED vf half[SIDE_MOST * 3];
    for (int j = 0; j < 3; j++) weights_1d(m, g + 9 * k + j, 3, half + j, 3);
    vf *to = (vf *)u + k * row;
    KEEP_LOOP for (int i = 0; i < side; i++) weights_1d(m, half + i * 3, 1, to + i * side * step, step);
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
  vf sum = {0}, square = {0};
  for (int i = 0; i < rows; i++) {
    vf row = {0};
    for (int j = 0; j < cols; j++) row += y[i * m + j];
    sum += row;
  }
  const vf mean = sum * (1 / count);
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < cols; j++) {
      const vf d = y[i * m + j] - mean;
      square += d * d;
    }
  if (a->count == 0) a->origin = mean;
  const vf d = mean - a->origin;
  a->first += count * d;
  a->second += square + count * d * d;
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

typedef enum after { NOTHING, RELU, MASK } after;

/* Stores what is inside the map; returns the sum of that. */
WINO_INLINE vf store(const vf *y, int m, int rows, int cols, act *dst, const act *mask, int64_t width, after what) {
  vf total = {0};
  for (int i = 0; i < rows; i++) {
    vf row = {0};
    for (int j = 0; j < cols; j++) {
      const int64_t at = (i * width + j) * LN_LANES;
      vf value = y[i * m + j];
      if (what == RELU) value = (vf)((vi)value & ~(value < 0.0f)); /* a NaN stays */
      if (what == MASK) value = (vf)((vi)value & (act_load(mask + at) > 0.0f));
      row += value;
      act_store(dst + at, value);
    }
    total += row;
  }
  return total;
}

WINO_INLINE void finish(const ln_wino_target *o, const ln_wino_tile *tile, const vf *y, int m, int rows, int cols,
                        moments *a, vf *total) {
  act *dst = (act *)o->dst + tile->dst;
  const act *mask = (const act *)o->mask + (o->mask != NULL ? tile->mask : 0);
  if (o->moments != NULL) add_moments(a, y, m, rows, cols);
  if (o->relu) *total += store(y, m, rows, cols, dst, mask, o->width, RELU);
  else if (o->mask != NULL) *total += store(y, m, rows, cols, dst, mask, o->width, MASK);
  else *total += store(y, m, rows, cols, dst, mask, o->width, NOTHING);
}

WINO_INLINE void output(int m, const ln_wino_target *target, const ln_wino_tile *tiles, int64_t count,
                        const float *products, int64_t vectors, int64_t at, int64_t step) {
  const int side = m + 2;
  const ln_wino_target o = *target; /* so that no store can change it */
  const vf bias = o.bias != NULL ? vf_load(o.bias) : (vf){0};
  moments a = {0};
  vf total = {0};
  for (int64_t n = 0; n < count; n++) {
    const ln_wino_tile *tile = &tiles[n];
    const int64_t later = n + AHEAD < count ? n + AHEAD : n + AHEAD - count;
    if (later < count) {
      fetch((const act *)o.dst + tiles[later].dst + (later < n ? o.next : 0), o.width, m, m, 1);
      if (o.mask != NULL) fetch((const act *)o.mask + tiles[later].mask + (later < n ? o.next : 0), o.width, m, m, 0);
    }
    const vf *from = (const vf *)products + ln_wino_at(tiles, n, vectors, at);
    LINED vf half[M_MOST * SIDE_MOST], y[M_MOST * M_MOST];
    KEEP_LOOP for (int j = 0; j < side; j++) output_1d(m, from + j * step, side * step, half + j, side);
    KEEP_LOOP for (int i = 0; i < m; i++) {
      output_1d(m, half + i * side, 1, y + i * m, 1);
      for (int j = 0; j < m; j++) y[i * m + j] = act_round(y[i * m + j] + bias);
    }
    if (tile->rows == m && tile->cols == m) finish(&o, tile, y, m, m, m, &a, &total);
    else finish(&o, tile, y, m, tile->rows, tile->cols, &a, &total);
  }
  if (o.moments != NULL) merge_moments(&a, o.moments);
  if (o.sums != NULL)
    for (int l = 0; l < LN_LANES; l++) o.sums[l] += (double)total[l];
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
  const ln_wino_form KERN_ACT(wino_form##M) = {.m = M, .input = input##M, .weights = weights##M, .output = output##M};
FORM(2)
FORM(4)
