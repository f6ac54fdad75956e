/* graph.h: the context, values, and recording.
 *
 * A script looks eager; underneath every op appends a node here and returns values
 * that do not exist yet. ln_flush (plan/plan.h) computes what is still wanted.
 *
 * Ownership. ln_value is reference counted. `refs` keeps the struct; `handles` (a part
 * of refs) says that somebody outside the graph - a script, a gradient slot - may ask
 * for the data, so a flush must keep it. A node holds its inputs and is held by its
 * outputs (the tape) and, until the flush, by the context's list of pending nodes.
 *
 * A cell is a value with identity: parameters, buffers, optimizer state. Its memory is
 * written only by LN_COMMIT nodes, which a flush runs after everything else succeeded.
 */
#ifndef LN_GRAPH_GRAPH_H
#define LN_GRAPH_GRAPH_H

#include <stdatomic.h>

#include "../backend.h"

enum { LN_FLUSH_NODES = 4096 };

typedef enum ln_device { LN_CPU = 0, LN_REFERENCE, LN_CUDA, LN_DEVICE_COUNT } ln_device;

/* Device memory, shared by the values that alias it. */
typedef struct ln_buffer {
  int refs;
  ln_device device;
  void *data;
  size_t bytes;           /* capacity; a pooled buffer may be larger than its value */
  struct ln_buffer *next; /* in the pool */
  uint64_t freed_at;      /* in the pool: the flush after which it was given back */
} ln_buffer;

typedef struct ln_value ln_value;
typedef struct ln_node ln_node;
typedef struct ln_ctx ln_ctx;
struct ln_profile;

struct ln_value {
  int refs, handles;
  int saved;            /* unspent tape nodes whose gradient rule reads this value */
  int uses;             /* pending nodes that read it; with no handle, saver or use left the data goes */
  ln_meta meta;
  ln_device device;
  ln_buffer *buffer;    /* NULL until computed, or when the data was not kept */
  ln_node *node;        /* who computes it: while pending, and while it is on the tape */
  int output;           /* which of the node's outputs */
  bool is_cell;
  bool requires_grad;   /* a cell that wants a gradient, or a value that leads to one */
  unsigned mark;        /* scratch: bits of backward and of the planner */
  int pending_writes;   /* cells: commit nodes recorded and not yet run */
  uint64_t version;     /* cells: another number after every write, and in every cell; data is derived by version */
  ln_value *grad;       /* cells: the gradient slot, a handle, NULL after zero_grad */
  ln_value *sum;        /* scratch of backward: the gradient gathered so far */
  struct ln_failure *failure; /* set when the flush that should have computed it failed */
  int slot;             /* scratch of the planner */
  ln_value *next;       /* scratch: the list of values being freed */
};

struct ln_node {
  int refs;
  ln_op op;                            /* LN_OP_COUNT: a host function, see ln_record_function */
  int host_id;
  int nin, nout;
  ln_value **in;                       /* NULL entries: absent optional inputs */
  ln_value *out[LN_MAX_OUTPUTS];       /* weak: NULL once that output was released */
  ln_meta out_meta[LN_MAX_OUTPUTS];
  ln_attrs attrs;
  ln_scalars scalars;
  const char *where, *layer;           /* interned in the context */
  uint64_t *cell_version;              /* tape: versions of saved cell inputs when recorded, or NULL */
  uint64_t number;                     /* grows with every node: consumers come after producers */
  bool pending, on_tape, spent;
  bool backward;                       /* recorded by a gradient rule */
  unsigned mark;                       /* scratch of backward */
  int slot;                            /* scratch of the planner: slot of output 0 */
};

typedef struct ln_options {
  ln_device device;
  ln_device_options kernel;
  size_t memory_limit; /* soft cap in bytes, 0 = none */
  bool eager;          /* run each op when recorded */
  uint64_t seed;
} ln_options;

/* Called before a flush so that the host can drop unreachable handles, and when an
 * allocation fails so that it can give memory back. */
