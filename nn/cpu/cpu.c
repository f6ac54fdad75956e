/* cpu.c: the CPU backend's struct: opening, choosing the instruction set, preparing and running
 * steps. The dispatch tables come from the op table.
 */
#include "cpu.h"
#include "conv/conv_measured.h"
#include "conv/conv_time.h"
#include "kern.h"
#include "layouts.h"
#include "conv/pairs.h"
#include "peak.h"
#include "span.h"
#include "workspace.h"

#include <assert.h>
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- dispatch */

typedef ln_code (*kernel_fn)(ln_cpu *cpu, ln_call *call);
typedef void (*release_fn)(ln_cpu *cpu, ln_call *call);

typedef struct dispatch {
  kernel_fn run, prepare;
  release_fn release;
} dispatch;

#define ROW_RUN(name) {ln_cpu_##name, NULL, NULL}
#define ROW_PREP(name) {ln_cpu_##name, ln_cpu_##name##_prepare, ln_cpu_##name##_release}
static const dispatch dispatch_table[] = {
#define LN_OP(name, inputs, outputs, attrs, saves, shape, grad, cpu, flags, doc) ROW_##cpu(name),
#include "../graph/ops.def"
#undef LN_OP
};
static_assert(sizeof dispatch_table / sizeof *dispatch_table == LN_OP_COUNT, "one kernel a row");

/* Which dtypes of its data a kernel takes; FLOAT, f32 alone, unless told otherwise here. ANY: moves
 * elements by their size. */
typedef enum accepts { FLOAT = 0, NUMBER, ANY } accepts;
static const accepts accept_table[LN_OP_COUNT] = {
    [LN_OP_full] = ANY, [LN_OP_arange] = ANY, [LN_OP_cast] = ANY, [LN_OP_where] = ANY,
    [LN_OP_detach] = ANY, [LN_OP_reorder] = ANY, [LN_OP_reshape] = ANY, [LN_OP_permute] = ANY, [LN_OP_expand] = ANY,
    [LN_OP_slice] = ANY, [LN_OP_slice_scatter] = ANY, [LN_OP_cat] = ANY, [LN_OP_pad] = ANY,
    [LN_OP_flip] = ANY, [LN_OP_index_select] = ANY, [LN_OP_gather] = ANY, [LN_OP_assign] = ANY,
    [LN_OP_add] = NUMBER, [LN_OP_sub] = NUMBER, [LN_OP_mul] = NUMBER, [LN_OP_div] = NUMBER,
    [LN_OP_pow] = NUMBER, [LN_OP_maximum] = NUMBER, [LN_OP_minimum] = NUMBER, [LN_OP_eq] = NUMBER,
    [LN_OP_ne] = NUMBER, [LN_OP_lt] = NUMBER, [LN_OP_le] = NUMBER, [LN_OP_gt] = NUMBER,
    [LN_OP_ge] = NUMBER, [LN_OP_logical_and] = NUMBER, [LN_OP_logical_or] = NUMBER,
    [LN_OP_neg] = NUMBER, [LN_OP_abs] = NUMBER, [LN_OP_sign] = NUMBER, [LN_OP_floor] = NUMBER,
    [LN_OP_ceil] = NUMBER, [LN_OP_round] = NUMBER, [LN_OP_clamp] = NUMBER, [LN_OP_relu] = NUMBER,
    [LN_OP_isfinite] = NUMBER, [LN_OP_logical_not] = NUMBER, [LN_OP_sum] = NUMBER,
    [LN_OP_amax] = NUMBER, [LN_OP_amin] = NUMBER, [LN_OP_argmax] = NUMBER, [LN_OP_argmin] = NUMBER,
    [LN_OP_index_add] = NUMBER, [LN_OP_scatter_add] = NUMBER};

static ln_code refuse(const ln_call *call, const ln_arg *arg) {
  char text[LN_SHAPE_TEXT];
  const char *name = ln_op_get(call->op)->name;
  ln_shape_text(&arg->meta, text, sizeof text);
  if (arg->meta.dtype == LN_F64)
    return ln_fail(call->err, LN_ENOTSUP, "f64 runs on the reference device only (%s of %s)", name, text);
  return ln_fail(call->err, LN_ENOTSUP, "the cpu device has no %s for dtype %s (%s)", name,
                 ln_dtype_name(arg->meta.dtype), text);
}

