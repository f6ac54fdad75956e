/* workspace.h: how many bytes of workspace the kernels of RUN rows want; prepare asks (cpu.c). */
#ifndef LN_CPU_WORKSPACE_H
#define LN_CPU_WORKSPACE_H

#include "cpu.h"

size_t ln_cpu_reduce_workspace(const ln_cpu *cpu, const ln_call *call);      /* sum mean amax amin */
size_t ln_cpu_norm_workspace(const ln_cpu *cpu, const ln_call *call);        /* moments batch_norm batch_norm_eval norm_relu norm_relu_pool */
size_t ln_cpu_norm_grad_workspace(const ln_cpu *cpu, const ln_call *call);   /* batch_norm_grad norm_relu_grad */
size_t ln_cpu_norm_relu_pool_grad_workspace(const ln_cpu *cpu, const ln_call *call);
size_t ln_cpu_channel_sum_workspace(const ln_cpu *cpu, const ln_call *call); /* relu_grad_sum, blocked sum */
size_t ln_cpu_max_pool_grad_workspace(const ln_cpu *cpu, const ln_call *call); /* max_pool_grad max_pool_grad_add */
size_t ln_cpu_interpolate_workspace(const ln_cpu *cpu, const ln_call *call); /* interpolate and its gradient */
size_t ln_cpu_avg_pool_workspace(const ln_cpu *cpu, const ln_call *call);    /* avg_pool and its gradient */

#endif
