/* ref.h: how the kernels of the reference backend see a call.
 *
 * The reference backend is the yardstick of all others and a second, readable implementation of every
 * op. Each kernel is three steps: take the inputs as plain arrays of double (or of int64_t, where
 * integers must stay exact), loop as the definition says, store the outputs rounded to their dtype.
 * The arrays live in the call's workspace, 8 bytes for each element of every input and output, so
 * a kernel allocates nothing and an output that shares its input's memory does no harm.
 */
#ifndef LN_REF_REF_H
#define LN_REF_REF_H

#include "../backend.h"

/* One kernel for every row of the op table. */
#define LN_OP(name, ...) ln_code ln_ref_##name(ln_call *call);
#include "../graph/ops.def"
#undef LN_OP

/* -- dtypes, dtype.c */

/* Element i of an array of dtype t, and its store: floats round to nearest even, integers take the
 * value's low bits, bool is 1 for all but 0. */
double ref_get(const void *data, ln_dtype t, int64_t i);
void ref_put(void *data, ln_dtype t, int64_t i, double value);
int64_t ref_get_i64(const void *data, ln_dtype t, int64_t i);
void ref_put_i64(void *data, ln_dtype t, int64_t i, int64_t value);
/* Truncates; NaN and what int64_t cannot hold give INT64_MIN, as x86 does. */
int64_t ref_to_i64(double value);

/* -- a call's tensors as arrays in its workspace, dtype.c */

/* Bytes of workspace that the functions below need; SIZE_MAX on overflow. */
size_t ref_workspace(const ln_call *call);
/* Input i converted, NULL when it is absent. */
double *ref_in(ln_call *call, int i);
int64_t *ref_in_i64(ln_call *call, int i);
/* Room for output i: ref_out clears it, so that kernels may add to it. */
double *ref_out(ln_call *call, int i);
int64_t *ref_out_i64(ln_call *call, int i);
/* Writes the room of output i, or of a written input, to the tensor itself. */
ln_code ref_store(ln_call *call, int i);
ln_code ref_store_i64(ln_call *call, int i);
void ref_store_in(ln_call *call, int i);

/* -- positions, dtype.c: row-major, the last dim runs fastest */

void ref_coords(const ln_meta *m, int64_t linear, int64_t at[LN_MAX_RANK]);
int64_t ref_linear(const ln_meta *m, const int64_t at[LN_MAX_RANK]);
/* Where element `linear` of a tensor of shape `out` comes from when m was broadcast to it. */
int64_t ref_broadcast(const ln_meta *m, const ln_meta *out, int64_t linear);

/* A dim as the middle one of three: element (o, k, i) lies at (o * size + k) * inner + i. */
typedef struct ref_axis {
  int64_t outer, size, inner;
} ref_axis;
ref_axis ref_axis_of(const ln_meta *m, int dim);

#endif
