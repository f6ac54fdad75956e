/* ref_movement.c: ops that move elements. Pure moves copy bytes, so that every dtype stays exact; only
 * pad_grad, index_add and scatter_add compute, in double or, for integers, in int64_t.
 */
#include <string.h>

#include "ref.h"

/* Element `from` of x becomes element `to` of y. */
static void move(const ln_arg *y, int64_t to, const ln_arg *x, int64_t from) {
  size_t size = ln_dtype_size(y->meta.dtype);
  memcpy((char *)y->data + (size_t)to * size, (const char *)x->data + (size_t)from * size, size);
}

/* The planner may have given the output the input's memory. */
static ln_code copy_all(const ln_arg *y, const ln_arg *x) {
  size_t bytes = ln_nbytes(&y->meta);
  if (bytes > 0 && y->data != x->data) memmove(y->data, x->data, bytes);
  return LN_OK;
}

ln_code ln_ref_detach(ln_call *call) { return copy_all(&call->out[0], &call->in[0]); }
ln_code ln_ref_reorder(ln_call *call) { return copy_all(&call->out[0], &call->in[0]); }
ln_code ln_ref_reshape(ln_call *call) { return copy_all(&call->out[0], &call->in[0]); }

ln_code ln_ref_permute(ln_call *call) {
  const ln_arg *x = &call->in[0], *y = &call->out[0];
  for (int64_t i = 0; i < y->numel; i++) {
    int64_t to[LN_MAX_RANK], from[LN_MAX_RANK];
    ref_coords(&y->meta, i, to);
    for (int k = 0; k < y->meta.rank; k++) from[call->attrs->dims[k]] = to[k];
    move(y, i, x, ref_linear(&x->meta, from));
  }
  return LN_OK;
}

ln_code ln_ref_expand(ln_call *call) {
  const ln_arg *x = &call->in[0], *y = &call->out[0];
  for (int64_t i = 0; i < y->numel; i++) move(y, i, x, ref_broadcast(&x->meta, &y->meta, i));
  return LN_OK;
}

ln_code ln_ref_slice(ln_call *call) {
  const ln_arg *x = &call->in[0], *y = &call->out[0];
  const ln_attrs *attrs = call->attrs;
  for (int64_t i = 0; i < y->numel; i++) {
    int64_t at[LN_MAX_RANK];
    ref_coords(&y->meta, i, at);
    at[attrs->dim] = attrs->start + at[attrs->dim] * attrs->step;
    move(y, i, x, ref_linear(&x->meta, at));
  }
  return LN_OK;
}

ln_code ln_ref_slice_scatter(ln_call *call) {
  const ln_arg *x = &call->in[0], *src = &call->in[1], *y = &call->out[0];
  const ln_attrs *attrs = call->attrs;
  copy_all(y, x);
  for (int64_t i = 0; i < src->numel; i++) {
    int64_t at[LN_MAX_RANK];
    ref_coords(&src->meta, i, at);
    at[attrs->dim] = attrs->start + at[attrs->dim] * attrs->step;
    move(y, ref_linear(&y->meta, at), src, i);
  }
  return LN_OK;
}

ln_code ln_ref_cat(ln_call *call) {
  const ln_arg *y = &call->out[0];
  int dim = call->attrs->dim;
  int64_t before = 0; /* what the tensors so far take of dim */
  for (int k = 0; k < call->nin; k++) {
    const ln_arg *x = &call->in[k];
    for (int64_t i = 0; i < x->numel; i++) {
      int64_t at[LN_MAX_RANK];
      ref_coords(&x->meta, i, at);
      at[dim] += before;
      move(y, ref_linear(&y->meta, at), x, i);
    }
    before += x->meta.dim[dim];
  }
  return LN_OK;
}

ln_code ln_ref_flip(ln_call *call) {
  const ln_arg *x = &call->in[0], *y = &call->out[0];
  const ln_attrs *attrs = call->attrs;
  unsigned mask = attrs->ndims == 0 ? ~0u : 0;
  for (int k = 0; k < attrs->ndims; k++) mask |= 1u << attrs->dims[k];
  for (int64_t i = 0; i < y->numel; i++) {
    int64_t at[LN_MAX_RANK];
    ref_coords(&y->meta, i, at);
    for (int k = 0; k < y->meta.rank; k++)
      if ((mask >> k) & 1u) at[k] = y->meta.dim[k] - 1 - at[k];
    move(y, i, x, ref_linear(&x->meta, at));
  }
  return LN_OK;
}

/* -- padding */

/* Where element i of the padded tensor comes from in x, or -1: from the constant. Reflection is about the
 * centre of the first or last element, which is not repeated. */
static int64_t pad_source(const ln_meta *padded, const ln_meta *x, const ln_attrs *attrs, int64_t i) {
  int64_t at[LN_MAX_RANK];
  ref_coords(padded, i, at);
  for (int k = 0; k < x->rank; k++) {
    int64_t last = x->dim[k] - 1;
    at[k] -= attrs->before[k];
    if (at[k] >= 0 && at[k] <= last) continue;
    if (attrs->mode == LN_MODE_CONSTANT) return -1;
    if (attrs->mode == LN_MODE_REFLECT) at[k] = at[k] < 0 ? -at[k] : 2 * last - at[k];
    else at[k] = at[k] < 0 ? 0 : last;
  }
  return ref_linear(x, at);
}

