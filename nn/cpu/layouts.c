/* layouts.c: which layout each op takes and gives (backend.h's layouts): blocked where the op's main input lies
 * so already, and nothing stands in its way; a convolution says for itself. What layouts would not answer,
 * prepare refuses.
 */
#include "layouts.h"

typedef bool (*rule_fn)(const ln_cpu *cpu, const ln_call *call);

/* Are there channels, and do they fill whole vectors? */
static bool fills_vectors(const ln_cpu *cpu, const ln_arg *a) {
  return a->meta.rank >= 3 && a->numel > 0 && a->meta.dim[1] % cpu->lanes == 0;
}

/* Elements of four bytes. Only pools' indices are i32. */
static bool can_block(const ln_cpu *cpu, const ln_arg *a) {
  return (a->meta.dtype == LN_F32 || a->meta.dtype == LN_I32) && fills_vectors(cpu, a);
}

/* Statistics and weights are vectors, and plain in every call. */
static bool is_image(const ln_arg *a) { return a->meta.dtype != LN_NONE && a->meta.rank >= 3; }

static bool images_can_block(const ln_cpu *cpu, const ln_call *call) {
  for (int i = 0; i < call->nin + call->nout; i++) {
    const ln_arg *a = ln_call_arg(call, i);
    if (is_image(a) && !can_block(cpu, a)) return false;
  }
  return true;
}

static bool any_blocked(const ln_call *call) {
  for (int i = 0; i < call->nin; i++)
    if (call->in[i].layout == LN_BLOCKED) return true;
  return false;
}

/* -- the rules: may the images of this call be blocked? */

static bool layer(const ln_cpu *cpu, const ln_call *call) { return images_can_block(cpu, call); }

/* Broadcasting is for single numbers only, which stay plain. */
static bool elementwise(const ln_cpu *cpu, const ln_call *call) {
  for (int i = 0; i < call->nin; i++) {
    const ln_arg *a = &call->in[i];
    if (a->meta.dtype != LN_F32) return false;
    if (a->numel != 1 && !ln_same_shape(&a->meta, &call->out[0].meta)) return false;
  }
  return can_block(cpu, &call->out[0]);
}

/* Over all dims but the channels; the sums are a plain vector, whatever its shape. */
static bool channel_sum(const ln_cpu *cpu, const ln_call *call) {
  unsigned mask = 0;
  for (int i = 0; i < call->attrs->ndims; i++) mask |= 1u << call->attrs->dims[i];
  return mask == (((1u << call->in[0].meta.rank) - 1) & ~2u) && call->in[0].meta.dtype == LN_F32 &&
         can_block(cpu, &call->in[0]);
}

static bool channels(const ln_cpu *cpu, const ln_call *call) {
  return call->attrs->dim == 1 && images_can_block(cpu, call);
}

static bool channel_slice(const ln_cpu *cpu, const ln_call *call) {
  return call->attrs->step == 1 && call->attrs->start % cpu->lanes == 0 && channels(cpu, call);
}

static const rule_fn rules[LN_OP_COUNT] = {
    [LN_OP_round_bf16] = elementwise, [LN_OP_relu] = elementwise, [LN_OP_relu_grad] = elementwise, [LN_OP_leaky_relu] = elementwise,
    [LN_OP_leaky_relu_grad] = elementwise, [LN_OP_add] = elementwise, [LN_OP_sub] = elementwise,
    [LN_OP_mul] = elementwise, [LN_OP_div] = elementwise, [LN_OP_neg] = elementwise, [LN_OP_abs] = elementwise,
    [LN_OP_sigmoid] = elementwise, [LN_OP_sigmoid_grad] = elementwise, [LN_OP_tanh] = elementwise,
    [LN_OP_exp] = elementwise, [LN_OP_sqrt] = elementwise, [LN_OP_clamp] = elementwise,
    [LN_OP_maximum] = elementwise, [LN_OP_minimum] = elementwise,
    [LN_OP_batch_norm] = layer, [LN_OP_batch_norm_grad] = layer, [LN_OP_batch_norm_eval] = layer,
    [LN_OP_moments] = layer, [LN_OP_norm_relu] = layer, [LN_OP_norm_relu_grad] = layer, [LN_OP_relu_grad_sum] = layer,
    [LN_OP_max_pool] = layer, [LN_OP_max_pool_grad] = layer, [LN_OP_max_pool_grad_add] = layer,
    [LN_OP_norm_relu_pool] = layer, [LN_OP_norm_relu_pool_grad] = layer,
    [LN_OP_avg_pool] = layer, [LN_OP_avg_pool_grad] = layer, [LN_OP_interpolate] = layer, [LN_OP_interpolate_grad] = layer,
    [LN_OP_sum] = channel_sum, [LN_OP_cat] = channels, [LN_OP_slice] = channel_slice};