typedef void (*ln_collect_fn)(void *host);
typedef ln_code (*ln_host_grad_fn)(void *host, int id, ln_value *const *gout, ln_value **gin);
typedef void (*ln_host_forget_fn)(void *host, int id);

/* Called when a device was opened, before its first plan: the time for ln_device_choose. */
typedef void (*ln_opened_fn)(void *host, ln_device device);

/* Fields below are for nn/ only; hosts use the functions. */
struct ln_plan_cache;
struct ln_interned;
/* Blocks of one size that wait for their next use, linked through their first word: every step records
 * as many operations as the one before. */
typedef struct ln_spares {
  void *first;
  int count;
} ln_spares;
struct ln_ctx {
  ln_mem mem;
  ln_options options;
  ln_error error;              /* of the last failed call on this context */
  atomic_int interrupt;        /* set by a signal handler; polled between steps, cleared by the host */
  const ln_backend *backend[LN_DEVICE_COUNT];
  void *self[LN_DEVICE_COUNT]; /* opened on first use */
  ln_node **pending;
  int npending, pending_cap;
  size_t pending_bytes;        /* bytes that the pending nodes' outputs stand for */
  uint64_t next_number;        /* of the next node */
  uint64_t last_version;       /* that a cell was given */
  bool grad_enabled, flushing, in_backward;
  bool rehearsing;             /* the flush under way only plans */
  int no_flush;                /* > 0: recording must not flush (inside a backward) */
  uint64_t seed, counter;      /* Philox */
  const char *where, *layer;   /* of the op being recorded, set by the host */
  struct ln_interned *interned;
  struct ln_plan_cache *plans;
  unsigned passes_off;         /* planner passes that are switched off (plan/passes.c) */
  void *arena[LN_DEVICE_COUNT];
  size_t arena_bytes[LN_DEVICE_COUNT];
  ln_buffer *pool;             /* free buffers, most recently used first */
  struct ln_failure *spare_failure;
  ln_spares spare_values, spare_nodes;
  unsigned char *key;          /* room for the key of the plan that is looked up */
  size_t key_cap;
  ln_value *garbage;           /* values being freed: a list, so that long tapes need no deep stack */
  bool sweeping;
  ln_collect_fn collect;
  ln_host_grad_fn host_grad;
  ln_host_forget_fn host_forget;
  ln_opened_fn opened;
  void *host;
  uint64_t stat_flushes, stat_plans, stat_plan_hits, stat_steps;
  struct ln_profile *profile;  /* while one is taken, plan/profile.h */
};

const char *ln_device_name(ln_device device);
ln_device ln_device_named(const char *name); /* LN_DEVICE_COUNT when unknown */

/* -- context. NULL when memory ran out; err may be NULL. */
ln_ctx *ln_ctx_open(const ln_options *options, ln_error *err);
/* Frees everything; returns the bytes still live, which is 0 unless handles leaked. */
size_t ln_ctx_close(ln_ctx *ctx);
void ln_ctx_on_collect(ln_ctx *ctx, ln_collect_fn collect, void *host);
void ln_seed(ln_ctx *ctx, uint64_t seed); /* also restarts the counter */
/* Opens the device if need be: LN_ENODEV "cuda: built without it". */
ln_code ln_device_open(ln_ctx *ctx, ln_device device);
/* The choices among kernels (nn/backend.h) from now on; plans that were made with others are forgotten. The
 * device is open and makes choices. */
ln_code ln_device_choose(ln_ctx *ctx, ln_device device, const ln_choice *list, int count);
/* Where the next recorded op comes from; the strings are copied and interned. */
ln_code ln_set_where(ln_ctx *ctx, const char *where);
ln_code ln_set_layer(ln_ctx *ctx, const char *layer);

