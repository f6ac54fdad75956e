/* tensor.c: dtypes and shapes. */
#include "tensor.h"

#include <stdio.h>
#include <string.h>

static const struct {
  const char *name, *torch_name;
  size_t size;
} dtypes[LN_DTYPE_COUNT] = {
    [LN_NONE] = {"none", "none", 0},      [LN_BOOL] = {"bool", "boolean", 1},
    [LN_U8] = {"u8", "uint8", 1},         [LN_I32] = {"i32", "int32", 4},
    [LN_I64] = {"i64", "int64", 8},       [LN_BF16] = {"bf16", "bfloat16", 2},
    [LN_F32] = {"f32", "float32", 4},     [LN_F64] = {"f64", "float64", 8},
};

size_t ln_dtype_size(ln_dtype dtype) { return dtypes[dtype].size; }
const char *ln_dtype_name(ln_dtype dtype) { return dtypes[dtype].name; }

ln_dtype ln_dtype_named(const char *name) {
  for (int t = LN_BOOL; t < LN_DTYPE_COUNT; t++)
    if (strcmp(name, dtypes[t].name) == 0 || strcmp(name, dtypes[t].torch_name) == 0)
      return (ln_dtype)t;
  return LN_NONE;
}

ln_dtype ln_promote(ln_dtype a, ln_dtype b) { return a > b ? a : b; }

int64_t ln_numel(const ln_meta *m) {
  int64_t n = 1;
  for (int i = 0; i < m->rank; i++) n *= m->dim[i];
  return n;
}

size_t ln_nbytes(const ln_meta *m) {
  size_t bytes = ln_dtype_size(m->dtype);
  bool empty = false;
  for (int i = 0; i < m->rank; i++) empty = empty || m->dim[i] == 0;
  for (int i = 0; i < m->rank && !empty; i++)
    if (__builtin_mul_overflow(bytes, (size_t)m->dim[i], &bytes)) return SIZE_MAX;
  return empty ? 0 : bytes;
}

bool ln_same_shape(const ln_meta *a, const ln_meta *b) {
  return a->rank == b->rank &&
         memcmp(a->dim, b->dim, (size_t)a->rank * sizeof a->dim[0]) == 0;
}

const char *ln_shape_text(const ln_meta *m, char *buffer, size_t size) {
  size_t used = 0;
  if (m->rank == 0) snprintf(buffer, size, "scalar");
  for (int i = 0; i < m->rank && used < size; i++)
    used += (size_t)snprintf(buffer + used, size - used, "%s%lld", i == 0 ? "" : "x",
                             (long long)m->dim[i]);
  return buffer;
}
