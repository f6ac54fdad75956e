/* workspace.h: how many bytes of workspace the kernels of RUN rows want; prepare asks (cpu.c). */
#ifndef LN_CPU_WORKSPACE_H
#define LN_CPU_WORKSPACE_H

#include "cpu.h"

size_t ln_cpu_reduce_workspace(const ln_cpu *cpu, const ln_call *call);      /* sum mean amax amin */
size_t ln_cpu_norm_workspace(const ln_cpu *cpu, const ln_call *call);        /* batch_norm and its gradient */
size_t ln_cpu_interpolate_workspace(const ln_cpu *cpu, const ln_call *call); /* interpolate and its gradient */

#endif
