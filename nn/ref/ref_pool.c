/* ref_pool.c: pooling and interpolation over the dims after the first two.
 *
 * Everything here works plane by plane: a plane is one channel of one sample, a volume of 3 spatial dims
 * where absent ones come first, with size 1.
 */
#include <math.h>

#include "ref.h"

typedef struct volume {
  int64_t size[LN_SPATIAL];
} volume;

static volume volume_of(const ln_meta *m) {
  volume v = { { 1, 1, 1 } };
  for (int i = 2; i < m->rank; i++) v.size[i + LN_MAX_RANK - m->rank - 2] = m->dim[i];
  return v;
}

static int64_t positions(const volume *v) { return v->size[0] * v->size[1] * v->size[2]; }

static void coords(const volume *v, int64_t linear, int64_t at[LN_SPATIAL]) {
  at[2] = linear % v->size[2];
  at[1] = linear / v->size[2] % v->size[1];
  at[0] = linear / v->size[2] / v->size[1];
}

static int64_t linear(const volume *v, int64_t d, int64_t h, int64_t w) { return (d * v->size[1] + h) * v->size[2] + w; }

/* Attribute a[] of a tensor of this rank at volume dim i, or `absent` for a dim that is not there. */
static int64_t attr_at(const int64_t *a, int rank, int i, int64_t absent) {
  int skip = LN_MAX_RANK - rank;
  return i < skip ? absent : a[i - skip];
}

/* -- windows */

/* What one output position sees of the input in each dim: positions start, start + step, ... below end. */
typedef struct window {
  int64_t start[LN_SPATIAL], end[LN_SPATIAL], step[LN_SPATIAL];
  int64_t padded; /* elements of the window counting padding, but not what ceil_mode adds beyond it */
} window;

static window window_at(const ln_meta *x, const ln_attrs *attrs, const volume *in, const int64_t at[LN_SPATIAL]) {
  window w = { .padded = 1 };
  for (int i = 0; i < LN_SPATIAL; i++) {
    int64_t kernel = attr_at(attrs->kernel, x->rank, i, 1), padding = attr_at(attrs->padding, x->rank, i, 0);
    int64_t step = attr_at(attrs->dilation, x->rank, i, 1);
    int64_t start = at[i] * attr_at(attrs->stride, x->rank, i, 1) - padding, end = start + (kernel - 1) * step + 1;
    if (end > in->size[i] + padding) end = in->size[i] + padding;
    w.padded *= end - start;
    if (start < 0) start += (-start + step - 1) / step * step;
    if (end > in->size[i]) end = in->size[i];
    w.start[i] = start, w.end[i] = end, w.step[i] = step;
  }
  return w;
}

/* -- max_pool: the first largest in scan order; of NaNs the last */

static int64_t index_of_largest(const double *x, const volume *in, const window *w) {
  int64_t best = linear(in, w->start[0], w->start[1], w->start[2]);
  double top = -INFINITY;
  for (int64_t d = w->start[0]; d < w->end[0]; d += w->step[0])
    for (int64_t h = w->start[1]; h < w->end[1]; h += w->step[1])
      for (int64_t c = w->start[2]; c < w->end[2]; c += w->step[2]) {
        int64_t at = linear(in, d, h, c);
        if (!(x[at] > top || isnan(x[at]))) continue;
        top = x[at];
        best = at;
      }
  return best;
}

ln_code ln_ref_max_pool(ln_call *call) {
  const ln_meta *m = &call->in[0].meta;
  volume in = volume_of(m), out = volume_of(&call->out[0].meta);
  const double *x = ref_in(call, 0);
  double *y = ref_out(call, 0);
  int64_t *indices = ref_out_i64(call, 1);
  for (int64_t plane = 0; plane < m->dim[0] * m->dim[1]; plane++)
    for (int64_t o = 0; o < positions(&out); o++) {
      int64_t at[LN_SPATIAL];
      coords(&out, o, at);
      window w = window_at(m, call->attrs, &in, at);
      const double *xp = x + plane * positions(&in);
      int64_t best = index_of_largest(xp, &in, &w);
      y[plane * positions(&out) + o] = xp[best];
      indices[plane * positions(&out) + o] = best;
    }
  ref_store(call, 0);
  return ref_store_i64(call, 1);
}

