/* winograd.h: 3x3 convolutions (and 3x3x3 as a sum over depth taps) in f32 by Winograd's minimal
 * filtering, F(4x4,3x3) and F(2x2,3x3) (Lavin and Gray, 2016), over the blocked layout.
 *
 * Stride 1, dilation 1, one group, any padding up to 2 (H, W) and up to kernel - 1 (D); ci and
 * co multiples of the lanes. Tiles are worked on in groups that stay in the caches: no
 * workspace of the size of an activation. No result's bits depend on the thread count.
 */
#ifndef LN_CPU_WINOGRAD_H
#define LN_CPU_WINOGRAD_H

#include "conv.h"

/* Can these kernels do it (geometry alone; whether it pays is conv_choice.c's business)? */
bool ln_wino_can(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir);

/* Forward and backward-data: winograd.c, kern_wino.c, kern_wino_form.c. `kept` (or NULL) is where transformed
 * weights lie or shall be left for the next run with the same weights: ln_wino_kept_bytes, which is 0 where
 * making them anew is as fast as reading them (deep layers, small maps: they are 4 times the weights);
 * fresh says that it must be filled. Without it they are scratch in the workspace, which is some 12 MB at most and 1 to 3 MB a
 * thread. Image strides are multiples of the lanes. The bias is the epilogue's (t->bias is not
 * read); epilogue may be NULL. */
size_t ln_wino_workspace(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, bool kept);
size_t ln_wino_kept_bytes(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir);
void ln_wino_run(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_tensors *t,
                 const ln_conv_images *images, const ln_epilogue *epilogue, float *kept, bool fresh, void *workspace);

/* Backward-weights: winograd_grad.c, kern_wino_grad.c (with points of its own). Writes t->weights, plain [co,ci,kernel]. */
bool ln_wino_grad_can(const ln_cpu *cpu, const ln_conv_geometry *g);
size_t ln_wino_grad_workspace(const ln_cpu *cpu, const ln_conv_geometry *g);
void ln_wino_grad_run(const ln_cpu *cpu, const ln_conv_geometry *g, const ln_conv_tensors *t,
                      const ln_conv_images *images, void *workspace);

#endif
