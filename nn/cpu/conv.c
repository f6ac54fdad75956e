/* conv.c: the four convolution ops: from a call to a geometry, a method, a run.
 *
 * The rule of choice is better_as_products() below; what it leaves goes to oneDNN's direct
 * primitives, and what oneDNN has none for to matrix products too. There is no Winograd.
 *
 * Deterministic mode: weight gradients are made image by image, each by a primitive of one
 * thread, and summed in image order; oneDNN's own sum over images and rows depends on the
 * thread count. Its forward and data primitives split work over outputs only.
 */
#include <omp.h>
#include <string.h>

#include "conv.h"
#include "libraries.h"

typedef struct step {
  ln_conv_geometry g;
  ln_conv_dir dir;
  ln_dnnl_conv *dnnl; /* NULL: matrix products */
  int lanes;          /* images at a time; 0: the whole batch in one primitive */
} step;

/* -- geometry */

static void set_spatial(ln_conv_geometry *g, const ln_attrs *attrs, const ln_meta *src, const ln_meta *weights,
                        const ln_meta *dst) {
  int spatial = src->rank - 2, skip = LN_SPATIAL - spatial;
  for (int i = 0; i < LN_SPATIAL; i++) {
    int a = i - skip; /* place among the tensor's spatial dims */
    g->in[i] = a < 0 ? 1 : src->dim[2 + a];
    g->out[i] = a < 0 ? 1 : dst->dim[2 + a];
    g->kernel[i] = a < 0 ? 1 : weights->dim[2 + a];
    g->stride[i] = a < 0 ? 1 : attrs->stride[a];
    g->padding[i] = a < 0 ? 0 : attrs->padding[a];
    g->dilation[i] = a < 0 ? 1 : attrs->dilation[a];
  }
}

static ln_conv_geometry geometry_of(const ln_call *call) {
  const ln_arg *src = &call->in[0], *weights = &call->in[1], *dst = &call->out[0];
  if (call->op == LN_OP_conv_input_grad || call->op == LN_OP_conv_transpose) {
    src = &call->out[0];
    dst = &call->in[0];
  } else if (call->op == LN_OP_conv_weight_grad) {
    weights = &call->out[0];
    dst = &call->in[1];
  }
  ln_conv_geometry g = {.n = src->meta.dim[0], .groups = call->attrs->groups};
  g.ci = src->meta.dim[1];
  g.co = dst->meta.dim[1];
  set_spatial(&g, call->attrs, &src->meta, &weights->meta, &dst->meta);
  return g;
}

static ln_conv_dir direction_of(ln_op op) {
  if (op == LN_OP_conv) return LN_CONV_FORWARD;
  return op == LN_OP_conv_weight_grad ? LN_CONV_BACKWARD_WEIGHTS : LN_CONV_BACKWARD_DATA;
}

static ln_conv_tensors tensors_of(const ln_call *call) {
  float *first = call->in[0].data, *second = call->in[1].data, *out = call->out[0].data;
  switch (direction_of(call->op)) {
  case LN_CONV_FORWARD:
    return (ln_conv_tensors){first, second, out, call->nin > 2 ? call->in[2].data : NULL};
  case LN_CONV_BACKWARD_DATA:
    return (ln_conv_tensors){out, second, first, call->nin > 2 ? call->in[2].data : NULL};
  default:
    return (ln_conv_tensors){first, out, second, NULL};
  }
}

static bool has_bias(const ln_call *call) { return call->nin > 2 && call->in[2].meta.dtype != LN_NONE; }

/* Nothing to multiply: the result is the bias, or zeros, or has no elements. */
static bool is_empty(const ln_conv_geometry *g) {
  return g->n == 0 || g->ci == 0 || g->co == 0 || ln_conv_volume(g->in) == 0 || ln_conv_volume(g->out) == 0 ||
         ln_conv_volume(g->kernel) == 0;
}

/* -- prepare */

/* Measured on Zen 3 with AVX2 (oneDNN 2.6.3, OpenBLAS 0.3.21, one thread's CPU time, 256x256):
 *   64->1, 1x1            forward 2 ms, data 5, weights 2; PyTorch's oneDNN 2, 31, 2 with its page faults
 *   128->64, 2x2 up       31 ms; by oneDNN in PyTorch 170
 *   1->64, 3x3            weights 8 ms against oneDNN's 25: it pads thin sides to whole vectors
 *   2..4->32, 3x3         data 6-10 ms against 12-25
 *   16->1, 3x3            forward 4 ms against 9, weights 4 against 7
 *   256->256, 512->512    weights 73-78 GFLOP/s against 57-68. On AVX-512 oneDNN reaches 92 % of the
 *                         peak there, so it stays.
 */
