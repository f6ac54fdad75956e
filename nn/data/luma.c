/* luma.c: colour to grey, a row at a time. */
#include "../base/clones.h"
#include "decode.h"

static inline __attribute__((always_inline)) void row(const uint8_t *restrict pixel, int64_t step, int64_t width,
                                                      uint8_t *restrict grey) {
  for (int64_t x = 0; x < width; x++) grey[x] = ln_luma(pixel[step * x], pixel[step * x + 1], pixel[step * x + 2]);
}

LN_CLONES void ln_luma_row(const uint8_t *restrict pixel, int step, int64_t width, uint8_t *restrict grey) {
  if (step == 3) row(pixel, 3, width, grey); /* a constant each: gcc vectorises both */
  else row(pixel, 4, width, grey);
}
