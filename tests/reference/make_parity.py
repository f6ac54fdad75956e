"""Reference values for the parity tests: forward, gradients and ten Adam steps of a paper
network in f64, from hashed weights and batches, and how far PyTorch's own f32 strays.

    python tests/reference/make_parity.py gpt4          # writes tests/reference/parity_gpt4.lua

Needs torch and numpy. Per tensor it keeps the norm, 256 hash-chosen values and 8 projections on
hashed +-1 vectors: the mean square of the projections' differences estimates the squared
norm of the difference. PyTorch's own error is the largest of contiguous and channels_last at 1 and 2
threads."""
import math
import os
import sys

import numpy as np
import torch

import hashed
from nets import PIPELINES

SAMPLES, PROJECTIONS, STEPS = 256, 8, 10


def fill(net):
    with torch.no_grad():
        for name, p in net.named_parameters():
            p.copy_(torch.from_numpy(hashed.weight(name, tuple(p.shape))))


def digest(name, values):
    v = values.detach().double().contiguous().numpy().ravel()
    picks = hashed.choose(name + ".pick", SAMPLES, v.size)
    proj = [float(np.dot(hashed.signs("%s.sign%d" % (name, k), v.size), v)) for k in range(PROJECTIONS)]
    return {"count": v.size, "norm": float(np.linalg.norm(v)), "pick": v[picks], "proj": proj}


def run(kind, case, size, batch, dtype, channels_last, steps):
    pipe = PIPELINES[kind]
    net = pipe.net().to(dtype)
    fill(net)
    images, masks = (torch.from_numpy(a).to(dtype) for a in hashed.batch("%s.%s" % (kind, case), (batch, 1, size, size)))
    if channels_last:
        net, images = net.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    opt = torch.optim.Adam(net.parameters(), lr=pipe.lr)
    losses, first = [], None
    for step in range(steps):
        opt.zero_grad()
        out = net(images)
        loss = pipe.loss(*pipe.fit(out, masks))
        loss.backward()
        if step == 0:
            first = (out.detach().double(), {n: p.grad.double().contiguous() for n, p in net.named_parameters()})
        opt.step()
        losses.append(loss.item())
    return losses, first


def error(a, b):
    return float((a - b).norm() / b.norm())


def write_list(f, values):
    f.write("{" + ",".join("%.9g" % v for v in values) + "}")


def write_case(f, kind, case, size, batch):
    losses, (out, grads) = run(kind, case, size, batch, torch.float64, False, STEPS)
    whole = float(torch.sqrt(sum(g.pow(2).sum() for g in grads.values())))
    own_out, own_loss, own_grad = 0.0, [0.0] * STEPS, {n: 0.0 for n in grads}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for channels_last in (False, True):
            l32, (o32, g32) = run(kind, case, size, batch, torch.float32, channels_last, STEPS)
            own_out = max(own_out, error(o32, out))
            own_loss = [max(o, abs(a - b) / abs(b)) for o, a, b in zip(own_loss, l32, losses)]
            for n in grads:
                own_grad[n] = max(own_grad[n], float((g32[n] - grads[n]).norm()))
    dead = [n for n, g in grads.items() if float(g.norm()) == 0]
    if dead:
        raise SystemExit("gradients of %s are zero: a test with them could not fail" % ", ".join(dead))
    f.write('  ["%s"] = { size = %d, batch = %d, gradient_norm = %.9g,\n' % (case, size, batch, whole))
    write_scores(f, kind, case, size, batch)
    f.write("    losses = ")
    f.write("{" + ",".join("%.12g" % v for v in losses) + "}")
    f.write(",\n    own_losses = ")
    write_list(f, own_loss)
    f.write(",\n    own_output = %.4g,\n    output = " % own_out)
    write_digest(f, digest(case + ".output", out))
    f.write(",\n    gradients = {\n")
    for n in grads:
        f.write('      { name = "%s", own = %.4g, value = ' % (n, own_grad[n]))
        write_digest(f, digest(case + "." + n, grads[n]))
        f.write(" },\n")
    f.write("    } },\n")


def write_scores(f, kind, case, size, batch):
    """Losses and Dice for given predictions: the batch's images, which follow the masks, cut to the output's size."""
    pipe = PIPELINES[kind]
    images, masks = (torch.from_numpy(a).double() for a in hashed.batch("%s.%s" % (kind, case), (batch, 1, size, size)))
    with torch.no_grad():
        side = pipe.net()(torch.zeros(1, 1, size, size)).shape[-1]
        given = images[:, :, :side, :side].float().double()
        if pipe.loss is torch.nn.functional.binary_cross_entropy_with_logits:
            given = given * 4 - 2
        if pipe.fractions:
            masks = masks * images.float().double()
        out, target = pipe.check(given, masks)
        val_loss, val_dice = pipe.loss(out, target), pipe.dice(out, target)
        test_dice = pipe.dice(*pipe.test(given, masks))
        train_loss = pipe.loss(*pipe.fit(given, masks))
    f.write("    scores = { side = %d, fractions = %s, train_loss = %.12g, val_loss = %.12g, val_dice = %.12g, test_dice = %.12g },\n"
            % (side, "true" if pipe.fractions else "false", train_loss, val_loss, val_dice, test_dice))


def write_digest(f, d):
    """Picks are whole multiples of a millionth of the tensor's root mean square."""
    unit = max(d["norm"] / math.sqrt(d["count"]) * 1e-6, 1e-300)
    f.write("{ norm = %.9g, unit = %.9g, pick = {" % (d["norm"], unit))
    f.write(",".join("%d" % round(v / unit) for v in d["pick"]))
    f.write("}, proj = ")
    write_list(f, d["proj"])
    f.write(" }")


def main():
    kind = sys.argv[1]
    path = os.path.join(os.path.dirname(__file__), "parity_%s.lua" % kind)
    with open(path, "w") as f:
        f.write("-- Made by make_parity.py %s with PyTorch %s; values in f64, `own`: PyTorch's f32 errors.\nreturn {\n"
                % (kind, torch.__version__.split("+")[0]))
        for case, size, batch in PIPELINES[kind].cases:
            print(kind, case, flush=True)
            write_case(f, kind, case, size, batch)
        f.write("}\n")
    print(path, os.path.getsize(path), "bytes")


if __name__ == "__main__":
    main()
