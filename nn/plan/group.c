/* group.c: the updates of all parameters, neighbours in the commit, run as one step: one start of the
 * threads for all of them, and small parameters cost no more than their bytes.
 */
#include "plan.h"

static bool joins(const ln_plan *plan, int first, int s) {
  const ln_call *a = &plan->step[first].call, *b = &plan->step[s].call;
  if (b->op != a->op) return false;
  for (int k = first; k < s; k++) /* a cell that is updated twice is updated in order */
    if (plan->step[k].in[0] == plan->step[s].in[0]) return false;
  return true;
}

void ln_plan_group(ln_plan *plan, bool wanted) {
  for (int s = 0; s < plan->nstep; s++) {
    plan->calls[s] = &plan->step[s].call;
    plan->step[s].group = 1;
  }
  for (int first = 0; wanted && first < plan->nstep; first += plan->step[first].group) {
    if ((ln_op_get(plan->step[first].call.op)->flags & LN_GROUP) == 0) continue;
    int s = first + 1;
    while (s < plan->nstep && joins(plan, first, s)) plan->step[s++].group = 0;
    plan->step[first].group = s - first;
  }
}
