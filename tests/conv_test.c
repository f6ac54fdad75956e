/* conv_test.c: matrix products and convolutions of the CPU backend beside the reference
 * backend, over drawn geometries: values, the same bits from run to run, the same bits for one
 * and three threads in deterministic mode, a memory failure at every allocation.
 *
 * Takes the number of geometries (default 120).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../nn/backend.h"
#include "../nn/base/rng.h"

enum { BACKENDS = 4 };

typedef struct device {
  const ln_backend *backend;
  void *self;
} device;

static ln_mem mem;
static device dev[BACKENDS]; /* reference; cpu with 3 threads; deterministic with 1 and with 3 */
static int passed, failed;
static uint64_t drawn;

static int64_t draw(int64_t lo, int64_t hi) {
  return lo + (int64_t)ln_below_at(1, 0, drawn++, (uint64_t)(hi - lo + 1));
}

/* An op with its data; tensors are dense f32. */
typedef struct example {
  ln_call call;
  ln_arg in[3], out[1];
  ln_attrs attrs;
  ln_scalars scalars;
  ln_error err;
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
  printf("FAILED %s: %s (%g): %s, %s, %s -> %s, stride %d %d %d padding %d %d %d dilation %d %d %d groups %d %s\n",
         ln_op_get(e->call.op)->name, what, figure, text[0], text[1], e->call.nin > 2 ? text[2] : "", text[3],
         (int)e->attrs.stride[0], (int)e->attrs.stride[1], (int)e->attrs.stride[2], (int)e->attrs.padding[0],
         (int)e->attrs.padding[1], (int)e->attrs.padding[2], (int)e->attrs.dilation[0], (int)e->attrs.dilation[1],
         (int)e->attrs.dilation[2], (int)e->attrs.groups, e->err.text);
}

static void *fresh(size_t bytes) {
  void *block = ln_alloc(&mem, bytes);
  if (block == NULL) abort();
  return block;
}

static void fill_input(ln_arg *a) {
  float *data = a->data = fresh(ln_nbytes(&a->meta));
  uint64_t counter = drawn++;
  for (int64_t i = 0; i < a->numel; i++) data[i] = ln_normal_at(2, counter, (uint64_t)i);
}

/* The shape rule gives the output; false when it refuses the geometry. */
static bool complete(example *e, ln_op op, int nin) {
  ln_meta metas[3] = {e->in[0].meta, e->in[1].meta, e->in[2].meta};
  e->call = (ln_call){.op = op, .nin = nin, .nout = 1, .in = e->in, .out = e->out, .attrs = &e->attrs,
                      .scalars = &e->scalars, .err = &e->err};
  if (ln_op_get(op)->shape(metas, nin, &e->attrs, &e->out[0].meta, &e->err) != LN_OK) return false;
  for (int i = 0; i < nin; i++) e->in[i].numel = metas[i].dtype == LN_NONE ? 0 : ln_numel(&metas[i]);
  e->out[0].numel = ln_numel(&e->out[0].meta);
  return true;
}

static ln_code run_on(const device *d, example *e, float *out) {
  ln_call *call = &e->call;
  ln_code code = d->backend->prepare(d->self, call);
  if (code != LN_OK) return code;
  void *workspace = ln_alloc(&mem, call->workspace_bytes);
  if (workspace == NULL) {
    d->backend->release(d->self, call);
    return LN_ENOMEM;
  }
  memset(workspace, 0xff, call->workspace_bytes); /* NaN: nothing may rely on it */
  memset(out, 0xff, (size_t)e->out[0].numel * sizeof *out);
  call->workspace = workspace;
  e->out[0].data = out;
  code = d->backend->run(d->self, call);
  d->backend->release(d->self, call);
  ln_free(&mem, workspace);
  return code;
}

static double relative_difference(const float *a, const float *b, int64_t n) {
  double difference = 0, norm = 0;
  for (int64_t i = 0; i < n; i++) {
    difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    norm += (double)b[i] * (double)b[i];
  }
  return norm > 0 ? sqrt(difference / norm) : sqrt(difference);
}

static void compare(example *e) {
  size_t bytes = (size_t)e->out[0].numel * sizeof(float);
  float *out[BACKENDS + 1];
  for (int i = 0; i < e->call.nin; i++)
    if (e->in[i].meta.dtype != LN_NONE) fill_input(&e->in[i]);
  for (int i = 0; i <= BACKENDS; i++) out[i] = fresh(bytes);
  ln_code code = LN_OK;
  for (int i = 0; i < BACKENDS && code == LN_OK; i++) code = run_on(&dev[i], e, out[i]);
  if (code == LN_OK) code = run_on(&dev[1], e, out[BACKENDS]);
  check(code == LN_OK, e, "runs", code);
  if (code == LN_OK) {
    double d = relative_difference(out[1], out[0], e->out[0].numel);
    check(d < 2e-6, e, "equals the reference", d);
    d = relative_difference(out[2], out[0], e->out[0].numel);
    check(d < 2e-6, e, "equals the reference in deterministic mode", d);
    check(memcmp(out[2], out[3], bytes) == 0, e, "has the same bits for 1 and 3 threads", 0);
    check(memcmp(out[1], out[BACKENDS], bytes) == 0, e, "has the same bits from run to run", 0);
  }
  for (int i = 0; i <= BACKENDS; i++) ln_free(&mem, out[i]);
  for (int i = 0; i < e->call.nin; i++) ln_free(&mem, e->in[i].data);
}

