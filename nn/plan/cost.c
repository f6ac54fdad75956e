/* cost.c: FLOP and bytes of a step, from its shapes (see profile.h).
 *
 * Rules go by the op's name: the fused rows of a convolution or a norm start with the name of the op
 * that they do most of the work of, and take their arguments at the same places.
 */
#include <string.h>

#include "profile.h"

typedef enum rule { PER_ELEMENT, PER_INPUT, CONV, CONV_INPUT_GRAD, CONV_WEIGHT_GRAD, CONV_TRANSPOSE, MATMUL } rule;

typedef struct cost {
  const char *prefix;
  rule rule;
  double factor;  /* FLOP for each element of the largest argument, or of all inputs (PER_INPUT) */
  bool partial;   /* of the first input only as much is read as comes out */
} cost;

/* The first prefix that fits counts. */
static const cost costs[] = {
    {"conv_input_grad", CONV_INPUT_GRAD, 0, false},
    {"conv_weight_grad", CONV_WEIGHT_GRAD, 0, false},
    {"conv_transpose", CONV_TRANSPOSE, 0, false},
    {"conv", CONV, 0, false},
    {"matmul", MATMUL, 0, false},
    {"full", PER_ELEMENT, 0, false}, {"cast", PER_ELEMENT, 0, false}, {"reorder", PER_ELEMENT, 0, false},
    {"detach", PER_ELEMENT, 0, false}, {"reshape", PER_ELEMENT, 0, false}, {"permute", PER_ELEMENT, 0, false},
    {"expand", PER_ELEMENT, 0, false}, {"cat", PER_ELEMENT, 0, false}, {"pad", PER_ELEMENT, 0, true},
    {"flip", PER_ELEMENT, 0, false}, {"slice_scatter", PER_ELEMENT, 0, false}, {"slice", PER_ELEMENT, 0, true},
    {"index_select", PER_ELEMENT, 0, true}, {"gather", PER_ELEMENT, 0, true}, {"assign", PER_ELEMENT, 0, false},
    {"uniform", PER_ELEMENT, 10, false}, {"normal", PER_ELEMENT, 30, false}, {"dropout", PER_ELEMENT, 10, false},
    {"batch_norm_update", PER_ELEMENT, 4, false},
    {"batch_norm_grad", PER_ELEMENT, 11, false}, {"norm_relu_grad", PER_ELEMENT, 12, false}, {"norm_relu_pool_grad", PER_ELEMENT, 13, false},
    {"batch_norm_eval", PER_ELEMENT, 2, false}, {"batch_norm", PER_ELEMENT, 6, false},
    {"norm_relu_pool", PER_ELEMENT, 4, false}, {"norm_relu", PER_ELEMENT, 3, false}, {"moments", PER_ELEMENT, 4, false},
    {"row_norm", PER_ELEMENT, 6, false},
    {"softmax", PER_ELEMENT, 4, false}, {"log_softmax", PER_ELEMENT, 4, false}, {"sigmoid_bce", PER_ELEMENT, 9, false},
    {"sigmoid", PER_ELEMENT, 3, false}, {"bce", PER_ELEMENT, 6, false}, {"interpolate", PER_ELEMENT, 7, false},
    {"sgd_step", PER_INPUT, 2, false}, {"adam_step", PER_INPUT, 3.25, false}, /* one parameter or a list */
    {"", PER_ELEMENT, 1, false}};

static const cost *find(const char *name) {
  const cost *c = costs;
  while (strncmp(name, c->prefix, strlen(c->prefix)) != 0) c++;
  return c;
}

static double elements(const ln_arg *arg) { return arg->meta.dtype == LN_NONE ? 0 : (double)ln_numel(&arg->meta); }

static double size(const ln_arg *arg) {
  return arg->meta.dtype == LN_NONE ? 0 : elements(arg) * (double)ln_dtype_size(arg->meta.dtype);
}

/* Weights for each of the channels that dim 0 counts. */
static double weights(const ln_arg *w) { return w->meta.dim[0] > 0 ? elements(w) / (double)w->meta.dim[0] : 0; }

static double inner(const ln_call *call) {
  const ln_meta *a = &call->in[0].meta;
  int rank = a->rank;
  return rank < 2 ? elements(&call->in[0]) : (double)a->dim[call->attrs->transpose_a ? rank - 2 : rank - 1];
}

static double largest(const ln_call *call) {
  double most = 0;
  for (int i = 0; i < call->nin + call->nout; i++) {
    double n = elements(i < call->nin ? &call->in[i] : &call->out[i - call->nin]);
    if (n > most) most = n;
  }
  return most;
}

static double inputs(const ln_call *call) {
  double n = 0;
  for (int i = 0; i < call->nin; i++) n += elements(&call->in[i]);
  return n;
}

static double work(const ln_call *call, const cost *c) {
  switch (c->rule) {
    case CONV: return 2 * elements(&call->out[0]) * weights(&call->in[1]);
    case CONV_INPUT_GRAD: return 2 * elements(&call->in[0]) * weights(&call->in[1]);
    case CONV_WEIGHT_GRAD: return 2 * elements(&call->in[1]) * weights(&call->out[0]);
    case CONV_TRANSPOSE: return 2 * elements(&call->in[0]) * weights(&call->in[1]);
    case MATMUL: return 2 * elements(&call->out[0]) * inner(call);
    case PER_INPUT: return c->factor * inputs(call);
    case PER_ELEMENT: break;
  }
  return c->factor * largest(call);
}

void ln_cost(const ln_call *call, double *flops, double *bytes) {
  const cost *c = find(ln_op_get(call->op)->name);
  const ln_op_info *info = ln_op_info_get(call->op);
  *flops = work(call, c);
  *bytes = 0;
  for (int o = 0; o < call->nout; o++) *bytes += size(&call->out[o]);
  double out = *bytes;
  for (int i = 0; i < call->nin; i++) {
    double read = size(&call->in[i]);
    if (c->partial && i == 0 && read > out) read = out;
    bool written = (info->written >> (info->variadic ? 0 : i) & 1) != 0;
    *bytes += written ? 2 * read : read;
  }
}
