/* pool.h: a pooling call as three spatial dims D, H, W, the missing ones of size 1. */
#ifndef LN_CPU_POOL_H
#define LN_CPU_POOL_H

#include "cpu.h"

typedef struct ln_window {
  int64_t planes;               /* N * C */
  int64_t in[3], out[3];
  int64_t kernel[3], stride[3], padding[3], dilation[3];
} ln_window;

static inline ln_window ln_window_of(const ln_meta *in, const ln_meta *out, const ln_attrs *a) {
  ln_window w = {.planes = in->dim[0] * in->dim[1]};
  const int spatial = in->rank - 2;
  for (int i = 0; i < 3; i++) {
    const int d = i - (3 - spatial);
    w.in[i] = d < 0 ? 1 : in->dim[2 + d];
    w.out[i] = d < 0 ? 1 : out->dim[2 + d];
    w.kernel[i] = d < 0 ? 1 : a->kernel[d];
    w.stride[i] = d < 0 ? 1 : a->stride[d];
    w.padding[i] = d < 0 ? 0 : a->padding[d];
    w.dilation[i] = d < 0 ? 1 : a->dilation[d];
  }
  return w;
}

static inline int64_t ln_ceil_div(int64_t a, int64_t b) { return a <= 0 ? 0 : (a + b - 1) / b; }

/* The outputs o in [*from, *to) whose window element k of dim d lies in the input. */
static inline void ln_window_valid(const ln_window *w, int d, int64_t k, int64_t *from, int64_t *to) {
  const int64_t shift = w->padding[d] - k * w->dilation[d]; /* position = o * stride - shift */
  *from = ln_ceil_div(shift, w->stride[d]);
  *to = ln_ceil_div(w->in[d] + shift, w->stride[d]);
  if (*to > w->out[d]) *to = w->out[d];
}

#endif
