/* conv.c: the convolution ops: from a call to a method, a run and an epilogue. conv_choice.c chooses. */
#include <string.h>

#include "conv_call.h"
#include "conv_choice.h"
#include "conv_direct.h"
#include "conv_measured.h"
#include "conv_pairs.h"
#include "conv_products.h"
#include "conv_rows.h"
#include "conv_thin.h"
#include "conv_tiles.h"
#include "../layouts.h"
#include "winograd.h"

typedef struct step {
  ln_conv_geometry g;
  ln_conv_dir dir;
  ln_conv_sides sides;
  ln_conv_method method;
  ln_conv_direct direct;
  ln_thin thin;
  void *kept;            /* the weights of a frozen plan as Winograd's or pairs' operands, or NULL */
  uint64_t kept_version; /* of the weights that they were made of; 0: none */
  ln_finish finish;
  size_t statistics; /* bytes at the start of the workspace: per channel, then those of finish */
} step;

/* -- layouts */

static ln_layout wanted(const ln_cpu *cpu, const ln_call *call, int64_t channels) {
  const ln_meta *m = &call->in[0].meta;
  bool fits = m->dtype == LN_F32 && call->attrs->groups == 1 && channels > 0 && channels % cpu->lanes == 0;
  return fits ? LN_BLOCKED : LN_PLAIN;
}

/* Sides of whole blocks of channels are blocked. Weights, biases and statistics are always plain. No matter of the
 * method: measured choices are made between methods for sides that lie as they do. What is low is stored as bf16 where the
 * shipped rule takes a method that can do with it. */
void ln_cpu_conv_layouts(const ln_cpu *cpu, ln_call *call) {
  ln_conv_geometry g = ln_conv_geometry_of(call);
  ln_conv_dir dir = ln_conv_direction_of(call->op);
  ln_conv_sides sides = {.src = wanted(cpu, call, g.ci), .dst = wanted(cpu, call, g.co)};
  bool empty = ln_conv_is_empty(&g);
  if (empty) sides = (ln_conv_sides){0};
  for (int i = 0; i < call->nin; i++) call->in[i].layout = LN_PLAIN;
  ln_layout out = dir == LN_CONV_FORWARD ? sides.dst : dir == LN_CONV_BACKWARD_DATA ? sides.src : LN_PLAIN;
  call->in[0].layout = dir == LN_CONV_BACKWARD_DATA ? sides.dst : sides.src;
  if (dir == LN_CONV_BACKWARD_WEIGHTS) call->in[1].layout = sides.dst;
  if (ln_conv_has_sums(call->op)) call->in[2].layout = out; /* the mask */
  call->out[0].layout = out;
  sides.images.bf16 = sides.src == LN_BLOCKED || sides.dst == LN_BLOCKED;
  if (!empty && ln_conv_takes_bf16(ln_conv_shipped(cpu, &g, dir, &sides))) ln_cpu_store_bf16(call);
}

/* -- prepare */

static size_t channel_bytes(const step *s, size_t each) { return ln_cpu_align((size_t)s->finish.channels * each); }

/* The method has its say on the pieces in which the output is finished. */
static void prepare_statistics(const ln_cpu *cpu, step *s, const ln_call *call) {
  if (s->dir == LN_CONV_BACKWARD_WEIGHTS) return;
  bool moments = ln_conv_has_moments(call->op), sums = ln_conv_has_sums(call->op);
  s->finish = ln_finish_of(cpu, &s->g, s->dir, &call->out[0]);
  int64_t piece = s->method == LN_CONV_TILES ? ln_tiles_piece(cpu, &s->g, s->dir)
                  : s->method == LN_CONV_PAIRS ? ln_pairs_piece(cpu, &s->g, s->dir)
                  : s->method == LN_CONV_THIN ? ln_thin_piece(&s->thin) : 0;
  if (piece > 0) ln_finish_cut(&s->finish, piece);
  s->statistics = s->method == LN_CONV_WINOGRAD ? 0 : ln_finish_workspace(&s->finish, moments, sums);
  if (moments) s->statistics += channel_bytes(s, sizeof(ln_moments));
  if (sums) s->statistics += channel_bytes(s, sizeof(double));
}

/* Room for transformed weights, which a plan that writes no cell need not make anew in every run. */
static ln_code prepare_kept(ln_cpu *cpu, step *s, ln_call *call) {
  if (!call->frozen || s->dir == LN_CONV_BACKWARD_WEIGHTS) return LN_OK;
  const bool pairs = s->method == LN_CONV_PAIRS;
  size_t bytes = (pairs ? ln_pairs_weight_bytes : ln_wino_kept_bytes)(cpu, &s->g, s->dir);
  if (bytes == 0) return LN_OK;
  s->kept = ln_alloc(cpu->mem, bytes);
  return s->kept != NULL ? LN_OK : ln_fail(call->err, LN_ENOMEM, "out of memory for a convolution's transformed weights");
}