ln_code ln_ref_pad(ln_call *call) {
  const ln_arg *x = &call->in[0], *y = &call->out[0];
  for (int64_t i = 0; i < y->numel; i++) {
    int64_t from = pad_source(&y->meta, &x->meta, call->attrs, i);
    if (from >= 0) move(y, i, x, from);
    else ref_put(y->data, y->meta.dtype, i, call->scalars->value);
  }
  return LN_OK;
}

/* Each element's gradient goes to where the element came from. */
ln_code ln_ref_pad_grad(ln_call *call) {
  const double *gy = ref_in(call, 0);
  double *gx = ref_out(call, 0);
  for (int64_t i = 0; i < call->in[0].numel; i++) {
    int64_t from = pad_source(&call->in[0].meta, &call->out[0].meta, call->attrs, i);
    if (from >= 0) gx[from] += gy[i];
  }
  return ref_store(call, 0);
}

/* -- by index. Index values are data, so they are checked here. */

static ln_code need_index(const ln_call *call, int64_t *index, const ln_arg *arg, int64_t i) {
  int64_t size = call->in[0].meta.dim[call->attrs->dim];
  *index = ((const int64_t *)arg->data)[i];
  if (*index >= 0 && *index < size) return LN_OK;
  return ln_fail(call->err, LN_EINVAL, "index %lld is not among 0 to %lld, the positions in dim %d", (long long)*index,
                 (long long)size - 1, call->attrs->dim + 1);
}

ln_code ln_ref_index_select(ln_call *call) {
  const ln_arg *x = &call->in[0], *y = &call->out[0];
  int dim = call->attrs->dim;
  for (int64_t i = 0; i < y->numel; i++) {
    int64_t at[LN_MAX_RANK];
    ref_coords(&y->meta, i, at);
    ln_code code = need_index(call, &at[dim], &call->in[1], at[dim]);
    if (code != LN_OK) return code;
    move(y, i, x, ref_linear(&x->meta, at));
  }
  return LN_OK;
}

ln_code ln_ref_gather(ln_call *call) {
  const ln_arg *x = &call->in[0], *y = &call->out[0];
  for (int64_t i = 0; i < y->numel; i++) {
    int64_t at[LN_MAX_RANK];
    ref_coords(&y->meta, i, at);
    ln_code code = need_index(call, &at[call->attrs->dim], &call->in[1], i);
    if (code != LN_OK) return code;
    move(y, i, x, ref_linear(&x->meta, at));
  }
  return LN_OK;
}

/* y = x with src added; element `to` of y gets element `from` of src. The sums stand in the workspace
 * until the end, so that many small terms are not rounded one by one. */
typedef struct adder {
  bool floats;
  double *f, *fsrc;
  int64_t *i, *isrc;
} adder;

static adder start_adding(ln_call *call) {
  adder a = { .floats = ln_is_float(call->out[0].meta.dtype) };
  if (a.floats) {
    const double *x = ref_in(call, 0);
    a.f = ref_out(call, 0);
    a.fsrc = ref_in(call, 2);
    for (int64_t k = 0; k < call->out[0].numel; k++) a.f[k] = x[k];
  } else {
    const int64_t *x = ref_in_i64(call, 0);
    a.i = ref_out_i64(call, 0);
    a.isrc = ref_in_i64(call, 2);
    for (int64_t k = 0; k < call->out[0].numel; k++) a.i[k] = x[k];
  }
  return a;
}

static void add_one(const adder *a, int64_t to, int64_t from) {
  if (a->floats) a->f[to] += a->fsrc[from];
  else a->i[to] = (int64_t)((uint64_t)a->i[to] + (uint64_t)a->isrc[from]);
}

static ln_code finish_adding(ln_call *call, const adder *a) {
  return a->floats ? ref_store(call, 0) : ref_store_i64(call, 0);
}

ln_code ln_ref_index_add(ln_call *call) {
  const ln_meta *src = &call->in[2].meta, *y = &call->out[0].meta;
  int dim = call->attrs->dim;
  adder a = start_adding(call);
  for (int64_t i = 0; i < call->in[2].numel; i++) {
    int64_t at[LN_MAX_RANK];
    ref_coords(src, i, at);
    ln_code code = need_index(call, &at[dim], &call->in[1], at[dim]);
    if (code != LN_OK) return code;
    add_one(&a, ref_linear(y, at), i);
  }
  return finish_adding(call, &a);
}

/* index may be smaller than src: its own positions count. */
ln_code ln_ref_scatter_add(ln_call *call) {
  const ln_meta *index = &call->in[1].meta, *src = &call->in[2].meta, *y = &call->out[0].meta;
  adder a = start_adding(call);
  for (int64_t i = 0; i < call->in[1].numel; i++) {
    int64_t at[LN_MAX_RANK];
    ref_coords(index, i, at);
    int64_t from = ref_linear(src, at);
    ln_code code = need_index(call, &at[call->attrs->dim], &call->in[1], i);
    if (code != LN_OK) return code;
    add_one(&a, ref_linear(y, at), from);
  }
  return finish_adding(call, &a);
}
