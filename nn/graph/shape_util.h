/* shape_util.h: what the shape rules share: bounds on sizes, broadcasting, and the checks whose
 * texts should read the same everywhere. Each check returns LN_OK or fills err.
 */
#ifndef LN_GRAPH_SHAPE_UTIL_H
#define LN_GRAPH_SHAPE_UTIL_H

#include "shape.h"

/* No dim and no attribute beyond this, so that sums and products of two of them fit in int64_t. */
#define LN_DIM_LIMIT (INT64_C(1) << 31)
#define LN_NUMEL_LIMIT (INT64_C(1) << 62)

/* The shape of m as text, in storage that lives to the end of the enclosing block. A rank-1 shape is
 * written [3], as a bare number in a sentence would read as a count. */
#define SHAPE_TEXT(m) shape_text((m), (char[LN_SHAPE_TEXT]){0})
const char *shape_text(const ln_meta *m, char buffer[LN_SHAPE_TEXT]);

#define SHAPE_TRY(call)                \
  do {                                 \
    ln_code code_ = (call);            \
    if (code_ != LN_OK) return code_;  \
  } while (0)

/* Fills *out and refuses sizes that no tensor can have: negative, over the limits above. Strides
 * must fit too, so the product is bounded with empty dims counted as 1. */
ln_code shape_set(ln_meta *out, ln_dtype dtype, int rank, const int64_t *dim, ln_error *err);
/* *out = the shape of m with another dtype. */
void shape_like(ln_meta *out, const ln_meta *m, ln_dtype dtype);
/* Statistics and affine parameters of bf16 tensors are f32. */
static inline ln_dtype shape_stat_dtype(ln_dtype x) { return x == LN_BF16 ? LN_F32 : x; }
/* NumPy's broadcasting of two named inputs. */
ln_code shape_broadcast(const ln_meta *a, const char *a_name, const ln_meta *b, const char *b_name,
                        ln_dtype dtype, ln_meta *out, ln_error *err);

ln_code shape_need_float(const ln_meta *m, const char *name, ln_error *err);
/* Anything but bool: arithmetic on masks is a mistake more often than a wish. */
ln_code shape_need_number(const ln_meta *m, const char *name, ln_error *err);
ln_code shape_need_dtype(const ln_meta *m, const char *name, ln_dtype dtype, ln_error *err);
ln_code shape_need_same_dtype(const ln_meta *a, const char *a_name, const ln_meta *b,
                              const char *b_name, ln_error *err);
ln_code shape_need_same_shape(const ln_meta *a, const char *a_name, const ln_meta *b,
                              const char *b_name, ln_error *err);
/* Same shape and same dtype. */
ln_code shape_need_same(const ln_meta *a, const char *a_name, const ln_meta *b, const char *b_name,
                        ln_error *err);
/* A rank-1 tensor of `length` elements; `what` says what they stand for: "one per channel". */
ln_code shape_need_vector(const ln_meta *m, const char *name, int64_t length, const char *what,
                          ln_error *err);
ln_code shape_need_rank(const ln_meta *m, const char *name, int lowest, int highest,
                        const char *layout, ln_error *err);

/* attrs->dim is a dim of m. */
ln_code shape_need_dim(const ln_meta *m, int dim, ln_error *err);
/* attrs->dims as a bit mask; an empty list is all dims. Refuses repeated and absent dims. */
ln_code shape_dims_mask(const ln_meta *m, const ln_attrs *attrs, unsigned *mask, ln_error *err);
/* lowest <= value <= LN_DIM_LIMIT, for the entry of a spatial attribute; `axis` counts from 0. */
ln_code shape_need_range(const char *name, int axis, int64_t value, int64_t lowest, ln_error *err);

#endif
