/* ref.c: the reference backend: its table of kernels, made from ops.def, and the contract of backend.h. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "ref.h"

typedef ln_code (*kernel_fn)(ln_call *call);

static const kernel_fn kernels[] = {
#define LN_OP(name, ...) ln_ref_##name,
#include "../graph/ops.def"
#undef LN_OP
};
_Static_assert(sizeof kernels / sizeof kernels[0] == LN_OP_COUNT, "one kernel for every op");

typedef struct ref_self {
  ln_mem *mem;
} ref_self;

static ln_code ref_open(ln_mem *mem, const ln_device_options *options, void **self, ln_error *err) {
  (void)options; /* one thread, one precision */
  ref_self *s = ln_alloc(mem, sizeof *s);
  if (s == NULL) return ln_fail(err, LN_ENOMEM, "out of memory while opening the reference device");
  s->mem = mem;
  *self = s;
  return LN_OK;
}

static void ref_close(void *self) {
  ref_self *s = self;
  if (s != NULL) ln_free(s->mem, s);
}

static void ref_describe(void *self, char *text, size_t size) {
  (void)self;
  snprintf(text, size, "plain loops in double precision, 1 thread");
}

static void *ref_alloc(void *self, size_t bytes) { return ln_alloc(((ref_self *)self)->mem, bytes); }
static void ref_free(void *self, void *block) { ln_free(((ref_self *)self)->mem, block); }

static ln_code ref_copy(void *self, void *to, const void *from, size_t bytes, ln_error *err) {
  (void)self, (void)err;
  if (bytes > 0) memcpy(to, from, bytes);
  return LN_OK;
}

static ln_code ref_prepare(void *self, ln_call *call) {
  (void)self;
  for (int i = 0; i < call->nin + call->nout; i++) {
    const ln_arg *arg = i < call->nin ? &call->in[i] : &call->out[i - call->nin];
    if (arg->layout != LN_PLAIN) return ln_fail(call->err, LN_ENOTSUP, "the reference device knows dense row-major tensors only");
  }
  call->prepared = NULL;
  call->workspace_bytes = ref_workspace(call);
  return LN_OK;
}

static void ref_release(void *self, ln_call *call) { (void)self, (void)call; }

/* Kernels loop over dims, and one empty dim may stand beside huge ones: without this, computing nothing
 * could take forever. */
static bool only_empty_outputs(const ln_call *call) {
  for (int i = 0; i < call->nout; i++)
    if (call->out[i].numel > 0) return false;
  return call->nout > 0;
}

static ln_code ref_run(void *self, ln_call *call) {
  (void)self;
  return only_empty_outputs(call) ? LN_OK : kernels[call->op](call);
}

/* Filled once, as the table's hash is no constant expression; never changed afterwards. */
static ln_backend backend = {
  .abi = LN_BACKEND_ABI, .struct_size = sizeof(ln_backend), .name = "reference",
  .open = ref_open, .close = ref_close, .describe = ref_describe,
  .alloc = ref_alloc, .free = ref_free, .upload = ref_copy, .download = ref_copy,
  .prepare = ref_prepare, .release = ref_release, .run = ref_run,
};
static pthread_once_t filled = PTHREAD_ONCE_INIT;

static void fill(void) { backend.ops_hash = ln_op_table_hash(); }

const ln_backend *ln_ref_backend(void) {
  pthread_once(&filled, fill);
  return &backend;
}
