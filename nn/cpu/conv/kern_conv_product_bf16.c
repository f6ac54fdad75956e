/* kern_conv_product_bf16.c: kern_conv_product.c over activations stored as bf16 (kern.h). */
#define LN_ACT_BF16
#include "kern_conv_product.c"
