/* unpool.h: the gradient of max pooling by pairs of rows, so that whoever goes on with them finds them in the cache
 * (pool_grad.c, norm_grad.c).
 */
#ifndef LN_CPU_UNPOOL_H
#define LN_CPU_UNPOOL_H

#include "images.h"
#include "layer_kern.h"

typedef struct ln_unpool {
  const ln_pool_kerns *kerns;   /* blocked; NULL: plain */
  ln_images other, gy, index;   /* other.data: NULL, or added */
  int64_t size, planes, lanes;  /* bytes of an element, planes of an image, channels of a plane */
  int64_t big[3], small[3];     /* of a plane of gx, of gy */
  bool by_rows;                 /* every index lies in its output's own window of 2 x 2, in the blocked layout */
} ln_unpool;

/* Looks at every index; LN_EINVAL when one lies outside gx. `other` is NULL or has gx' shape. */
ln_code ln_unpool_open(ln_cpu *cpu, ln_unpool *u, const ln_arg *gx, const ln_arg *other, const ln_arg *gy, const ln_arg *indices,
                       ln_error *err);

/* All of gx, which has the form that `u` was opened for. workspace: ln_cpu_max_pool_grad_workspace's. */
void ln_unpool_fill(ln_cpu *cpu, const ln_unpool *u, const ln_arg *gx, void *workspace);

static inline int64_t ln_unpool_halves(const ln_unpool *u) { return (u->big[1] + 1) / 2; }
static inline int64_t ln_unpool_pairs(const ln_unpool *u) { return u->big[0] * ln_unpool_halves(u); } /* of a plane */

/* If by_rows: rows 2h and 2h + 1 of a plane (of an odd height's last pair only the first) to `to`, which may be
 * where they lie in `other`. */
void ln_unpool_pair(const ln_unpool *u, int64_t n, int64_t plane, int64_t pair, void *to);

#endif
