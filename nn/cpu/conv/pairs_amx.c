/* pairs_amx.c: products of pairs in AMX's tiles (see pairs.h). Two tiles of A, two of B and four of C are all eight. */
#include "pairs.h"

#if defined(__x86_64__)
#pragma GCC target("amx-tile,amx-bf16")
#include <immintrin.h>

/* Every tile has 16 rows of 64 bytes. Static, since gcc 12 is not told that the instruction reads all of it. */
static const struct {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} config = {.palette = 1, .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};

static void begin(void) { _tile_loadconfig(&config); }

/* Idle tiles would be part of what every switch of threads saves. */
static void end(void) { _tile_release(); }

enum { ROW_BYTES = 64 };

/* Tiles are named in the instructions, so each of the four shapes is written out: C's tiles are 0 to 3, A's 4 and 5, B's 6 and 7. */
#define LOAD_C(tile, at)                                              \
  if (p->add) _tile_loadd(tile, p->c + (at) * LN_PAIRS_SUMS, ROW_BYTES); \
  else _tile_zero(tile)
#define STORE_C(tile, at) _tile_stored(tile, p->c + (at) * LN_PAIRS_SUMS, ROW_BYTES)

static void multiply_1x1(const ln_pairs_product *p) {
  const uint16_t *b = p->b;
  LOAD_C(0, 0);
  for (int64_t s = 0; s < p->steps; s++, b += LN_PAIRS_STEP) {
    _tile_loadd(4, p->a + p->at[s], p->a_row * 2);
    _tile_loadd(6, b, ROW_BYTES);
    _tile_dpbf16ps(0, 4, 6);
  }
  STORE_C(0, 0);
}

static void multiply_2x1(const ln_pairs_product *p) {
  const uint16_t *b = p->b;
  LOAD_C(0, 0);
  LOAD_C(1, 1);
  for (int64_t s = 0; s < p->steps; s++, b += LN_PAIRS_STEP) {
    const uint16_t *a = p->a + p->at[s];
    _tile_loadd(6, b, ROW_BYTES);
    _tile_loadd(4, a, p->a_row * 2);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(5, a + p->a_tile, p->a_row * 2);
    _tile_dpbf16ps(1, 5, 6);
  }
  STORE_C(0, 0);
  STORE_C(1, 1);
}

static void multiply_1x2(const ln_pairs_product *p) {
  const uint16_t *b = p->b;
  LOAD_C(0, 0);
  LOAD_C(2, 1);
  for (int64_t s = 0; s < p->steps; s++, b += LN_PAIRS_STEP) {
    _tile_loadd(4, p->a + p->at[s], p->a_row * 2);
    _tile_loadd(6, b, ROW_BYTES);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + p->b_tile, ROW_BYTES);
    _tile_dpbf16ps(2, 4, 7);
  }
  STORE_C(0, 0);
  STORE_C(2, 1);
}

static void multiply_2x2(const ln_pairs_product *p) {
  const uint16_t *b = p->b;
  LOAD_C(0, 0);
  LOAD_C(1, 1);
  LOAD_C(2, 2);
  LOAD_C(3, 3);
  for (int64_t s = 0; s < p->steps; s++, b += LN_PAIRS_STEP) {
    const uint16_t *a = p->a + p->at[s];
    _tile_loadd(4, a, p->a_row * 2);
    _tile_loadd(6, b, ROW_BYTES);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + p->b_tile, ROW_BYTES);
    _tile_dpbf16ps(2, 4, 7);
    _tile_loadd(5, a + p->a_tile, p->a_row * 2);
    _tile_dpbf16ps(1, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  STORE_C(0, 0);
  STORE_C(1, 1);
  STORE_C(2, 2);
  STORE_C(3, 3);
}

const ln_pairs ln_pairs_amx = {.rate = 16, .begin = begin, .end = end,
                               .multiply = {{multiply_1x1, multiply_1x2}, {multiply_2x1, multiply_2x2}}};
#endif
