/* conv_call.h: a call of one of the convolution ops in the terms of conv.h. */
#ifndef LN_CPU_CONV_CALL_H
#define LN_CPU_CONV_CALL_H

#include "conv.h"

ln_conv_geometry ln_conv_geometry_of(const ln_call *call);
ln_conv_dir ln_conv_direction_of(ln_op op);
ln_conv_sides ln_conv_sides_of(const ln_call *call);

/* The arguments' data, and for the outputs beside y where the statistics go: into arrays of one element a
 * channel of the output, in the step's workspace, from which ln_conv_store_statistics fills them. */
ln_conv_tensors ln_conv_tensors_of(const ln_call *call);
bool ln_conv_has_bias(const ln_call *call);
bool ln_conv_has_moments(ln_op op);
bool ln_conv_has_sums(ln_op op);
ln_epilogue ln_conv_epilogue_of(const ln_call *call, ln_moments *moments, double *sums);
void ln_conv_store_statistics(const ln_call *call, const ln_epilogue *e);

/* Elements from one image to the next. */
int64_t ln_conv_image(const ln_arg *arg);

/* Nothing to multiply: the result is the bias, or zeros, or has no elements. */
bool ln_conv_is_empty(const ln_conv_geometry *g);

#endif