/* A form that a value can have: f32 in any layout, stored as bf16 only blocked. */
static bool is_float_form(const ln_arg *a) {
  return a->meta.dtype == LN_F32 || (a->meta.dtype == LN_BF16 && a->layout == LN_BLOCKED);
}

/* Reorders go between any two forms that their value can have. */
static bool reorder_fits(const ln_cpu *cpu, const ln_call *call) {
  const ln_arg *x = &call->in[0], *y = &call->out[0];
  const bool same = x->meta.dtype == y->meta.dtype;
  if (x->layout == LN_PLAIN && y->layout == LN_PLAIN) return same;
  return fills_vectors(cpu, x) && ((same && x->meta.dtype == LN_I32) || (is_float_form(x) && is_float_form(y)));
}

/* -- stored as bf16 */

/* Windows that overlap are added up in memory, which must not be rounded every time. */
static bool sums_once(const ln_call *call) {
  if (call->op != LN_OP_avg_pool_grad) return true;
  for (int i = 0; i < call->out[0].meta.rank - 2; i++)
    if (call->attrs->kernel[i] != call->attrs->stride[i] || call->attrs->padding[i] != 0 ||
        call->out[0].meta.dim[2 + i] != call->in[0].meta.dim[2 + i] * call->attrs->kernel[i]) return false;
  return true;
}

/* Blocked floats of this call. Pools' indices stay what they are. */
static bool is_stored(const ln_arg *a) { return a->layout == LN_BLOCKED && a->meta.dtype == LN_F32; }

void ln_cpu_store_bf16(ln_call *call) {
  const int n = call->nin + call->nout;
  for (int i = 0; i < n; i++)
    if (is_stored(ln_call_arg(call, i)) && !ln_call_arg(call, i)->low) return;
  for (int i = 0; i < n; i++)
    if (is_stored(ln_call_arg(call, i))) ln_call_arg(call, i)->meta.dtype = LN_BF16;
}

bool ln_cpu_is_conv(ln_op op) {
  switch (op) {
  case LN_OP_conv: case LN_OP_conv_norm: case LN_OP_conv_norm_relu: case LN_OP_conv_relu: case LN_OP_conv_moments: case LN_OP_conv_masked: case LN_OP_conv_transpose:
  case LN_OP_conv_input_grad: case LN_OP_conv_input_grad_masked: case LN_OP_conv_weight_grad: return true;
  default: return false;
  }
}

void ln_cpu_layouts(const ln_cpu *cpu, ln_call *call) {
  if (call->op == LN_OP_reorder) return;
  if (ln_cpu_is_conv(call->op)) {
    ln_cpu_conv_layouts(cpu, call);
    return;
  }
  const rule_fn rule = rules[call->op];
  const bool blocked = rule != NULL && any_blocked(call) && rule(cpu, call);
  for (int i = 0; i < call->nin; i++)
    call->in[i].layout = blocked && is_image(&call->in[i]) && call->in[i].numel != 1 ? LN_BLOCKED : LN_PLAIN;
  for (int o = 0; o < call->nout; o++)
    call->out[o].layout = blocked && is_image(&call->out[o]) && call->op != LN_OP_sum ? LN_BLOCKED : LN_PLAIN;
  if (call->op != LN_OP_round_bf16 && sums_once(call)) ln_cpu_store_bf16(call);
}

/* What a call's arguments were before `layouts` was asked. */
typedef struct form {
  ln_layout layout;
  ln_dtype dtype;
} form;

bool ln_cpu_layouts_fit(const ln_cpu *cpu, ln_call *call, const ln_arg **unknown) {
  form as_is[LN_MAX_INPUTS + LN_MAX_OUTPUTS];
  const int n = call->nin + call->nout;
  *unknown = &call->in[0];
  if (call->op == LN_OP_reorder) return reorder_fits(cpu, call);
  bool plain = true;
  for (int i = 0; i < n; i++) plain = plain && ln_call_arg(call, i)->layout == LN_PLAIN;
  if (plain) return true; /* every kernel can, the plan has no layouts then */
  for (int i = 0; i < n; i++) {
    ln_arg *a = ln_call_arg(call, i);
    as_is[i] = (form){a->layout, a->meta.dtype};
    a->low = a->meta.dtype == LN_BF16;
    if (a->low) a->meta.dtype = LN_F32;
    if (i >= call->nin) a->layout = LN_PLAIN;
  }
  ln_cpu_layouts(cpu, call);
  bool fits = true;
  for (int i = 0; i < n; i++) {
    ln_arg *a = ln_call_arg(call, i);
    if (a->layout != as_is[i].layout || a->meta.dtype != as_is[i].dtype) fits = false, *unknown = a;
    a->layout = as_is[i].layout, a->meta.dtype = as_is[i].dtype;
  }
  return fits;
}
