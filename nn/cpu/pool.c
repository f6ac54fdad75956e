/* pool.c: max_pool and max_pool_grad in 1 to 3 spatial dims. An output row is worked on as
 * a whole: each window element in turn is compared with the row's best so far, in
 * torch's order, so that ties and NaN give torch's index.
 */
#include "layer_kern.h"
#include "planes.h"

#include <math.h>
#include <string.h>

typedef struct pool_job {
  ln_window w;
  const ln_spans *spans;
  const float *x;
  float *y;
  int32_t *index;
  bool halving; /* 2 x 2, stride 2, no padding */
  /* blocked: */
  const ln_pool_kerns *kerns;
  ln_images from, to, indices;
  int64_t planes, lanes; /* planes of an image */
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
    if (j->halving) j->kerns->max_pool_2x2(y, index, x, w->in[2], w->out[2], (int32_t)base);
    else j->kerns->max_pool(y, index, x, w, od, oh);
  }
}

static void set_blocked(pool_job *j, const ln_cpu *cpu, const ln_call *call) {
  j->kerns = cpu->kerns->layer[ln_is_bf16(&call->in[0])]->pool;
  j->lanes = cpu->lanes;
  j->planes = call->in[0].meta.dim[1] / cpu->lanes;
  j->from = ln_images_of(&call->in[0]), j->to = ln_images_of(&call->out[0]), j->indices = ln_images_of(&call->out[1]);
}

ln_code ln_cpu_max_pool(ln_cpu *cpu, ln_call *call) {
  pool_job j = {.w = ln_window_of(&call->in[0].meta, &call->out[0].meta, call->attrs), .spans = cpu->spans,
                .x = call->in[0].data, .y = call->out[0].data, .index = call->out[1].data};
  const ln_window *w = &j.w;
  j.halving = w->kernel[0] == 1 && w->stride[0] == 1 && w->padding[0] == 0;
  for (int d = 1; d < 3; d++) {
    j.halving = j.halving && w->kernel[d] == 2 && w->stride[d] == 2 && w->padding[d] == 0 &&
                w->dilation[d] == 1 && w->out[d] * 2 <= w->in[d];
  }
  const bool blocked = call->in[0].layout == LN_BLOCKED;
  if (blocked) set_blocked(&j, cpu, call);
  const int64_t lanes = blocked ? cpu->lanes : 1;
  const int64_t cost = w->out[2] * w->kernel[0] * w->kernel[1] * w->kernel[2] * lanes;
  ln_cpu_for(cpu, w->planes / lanes * w->out[0] * w->out[1], LN_BLOCK / cost + 1, cost,
             blocked ? blocked_range : pool_range, &j);
  return LN_OK;
}