static bool better_as_products(const ln_conv_geometry *g, ln_conv_dir dir, ln_isa isa) {
  if (ln_conv_tiles(g)) return true;
  if (g->groups > 1) return false;
  switch (dir) {
  case LN_CONV_FORWARD: return g->co == 1;
  case LN_CONV_BACKWARD_DATA: return g->ci <= 4 && g->co > 1;
  default: return g->ci <= 2 || g->co == 1 || (isa < LN_ISA_AVX512 && g->ci >= 256 && g->co >= 256);
  }
}

static size_t weight_bytes(const ln_conv_geometry *g) {
  return ln_cpu_align((size_t)(g->co * (g->ci / g->groups) * ln_conv_volume(g->kernel)) * sizeof(float));
}

static ln_code prepare_dnnl(const ln_cpu *cpu, step *s, bool bias, size_t *workspace, ln_error *err) {
  const ln_dnnl *dnnl = ln_cpu_libraries(cpu)->dnnl;
  ln_conv_geometry g = s->g;
  if (cpu->deterministic && s->dir == LN_CONV_BACKWARD_WEIGHTS) {
    s->lanes = g.n < cpu->threads ? (int)g.n : cpu->threads;
    g.n = 1;
  }
  ln_code code = ln_dnnl_conv_new(dnnl, &g, s->dir, bias, s->lanes > 0 ? 1 : cpu->threads, s->lanes > 0 ? s->lanes : 1,
                                  &s->dnnl, err);
  if (code != LN_OK || s->dnnl == NULL) return code;
  *workspace = ln_dnnl_conv_workspace(s->dnnl);
  if (s->lanes > 0) *workspace = (size_t)s->lanes * (*workspace + weight_bytes(&s->g));
  return LN_OK;
}

static ln_code prepare(ln_cpu *cpu, ln_call *call) {
  step *s = ln_calloc(cpu->mem, 1, sizeof *s);
  if (s == NULL) return ln_fail(call->err, LN_ENOMEM, "out of memory while preparing a convolution");
  s->g = geometry_of(call);
  s->dir = direction_of(call->op);
  ln_code code = LN_OK;
  if (!is_empty(&s->g)) {
    if (!better_as_products(&s->g, s->dir, cpu->isa))
      code = prepare_dnnl(cpu, s, has_bias(call), &call->workspace_bytes, call->err);
    if (code == LN_OK && s->dnnl == NULL) call->workspace_bytes = ln_conv_gemm_workspace(cpu, &s->g, s->dir);
  }
  if (code != LN_OK) {
    ln_free(cpu->mem, s);
    return code;
  }
  call->prepared = s;
  return LN_OK;
}

static void release(ln_cpu *cpu, ln_call *call) {
  step *s = call->prepared;
  if (s == NULL) return;
  ln_dnnl_conv_free(s->dnnl);
  ln_free(cpu->mem, s);
  call->prepared = NULL;
}

/* -- run */

/* bias[c] (or 0) to every element of channel c; `add` to what is there instead. */
static void put_bias(const ln_cpu *cpu, float *y, const float *bias, int64_t n, int64_t channels, int64_t plane, bool add) {
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
  for (int64_t row = 0; row < n * channels; row++) {
    float *to = y + row * plane, value = bias != NULL ? bias[row % channels] : 0.0f;
    if (add)
      for (int64_t i = 0; i < plane; i++) to[i] += value;
    else
      for (int64_t i = 0; i < plane; i++) to[i] = value;
  }
}

static void run_empty(const ln_cpu *cpu, const step *s, const ln_conv_tensors *t) {
  const ln_conv_geometry *g = &s->g;
  if (s->dir == LN_CONV_FORWARD)
    put_bias(cpu, t->dst, t->bias, g->n, g->co, ln_conv_volume(g->out), false);
  else if (s->dir == LN_CONV_BACKWARD_DATA)
    put_bias(cpu, t->src, t->bias, g->n, g->ci, ln_conv_volume(g->in), false);
  else
    memset(t->weights, 0, (size_t)(g->co * (g->ci / g->groups) * ln_conv_volume(g->kernel)) * sizeof(float));
}