static ln_meta meta_of(int rank, const int64_t *dim) {
  ln_meta m = {.dtype = LN_F32, .rank = rank};
  for (int i = 0; i < rank; i++) m.dim[i] = dim[i];
  return m;
}

/* -- convolutions: all three sides of one drawn geometry, and the transposed one */

static void draw_attrs(ln_attrs *a, int spatial) {
  for (int i = 0; i < spatial; i++) {
    a->stride[i] = draw(0, 1) ? 1 : draw(2, 3);
    a->padding[i] = draw(0, 2);
    a->dilation[i] = draw(0, 3) ? 1 : 2;
  }
}

static void run_geometry(int number) {
  static const int64_t kernels[] = {1, 2, 3, 3, 3, 5}, channels[] = {1, 2, 3, 8, 16, 24};
  int spatial = 1 + number % 3, rank = spatial + 2;
  example e = {0};
  ln_attrs_default(&e.attrs, &e.scalars);
  draw_attrs(&e.attrs, spatial);
  int64_t groups = draw(0, 2) ? 1 : draw(2, 4);
  int64_t x[LN_MAX_RANK], w[LN_MAX_RANK], each_in = channels[draw(0, 5)], each_out = channels[draw(0, 5)];
  if (number % 5 == 0) groups = 8 * draw(1, 2), each_in = each_out = 1; /* depthwise */
  bool halves = number % 4 == 1; /* windows that tile the input */
  e.attrs.groups = groups;
  x[0] = number % 11 == 10 ? 0 : draw(1, 5);
  x[1] = groups * each_in;
  w[0] = groups * each_out;
  w[1] = each_in;
  for (int i = 0; i < spatial; i++) {
    w[2 + i] = halves ? 2 : kernels[draw(0, 5)];
    x[2 + i] = halves ? 2 * draw(1, 8) : draw(4, spatial == 1 ? 90 : 15);
    if (halves) e.attrs.stride[i] = 2, e.attrs.padding[i] = 0, e.attrs.dilation[i] = 1;
  }
  ln_meta mx = meta_of(rank, x), mw = meta_of(rank, w), none = {0};
  ln_meta bias = draw(0, 1) ? meta_of(1, w) : none;
  example forward = e;
  forward.in[0].meta = mx, forward.in[1].meta = mw, forward.in[2].meta = bias;
  if (!complete(&forward, LN_OP_conv, 3)) return;
  compare(&forward);

  example data = e;
  data.in[0].meta = forward.out[0].meta, data.in[1].meta = mw;
  data.attrs.nsize = spatial;
  for (int i = 0; i < spatial; i++) data.attrs.size[i] = x[2 + i], data.attrs.kernel[i] = w[2 + i];
  example weights = data;
  check(complete(&data, LN_OP_conv_input_grad, 2), &data, "is accepted", 0);
  compare(&data);
  weights.in[0].meta = mx, weights.in[1].meta = forward.out[0].meta;
  check(complete(&weights, LN_OP_conv_weight_grad, 2), &weights, "is accepted", 0);
  compare(&weights);

  example transposed = e;
  transposed.in[0].meta = mx;
  w[0] = x[1], w[1] = each_out;
  int64_t outputs = groups * each_out;
  transposed.in[1].meta = meta_of(rank, w);
  if (bias.dtype != LN_NONE) transposed.in[2].meta = meta_of(1, &outputs);
  for (int i = 0; i < spatial; i++) {
    int64_t most = e.attrs.stride[i] > e.attrs.dilation[i] ? e.attrs.stride[i] : e.attrs.dilation[i];
    transposed.attrs.output_padding[i] = draw(0, most - 1);
  }
  if (complete(&transposed, LN_OP_conv_transpose, 3)) compare(&transposed);
}