static ln_code prepare_method(ln_cpu *cpu, step *s, ln_call *call) {
  s->method = ln_conv_choose(cpu, &s->g, s->dir, &s->sides);
  if (s->method == LN_CONV_THIN) s->thin = ln_thin_of(cpu, &s->g, s->dir, &s->sides);
  if (s->method == LN_CONV_WINOGRAD || s->method == LN_CONV_PAIRS) return prepare_kept(cpu, s, call);
  if (s->method != LN_CONV_DIRECT) return LN_OK;
  bool finish = call->op == LN_OP_conv_relu || ln_conv_has_moments(call->op) || ln_conv_has_sums(call->op);
  ln_code code = ln_conv_direct_new(cpu, &s->g, s->dir, &s->sides, ln_conv_has_bias(call), finish, &s->direct, call->err);
  if (s->direct.dnnl == NULL) s->method = LN_CONV_PRODUCTS;
  return code;
}

static size_t method_workspace(const ln_cpu *cpu, const step *s, bool bias) {
  bool weights = s->dir == LN_CONV_BACKWARD_WEIGHTS;
  switch (s->method) {
  case LN_CONV_DIRECT: return ln_conv_direct_workspace(&s->direct);
  case LN_CONV_THIN: return ln_thin_workspace(&s->thin, bias);
  case LN_CONV_TILES:
    return weights ? ln_tiles_grad_workspace(cpu, &s->g) : ln_tiles_workspace(cpu, &s->g, s->dir, bias);
  case LN_CONV_ROWS: return ln_rows_workspace(cpu, &s->g);
  case LN_CONV_PAIRS:
    return weights ? ln_pairs_grad_workspace(cpu, &s->g) : ln_pairs_workspace(cpu, &s->g, s->dir, s->kept != NULL);
  case LN_CONV_WINOGRAD:
    return weights ? ln_wino_grad_workspace(cpu, &s->g) : ln_wino_workspace(cpu, &s->g, s->dir, s->kept != NULL);
  default: return ln_conv_products_workspace(cpu, &s->g, s->dir, &s->sides);
  }
}

static ln_code prepare(ln_cpu *cpu, ln_call *call) {
  step *s = ln_calloc(cpu->mem, 1, sizeof *s);
  if (s == NULL) return ln_fail(call->err, LN_ENOMEM, "out of memory while preparing a convolution");
  s->g = ln_conv_geometry_of(call);
  s->dir = ln_conv_direction_of(call->op);
  s->sides = ln_conv_sides_of(call);
  bool empty = ln_conv_is_empty(&s->g);
  ln_code code = empty ? LN_OK : prepare_method(cpu, s, call);
  if (code != LN_OK) {
    ln_free(cpu->mem, s);
    return code;
  }
  prepare_statistics(cpu, s, call);
  call->workspace_bytes = s->statistics + (empty ? 0 : method_workspace(cpu, s, ln_conv_has_bias(call)));
  call->prepared = s;
  return LN_OK;
}

static void release(ln_cpu *cpu, ln_call *call) {
  step *s = call->prepared;
  if (s == NULL) return;
  ln_conv_direct_free(&s->direct);
  ln_free(cpu->mem, s->kept);
  ln_free(cpu->mem, s);
  call->prepared = NULL;
}

const char *ln_cpu_conv_chosen(const ln_cpu *cpu, const ln_call *call, char key[LN_CHOICE_KEY]) {
  if (call->op == LN_OP_conv_norm || call->op == LN_OP_conv_norm_relu) call = ln_cpu_conv_norm_inner(call);
  const step *s = call->prepared;
  if (ln_conv_is_empty(&s->g) || !ln_conv_key(cpu, &s->g, s->dir, &s->sides, key)) return NULL;
  return ln_conv_method_name(s->method);
}

/* -- run */

static void clear(const ln_call *call) {
  const ln_arg *y = &call->out[0];
  size_t bytes = ln_nbytes(&y->meta);
  if (bytes == 0) return;
  if (y->layout == LN_PLAIN) {
    memset(y->data, 0, bytes);
    return;
  }
  for (int64_t n = 0; n < y->meta.dim[0]; n++)
    memset((float *)y->data + n * y->image, 0, bytes / (size_t)y->meta.dim[0]);
}

/* What was kept serves as long as the weights are those it was made of. */
static bool must_make_kept(step *s, const ln_call *call) {
  uint64_t version = call->in[1].version;
  bool fresh = version == 0 || version != s->kept_version;
  s->kept_version = version;
  return fresh;
}

