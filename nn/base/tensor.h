/* tensor.h: dtypes, shapes and the plain description of a tensor (ln_meta). */
#ifndef LN_BASE_TENSOR_H
#define LN_BASE_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LN_MAX_RANK = 5 }; /* N, C, D, H, W */

/* Order is the promotion order: see ln_promote. */
typedef enum ln_dtype {
  LN_NONE = 0, /* an absent optional input */
  LN_BOOL,     /* one byte, 0 or 1 */
  LN_U8,
  LN_I32,
  LN_I64,
  LN_BF16,     /* storage only; arithmetic is f32 */
  LN_F32,
  LN_F64,      /* the reference device only: finite differences, parity checks */
  LN_DTYPE_COUNT
} ln_dtype;

/* Shape and type of a dense row-major tensor. Rank 0 is a scalar. dim[i] >= 0. */
typedef struct ln_meta {
  ln_dtype dtype;
  int rank;
  int64_t dim[LN_MAX_RANK]; /* unused entries are 0 */
} ln_meta;

size_t ln_dtype_size(ln_dtype dtype);
const char *ln_dtype_name(ln_dtype dtype);    /* "f32" */
ln_dtype ln_dtype_named(const char *name);    /* LN_NONE when unknown; torch's "float32" too */
static inline bool ln_is_float(ln_dtype t) { return t >= LN_BF16; }

/* The promotion table of arithmetic on two tensors: the later of the two in the enum,
 * except that bf16 with f32 gives f32 (it follows from the order) and a float with an
 * integer gives the float. A Lua number is weak: it takes the tensor's dtype, or f32
 * when the tensor is an integer and the number is not whole. */
ln_dtype ln_promote(ln_dtype a, ln_dtype b);

int64_t ln_numel(const ln_meta *m);
size_t ln_nbytes(const ln_meta *m); /* SIZE_MAX on overflow */
bool ln_same_shape(const ln_meta *a, const ln_meta *b);
/* "16x256x64x64", "scalar" for rank 0. Returns buffer. */
const char *ln_shape_text(const ln_meta *m, char *buffer, size_t size);
enum { LN_SHAPE_TEXT = 112 };

#endif