/* Shapes of a U-Net's layers, small: what the choice of method distinguishes. */
static void run_layer(int64_t in, int64_t out, int64_t size, int64_t kernel, bool up) {
  example e = {0};
  ln_attrs_default(&e.attrs, &e.scalars);
  int64_t x[] = {2, in, size, size}, w[] = {out, in, kernel, kernel};
  if (up) w[0] = in, w[1] = out;
  for (int i = 0; i < 2; i++) {
    e.attrs.stride[i] = up ? kernel : 1;
    e.attrs.padding[i] = up ? 0 : kernel / 2;
    e.attrs.kernel[i] = kernel, e.attrs.size[i] = size;
  }
  e.attrs.nsize = 2;
  example data = e, weights = e;
  e.in[0].meta = meta_of(4, x), e.in[1].meta = meta_of(4, w);
  e.in[2].meta = meta_of(1, &out);
  check(complete(&e, up ? LN_OP_conv_transpose : LN_OP_conv, 3), &e, "is accepted", 0);
  compare(&e);
  data.in[0].meta = e.out[0].meta, data.in[1].meta = e.in[1].meta;
  check(complete(&data, up ? LN_OP_conv : LN_OP_conv_input_grad, 2), &data, "is accepted", 0);
  compare(&data);
  weights.in[up ? 1 : 0].meta = e.in[0].meta, weights.in[up ? 0 : 1].meta = e.out[0].meta;
  check(complete(&weights, LN_OP_conv_weight_grad, 2), &weights, "is accepted", 0);
  compare(&weights);
}

/* -- matrix products */

static void run_product(int number) {
  static const int64_t sizes[] = {0, 1, 2, 5, 17, 64, 130};
  example e = {0};
  ln_attrs_default(&e.attrs, &e.scalars);
  e.attrs.transpose_a = draw(0, 1), e.attrs.transpose_b = draw(0, 1);
  int64_t m = sizes[draw(0, 6)], n = sizes[draw(0, 6)], k = sizes[draw(0, 6)];
  if (number == 0) m = 700, n = 1100, k = 90; /* several tiles both ways */
  int batch = (int)draw(0, 3);
  int64_t a[LN_MAX_RANK], b[LN_MAX_RANK];
  for (int i = 0; i < batch; i++) {
    int64_t dim = draw(1, 3);
    a[i] = draw(0, 2) ? dim : 1;
    b[i] = draw(0, 2) ? dim : 1;
  }
  a[batch] = e.attrs.transpose_a ? k : m, a[batch + 1] = e.attrs.transpose_a ? m : k;
  b[batch] = e.attrs.transpose_b ? n : k, b[batch + 1] = e.attrs.transpose_b ? k : n;
  int skip = (int)draw(0, batch);
  e.in[0].meta = meta_of(batch + 2, a);
  e.in[1].meta = meta_of(batch + 2 - skip, b + skip);
  check(complete(&e, LN_OP_matmul, 2), &e, "is accepted", 0);
  compare(&e);
}

/* -- failures */

/* Every allocation of prepare fails once; what it had taken comes back. */
static void run_failures(void) {
  example e = {0};
  ln_attrs_default(&e.attrs, &e.scalars);
  e.attrs.padding[0] = e.attrs.padding[1] = 1;
  int64_t x[] = {2, 16, 8, 8}, w[] = {16, 16, 3, 3};
  e.in[0].meta = meta_of(4, x), e.in[1].meta = meta_of(4, w);
  if (!complete(&e, LN_OP_conv, 2)) abort();
  size_t before = mem.live;
  for (size_t at = 1;; at++) {
    mem.fail_at = mem.count + at;
    ln_code code = dev[1].backend->prepare(dev[1].self, &e.call);
    mem.fail_at = 0;
    if (code == LN_OK) {
      check(at > 1, &e, "allocates", 0);
      break;
    }
    check(code == LN_ENOMEM && e.err.text[0] != '\0', &e, "reports the missing memory", code);
    check(mem.live == before, &e, "gives everything back", (double)mem.live);
  }
  dev[1].backend->release(dev[1].self, &e.call);
  check(mem.live == before, &e, "is released", (double)mem.live);
}

static void open_devices(void) {
  const ln_device_options options[BACKENDS] = {{.threads = 1}, {.threads = 3}, {.threads = 1, .deterministic = true},
                                               {.threads = 3, .deterministic = true}};
  ln_error err;
  for (int i = 0; i < BACKENDS; i++) {
    dev[i].backend = i == 0 ? ln_ref_backend() : ln_cpu_backend();
    if (dev[i].backend->open(&mem, &options[i], &dev[i].self, &err) != LN_OK) {
      printf("FAILED to open: %s\n", err.text);
      exit(1);
    }
  }
  char text[256];
  dev[1].backend->describe(dev[1].self, text, sizeof text);
  printf("%s\n", text);
}

int main(int argc, char **argv) {
  int geometries = argc > 1 ? atoi(argv[1]) : 120;
  open_devices();
  for (int i = 0; i < geometries; i++) run_geometry(i);
  for (int i = 0; i < geometries / 2; i++) run_product(i);
  run_layer(1, 64, 24, 3, false);
  run_layer(64, 1, 24, 1, false);
  run_layer(64, 64, 20, 3, false);
  run_layer(8, 8, 20, 3, false); /* so few channels that oneDNN sums the weight gradient over threads */
  run_layer(256, 256, 6, 3, false);
  run_layer(128, 64, 9, 2, true);
  run_failures();
  for (int i = 0; i < BACKENDS; i++) dev[i].backend->close(dev[i].self);
  if (mem.live != 0) failed++, printf("FAILED: %zu bytes are still live\n", (size_t)mem.live);
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
