/* planes.h: a tensor [N, C, positions] cut into pieces of planes, for kernels that work channel by channel.
 *
 * A plane is what lies together: the positions of one channel of one image, or, blocked, the
 * positions of `width` = lanes channels, which alternate. Pieces follow from the shape alone and are numbered in
 * memory order, so what is summed by pieces and combined in their order has the same bits for
 * any number of threads.
 */
#ifndef LN_CPU_PLANES_H
#define LN_CPU_PLANES_H

#include "images.h"

typedef struct ln_planes {
  int64_t n, planes, width; /* images, planes of an image, channels of a plane */
  int64_t s, pieces, piece; /* positions and pieces of a plane, positions of a piece (the last may be shorter) */
} ln_planes;

typedef struct ln_piece {
  int64_t n, plane, from, length; /* positions [from, from + length) of a plane of image n */
} ln_piece;

/* `elements`: at most so many go into a piece. */
static inline ln_planes ln_planes_of(const ln_cpu *cpu, const ln_arg *x, int64_t elements) {
  ln_planes p = {.n = x->meta.dim[0], .width = x->layout == LN_BLOCKED ? cpu->lanes : 1, .s = 1};
  p.planes = x->meta.dim[1] / p.width;
  for (int d = 2; d < x->meta.rank; d++) p.s *= x->meta.dim[d];
  const int64_t most = elements / p.width;
  p.pieces = (p.s + most - 1) / most;
  p.piece = p.pieces == 0 ? 0 : (p.s + p.pieces - 1) / p.pieces;
  return p;
}

static inline int64_t ln_piece_count(const ln_planes *p) { return p->n * p->planes * p->pieces; }

static inline ln_piece ln_piece_at(const ln_planes *p, int64_t u) {
  const int64_t plane = u / p->pieces, from = u % p->pieces * p->piece;
  return (ln_piece){.n = plane / p->planes, .plane = plane % p->planes, .from = from,
                    .length = p->s - from < p->piece ? p->s - from : p->piece};
}

/* Where a piece lies in a tensor whose images are `image` elements apart. */
static inline int64_t ln_piece_offset(const ln_planes *p, const ln_piece *piece, int64_t image) {
  return piece->n * image + (piece->plane * p->s + piece->from) * p->width;
}

static inline void ln_for_pieces(const ln_cpu *cpu, const ln_planes *p, ln_cpu_body body, void *arg) {
  const int64_t cost = p->piece * p->width;
  ln_cpu_for(cpu, ln_piece_count(p), LN_BLOCK / (cost + 1) + 1, cost, body, arg);
}

/* Once for each plane of an image, to combine what its pieces in all images left. */
static inline void ln_for_planes(const ln_cpu *cpu, const ln_planes *p, ln_cpu_body body, void *arg) {
  const int64_t cost = 8 * p->n * p->pieces * p->width + 16;
  ln_cpu_for(cpu, p->planes, LN_BLOCK / cost + 1, cost, body, arg);
}

static inline void *ln_piece_data(const ln_planes *p, const ln_piece *piece, ln_images t) {
  return ln_image_at(t, 0, ln_piece_offset(p, piece, t.image));
}

/* reorder.c: cat and slice along the channels of blocked tensors, by whole planes. */
ln_code ln_cpu_slice_blocked(ln_cpu *cpu, ln_call *call);
ln_code ln_cpu_cat_blocked(ln_cpu *cpu, ln_call *call);

/* channel_sum.c: the op sum of a blocked tensor, over all dims but the channels. */
ln_code ln_cpu_channel_sum(ln_cpu *cpu, ln_call *call);

/* Each piece has left `kinds` times `width` sums; those of channel c are added up over images and pieces. */
static inline void ln_channel_sums(const ln_planes *p, const double *sums, int kinds, int64_t c, double *total) {
  const int64_t plane = c / p->width, lane = c % p->width;
  for (int k = 0; k < kinds; k++) total[k] = 0;
  for (int64_t n = 0; n < p->n; n++) {
    for (int64_t i = 0; i < p->pieces; i++) {
      const double *piece = sums + ((n * p->planes + plane) * p->pieces + i) * kinds * p->width;
      for (int k = 0; k < kinds; k++) total[k] += piece[k * p->width + lane];
    }
  }
}

#endif
