/* kern_wino_grad.c: the arithmetic of weight gradients by Winograd, F(4x4,3x3):
 *
 *     dW = G^T [ sum over tiles (B^T x B) .* (A dy A^T) ] G
 *
 * x is a tile's 6x6 input patch, dy its 4x4 gradients (kern_wino_grad_form.c transforms them); G, B and A are those of
 * the forward algorithm with the points 0, +-sqrt(1/2), +-sqrt(2), infinity. They cost as much as the usual 0, +-1, +-2,
 * infinity but treat the three taps alike, which halves the rounding errors. A vector holds the lanes of one channel block.
 */
#include "../kern.h"
#include "wino_transform.h"
#include "winograd_grad.h"

#define L LN_LANES

enum {
  SIDE = LN_WINO_TILE + 2,
  ROWS = LN_LANES == 16 ? 8 : 4, /* of a register tile, with up to 3 vectors: 12 or 24 sums */
  WIDE = 3,
  LONGEST = 64 /* tiles summed one after another: sums of sums have smaller rounding errors than one long sum */
};

/* -- products */

/* Input channels are visited in panels of up to WIDE vectors, as even as it goes; a panel's sums
 * lie together, [row][vector]. One vector alone cannot keep the multipliers busy: none but a lone block. */
static inline int64_t panel_width(int64_t left) {
  if (left == 4) return 2;
  return left < WIDE ? left : WIDE;
}

/* rows x width vectors, in registers over all tiles. */
static inline __attribute__((always_inline)) void register_tile(int rows, int width, const float *x, const float *y,
                                                                int64_t tiles, int64_t block, float *sums, bool add) {
  vf s[16][WIDE];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < width; v++) s[r][v] = (vf){0};
  for (int64_t k = 0; k < tiles; k++) {
    vf a[WIDE];
    for (int v = 0; v < width; v++) a[v] = vf_load(x + v * block + k * L);
    for (int r = 0; r < rows; r++) {
      const vf b = vf_splat(y[k * L + r]);
      for (int v = 0; v < width; v++) s[r][v] += a[v] * b;
    }
  }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < width; v++) {
      float *at = sums + (r * width + v) * L;
      if (add) s[r][v] += vf_load(at);
      vf_store(at, s[r][v]);
    }
}

/* The next position's operands come from L3: each register tile asks for some lines of them, and for the next sums. */
typedef struct ahead {
  const char *x, *y;
  int64_t x_lines, y_lines; /* of a register tile */
} ahead;

enum { LINE = 64 };

static inline __attribute__((always_inline)) void fetch(ahead *a) {
  for (int64_t i = 0; i < a->x_lines; i++, a->x += LINE) __builtin_prefetch(a->x, 0, 2);
  for (int64_t i = 0; i < a->y_lines; i++, a->y += LINE) __builtin_prefetch(a->y, 0, 2);
}

static inline __attribute__((always_inline)) void panel(int rows, int width, const ln_wino_grad_product *p, const float *x,
                                                        float *sums, ahead *a) {
  const int64_t runs = (p->tiles + LONGEST - 1) / LONGEST, run = runs > 1 ? (p->tiles + runs - 1) / runs : p->tiles;
  for (int64_t r = 0; r < p->rows; r += rows) {
    const float *y = p->y + r / L * p->block + r % L;
    float *at = sums + r * width * L;
    fetch(a);
    for (int i = 0; i < rows * width * L; i += LINE / 4) __builtin_prefetch(at + rows * width * L + i, 1, 3);
    int64_t k = 0;
    do { /* once even without tiles */
      register_tile(rows, width, x + k * L, y + k * L, p->tiles - k < run ? p->tiles - k : run, p->block, at, p->add || k > 0);
      k += run;
    } while (k < p->tiles);
  }
}