/* gx += gy at the indices; inputs `first` and first + 1 of the call. */
static ln_code add_at_indices(ln_call *call, int first, double *gx) {
  volume in = volume_of(&call->out[0].meta), out = volume_of(&call->in[first].meta);
  const double *gy = ref_in(call, first);
  const int64_t *indices = ref_in_i64(call, first + 1);
  for (int64_t i = 0; i < call->in[first].numel; i++) {
    if (indices[i] < 0 || indices[i] >= positions(&in))
      return ln_fail(call->err, LN_EINVAL, "index %lld is not among 0 to %lld, the input's spatial positions",
                     (long long)indices[i], (long long)positions(&in) - 1);
    gx[i / positions(&out) * positions(&in) + indices[i]] += gy[i];
  }
  return ref_store(call, 0);
}

/* in: gy indices */
ln_code ln_ref_max_pool_grad(ln_call *call) { return add_at_indices(call, 0, ref_out(call, 0)); }

/* in: other gy indices */
ln_code ln_ref_max_pool_grad_add(ln_call *call) {
  const double *other = ref_in(call, 0);
  double *gx = ref_out(call, 0);
  for (int64_t i = 0; i < call->out[0].numel; i++) gx[i] = other[i];
  return add_at_indices(call, 1, gx);
}

/* -- avg_pool */

static double divisor(const ln_attrs *attrs, const window *w) {
  if (attrs->count_include_pad) return (double)w->padded;
  return (double)((w->end[0] - w->start[0]) * (w->end[1] - w->start[1]) * (w->end[2] - w->start[2]));
}

ln_code ln_ref_avg_pool(ln_call *call) {
  const ln_meta *m = &call->in[0].meta;
  volume in = volume_of(m), out = volume_of(&call->out[0].meta);
  const double *x = ref_in(call, 0);
  double *y = ref_out(call, 0);
  for (int64_t plane = 0; plane < m->dim[0] * m->dim[1]; plane++)
    for (int64_t o = 0; o < positions(&out); o++) {
      int64_t at[LN_SPATIAL];
      coords(&out, o, at);
      window w = window_at(m, call->attrs, &in, at);
      double sum = 0;
      for (int64_t d = w.start[0]; d < w.end[0]; d++)
        for (int64_t h = w.start[1]; h < w.end[1]; h++)
          for (int64_t c = w.start[2]; c < w.end[2]; c++) sum += x[plane * positions(&in) + linear(&in, d, h, c)];
      y[plane * positions(&out) + o] = sum / divisor(call->attrs, &w);
    }
  return ref_store(call, 0);
}

ln_code ln_ref_avg_pool_grad(ln_call *call) {
  const ln_meta *m = &call->out[0].meta;
  volume in = volume_of(m), out = volume_of(&call->in[0].meta);
  const double *gy = ref_in(call, 0);
  double *gx = ref_out(call, 0);
  for (int64_t plane = 0; plane < m->dim[0] * m->dim[1]; plane++)
    for (int64_t o = 0; o < positions(&out); o++) {
      int64_t at[LN_SPATIAL];
      coords(&out, o, at);
      window w = window_at(m, call->attrs, &in, at);
      double share = gy[plane * positions(&out) + o] / divisor(call->attrs, &w);
      for (int64_t d = w.start[0]; d < w.end[0]; d++)
        for (int64_t h = w.start[1]; h < w.end[1]; h++)
          for (int64_t c = w.start[2]; c < w.end[2]; c++) gx[plane * positions(&in) + linear(&in, d, h, c)] += share;
    }
  return ref_store(call, 0);
}

/* -- interpolation: each output position is a weighted mean of at most 2 input positions a dim */

typedef struct blend {
  int64_t low, high;
  double low_weight, high_weight;
} blend;

/* torch computes nearest positions in single precision; another precision would pick other
 * elements where dst * in / out is nearly whole. In two dims it takes equal and doubled
 * sizes as such even where a scale says otherwise. */
static int64_t nearest_source(int64_t dst, int64_t in, int64_t out, double scale, int rank) {
  if (rank == 4 && in == out) return dst;
  if (rank == 4 && out == 2 * in) return dst / 2;
  float step = scale > 0 ? (float)(1.0 / scale) : (float)in / (float)out;
  int64_t src = (int64_t)floorf((float)dst * step);
  return src < in - 1 ? src : in - 1;
}

