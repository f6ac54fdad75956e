/* blocked_test.c: the kernels of the blocked layout beside those of the plain one, on every instruction set of
 * this processor: what layouts says, values (bits, but for sums), images that lie apart with guards between
 * them, outputs over the first input, the same bits for one and three threads. Plain or blocked, what the planner
 * takes apart gives the bits of the whole. And the same kernels over what is stored as bf16 (bf16.h).
 */
#include "bf16.h"

static void compare_all(example *e, bool exact) {
  compare(e, exact);
  const bool low = compare_bf16(e, 0, NULL, NULL), rounded = (ln_op_get(e->call.op)->flags & LN_LOW) != 0;
  check(low || !rounded || e->call.op == LN_OP_avg_pool_grad, e, "what is rounded can be stored as bf16");
}

/* -- elementwise ops, norms, sums: same-shaped images */

typedef struct row {
  ln_op op;
  const char *in;
  bool exact; /* no sums */
} row;

static const row rows[] = {
    {LN_OP_relu, "n", true}, {LN_OP_relu_grad, "xn", true}, {LN_OP_leaky_relu, "n", true},
    {LN_OP_leaky_relu_grad, "xn", true}, {LN_OP_add, "xx", true}, {LN_OP_add, "xs", true}, {LN_OP_sub, "xx", true},
    {LN_OP_sub, "sx", true}, {LN_OP_mul, "xx", true}, {LN_OP_mul, "xs", true}, {LN_OP_div, "xx", true},
    {LN_OP_div, "sx", true}, {LN_OP_neg, "n", true}, {LN_OP_abs, "n", true}, {LN_OP_sigmoid, "n", true},
    {LN_OP_sigmoid_grad, "xx", true}, {LN_OP_tanh, "n", true}, {LN_OP_exp, "n", true}, {LN_OP_sqrt, "p", true},
    {LN_OP_clamp, "n", true}, {LN_OP_maximum, "nx", true}, {LN_OP_minimum, "xn", true}, {LN_OP_reorder, "n", true},
    {LN_OP_moments, "x", false}, {LN_OP_moments, "o", false}, {LN_OP_batch_norm, "xvc", false}, {LN_OP_batch_norm, "x--", false},
    {LN_OP_batch_norm_eval, "ncvvc", true}, {LN_OP_batch_norm_eval, "xcv--", true}, {LN_OP_norm_relu, "ncvvc", true},
    {LN_OP_norm_relu, "xcv--", true}, {LN_OP_batch_norm_grad, "xxvcv", false}, {LN_OP_batch_norm_grad, "xx-cv", false},
    {LN_OP_norm_relu_grad, "xxcvvc", false}, {LN_OP_norm_relu_grad, "xxcv--", false}, {LN_OP_relu_grad_sum, "xx", false}};

static void run_reorder(const ln_meta *image) {
  example e;
  begin(&e);
  set_inputs(&e, "n", image);
  if (!complete(&e, LN_OP_reorder, 1)) abort();
  check(run_on(one, &e) == LN_OK && same(&e.out[0], &e.in[0], true), &e, "copies plain to plain");
  const ln_arg x = e.in[0], y = e.out[0];
  const int64_t gap = 40;
  ln_arg from, to;
  to_blocked(&from, &x, gap, true);
  to_blocked(&to, &x, 3 * gap, false);
  e.out[0] = to;
  check(run_on(three, &e) == LN_OK && same(&to, &x, true) && guards_stand(&to), &e, "plain to blocked");
  e.in[0] = from, e.out[0] = y;
  memset(y.data, 0, ln_nbytes(&y.meta));
  check(run_on(three, &e) == LN_OK && same(&y, &x, true), &e, "blocked to plain");
  drop_blocked(&to);
  to_blocked(&to, &x, 2 * gap, false);
  e.out[0] = to;
  check(run_on(one, &e) == LN_OK && same(&to, &x, true) && guards_stand(&to), &e, "blocked to blocked");
  drop_blocked(&to), drop_blocked(&from);
  e.in[0] = x, e.out[0] = y;
  drop(&e);
}

