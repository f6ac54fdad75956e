/* kern_layer_pool.c: pooling over blocked planes: a window element is one vector of lanes. Windows are
 * scanned in torch's order, so that ties and NaN give torch's index.
 */
#include "layer_kern.h"

#include <math.h>

enum { L = LN_LANES };

/* The part [from, to) of a window that lies in the input, for output o of dim d: window elements and the position
 * of the first. */
typedef struct reach {
  int64_t from, to, first;
} reach;

static inline reach reach_of(const ln_window *w, int d, int64_t o) {
  const int64_t start = o * w->stride[d] - w->padding[d], step = w->dilation[d];
  if (start >= 0 && start + (w->kernel[d] - 1) * step < w->in[d]) return (reach){0, w->kernel[d], start}; /* no division */
  reach r = {.from = start < 0 ? ln_ceil_div(-start, step) : 0, .to = ln_ceil_div(w->in[d] - start, step)};
  if (r.to > w->kernel[d]) r.to = w->kernel[d];
  r.first = start + r.from * step;
  return r;
}

/* -- max_pool: a later element replaces the best when it is larger or NaN */

static inline void later(vf *best, vi *at, vf v, vi place) {
  const vi wins = (v > *best) | (v != v);
  *best = vf_choose(wins, v, *best);
  *at = vi_choose(wins, place, *at);
}

static void max_pool(float *y, int32_t *index, const float *x, const ln_window *w, int64_t od, int64_t oh) {
  const reach rd = reach_of(w, 0, od), rh = reach_of(w, 1, oh);
  for (int64_t o = 0; o < w->out[2]; o++) {
    const reach rw = reach_of(w, 2, o);
    vf best = vf_splat(-INFINITY);
    vi at = vi_splat((int32_t)((rd.first * w->in[1] + rh.first) * w->in[2] + rw.first));
    for (int64_t kd = rd.from, d = rd.first; kd < rd.to; kd++, d += w->dilation[0]) {
      for (int64_t kh = rh.from, h = rh.first; kh < rh.to; kh++, h += w->dilation[1]) {
        int64_t place = (d * w->in[1] + h) * w->in[2] + rw.first;
        for (int64_t kw = rw.from; kw < rw.to; kw++, place += w->dilation[2])
          later(&best, &at, vf_load(x + place * L), vi_splat((int32_t)place));
      }
    }
    vf_store(y + o * L, best);
    vi_store(index + o * L, at);
  }
}

static void max_pool_2x2(float *y, int32_t *index, const float *x, int64_t width, int64_t n, int32_t base) {
  const float *below = x + width * L;
  const vi right = vi_splat(1), down = vi_splat((int32_t)width), both = vi_splat((int32_t)width + 1);
  vi place = vi_splat(base);
  for (int64_t i = 0; i < n * L; i += L, place += 2) {
    vf best = vf_load(x + 2 * i);
    vi at = place;
    later(&best, &at, vf_load(x + 2 * i + L), place + right);
    later(&best, &at, vf_load(below + 2 * i), place + down);
    later(&best, &at, vf_load(below + 2 * i + L), place + both);
    vf_store(y + i, best);
    vi_store(index + i, at);
  }
}

/* -- its gradient */

static void pool_look(const int32_t *index, int64_t n, int32_t volume, int32_t base, int32_t width, bool *outside,
                      bool *beside) {
  const vi down = vi_splat(width), both = vi_splat(width + 1), end = vi_splat(volume);
  vi place = vi_splat(base), out = {0}, inside = ~out;
  for (int64_t i = 0; i < n * L; i += L, place += 2) {
    const vi at = vi_load(index + i), t = at - place;
    out |= (at < 0) | (at >= end);
    inside &= (t == 0) | (t == 1) | (t == down) | (t == both);
  }
  *outside = vi_any(out);
  *beside = vi_any(~inside);
}

static inline void put(float *gx, const float *other, int64_t at, vf v) {
  if (other) v = vf_load(other + at) + v;
  vf_store(gx + at, v);
}