static blend linear_source(int64_t dst, int64_t in, int64_t out, double scale, bool align_corners) {
  double src;
  if (align_corners) {
    src = out > 1 ? (double)dst * ((double)(in - 1) / (double)(out - 1)) : 0;
  } else if (in == out) {
    src = (double)dst;
  } else { /* pixel centres lie at half positions */
    double step = scale > 0 ? 1 / scale : (double)in / (double)out;
    src = ((double)dst + 0.5) * step - 0.5;
    if (src < 0) src = 0;
  }
  blend b = { .low = (int64_t)src };
  if (b.low > in - 1) b.low = in - 1;
  b.high = b.low < in - 1 ? b.low + 1 : b.low;
  b.high_weight = src - (double)b.low;
  if (b.high_weight > 1) b.high_weight = 1;
  b.low_weight = 1 - b.high_weight;
  return b;
}

static blend source(const ln_attrs *attrs, int rank, int i, int64_t dst, const volume *in, const volume *out) {
  int skip = LN_MAX_RANK - rank;
  if (i < skip) return (blend){ 0, 0, 1, 0 };
  double scale = attrs->scale[i - skip];
  if (attrs->mode == LN_MODE_LINEAR) return linear_source(dst, in->size[i], out->size[i], scale, attrs->align_corners);
  int64_t nearest = nearest_source(dst, in->size[i], out->size[i], scale, rank);
  return (blend){ nearest, nearest, 1, 0 };
}

/* The 8 input positions of an output position and their weights; absent and nearest dims weigh 1 and 0. */
static void corners(const ln_attrs *attrs, int rank, int64_t o, const volume *in, const volume *out, int64_t at[8], double weight[8]) {
  int64_t dst[LN_SPATIAL];
  blend b[LN_SPATIAL];
  coords(out, o, dst);
  for (int i = 0; i < LN_SPATIAL; i++) b[i] = source(attrs, rank, i, dst[i], in, out);
  for (int k = 0; k < 8; k++) {
    bool d = k & 4, h = k & 2, w = k & 1;
    at[k] = linear(in, d ? b[0].high : b[0].low, h ? b[1].high : b[1].low, w ? b[2].high : b[2].low);
    weight[k] = (d ? b[0].high_weight : b[0].low_weight) * (h ? b[1].high_weight : b[1].low_weight) *
                (w ? b[2].high_weight : b[2].low_weight);
  }
}

/* A corner of weight 0 is left out, so that an infinity beside the point does no harm. */
ln_code ln_ref_interpolate(ln_call *call) {
  const ln_meta *m = &call->in[0].meta;
  volume in = volume_of(m), out = volume_of(&call->out[0].meta);
  const double *x = ref_in(call, 0);
  double *y = ref_out(call, 0);
  for (int64_t o = 0; o < positions(&out); o++) {
    int64_t at[8];
    double weight[8];
    corners(call->attrs, m->rank, o, &in, &out, at, weight);
    for (int64_t plane = 0; plane < m->dim[0] * m->dim[1]; plane++)
      for (int k = 0; k < 8; k++)
        if (weight[k] > 0) y[plane * positions(&out) + o] += weight[k] * x[plane * positions(&in) + at[k]];
  }
  return ref_store(call, 0);
}

ln_code ln_ref_interpolate_grad(ln_call *call) {
  const ln_meta *m = &call->out[0].meta;
  volume in = volume_of(m), out = volume_of(&call->in[0].meta);
  const double *gy = ref_in(call, 0);
  double *gx = ref_out(call, 0);
  for (int64_t o = 0; o < positions(&out); o++) {
    int64_t at[8];
    double weight[8];
    corners(call->attrs, m->rank, o, &in, &out, at, weight);
    for (int64_t plane = 0; plane < m->dim[0] * m->dim[1]; plane++)
      for (int k = 0; k < 8; k++)
        if (weight[k] > 0) gx[plane * positions(&in) + at[k]] += weight[k] * gy[plane * positions(&out) + o];
  }
  return ref_store(call, 0);
}
