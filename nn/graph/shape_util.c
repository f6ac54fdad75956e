/* shape_util.c: bounds, broadcasting and the checks that the shape rules share. */
#include "shape_util.h"

#include <stdio.h>

const char *shape_text(const ln_meta *m, char buffer[LN_SHAPE_TEXT]) {
  if (m->rank != 1) return ln_shape_text(m, buffer, LN_SHAPE_TEXT);
  snprintf(buffer, LN_SHAPE_TEXT, "[%lld]", (long long)m->dim[0]);
  return buffer;
}

ln_code shape_set(ln_meta *out, ln_dtype dtype, int rank, const int64_t *dim, ln_error *err) {
  if (rank < 0 || rank > LN_MAX_RANK)
    return ln_fail(err, LN_EINVAL, "a tensor has 0 to %d dims, this would have %d", LN_MAX_RANK, rank);
  ln_meta m = { .dtype = dtype, .rank = rank };
  int64_t product = 1;
  for (int i = 0; i < rank; i++) {
    if (dim[i] < 0)
      return ln_fail(err, LN_EINVAL, "dim %d would have the negative size %lld", i + 1, (long long)dim[i]);
    if (dim[i] > LN_DIM_LIMIT)
      return ln_fail(err, LN_EINVAL, "dim %d would have size %lld; the limit is %lld", i + 1,
                     (long long)dim[i], (long long)LN_DIM_LIMIT);
    m.dim[i] = dim[i];
    if (dim[i] > 0 && product > LN_NUMEL_LIMIT / dim[i])
      return ln_fail(err, LN_EINVAL, "a tensor needs fewer than 2^62 elements; this has too many dims of large size");
    if (dim[i] > 0) product *= dim[i];
  }
  *out = m;
  return LN_OK;
}

void shape_like(ln_meta *out, const ln_meta *m, ln_dtype dtype) {
  *out = *m;
  out->dtype = dtype;
}

ln_code shape_broadcast(const ln_meta *a, const char *a_name, const ln_meta *b, const char *b_name,
                        ln_dtype dtype, ln_meta *out, ln_error *err) {
  int rank = a->rank > b->rank ? a->rank : b->rank;
  int64_t dim[LN_MAX_RANK] = { 0 };
  for (int i = 0; i < rank; i++) { /* i counts from the last dim, where the shapes are aligned */
    int64_t da = i < a->rank ? a->dim[a->rank - 1 - i] : 1;
    int64_t db = i < b->rank ? b->dim[b->rank - 1 - i] : 1;
    if (da != db && da != 1 && db != 1)
      return ln_fail(err, LN_EINVAL,
                     "%s %s and %s %s do not broadcast: dim %d of %s is %lld, dim %d of %s is %lld; they must be equal or 1",
                     a_name, SHAPE_TEXT(a), b_name, SHAPE_TEXT(b), a->rank - i, a_name, (long long)da, b->rank - i,
                     b_name, (long long)db);
    dim[rank - 1 - i] = da == 1 ? db : da;
  }
  return shape_set(out, dtype, rank, dim, err);
}

ln_code shape_need_float(const ln_meta *m, const char *name, ln_error *err) {
  if (ln_is_float(m->dtype)) return LN_OK;
  return ln_fail(err, LN_EINVAL, "expects a float tensor, got %s (%s %s)", ln_dtype_name(m->dtype),
                 name, SHAPE_TEXT(m));
}

ln_code shape_need_number(const ln_meta *m, const char *name, ln_error *err) {
  if (m->dtype != LN_BOOL) return LN_OK;
  return ln_fail(err, LN_EINVAL, "expects numbers, got bool (%s %s); cast it first or use the logical ops",
                 name, SHAPE_TEXT(m));
}

ln_code shape_need_dtype(const ln_meta *m, const char *name, ln_dtype dtype, ln_error *err) {
  if (m->dtype == dtype) return LN_OK;
  return ln_fail(err, LN_EINVAL, "%s must be %s, got %s (%s)", name, ln_dtype_name(dtype),
                 ln_dtype_name(m->dtype), SHAPE_TEXT(m));
}

