/* images.h: tensors image by image: a blocked value may be a slice of a concat's memory, so that its
 * images do not lie next to each other.
 */
#ifndef LN_CPU_IMAGES_H
#define LN_CPU_IMAGES_H

#include "cpu.h"
#include "iter.h" /* LN_BLOCK */
#include "span.h"

/* Elements of one image, and from one image to the next; plain arguments need not have `image` filled in. */
static inline int64_t ln_image_numel(const ln_arg *a) { return a->meta.dim[0] == 0 ? 0 : a->numel / a->meta.dim[0]; }
static inline int64_t ln_image_of(const ln_arg *a) {
  return a->layout == LN_BLOCKED ? a->image : ln_image_numel(a);
}

typedef struct ln_images {
  char *data;
  int64_t image, size; /* elements from image to image; bytes of an element */
} ln_images;

static inline ln_images ln_images_of(const ln_arg *a) {
  return (ln_images){a->data, ln_image_of(a), (int64_t)ln_dtype_size(a->meta.dtype)};
}

/* Element `at` of image n, and of an absent tensor NULL. */
static inline void *ln_image_at(ln_images t, int64_t n, int64_t at) {
  return t.data == NULL ? NULL : t.data + (n * t.image + at) * t.size;
}

/* Is the call's main value stored as bf16 (kern.h)? Its other images then are too. */
static inline int ln_is_bf16(const ln_arg *a) { return a->meta.dtype == LN_BF16; }

/* Loops over floats go over what is stored as bf16 in parts, which are widened into buffers that stay in the
 * first-level cache. */
enum { LN_PART = 1024 };

static inline const float *ln_widened(const ln_map_spans *spans, int64_t size, const void *at, int64_t n, float *buffer) {
  if (at == NULL || size == (int64_t)sizeof(float)) return at;
  spans->from_bf16(buffer, at, n);
  return buffer;
}

/* Runs of elements that lie together in every argument of an elementwise op: all of them, or
 * those of an image. `padded` makes the blocks of ln_cpu_for end where runs do. */
typedef struct ln_runs {
  int64_t n, each, padded;
} ln_runs;

static inline ln_runs ln_runs_of(const ln_call *call) {
  bool dense = true;
  for (int i = 0; i < call->nin + call->nout; i++) {
    const ln_arg *a = ln_call_arg(call, i);
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
