/* pool.c: max_pool in 1 to 3 spatial dims, alone and behind a norm and ReLU. An output row is worked on as
 * a whole: each window element in turn is compared with the row's best so far, in
 * torch's order, so that ties and NaN give torch's index.
 */
#include "layer_kern.h"
#include "norm.h"

#include <math.h>
#include <string.h>

typedef struct pool_job {
  ln_window w;
  const ln_spans *spans;
  const float *x;
  float *y;
  int32_t *index;
  bool tiles;   /* no element belongs to two windows, and nothing is padded */
  bool halving; /* so, and windows of 2 x 2 */
  /* blocked: */
  const ln_pool_kerns *kerns;
  ln_images from, to, indices;
  int64_t planes, lanes; /* planes of an image */
  /* `from` is made first, by norm and ReLU of raw: */
  const ln_norm_kerns *normal; /* NULL: it is there */
  ln_norm_constants constants;
  ln_images raw;
} pool_job;

/* The first position of output o's window that lies in the input. */
static int64_t first_valid(const ln_window *w, int d, int64_t o) {
  int64_t p = o * w->stride[d] - w->padding[d];
  if (p < 0) p += ln_ceil_div(-p, w->dilation[d]) * w->dilation[d];
  return p;
}

static void pool_tap(const pool_job *j, const float *x, int64_t row, int64_t k, float *y, int32_t *index) {
  const ln_window *w = &j->w;
  int64_t from, to;
  ln_window_valid(w, 2, k, &from, &to);
  const int64_t base = row * w->in[2] + k * w->dilation[2] - w->padding[2], stride = w->stride[2];
  for (int64_t o = from; o < to; o++) {
    const int64_t at = base + o * stride;
    const float v = x[at];
    const bool wins = (v > y[o]) | (v != v);
    y[o] = wins ? v : y[o];
    index[o] = wins ? (int32_t)at : index[o];
  }
}

static void pool_row(const pool_job *j, const float *x, int64_t od, int64_t oh, float *y, int32_t *index) {
  const ln_window *w = &j->w;
  const int64_t corner = first_valid(w, 0, od) * w->in[1] + first_valid(w, 1, oh);
  for (int64_t o = 0; o < w->out[2]; o++) {
    y[o] = -INFINITY;
    index[o] = (int32_t)(corner * w->in[2] + first_valid(w, 2, o));
  }
  for (int64_t kd = 0; kd < w->kernel[0]; kd++) {
    const int64_t d = od * w->stride[0] - w->padding[0] + kd * w->dilation[0];
    if (d < 0 || d >= w->in[0]) continue;
    for (int64_t kh = 0; kh < w->kernel[1]; kh++) {
      const int64_t h = oh * w->stride[1] - w->padding[1] + kh * w->dilation[1];
      if (h < 0 || h >= w->in[1]) continue;
      for (int64_t kw = 0; kw < w->kernel[2]; kw++) pool_tap(j, x, d * w->in[1] + h, kw, y, index);
    }
  }
}

static void pool_range(void *arg, int64_t begin, int64_t end) {
  const pool_job *j = arg;
  const ln_window *w = &j->w;
  const int64_t rows = w->out[0] * w->out[1], volume = w->in[0] * w->in[1] * w->in[2];
  for (int64_t u = begin; u < end; u++) {
    const int64_t plane = u / rows, od = u % rows / w->out[1], oh = u % w->out[1];
    const float *x = j->x + plane * volume;
    float *y = j->y + u * w->out[2];
    int32_t *index = j->index + u * w->out[2];
    const int64_t base = (od * w->in[1] + 2 * oh) * w->in[2];
    if (j->halving) j->spans->layer->max_pool_2x2(y, index, x + base, w->in[2], w->out[2], (int32_t)base);
    else pool_row(j, x, od, oh, y, index);
  }
}

/* If tiles: the rows that output row od, oh sees, the last ones with what no window sees. */
static void normalise(const pool_job *j, int64_t n, int64_t plane, int64_t od, int64_t oh) {
  const ln_window *w = &j->w;
  const int64_t volume = w->in[0] * w->in[1] * w->in[2];
  const int64_t d_end = od + 1 < w->out[0] ? (od + 1) * w->kernel[0] : w->in[0];
  const int64_t h_end = oh + 1 < w->out[1] ? (oh + 1) * w->kernel[1] : w->in[1];
  const float *k = ln_norm_constant(&j->constants, plane, 0);
  for (int64_t d = od * w->kernel[0]; d < d_end; d++) {
    const int64_t at = plane * volume + (d * w->in[1] + oh * w->kernel[1]) * w->in[2], count = (h_end - oh * w->kernel[1]) * w->in[2];
    j->normal->normalize(ln_image_at(j->from, n, at * j->lanes), ln_image_at(j->raw, n, at * j->lanes), count, k, true);
  }
}