/* -- values. New ones have refs = handles = 1. All return through *out and fill ctx->error. */
/* Uninitialised, computed leaf on the default device; fill it through ln_value_host. */
ln_code ln_value_new(ln_ctx *ctx, const ln_meta *meta, ln_value **out);
/* Leaf from host memory (copied). */
ln_code ln_value_from(ln_ctx *ctx, const ln_meta *meta, const void *host, ln_value **out);
/* A cell holding zeros. */
ln_code ln_cell_new(ln_ctx *ctx, const ln_meta *meta, bool requires_grad, ln_value **out);
void ln_value_retain(ln_value *v);                 /* refs + 1 */
void ln_value_release(ln_ctx *ctx, ln_value *v);   /* refs - 1; NULL is fine */
void ln_value_hold(ln_value *v);                   /* refs + 1 and handles + 1 */
void ln_value_drop(ln_ctx *ctx, ln_value *v);      /* the opposite; NULL is fine */
static inline bool ln_value_ready(const ln_value *v) { return v->buffer != NULL; }

/* Computes v if need be (flushes) and gives a pointer to its data in host memory,
 * valid while v is held (CPU and reference devices: the data itself, read-only). */
ln_code ln_value_host(ln_ctx *ctx, ln_value *v, const void **data);
/* For a leaf of ln_value_new that nobody has read yet: writable data. */
void *ln_value_fill(ln_value *v);

/* -- recording. in[i] may be NULL for optional inputs. out[] gets nout values with
 * refs = handles = 1 each. attrs and scalars may be NULL for the defaults. */
ln_code ln_record(ln_ctx *ctx, ln_op op, ln_value *const *in, int nin,
                  const ln_attrs *attrs, const ln_scalars *scalars, ln_value **out);

/* Appends the gradient of a one-element loss with respect to every cell that requires
 * one and adds it to the cells' slots; also records check_finite(loss). Spends the
 * tape unless retain. */
ln_code ln_backward(ln_ctx *ctx, ln_value *loss, bool retain);
/* The same from given output gradients to given cells or values, returned not stored;
 * grads[i] is NULL where there is no path. */
ln_code ln_grad(ln_ctx *ctx, ln_value *const *outputs, ln_value *const *gout, int nout,
                ln_value *const *inputs, int nin, bool retain, ln_value **grads);
/* A gradient computed by the host (a script's own nn.Function). out[] are computed
 * leaves; a tape node ties them to in[]. ln_backward calls ctx->host_grad(host, id,
 * gout, gin), which fills gin[] with handles (or NULL), and ctx->host_forget(host, id)
 * when the node goes. */
ln_code ln_record_function(ln_ctx *ctx, ln_value *const *in, int nin,
                           ln_value *const *out, int nout, int id);

/* -- running: plan/ implements it. Computes all that is held; on failure every cell
 * keeps its committed value and the pending values are marked failed. */
ln_code ln_flush(ln_ctx *ctx);
/* Makes the plan of what is held and keeps it, but does not run it: cells stay as they are, all that was pending never
 * gets a value. To see what a step would do. */
ln_code ln_rehearse(ln_ctx *ctx);

/* -- what the context is busy with, for the profile (plan/profile.c); free of cost without one.
 * ln_enter returns what ln_leave goes back to. */
typedef enum ln_activity {
  LN_SCRIPT = 0, /* everything that is not below */
  LN_RECORDING, /* ops, and gradients by ln_backward */
  LN_PLANNING,  /* what is wanted, its key, the look-up */
  LN_BUILDING,  /* a plan that was not there */
  LN_BINDING,   /* around the steps: buffers, pointers, letting go */
  LN_COLLECTING,/* the host's garbage */
  LN_LOADING,   /* the host waits for data */
  LN_STEPPING,  /* a kernel */
  LN_PROFILING, /* the books themselves */
  LN_ACTIVITY_COUNT
} ln_activity;
ln_activity ln_profile_switch(struct ln_profile *profile, ln_activity next);
static inline ln_activity ln_enter(ln_ctx *ctx, ln_activity activity) {
  return ctx->profile == NULL ? LN_SCRIPT : ln_profile_switch(ctx->profile, activity);
}
static inline void ln_leave(ln_ctx *ctx, ln_activity before) {
  if (ctx->profile != NULL) ln_profile_switch(ctx->profile, before);
}

#endif
