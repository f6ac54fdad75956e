/* conv_blocked_test.c: convolutions over the blocked layout beside the reference backend: every op, drawn
 * geometries in 1 to 3 dims, sides blocked or plain, images apart with guards between them, epilogues; the
 * same bits from run to run, and in deterministic mode for one and three threads; each method that is able, whatever
 * the rules choose; what oneDNN is asked for.
 *
 * Takes the number of geometries (default 30).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../nn/base/rng.h"
#include "../nn/cpu/conv/conv_call.h"
#include "../nn/cpu/conv/conv_choice.h"
#include "../nn/cpu/kern.h"
#include "../nn/cpu/libraries.h"
#include "../nn/cpu/conv/pairs.h"

enum { DEVICES = 4, RUNS = DEVICES + 1, MAX_IN = 3 };
static const float GUARD = -12345.0f;

static ln_mem mem;
static void *reference;
static ln_cpu *dev[DEVICES]; /* 3 threads; strict; deterministic with 1 and with 3 threads */
static int passed, failed;
static uint64_t drawn;

static int64_t draw(int64_t lo, int64_t hi) {
  return lo + (int64_t)ln_below_at(1, 0, drawn++, (uint64_t)(hi - lo + 1));
}

static void *fresh(size_t bytes) {
  void *block = ln_alloc(&mem, bytes);
  if (block == NULL) abort();
  return block;
}

typedef ln_code kernel_fn(ln_cpu *cpu, ln_call *call);
typedef struct conv_op {
  ln_op op;
  kernel_fn *prepare, *run;
  void (*release)(ln_cpu *cpu, ln_call *call);
} conv_op;
#define OP(name) {LN_OP_##name, ln_cpu_##name##_prepare, ln_cpu_##name, ln_cpu_##name##_release}
static const conv_op ops[] = {OP(conv), OP(conv_relu), OP(conv_moments), OP(conv_masked), OP(conv_input_grad),
                              OP(conv_input_grad_masked), OP(conv_weight_grad), OP(conv_transpose)};

/* A call with its plain data and the reference's plain results. */
typedef struct example {
  ln_call call;
  ln_arg in[MAX_IN], out[LN_MAX_OUTPUTS];
  ln_attrs attrs;
  ln_scalars scalars;
  ln_error err;
  const conv_op *kernels;
  float *data[MAX_IN], *result[LN_MAX_OUTPUTS];
  bool apart; /* images have gaps where they are blocked */
  const char *ran;         /* the method of the last run */
  char key[LN_CHOICE_KEY]; /* of its choice */
} example;

static void check(bool good, const example *e, const char *what, double figure) {
  if (good) {
    passed++;
    return;
  }
  failed++;
  char text[4][LN_SHAPE_TEXT];
  for (int i = 0; i < 3; i++) ln_shape_text(&e->in[i].meta, text[i], sizeof text[i]);
  ln_shape_text(&e->out[0].meta, text[3], sizeof text[3]);
  printf("FAILED %s: %s (%g): %s layout %d, %s layout %d, %s -> %s layout %d, stride %d %d %d padding %d %d %d dilation %d %d %d%s %s\n",
         ln_op_get(e->call.op)->name, what, figure, text[0], (int)e->in[0].layout, text[1], (int)e->in[1].layout,
         e->call.nin > 2 ? text[2] : "", text[3], (int)e->out[0].layout, (int)e->attrs.stride[0],
         (int)e->attrs.stride[1], (int)e->attrs.stride[2], (int)e->attrs.padding[0], (int)e->attrs.padding[1],
         (int)e->attrs.padding[2], (int)e->attrs.dilation[0], (int)e->attrs.dilation[1], (int)e->attrs.dilation[2],
         e->apart ? " apart" : "", e->err.text);
}

/* -- layouts: a plain tensor into the arg's layout and back */

static int64_t positions_of(const ln_meta *m) {
  int64_t n = 1;
  for (int i = 2; i < m->rank; i++) n *= m->dim[i];
  return n;
}