/* The same over the rows of blocked planes. */
static void blocked_range(void *arg, int64_t begin, int64_t end) {
  const pool_job *j = arg;
  const ln_window *w = &j->w;
  const int64_t rows = w->out[0] * w->out[1], volume = w->in[0] * w->in[1] * w->in[2];
  for (int64_t u = begin; u < end; u++) {
    const int64_t n = u / rows / j->planes, plane = u / rows % j->planes, row = u % rows;
    const int64_t od = row / w->out[1], oh = row % w->out[1], at = (plane * rows + row) * w->out[2] * j->lanes;
    const int64_t base = j->halving ? (od * w->in[1] + 2 * oh) * w->in[2] : 0;
    const void *x = ln_image_at(j->from, n, (plane * volume + base) * j->lanes);
    void *y = ln_image_at(j->to, n, at), *index = ln_image_at(j->indices, n, at);
    if (j->normal) normalise(j, n, plane, od, oh);
    if (j->halving) j->kerns->max_pool_2x2(y, index, x, w->in[2], w->out[2], (int32_t)base);
    else j->kerns->max_pool(y, index, x, w, od, oh);
  }
}

static bool tiles(const ln_window *w) {
  bool tiles = true;
  for (int d = 0; d < 3; d++)
    tiles = tiles && w->kernel[d] == w->stride[d] && w->padding[d] == 0 && w->dilation[d] == 1 && w->out[d] * w->kernel[d] <= w->in[d];
  return tiles;
}

static void open_job(pool_job *j, const ln_cpu *cpu, const ln_arg *x, const ln_arg *y, const ln_arg *indices, const ln_attrs *attrs) {
  const bool blocked = x->layout == LN_BLOCKED;
  *j = (pool_job){.w = ln_window_of(&x->meta, &y->meta, attrs), .spans = cpu->spans, .x = x->data, .y = y->data,
                  .index = indices->data, .from = ln_images_of(x), .to = ln_images_of(y), .indices = ln_images_of(indices),
                  .lanes = blocked ? cpu->lanes : 1, .kerns = blocked ? cpu->kerns->layer[ln_is_bf16(x)]->pool : NULL};
  j->planes = x->meta.dim[1] / j->lanes;
  j->tiles = tiles(&j->w);
  j->halving = j->tiles && j->w.kernel[0] == 1 && j->w.kernel[1] == 2 && j->w.kernel[2] == 2;
}

static void run(ln_cpu *cpu, pool_job *j) {
  const ln_window *w = &j->w;
  const int64_t cost = w->out[2] * w->kernel[0] * w->kernel[1] * w->kernel[2] * j->lanes;
  ln_cpu_for(cpu, w->planes / j->lanes * w->out[0] * w->out[1], LN_BLOCK / cost + 1, cost,
             j->kerns ? blocked_range : pool_range, j);
}

ln_code ln_cpu_max_pool(ln_cpu *cpu, ln_call *call) {
  pool_job j;
  open_job(&j, cpu, &call->in[0], &call->out[0], &call->out[1], call->attrs);
  run(cpu, &j);
  return LN_OK;
}

/* in: x mean var w? b?, out: y pooled indices */
ln_code ln_cpu_norm_relu_pool(ln_cpu *cpu, ln_call *call) {
  const ln_arg *in = call->in;
  const ln_planes planes = ln_planes_of(cpu, &in[0], LN_NORM_PIECE);
  pool_job j;
  open_job(&j, cpu, &call->out[0], &call->out[1], &call->out[2], call->attrs);
  if (j.kerns && j.tiles) {
    j.normal = cpu->kerns->layer[ln_is_bf16(&in[0])]->norm;
    j.constants = (ln_norm_constants){&planes, call->workspace};
    j.raw = ln_images_of(&in[0]);
    ln_norm_set_all(cpu, &j.constants, in[1].data, in[2].data, in[3].data, in[4].data, call->attrs->eps);
  } else {
    const ln_code code = ln_cpu_norm_relu(cpu, call);
    if (code != LN_OK) return code;
  }
  run(cpu, &j);
  return LN_OK;
}