static inline void unpool(float *gx, const float *other, const float *gy, const int32_t *index, int64_t width, int64_t n,
                          int32_t base) {
  const vi down = vi_splat((int32_t)width), both = vi_splat((int32_t)width + 1);
  const int64_t below = width * L;
  vi place = vi_splat(base);
  for (int64_t i = 0; i < n * L; i += L, place += 2) {
    const vf g = vf_load(gy + i);
    const vi t = vi_load(index + i) - place;
    put(gx, other, 2 * i, vf_and(t == 0, g));
    put(gx, other, 2 * i + L, vf_and(t == 1, g));
    put(gx, other, 2 * i + below, vf_and(t == down, g));
    put(gx, other, 2 * i + below + L, vf_and(t == both, g));
  }
}

static void unpool_2x2(float *gx, const float *other, const float *gy, const int32_t *index, int64_t width, int64_t n,
                       int32_t base) {
  if (other) unpool(gx, other, gy, index, width, n, base);
  else unpool(gx, NULL, gy, index, width, n, base);
}

static void scatter(float *gx, const float *gy, const int32_t *index, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    for (int k = 0; k < L; k++) gx[index[i * L + k] * (int64_t)L + k] += gy[i * L + k];
}

/* -- avg_pool, with its sums in the order of the plain kernel */

static void avg_pool(float *y, const float *x, const ln_window *w, int64_t od, int64_t oh, const float *counts) {
  const reach rd = reach_of(w, 0, od), rh = reach_of(w, 1, oh);
  for (int64_t o = 0; o < w->out[2]; o++) {
    const reach rw = reach_of(w, 2, o);
    vf s = {0};
    for (int64_t d = rd.first; d < rd.first + rd.to - rd.from; d++) {
      for (int64_t h = rh.first; h < rh.first + rh.to - rh.from; h++) {
        const float *at = x + ((d * w->in[1] + h) * w->in[2] + rw.first) * L;
        for (int64_t k = rw.from; k < rw.to; k++, at += L) s += vf_load(at);
      }
    }
    vf_store(y + o * L, s * vf_splat(counts[o]));
  }
}

/* Windows that tile: every position is written once. Adding 0 makes -0 what it is when it is added to 0. */
static void spread_row(float *row, const float *gy, const ln_window *w, const float *counts) {
  const vf zero = {0};
  for (int64_t o = 0; o < w->out[2]; o++) {
    const vf v = vf_load(gy + o * L) * vf_splat(counts[o]) + zero;
    for (int64_t k = 0; k < w->kernel[2]; k++, row += L) vf_store(row, v);
  }
}

static void add_row(float *row, const float *gy, const ln_window *w, const float *counts) {
  for (int64_t k = 0; k < w->kernel[2]; k++) {
    int64_t from, to;
    ln_window_valid(w, 2, k, &from, &to);
    for (int64_t o = from; o < to; o++) {
      float *at = row + (o * w->stride[2] + k - w->padding[2]) * L;
      vf_store(at, vf_load(at) + vf_load(gy + o * L) * vf_splat(counts[o]));
    }
  }
}

static void avg_pool_grad(float *gx, const float *gy, const ln_window *w, int64_t od, int64_t oh, const float *counts,
                          bool tiles) {
  const reach rd = reach_of(w, 0, od), rh = reach_of(w, 1, oh);
  for (int64_t d = rd.first; d < rd.first + rd.to - rd.from; d++) {
    for (int64_t h = rh.first; h < rh.first + rh.to - rh.from; h++) {
      float *row = gx + (d * w->in[1] + h) * w->in[2] * L;
      if (tiles) spread_row(row, gy, w, counts);
      else add_row(row, gy, w, counts);
    }
  }
}

const ln_pool_kerns KERN(pool) = {
    .max_pool = max_pool, .max_pool_2x2 = max_pool_2x2, .pool_look = pool_look, .unpool_2x2 = unpool_2x2,
    .scatter = scatter, .avg_pool = avg_pool, .avg_pool_grad = avg_pool_grad};
