/* kern.h: vector kernels over the blocked layout, compiled once per instruction set.
 *
 * kern_*.c are written with gcc's vector types only: `vf` is LN_LANES floats, 8 for generic
 * (where gcc splits it) and AVX2, 16 for AVX-512. No intrinsics: one source serves all, and the
 * 16-lane shape can be compiled for and run on AVX2 (make WIDE=1). (One exception: loads and stores of bf16.) Flags are those of span_*.c plus
 * -ffp-contract=fast, so a * b + c is one FMA where there is one; not in kern_layer*.c, whose bits are those of
 * the plain kernels (layer_kern.h). Each kern_*.c ends in its part of the table, KERN(name); kern_table.c joins the parts.
 *
 * Activations are stored as floats or, in a plan of --precision bf16, as bf16, the upper half of a float. A
 * kernel that reads or writes them is written once, for `act`: NAME_bf16.c defines LN_ACT_BF16 and includes NAME.c. Tables of
 * such kernels take activations as void *, and there are two of each, [0] for f32 and [1] for bf16.
 */
#ifndef LN_CPU_KERN_H
#define LN_CPU_KERN_H

#include "cpu.h"

#if defined(LN_ACT_BF16) && defined(__AVX2__)
#include <immintrin.h>
#endif

/* The parts are opaque here: each family declares its own in its header (winograd.h, ...). */
typedef struct ln_kerns {
  int lanes;
  const struct ln_peak_kerns *peak;             /* kern_peak.c: peak.h */
  const struct ln_wino_kerns *wino;             /* kern_wino.c, kern_wino_form.c: wino_kern.h */
  const struct ln_wino_grad_kerns *wino_grad;   /* kern_wino_grad*.c: winograd_grad.h */
  const struct ln_conv_kerns *conv[2];          /* kern_conv*.c: conv_kern.h */
  const struct ln_rows_kerns *rows;             /* kern_conv_rows.c: conv_rows_kern.h */
  const struct ln_layer_kerns *layer[2];        /* kern_layer*.c: layer_kern.h */
  const struct ln_pairs *pairs;                 /* kern_pairs.c: pairs.h */
  const struct ln_pairs_forms *pairs_forms;     /* kern_pairs_form.c: pairs_kern.h */
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

/* -- activations. Only what act_round gives is stored: sums over what was stored, masks and later layers
 * then see one value. */
#ifdef LN_ACT_BF16
typedef uint16_t act;
#define KERN_ACT(name) KERN(name##_bf16)
typedef uint16_t vh __attribute__((vector_size(LN_LANES * 2), aligned(2), may_alias));
typedef uint32_t vu __attribute__((vector_size(LN_LANES * 4), aligned(4), may_alias));

static inline float act_value(const act *p) {
  const union { uint32_t bits; float value; } u = {(uint32_t)*p << 16};
  return u.value;
}
/* One broadcast of 16 bits, then the lower half of each lane is shifted out. */
static inline vf act_splat(const act *p) {
  typedef uint16_t words __attribute__((vector_size(LN_LANES * 4)));
  return (vf)((vu)(*p - (words){0}) << 16);
}
/* Halves to even. A NaN stays one, since those of arithmetic have their highest bit set. */
static inline vf act_round(vf v) {
  const vu bits = (vu)v;
  return (vf)((bits + ((0x7fffu + ((bits >> 16) & 1u)) & (vu)(v == v))) & 0xffff0000u);
}
/* gcc 12 takes conversions of vectors apart, so these two are written out where they can be. */
#if defined(__AVX512BW__) && LN_LANES == 16
static inline vf act_load(const act *p) { return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)p)), 16); }
static inline void act_store(act *p, vf rounded) {
  _mm256_storeu_si256((void *)p, _mm512_cvtepi32_epi16(_mm512_srli_epi32((__m512i)rounded, 16)));
}
#elif defined(__AVX2__)
static inline __m256i act_load8(const act *p) { return _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)p)), 16); }
static inline void act_store8(act *p, __m256i rounded) {
  const __m256i high = _mm256_srli_epi32(rounded, 16);
  _mm_storeu_si128((void *)p, _mm256_castsi256_si128(_mm256_permute4x64_epi64(_mm256_packus_epi32(high, high), 8)));
}
typedef union act_parts {
  vf whole;
  __m256i part[LN_LANES / 8];
} act_parts;
static inline vf act_load(const act *p) {
  act_parts u;
  for (int i = 0; i < LN_LANES / 8; i++) u.part[i] = act_load8(p + 8 * i);
  return u.whole;
}
static inline void act_store(act *p, vf rounded) {
  const act_parts u = {rounded};
  for (int i = 0; i < LN_LANES / 8; i++) act_store8(p + 8 * i, u.part[i]);
}
#else
static inline vf act_load(const act *p) { return (vf)(__builtin_convertvector(*(const vh *)p, vu) << 16); }
static inline void act_store(act *p, vf rounded) { *(vh *)p = __builtin_convertvector((vu)rounded >> 16, vh); }
#endif
#else
typedef float act;
#define KERN_ACT(name) KERN(name)
static inline vf act_load(const act *p) { return vf_load(p); }
static inline float act_value(const act *p) { return *p; }
static inline vf act_splat(const act *p) { return vf_splat(*p); }
static inline vf act_round(vf v) { return v; }
static inline void act_store(act *p, vf rounded) { vf_store(p, rounded); }
#endif
#endif

#endif
