/* avg_pool.c: avg_pool and its gradient in 1 to 3 spatial dims. Rows of outputs are worked on
 * as a whole, one window element after the other. A sum is multiplied by the reciprocal of its count.
 */
#include "layer_kern.h"
#include "planes.h"
#include "workspace.h"

#include <omp.h>
#include <string.h>

typedef struct avg_job {
  const ln_pool_kerns *kerns; /* blocked; NULL: plain */
  ln_window w;
  bool include_pad, backward;
  bool tiles;                 /* the windows tile the input, with no rest */
  ln_images from, to;         /* x and y, or gy and gx */
  int64_t planes, lanes;      /* planes of an image */
  float *counts;              /* an output row a thread: 1 / count of each */
} avg_job;

/* How many elements the mean of output o is over in dim d: torch counts padding, but not
 * what ceil_mode adds beyond it. */
static int64_t count_of(const avg_job *j, int d, int64_t o) {
  const ln_window *w = &j->w;
  int64_t begin = o * w->stride[d] - w->padding[d], end = begin + w->kernel[d];
  const int64_t limit = j->include_pad ? w->in[d] + w->padding[d] : w->in[d];
  if (end > limit) end = limit;
  if (!j->include_pad && begin < 0) begin = 0;
  return end - begin;
}

/* One window element of a whole output row: y[o] += x[o * stride + k - padding], or back, from gy[o] / count. */
static void tap_row(const avg_job *j, int64_t k, const float *in, float *out, float *gx, const float *gy, const float *counts) {
  const ln_window *w = &j->w;
  const int64_t stride = w->stride[2], shift = k - w->padding[2];
  int64_t from, to;
  ln_window_valid(w, 2, k, &from, &to);
  if (!j->backward) {
    for (int64_t o = from; o < to; o++) out[o] += in[o * stride + shift];
    return;
  }
  for (int64_t o = from; o < to; o++) gx[o * stride + shift] += gy[o] * counts[o];
}

/* Output row (od, oh) of a plane. */
static void plain_row(const avg_job *j, int64_t od, int64_t oh, const float *from, float *to, const float *counts) {
  const ln_window *w = &j->w;
  const int64_t out_row = (od * w->out[1] + oh) * w->out[2];
  float *y = to + out_row;
  if (!j->backward) memset(y, 0, (size_t)w->out[2] * sizeof *y);
  for (int64_t kd = 0; kd < w->kernel[0]; kd++) {
    const int64_t d = od * w->stride[0] - w->padding[0] + kd;
    if (d < 0 || d >= w->in[0]) continue;
    for (int64_t kh = 0; kh < w->kernel[1]; kh++) {
      const int64_t h = oh * w->stride[1] - w->padding[1] + kh;
      if (h < 0 || h >= w->in[1]) continue;
      const int64_t row = (d * w->in[1] + h) * w->in[2];
      for (int64_t kw = 0; kw < w->kernel[2]; kw++) tap_row(j, kw, from + row, y, to + row, from + out_row, counts);
    }
  }
  if (j->backward) return;
  for (int64_t o = 0; o < w->out[2]; o++) y[o] *= counts[o];
}

static void blocked_row(const avg_job *j, int64_t od, int64_t oh, const void *from, void *to, const float *counts) {
  const int64_t row = (od * j->w.out[1] + oh) * j->w.out[2] * j->lanes * j->from.size;
  if (j->backward) j->kerns->avg_pool_grad(to, (const char *)from + row, &j->w, od, oh, counts, j->tiles);
  else j->kerns->avg_pool((char *)to + row, from, &j->w, od, oh, counts);
}

static void plane_range(void *arg, int64_t begin, int64_t end) {
  const avg_job *j = arg;
  const ln_window *w = &j->w;
  const int64_t big = w->in[0] * w->in[1] * w->in[2] * j->lanes, small = w->out[0] * w->out[1] * w->out[2] * j->lanes;
  float *counts = j->counts + omp_get_thread_num() * w->out[2];
  for (int64_t u = begin; u < end; u++) {
    const int64_t n = u / j->planes, plane = u % j->planes;
    const void *from = ln_image_at(j->from, n, plane * (j->backward ? small : big));
    void *to = ln_image_at(j->to, n, plane * (j->backward ? big : small));
    if (j->backward && !(j->tiles && j->kerns)) memset(to, 0, (size_t)(big * j->to.size));
    for (int64_t od = 0; od < w->out[0]; od++) {
      for (int64_t oh = 0; oh < w->out[1]; oh++) {
        const int64_t outer = count_of(j, 0, od) * count_of(j, 1, oh);
        for (int64_t o = 0; o < w->out[2]; o++) counts[o] = 1.0f / (float)(outer * count_of(j, 2, o));
        if (j->kerns) blocked_row(j, od, oh, from, to, counts);
        else plain_row(j, od, oh, from, to, counts);
      }
    }
  }
}

static int64_t row_length(const ln_call *call) {
  const ln_meta *y = call->op == LN_OP_avg_pool ? &call->out[0].meta : &call->in[0].meta;
  return y->dim[y->rank - 1];
}

size_t ln_cpu_avg_pool_workspace(const ln_cpu *cpu, const ln_call *call) {
  return (size_t)(cpu->threads * row_length(call)) * sizeof(float);
}

static ln_code run(ln_cpu *cpu, ln_call *call, const ln_meta *x, const ln_meta *y, bool backward) {
  const bool blocked = call->in[0].layout == LN_BLOCKED;
  avg_job j = {.kerns = blocked ? cpu->kerns->layer[ln_is_bf16(&call->in[0])]->pool : NULL, .w = ln_window_of(x, y, call->attrs),
               .include_pad = call->attrs->count_include_pad, .backward = backward,
               .from = ln_images_of(&call->in[0]), .to = ln_images_of(&call->out[0]),
               .lanes = blocked ? cpu->lanes : 1, .counts = call->workspace};
  const ln_window *w = &j.w;
  j.tiles = true;
  for (int d = 0; d < 3; d++) {
    j.w.dilation[d] = 1;
    j.tiles = j.tiles && w->kernel[d] == w->stride[d] && w->padding[d] == 0 && w->in[d] == w->out[d] * w->kernel[d];
  }
  j.planes = x->dim[1] / j.lanes;
  const int64_t cost = w->out[0] * w->out[1] * w->out[2] * w->kernel[0] * w->kernel[1] * w->kernel[2] * j.lanes;
  ln_cpu_for(cpu, x->dim[0] * j.planes, LN_BLOCK / (cost + 1) + 1, cost, plane_range, &j);
  return LN_OK;
}

ln_code ln_cpu_avg_pool(ln_cpu *cpu, ln_call *call) {
  return run(cpu, call, &call->in[0].meta, &call->out[0].meta, false);
}

ln_code ln_cpu_avg_pool_grad(ln_cpu *cpu, ln_call *call) {
  return run(cpu, call, &call->out[0].meta, &call->in[0].meta, true);
}