/* Where element (n, c, p) lies. */
static int64_t place(const ln_arg *a, int lanes, int64_t n, int64_t c, int64_t p) {
  int64_t positions = positions_of(&a->meta);
  if (a->layout == LN_PLAIN) return (n * a->meta.dim[1] + c) * positions + p;
  return n * a->image + (c / lanes * positions + p) * lanes + c % lanes;
}

/* Elements of the arg's memory, gaps included. */
static int64_t extent(const ln_arg *a) {
  return a->layout == LN_PLAIN ? a->numel : a->meta.dim[0] * a->image;
}

static void set_image(ln_arg *a, int64_t gap) {
  a->image = a->meta.dim[1] * positions_of(&a->meta) + (a->layout == LN_BLOCKED ? gap : 0);
}

static void move(const ln_arg *a, int lanes, float *plain, bool back) {
  float *data = a->data;
  if (a->meta.rank < 3) {
    memcpy(back ? plain : data, back ? data : plain, (size_t)a->numel * sizeof *data);
    return;
  }
  for (int64_t n = 0, i = 0; n < a->meta.dim[0]; n++)
    for (int64_t c = 0; c < a->meta.dim[1]; c++)
      for (int64_t p = 0; p < positions_of(&a->meta); p++, i++) {
        int64_t at = place(a, lanes, n, c, p);
        if (back) plain[i] = data[at];
        else data[at] = plain[i];
      }
}

static bool guards_hold(const ln_arg *a) {
  const float *data = a->data;
  if (a->layout == LN_PLAIN) return true;
  for (int64_t n = 0; n < a->meta.dim[0]; n++)
    for (int64_t i = a->meta.dim[1] * positions_of(&a->meta); i < a->image; i++)
      if (memcmp(&data[n * a->image + i], &GUARD, sizeof GUARD) != 0) return false;
  return true;
}

/* -- running */

static void fill(float *data, int64_t n) {
  uint64_t counter = drawn++;
  for (int64_t i = 0; i < n; i++) data[i] = ln_normal_at(2, counter, (uint64_t)i);
}

static bool complete(example *e, const conv_op *kernels, int nin) {
  const ln_op_info *info = ln_op_info_get(kernels->op);
  ln_meta metas[MAX_IN], outs[LN_MAX_OUTPUTS];
  for (int i = 0; i < MAX_IN; i++) metas[i] = e->in[i].meta;
  e->kernels = kernels;
  e->call = (ln_call){.op = kernels->op, .nin = nin, .nout = info->nout, .in = e->in, .out = e->out,
                      .attrs = &e->attrs, .scalars = &e->scalars, .err = &e->err};
  if (ln_op_get(kernels->op)->shape(metas, nin, &e->attrs, outs, &e->err) != LN_OK) return false;
  for (int i = 0; i < nin; i++) e->in[i].numel = metas[i].dtype == LN_NONE ? 0 : ln_numel(&metas[i]);
  for (int o = 0; o < info->nout; o++) e->out[o].meta = outs[o], e->out[o].numel = ln_numel(&outs[o]);
  return true;
}

static void run_reference(example *e) {
  ln_call *call = &e->call;
  for (int i = 0; i < call->nin; i++) e->in[i].data = e->data[i], e->in[i].layout = LN_PLAIN;
  for (int o = 0; o < call->nout; o++) e->out[o].data = e->result[o], e->out[o].layout = LN_PLAIN;
  if (ln_ref_backend()->prepare(reference, call) != LN_OK) abort();
  call->workspace = fresh(call->workspace_bytes);
  ln_code code = ln_ref_backend()->run(reference, call);
  check(code == LN_OK, e, "runs on the reference", code);
  ln_free(&mem, call->workspace);
}

