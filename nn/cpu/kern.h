/* kern.h: vector kernels over the blocked layout, compiled once per instruction set.
 *
 * kern_*.c are written with gcc's vector types only: `vf` is LN_LANES floats, 8 for generic
 * (where gcc splits it) and AVX2, 16 for AVX-512. No intrinsics: one source serves all, and the
 * 16-lane shape can be compiled for and run on AVX2 (make WIDE=1). Flags are those of span_*.c plus
 * -ffp-contract=fast, so a * b + c is one FMA where there is one; not in kern_layer*.c, whose bits are those of
 * the plain kernels (layer_kern.h). Each kern_*.c ends in its part of the table, KERN(name); kern_table.c joins the parts.
 */
#ifndef LN_CPU_KERN_H
#define LN_CPU_KERN_H

#include "cpu.h"

/* The parts are opaque here: each family declares its own in its header (winograd.h, ...). */
typedef struct ln_kerns {
  int lanes;
  const struct ln_peak_kerns *peak;             /* kern_peak.c: peak.h */
  const struct ln_wino_kerns *wino;             /* kern_wino.c, kern_wino_form.c: wino_kern.h */
  const struct ln_wino_grad_kerns *wino_grad;   /* kern_wino_grad.c: winograd_grad.h */
  const struct ln_conv_kerns *conv;             /* kern_conv*.c: conv_kern.h */
  const struct ln_rows_kerns *rows;             /* kern_conv_rows.c: conv_rows_kern.h */
  const struct ln_layer_kerns *layer;           /* kern_layer.c: layer_kern.h */
} ln_kerns;

extern const ln_kerns ln_kern_table_generic, ln_kern_table_avx2, ln_kern_table_avx512;

#ifdef LN_ISA
#define KERN_PASTE2(a, b, c) a##b##_##c
#define KERN_PASTE(a, b, c) KERN_PASTE2(a, b, c)
/* The external name of a kernel table of this compilation. */
#define KERN(name) KERN_PASTE(ln_kern_, name, LN_ISA)

typedef float vf __attribute__((vector_size(LN_LANES * 4), aligned(4), may_alias));
typedef int32_t vi __attribute__((vector_size(LN_LANES * 4), aligned(4), may_alias));

static inline vf vf_load(const float *p) { return *(const vf *)p; }
static inline void vf_store(float *p, vf v) { *(vf *)p = v; }
/* s - 0 is s for every s, so this is one broadcast; {0} + s would cost an addition, and a loop over lanes
 * is taken apart where it is unrolled into its surroundings. */
static inline vf vf_splat(float s) { return s - (vf){0}; }
#endif

#endif
