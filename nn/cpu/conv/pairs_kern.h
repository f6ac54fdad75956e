/* pairs_kern.h: what conv_pairs*.c ask of an instruction set's vectors beside the products themselves: bringing activations,
 * which are stored as bf16 (kern.h), into the operands' forms, and sums into activations.
 */
#ifndef LN_CPU_PAIRS_KERN_H
#define LN_CPU_PAIRS_KERN_H

#include "../kern.h"
#include "pairs.h"

/* All of n positions that lie `step` elements apart, of `lanes` channels each. */
typedef struct ln_pairs_forms {
  /* A copy with positions to_step apart. */
  void (*copy)(uint16_t *to, int64_t to_step, const uint16_t *from, int64_t step, int64_t n);
  /* Neighbouring positions as pairs: to[i to_step + 2 lane] and the element behind it are positions 2 i and 2 i + 1; a position
   * behind an odd last one is zero. */
  void (*zip)(uint16_t *to, int64_t to_step, const uint16_t *from, int64_t step, int64_t n);
  /* The same, turned: row `lane` of `to`, to_row elements apart, has the positions side by side, and the zero. Through `pairs`, for zip's. */
  void (*turn)(uint16_t *to, int64_t to_row, const uint16_t *from, int64_t step, int64_t n, uint16_t *pairs);
  /* to[i step ..] = round(c[16 i ..] + bias), bias of `lanes` floats or NULL. */
  void (*store)(uint16_t *to, int64_t step, const float *c, const float *bias, int64_t n);
} ln_pairs_forms;

#ifdef LN_ISA
extern const ln_pairs KERN(pairs);
extern const ln_pairs_forms KERN(pairs_forms);
#endif

#endif
