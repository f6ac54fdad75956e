/* reorder.c: between the plain and the blocked layout, and blocked channels moved as they are (cat and slice
 * along the channels, whose parts are whole planes).
 */
#include "layer_kern.h"
#include "planes.h"

#include <string.h>

enum { PIECE = 16384 };

/* Elements of four bytes of any type: floats are moved, never computed with. */
typedef struct move_job {
  const ln_move_kerns *kerns;
  ln_planes planes;
  ln_images x, y;
  bool to_blocked;
} move_job;

static void copy_range(void *arg, int64_t begin, int64_t end) {
  const move_job *j = arg;
  for (int64_t u = begin; u < end; u++) {
    const ln_piece p = ln_piece_at(&j->planes, u);
    memcpy(ln_piece_data(&j->planes, &p, j->y), ln_piece_data(&j->planes, &p, j->x),
           (size_t)(p.length * j->planes.width) * sizeof(float));
  }
}

/* `blocked` is cut into pieces; the channels of x and y are its own, or begin there. */
static void copy_planes(ln_cpu *cpu, const ln_arg *blocked, ln_images x, ln_images y) {
  move_job j = {.planes = ln_planes_of(cpu, blocked, PIECE), .x = x, .y = y};
  ln_for_pieces(cpu, &j.planes, copy_range, &j);
}

static ln_images from_channel(const ln_cpu *cpu, const ln_arg *a, int64_t channel) {
  const ln_planes p = ln_planes_of(cpu, a, PIECE);
  return (ln_images){(float *)a->data + channel * p.s, a->image};
}

ln_code ln_cpu_slice_blocked(ln_cpu *cpu, ln_call *call) {
  copy_planes(cpu, &call->out[0], from_channel(cpu, &call->in[0], call->attrs->start), ln_images_of(&call->out[0]));
  return LN_OK;
}

ln_code ln_cpu_cat_blocked(ln_cpu *cpu, ln_call *call) {
  int64_t channel = 0;
  for (int k = 0; k < call->nin; k++) {
    const ln_images from = ln_images_of(&call->in[k]), to = from_channel(cpu, &call->out[0], channel);
    if (from.data != to.data) copy_planes(cpu, &call->in[k], from, to); /* else it was computed in place */
    channel += call->in[k].meta.dim[1];
  }
  return LN_OK;
}

/* A piece of a blocked plane is a part of as many plain rows as it has channels. */
static void transpose_range(void *arg, int64_t begin, int64_t end) {
  const move_job *j = arg;
  const ln_planes *p = &j->planes;
  for (int64_t u = begin; u < end; u++) {
    const ln_piece piece = ln_piece_at(p, u);
    const int64_t in_image = piece.plane * p->width * p->s + piece.from;
    if (j->to_blocked)
      j->kerns->to_blocked(ln_piece_data(p, &piece, j->y), j->x.data + piece.n * j->x.image + in_image, p->s, piece.length);
    else
      j->kerns->to_plain(j->y.data + piece.n * j->y.image + in_image, p->s, ln_piece_data(p, &piece, j->x), piece.length);
  }
}

ln_code ln_cpu_reorder(ln_cpu *cpu, ln_call *call) {
  const ln_arg *x = &call->in[0], *y = &call->out[0];
  if (x->layout == LN_PLAIN && y->layout == LN_PLAIN) {
    ln_copy_dense(cpu, y->data, x->data, ln_nbytes(&y->meta));
    return LN_OK;
  }
  if (x->layout == y->layout) {
    copy_planes(cpu, x, ln_images_of(x), ln_images_of(y));
    return LN_OK;
  }
  move_job j = {.kerns = cpu->kerns->layer->move, .x = ln_images_of(x), .y = ln_images_of(y),
                .to_blocked = y->layout == LN_BLOCKED};
  j.planes = ln_planes_of(cpu, j.to_blocked ? y : x, PIECE);
  ln_for_pieces(cpu, &j.planes, transpose_range, &j);
  return LN_OK;
}
