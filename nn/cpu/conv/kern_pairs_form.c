/* kern_pairs_form.c: activations as operands of products of pairs, and back (see pairs_kern.h). */
#define LN_ACT_BF16
#include "pairs_kern.h"

#include <string.h>

#include "../layer_kern.h"

enum { L = LN_LANES };

static void copy(uint16_t *to, int64_t to_step, const uint16_t *from, int64_t step, int64_t n) {
  for (int64_t i = 0; i < n; i++) memcpy(to + i * to_step, from + i * step, L * sizeof *to);
}

static inline void store_pairs(uint16_t *to, vu first, vu second) {
  *(vu *)(void *)to = (first >> 16) | (second & 0xffff0000u);
}

static void zip(uint16_t *to, int64_t to_step, const uint16_t *from, int64_t step, int64_t n) {
  int64_t i = 0;
  for (; i + 2 <= n; i += 2, to += to_step) store_pairs(to, (vu)act_load(from + i * step), (vu)act_load(from + (i + 1) * step));
  if (i < n) store_pairs(to, (vu)act_load(from + i * step), (vu){0});
}

/* Pairs are moved as floats are; nothing is computed with them. */
static void turn(uint16_t *to, int64_t to_row, const uint16_t *from, int64_t step, int64_t n, uint16_t *pairs) {
  zip(pairs, 2 * L, from, step, n);
  KERN(move).to_plain((float *)(void *)to, to_row / 2, pairs, (n + 1) / 2);
}

static void store(uint16_t *to, int64_t step, const float *c, const float *bias, int64_t n) {
  const vf start = bias != NULL ? vf_load(bias) : (vf){0};
  for (int64_t i = 0; i < n; i++) act_store(to + i * step, act_round(vf_load(c + i * LN_PAIRS_TILE) + start));
}

const ln_pairs_forms KERN(pairs_forms) = {.copy = copy, .zip = zip, .turn = turn, .store = store};