static void run_rows(const ln_meta *image) {
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
    example e;
    if (rows[r].op == LN_OP_reorder) {
      run_reorder(image);
      continue;
    }
    begin(&e);
    e.scalars.lo = -0.5, e.scalars.hi = 0.75;
    set_inputs(&e, rows[r].in, image);
    if (complete(&e, rows[r].op, (int)strlen(rows[r].in))) compare_all(&e, rows[r].exact); /* else one element a channel */
    drop(&e);
  }
  for (int keepdim = 0; keepdim < 2; keepdim++) {
    example e;
    begin(&e);
    e.attrs.keepdim = keepdim;
    for (int d = 0; d < image->rank; d++)
      if (d != 1) e.attrs.dims[e.attrs.ndims++] = d;
    set_inputs(&e, "x", image);
    if (!complete(&e, LN_OP_sum, 1)) abort();
    compare_all(&e, false);
    drop(&e);
  }
}

/* cat of three images along the channels, and the slices that its gradient takes. */
static void run_channels(const ln_meta *image) {
  example e;
  begin(&e);
  e.attrs.dim = 1;
  set_inputs(&e, "xnx", image);
  ln_free(&mem, e.in[1].data);
  e.in[1].meta.dim[1] += one->lanes;
  fill(&e.in[1], 'n');
  if (!complete(&e, LN_OP_cat, 3)) abort();
  compare_all(&e, true);
  for (int part = 0; part < 2; part++) {
    example s;
    begin(&s);
    s.attrs.dim = 1, s.attrs.start = part * image->dim[1], s.attrs.stop = s.attrs.start + e.in[part].meta.dim[1];
    s.in[0].meta = e.out[0].meta;
    fill(&s.in[0], 'n');
    if (!complete(&s, LN_OP_slice, 1)) abort();
    compare_all(&s, true);
    drop(&s);
  }
  drop(&e);
}

/* -- pools */

typedef struct window {
  int64_t kernel, stride, padding, dilation;
  bool ceil_mode, include_pad;
} window;

static const window windows[] = {{2, 2, 0, 1, false, true}, {2, 2, 0, 1, true, true}, {3, 2, 1, 1, false, true},
                                 {3, 1, 1, 1, false, false}, {2, 1, 0, 2, false, true}, {3, 3, 1, 1, true, false}};

static void set_window(ln_attrs *a, const window *w) {
  for (int i = 0; i < LN_SPATIAL; i++)
    a->kernel[i] = w->kernel, a->stride[i] = w->stride, a->padding[i] = w->padding, a->dilation[i] = w->dilation;
  a->ceil_mode = w->ceil_mode, a->count_include_pad = w->include_pad;
}

static void set_size(ln_attrs *a, const ln_meta *image) {
  a->nsize = image->rank - 2;
  for (int i = 0; i < a->nsize; i++) a->size[i] = image->dim[2 + i];
}

static const ln_op pool_grads[] = {LN_OP_max_pool_grad, LN_OP_max_pool_grad_add, LN_OP_norm_relu_pool_grad};

/* Few enough digits for sums that bf16 has: a gradient that is stored as such on its way loses nothing. */
static void make_coarse(ln_arg *a) {
  float *data = a->data;
  for (int64_t i = 0; i < a->numel; i++) data[i] = rintf(8 * data[i]) / 8;
}

/* indices: those of a pool, or NULL for any positions of the image. */
static void run_pool_grad(const ln_meta *image, const ln_meta *pooled, const int32_t *indices, ln_op op) {
  example e;
  begin(&e);
  set_size(&e.attrs, image);
  const int gy = op == LN_OP_max_pool_grad ? 0 : 1, nin = ln_op_info_get(op)->nin;
  if (gy == 1) set_inputs(&e, nin > 3 ? "x--xcvvc" : "x", image);
  e.in[gy].meta = e.in[gy + 1].meta = *pooled;
  fill(&e.in[gy], 'x');
  if (nin > 3) make_coarse(&e.in[0]), make_coarse(&e.in[1]);
  e.in[gy + 1].meta.dtype = LN_I32;
  const int64_t n = ln_numel(pooled), volume = ln_numel(image) / (image->dim[0] * image->dim[1]);
  int32_t *data = e.in[gy + 1].data = fresh((size_t)n * 4);
  for (int64_t i = 0; i < n; i++)
    data[i] = indices ? indices[i] : (int32_t)ln_below_at(3, 0, drawn++, (uint64_t)volume);
  if (!complete(&e, op, nin)) abort();
  compare_all(&e, nin <= 3);
  /* An index outside is refused before anything is written. */
  data[n / 2] = (int32_t)volume;
  check(run_on(one, &e) == LN_EINVAL, &e, "refuses an index outside, plain");
  ln_arg plain[MAX_IN], out = e.out[0];
  memcpy(plain, e.in, sizeof plain);
  for (int i = 0; i < nin; i++)
    if (is_image(&plain[i])) to_blocked(&e.in[i], &plain[i], 0, true);
  to_blocked(&e.out[0], &out, 0, false);
  check(run_on(three, &e) == LN_EINVAL, &e, "refuses an index outside, blocked");
  for (int i = 0; i < nin; i++)
    if (is_image(&plain[i])) drop_blocked(&e.in[i]);
  drop_blocked(&e.out[0]);
  memcpy(e.in, plain, sizeof plain);
  e.out[0] = out;
  drop(&e);
}