/* Results, plain, into result[]. */
static ln_code run_on(ln_cpu *cpu, example *e, float *const result[LN_MAX_OUTPUTS]) {
  ln_call *call = &e->call;
  for (int i = 0; i < call->nin; i++) {
    ln_arg *a = &e->in[i];
    if (a->meta.dtype == LN_NONE) continue;
    set_image(a, e->apart ? 48 * (i + 1) : 0); /* each with a gap of its own */
    a->data = fresh((size_t)extent(a) * sizeof(float));
    for (int64_t k = 0; k < extent(a); k++) ((float *)a->data)[k] = GUARD;
    move(a, cpu->lanes, e->data[i], false);
  }
  for (int o = 0; o < call->nout; o++) {
    ln_arg *a = &e->out[o];
    set_image(a, e->apart ? 16 : 0);
    a->data = fresh((size_t)extent(a) * sizeof(float));
    for (int64_t k = 0; k < extent(a); k++) ((float *)a->data)[k] = GUARD;
  }
  call->prepared = NULL;
  call->workspace_bytes = 0;
  ln_code code = e->kernels->prepare(cpu, call);
  if (code == LN_OK) {
    e->ran = ln_cpu_conv_chosen(cpu, call, e->key);
    call->workspace = fresh(call->workspace_bytes);
    memset(call->workspace, 0xff, call->workspace_bytes); /* NaN: nothing may rely on it */
    code = e->kernels->run(cpu, call);
    e->kernels->release(cpu, call);
    ln_free(&mem, call->workspace);
  }
  for (int o = 0; o < call->nout; o++) {
    check(guards_hold(&e->out[o]), e, "leaves the gaps between images alone", o);
    move(&e->out[o], cpu->lanes, result[o], true);
    ln_free(&mem, e->out[o].data);
  }
  for (int i = 0; i < call->nin; i++)
    if (e->in[i].meta.dtype != LN_NONE) ln_free(&mem, e->in[i].data);
  return code;
}

/* Of the norm of b and, where that may be near 0, of what is spread around it: squares, or NULL. */
static double relative_difference(const float *a, const float *b, const float *spread, int64_t n) {
  double difference = 0, norm = 0;
  for (int64_t i = 0; i < n; i++) {
    if (spread != NULL) norm += (double)spread[i];
    difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    norm += (double)b[i] * (double)b[i];
  }
  return norm > 0 ? sqrt(difference / norm) : sqrt(difference);
}

static bool may_be_winograd(const example *e) {
  bool weights = e->call.op == LN_OP_conv_weight_grad;
  const ln_meta *w = weights ? &e->out[0].meta : &e->in[1].meta;
  return w->rank >= 4 && w->dim[w->rank - 1] == 3 && w->dim[w->rank - 2] == 3;
}

static double tolerance(const example *e, bool strict) { return !strict && may_be_winograd(e) ? 1.5e-5 : 4e-6; }

/* What an output is compared to beside itself: nothing; variances; of sums, whose terms may cancel each other out, the terms' squares. */
static float *spread_of(const example *e, int output) {
  const ln_meta *y = &e->out[0].meta;
  float *spread = output == 0 ? NULL : fresh((size_t)e->out[output].numel * sizeof(float));
  if (output == 1 && ln_conv_has_moments(e->call.op)) memcpy(spread, e->result[2], (size_t)e->out[1].numel * sizeof(float));
  else if (spread != NULL) memset(spread, 0, (size_t)e->out[output].numel * sizeof(float));
  for (int64_t i = 0; output == 1 && ln_conv_has_sums(e->call.op) && i < e->out[0].numel; i++)
    spread[i / positions_of(y) % y->dim[1]] += e->result[0][i] * e->result[0][i];
  return spread;
}

static double distance(const example *e, const float *result, int output) {
  float *spread = spread_of(e, output);
  const double d = relative_difference(result, e->result[output], spread, e->out[output].numel);
  ln_free(&mem, spread);
  return d;
}

