/* internal.h: what the files of nn/graph and nn/plan share and hosts do not need. */
#ifndef LN_GRAPH_INTERNAL_H
#define LN_GRAPH_INTERNAL_H

#include "graph.h"

/* Why a flush failed, shared by the values it should have computed. */
typedef struct ln_failure {
  int refs;
  ln_error error;
} ln_failure;

/* -- context.c */
/* Adds op, where and layer to ctx->error, which must be filled, and returns its code. */
ln_code ln_blame(ln_ctx *ctx, ln_op op, const char *where, const char *layer);
/* Gives memory back: the host collects, the pool is emptied. */
void ln_relieve(ln_ctx *ctx);
/* "out of memory: wanted ..., live ..., limit ..." in ctx->error. */
ln_code ln_no_memory(ln_ctx *ctx, size_t wanted);

/* -- buffer.c */
/* Fills *out with a buffer of at least `bytes` (refs = 1); collects and retries once. */
ln_code ln_buffer_new(ln_ctx *ctx, ln_device device, size_t bytes, ln_buffer **out);
void ln_buffer_release(ln_ctx *ctx, ln_buffer *buffer); /* to the pool when nobody is left */
void ln_pool_trim(ln_ctx *ctx, bool all); /* frees buffers not wanted for some flushes, or all */

/* -- value.c */
void ln_spares_free(ln_ctx *ctx); /* gives back what waits for its next use */
ln_value *ln_value_alloc(ln_ctx *ctx, const ln_meta *meta); /* refs = 1, no handle, no data */
/* Lets go of the data of a computed value that nobody can ask for any more. */
void ln_value_settle(ln_ctx *ctx, ln_value *v);
ln_node *ln_node_alloc(ln_ctx *ctx, int nin);
void ln_node_release(ln_ctx *ctx, ln_node *node);
bool ln_node_saves_input(const ln_node *node, int i); /* does the gradient rule read it? */
/* Puts the node on the tape: what its gradient rule reads is saved from now on. */
ln_code ln_node_save(ln_ctx *ctx, ln_node *node);
/* The tape no longer needs the node's saved values. */
void ln_node_spend(ln_ctx *ctx, ln_node *node);
/* The node has run or been given up: it leaves its outputs unless it is on the tape. */
void ln_node_leave(ln_ctx *ctx, ln_node *node);

/* -- record.c */
/* Raises the error of a value whose flush failed. */
ln_code ln_value_failed(ln_ctx *ctx, const ln_value *v);

#endif
