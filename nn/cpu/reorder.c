/* reorder.c: between the plain and the blocked layout, f32 or stored as bf16, and blocked channels moved as they are (cat and
 * slice along the channels, whose parts are whole planes).
 */
#include "layer_kern.h"
#include "planes.h"

#include <string.h>

enum { PIECE = 16384 };

/* Floats are moved, never computed with: elements of four bytes may be of any type. */
typedef struct move_job {
  const ln_map_spans *spans;
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
           (size_t)(p.length * j->planes.width * j->x.size));
  }
}

static void convert_range(void *arg, int64_t begin, int64_t end) {
  const move_job *j = arg;
  for (int64_t u = begin; u < end; u++) {
    const ln_piece p = ln_piece_at(&j->planes, u);
    void *y = ln_piece_data(&j->planes, &p, j->y);
    const void *x = ln_piece_data(&j->planes, &p, j->x);
    const int64_t n = p.length * j->planes.width;
    if (j->y.size < j->x.size) j->spans->to_bf16(y, x, n);
    else j->spans->from_bf16(y, x, n);
  }
}

/* `blocked` is cut into pieces; the channels of x and y are its own, or begin there. */
static void copy_planes(ln_cpu *cpu, const ln_arg *blocked, ln_images x, ln_images y) {
  move_job j = {.spans = cpu->spans->map, .planes = ln_planes_of(cpu, blocked, PIECE), .x = x, .y = y};
  ln_for_pieces(cpu, &j.planes, x.size == y.size ? copy_range : convert_range, &j);
}

static ln_images from_channel(const ln_cpu *cpu, const ln_arg *a, int64_t channel) {
  const ln_planes p = ln_planes_of(cpu, a, PIECE);
  ln_images t = ln_images_of(a);
  t.data = ln_image_at(t, 0, channel * p.s);
  return t;
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
      j->kerns->to_blocked(ln_piece_data(p, &piece, j->y), ln_image_at(j->x, piece.n, in_image), p->s, piece.length);
    else
      j->kerns->to_plain(ln_image_at(j->y, piece.n, in_image), p->s, ln_piece_data(p, &piece, j->x), piece.length);
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
  const ln_arg *blocked = y->layout == LN_BLOCKED ? y : x;
  move_job j = {.kerns = cpu->kerns->layer[ln_is_bf16(blocked)]->move, .x = ln_images_of(x), .y = ln_images_of(y),
                .to_blocked = blocked == y, .planes = ln_planes_of(cpu, blocked, PIECE)};
  ln_for_pieces(cpu, &j.planes, transpose_range, &j);
  return LN_OK;
}
