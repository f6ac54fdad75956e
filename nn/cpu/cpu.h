/* cpu.h: what the files of the CPU backend share.
 *
 * A kernel is ln_cpu_<op>(cpu, call); prepare (cpu.c) has already refused every dtype,
 * layout and rank that the op has no kernel for, so kernels do not check again. Kernels
 * may fail (memory, non-finite values), never print.
 *
 * Threads. Work is cut into blocks whose bounds depend on the shape alone, and partial
 * results are combined in block order, so that the bits of a result never depend on
 * the thread count. Only the calling thread allocates or reports errors.
 *
 * Instruction sets. The inner loops over contiguous f32 live in span_*.c, which are compiled
 * three times; ln_spans is the table of one such compilation. Extra flags:
 *   span_*.c -> three objects each, with
 *     -DLN_ISA=generic
 *     -DLN_ISA=avx2   -mavx2 -mfma -mf16c
 *     -DLN_ISA=avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c -mprefer-vector-width=512
 *     and in all three  -fno-math-errno -fno-trapping-math  (no effect on results, only on errno and flags)
 *   every file of nn/cpu: -fopenmp
 * -ffp-contract=off holds everywhere but in kern_*.c (kern.h), so the three give the same bits.
 */
#ifndef LN_CPU_CPU_H
#define LN_CPU_CPU_H

#include "../backend.h"

/* Each level contains those before it. AMX adds products of bf16 (pairs.h); our other kernels are AVX-512's there. */
typedef enum ln_isa { LN_ISA_GENERIC = 0, LN_ISA_AVX2, LN_ISA_AVX512, LN_ISA_AMX, LN_ISA_COUNT } ln_isa;
const char *ln_isa_name(ln_isa isa); /* "avx2", as LUNETTE_ISA has it */
ln_code ln_isa_choose(ln_isa *isa, ln_error *err); /* isa.c */

struct ln_spans; /* span.h */

typedef struct ln_cpu {
  ln_mem *mem;
  int threads;                  /* > 0 */
  bool deterministic, strict;   /* for convolutions and matrix products; the rest always is */
  ln_isa isa;                   /* chosen at open; LUNETTE_ISA=generic|avx2|avx512|amx names it */
  int lanes;                    /* of LN_BLOCKED: floats of one vector, 8 or 16 */
  const struct ln_spans *spans;
  const struct ln_kerns *kerns; /* kern.h */
  const struct ln_pairs *pairs; /* pairs.h */
  void *dnnl;                   /* owned by conv*.c / onednn*.c / matmul.c, NULL before open */
  struct ln_conv_table *measured; /* conv_measured.h; NULL: the shipped rules alone */
} ln_cpu;

/* -- kernels: ln_cpu_<op> for every row, ln_cpu_<op>_prepare and _release for PREP rows.
 * prepare may set call->prepared and call->workspace_bytes (both cleared before). */
#define LN_CPU_RUN(name) ln_code ln_cpu_##name(ln_cpu *cpu, ln_call *call);
#define LN_CPU_PREP(name)                                     \
  LN_CPU_RUN(name)                                            \
  ln_code ln_cpu_##name##_prepare(ln_cpu *cpu, ln_call *call); \
  void ln_cpu_##name##_release(ln_cpu *cpu, ln_call *call);
#define LN_OP(name, inputs, outputs, attrs, saves, shape, grad, cpu, flags, doc) LN_CPU_##cpu(name)
#include "../graph/ops.def"
#undef LN_OP
#undef LN_CPU_RUN
#undef LN_CPU_PREP

/* step.c: all updates of an optimizer (adam_step or sgd_step) at once. */
ln_code ln_cpu_step_group(ln_cpu *cpu, ln_call *const *call, int n);
/* Of a prepared convolution, nn/backend.h's chosen: conv.c, conv_norm.c. */
const char *ln_cpu_conv_chosen(const ln_cpu *cpu, const ln_call *call, char key[LN_CHOICE_KEY]);
const ln_call *ln_cpu_conv_norm_inner(const ln_call *call); /* the one convolution that a prepared conv_norm runs */
/* How a convolution wants its arguments (nn/backend.h, layouts): conv.c. */
void ln_cpu_conv_layouts(const ln_cpu *cpu, ln_call *call);

/* -- hooks of the libraries (conv/matmul side): called by the backend's open, close, describe.
 * open may use cpu->threads, isa, strict and mem; on failure it has freed what it took.
 * describe writes e.g. "OpenBLAS 0.3.21 (Haswell), oneDNN 2.6.3 (AVX2)". */
ln_code ln_cpu_dnnl_open(ln_cpu *cpu, ln_error *err);
void ln_cpu_dnnl_close(ln_cpu *cpu);
void ln_cpu_dnnl_describe(const ln_cpu *cpu, char *text, size_t size);

/* -- threads (parallel.c). Calls body(arg, begin, end) for consecutive blocks of `block` indices
 * that together are [0, n). Serial when n * cost (elements' worth of work an index stands
 * for) is small. Each block is done by one thread; the order is not defined. */
typedef void (*ln_cpu_body)(void *arg, int64_t begin, int64_t end);
void ln_cpu_for(const ln_cpu *cpu, int64_t n, int64_t block, int64_t cost, ln_cpu_body body, void *arg);
enum { LN_CPU_SERIAL = 32768 }; /* elements below which threads cost more than they give */

/* Rounds workspace parts up to whole cache lines. */
static inline size_t ln_cpu_align(size_t bytes) { return (bytes + 63) & ~(size_t)63; }

#endif
