/* conv_product.h: what the methods built on conv_kern.h's products share: panels of weights and a piece of pixels.
 *
 * An output pixel has `vectors` vectors of channels; weights lie in panels of two vectors, [panel][k][2][lanes],
 * and one of a single vector at the end where their number is odd.
 */
#ifndef LN_CPU_CONV_PRODUCT_H
#define LN_CPU_CONV_PRODUCT_H

#include "conv_kern.h"

enum {
  LN_PIECE_PIXELS = 512, /* most pixels of a piece */
  LN_PANEL_DEPTH = 512   /* k of a panel at a time: 32 KB of weights */
};

typedef struct ln_panels {
  const ln_conv_kerns *kerns;
  int lanes;
  bool plain;              /* inputs are plain: a block of k is one element, else `lanes` of them */
  bool bf16;               /* what is blocked is stored as bf16 */
  int64_t blocks, vectors; /* blocks of k */
  int64_t *offset, *place; /* of each block in the input, of each vector in the output */
  float *weights, *bias;   /* bias: [vectors][lanes], or NULL */
} ln_panels;

/* Sets the arrays into the workspace, of which ln_panels_workspace bytes are taken. The caller fills them. */
size_t ln_panels_workspace(const ln_panels *p, bool bias);
void ln_panels_bind(ln_panels *p, bool bias, void *workspace);

static inline int64_t ln_panels_depth(const ln_panels *p) { return p->blocks * (p->plain ? 1 : p->lanes); }
/* Where lane 0 of vector v of weight k = 0 lies, and how far it is to the next k. */
static inline float *ln_panels_at(const ln_panels *p, int64_t v, int64_t *step) {
  *step = (v ^ 1) < p->vectors ? 2 * p->lanes : p->lanes;
  return p->weights + (v & ~(int64_t)1) * ln_panels_depth(p) * p->lanes + (v & 1) * p->lanes;
}

/* Vectors [first, last), first even, of `count` pixels, whose elements start at in + in_at[i] and out + out_at[i]. */
void ln_panels_run(const ln_panels *p, int64_t first, int64_t last, const void *in, const int64_t *in_at, void *out,
                   const int64_t *out_at, int64_t count);
/* Rounds the weights, once they are filled in, where activations are. */
void ln_panels_round(const ln_cpu *cpu, const ln_panels *p);

/* Weights as they are packed, n floats. */
void ln_conv_round_weights(const ln_cpu *cpu, float *weights, int64_t n);

/* A chunk of a blocked tensor's positions: rows of one plane of one image. Zeroed: the first comes next. */
typedef struct ln_chunk {
  int64_t n, d, h, w, rows, width;
} ln_chunk;
/* The chunk after c of [first, last) rows that are numbered through images, planes and rows; at most `most`
 * positions, rows of more are cut. False after the last. */
bool ln_chunk_next(ln_chunk *c, const int64_t size[LN_SPATIAL], int64_t first, int64_t last, int64_t most);

#endif
