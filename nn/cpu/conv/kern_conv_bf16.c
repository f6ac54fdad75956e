/* kern_conv_bf16.c: kern_conv.c over activations stored as bf16 (kern.h). */
#define LN_ACT_BF16
#include "kern_conv.c"
