/* kern_wino_grad_form_bf16.c: kern_wino_grad_form.c over activations stored as bf16 (kern.h). */
#define LN_ACT_BF16
#include "kern_wino_grad_form.c"