/* Told to take a method, the device takes it where it is able, and the result is right. */
static void compare_methods(example *e) {
  float *result[LN_MAX_OUTPUTS];
  ln_conv_geometry g = ln_conv_geometry_of(&e->call);
  for (int o = 0; o < e->call.nout; o++) result[o] = fresh((size_t)e->out[o].numel * sizeof(float));
  run_on(dev[0], e, result); /* for the key */
  const char *usual = e->ran;
  for (int m = 0; m < LN_CONV_METHODS; m++) {
    ln_conv_sides sides = ln_conv_sides_of(&e->call);
    const char *name = ln_conv_method_name((ln_conv_method)m);
    bool able = ln_conv_able(dev[0], &g, ln_conv_direction_of(e->call.op), &sides, (ln_conv_method)m);
    char key[LN_CHOICE_KEY];
    memcpy(key, e->key, sizeof key);
    if (ln_cpu_backend()->choose(dev[0], &(ln_choice){key, name}, 1, &e->err) != LN_OK) abort();
    check(run_on(dev[0], e, result) == LN_OK, e, name, 0);
    const char *wanted = able ? name : usual;
    bool none = strcmp(name, "direct") == 0 && strcmp(e->ran, "products") == 0; /* oneDNN has nothing for it */
    check(strcmp(e->ran, wanted) == 0 || none, e, "takes the method that it is told to, if that is able", m);
    for (int o = 0; o < e->call.nout; o++) {
      double d = distance(e, result[o], o);
      check(d < tolerance(e, false), e, name, d);
    }
  }
  if (ln_cpu_backend()->choose(dev[0], NULL, 0, &e->err) != LN_OK) abort();
  for (int o = 0; o < e->call.nout; o++) ln_free(&mem, result[o]);
}

static void compare_layout(example *e) {
  static const char *const near[DEVICES] = {"equals the reference", "equals the reference under strict",
                                            "equals the reference in deterministic mode", "and with 3 threads"};
  float *result[RUNS][LN_MAX_OUTPUTS] = {0};
  for (int r = 0; r < RUNS; r++)
    for (int o = 0; o < e->call.nout; o++) result[r][o] = fresh((size_t)e->out[o].numel * sizeof(float));
  ln_code code = LN_OK;
  for (int r = 0; r < RUNS && code == LN_OK; r++) code = run_on(dev[r % DEVICES], e, result[r]);
  check(code == LN_OK, e, "runs", code);
  for (int o = 0; o < e->call.nout && code == LN_OK; o++) {
    size_t bytes = (size_t)e->out[o].numel * sizeof(float);
    for (int r = 0; r < DEVICES; r++) {
      double d = distance(e, result[r][o], o);
      check(d < tolerance(e, r == 1), e, near[r], d);
    }
    check(memcmp(result[0][o], result[DEVICES][o], bytes) == 0, e, "has the same bits from run to run", o);
    check(memcmp(result[2][o], result[3][o], bytes) == 0, e, "has the same bits for 1 and 3 threads", o);
  }
  for (int r = 0; r < RUNS; r++)
    for (int o = 0; o < e->call.nout; o++) ln_free(&mem, result[r][o]);
}

static bool can_block(const ln_arg *a) {
  return a->meta.rank >= 3 && a->meta.dim[1] > 0 && a->meta.dim[1] % dev[0]->lanes == 0;
}

/* As the backend asks for it, and with other sides blocked; images side by side and apart. */
static void compare(example *e) {
  ln_call *call = &e->call;
  bool masked = ln_conv_has_sums(call->op), weights = call->op == LN_OP_conv_weight_grad;
  for (int i = 0; i < call->nin; i++)
    if (e->in[i].meta.dtype != LN_NONE) fill(e->data[i] = fresh(ln_nbytes(&e->in[i].meta)), e->in[i].numel);
  for (int o = 0; o < call->nout; o++) e->result[o] = fresh(ln_nbytes(&e->out[o].meta));
  run_reference(e);
  ln_cpu_conv_layouts(dev[0], call);
  e->apart = draw(0, 1);
  compare_layout(e);
  ln_arg *first = &e->in[0], *second = weights ? &e->in[1] : &e->out[0];
  first->layout = can_block(first) && draw(0, 2) ? LN_BLOCKED : LN_PLAIN;
  second->layout = can_block(second) && draw(0, 2) ? LN_BLOCKED : LN_PLAIN;
  if (masked) e->in[2].layout = second->layout;
  e->apart = draw(0, 1);
  if (call->attrs->groups == 1) {
    compare_layout(e);
    compare_methods(e);
  }
  for (int i = 0; i < call->nin; i++) ln_free(&mem, e->data[i]), e->data[i] = NULL;
  for (int o = 0; o < call->nout; o++) ln_free(&mem, e->result[o]), e->result[o] = NULL;
}

