/* pad.c: padding and cropping, and its gradient. An output row (all dims but the last fixed)
 * is a piece of an input row with an edge on either side.
 */
#include "cast.h"
#include "iter.h"

#include <string.h>

/* The input position that padded position i shows, -1 for the constant. Reflection does not
 * repeat the edge; the shape rule has seen to it that one reflection is enough. */
static int64_t source(ln_mode mode, int64_t i, int64_t n) {
  if (i >= 0 && i < n) return i;
  if (mode == LN_MODE_CONSTANT) return -1;
  if (mode == LN_MODE_REPLICATE) return i < 0 ? 0 : n - 1;
  return i < 0 ? -i : 2 * (n - 1) - i;
}

typedef struct pad_job {
  const ln_attrs *attrs;
  ln_meta x, y;
  char *to;
  const char *from;
  size_t size;
  char fill[8];
} pad_job;

static void fill_elements(char *to, const char *value, int64_t n, size_t size) {
  if (size == 4) {
    uint32_t v;
    memcpy(&v, value, 4);
    for (int64_t i = 0; i < n; i++) ((uint32_t *)(void *)to)[i] = v;
    return;
  }
  for (int64_t i = 0; i < n; i++) memcpy(to + i * (int64_t)size, value, size);
}

/* Where row `row` of the padded tensor comes from: the input row, or -1. */
static int64_t source_row(const ln_attrs *attrs, const ln_meta *x, const ln_meta *y, int64_t row) {
  int64_t from = 0, stride = 1;
  for (int d = y->rank - 2; d >= 0; d--) {
    const int64_t s = source(attrs->mode, row % y->dim[d] - attrs->before[d], x->dim[d]);
    if (s < 0) return -1;
    from += s * stride;
    stride *= x->dim[d];
    row /= y->dim[d];
  }
  return from;
}

static void pad_row(const pad_job *j, char *to, const char *from) {
  const int last = j->y.rank - 1;
  const int64_t width = j->y.dim[last], n = j->x.dim[last], before = j->attrs->before[last];
  const int64_t size = (int64_t)j->size;
  int64_t left = before > 0 ? before : 0;
  if (left > width) left = width;
  int64_t right = n + before < width ? n + before : width; /* where the input's elements end */
  if (right < left) right = left;
  if (j->attrs->mode == LN_MODE_CONSTANT) {
    fill_elements(to, j->fill, left, j->size);
    fill_elements(to + right * size, j->fill, width - right, j->size);
  } else {
    for (int64_t i = 0; i < width; i++) {
      if (i == left) i = right;
      if (i < width) memcpy(to + i * size, from + source(j->attrs->mode, i - before, n) * size, j->size);
    }
  }
  memcpy(to + left * size, from + (left - before) * size, (size_t)(right - left) * j->size);
}

static void pad_range(void *arg, int64_t begin, int64_t end) {
  const pad_job *j = arg;
  const int64_t width = j->y.dim[j->y.rank - 1] * (int64_t)j->size;
  const int64_t length = j->x.dim[j->x.rank - 1] * (int64_t)j->size;
  for (int64_t row = begin; row < end; row++) {
    const int64_t from = source_row(j->attrs, &j->x, &j->y, row);
    if (from < 0 || length == 0) fill_elements(j->to + row * width, j->fill, j->y.dim[j->y.rank - 1], j->size);
    else pad_row(j, j->to + row * width, j->from + from * length);
  }
}

ln_code ln_cpu_pad(ln_cpu *cpu, ln_call *call) {
  pad_job j = {.attrs = call->attrs, .x = call->in[0].meta, .y = call->out[0].meta, .to = call->out[0].data,
               .from = call->in[0].data, .size = ln_dtype_size(call->in[0].meta.dtype)};
  if (call->out[0].numel == 0) return LN_OK;
  if (j.y.rank == 0) {
    memcpy(j.to, j.from, j.size);
    return LN_OK;
  }
  ln_cast_from_double(j.y.dtype, j.fill, call->scalars->value);
  const int64_t width = j.y.dim[j.y.rank - 1];
  ln_cpu_for(cpu, call->out[0].numel / width, LN_BLOCK / width + 1, width, pad_range, &j);
  return LN_OK;
}

/* -- the gradient: each input row collects the padded rows that show it, in order */

static void add_row(const pad_job *j, float *to, const float *from) {
  const int last = j->y.rank - 1;
  const int64_t width = j->y.dim[last], n = j->x.dim[last], before = j->attrs->before[last];
  for (int64_t i = 0; i < width; i++) {
    const int64_t s = source(j->attrs->mode, i - before, n);
    if (s >= 0) to[s] += from[i];
  }
}

/* Leading dims without padding are independent of each other: they are shared among threads. */
static int free_dims(const pad_job *j) {
  int d = 0;
  while (d < j->y.rank - 1 && j->attrs->before[d] == 0 && j->attrs->after[d] == 0) d++;
  return d;
}

static void grad_range(void *arg, int64_t begin, int64_t end) {
  const pad_job *j = arg;
  int64_t rows = 1, to_rows = 1;
  for (int d = free_dims(j); d < j->y.rank - 1; d++) rows *= j->y.dim[d], to_rows *= j->x.dim[d];
  const int64_t width = j->y.dim[j->y.rank - 1], n = j->x.dim[j->x.rank - 1];
  float *gx = (float *)(void *)j->to;
  const float *gy = (const float *)(const void *)j->from;
  memset(gx + begin * to_rows * n, 0, (size_t)((end - begin) * to_rows * n) * sizeof *gx);
  for (int64_t row = begin * rows; row < end * rows; row++) {
    const int64_t to = source_row(j->attrs, &j->x, &j->y, row);
    if (to >= 0) add_row(j, gx + to * n, gy + row * width);
  }
}

ln_code ln_cpu_pad_grad(ln_cpu *cpu, ln_call *call) {
  pad_job j = {.attrs = call->attrs, .x = call->out[0].meta, .y = call->in[0].meta,
               .to = call->out[0].data, .from = call->in[0].data, .size = sizeof(float)};
  if (call->out[0].numel == 0) return LN_OK;
  if (j.y.rank == 0) {
    memcpy(j.to, j.from, j.size);
    return LN_OK;
  }
  int64_t outer = 1;
  for (int d = 0; d < free_dims(&j); d++) outer *= j.x.dim[d];
  const int64_t each = call->out[0].numel / outer;
  ln_cpu_for(cpu, outer, LN_BLOCK / each + 1, each, grad_range, &j);
  return LN_OK;
}
