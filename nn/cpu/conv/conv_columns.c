/* conv_columns.c: from a tensor to the columns of a matrix product and back. */
#include <string.h>

#include "conv.h"

/* A run of output positions in one output row, seen from one kernel element. */
typedef struct run {
  int64_t base;   /* index in the channel's plane of position 0 of the output row; may lie outside */
  int64_t length; /* positions */
  int64_t lo, hi; /* of these, [lo, hi) meet the tensor; empty when lo >= hi */
} run;

static int64_t ceil_div(int64_t a, int64_t b) { return a <= 0 ? 0 : (a + b - 1) / b; }

/* The run that starts at position p, for kernel element k (flat). */
static run run_at(const ln_conv_geometry *g, int64_t p, int64_t p1, const int64_t k[LN_SPATIAL]) {
  int64_t ow = p % g->out[2], row = p / g->out[2];
  int64_t oh = row % g->out[1], od = row / g->out[1];
  int64_t id = od * g->stride[0] - g->padding[0] + k[0] * g->dilation[0];
  int64_t ih = oh * g->stride[1] - g->padding[1] + k[1] * g->dilation[1];
  int64_t iw = ow * g->stride[2] - g->padding[2] + k[2] * g->dilation[2];
  run r = {.length = g->out[2] - ow < p1 - p ? g->out[2] - ow : p1 - p};
  r.base = (id * g->in[1] + ih) * g->in[2] + iw;
  if (id < 0 || id >= g->in[0] || ih < 0 || ih >= g->in[1]) return r;
  r.lo = ceil_div(-iw, g->stride[2]);
  r.hi = ceil_div(g->in[2] - iw, g->stride[2]);
  if (r.hi > r.length) r.hi = r.length;
  if (r.lo >= r.hi) r.lo = r.hi = 0;
  return r;
}

static void gather_run(float *restrict to, const float *restrict plane, run r, int64_t stride) {
  memset(to, 0, (size_t)r.lo * sizeof *to);
  if (stride == 1 && r.lo < r.hi)
    memcpy(to + r.lo, plane + r.base + r.lo, (size_t)(r.hi - r.lo) * sizeof *to);
  else if (stride == 2)
    for (int64_t i = r.lo; i < r.hi; i++) to[i] = plane[r.base + 2 * i];
  else
    for (int64_t i = r.lo; i < r.hi; i++) to[i] = plane[r.base + stride * i];
  memset(to + r.hi, 0, (size_t)(r.length - r.hi) * sizeof *to);
}

static void scatter_run(const float *restrict from, float *restrict plane, run r, int64_t stride) {
  if (stride == 1)
    for (int64_t i = r.lo; i < r.hi; i++) plane[r.base + i] += from[i];
  else
    for (int64_t i = r.lo; i < r.hi; i++) plane[r.base + stride * i] += from[i];
}

void ln_conv_gather(const ln_conv_geometry *g, const float *src, int64_t channels,
                    int64_t p0, int64_t p1, float *columns, int64_t ld) {
  int64_t plane = ln_conv_volume(g->in), k[LN_SPATIAL];
  for (int64_t c = 0; c < channels; c++)
    for (k[0] = 0; k[0] < g->kernel[0]; k[0]++)
      for (k[1] = 0; k[1] < g->kernel[1]; k[1]++)
        for (k[2] = 0; k[2] < g->kernel[2]; k[2]++, columns += ld)
          for (int64_t p = p0; p < p1;) {
            run r = run_at(g, p, p1, k);
            gather_run(columns + (p - p0), src + c * plane, r, g->stride[2]);
            p += r.length;
          }
}

void ln_conv_scatter_add(const ln_conv_geometry *g, const float *columns, int64_t ld, int64_t channels,
                         int64_t p0, int64_t p1, float *src) {
  int64_t plane = ln_conv_volume(g->in), k[LN_SPATIAL];
  for (int64_t c = 0; c < channels; c++)
    for (k[0] = 0; k[0] < g->kernel[0]; k[0]++)
      for (k[1] = 0; k[1] < g->kernel[1]; k[1]++)
        for (k[2] = 0; k[2] < g->kernel[2]; k[2]++, columns += ld)
          for (int64_t p = p0; p < p1;) {
            run r = run_at(g, p, p1, k);
            scatter_run(columns + (p - p0), src + c * plane, r, g->stride[2]);
            p += r.length;
          }
}

/* Both elements of windows two wide at once, so that whole cache lines are written. */
static void scatter_pair(const float *restrict even, const float *restrict odd, float bias,
                         float *restrict to, int64_t length) {
  for (int64_t i = 0; i < length; i++) {
    to[2 * i] = even[i] + bias;
    to[2 * i + 1] = odd[i] + bias;
  }
}

void ln_conv_scatter_tiles(const ln_conv_geometry *g, const float *columns, int64_t ld, int64_t channels,
                           int64_t p0, int64_t p1, const float *bias, float *src) {
  int64_t plane = ln_conv_volume(g->in), kw = g->kernel[2], k[LN_SPATIAL] = {0, 0, 0};
  for (int64_t c = 0; c < channels; c++, src += plane) {
    float add = bias != NULL ? bias[c] : 0.0f;
    for (k[0] = 0; k[0] < g->kernel[0]; k[0]++)
      for (k[1] = 0; k[1] < g->kernel[1]; k[1]++, columns += kw * ld)
        for (int64_t p = p0; p < p1;) {
          run r = run_at(g, p, p1, k);
          const float *from = columns + (p - p0);
          if (kw == 2)
            scatter_pair(from, from + ld, add, src + r.base, r.length);
          else
            for (int64_t j = 0; j < kw; j++)
              for (int64_t i = 0; i < r.length; i++) src[r.base + kw * i + j] = from[j * ld + i] + add;
          p += r.length;
        }
  }
}