static ln_meta meta_of(int rank, const int64_t *dim) {
  ln_meta m = {.dtype = LN_F32, .rank = rank};
  for (int i = 0; i < rank; i++) m.dim[i] = dim[i];
  return m;
}

/* -- geometries */

/* All ops of the correlation of x with w; b: with a bias. */
static void run_all(const example *base, const ln_meta *x, const ln_meta *w, bool b) {
  ln_meta none = {0}, y;
  for (size_t k = 0; k < sizeof ops / sizeof *ops; k++) {
    example e = *base;
    ln_op op = ops[k].op;
    bool masked = ln_conv_has_sums(op);
    e.in[0].meta = *x, e.in[1].meta = *w, e.in[2].meta = none;
    if (!complete(&e, &ops[0], 3)) return;
    y = e.out[0].meta;
    ln_meta bias = {.dtype = LN_F32, .rank = 1, .dim = {w->dim[0]}};
    int nin = 3;
    if (ln_conv_direction_of(op) == LN_CONV_FORWARD) {
      e.in[2].meta = masked ? y : b ? bias : none;
    } else if (op == LN_OP_conv_transpose) {
      bias.dim[0] = w->dim[1];
      e.in[0].meta = y, e.in[2].meta = b ? bias : none;
    } else if (op == LN_OP_conv_weight_grad) {
      e.in[1].meta = y, nin = 2;
    } else {
      e.in[0].meta = y, e.in[2].meta = masked ? *x : none, nin = masked ? 3 : 2;
    }
    if (op == LN_OP_conv_transpose && base->attrs.groups > 1) continue;
    if (complete(&e, &ops[k], nin)) compare(&e);
  }
}

static int64_t channels(void) {
  static const int64_t odd[] = {1, 2, 3, 4, 5, 20};
  return draw(0, 2) ? dev[0]->lanes * draw(1, 3) : odd[draw(0, 5)];
}

static void run_geometry(int number) {
  static const int64_t kernels[] = {1, 2, 3, 3, 3, 5};
  int spatial = number % 4 < 2 ? 2 : number % 4 == 2 ? 1 : 3, rank = spatial + 2;
  example e = {0};
  ln_attrs_default(&e.attrs, &e.scalars);
  int64_t x[LN_MAX_RANK] = {draw(1, 3), channels()}, w[LN_MAX_RANK] = {channels(), x[1]};
  int kind = (int)draw(0, 3); /* tiles; square, padded, stride 1; anything, twice */
  int64_t side = kernels[draw(0, 5)];
  for (int i = 0; i < spatial; i++) {
    int64_t most = spatial == 1 ? 60 : spatial == 2 ? 17 : 6;
    w[2 + i] = kind < 2 ? side : kernels[draw(0, 5)];
    x[2 + i] = kind == 0 ? w[2 + i] * draw(1, most / w[2 + i] + 1) : draw(1, most);
    e.attrs.stride[i] = kind == 0 ? w[2 + i] : kind == 1 ? 1 : draw(1, 2);
    e.attrs.padding[i] = kind == 0 ? 0 : kind == 1 ? w[2 + i] / 2 : draw(0, 2);
    e.attrs.dilation[i] = kind < 2 || draw(0, 3) ? 1 : 2;
    e.attrs.size[i] = x[2 + i], e.attrs.kernel[i] = w[2 + i];
  }
  e.attrs.nsize = spatial;
  ln_meta mx = meta_of(rank, x), mw = meta_of(rank, w);
  run_all(&e, &mx, &mw, draw(0, 1));
}

