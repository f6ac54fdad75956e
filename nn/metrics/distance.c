/* distance.c: surfaces, and the distances between them; see distance.h.
 *
 * The distance of every pixel to a surface is Felzenszwalb and Huttenlocher's transform
 * ("Distance Transforms of Sampled Functions", Theory of Computing 8, 2012): one pass along
 * each dim, which takes the lower envelope of the parabolas that stand on the line's
 * pixels. It is exact, linear in the pixels, and in double also for uneven spacing.
 */
#include "distance.h"

#include <math.h>
#include <stdlib.h>

enum { INSIDE = 1, SURFACE = 2 }; /* flags of a pixel, for mask k shifted by 2 k */

typedef struct work {
  const ln_mask_pair *pair;
  size_t pixels, stride[LN_SURFACE_RANK];
  uint8_t *flags;
  double *square;   /* a pixel's squared distance to the nearest surface */
  /* one line: its values, the parabolas of its envelope, and where each becomes lowest */
  double *line, *from;
  size_t *apex;
  double *distance; /* gathered at the other surface */
} work;

static bool inside(const void *data, ln_dtype dtype, size_t i) {
  switch (dtype) {
    case LN_BOOL: case LN_U8: return ((const uint8_t *)data)[i] != 0;
    case LN_I32: return ((const int32_t *)data)[i] > 0;
    case LN_I64: return ((const int64_t *)data)[i] > 0;
    case LN_F32: return ((const float *)data)[i] > 0.5f;
    case LN_F64: return ((const double *)data)[i] > 0.5;
    default: return false;
  }
}

static bool on_surface(const work *w, size_t i, int flag) {
  for (int d = 0; d < w->pair->rank; d++) {
    size_t stride = w->stride[d], size = (size_t)w->pair->dim[d], at = i / stride % size;
    if (at == 0 || at == size - 1) return true;
    if (!(w->flags[i - stride] & flag) || !(w->flags[i + stride] & flag)) return true;
  }
  return false;
}

/* Flags mask k; returns the number of its surface pixels, 0 when it is empty. */
static size_t find_surface(work *w, int k) {
  int shift = 2 * k;
  size_t count = 0;
  for (size_t i = 0; i < w->pixels; i++)
    if (inside(w->pair->data[k], w->pair->dtype[k], i)) w->flags[i] |= (uint8_t)(INSIDE << shift);
  for (size_t i = 0; i < w->pixels; i++) {
    if (!(w->flags[i] & INSIDE << shift) || !on_surface(w, i, INSIDE << shift)) continue;
    w->flags[i] |= (uint8_t)(SURFACE << shift);
    count++;
  }
  return count;
}

/* Replaces the n values at p, `stride` apart, by min over q of value[q] + (spacing (i - q))^2. */
static void transform_line(const work *w, double *p, size_t stride, size_t n, double spacing) {
  double *f = w->line, *from = w->from, width = 2 * spacing * spacing;
  size_t *apex = w->apex, count = 0;
  for (size_t q = 0; q < n; q++) {
    f[q] = p[q * stride];
    if (f[q] == INFINITY) continue;
    double start = -INFINITY, x = (double)q;
    while (count > 0) { /* drop the parabolas that the new one undercuts where they begin */
      size_t v = apex[count - 1];
      double y = (double)v;
      start = (f[q] - f[v]) / (width * (x - y)) + (x + y) / 2;
      if (start > from[count - 1]) break;
      count--;
    }
    from[count] = count == 0 ? -INFINITY : start;
    apex[count++] = q;
  }
  for (size_t i = 0, k = 0; i < n && count > 0; i++) {
    while (k + 1 < count && from[k + 1] < (double)i) k++;
    double away = spacing * ((double)i - (double)apex[k]);
    p[i * stride] = away * away + f[apex[k]];
  }
}

