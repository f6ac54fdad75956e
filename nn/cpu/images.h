/* images.h: tensors image by image: a blocked value may be a slice of a concat's memory, so that its
 * images do not lie next to each other.
 */
#ifndef LN_CPU_IMAGES_H
#define LN_CPU_IMAGES_H

#include "cpu.h"
#include "iter.h" /* LN_BLOCK */

/* Elements of one image, and from one image to the next; plain arguments need not have `image` filled in. */
static inline int64_t ln_image_numel(const ln_arg *a) { return a->meta.dim[0] == 0 ? 0 : a->numel / a->meta.dim[0]; }
static inline int64_t ln_image_of(const ln_arg *a) {
  return a->layout == LN_BLOCKED ? a->image : ln_image_numel(a);
}

typedef struct ln_images {
  float *data;
  int64_t image;
} ln_images;

static inline ln_images ln_images_of(const ln_arg *a) { return (ln_images){a->data, ln_image_of(a)}; }

/* Runs of elements that lie together in every argument of an elementwise op: all of them, or
 * those of an image. `padded` makes the blocks of ln_cpu_for end where runs do. */
typedef struct ln_runs {
  int64_t n, each, padded;
} ln_runs;

static inline ln_runs ln_runs_of(const ln_call *call) {
  bool dense = true;
  for (int i = 0; i < call->nin + call->nout; i++) {
    const ln_arg *a = i < call->nin ? &call->in[i] : &call->out[i - call->nin];
    if (a->meta.dtype != LN_NONE && a->layout == LN_BLOCKED) dense = dense && a->image == ln_image_numel(a);
  }
  const ln_arg *y = &call->out[0];
  if (dense) return (ln_runs){1, y->numel, y->numel};
  const int64_t each = ln_image_numel(y);
  return (ln_runs){y->meta.dim[0], each, (each + LN_BLOCK - 1) / LN_BLOCK * LN_BLOCK};
}

/* A block of ln_cpu_for(cpu, runs.n * runs.padded, LN_BLOCK, ...) as elements [from, from + length) of a run. */
static inline int64_t ln_run_block(const ln_runs *r, int64_t begin, int64_t end, int64_t *run, int64_t *from) {
  *run = begin / r->padded;
  *from = begin % r->padded;
  return r->each - *from < end - begin ? r->each - *from : end - begin;
}

#endif