/* Layers of a U-Net: what the choice of method distinguishes, each where it takes several pieces or tasks. */
static void run_layer(int64_t in, int64_t out, int64_t h, int64_t width, int64_t kernel, bool tiles) {
  example e = {0};
  ln_attrs_default(&e.attrs, &e.scalars);
  int64_t x[] = {2, in, h, width}, w[] = {out, in, kernel, kernel};
  for (int i = 0; i < 2; i++) {
    e.attrs.stride[i] = tiles ? kernel : 1;
    e.attrs.padding[i] = tiles ? 0 : kernel / 2;
    e.attrs.kernel[i] = kernel, e.attrs.size[i] = x[2 + i];
  }
  e.attrs.nsize = 2;
  ln_meta mx = meta_of(4, x), mw = meta_of(4, w);
  run_all(&e, &mx, &mw, true);
}

/* -- a NaN is not lost, in ReLU neither */

static void run_nan(ln_cpu *cpu) {
  int64_t c = cpu->lanes, x[] = {1, c, 9, 9}, w[] = {c, c, 3, 3};
  example e = {0};
  ln_attrs_default(&e.attrs, &e.scalars);
  e.attrs.padding[0] = e.attrs.padding[1] = 1;
  e.in[0].meta = meta_of(4, x), e.in[1].meta = meta_of(4, w);
  if (!complete(&e, &ops[1], 3)) abort();
  for (int i = 0; i < 2; i++) fill(e.data[i] = fresh(ln_nbytes(&e.in[i].meta)), e.in[i].numel);
  e.data[0][5 * 9 + 5] = NAN;
  float *y = fresh(ln_nbytes(&e.out[0].meta)), *result[LN_MAX_OUTPUTS] = {y};
  ln_cpu_conv_layouts(cpu, &e.call);
  check(run_on(cpu, &e, result) == LN_OK, &e, "runs", 0);
  bool all = true;
  for (int64_t k = 0; k < c; k++)
    for (int64_t i = 4; i <= 6; i++)
      for (int64_t j = 4; j <= 6; j++) all = all && isnan(y[k * 81 + i * 9 + j]);
  check(all, &e, "keeps a NaN", 0);
  ln_free(&mem, y);
  for (int i = 0; i < 2; i++) ln_free(&mem, e.data[i]);
}

/* -- transformed weights of a frozen plan are kept, but only for the version that they were made of */

