/* conv_norm.c: a convolution and a batch norm with given statistics as one convolution, whose weights and bias
 * are made of both:
 *
 *   gamma (conv(x, w) + b - mean) / sqrt(var + eps) + beta  =  conv(x, w f) + (b - mean) f + beta,
 *   f = gamma / sqrt(var + eps)
 *
 * What is made of cells stays as long as their versions do, in a plan that writes no cell. Large
 * weights are not kept: making them again is cheap beside the convolution.
 */
#include <math.h>
#include <string.h>

#include "conv.h"

enum { X, W, B, MEAN, VAR, GAMMA, BETA, INPUTS };
enum { KEEP_FLOATS = 1 << 20 };

typedef struct step {
  ln_call conv;              /* the one convolution; its arguments lie here */
  ln_arg in[3];
  int64_t co, each;          /* output channels, weights of one */
  float *kept;               /* weights and bias from the last run; NULL: made in the workspace */
  size_t folded;             /* bytes of both */
  uint64_t version[INPUTS];  /* that kept was made of */
  uint64_t stamp;            /* grows when kept changes */
} step;

static ln_op conv_op(ln_op op) { return op == LN_OP_conv_norm ? LN_OP_conv : LN_OP_conv_relu; }

static size_t weight_bytes(const step *s) { return ln_cpu_align((size_t)(s->co * s->each) * sizeof(float)); }

static void bind(step *s, const ln_call *call) {
  s->conv = (ln_call){.op = conv_op(call->op), .nin = 3, .nout = 1, .in = s->in, .out = call->out, .attrs = call->attrs,
                      .scalars = call->scalars, .err = call->err, .frozen = s->kept != NULL, .prepared = s->conv.prepared};
  s->in[X] = call->in[X];
  s->in[W] = call->in[W];
  s->in[B] = call->in[MEAN]; /* the bias is like it, and there always is one */
}

static ln_code prepare_conv(ln_cpu *cpu, ln_call *conv) {
  return conv->op == LN_OP_conv ? ln_cpu_conv_prepare(cpu, conv) : ln_cpu_conv_relu_prepare(cpu, conv);
}

static ln_code prepare(ln_cpu *cpu, ln_call *call) {
  step *s = ln_calloc(cpu->mem, 1, sizeof *s);
  if (s == NULL) return ln_fail(call->err, LN_ENOMEM, "out of memory while preparing a convolution");
  s->co = call->in[W].meta.dim[0];
  s->each = s->co > 0 ? call->in[W].numel / s->co : 0;
  s->folded = weight_bytes(s) + ln_cpu_align((size_t)s->co * sizeof(float));
  ln_code code = LN_OK;
  if (call->frozen && call->in[W].numel > 0 && call->in[W].numel <= KEEP_FLOATS) {
    s->kept = ln_alloc(cpu->mem, s->folded);
    if (s->kept == NULL) code = ln_fail(call->err, LN_ENOMEM, "out of memory for a convolution's folded weights");
  }
  bind(s, call);
  if (code == LN_OK) code = prepare_conv(cpu, &s->conv);
  if (code != LN_OK) {
    ln_free(cpu->mem, s->kept);
    ln_free(cpu->mem, s);
    return code;
  }
  call->workspace_bytes = ln_cpu_align(s->conv.workspace_bytes) + (s->kept == NULL ? s->folded : 0);
  call->prepared = s;
  return LN_OK;
}

static void release(ln_cpu *cpu, ln_call *call) {
  step *s = call->prepared;
  if (s->conv.op == LN_OP_conv) ln_cpu_conv_release(cpu, &s->conv);
  else ln_cpu_conv_relu_release(cpu, &s->conv);
  ln_free(cpu->mem, s->kept);
  ln_free(cpu->mem, s);
  call->prepared = NULL;
}

static void fold(const ln_cpu *cpu, const step *s, const ln_call *call, float *weights, float *bias) {
  const float *w = call->in[W].data, *b = call->in[B].data, *mean = call->in[MEAN].data, *var = call->in[VAR].data;
  const float *gamma = call->in[GAMMA].data, *beta = call->in[BETA].data;
  const int threads = s->co * s->each < LN_CPU_SERIAL ? 1 : cpu->threads;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (int64_t c = 0; c < s->co; c++) {
    const double f = (gamma != NULL ? (double)gamma[c] : 1.0) / sqrt((double)var[c] + call->attrs->eps);
    const float factor = (float)f;
    bias[c] = (float)(((b != NULL ? (double)b[c] : 0.0) - (double)mean[c]) * f + (beta != NULL ? (double)beta[c] : 0.0));
    for (int64_t i = 0; i < s->each; i++) weights[c * s->each + i] = w[c * s->each + i] * factor;
  }
}

/* Is kept made of other versions than these? Values that are no cells have none, and may be others in every run. */
static bool stale(step *s, const ln_call *call) {
  bool same = s->stamp > 0;
  for (int i = W; i < INPUTS; i++) {
    if (call->in[i].meta.dtype == LN_NONE) continue;
    same = same && call->in[i].version != 0 && call->in[i].version == s->version[i];
    s->version[i] = call->in[i].version;
  }
  return !same;
}

static ln_code run(ln_cpu *cpu, ln_call *call) {
  step *s = call->prepared;
  char *own = (char *)call->workspace + ln_cpu_align(s->conv.workspace_bytes);
  char *at = s->kept != NULL ? (char *)s->kept : own;
  float *weights = (float *)(void *)at, *bias = (float *)(void *)(at + weight_bytes(s));
  if (s->kept == NULL || stale(s, call)) {
    fold(cpu, s, call, weights, bias);
    s->stamp++;
  }
  const size_t workspace = s->conv.workspace_bytes;
  bind(s, call);
  s->in[W].data = weights;
  s->in[W].version = s->kept != NULL ? s->stamp : 0;
  s->in[B].data = bias;
  s->conv.workspace = call->workspace;
  s->conv.workspace_bytes = workspace;
  return s->conv.op == LN_OP_conv ? ln_cpu_conv(cpu, &s->conv) : ln_cpu_conv_relu(cpu, &s->conv);
}

const ln_call *ln_cpu_conv_norm_inner(const ln_call *call) { return &((const step *)call->prepared)->conv; }

ln_code ln_cpu_conv_norm_prepare(ln_cpu *cpu, ln_call *call) { return prepare(cpu, call); }
ln_code ln_cpu_conv_norm_relu_prepare(ln_cpu *cpu, ln_call *call) { return prepare(cpu, call); }
void ln_cpu_conv_norm_release(ln_cpu *cpu, ln_call *call) { release(cpu, call); }
void ln_cpu_conv_norm_relu_release(ln_cpu *cpu, ln_call *call) { release(cpu, call); }
ln_code ln_cpu_conv_norm(ln_cpu *cpu, ln_call *call) { return run(cpu, call); }
ln_code ln_cpu_conv_norm_relu(ln_cpu *cpu, ln_call *call) { return run(cpu, call); }
