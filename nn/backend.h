/* backend.h: the contract between the planner and a device.
 *
 * A plan is a list of steps. Once, when the plan is made, the backend prepares each
 * step (chooses a kernel, creates primitives, says how much workspace it wants); then
 * the plan runs thousands of times: the planner fills in the data pointers and calls
 * run for each step in order. A backend is a struct of function pointers; gpu/ fills
 * in the same struct in its own shared object.
 */
#ifndef LN_BACKEND_H
#define LN_BACKEND_H

#include "base/mem.h"
#include "graph/op.h"

enum { LN_BACKEND_ABI = 3 };

/* How an argument lies in memory. A kernel must refuse a layout that it does not know. */
typedef enum ln_layout {
  LN_PLAIN = 0, /* dense, row-major */
  LN_BLOCKED    /* [N][C/lanes][spatial...][lanes], the backend's lanes; rank 3 to 5, C a multiple of lanes */
} ln_layout;

typedef struct ln_arg {
  void *data;        /* NULL while preparing, and for absent inputs */
  ln_meta meta;      /* meta.dtype == LN_NONE: absent optional input */
  int64_t numel;
  ln_layout layout;
  bool low;          /* for `layouts` alone: the value is rounded to bf16 (plan/precision.c), and may be stored so */
  int64_t image;     /* elements from one image (index of dim 0) to the next. Plain: dense. Blocked: more
                        than dense where the value is a slice of a concat's memory */
  uint64_t version;  /* while running: of a cell, never that of another cell or another content; 0: not a cell */
} ln_arg;

/* One step as a kernel sees it. Inputs and outputs never overlap, except that
 * out[0].data may equal in[0].data for LN_INPLACE rows, and "p!" inputs are written. */
typedef struct ln_call {
  ln_op op;
  int nin, nout;
  ln_arg *in, *out;
  const ln_attrs *attrs;
  const ln_scalars *scalars;
  void *workspace;          /* as many bytes as prepare asked for, 64-byte aligned; content undefined */
  size_t workspace_bytes;
  void *prepared;           /* what prepare left here, NULL without one */
  bool frozen;              /* the plan writes no cell: what is derived from cells may be kept by their versions */
  ln_error *err;
} ln_call;

/* Argument i of a call: inputs, then outputs. */
static inline ln_arg *ln_call_arg(const ln_call *call, int i) {
  return i < call->nin ? &call->in[i] : &call->out[i - call->nin];
}

typedef struct ln_device_options {
  int threads;         /* 0: as many as the machine has */
  bool deterministic;  /* bits independent of the thread count */
  bool strict;         /* --precision strict */
  bool low;            /* --precision bf16 */
} ln_device_options;

/* What a device can do at most, measured; [0] with one thread, [1] with all. FLOP and bytes a second. */
typedef struct ln_peaks {
  const char *isa;
  int threads;
  double f32[2];                    /* multiplications and additions */
  double read[2], copy[2];          /* of memory far larger than the caches; copy counts both directions */
  double touch[2], touch_huge[2];   /* first touch of fresh memory, in 4 KB pages and where it may be huge ones */
} ln_peaks;

/* Choices among kernels, measured on this machine. To everybody but the backend both are opaque texts: a key says all that
 * a choice depends on (an operation, its shapes, how they lie), a kernel is a name. */
enum { LN_CHOICE_KEY = 192, LN_MAX_TIMINGS = 16 };
typedef struct ln_choice {
  const char *key, *kernel;
} ln_choice;
typedef struct ln_timing {
  const char *kernel; /* the backend's own string */
  double seconds;     /* of one run */
} ln_timing;

typedef struct ln_backend ln_backend;
struct ln_backend {
  uint32_t abi;           /* LN_BACKEND_ABI */
  uint32_t struct_size;   /* sizeof(ln_backend) */
  uint64_t ops_hash;      /* ln_op_table_hash() of the build */
  const char *name;       /* "cpu" */

  ln_code (*open)(ln_mem *mem, const ln_device_options *options, void **self, ln_error *err);
  void (*close)(void *self);
  /* One line about what was found: instruction set, threads, libraries. */
  void (*describe)(void *self, char *text, size_t size);

  /* Device memory; the CPU's is ln_alloc's. */
  void *(*alloc)(void *self, size_t bytes);
  void (*free)(void *self, void *block);
  ln_code (*upload)(void *self, void *device, const void *host, size_t bytes, ln_error *err);
  ln_code (*download)(void *self, void *host, const void *device, size_t bytes, ln_error *err);

  /* How a step wants its arguments. On entry in[i].layout is how each lies now and out[o].layout
   * is LN_PLAIN; changes them to what the kernel takes and gives, and meta.dtype of a low one from
   * LN_F32 to LN_BF16 where the kernel takes or gives it stored so; a low output that it gives is then rounded, and
   * so are weights as a convolution reads them. The planner inserts `reorder` steps where they
   * differ. NULL: everything is plain, and passes that make fused rows leave this backend's plans alone. */
  void (*layouts)(void *self, ln_call *call);

  /* Fills call->prepared and call->workspace_bytes; data pointers are NULL. Says
   * LN_ENOTSUP, naming dtype and shape, when there is no kernel. */
  ln_code (*prepare)(void *self, ln_call *call);
  void (*release)(void *self, ln_call *call); /* call->prepared may be NULL */
  ln_code (*run)(void *self, ln_call *call);
  /* Several steps of one LN_GROUP op that touch different memory, as one (all updates of an
   * optimizer). Same results as one after the other. NULL: they run one by one. */
  ln_code (*run_group)(void *self, ln_call *const *call, int n);
  /* Fills *out in about so many seconds; 0: only isa and threads. NULL: nothing to compare with. */
  ln_code (*measure)(void *self, double seconds, ln_peaks *out, ln_error *err);

  /* -- choices among kernels; all three or none are NULL */
  /* Of a prepared step: the kernel's name, and in key what choices for it are kept by; NULL where there is no choice. */
  const char *(*chosen)(void *self, const ln_call *call, char key[LN_CHOICE_KEY]);
  /* Times the kernels that can do what a key names, in turns, in about so many seconds, but each at least once. The first
   * is the one that the backend's own rules take. LN_EINVAL for what is no key of this device as it was opened. */
  ln_code (*time)(void *self, const char *key, double seconds, ln_timing out[LN_MAX_TIMINGS], int *count, ln_error *err);
  /* The choices from now on, in the place of all earlier ones; the texts are copied. An unknown key or kernel, and a kernel
   * that cannot do it, count for nothing. Steps that are prepared keep theirs. */
  ln_code (*choose)(void *self, const ln_choice *list, int count, ln_error *err);
};

const ln_backend *ln_cpu_backend(void);
const ln_backend *ln_ref_backend(void); /* plain loops in double precision */

#endif