/* Of Winograd, or of products of pairs, where all is 0.747 in bf16. */
static void run_versions(bool pairs) {
  const ln_pairs *const own = dev[0]->pairs;
  ln_pairs preferred = *dev[0]->kerns->pairs;
  preferred.rate = 100;
  if (pairs) dev[0]->pairs = &preferred;
  int64_t c = 4 * dev[0]->lanes, x[] = {1, c, 64, 64}, w[] = {c, c, 3, 3};
  example e = {0};
  ln_attrs_default(&e.attrs, &e.scalars);
  e.attrs.padding[0] = e.attrs.padding[1] = 1;
  e.in[0].meta = meta_of(4, x), e.in[1].meta = meta_of(4, w);
  if (!complete(&e, &ops[0], 2)) abort();
  e.in[0].low = e.out[0].low = pairs;
  ln_cpu_conv_layouts(dev[0], &e.call);
  for (int i = 0; i < 2; i++) {
    set_image(&e.in[i], 0);
    e.in[i].data = fresh(ln_nbytes(&e.in[i].meta));
    if (e.in[i].meta.dtype == LN_F32) fill(e.in[i].data, e.in[i].numel);
    else memset(e.in[i].data, 0x3f, ln_nbytes(&e.in[i].meta));
  }
  set_image(&e.out[0], 0);
  char *y = e.out[0].data = fresh(ln_nbytes(&e.out[0].meta));
  float *weights = e.in[1].data;
  e.call.frozen = true;
  check(ops[0].prepare(dev[0], &e.call) == LN_OK, &e, "is prepared", 0);
  check(strcmp(ln_cpu_conv_chosen(dev[0], &e.call, e.key), pairs ? "pairs" : "winograd") == 0, &e, "takes a method that keeps weights", 0);
  e.call.workspace = fresh(e.call.workspace_bytes);
  /* one weight doubles from run to run, so that a result says which weights it was made of */
  static const uint64_t versions[] = {7, 7, 8, 0, 0, 8};
  static const bool renewed[] = {true, false, true, true, true, true};
  uint32_t last = 0;
  for (int i = 0; i < 6; i++) {
    e.in[1].version = versions[i];
    weights[4] *= 2.0f; /* the tap above each pixel of output channel 0 from input channel 0 */
    check(ops[0].run(dev[0], &e.call) == LN_OK, &e, "runs", i);
    uint32_t now = 0;
    const size_t size = ln_dtype_size(e.out[0].meta.dtype);
    memcpy(&now, y + (size_t)((12 * 64 + 12) * dev[0]->lanes) * size, size);
    check(i == 0 || (now != last) == renewed[i], &e, "takes the kept weights for the same version alone", i);
    last = now;
  }
  ops[0].release(dev[0], &e.call);
  ln_free(&mem, e.call.workspace);
  ln_free(&mem, y);
  for (int i = 0; i < 2; i++) ln_free(&mem, e.in[i].data);
  dev[0]->pairs = own;
}

/* -- every allocation of prepare fails once; what it had taken comes back */

static void run_failures(ln_cpu *cpu) {
  int64_t c = 2 * cpu->lanes, x[] = {1, c, 64, 64}, w[] = {c, c, 3, 3};
  example e = {0};
  ln_attrs_default(&e.attrs, &e.scalars);
  e.attrs.padding[0] = e.attrs.padding[1] = 1;
  e.in[0].meta = meta_of(4, x), e.in[1].meta = meta_of(4, w);
  if (!complete(&e, &ops[2], 2)) abort();
  ln_cpu_conv_layouts(cpu, &e.call);
  set_image(&e.in[0], 0);
  set_image(&e.out[0], 0);
  e.call.frozen = true;
  size_t before = mem.live;
  for (size_t at = 1;; at++) {
    e.call.workspace_bytes = 0;
    mem.fail_at = mem.count + at;
    ln_code code = ops[2].prepare(cpu, &e.call);
    mem.fail_at = 0;
    if (code == LN_OK) {
      check(at > 2, &e, "allocates", (double)at);
      break;
    }
    check(code == LN_ENOMEM && e.err.text[0] != '\0', &e, "reports the missing memory", code);
    check(mem.live == before, &e, "gives everything back", (double)mem.live);
  }
  ops[2].release(cpu, &e.call);
  check(mem.live == before, &e, "is released", (double)mem.live);
}

/* -- oneDNN: blocked sides of usual shapes are taken as they are, by no reference loop */

static void run_primitive(const ln_cpu *cpu, int64_t ci, int64_t co, int64_t kernel, int64_t stride, ln_conv_dir dir) {
  ln_conv_geometry g = {.n = 2, .groups = 1, .ci = ci, .co = co, .in = {1, 32, 32}, .out = {1, 32 / stride, 32 / stride},
                        .kernel = {1, kernel, kernel}, .stride = {1, stride, stride}, .padding = {0, kernel / 2, kernel / 2},
                        .dilation = {1, 1, 1}};
  ln_dnnl_request r = {.g = &g, .dir = dir, .src = ci % cpu->lanes == 0 ? LN_BLOCKED : LN_PLAIN, .dst = LN_BLOCKED,
                       .block = cpu->lanes, .threads = 1, .lanes = 1};
  ln_dnnl_conv *conv = NULL;
  ln_error err;
  ln_code code = ln_dnnl_conv_new(ln_cpu_libraries(cpu)->dnnl, &r, &conv, &err);
  if (code == LN_OK && conv != NULL && strstr(ln_dnnl_conv_name(conv), "jit") != NULL && !ln_dnnl_conv_reorders(conv)) {
    passed++;
  } else {
    failed++;
    printf("FAILED oneDNN %d->%d kernel %d stride %d direction %d: %s, %s\n", (int)ci, (int)co, (int)kernel, (int)stride,
           (int)dir, conv != NULL ? ln_dnnl_conv_name(conv) : "nothing",
           conv != NULL && ln_dnnl_conv_reorders(conv) ? "reorders" : "no reorders");
  }
  ln_dnnl_conv_free(conv);
}

