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

static void max_pool(void *to, int32_t *index, const void *from, const ln_window *w, int64_t od, int64_t oh) {
  const act *x = from;
  act *y = to;
  const reach rd = reach_of(w, 0, od), rh = reach_of(w, 1, oh);
  for (int64_t o = 0; o < w->out[2]; o++) {
    const reach rw = reach_of(w, 2, o);
    vf best = vf_splat(-INFINITY);
    vi at = vi_splat((int32_t)((rd.first * w->in[1] + rh.first) * w->in[2] + rw.first));
    for (int64_t kd = rd.from, d = rd.first; kd < rd.to; kd++, d += w->dilation[0]) {
      for (int64_t kh = rh.from, h = rh.first; kh < rh.to; kh++, h += w->dilation[1]) {
        int64_t place = (d * w->in[1] + h) * w->in[2] + rw.first;
        for (int64_t kw = rw.from; kw < rw.to; kw++, place += w->dilation[2])
          later(&best, &at, act_load(x + place * L), vi_splat((int32_t)place));
      }
    }
    act_store(y + o * L, best);
    vi_store(index + o * L, at);
  }
}

static void max_pool_2x2(void *to, int32_t *index, const void *from, int64_t width, int64_t n, int32_t base) {
  const act *x = from, *below = x + width * L;
  act *y = to;
  const vi right = vi_splat(1), down = vi_splat((int32_t)width), both = vi_splat((int32_t)width + 1);
  vi place = vi_splat(base);
  for (int64_t i = 0; i < n * L; i += L, place += 2) {
    vf best = act_load(x + 2 * i);
    vi at = place;
    later(&best, &at, act_load(x + 2 * i + L), place + right);
    later(&best, &at, act_load(below + 2 * i), place + down);
    later(&best, &at, act_load(below + 2 * i + L), place + both);
    act_store(y + i, best);
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

static inline void put(act *gx, const act *other, int64_t at, vf v) {
  if (other) v = act_round(act_load(other + at) + v);
  act_store(gx + at, v);
}

static inline void unpool(act *gx, const act *other, const act *gy, const int32_t *index, int64_t width, int64_t n,
                          int32_t base) {
  const vi down = vi_splat((int32_t)width), both = vi_splat((int32_t)width + 1);
  const int64_t below = width * L;
  vi place = vi_splat(base);
  for (int64_t i = 0; i < n * L; i += L, place += 2) {
    const vf g = act_load(gy + i);
    const vi t = vi_load(index + i) - place;
    put(gx, other, 2 * i, vf_and(t == 0, g));
    put(gx, other, 2 * i + L, vf_and(t == 1, g));
    put(gx, other, 2 * i + below, vf_and(t == down, g));
    put(gx, other, 2 * i + below + L, vf_and(t == both, g));
  }
}

static void unpool_2x2(void *gx, const void *other, const void *gy, const int32_t *index, int64_t width, int64_t n,
                       int32_t base) {
  if (other) unpool(gx, other, gy, index, width, n, base);
  else unpool(gx, NULL, gy, index, width, n, base);
}

static void scatter(float *gx, const void *from, const int32_t *index, int64_t n) {
  const act *gy = from;
  for (int64_t i = 0; i < n; i++)
    for (int k = 0; k < L; k++) gx[index[i * L + k] * (int64_t)L + k] += act_value(gy + i * L + k);
}

/* -- avg_pool, with its sums in the order of the plain kernel */

static void avg_pool(void *to, const void *from, const ln_window *w, int64_t od, int64_t oh, const float *counts) {
  const act *x = from;
  act *y = to;
  const reach rd = reach_of(w, 0, od), rh = reach_of(w, 1, oh);
  for (int64_t o = 0; o < w->out[2]; o++) {
    const reach rw = reach_of(w, 2, o);
    vf s = {0};
    for (int64_t d = rd.first; d < rd.first + rd.to - rd.from; d++) {
      for (int64_t h = rh.first; h < rh.first + rh.to - rh.from; h++) {
        const act *at = x + ((d * w->in[1] + h) * w->in[2] + rw.first) * L;
        for (int64_t k = rw.from; k < rw.to; k++, at += L) s += act_load(at);
      }
    }
    act_store(y + o * L, act_round(s * vf_splat(counts[o])));
  }
}

/* Windows that tile: every position is written once. Adding 0 makes -0 what it is when it is added to 0. */
static void spread_row(act *row, const act *gy, const ln_window *w, const float *counts) {
  const vf zero = {0};
  for (int64_t o = 0; o < w->out[2]; o++) {
    const vf v = act_round(act_load(gy + o * L) * vf_splat(counts[o]) + zero);
    for (int64_t k = 0; k < w->kernel[2]; k++, row += L) act_store(row, v);
  }
}

static void add_row(act *row, const act *gy, const ln_window *w, const float *counts) {
  for (int64_t k = 0; k < w->kernel[2]; k++) {
    int64_t from, to;
    ln_window_valid(w, 2, k, &from, &to);
    for (int64_t o = from; o < to; o++) {
      act *at = row + (o * w->stride[2] + k - w->padding[2]) * L;
      act_store(at, act_round(act_load(at) + act_load(gy + o * L) * vf_splat(counts[o])));
    }
  }
}

static void avg_pool_grad(void *to, const void *from, const ln_window *w, int64_t od, int64_t oh, const float *counts,
                          bool tiles) {
  const reach rd = reach_of(w, 0, od), rh = reach_of(w, 1, oh);
  const act *gy = from;
  for (int64_t d = rd.first; d < rd.first + rd.to - rd.from; d++) {
    for (int64_t h = rh.first; h < rh.first + rh.to - rh.from; h++) {
      act *row = (act *)to + (d * w->in[1] + h) * w->in[2] * L;
      if (tiles) spread_row(row, gy, w, counts);
      else add_row(row, gy, w, counts);
    }
  }
}

const ln_pool_kerns KERN_ACT(pool) = {
    .max_pool = max_pool, .max_pool_2x2 = max_pool_2x2, .pool_look = pool_look, .unpool_2x2 = unpool_2x2,
    .scatter = scatter, .avg_pool = avg_pool, .avg_pool_grad = avg_pool_grad};
