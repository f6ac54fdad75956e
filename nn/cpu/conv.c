/* conv.c: the convolution ops: from a call to a method, a run and an epilogue.
 *
 * The rule of choice is better_as_products() below; what it leaves goes to oneDNN's direct
 * primitives, and what oneDNN has none for to matrix products too. There is no Winograd.
 */
#include <string.h>

#include "conv_call.h"
#include "conv_direct.h"
#include "conv_finish.h"
#include "libraries.h"

typedef struct step {
  ln_conv_geometry g;
  ln_conv_dir dir;
  ln_conv_direct direct; /* without a primitive: matrix products */
  ln_finish finish;
  size_t statistics;     /* bytes at the start of the workspace: per channel, then those of finish */
} step;

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

static size_t channel_bytes(const step *s, size_t each) { return ln_cpu_align((size_t)s->finish.channels * each); }

static void prepare_statistics(const ln_cpu *cpu, step *s, const ln_call *call) {
  if (s->dir == LN_CONV_BACKWARD_WEIGHTS) return;
  bool moments = ln_conv_has_moments(call->op), sums = ln_conv_has_sums(call->op);
  s->finish = ln_finish_of(cpu, &s->g, s->dir, call->out[0].layout, ln_conv_image(&call->out[0]));
  s->statistics = ln_finish_workspace(&s->finish, moments, sums);
  if (moments) s->statistics += channel_bytes(s, sizeof(ln_moments));
  if (sums) s->statistics += channel_bytes(s, sizeof(double));
}

static ln_code prepare(ln_cpu *cpu, ln_call *call) {
  step *s = ln_calloc(cpu->mem, 1, sizeof *s);
  if (s == NULL) return ln_fail(call->err, LN_ENOMEM, "out of memory while preparing a convolution");
  s->g = ln_conv_geometry_of(call);
  s->dir = ln_conv_direction_of(call->op);
  prepare_statistics(cpu, s, call);
  call->workspace_bytes = s->statistics;
  call->prepared = s;
  if (ln_conv_is_empty(&s->g)) return LN_OK;
  if (!better_as_products(&s->g, s->dir, cpu->isa)) {
    bool bias = call->nin > 2 && call->in[2].meta.dtype != LN_NONE && !ln_conv_has_sums(call->op);
    ln_code code = ln_conv_direct_new(cpu, &s->g, s->dir, bias, &s->direct, call->err);
    if (code != LN_OK) {
      ln_free(cpu->mem, s);
      call->prepared = NULL;
      return code;
    }
  }
  call->workspace_bytes += s->direct.dnnl != NULL ? ln_conv_direct_workspace(&s->direct)
                                                  : ln_conv_gemm_workspace(cpu, &s->g, s->dir);
  return LN_OK;
}

static void release(ln_cpu *cpu, ln_call *call) {
  step *s = call->prepared;
  if (s == NULL) return;
  ln_conv_direct_free(&s->direct);
  ln_free(cpu->mem, s);
  call->prepared = NULL;
}

/* -- run */

static void run_empty(const ln_call *call) {
  size_t bytes = ln_nbytes(&call->out[0].meta);
  if (bytes > 0) memset(call->out[0].data, 0, bytes);
}

/* Clears the bias of e when the method has added it. */
static int run_method(const ln_cpu *cpu, const step *s, const ln_call *call, ln_epilogue *e, void *workspace) {
  ln_conv_tensors t = ln_conv_tensors_of(call);
  if (ln_conv_is_empty(&s->g)) {
    run_empty(call);
    return 0;
  }
  if (s->direct.dnnl != NULL) {
    if (s->dir == LN_CONV_FORWARD) e->bias = NULL;
    return ln_conv_direct_run(cpu, &s->direct, &t, workspace);
  }
  e->bias = NULL;
  ln_conv_gemm_run(cpu, &s->g, s->dir, &t, workspace);
  return 0;
}

static ln_code run(ln_cpu *cpu, ln_call *call) {
  const step *s = call->prepared;
  char *workspace = call->workspace;
  ln_epilogue e = ln_conv_epilogue_of(call, call->workspace, call->workspace);
  int status = run_method(cpu, s, call, &e, workspace + s->statistics);
  if (status != 0) return ln_dnnl_fail(status, "running a convolution", call->err);
  if (s->dir == LN_CONV_BACKWARD_WEIGHTS || !ln_finish_needed(&e)) return LN_OK;
  ln_finish f = s->finish;
  size_t channels = channel_bytes(s, e.moments != NULL ? sizeof *e.moments : e.sums != NULL ? sizeof *e.sums : 0);
  ln_finish_bind(&f, &e, call->out[0].data, workspace + channels);
  ln_finish_images(&f, 0, f.n);
  ln_finish_merge(&f);
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
