/* move.c: ops that move elements and compute nothing; they work on any dtype by its size. */
#include "iter.h"
#include "planes.h"

#include <string.h>

static ln_copy copy_of(const ln_call *call, const ln_meta *shape) {
  ln_copy c = {.rank = shape->rank, .size = ln_dtype_size(call->in[0].meta.dtype)};
  memcpy(c.dim, shape->dim, sizeof c.dim);
  return c;
}

static char *element(const ln_arg *arg, int64_t index) {
  return (char *)arg->data + index * (int64_t)ln_dtype_size(arg->meta.dtype);
}

/* Aliases have nothing to do unless the planner gave the output memory of its own. */
static ln_code alias(ln_cpu *cpu, ln_call *call) {
  ln_copy_dense(cpu, call->out[0].data, call->in[0].data, ln_nbytes(&call->out[0].meta));
  return LN_OK;
}
ln_code ln_cpu_detach(ln_cpu *cpu, ln_call *call) { return alias(cpu, call); }
ln_code ln_cpu_reshape(ln_cpu *cpu, ln_call *call) { return alias(cpu, call); }

ln_code ln_cpu_permute(ln_cpu *cpu, ln_call *call) {
  const ln_meta *y = &call->out[0].meta;
  int64_t stride[LN_MAX_RANK];
  ln_copy c = copy_of(call, y);
  ln_strides(y, c.to);
  ln_strides(&call->in[0].meta, stride);
  for (int i = 0; i < y->rank; i++) c.from[i] = stride[call->attrs->dims[i]];
  ln_copy_run(cpu, &c, call->out[0].data, call->in[0].data);
  return LN_OK;
}

ln_code ln_cpu_expand(ln_cpu *cpu, ln_call *call) {
  const ln_meta *y = &call->out[0].meta, *x = &call->in[0].meta;
  const int added = y->rank - x->rank;
  int64_t stride[LN_MAX_RANK];
  ln_copy c = copy_of(call, y);
  ln_strides(y, c.to);
  ln_strides(x, stride);
  for (int i = 0; i < y->rank; i++) c.from[i] = i < added || x->dim[i - added] == 1 ? 0 : stride[i - added];
  ln_copy_run(cpu, &c, call->out[0].data, call->in[0].data);
  return LN_OK;
}

ln_code ln_cpu_flip(ln_cpu *cpu, ln_call *call) {
  const ln_meta *x = &call->in[0].meta;
  unsigned mask = call->attrs->ndims == 0 ? ~0u : 0;
  for (int i = 0; i < call->attrs->ndims; i++) mask |= 1u << call->attrs->dims[i];
  int64_t first = 0;
  ln_copy c = copy_of(call, x);
  if (call->in[0].numel == 0) return LN_OK;
  ln_strides(x, c.to);
  ln_strides(x, c.from);
  for (int i = 0; i < x->rank; i++) {
    if (!((mask >> i) & 1u)) continue;
    first += (x->dim[i] - 1) * c.from[i];
    c.from[i] = -c.from[i];
  }
  ln_copy_run(cpu, &c, call->out[0].data, element(&call->in[0], first));
  return LN_OK;
}

ln_code ln_cpu_slice(ln_cpu *cpu, ln_call *call) {
  if (call->in[0].layout == LN_BLOCKED) return ln_cpu_slice_blocked(cpu, call);
  const ln_meta *y = &call->out[0].meta;
  const int dim = call->attrs->dim;
  ln_copy c = copy_of(call, y);
  if (call->out[0].numel == 0) return LN_OK;
  ln_strides(y, c.to);
  ln_strides(&call->in[0].meta, c.from);
  const int64_t first = call->attrs->start * c.from[dim];
  c.from[dim] *= call->attrs->step;
  ln_copy_run(cpu, &c, call->out[0].data, element(&call->in[0], first));
  return LN_OK;
}

ln_code ln_cpu_slice_scatter(ln_cpu *cpu, ln_call *call) {
  const ln_meta *src = &call->in[1].meta;
  const int dim = call->attrs->dim;
  ln_copy_dense(cpu, call->out[0].data, call->in[0].data, ln_nbytes(&call->out[0].meta));
  if (call->in[1].numel == 0) return LN_OK;
  ln_copy c = copy_of(call, src);
  ln_strides(src, c.from);
  ln_strides(&call->out[0].meta, c.to);
  const int64_t first = call->attrs->start * c.to[dim];
  c.to[dim] *= call->attrs->step;
  ln_copy_run(cpu, &c, element(&call->out[0], first), call->in[1].data);
  return LN_OK;
}

/* Each input is two-dimensional here: what is before dim, and dim with what is behind it. */
ln_code ln_cpu_cat(ln_cpu *cpu, ln_call *call) {
  if (call->out[0].layout == LN_BLOCKED) return ln_cpu_cat_blocked(cpu, call);
  const ln_meta *y = &call->out[0].meta;
  const int dim = call->attrs->dim;
  int64_t stride[LN_MAX_RANK], at = 0;
  ln_strides(y, stride);
  const int64_t row = y->dim[dim] * stride[dim], rows = row > 0 ? call->out[0].numel / row : 0;
  for (int k = 0; k < call->nin; k++) {
    const int64_t part = call->in[k].meta.dim[dim] * stride[dim];
    const ln_copy c = {.rank = 2, .dim = {rows, part}, .to = {row, 1}, .from = {part, 1},
                       .size = ln_dtype_size(y->dtype)};
    ln_copy_run(cpu, &c, element(&call->out[0], at), call->in[k].data);
    at += part;
  }
  return LN_OK;
}
