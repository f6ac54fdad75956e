/* shape_reduce.c: shape rules of the reductions. */
#include "shape_util.h"

static ln_code reduced_shape(const ln_meta *x, unsigned mask, bool keepdim, ln_dtype dtype, ln_meta *out,
                             ln_error *err) {
  int64_t dim[LN_MAX_RANK] = { 0 };
  int rank = 0;
  for (int i = 0; i < x->rank; i++) {
    bool reduced = (mask >> i) & 1u;
    if (reduced && !keepdim) continue;
    dim[rank++] = reduced ? 1 : x->dim[i];
  }
  return shape_set(out, dtype, rank, dim, err);
}

/* The largest of nothing does not exist. */
static ln_code need_elements(const ln_meta *x, unsigned mask, ln_error *err) {
  for (int i = 0; i < x->rank; i++)
    if (((mask >> i) & 1u) && x->dim[i] == 0)
      return ln_fail(err, LN_EINVAL, "dim %d of the input %s is empty: no largest or smallest element exists",
                     i + 1, SHAPE_TEXT(x));
  return LN_OK;
}

ln_code ln_shape_sum(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  unsigned mask;
  SHAPE_TRY(shape_dims_mask(&in[0], attrs, &mask, err));
  ln_dtype dtype = ln_is_float(in[0].dtype) ? in[0].dtype : LN_I64;
  return reduced_shape(&in[0], mask, attrs->keepdim, dtype, out, err);
}

ln_code ln_shape_mean(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  SHAPE_TRY(shape_need_float(&in[0], "input", err));
  return ln_shape_sum(in, nin, attrs, out, err);
}

ln_code ln_shape_reduce(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  unsigned mask;
  SHAPE_TRY(shape_dims_mask(&in[0], attrs, &mask, err));
  SHAPE_TRY(need_elements(&in[0], mask, err));
  return reduced_shape(&in[0], mask, attrs->keepdim, in[0].dtype, out, err);
}

ln_code ln_shape_argreduce(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  SHAPE_TRY(shape_need_dim(&in[0], attrs->dim, err));
  SHAPE_TRY(need_elements(&in[0], 1u << attrs->dim, err));
  return reduced_shape(&in[0], 1u << attrs->dim, attrs->keepdim, LN_I64, out, err);
}