static void run_average(const ln_meta *image, const window *w) {
  example e, back;
  begin(&e);
  set_window(&e.attrs, w);
  set_inputs(&e, "x", image);
  if (complete(&e, LN_OP_avg_pool, 1)) {
    compare_all(&e, true);
    begin(&back);
    set_window(&back.attrs, w);
    set_size(&back.attrs, image);
    set_inputs(&back, "x", &e.out[0].meta);
    if (!complete(&back, LN_OP_avg_pool_grad, 1)) abort();
    compare_all(&back, true);
    drop(&back);
  }
  drop(&e);
}

static float half_at(const ln_arg *a, int64_t i) { return float_of(((uint16_t *)a->data)[blocked_index(a, i)]); }

/* Where rounding has made elements of a window equal its index is not f32's, but still that of what was taken. */
static void indices_fit(const example *low, const example *full, int output) {
  const ln_arg *y = &low->out[0], *pooled = &low->out[1], *indices = &low->out[output];
  const int64_t big = y->numel / y->meta.dim[0] / y->meta.dim[1], small = pooled->numel / y->meta.dim[0] / y->meta.dim[1];
  bool fit = true;
  for (int64_t i = 0; i < pooled->numel; i++) {
    const int64_t index = ((int32_t *)indices->data)[blocked_index(indices, i)];
    const float v = half_at(pooled, i);
    fit = fit && index >= 0 && index < big && (v != v || half_at(y, i / small * big + index) == v);
  }
  check(fit, full, "beside bf16 an index is where the largest is");
}

static void run_pools(const ln_meta *image) {
  for (size_t k = 0; k < sizeof windows / sizeof *windows; k++) {
    example e;
    begin(&e);
    set_window(&e.attrs, &windows[k]);
    set_inputs(&e, "n", image);
    if (complete(&e, LN_OP_max_pool, 1)) {
      compare_all(&e, true);
      for (size_t g = 0; g < sizeof pool_grads / sizeof *pool_grads; g++) {
        run_pool_grad(image, &e.out[0].meta, e.out[1].data, pool_grads[g]);
        if (k == 0) run_pool_grad(image, &e.out[0].meta, NULL, pool_grads[g]);
      }
    }
    drop(&e);
    begin(&e);
    set_window(&e.attrs, &windows[k]);
    set_inputs(&e, "ncvvc", image);
    if (complete(&e, LN_OP_norm_relu_pool, 5)) {
      compare(&e, true);
      check(compare_bf16(&e, 0, indices_fit, NULL), &e, "can be stored as bf16");
    }
    drop(&e);
    if (windows[k].dilation == 1) run_average(image, &windows[k]);
  }
}

/* -- resampling */

