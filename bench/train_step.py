"""One training step after another in PyTorch, as installed (eager, contiguous): prints the
seconds of each step, then the peak resident bytes. The twin of bench/train_step.lua."""
import resource
import sys
import time

import torch

sys.path.insert(0, "tests/reference")
from nets import NETS  # noqa: E402

kind, size, batch, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
make, loss_kind, lr = NETS[kind]
net = make()
opt, crit = torch.optim.Adam(net.parameters(), lr=lr), loss_kind()
images = torch.rand(batch, 1, size, size)
masks = (torch.rand(batch, 1, size, size) > 0.9).float()
for _ in range(steps):
    start = time.perf_counter()
    opt.zero_grad()
    loss = crit(net(images), masks)
    loss.backward()
    opt.step()
    loss.item()
    print("step %.6f" % (time.perf_counter() - start), flush=True)
print("peak %d" % (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))
