/* shape_index.c: shape rules of ops that move elements by an index tensor. Index values are 0-based, as
 * class values are, and are checked by the kernels: they are data.
 */
#include "shape_util.h"

/* index_select and index_add: x, a rank-1 index, dim. */
static ln_code need_index_list(const ln_meta *in, const ln_attrs *attrs, ln_error *err) {
  SHAPE_TRY(shape_need_dim(&in[0], attrs->dim, err));
  SHAPE_TRY(shape_need_dtype(&in[1], "index", LN_I64, err));
  return shape_need_rank(&in[1], "index", 1, 1, "a list of positions", err);
}

ln_code ln_shape_index_select(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  SHAPE_TRY(need_index_list(in, attrs, err));
  int64_t dim[LN_MAX_RANK];
  for (int i = 0; i < in[0].rank; i++) dim[i] = in[0].dim[i];
  dim[attrs->dim] = in[1].dim[0];
  return shape_set(out, in[0].dtype, in[0].rank, dim, err);
}

ln_code ln_shape_index_add(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  SHAPE_TRY(need_index_list(in, attrs, err));
  SHAPE_TRY(shape_need_number(&in[0], "input", err));
  SHAPE_TRY(shape_need_same_dtype(&in[0], "input", &in[2], "src", err));
  ln_meta expected = in[0];
  expected.dim[attrs->dim] = in[1].dim[0];
  if (!ln_same_shape(&expected, &in[2]))
    return ln_fail(err, LN_EINVAL, "src must be %s, one slice of the input %s for each of the %lld indices, got %s",
                   SHAPE_TEXT(&expected), SHAPE_TEXT(&in[0]), (long long)in[1].dim[0], SHAPE_TEXT(&in[2]));
  out[0] = in[0];
  return LN_OK;
}

/* gather and scatter_add: in all dims but `free_dim` (-1: none is free) index lies within m. */
static ln_code need_index_within(const ln_meta *m, const char *name, const ln_meta *index, int free_dim, ln_error *err) {
  bool fits = index->rank == m->rank;
  for (int i = 0; fits && i < m->rank; i++) fits = i == free_dim || index->dim[i] <= m->dim[i];
  if (fits) return LN_OK;
  if (free_dim < 0)
    return ln_fail(err, LN_EINVAL, "index %s must lie within %s %s", SHAPE_TEXT(index), name, SHAPE_TEXT(m));
  return ln_fail(err, LN_EINVAL, "index %s must lie within %s %s in all dims but dim %d", SHAPE_TEXT(index), name,
                 SHAPE_TEXT(m), free_dim + 1);
}

ln_code ln_shape_gather(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  SHAPE_TRY(shape_need_dim(&in[0], attrs->dim, err));
  SHAPE_TRY(shape_need_dtype(&in[1], "index", LN_I64, err));
  SHAPE_TRY(need_index_within(&in[0], "the input", &in[1], attrs->dim, err));
  shape_like(out, &in[1], in[0].dtype);
  return LN_OK;
}

ln_code ln_shape_scatter_add(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  SHAPE_TRY(shape_need_dim(&in[0], attrs->dim, err));
  SHAPE_TRY(shape_need_number(&in[0], "input", err));
  SHAPE_TRY(shape_need_dtype(&in[1], "index", LN_I64, err));
  SHAPE_TRY(shape_need_same_dtype(&in[0], "input", &in[2], "src", err));
  SHAPE_TRY(need_index_within(&in[0], "the input", &in[1], attrs->dim, err));
  SHAPE_TRY(need_index_within(&in[2], "src", &in[1], -1, err));
  out[0] = in[0];
  return LN_OK;
}
