/* interpolate.c: resampling over 1 to 3 spatial dims, nearest and linear, and the gradient.
 *
 * Linear interpolation is separable: an output row is a weighted sum of up to four input
 * rows, resampled along the row by taps that are computed once. The gradient
 * uses the transposed taps: an input row collects the output rows that read it, then each of
 * its elements collects its outputs, so no two threads write to the same row.
 *
 * In the blocked layout a row has `lanes` floats for each position; whole rows are blended and added up as
 * plain ones are.
 */
#include "images.h"
#include "layer_kern.h"
#include "workspace.h"

#include <math.h>
#include <omp.h>
#include <string.h>

/* One dim: output i = in[lo[i]] * wlo[i] + in[hi[i]] * whi[i]; nearest has whi = 0 and hi = lo. */
typedef struct axis {
  int64_t in, out;
  int32_t *lo, *hi;
  float *wlo, *whi;
  /* transposed: input i = sum over k < count[i] of out[first[i] + k] * weight[start[i] + k] */
  int32_t *first, *count, *start;
  float *weight;
} axis;

typedef struct resample_job {
  const ln_spans *spans;
  const ln_move_kerns *kerns; /* blocked; NULL: plain */
  bool low;                   /* stored as bf16 */
  axis axis[3];
  bool nearest, same_width;   /* same_width: the row dim maps onto itself */
  int64_t planes, lanes;      /* planes of an image; floats of a position */
  ln_images from, to;
  float *row;                 /* two input or output rows a thread: one blended, one widened */
  int64_t row_length;
} resample_job;

/* -- taps. Coordinates are formed in f32 exactly as torch does, so that nearest picks the same
 * element and linear the same weights. */

static float step_of(const ln_attrs *a, int d, int64_t in, int64_t out) {
  if (a->mode == LN_MODE_LINEAR && a->align_corners) return out > 1 ? (float)(in - 1) / (float)(out - 1) : 0.0f;
  return a->scale[d] > 0 ? (float)(1.0 / a->scale[d]) : (float)in / (float)out;
}

/* In two dims torch takes equal and doubled sizes as such even where a scale says otherwise. */
static void nearest_tap(axis *x, int64_t i, float step, bool by_size) {
  int64_t at = (int64_t)floorf((float)i * step);
  if (by_size && x->out == x->in) at = i;
  if (by_size && x->out == 2 * x->in) at = i >> 1;
  x->lo[i] = x->hi[i] = (int32_t)(at < x->in ? at : x->in - 1);
  x->wlo[i] = 1.0f, x->whi[i] = 0.0f;
}

static void linear_tap(axis *x, int64_t i, float step, bool align_corners) {
  float at = align_corners ? step * (float)i : step * ((float)i + 0.5f) - 0.5f;
  if (x->in == x->out) at = (float)i;
  if (at < 0.0f) at = 0.0f;
  int64_t lo = (int64_t)at;
  if (lo > x->in - 1) lo = x->in - 1;
  float w = at - (float)lo;
  w = w > 1.0f ? 1.0f : w;
  x->lo[i] = (int32_t)lo;
  x->hi[i] = (int32_t)(lo < x->in - 1 ? lo + 1 : lo);
  x->whi[i] = x->hi[i] > x->lo[i] ? w : 0.0f;
  x->wlo[i] = x->hi[i] > x->lo[i] ? 1.0f - w : 1.0f;
}

/* Taps are monotone, so the outputs that read an input are neighbours. */
static void transpose_taps(axis *x) {
  int32_t o = 0, used = 0;
  const int32_t out = (int32_t)x->out;
  for (int32_t i = 0; i < (int32_t)x->in; i++) {
    while (o < out && x->hi[o] < i) o++;
    int32_t k = o;
    x->first[i] = o;
    x->start[i] = used;
    for (; k < out && x->lo[k] <= i; k++)
      x->weight[used++] = x->lo[k] == i ? x->wlo[k] : x->hi[k] == i ? x->whi[k] : 0.0f;
    x->count[i] = k - o;
  }
}

static size_t axis_bytes(int64_t in, int64_t out) {
  return ln_cpu_align((size_t)(4 * out + 3 * in + 2 * out + in) * 4);
}

/* Lays the axis' arrays out at `at` and fills them; returns what follows. */
static char *make_axis(axis *x, const ln_attrs *a, int spatial, int d, int64_t in, int64_t out, char *at) {
  x->in = in, x->out = out;
  x->lo = (void *)at;
  x->hi = x->lo + out;
  x->wlo = (void *)(x->hi + out);
  x->whi = x->wlo + out;
  x->first = (void *)(x->whi + out);
  x->count = x->first + in;
  x->start = x->count + in;
  x->weight = (void *)(x->start + in);
  const float step = d < 0 ? 1.0f : step_of(a, d, in, out);
  for (int64_t i = 0; i < out; i++) {
    if (a->mode == LN_MODE_NEAREST) nearest_tap(x, i, step, spatial == 2);
    else linear_tap(x, i, step, d >= 0 && a->align_corners);
  }
  transpose_taps(x);
  return at + axis_bytes(in, out);
}

