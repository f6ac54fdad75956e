/* conv_call.c: from an op's inputs, outputs and attributes to a convolution's geometry, tensors and epilogue. */
#include "conv_call.h"

static void set_spatial(ln_conv_geometry *g, const ln_attrs *attrs, const ln_meta *src, const ln_meta *weights,
                        const ln_meta *dst) {
  int spatial = src->rank - 2, skip = LN_SPATIAL - spatial;
  for (int i = 0; i < LN_SPATIAL; i++) {
    int a = i - skip; /* place among the tensor's spatial dims */
    g->in[i] = a < 0 ? 1 : src->dim[2 + a];
    g->out[i] = a < 0 ? 1 : dst->dim[2 + a];
    g->kernel[i] = a < 0 ? 1 : weights->dim[2 + a];
    g->stride[i] = a < 0 ? 1 : attrs->stride[a];
    g->padding[i] = a < 0 ? 0 : attrs->padding[a];
    g->dilation[i] = a < 0 ? 1 : attrs->dilation[a];
  }
}

ln_conv_dir ln_conv_direction_of(ln_op op) {
  switch (op) {
  case LN_OP_conv_weight_grad: return LN_CONV_BACKWARD_WEIGHTS;
  case LN_OP_conv_input_grad: case LN_OP_conv_input_grad_masked: case LN_OP_conv_transpose: return LN_CONV_BACKWARD_DATA;
  default: return LN_CONV_FORWARD;
  }
}

/* The call's args by their place in the forward convolution. */
typedef struct places {
  const ln_arg *src, *weights, *dst;
} places;

static places places_of(const ln_call *call) {
  const ln_arg *first = &call->in[0], *second = &call->in[1], *out = &call->out[0];
  switch (ln_conv_direction_of(call->op)) {
  case LN_CONV_FORWARD: return (places){first, second, out};
  case LN_CONV_BACKWARD_DATA: return (places){out, second, first};
  default: return (places){first, out, second};
  }
}

ln_conv_geometry ln_conv_geometry_of(const ln_call *call) {
  places p = places_of(call);
  ln_conv_geometry g = {.n = p.src->meta.dim[0], .groups = call->attrs->groups};
  g.ci = p.src->meta.dim[1];
  g.co = p.dst->meta.dim[1];
  set_spatial(&g, call->attrs, &p.src->meta, &p.weights->meta, &p.dst->meta);
  return g;
}

int64_t ln_conv_image(const ln_arg *arg) {
  if (arg->layout != LN_PLAIN) return arg->image;
  return arg->meta.dim[0] > 0 ? arg->numel / arg->meta.dim[0] : 0;
}

ln_conv_sides ln_conv_sides_of(const ln_call *call) {
  places p = places_of(call);
  bool bf16 = p.src->meta.dtype == LN_BF16 || p.dst->meta.dtype == LN_BF16;
  return (ln_conv_sides){p.src->layout, p.dst->layout, {ln_conv_image(p.src), ln_conv_image(p.dst), bf16}};
}

static bool has_mask(ln_op op) { return op == LN_OP_conv_masked || op == LN_OP_conv_input_grad_masked; }
bool ln_conv_has_bias(const ln_call *call) {
  return call->nin > 2 && !has_mask(call->op) && call->in[2].meta.dtype != LN_NONE;
}

bool ln_conv_has_moments(ln_op op) { return op == LN_OP_conv_moments; }
bool ln_conv_has_sums(ln_op op) { return has_mask(op); }

ln_conv_tensors ln_conv_tensors_of(const ln_call *call) {
  places p = places_of(call);
  const float *bias = ln_conv_has_bias(call) ? call->in[2].data : NULL;
  return (ln_conv_tensors){.src = p.src->data, .weights = p.weights->data, .dst = p.dst->data, .bias = bias};
}

ln_epilogue ln_conv_epilogue_of(const ln_call *call, ln_moments *moments, double *sums) {
  ln_epilogue e = {.bias = ln_conv_tensors_of(call).bias, .relu = call->op == LN_OP_conv_relu};
  if (has_mask(call->op)) {
    e.mask = call->in[2].data;
    e.mask_image = ln_conv_image(&call->in[2]);
  }
  e.moments = ln_conv_has_moments(call->op) ? moments : NULL;
  e.sums = ln_conv_has_sums(call->op) ? sums : NULL;
  return e;
}

void ln_conv_store_statistics(const ln_call *call, const ln_epilogue *e) {
  int64_t channels = call->nout > 1 ? call->out[1].numel : 0;
  float *first = channels > 0 ? call->out[1].data : NULL;
  for (int64_t c = 0; c < channels; c++) {
    if (e->moments != NULL) {
      first[c] = (float)e->moments[c].mean;
      ((float *)call->out[2].data)[c] = (float)(e->moments[c].m2 / e->moments[c].count);
    } else {
      first[c] = (float)e->sums[c];
    }
  }
}

bool ln_conv_is_empty(const ln_conv_geometry *g) {
  return g->n == 0 || g->ci == 0 || g->co == 0 || ln_conv_volume(g->in) == 0 || ln_conv_volume(g->out) == 0 ||
         ln_conv_volume(g->kernel) == 0;
}