static void run_resampling(const ln_meta *image) {
  for (int k = 0; k < 9; k++) {
    example e;
    begin(&e);
    e.attrs.mode = k < 3 ? LN_MODE_NEAREST : LN_MODE_LINEAR;
    e.attrs.align_corners = k >= 6;
    e.attrs.nsize = image->rank - 2;
    ln_meta resized = *image;
    for (int i = 0; i < e.attrs.nsize; i++) {
      const int64_t size = image->dim[2 + i];
      resized.dim[2 + i] = e.attrs.size[i] = k % 3 == 0 ? 2 * size : k % 3 == 1 ? size / 2 + 1 : i == 0 ? size : size + 3;
    }
    example back = e;
    set_inputs(&e, "x", image);
    if (!complete(&e, LN_OP_interpolate, 1)) abort();
    compare_all(&e, true);
    set_size(&back.attrs, image);
    set_inputs(&back, "x", &resized);
    if (!complete(&back, LN_OP_interpolate_grad, 1)) abort();
    compare_all(&back, true);
    drop(&back);
    drop(&e);
  }
}

/* -- one op taken apart into several has the bits of the one */

static void call_on(example *e, ln_op op, int nin) {
  if (!complete(e, op, nin)) abort();
  if (e->in[0].layout == LN_BLOCKED) {
    for (int o = 0; o < e->call.nout; o++) {
      const ln_arg plain = e->out[o];
      if (is_image(&plain)) to_blocked(&e->out[o], &plain, 0, false), ln_free(&mem, plain.data);
    }
  }
  check(run_on(one, e) == LN_OK, e, "runs as a part");
}

static void drop_outputs(example *e) {
  for (int o = 0; o < e->call.nout; o++) {
    if (e->out[o].layout == LN_BLOCKED) drop_blocked(&e->out[o]);
    else ln_free(&mem, e->out[o].data);
  }
}

/* norm: inputs of norm_relu; its result is `relu`'s output of so many bytes. */
static void run_pooled_parts(const example *norm, const example *relu, size_t bytes) {
  example pool, whole;
  begin(&pool);
  set_window(&pool.attrs, &windows[0]);
  whole = pool;
  pool.in[0] = relu->out[0];
  memcpy(whole.in, norm->in, sizeof whole.in);
  call_on(&pool, LN_OP_max_pool, 1);
  call_on(&whole, LN_OP_norm_relu_pool, 5);
  const size_t pooled = ln_nbytes(&pool.out[0].meta);
  check(memcmp(relu->out[0].data, whole.out[0].data, bytes) == 0, &whole, "norm_relu_pool's first output is norm_relu's");
  check(memcmp(pool.out[0].data, whole.out[1].data, pooled) == 0 && memcmp(pool.out[1].data, whole.out[2].data, pooled) == 0, &whole,
        "norm_relu_pool pools its first output");
  drop_outputs(&pool), drop_outputs(&whole);
}

static void run_parts(const ln_meta *image, bool blocked) {
  example whole, moments, apart, relu, fused;
  begin(&whole);
  set_inputs(&whole, "xvc", image);
  const ln_arg plain = whole.in[0];
  if (blocked) to_blocked(&whole.in[0], &plain, 0, true);
  moments = apart = relu = fused = whole;
  call_on(&whole, LN_OP_batch_norm, 3);
  call_on(&moments, LN_OP_moments, 1);
  apart.in[1] = moments.out[0], apart.in[2] = moments.out[1], apart.in[3] = whole.in[1], apart.in[4] = whole.in[2];
  memcpy(fused.in, apart.in, sizeof fused.in);
  call_on(&apart, LN_OP_batch_norm_eval, 5);
  const size_t bytes = (size_t)plain.numel * 4, vector = ln_nbytes(&moments.out[0].meta);
  check(memcmp(whole.out[1].data, moments.out[0].data, vector) == 0 && memcmp(whole.out[2].data, moments.out[1].data, vector) == 0,
        &whole, "moments are batch_norm's");
  check(memcmp(whole.out[0].data, apart.out[0].data, bytes) == 0, &whole, "batch_norm is moments and batch_norm_eval");
  relu.in[0] = apart.out[0];
  call_on(&relu, LN_OP_relu, 1);
  call_on(&fused, LN_OP_norm_relu, 5);
  check(memcmp(relu.out[0].data, fused.out[0].data, bytes) == 0, &fused, "norm_relu is relu of batch_norm_eval");
  if (image->dim[image->rank - 1] > 1 && image->rank == 4) run_pooled_parts(&apart, &fused, bytes);
  drop_outputs(&relu), drop_outputs(&fused), drop_outputs(&apart), drop_outputs(&moments), drop_outputs(&whole);
  if (blocked) drop_blocked(&whole.in[0]);
  ln_free(&mem, plain.data), ln_free(&mem, whole.in[1].data), ln_free(&mem, whole.in[2].data);
}