static void transform(work *w, int k) {
  const ln_mask_pair *pair = w->pair;
  for (size_t i = 0; i < w->pixels; i++) w->square[i] = w->flags[i] & SURFACE << 2 * k ? 0 : INFINITY;
  for (int d = 0; d < pair->rank; d++) {
    size_t stride = w->stride[d], size = (size_t)pair->dim[d];
    for (size_t l = 0; l < w->pixels / size; l++)
      transform_line(w, w->square + l / stride * stride * size + l % stride, stride, size, pair->spacing[d]);
  }
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* Linear between the two nearest ranks. */
static double percentile_of(double *values, size_t n, double percentile) {
  qsort(values, n, sizeof *values, by_value);
  double rank = percentile / 100 * (double)(n - 1);
  size_t low = (size_t)rank;
  if (low + 1 >= n) return values[n - 1];
  return values[low] + (values[low + 1] - values[low]) * (rank - (double)low);
}

/* From the surface of mask k to that of the other one: the percentile; adds to *sum. */
static double directed(work *w, int k, double percentile, double *sum) {
  size_t n = 0;
  transform(w, 1 - k);
  for (size_t i = 0; i < w->pixels; i++)
    if (w->flags[i] & SURFACE << 2 * k) *sum += w->distance[n++] = sqrt(w->square[i]);
  return percentile_of(w->distance, n, percentile);
}

static double diagonal(const ln_mask_pair *pair) {
  double square = 0;
  for (int d = 0; d < pair->rank; d++) {
    double side = (double)pair->dim[d] * pair->spacing[d];
    square += side * side;
  }
  return sqrt(square);
}

static ln_code check(const ln_mask_pair *pair, double percentile, ln_error *err) {
  if (pair->rank < 1 || pair->rank > LN_SURFACE_RANK)
    return ln_fail(err, LN_EINVAL, "a mask has 1 to %d dimensions, got %d", LN_SURFACE_RANK, pair->rank);
  for (int d = 0; d < pair->rank; d++)
    if (!(pair->spacing[d] > 0 && pair->spacing[d] < INFINITY))
      return ln_fail(err, LN_EINVAL, "spacing must be above 0, got %g for dimension %d", pair->spacing[d], d + 1);
  for (int k = 0; k < 2; k++)
    if (pair->dtype[k] == LN_NONE || pair->dtype[k] == LN_BF16)
      return ln_fail(err, LN_EINVAL, "a mask is bool, u8, i32, i64 or f32, got %s", ln_dtype_name(pair->dtype[k]));
  if (!(percentile >= 0 && percentile <= 100))
    return ln_fail(err, LN_EINVAL, "percentile must be from 0 to 100, got %g", percentile);
  return LN_OK;
}

static ln_code measure(work *w, ln_mem *mem, double percentile, ln_surface_distances *out, ln_error *err) {
  size_t count[2], longest = 1;
  w->flags = ln_calloc(mem, w->pixels + 1, 1);
  if (w->flags == NULL) return ln_fail(err, LN_ENOMEM, "no memory for the surfaces of %zu pixels", w->pixels);
  for (int k = 0; k < 2; k++) count[k] = find_surface(w, k);
  if (count[0] == 0 || count[1] == 0) {
    out->hausdorff = out->average = count[0] == count[1] ? 0 : diagonal(w->pair);
    return LN_OK;
  }
  for (int d = 0; d < w->pair->rank; d++)
    if ((size_t)w->pair->dim[d] > longest) longest = (size_t)w->pair->dim[d];
  size_t most = count[0] > count[1] ? count[0] : count[1];
  w->square = ln_alloc(mem, ln_mul(w->pixels, sizeof *w->square));
  w->line = ln_alloc(mem, ln_mul(longest, sizeof *w->line));
  w->from = ln_alloc(mem, ln_mul(longest, sizeof *w->from));
  w->apex = ln_alloc(mem, ln_mul(longest, sizeof *w->apex));
  w->distance = ln_alloc(mem, ln_mul(most, sizeof *w->distance));
  if (w->square == NULL || w->line == NULL || w->from == NULL || w->apex == NULL || w->distance == NULL)
    return ln_fail(err, LN_ENOMEM, "no memory for the distances of %zu pixels", w->pixels);
  double sum = 0, there = directed(w, 0, percentile, &sum), back = directed(w, 1, percentile, &sum);
  out->hausdorff = there > back ? there : back;
  out->average = sum / (double)(count[0] + count[1]);
  return LN_OK;
}

ln_code ln_surface_compare(ln_mem *mem, const ln_mask_pair *pair, double percentile, ln_surface_distances *out,
                           ln_error *err) {
  ln_code code = check(pair, percentile, err);
  if (code != LN_OK) return code;
  work w = {.pair = pair, .pixels = 1};
  for (int d = pair->rank - 1; d >= 0; d--) {
    w.stride[d] = w.pixels;
    w.pixels *= (size_t)pair->dim[d];
  }
  code = measure(&w, mem, percentile, out, err);
  void *blocks[] = {w.flags, w.square, w.line, w.from, w.apex, w.distance};
  for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) ln_free(mem, blocks[i]);
  return code;
}
