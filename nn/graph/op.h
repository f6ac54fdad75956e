/* op.h: the op table as C sees it: the enum, attributes, run-time scalars, and the row. */
#ifndef LN_GRAPH_OP_H
#define LN_GRAPH_OP_H

#include "../base/status.h"
#include "../base/tensor.h"

enum { LN_MAX_INPUTS = 64, LN_MAX_OUTPUTS = 3, LN_SPATIAL = 3 };

typedef enum ln_op {
#define LN_OP(name, ...) LN_OP_##name,
#include "ops.def"
#undef LN_OP
  LN_OP_COUNT
} ln_op;

typedef enum ln_mode {
  LN_MODE_CONSTANT = 0, LN_MODE_REFLECT, LN_MODE_REPLICATE, /* pad */
  LN_MODE_NEAREST, LN_MODE_LINEAR,                          /* interpolate */
  LN_MODE_COUNT
} ln_mode;

/* Attributes: part of the plan's key and compared as bytes, so always zeroed first
 * (ln_attrs_default). Fields as attrs.def describes them. */
typedef struct ln_attrs {
  int64_t kernel[LN_SPATIAL], stride[LN_SPATIAL], padding[LN_SPATIAL];
  int64_t dilation[LN_SPATIAL], output_padding[LN_SPATIAL];
  int64_t groups;
  int64_t size[LN_MAX_RANK], before[LN_MAX_RANK], after[LN_MAX_RANK];
  int64_t start, stop, step;
  double eps, slope, scale[LN_SPATIAL];
  int nsize, nbefore, nafter;
  int dim, ndims, dims[LN_MAX_RANK];
  ln_mode mode;
  ln_dtype dtype;
  bool keepdim, transpose_a, transpose_b, align_corners, ceil_mode;
  bool count_include_pad, channelwise, nesterov, decoupled;
} ln_attrs;

/* Numbers that may differ from run to run of one plan. */
typedef struct ln_scalars {
  double value, increment, lo, hi, mean, std, p, weight;
  double lr, momentum, dampening, weight_decay;
  double beta1, beta2, adam_eps, bias1, bias2;
  uint64_t seed, counter; /* LN_RANDOM ops: assigned when recorded */
} ln_scalars;

enum { /* row flags */
  LN_ALIAS = 1, LN_INPLACE = 2, LN_PROMOTE = 4, LN_RANDOM = 8, LN_COMMIT = 16, LN_GUARD = 32, LN_GROUP = 64,
  LN_LOW = 128, LN_EXACT = 256
};

/* What a shape rule sees: in[i].dtype == LN_NONE for an absent optional input. It may
 * normalise attrs (infer -1, fill a default size). Fills out[] for the row's outputs. */
typedef ln_code (*ln_shape_fn)(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err);

struct ln_ctx;
struct ln_node;
struct ln_value;
/* A gradient rule: see grad.h for the builder that it is written with. */
struct ln_builder;
typedef void (*ln_grad_fn)(struct ln_builder *b, const struct ln_node *node,
                           struct ln_value *const *gout, struct ln_value **gin);

typedef struct ln_op_row {
  const char *name, *inputs, *outputs, *attrs, *saves, *doc;
  ln_shape_fn shape;
  ln_grad_fn grad;    /* NULL: not differentiable */
  unsigned flags;
} ln_op_row;

/* Decoded from the row's strings once (op.c). Bit i = input or output i. */
typedef struct ln_op_info {
  int nin, nout;          /* nin counts a variadic input once */
  bool variadic;
  uint64_t optional, written;   /* inputs */
  uint64_t saves_in, saves_out; /* a variadic input's bit stands for all */
} ln_op_info;

const ln_op_row *ln_op_get(ln_op op);
const ln_op_info *ln_op_info_get(ln_op op);
uint64_t ln_op_table_hash(void);     /* backends are refused when it differs */

/* Attribute schema, for the binding and for help. */
typedef enum ln_attr_kind {
  LN_ATTR_SPATIAL, LN_ATTR_SHAPE, LN_ATTR_INT, LN_ATTR_DIM, LN_ATTR_DIMS, LN_ATTR_INDEX,
  LN_ATTR_BOOL, LN_ATTR_NUM, LN_ATTR_NUMS, LN_ATTR_MODE, LN_ATTR_DTYPE, LN_ATTR_SCALAR
} ln_attr_kind;

typedef struct ln_attr_row {
  const char *name, *doc;
  ln_attr_kind kind;
  size_t offset;       /* into ln_attrs, or into ln_scalars for SCALAR */
  size_t count_offset; /* SHAPE, DIMS: offset of n<field>; else SIZE_MAX */
  double fallback;
} ln_attr_row;

/* The k-th attribute of an op in positional order, NULL when there is none. */
const ln_attr_row *ln_op_attr(ln_op op, int k);
const char *ln_mode_name(ln_mode mode);
void ln_attrs_default(ln_attrs *attrs, ln_scalars *scalars);

#endif