static int64_t dim_of(const ln_meta *m, int which) {
  const int d = which - (5 - m->rank);
  return d < 2 ? 1 : m->dim[d];
}

/* big row: the longer of an input's and an output's */
static int64_t row_length(const ln_cpu *cpu, const ln_call *call) {
  const int64_t in = dim_of(&call->in[0].meta, 4), out = dim_of(&call->out[0].meta, 4);
  const int64_t floats = (in > out ? in : out) * (call->in[0].layout == LN_BLOCKED ? cpu->lanes : 1);
  return (floats + 15) & ~(int64_t)15;
}

size_t ln_cpu_interpolate_workspace(const ln_cpu *cpu, const ln_call *call) {
  size_t bytes = (size_t)(2 * row_length(cpu, call) * cpu->threads) * sizeof(float);
  for (int d = 2; d < 5; d++) /* symmetric enough: room for either direction */
    bytes += axis_bytes(dim_of(&call->in[0].meta, d) + dim_of(&call->out[0].meta, d),
                        dim_of(&call->in[0].meta, d) + dim_of(&call->out[0].meta, d));
  return bytes;
}

static resample_job job_of(const ln_cpu *cpu, const ln_call *call, const ln_meta *x, const ln_meta *y) {
  const bool blocked = call->in[0].layout == LN_BLOCKED;
  resample_job j = {.spans = cpu->spans, .low = ln_is_bf16(&call->in[0]),
                    .kerns = blocked ? cpu->kerns->layer[ln_is_bf16(&call->in[0])]->move : NULL,
                    .nearest = call->attrs->mode == LN_MODE_NEAREST, .lanes = blocked ? cpu->lanes : 1,
                    .from = ln_images_of(&call->in[0]), .to = ln_images_of(&call->out[0]),
                    .row_length = row_length(cpu, call)};
  j.planes = x->dim[1] / j.lanes;
  char *at = call->workspace;
  const int spatial = x->rank - 2;
  for (int i = 0; i < 3; i++)
    at = make_axis(&j.axis[i], call->attrs, spatial, i - (3 - spatial), dim_of(x, 2 + i), dim_of(y, 2 + i), at);
  j.row = (void *)at;
  j.same_width = true;
  for (int64_t i = 0; i < j.axis[2].out; i++)
    j.same_width = j.same_width && j.axis[2].lo[i] == i && j.axis[2].whi[i] == 0.0f;
  j.same_width = j.same_width && j.axis[2].in == j.axis[2].out;
  return j;
}

/* Row (d, h) of a plane in a tensor whose planes are `depth` times `rows` rows of `width` positions. */
static void *row_of(const resample_job *j, ln_images t, int64_t plane, int64_t depth, int64_t rows, int64_t width,
                    int64_t d, int64_t h) {
  const int64_t in_image = (plane % j->planes * depth + d) * rows + h;
  return ln_image_at(t, plane / j->planes, in_image * width * j->lanes);
}

/* A row as floats: where it lies, or in `buffer`. */
static const float *widened(const resample_job *j, const void *row, int64_t floats, float *buffer) {
  if (!j->low) return row;
  j->spans->map->from_bf16(buffer, row, floats);
  return buffer;
}

/* -- forward: one unit is an output row */

/* The blend of the input rows that output row (d, h) reads; a row of the input itself when
 * there is but one, else it is formed in `row`, which another one follows. */
static const float *blended(const resample_job *j, int64_t plane, int64_t d, int64_t h, float *row) {
  const axis *ad = &j->axis[0], *ah = &j->axis[1];
  const int64_t width = j->axis[2].in, floats = width * j->lanes;
  const float *first = NULL;
  int parts = 0;
  float weight = 1.0f;
  for (int k = 0; k < 4; k++) {
    const int32_t sd = k & 2 ? ad->hi[d] : ad->lo[d], sh = k & 1 ? ah->hi[h] : ah->lo[h];
    const float wd = k & 2 ? ad->whi[d] : ad->wlo[d], wh = k & 1 ? ah->whi[h] : ah->wlo[h];
    /* A weight of 0 on a further row says that there is none; the first may weigh 0 too. */
    if ((k & 2 && ad->whi[d] == 0.0f) || (k & 1 && ah->whi[h] == 0.0f)) continue;
    const float *at = widened(j, row_of(j, j->from, plane, ad->in, ah->in, width, sd, sh), floats,
                              parts == 0 ? row : row + j->row_length);
    if (parts == 0) first = at, weight = wd * wh;
    else if (parts == 1) j->spans->map->blend(row, first, at, floats, weight, wd * wh);
    else j->spans->map->axpy(row, at, floats, wd * wh);
    parts++;
  }
  return parts == 1 ? first : row;
}