static void add_in_order(const ln_cpu *cpu, float *sum, const char *parts, size_t stride, int64_t first, int64_t count,
                         int64_t length) {
  enum { BLOCK = 4096 };
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
  for (int64_t begin = 0; begin < length; begin += BLOCK) {
    int64_t end = begin + BLOCK < length ? begin + BLOCK : length;
    for (int64_t k = 0; k < count; k++) {
      const float *part = (const float *)(const void *)(parts + (size_t)k * stride);
      if (first + k == 0)
        memcpy(sum + begin, part + begin, (size_t)(end - begin) * sizeof *sum);
      else
        for (int64_t i = begin; i < end; i++) sum[i] += part[i];
    }
  }
}

/* Weight gradients image by image (see the head of this file). */
static int run_images(const ln_cpu *cpu, const step *s, const ln_conv_tensors *t, char *workspace) {
  const ln_conv_geometry *g = &s->g;
  size_t part = weight_bytes(g), own = ln_dnnl_conv_workspace(s->dnnl);
  char *scratch = workspace + (size_t)s->lanes * part;
  int64_t src = g->ci * ln_conv_volume(g->in), dst = g->co * ln_conv_volume(g->out);
  int status = 0;
  for (int64_t n = 0; n < g->n && status == 0; n += s->lanes) {
    int64_t count = g->n - n < s->lanes ? g->n - n : s->lanes;
#pragma omp parallel for schedule(static, 1) num_threads(cpu->threads) reduction(max : status)
    for (int64_t k = 0; k < count; k++) {
      ln_conv_tensors one = {.src = t->src + (n + k) * src, .dst = t->dst + (n + k) * dst};
      one.weights = (float *)(void *)(workspace + (size_t)k * part);
      int result = ln_dnnl_conv_run(s->dnnl, (int)k, &one, scratch + (size_t)k * own);
      if (result > status) status = result;
    }
    if (status == 0)
      add_in_order(cpu, t->weights, workspace, part, n, count, g->co * (g->ci / g->groups) * ln_conv_volume(g->kernel));
  }
  return status;
}

static int run_dnnl(const ln_cpu *cpu, const step *s, const ln_conv_tensors *t, void *workspace) {
  if (s->lanes > 0) return run_images(cpu, s, t, workspace);
  int before = omp_get_max_threads();
  omp_set_num_threads(cpu->threads);
  int status = ln_dnnl_conv_run(s->dnnl, 0, t, workspace);
  omp_set_num_threads(before);
  if (status == 0 && s->dir == LN_CONV_BACKWARD_DATA && t->bias != NULL)
    put_bias(cpu, t->src, t->bias, s->g.n, s->g.ci, ln_conv_volume(s->g.in), true);
  return status;
}

static ln_code run(ln_cpu *cpu, ln_call *call) {
  const step *s = call->prepared;
  ln_conv_tensors t = tensors_of(call);
  if (is_empty(&s->g)) {
    run_empty(cpu, s, &t);
  } else if (s->dnnl != NULL) {
    int status = run_dnnl(cpu, s, &t, call->workspace);
    if (status != 0) return ln_dnnl_fail(status, "running a convolution", call->err);
  } else {
    ln_conv_gemm_run(cpu, &s->g, s->dir, &t, call->workspace);
  }
  return LN_OK;
}

ln_code ln_cpu_conv_prepare(ln_cpu *cpu, ln_call *call) { return prepare(cpu, call); }
ln_code ln_cpu_conv_input_grad_prepare(ln_cpu *cpu, ln_call *call) { return prepare(cpu, call); }
ln_code ln_cpu_conv_weight_grad_prepare(ln_cpu *cpu, ln_call *call) { return prepare(cpu, call); }
ln_code ln_cpu_conv_transpose_prepare(ln_cpu *cpu, ln_call *call) { return prepare(cpu, call); }

void ln_cpu_conv_release(ln_cpu *cpu, ln_call *call) { release(cpu, call); }
void ln_cpu_conv_input_grad_release(ln_cpu *cpu, ln_call *call) { release(cpu, call); }
void ln_cpu_conv_weight_grad_release(ln_cpu *cpu, ln_call *call) { release(cpu, call); }
void ln_cpu_conv_transpose_release(ln_cpu *cpu, ln_call *call) { release(cpu, call); }

ln_code ln_cpu_conv(ln_cpu *cpu, ln_call *call) { return run(cpu, call); }
ln_code ln_cpu_conv_input_grad(ln_cpu *cpu, ln_call *call) { return run(cpu, call); }
ln_code ln_cpu_conv_weight_grad(ln_cpu *cpu, ln_call *call) { return run(cpu, call); }
ln_code ln_cpu_conv_transpose(ln_cpu *cpu, ln_call *call) { return run(cpu, call); }