static void product(const ln_wino_grad_product *p, const ln_wino_sums *sums, int position) {
  float *to = sums->data + position * sums->position;
  const int64_t calls = (sums->blocks + WIDE - 1) / WIDE * (p->rows / ROWS), block_bytes = p->block * (int64_t)sizeof(float);
  ahead a = {(const char *)p->next_x, (const char *)p->next_y, sums->blocks * block_bytes / LINE / calls + 1,
             p->rows / L * block_bytes / LINE / calls + 1};
  for (int64_t b = 0, width; b < sums->blocks; b += width) {
    width = panel_width(sums->blocks - b);
    const float *x = p->x + b * p->block;
    float *at = to + (b * sums->rows + p->row0 * width) * L;
    if (width == 3) panel(ROWS, 3, p, x, at, &a);
    else if (width == 2) panel(ROWS, 2, p, x, at, &a);
    else panel(8, 1, p, x, at, &a);
  }
}

/* -- the result */

/* G^T m. */
static inline __attribute__((always_inline)) void weight_taps(const vf m[6], vf w[3]) {
  const vf small = m[1] + m[2], large = m[3] + m[4];
  w[0] = m[0] - small * (2.0f / 3) + large * (1.0f / 6);
  w[1] = (m[3] - m[4]) * (WINO_LARGE / 6) - (m[1] - m[2]) * (WINO_LARGE / 3);
  w[2] = m[5] + (large - small) * (1.0f / 3);
}

typedef float v8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t i8 __attribute__((vector_size(32)));
#define PICK(a, b, ...) __builtin_shuffle(a, b, (i8){__VA_ARGS__})

static inline __attribute__((always_inline)) void transpose(v8 m[8]) {
  v8 one[8], two[8];
  for (int i = 0; i < 8; i += 2) {
    one[i] = PICK(m[i], m[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    one[i + 1] = PICK(m[i], m[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  for (int i = 0; i < 8; i += 4)
    for (int j = 0; j < 2; j++) {
      two[i + 2 * j] = PICK(one[i + j], one[i + j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      two[i + 2 * j + 1] = PICK(one[i + j], one[i + j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  for (int i = 0; i < 4; i++) {
    m[i] = PICK(two[i], two[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    m[i + 4] = PICK(two[i], two[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

/* Eight channels' taps, [9][L] in memory, go to their 9 places each. */
static inline __attribute__((always_inline)) void scatter(const float *taps, float *weights, int64_t channel_step) {
  v8 m[8];
  for (int i = 0; i < 8; i++) m[i] = *(const v8 *)(taps + i * L);
  transpose(m);
  for (int c = 0; c < 8; c++) {
    *(v8 *)(weights + c * channel_step) = m[c];
    weights[c * channel_step + 8] = taps[8 * L + c];
  }
}

static inline void output_block(const float *sums, int64_t position, float *weights, int64_t channel_step) {
  vf half[3][SIDE], w[9];
  for (int j = 0; j < SIDE; j++) {
    vf m[SIDE], t[3];
    for (int i = 0; i < SIDE; i++) m[i] = vf_load(sums + (i * SIDE + j) * position);
    weight_taps(m, t);
    for (int i = 0; i < 3; i++) half[i][j] = t[i];
  }
  for (int i = 0; i < 3; i++) weight_taps(half[i], &w[3 * i]);
  float taps[9 * L] __attribute__((aligned(64)));
  for (int i = 0; i < 9; i++) vf_store(taps + i * L, w[i]);
  for (int c = 0; c < L; c += 8) scatter(taps + c, weights + c * channel_step, channel_step);
}

static void output(const ln_wino_sums *sums, int64_t row0, int64_t row1, float *weights, int64_t row_step,
                   int64_t channel_step) {
  for (int64_t row = row0; row < row1; row++)
    for (int64_t b = 0, width; b < sums->blocks; b += width) {
      width = panel_width(sums->blocks - b);
      for (int64_t v = 0; v < width; v++)
        output_block(sums->data + (b * sums->rows + row * width + v) * L, sums->position,
                     weights + row * row_step + (b + v) * L * channel_step, channel_step);
    }
}

const ln_wino_grad_kerns KERN(wino_grad) = {.input = {KERN(wino_grad_input), KERN(wino_grad_input_bf16)},
                                            .gradient = {KERN(wino_grad_gradient), KERN(wino_grad_gradient_bf16)},
                                            .product = product, .output = output};