static void run_primitives(const ln_cpu *cpu) {
#ifdef LN_WIDE
  if (cpu->isa == LN_ISA_AVX512) return; /* oneDNN has no AVX-512 here, whatever we compiled */
#endif
  if (cpu->isa == LN_ISA_GENERIC) return; /* blocks of 8, but only forward primitives */
  int64_t l = cpu->lanes;
  for (int dir = LN_CONV_FORWARD; dir <= LN_CONV_BACKWARD_WEIGHTS; dir++) {
    run_primitive(cpu, 4 * l, 4 * l, 3, 1, (ln_conv_dir)dir);
    run_primitive(cpu, 4 * l, 8 * l, 3, 2, (ln_conv_dir)dir);
    run_primitive(cpu, 2 * l, 4 * l, 5, 1, (ln_conv_dir)dir);
    run_primitive(cpu, 4 * l, 2 * l, 1, 1, (ln_conv_dir)dir);
  }
  run_primitive(cpu, 1, 4 * l, 3, 1, LN_CONV_FORWARD);
  run_primitive(cpu, 3, 4 * l, 3, 1, LN_CONV_FORWARD);
}

static void open_devices(void) {
  const ln_device_options options[DEVICES] = {{.threads = 3}, {.threads = 2, .strict = true},
                                              {.threads = 1, .deterministic = true}, {.threads = 3, .deterministic = true}};
  ln_error err;
  ln_code code = ln_ref_backend()->open(&mem, &options[0], &reference, &err);
  for (int i = 0; i < DEVICES && code == LN_OK; i++) {
    void *self = NULL;
    code = ln_cpu_backend()->open(&mem, &options[i], &self, &err);
    dev[i] = self;
  }
  if (code != LN_OK) {
    printf("FAILED to open: %s\n", err.text);
    exit(1);
  }
  char text[256];
  ln_cpu_backend()->describe(dev[0], text, sizeof text);
  printf("%s\n", text);
}

int main(int argc, char **argv) {
  int geometries = argc > 1 ? atoi(argv[1]) : 30;
  open_devices();
  int64_t l = dev[0]->lanes;
  for (int i = 0; i < geometries; i++) run_geometry(i);
  run_layer(1, 4 * l, 37, 41, 3, false);
  run_layer(3, 2 * l, 30, 19, 3, false);
  run_layer(4 * l, 1, 37, 41, 1, false);
  run_layer(2 * l, 3, 23, 40, 1, false);
  run_layer(4 * l, 2 * l, 21, 26, 1, false);
  run_layer(2 * l, 4 * l, 26, 42, 2, true);
  run_layer(1, 4 * l, 26, 42, 2, true);
  run_layer(3, 2 * l, 18, 27, 3, true);
  run_layer(4 * l, 4 * l, 19, 22, 3, false);
  run_nan(dev[0]);
  run_nan(dev[1]);
  run_versions(false);
  run_versions(true);
  run_failures(dev[0]);
  run_failures(dev[1]);
  run_primitives(dev[0]);
  for (int i = 0; i < DEVICES; i++) ln_cpu_backend()->close(dev[i]);
  ln_ref_backend()->close(reference);
  if (mem.live != 0) failed++, printf("FAILED: %zu bytes are still live\n", (size_t)mem.live);
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
