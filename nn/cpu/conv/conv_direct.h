/* conv_direct.h: a convolution by oneDNN's primitives, over the batch or image by image.
 *
 * Image by image: where images lie apart (oneDNN would take its reference loops for such a tensor), where an
 * epilogue wants each image while it is in the cache, and for deterministic weight gradients.
 */
#ifndef LN_CPU_CONV_DIRECT_H
#define LN_CPU_CONV_DIRECT_H

#include "conv_finish.h"
#include "onednn.h"

typedef struct ln_conv_direct {
  ln_conv_geometry g;
  ln_conv_dir dir;
  ln_conv_images images;
  ln_dnnl_conv *dnnl; /* NULL: oneDNN has nothing for it */
  bool each;          /* a primitive for one image */
  int lanes;          /* weight gradients of `each`: images at a time */
  int threads;        /* of one run of the primitive */
} ln_conv_direct;

/* bias: there is one; finish: something else follows. */
ln_code ln_conv_direct_new(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides,
                           bool bias, bool finish, ln_conv_direct *out, ln_error *err);
void ln_conv_direct_free(ln_conv_direct *d);
size_t ln_conv_direct_workspace(const ln_conv_direct *d);
/* Finishes the output's images with f where it is not NULL. The primitive adds the bias in FORWARD, so f
 * must not. Returns oneDNN's status. */
int ln_conv_direct_run(const ln_cpu *cpu, const ln_conv_direct *d, const ln_conv_tensors *t, const ln_finish *f,
                       void *workspace);

#endif