static ln_code refuse_layout(const ln_call *call, const ln_arg *arg) {
  char text[LN_SHAPE_TEXT];
  ln_shape_text(&arg->meta, text, sizeof text);
  return ln_fail(call->err, LN_ENOTSUP, "the cpu device has no %s for layout %d of %s beside its other arguments' layouts",
                 ln_op_get(call->op)->name, (int)arg->layout, text);
}

/* The first tensor decides on the dtype; the shape rules have made sure that the others fit it. What is stored as bf16 is
 * blocked, and ln_cpu_layouts_fit knows who takes it. */
static ln_code check_call(const ln_cpu *cpu, ln_call *call) {
  const accepts taken = accept_table[call->op];
  for (int i = 0; i < call->nin + call->nout; i++) {
    const ln_arg *arg = ln_call_arg(call, i);
    const ln_dtype dtype = arg->meta.dtype;
    if (dtype == LN_NONE || (dtype == LN_BF16 && arg->layout == LN_BLOCKED)) continue;
    if (taken != ANY && (dtype == LN_F64 || dtype == LN_BF16)) return refuse(call, arg);
    if (taken == FLOAT && i == 0 && dtype != LN_F32) return refuse(call, arg);
  }
  const ln_arg *unknown;
  return ln_cpu_layouts_fit(cpu, call, &unknown) ? LN_OK : refuse_layout(call, unknown);
}

/* -- opening */

static const ln_spans *const span_tables[LN_ISA_COUNT] = {
    [LN_ISA_GENERIC] = &ln_span_table_generic,
#if defined(__x86_64__)
    [LN_ISA_AVX2] = &ln_span_table_avx2, [LN_ISA_AVX512] = &ln_span_table_avx512, [LN_ISA_AMX] = &ln_span_table_avx512,
#endif
};
static const ln_kerns *const kern_tables[LN_ISA_COUNT] = {
    [LN_ISA_GENERIC] = &ln_kern_table_generic,
#if defined(__x86_64__)
    [LN_ISA_AVX2] = &ln_kern_table_avx2, [LN_ISA_AVX512] = &ln_kern_table_avx512, [LN_ISA_AMX] = &ln_kern_table_avx512,
#endif
};
static const char *const isa_titles[LN_ISA_COUNT] = {"no vector extensions", "AVX2", "AVX-512", "AMX"};

static ln_code cpu_open(ln_mem *mem, const ln_device_options *options, void **self, ln_error *err) {
  ln_isa isa;
  ln_code code = ln_isa_choose(&isa, err);
  if (code != LN_OK) return code;
  ln_cpu *cpu = ln_calloc(mem, 1, sizeof *cpu);
  if (cpu == NULL) return ln_fail(err, LN_ENOMEM, "cpu: no memory for the device");
  cpu->mem = mem;
  cpu->threads = options->threads > 0 ? options->threads : omp_get_num_procs();
  cpu->deterministic = options->deterministic;
  cpu->strict = options->strict;
  cpu->isa = isa;
  cpu->spans = span_tables[isa];
  cpu->kerns = kern_tables[isa];
  cpu->lanes = cpu->kerns->lanes;
  cpu->pairs = ln_pairs_of(cpu);
  code = ln_cpu_dnnl_open(cpu, err);
  if (code != LN_OK) {
    ln_free(mem, cpu);
    return code;
  }
  *self = cpu;
  return LN_OK;
}

static void cpu_close(void *self) {
  ln_cpu *cpu = self;
  if (cpu == NULL) return;
  ln_cpu_dnnl_close(cpu);
  ln_conv_table_free(cpu->mem, cpu->measured);
  ln_free(cpu->mem, cpu);
}

static void cpu_describe(void *self, char *text, size_t size) {
  const ln_cpu *cpu = self;
  char libraries[128] = "";
  ln_cpu_dnnl_describe(cpu, libraries, sizeof libraries);
  snprintf(text, size, "cpu: %s, %d thread%s%s%s", isa_titles[cpu->isa], cpu->threads,
           cpu->threads == 1 ? "" : "s", libraries[0] ? ", " : "", libraries);
}

/* -- memory: host memory is device memory */

static void *cpu_alloc(void *self, size_t bytes) { return ln_alloc(((ln_cpu *)self)->mem, bytes); }

static void cpu_free(void *self, void *block) { ln_free(((ln_cpu *)self)->mem, block); }