ln_code shape_need_same_dtype(const ln_meta *a, const char *a_name, const ln_meta *b,
                              const char *b_name, ln_error *err) {
  if (a->dtype == b->dtype) return LN_OK;
  return ln_fail(err, LN_EINVAL, "%s is %s and %s is %s; they must have the same dtype (%s %s, %s %s)",
                 a_name, ln_dtype_name(a->dtype), b_name, ln_dtype_name(b->dtype), a_name,
                 SHAPE_TEXT(a), b_name, SHAPE_TEXT(b));
}

ln_code shape_need_same_shape(const ln_meta *a, const char *a_name, const ln_meta *b,
                              const char *b_name, ln_error *err) {
  if (ln_same_shape(a, b)) return LN_OK;
  return ln_fail(err, LN_EINVAL, "%s %s and %s %s must have the same shape", a_name, SHAPE_TEXT(a),
                 b_name, SHAPE_TEXT(b));
}

ln_code shape_need_same(const ln_meta *a, const char *a_name, const ln_meta *b, const char *b_name,
                        ln_error *err) {
  SHAPE_TRY(shape_need_same_shape(a, a_name, b, b_name, err));
  return shape_need_same_dtype(a, a_name, b, b_name, err);
}

ln_code shape_need_vector(const ln_meta *m, const char *name, int64_t length, const char *what,
                          ln_error *err) {
  if (m->rank == 1 && m->dim[0] == length) return LN_OK;
  return ln_fail(err, LN_EINVAL, "%s must have shape [%lld] (%s), got %s", name, (long long)length, what,
                 SHAPE_TEXT(m));
}

ln_code shape_need_rank(const ln_meta *m, const char *name, int lowest, int highest,
                        const char *layout, ln_error *err) {
  if (m->rank >= lowest && m->rank <= highest) return LN_OK;
  if (lowest == highest)
    return ln_fail(err, LN_EINVAL, "%s must have %d dim%s (%s), got %s", name, lowest, lowest == 1 ? "" : "s", layout,
                   SHAPE_TEXT(m));
  return ln_fail(err, LN_EINVAL, "%s must have %d to %d dims (%s), got %s", name, lowest, highest, layout,
                 SHAPE_TEXT(m));
}

ln_code shape_need_dim(const ln_meta *m, int dim, ln_error *err) {
  if (dim >= 0 && dim < m->rank) return LN_OK;
  if (m->rank == 0)
    return ln_fail(err, LN_EINVAL, "dim %d does not exist: the input is a scalar, which has no dims", dim + 1);
  return ln_fail(err, LN_EINVAL, "dim %d does not exist: the input %s has dims 1 to %d", dim + 1,
                 SHAPE_TEXT(m), m->rank);
}

ln_code shape_dims_mask(const ln_meta *m, const ln_attrs *attrs, unsigned *mask, ln_error *err) {
  *mask = 0;
  if (attrs->ndims == 0) {
    *mask = (1u << m->rank) - 1u;
    return LN_OK;
  }
  if (attrs->ndims < 0 || attrs->ndims > LN_MAX_RANK)
    return ln_fail(err, LN_EINVAL, "dims lists %d dims, at most %d exist", attrs->ndims, LN_MAX_RANK);
  for (int i = 0; i < attrs->ndims; i++) {
    SHAPE_TRY(shape_need_dim(m, attrs->dims[i], err));
    unsigned bit = 1u << attrs->dims[i];
    if (*mask & bit)
      return ln_fail(err, LN_EINVAL, "dim %d is listed twice (input %s)", attrs->dims[i] + 1, SHAPE_TEXT(m));
    *mask |= bit;
  }
  return LN_OK;
}

ln_code shape_need_range(const char *name, int axis, int64_t value, int64_t lowest, ln_error *err) {
  if (value >= lowest && value <= LN_DIM_LIMIT) return LN_OK;
  const char *wish = value > LN_DIM_LIMIT ? "at most 2147483648" : lowest > 0 ? "positive" : "0 or more";
  return ln_fail(err, LN_EINVAL, "%s must be %s, got %lld in spatial dim %d", name, wish, (long long)value, axis + 1);
}
