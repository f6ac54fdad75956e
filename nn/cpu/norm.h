/* norm.h: what batch normalisation (norm.c) and its gradient (norm_grad.c) share.
 *
 * A kernel goes over the pieces of planes (planes.h): a first pass leaves each piece's sums in the workspace,
 * they are combined channel by channel into constants, a second pass applies those.
 */
#ifndef LN_CPU_NORM_H
#define LN_CPU_NORM_H

#include "planes.h"
#include "span.h"

enum { LN_NORM_PIECE = 32768 };

/* The constants of a plane, `width` floats each, one for each of its channels. */
enum { LN_NORM_MEAN, LN_NORM_FACTOR, LN_NORM_SHIFT, LN_NORM_C1, LN_NORM_C2, LN_NORM_CONSTANTS };

typedef struct ln_norm_constants {
  const ln_planes *planes;
  float *at;
} ln_norm_constants;

static inline float *ln_norm_constant(const ln_norm_constants *k, int64_t plane, int which) {
  return k->at + (plane * LN_NORM_CONSTANTS + which) * k->planes->width;
}

static inline size_t ln_norm_constants_bytes(const ln_planes *p) {
  return ln_cpu_align((size_t)(p->planes * p->width * LN_NORM_CONSTANTS) * sizeof(float));
}

double ln_norm_rstd(float var, double eps);

/* From given statistics: y = (x - mean) factor + shift in every op that normalises, so that they
 * give the same bits. w and b are NULL for 1 and 0. */
void ln_norm_set(const ln_norm_constants *k, const float *mean, const float *var, const float *w, const float *b,
                 double eps, int64_t channel);
void ln_norm_set_all(ln_cpu *cpu, const ln_norm_constants *k, const float *mean, const float *var, const float *w, const float *b,
                     double eps);

#endif