static ln_code cpu_upload(void *self, void *device, const void *host, size_t bytes, ln_error *err) {
  (void)self, (void)err;
  memcpy(device, host, bytes);
  return LN_OK;
}

static ln_code cpu_download(void *self, void *host, const void *device, size_t bytes, ln_error *err) {
  (void)self, (void)err;
  memcpy(host, device, bytes);
  return LN_OK;
}

/* -- steps */

static size_t workspace_of(const ln_cpu *cpu, const ln_call *call) {
  switch (call->op) {
    case LN_OP_sum: case LN_OP_mean: case LN_OP_amax: case LN_OP_amin:
      return ln_cpu_reduce_workspace(cpu, call);
    case LN_OP_moments: case LN_OP_batch_norm: case LN_OP_batch_norm_eval: case LN_OP_norm_relu: case LN_OP_norm_relu_pool:
      return ln_cpu_norm_workspace(cpu, call);
    case LN_OP_batch_norm_grad: case LN_OP_norm_relu_grad:
      return ln_cpu_norm_grad_workspace(cpu, call);
    case LN_OP_norm_relu_pool_grad: return ln_cpu_norm_relu_pool_grad_workspace(cpu, call);
    case LN_OP_relu_grad_sum: return ln_cpu_channel_sum_workspace(cpu, call);
    case LN_OP_interpolate: case LN_OP_interpolate_grad:
      return ln_cpu_interpolate_workspace(cpu, call);
    case LN_OP_max_pool_grad: case LN_OP_max_pool_grad_add:
      return ln_cpu_max_pool_grad_workspace(cpu, call);
    case LN_OP_avg_pool: case LN_OP_avg_pool_grad:
      return ln_cpu_avg_pool_workspace(cpu, call);
    default: return 0;
  }
}

static void cpu_layouts(void *self, ln_call *call) { ln_cpu_layouts(self, call); }

static ln_code cpu_prepare(void *self, ln_call *call) {
  ln_cpu *cpu = self;
  call->prepared = NULL;
  call->workspace_bytes = 0;
  const ln_code code = check_call(cpu, call);
  if (code != LN_OK) return code;
  const dispatch *d = &dispatch_table[call->op];
  if (d->prepare != NULL) return d->prepare(cpu, call);
  call->workspace_bytes = workspace_of(cpu, call);
  return LN_OK;
}

static void cpu_release(void *self, ln_call *call) {
  const dispatch *d = &dispatch_table[call->op];
  if (d->release != NULL && call->prepared != NULL) d->release(self, call);
  call->prepared = NULL;
}

static ln_code cpu_run(void *self, ln_call *call) { return dispatch_table[call->op].run(self, call); }

static ln_code cpu_run_group(void *self, ln_call *const *call, int n) {
  return ln_cpu_step_group(self, call, n);
}

/* -- measured choices */

static const char *cpu_chosen(void *self, const ln_call *call, char key[LN_CHOICE_KEY]) {
  return call->prepared != NULL && ln_cpu_is_conv(call->op) ? ln_cpu_conv_chosen(self, call, key) : NULL;
}

static ln_code cpu_choose(void *self, const ln_choice *list, int count, ln_error *err) {
  ln_cpu *cpu = self;
  struct ln_conv_table *table = NULL;
  ln_code code = cpu->deterministic ? LN_OK : ln_conv_table_new(cpu->mem, list, count, &table, err);
  if (code != LN_OK) return code;
  ln_conv_table_free(cpu->mem, cpu->measured);
  cpu->measured = table;
  return LN_OK;
}

/* Filled once, as the hash is no constant expression, and never changed afterwards. */
static ln_backend backend = {
    .abi = LN_BACKEND_ABI, .struct_size = sizeof(ln_backend), .name = "cpu",
    .open = cpu_open, .close = cpu_close, .describe = cpu_describe,
    .alloc = cpu_alloc, .free = cpu_free, .upload = cpu_upload, .download = cpu_download,
    .prepare = cpu_prepare, .release = cpu_release, .run = cpu_run,
    .layouts = cpu_layouts, .run_group = cpu_run_group,
    .measure = ln_cpu_measure,
    .chosen = cpu_chosen, .time = ln_cpu_conv_time, .choose = cpu_choose};
static pthread_once_t filled = PTHREAD_ONCE_INIT;

static void fill_hash(void) { backend.ops_hash = ln_op_table_hash(); }

const ln_backend *ln_cpu_backend(void) {
  pthread_once(&filled, fill_hash);
  return &backend;
}
