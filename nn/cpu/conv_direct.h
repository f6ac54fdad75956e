/* conv_direct.h: a convolution by oneDNN's primitives, over the batch or image by image. */
#ifndef LN_CPU_CONV_DIRECT_H
#define LN_CPU_CONV_DIRECT_H

#include "conv.h"
#include "onednn.h"

typedef struct ln_conv_direct {
  ln_conv_geometry g;
  ln_conv_dir dir;
  ln_dnnl_conv *dnnl; /* NULL: oneDNN has nothing for it */
  int lanes;          /* images at a time, each in a thread of its own; 0: the whole batch in one primitive */
} ln_conv_direct;

ln_code ln_conv_direct_new(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, bool bias, ln_conv_direct *out,
                           ln_error *err);
void ln_conv_direct_free(ln_conv_direct *d);
size_t ln_conv_direct_workspace(const ln_conv_direct *d);
/* Returns oneDNN's status. Adds the bias where dir is FORWARD. */
int ln_conv_direct_run(const ln_cpu *cpu, const ln_conv_direct *d, const ln_conv_tensors *t, void *workspace);

#endif