/* The epilogue is part of it. */
static void run_winograd(const ln_cpu *cpu, step *s, const ln_call *call, const ln_epilogue *e, void *workspace) {
  ln_conv_tensors t = ln_conv_tensors_of(call);
  if (s->dir == LN_CONV_BACKWARD_WEIGHTS) {
    ln_wino_grad_run(cpu, &s->g, &t, &s->sides.images, workspace);
    return;
  }
  ln_wino_run(cpu, &s->g, s->dir, &t, &s->sides.images, e, s->kept, must_make_kept(s, call), workspace);
}

static void run_pairs(const ln_cpu *cpu, step *s, const ln_call *call, const ln_conv_tensors *t, const ln_finish *rest, void *workspace) {
  const ln_conv_images *images = &s->sides.images;
  if (s->dir == LN_CONV_BACKWARD_WEIGHTS) ln_pairs_grad_run(cpu, &s->g, t, images, workspace);
  else ln_pairs_run(cpu, &s->g, s->dir, t, images, rest, s->kept, must_make_kept(s, call), workspace);
}

/* Runs another method and finishes the output's images with f, whose bias is left to it where the method has none. */
static int run_method(const ln_cpu *cpu, step *s, const ln_call *call, ln_finish *f, void *workspace) {
  ln_conv_tensors t = ln_conv_tensors_of(call);
  bool adds_bias = s->method != LN_CONV_DIRECT || s->dir == LN_CONV_FORWARD;
  if (adds_bias) f->e.bias = NULL;
  const ln_finish *rest = ln_finish_needed(&f->e) ? f : NULL;
  switch (s->method) {
  case LN_CONV_DIRECT: return ln_conv_direct_run(cpu, &s->direct, &t, rest, workspace);
  case LN_CONV_THIN: ln_thin_run(cpu, &s->thin, &t, rest, workspace); break;
  case LN_CONV_TILES:
    if (s->dir == LN_CONV_BACKWARD_WEIGHTS) ln_tiles_grad_run(cpu, &s->g, &s->sides, &t, workspace);
    else ln_tiles_run(cpu, &s->g, s->dir, &s->sides, &t, rest, workspace);
    break;
  case LN_CONV_ROWS: ln_rows_run(cpu, &s->g, &s->sides, &t, workspace); break;
  case LN_CONV_PAIRS: run_pairs(cpu, s, call, &t, rest, workspace); break;
  case LN_CONV_PRODUCTS:
    ln_conv_products_run(cpu, &s->g, s->dir, &s->sides, &t, workspace);
    if (rest != NULL) ln_finish_images(rest, 0, rest->n);
    break;
  case LN_CONV_WINOGRAD: break;
  }
  return 0;
}

static void run_empty(const ln_call *call, const ln_finish *f) {
  clear(call);
  if (ln_finish_needed(&f->e)) ln_finish_images(f, 0, f->n);
}

static ln_code run(ln_cpu *cpu, ln_call *call) {
  step *s = call->prepared;
  char *workspace = call->workspace;
  ln_epilogue e = ln_conv_epilogue_of(call, call->workspace, call->workspace);
  int status = 0;
  if (s->method == LN_CONV_WINOGRAD) {
    run_winograd(cpu, s, call, &e, workspace + s->statistics);
  } else {
    size_t channels = channel_bytes(s, e.moments != NULL ? sizeof *e.moments : e.sums != NULL ? sizeof *e.sums : 0);
    ln_finish f = s->finish;
    ln_finish_bind(&f, &e, call->out[0].data, workspace + channels);
    if (ln_conv_is_empty(&s->g)) run_empty(call, &f);
    else status = run_method(cpu, s, call, &f, workspace + s->statistics);
    ln_finish_merge(&f);
  }
  if (status != 0) return ln_dnnl_fail(status, "running a convolution", call->err);
  ln_conv_store_statistics(call, &e);
  return LN_OK;
}

#define CONV_OP(name)                                                                       \
  ln_code ln_cpu_##name##_prepare(ln_cpu *cpu, ln_call *call) { return prepare(cpu, call); } \
  void ln_cpu_##name##_release(ln_cpu *cpu, ln_call *call) { release(cpu, call); }           \
  ln_code ln_cpu_##name(ln_cpu *cpu, ln_call *call) { return run(cpu, call); }
CONV_OP(conv)
CONV_OP(conv_relu)
CONV_OP(conv_moments)
CONV_OP(conv_masked)
CONV_OP(conv_input_grad)
CONV_OP(conv_input_grad_masked)
CONV_OP(conv_weight_grad)
CONV_OP(conv_transpose)
