/* kern_wino_grad_form.c: the transforms of tiles for weight gradients by Winograd (kern_wino_grad.c): vertically into
 * a strip of SIDE rows, then horizontally.
 */
#include "../kern.h"
#include "wino_transform.h"
#include "winograd_grad.h"

#define L LN_LANES

enum { SIDE = LN_WINO_TILE + 2, COLUMNS = LN_WINO_TILE * LN_WINO_STRIP + 2 };

static const act zeros[COLUMNS * LN_LANES];

/* B^T d. */
static inline __attribute__((always_inline)) void input_points(const vf d[6], vf t[6]) {
  vf even = d[4] - 2 * d[2], odd = d[3] - 2 * d[1];
  t[1] = even + WINO_SMALL * odd;
  t[2] = even - WINO_SMALL * odd;
  even = d[4] - 0.5f * d[2], odd = d[3] - 0.5f * d[1];
  t[3] = even + WINO_LARGE * odd;
  t[4] = even - WINO_LARGE * odd;
  t[0] = d[0] + d[4] - 2.5f * d[2];
  t[5] = d[1] + d[5] - 2.5f * d[3];
}

/* A d. */
static inline __attribute__((always_inline)) void gradient_points(const vf d[4], vf t[6]) {
  vf even = d[0] + 0.5f * d[2], odd = d[1] + 0.5f * d[3];
  t[0] = d[0];
  t[1] = even + WINO_SMALL * odd;
  t[2] = even - WINO_SMALL * odd;
  even = d[0] + 2 * d[2], odd = d[1] + 2 * d[3];
  t[3] = even + WINO_LARGE * odd;
  t[4] = even - WINO_LARGE * odd;
  t[5] = d[3];
}

typedef enum side { INPUT = SIDE, GRADIENT = LN_WINO_TILE } side; /* taps of a patch */

static inline __attribute__((always_inline)) void points(side n, const vf *d, vf *t) {
  if (n == INPUT) input_points(d, t);
  else gradient_points(d, t);
}

static inline __attribute__((always_inline)) void vertical(side n, const ln_wino_window *from, int64_t columns,
                                                           float strip[SIDE][COLUMNS * L]) {
  const act *row[SIDE], *plane = from->plane;
  const int64_t begin = from->x < 0 ? -from->x : 0;
  const int64_t inside = from->w - from->x < columns ? from->w - from->x : columns;
  for (int i = 0; i < (int)n; i++) {
    const int64_t y = from->y + i;
    row[i] = y >= 0 && y < from->h ? plane + (y * from->w + from->x + begin) * L : zeros;
  }
  for (int i = 0; i < SIDE; i++) {
    for (int64_t x = 0; x < begin; x++) vf_store(&strip[i][x * L], (vf){0});
    for (int64_t x = inside > begin ? inside : begin; x < columns; x++) vf_store(&strip[i][x * L], (vf){0});
  }
  for (int64_t x = begin; x < inside; x++) {
    vf d[SIDE], t[SIDE];
    for (int i = 0; i < (int)n; i++) d[i] = act_load(row[i] + (x - begin) * L);
    points(n, d, t);
    for (int i = 0; i < SIDE; i++) vf_store(&strip[i][x * L], t[i]);
  }
}

static inline __attribute__((always_inline)) void transform(side n, const ln_wino_window *from, int64_t tiles,
                                                            float *to, int64_t position) {
  float strip[SIDE][COLUMNS * L] __attribute__((aligned(64)));
  vertical(n, from, LN_WINO_TILE * (tiles - 1) + (int64_t)n, strip);
  for (int i = 0; i < SIDE; i++)
    for (int64_t k = 0; k < tiles; k++) {
      vf d[SIDE], t[SIDE];
      for (int j = 0; j < (int)n; j++) d[j] = vf_load(&strip[i][(LN_WINO_TILE * k + j) * L]);
      points(n, d, t);
      for (int j = 0; j < SIDE; j++) vf_store(to + (i * SIDE + j) * position + k * L, t[j]);
    }
}

void KERN_ACT(wino_grad_input)(const ln_wino_window *from, int64_t tiles, float *to, int64_t position) {
  transform(INPUT, from, tiles, to, position);
}

void KERN_ACT(wino_grad_gradient)(const ln_wino_window *from, int64_t tiles, float *to, int64_t position) {
  transform(GRADIENT, from, tiles, to, position);
}