/* Along the row. */
static void resample_row(const resample_job *j, void *to, const float *x) {
  const axis *a = &j->axis[2];
  float *y = to; /* unless the kernels write it */
  if (j->same_width) {
    if (j->low) j->spans->map->to_bf16(to, x, a->out * j->lanes);
    else memcpy(y, x, (size_t)(a->out * j->lanes) * sizeof *y);
  } else if (j->nearest) {
    if (j->kerns) j->kerns->pick(to, x, a->lo, a->out);
    else for (int64_t i = 0; i < a->out; i++) y[i] = x[a->lo[i]];
  } else if (j->kerns) {
    j->kerns->taps(to, x, a->lo, a->hi, a->wlo, a->whi, a->out);
  } else {
    j->spans->layer->taps(y, x, a->lo, a->hi, a->wlo, a->whi, a->out);
  }
}

static void forward_range(void *arg, int64_t begin, int64_t end) {
  const resample_job *j = arg;
  const axis *ad = &j->axis[0], *ah = &j->axis[1];
  const int64_t width = j->axis[2].out, bytes = width * j->lanes * j->to.size;
  float *row = j->row + 2 * omp_get_thread_num() * j->row_length;
  for (int64_t u = begin; u < end; u++) {
    const int64_t h = u % ah->out, d = u / ah->out % ad->out, plane = u / (ah->out * ad->out);
    char *y = row_of(j, j->to, plane, ad->out, ah->out, width, d, h);
    if (u > begin && h > 0 && j->nearest && ah->lo[h] == ah->lo[h - 1]) /* the row before, again */
      memcpy(y, y - bytes, (size_t)bytes);
    else resample_row(j, y, blended(j, plane, d, h, row));
  }
}

ln_code ln_cpu_interpolate(ln_cpu *cpu, ln_call *call) {
  const ln_meta *x = &call->in[0].meta, *y = &call->out[0].meta;
  resample_job j = job_of(cpu, call, x, y);
  const int64_t floats = (j.axis[2].in + j.axis[2].out) * j.lanes;
  ln_cpu_for(cpu, x->dim[0] * j.planes * j.axis[0].out * j.axis[1].out, LN_BLOCK / floats + 1, floats, forward_range, &j);
  return LN_OK;
}

/* -- gradient: one unit is an input row */

/* Adds up the output rows that read input row (d, h), weighted. */
static void collect_rows(const resample_job *j, int64_t plane, int64_t d, int64_t h, float *row) {
  const axis *ad = &j->axis[0], *ah = &j->axis[1];
  const int64_t width = j->axis[2].out, floats = width * j->lanes;
  memset(row, 0, (size_t)floats * sizeof *row);
  for (int32_t kd = 0; kd < ad->count[d]; kd++) {
    for (int32_t kh = 0; kh < ah->count[h]; kh++) {
      const float w = ad->weight[ad->start[d] + kd] * ah->weight[ah->start[h] + kh];
      if (w == 0.0f) continue;
      const void *at = row_of(j, j->from, plane, ad->out, ah->out, width, ad->first[d] + kd, ah->first[h] + kh);
      j->spans->map->axpy(row, widened(j, at, floats, row + j->row_length), floats, w);
    }
  }
}

static void collect_plain(const axis *a, float *gx, const float *row) {
  for (int64_t i = 0; i < a->in; i++) {
    const float *g = row + a->first[i], *w = a->weight + a->start[i];
    float sum = 0.0f;
    for (int32_t k = 0; k < a->count[i]; k++) sum += g[k] * w[k];
    gx[i] = sum;
  }
}

static void backward_range(void *arg, int64_t begin, int64_t end) {
  const resample_job *j = arg;
  const axis *ad = &j->axis[0], *ah = &j->axis[1], *aw = &j->axis[2];
  float *row = j->row + 2 * omp_get_thread_num() * j->row_length;
  for (int64_t u = begin; u < end; u++) {
    const int64_t h = u % ah->in, d = u / ah->in % ad->in, plane = u / (ah->in * ad->in);
    void *gx = row_of(j, j->to, plane, ad->in, ah->in, aw->in, d, h);
    collect_rows(j, plane, d, h, row);
    if (j->kerns) j->kerns->collect(gx, row, aw->first, aw->count, aw->start, aw->weight, aw->in);
    else collect_plain(aw, gx, row);
  }
}

ln_code ln_cpu_interpolate_grad(ln_cpu *cpu, ln_call *call) {
  const ln_meta *x = &call->out[0].meta, *y = &call->in[0].meta;
  resample_job j = job_of(cpu, call, x, y);
  const int64_t floats = (j.axis[2].in + 4 * j.axis[2].out) * j.lanes;
  ln_cpu_for(cpu, x->dim[0] * j.planes * j.axis[0].in * j.axis[1].in, LN_BLOCK / floats + 1, floats, backward_range, &j);
  return LN_OK;
}