/* -- what has no blocked kernel, and what it is told */

static void stay_plain(example *e, ln_op op, int nin, const char *what) {
  if (!complete(e, op, nin)) abort();
  for (int i = 0; i < nin; i++) e->in[i].layout = LN_BLOCKED, e->in[i].image = e->in[i].numel / e->in[i].meta.dim[0];
  e->out[0].layout = LN_BLOCKED;
  check(backend->prepare(one, &e->call) == LN_ENOTSUP, e, what);
  backend->layouts(one, &e->call);
  bool plain = e->out[0].layout == LN_PLAIN;
  for (int i = 0; i < nin; i++) plain = plain && e->in[i].layout == LN_PLAIN;
  check(plain, e, "is wanted plain");
  ln_free(&mem, e->out[0].data);
}

static void run_refusals(void) {
  const int64_t odd[] = {2, 3, 4, 4}, even[] = {2, 2 * one->lanes, 4, 4};
  const ln_meta few = meta_of(LN_F32, 4, odd), image = meta_of(LN_F32, 4, even);
  example e;
  begin(&e);
  e.in[0].meta = few;
  stay_plain(&e, LN_OP_relu, 1, "refuses channels that fill no vector");
  e.in[0].meta = image;
  stay_plain(&e, LN_OP_log, 1, "refuses what has no blocked kernel");
  e.attrs.dim = 1, e.attrs.start = 1, e.attrs.stop = 1 + one->lanes;
  stay_plain(&e, LN_OP_slice, 1, "refuses a slice that begins inside a vector");
  e.attrs.start = 0, e.attrs.step = 2, e.attrs.stop = 2 * one->lanes;
  stay_plain(&e, LN_OP_slice, 1, "refuses a slice with gaps");
  e.in[1].meta = few;
  stay_plain(&e, LN_OP_cat, 2, "refuses to join channels that fill no vector");
  e.in[1].meta = image, e.attrs.dim = 2;
  stay_plain(&e, LN_OP_cat, 2, "refuses to join along another dim");
  e.attrs.ndims = 2, e.attrs.dims[0] = 2, e.attrs.dims[1] = 3;
  stay_plain(&e, LN_OP_sum, 1, "refuses sums over some other dims");
  if (!complete(&e, LN_OP_relu, 1)) abort();
  e.in[0].layout = LN_BLOCKED, e.out[0].layout = LN_PLAIN;
  check(backend->prepare(one, &e.call) == LN_ENOTSUP, &e, "refuses an output in another layout");
  ln_free(&mem, e.out[0].data);
  e.in[0].meta.dtype = LN_I64;
  if (!complete(&e, LN_OP_reorder, 1)) abort();
  e.in[0].layout = e.out[0].layout = LN_BLOCKED;
  check(backend->prepare(one, &e.call) == LN_ENOTSUP, &e, "refuses to reorder blocks of eight bytes");
  ln_free(&mem, e.out[0].data);
}

static void run_isa(void) {
  static const int64_t sizes[][3] = {{37}, {1}, {7, 9}, {16, 20}, {3, 5, 6}, {4, 6, 8}};
  static const int ranks[] = {1, 1, 2, 2, 3, 3};
  for (size_t k = 0; k < sizeof ranks / sizeof *ranks; k++) {
    for (int many = 0; many < 2; many++) {
      int64_t dim[LN_MAX_RANK] = {many ? 3 : 1, one->lanes * (many ? 3 : 1)};
      memcpy(dim + 2, sizes[k], sizeof sizes[k]);
      const ln_meta image = meta_of(LN_F32, 2 + ranks[k], dim);
      run_rows(&image);
      run_channels(&image);
      run_pools(&image);
      run_resampling(&image);
      for (int blocked = 0; blocked < 2 && (many || k > 1); blocked++) run_parts(&image, blocked);
    }
  }
  /* more than one piece a plane */
  const int64_t large[] = {2, one->lanes, 90, 131};
  const ln_meta image = meta_of(LN_F32, 4, large);
  run_rows(&image);
  run_parts(&image, true);
  run_refusals();
}

int main(void) { return run_everywhere(run_isa); }
