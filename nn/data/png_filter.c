/* png_filter.c: see png_filter.h.
 *
 * Sub, Average and Paeth need the pixel to the left, so a row is one long chain and what
 * counts is the chain's latency: a pixel's channels go side by side through one vector
 * without branches. Paeth by its definition branches on noise; here it is
 *   t = 3c - a - b;  t >= max(a, b) -> min(a, b);  t <= min(a, b) -> max(a, b);  else c
 * which is the same choice (ties included) with only one operation between a and the
 * comparisons.
 */
#include "png_filter.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "widen puts the low byte first");

/* Whole registers, of which the first four members count. */
typedef uint8_t octets __attribute__((vector_size(16))), half __attribute__((vector_size(8)));
typedef int16_t lanes __attribute__((vector_size(16)));

static inline octets load(const uint8_t *at) {
  uint32_t word;
  memcpy(&word, at, sizeof word);
  return (octets)(__attribute__((vector_size(16))) uint32_t){word};
}

/* By a shuffle, which gcc makes one instruction here; its conversion goes through memory. */
static inline lanes widen(octets bytes) {
  const octets zero = {0}, pairs = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23};
  return (lanes)__builtin_shuffle(bytes, zero, pairs);
}

static inline void store(uint8_t *at, lanes values, size_t pixel) {
  half bytes = __builtin_convertvector(values, half);
  memcpy(at, &bytes, pixel);
}

static inline lanes least(lanes a, lanes b) {
  lanes r;
  for (int i = 0; i < 8; i++) r[i] = a[i] < b[i] ? a[i] : b[i];
  return r;
}

static inline lanes most(lanes a, lanes b) {
  lanes r;
  for (int i = 0; i < 8; i++) r[i] = a[i] > b[i] ? a[i] : b[i];
  return r;
}

static inline __attribute__((always_inline)) void sub(uint8_t *row, size_t bytes, size_t pixel) {
  octets left = {0};
  for (size_t i = 0; i < bytes; i += pixel) {
    left += load(row + i);
    memcpy(row + i, &left, pixel);
  }
}

static inline __attribute__((always_inline)) void average(uint8_t *row, const uint8_t *above, size_t bytes, size_t pixel) {
  lanes left = {0};
  for (size_t i = 0; i < bytes; i += pixel) {
    left = (widen(load(row + i)) + ((left + widen(load(above + i))) >> 1)) & 255;
    store(row + i, left, pixel);
  }
}

static inline __attribute__((always_inline)) void paeth(uint8_t *row, const uint8_t *above, size_t bytes, size_t pixel) {
  lanes a = {0}, c = {0};
  for (size_t i = 0; i < bytes; i += pixel) {
    lanes b = widen(load(above + i)), low = least(a, b), high = most(a, b), t = 3 * c - b - a;
    lanes take_low = ~(lanes)(high > t), take_high = ~(lanes)(t > low); /* both: all three are equal */
    a = (widen(load(row + i)) + (c ^ ((c ^ low) & take_low) ^ ((c ^ high) & take_high))) & 255;
    store(row + i, a, pixel);
    c = b;
  }
}

static void up(uint8_t *restrict row, const uint8_t *restrict above, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) row[i] = (uint8_t)(row[i] + above[i]);
}

static inline __attribute__((always_inline)) bool unfilter(int filter, uint8_t *row, const uint8_t *above, size_t bytes,
                                                           size_t pixel) {
  switch (filter) {
  case 0: return true;
  case 1: return sub(row, bytes, pixel), true;
  case 2: return up(row, above, bytes), true;
  case 3: return average(row, above, bytes, pixel), true;
  case 4: return paeth(row, above, bytes, pixel), true;
  }
  return false;
}

bool ln_png_unfilter(int filter, uint8_t *row, const uint8_t *above, size_t bytes, int pixel) {
  switch (pixel) { /* a constant makes each store one or two instructions */
  case 1: return unfilter(filter, row, above, bytes, 1);
  case 2: return unfilter(filter, row, above, bytes, 2);
  case 3: return unfilter(filter, row, above, bytes, 3);
  }
  return unfilter(filter, row, above, bytes, 4);
}
