/* index.c: ops that move or add elements by an i64 index tensor. Indices are data, so they
 * are checked here, before anything is written. Additions go in the order of the index.
 */
#include "iter.h"

#include <string.h>

static ln_code check_indices(const ln_call *call, int64_t size) {
  const int64_t *index = call->in[1].data;
  for (int64_t i = 0; i < call->in[1].numel; i++) {
    if (index[i] >= 0 && index[i] < size) continue;
    char text[LN_SHAPE_TEXT];
    return ln_fail(call->err, LN_EINVAL, "index %lld is not in 0..%lld, the positions of dim %d of the input %s",
                   (long long)index[i], (long long)size - 1, call->attrs->dim + 1,
                   ln_shape_text(&call->in[0].meta, text, sizeof text));
  }
  return LN_OK;
}

static void add_elements(ln_dtype dtype, void *to, const void *from, int64_t n) {
  if (dtype == LN_F32) {
    float *y = to;
    const float *x = from;
    for (int64_t i = 0; i < n; i++) y[i] += x[i];
  } else if (dtype == LN_I64) {
    uint64_t *y = to;
    const uint64_t *x = from;
    for (int64_t i = 0; i < n; i++) y[i] += x[i];
  } else if (dtype == LN_I32) {
    uint32_t *y = to;
    const uint32_t *x = from;
    for (int64_t i = 0; i < n; i++) y[i] += x[i];
  } else {
    uint8_t *y = to;
    const uint8_t *x = from;
    for (int64_t i = 0; i < n; i++) y[i] = (uint8_t)(y[i] + x[i]);
  }
}

/* -- whole slices: x is [outer, size, inner] */

typedef struct slice_job {
  char *y;
  const char *x;        /* index_select: the input; index_add: src */
  const int64_t *index;
  int64_t size, count, inner;
  size_t element;
  ln_dtype dtype;
} slice_job;

static void select_range(void *arg, int64_t begin, int64_t end) {
  const slice_job *j = arg;
  const int64_t bytes = j->inner * (int64_t)j->element;
  for (int64_t u = begin; u < end; u++) {
    const int64_t outer = u / j->count, k = u % j->count;
    memcpy(j->y + u * bytes, j->x + (outer * j->size + j->index[k]) * bytes, (size_t)bytes);
  }
}

static void add_range(void *arg, int64_t begin, int64_t end) {
  const slice_job *j = arg;
  const int64_t bytes = j->inner * (int64_t)j->element;
  for (int64_t outer = begin; outer < end; outer++) {
    for (int64_t k = 0; k < j->count; k++)
      add_elements(j->dtype, j->y + (outer * j->size + j->index[k]) * bytes,
                   j->x + (outer * j->count + k) * bytes, j->inner);
  }
}

static slice_job slices_of(const ln_call *call) {
  const ln_meta *x = &call->in[0].meta;
  slice_job j = {.y = call->out[0].data, .x = call->in[0].data, .index = call->in[1].data,
                 .size = x->dim[call->attrs->dim], .count = call->in[1].numel, .inner = 1,
                 .element = ln_dtype_size(x->dtype), .dtype = x->dtype};
  for (int d = call->attrs->dim + 1; d < x->rank; d++) j.inner *= x->dim[d];
  return j;
}

ln_code ln_cpu_index_select(ln_cpu *cpu, ln_call *call) {
  slice_job j = slices_of(call);
  const ln_code code = check_indices(call, j.size);
  if (code != LN_OK || call->out[0].numel == 0) return code;
  ln_cpu_for(cpu, call->out[0].numel / j.inner, LN_BLOCK / j.inner + 1, j.inner, select_range, &j);
  return LN_OK;
}

ln_code ln_cpu_index_add(ln_cpu *cpu, ln_call *call) {
  slice_job j = slices_of(call);
  const ln_code code = check_indices(call, j.size);
  if (code != LN_OK) return code;
  ln_copy_dense(cpu, call->out[0].data, call->in[0].data, ln_nbytes(&call->out[0].meta));
  if (call->in[2].numel == 0) return LN_OK;
  j.x = call->in[2].data;
  const int64_t each = j.count * j.inner;
  ln_cpu_for(cpu, call->in[2].numel / each, LN_BLOCK / each + 1, each, add_range, &j);
  return LN_OK;
}

/* -- single elements: the index has x's rank and may be smaller than x and src */

typedef struct element_job {
  ln_meta index_meta;
  int dim;
  const int64_t *index;
  char *y;
  const char *x;
  int64_t y_stride[LN_MAX_RANK], x_stride[LN_MAX_RANK]; /* of the place written, of the place read */
  bool gather;
  size_t element;
  ln_dtype dtype;
} element_job;

/* One unit is a position in all dims but `dim`, so that threads never meet in an element. */
static void element_range(void *arg, int64_t begin, int64_t end) {
  const element_job *j = arg;
  int64_t stride[LN_MAX_RANK];
  ln_strides(&j->index_meta, stride);
  for (int64_t u = begin; u < end; u++) {
    int64_t rest = u, y = 0, x = 0, at = 0;
    for (int d = j->index_meta.rank - 1; d >= 0; d--) {
      if (d == j->dim) continue;
      const int64_t i = rest % j->index_meta.dim[d];
      rest /= j->index_meta.dim[d];
      y += i * j->y_stride[d], x += i * j->x_stride[d], at += i * stride[d];
    }
    for (int64_t k = 0; k < j->index_meta.dim[j->dim]; k++) {
      const int64_t p = j->index[at + k * stride[j->dim]];
      const int64_t to = y + (j->gather ? k : p) * j->y_stride[j->dim];
      const int64_t from = x + (j->gather ? p : k) * j->x_stride[j->dim];
      char *t = j->y + to * (int64_t)j->element;
      const char *f = j->x + from * (int64_t)j->element;
      if (j->gather) memcpy(t, f, j->element);
      else add_elements(j->dtype, t, f, 1);
    }
  }
}

static ln_code run_elements(ln_cpu *cpu, ln_call *call, const ln_arg *from, bool gather) {
  element_job j = {.index_meta = call->in[1].meta, .dim = call->attrs->dim, .index = call->in[1].data,
                   .y = call->out[0].data, .x = from->data, .gather = gather,
                   .element = ln_dtype_size(from->meta.dtype), .dtype = from->meta.dtype};
  if (call->in[1].numel == 0) return LN_OK;
  ln_strides(&call->out[0].meta, j.y_stride);
  ln_strides(&from->meta, j.x_stride);
  const int64_t each = j.index_meta.dim[j.dim];
  ln_cpu_for(cpu, call->in[1].numel / each, LN_BLOCK / each + 1, each, element_range, &j);
  return LN_OK;
}

ln_code ln_cpu_gather(ln_cpu *cpu, ln_call *call) {
  const ln_code code = check_indices(call, call->in[0].meta.dim[call->attrs->dim]);
  return code != LN_OK ? code : run_elements(cpu, call, &call->in[0], true);
}

ln_code ln_cpu_scatter_add(ln_cpu *cpu, ln_call *call) {
  const ln_code code = check_indices(call, call->in[0].meta.dim[call->attrs->dim]);
  if (code != LN_OK) return code;
  ln_copy_dense(cpu, call->out[0].data, call->in[0].data, ln_nbytes(&call->out[0].meta));
  return run_elements(cpu, call, &call->in[2], false);
}
