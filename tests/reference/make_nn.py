"""Writes tests/reference/nn.lua: what tests/nn_test.lua and tests/optim_test.lua compare with.

    python3 tests/reference/make_nn.py

Needs torch and numpy. Inputs, parameters and output gradients are hashed numbers
(hashed.py), everything is computed in f64. Of a tensor the file keeps the shape, its dot
product with a hashed +-1 vector and the sum of its magnitudes, which scales the tolerance.
"""
import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import hashed

torch.set_default_dtype(torch.float64)
HERE = os.path.dirname(os.path.abspath(__file__))


def tensor(name, shape, scale=1.0):
    return torch.tensor(hashed.symmetric(name, int(np.prod(shape))).astype(np.float32).astype(np.float64) * scale).reshape(shape)


def digest(name, t):
    v = t.detach().to(torch.float64).reshape(-1).numpy()
    dot = float((v * hashed.signs(name, v.size)).sum())
    return '{ shape = "%s", dot = %.10g, mass = %.10g }' % ("x".join(map(str, t.shape)), dot, np.abs(v).sum())


class Function(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, *x):
        return self.f(*x)


# name, layer, input shape; the same names stand in tests/nn_test.lua
LAYERS = [
    ("conv1d", nn.Conv1d(4, 6, 3, padding=1, groups=2), (2, 4, 9)),
    ("conv2d", nn.Conv2d(3, 4, (3, 5), stride=2, padding=(1, 2), dilation=(2, 1)), (2, 3, 11, 10)),
    ("conv2d_groups_nobias", nn.Conv2d(4, 6, 3, groups=2, bias=False), (2, 4, 7, 5)),
    ("conv2d_same", nn.Conv2d(2, 3, 4, padding="same"), (2, 2, 6, 7)),
    ("conv2d_reflect", nn.Conv2d(2, 3, 3, padding=(2, 1), padding_mode="reflect"), (1, 2, 6, 5)),
    ("conv2d_same_reflect", nn.Conv2d(2, 3, (4, 3), padding="same", padding_mode="reflect"), (1, 2, 6, 5)),
    ("conv3d", nn.Conv3d(2, 3, 3, padding=1), (1, 2, 4, 5, 3)),
    ("convt1d", nn.ConvTranspose1d(3, 2, 4, stride=3), (2, 3, 5)),
    ("convt2d", nn.ConvTranspose2d(4, 3, 2, stride=2), (2, 4, 3, 5)),
    ("convt2d_odd", nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), (2, 4, 4, 3)),
    ("convt3d", nn.ConvTranspose3d(2, 3, 2, stride=2), (1, 2, 2, 3, 2)),
    ("linear", nn.Linear(5, 3), (4, 2, 5)),
    ("linear_vector", nn.Linear(5, 3, bias=False), (5,)),
    ("batchnorm1d", nn.BatchNorm1d(3), (5, 3)),
    ("batchnorm2d", nn.BatchNorm2d(3), (4, 3, 5, 6)),
    ("batchnorm2d_eval", nn.BatchNorm2d(3), (4, 3, 5, 6)),
    ("batchnorm2d_momentum", nn.BatchNorm2d(3, eps=1e-3, momentum=0.3), (4, 3, 5, 6)),
    ("batchnorm2d_cumulative", nn.BatchNorm2d(3, momentum=None), (4, 3, 5, 6)),
    ("batchnorm2d_plain", nn.BatchNorm2d(3, affine=False, track_running_stats=False), (4, 3, 5, 6)),
    ("batchnorm3d", nn.BatchNorm3d(2), (2, 2, 3, 4, 5)),
    ("instancenorm2d", nn.InstanceNorm2d(3, affine=True), (2, 3, 5, 6)),
    ("instancenorm3d", nn.InstanceNorm3d(2), (2, 2, 3, 4, 5)),
    ("groupnorm", nn.GroupNorm(2, 6), (3, 6, 4, 5)),
    ("layernorm", nn.LayerNorm([3, 4]), (2, 5, 3, 4)),
    ("relu", nn.ReLU(), (3, 7)),
    ("leaky_relu", nn.LeakyReLU(0.2), (3, 7)),
    ("sigmoid", nn.Sigmoid(), (3, 7)),
    ("tanh", nn.Tanh(), (3, 7)),
    ("softmax", nn.Softmax(dim=1), (2, 4, 3, 5)),
    ("log_softmax", nn.LogSoftmax(dim=1), (2, 4, 3, 5)),
    ("silu", nn.SiLU(), (3, 7)),
    ("elu", nn.ELU(0.5), (3, 7)),
    ("softplus", nn.Softplus(), (3, 7)),
    ("maxpool2d", nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True), (2, 3, 8, 7)),
    ("maxpool2d_dilated", nn.MaxPool2d((2, 3), stride=1, dilation=2), (1, 2, 8, 9)),
    ("maxpool3d", nn.MaxPool3d(2), (1, 2, 4, 5, 6)),
    ("avgpool2d", nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False), (2, 3, 8, 7)),
    ("avgpool3d", nn.AvgPool3d(2), (1, 2, 4, 5, 6)),
    ("upsample_nearest", nn.Upsample(scale_factor=2), (1, 2, 3, 5)),
    ("upsample_bilinear", nn.Upsample(scale_factor=1.5, mode="bilinear"), (1, 2, 5, 6)),
    ("upsample_corners", nn.Upsample(size=(7, 9), mode="bilinear", align_corners=True), (2, 2, 4, 5)),
    ("upsample_trilinear", nn.Upsample(size=(3, 5, 4), mode="trilinear"), (1, 2, 2, 3, 3)),
    ("upsample_linear", nn.Upsample(scale_factor=2, mode="linear"), (1, 2, 5)),
    ("flatten", nn.Flatten(), (2, 3, 4, 5)),
    ("pad_reflect", Function(lambda x: F.pad(x, (2, 1, 0, 3), "reflect")), (1, 2, 5, 4)),
    ("pad_crop", Function(lambda x: F.pad(x, (-1, 2, 1, -2), value=0.5)), (1, 2, 5, 4)),
    ("interpolate_nearest", Function(lambda x: F.interpolate(x, (5, 3))), (1, 2, 7, 8)),
]


def case_weights(name, layer):
    with torch.no_grad():
        for key, p in layer.named_parameters():
            p.copy_(tensor(name + "." + key, p.shape, 0.5))


def layer_case(name, layer, shape):
    case_weights(name, layer)
    x = tensor(name + ".x", shape).requires_grad_()
    if name.endswith("_eval"):
        layer(x)  # moves the running statistics once
        layer.eval()
    if name.endswith("_cumulative"):
        layer(tensor(name + ".before", shape))
    y = layer(x)
    (y * tensor(name + ".gy", y.shape)).sum().backward()
    parts = ["y = " + digest(name + ".y", y), "gx = " + digest(name + ".gx", x.grad)]
    for key, p in layer.named_parameters():
        parts.append('["g.%s"] = %s' % (key, digest(name + ".g." + key, p.grad)))
    for key, b in layer.named_buffers():
        parts.append('["b.%s"] = %s' % (key, digest(name + ".b." + key, b)))
    return parts


def classes(name, shape, n, ignored=None):
    t = torch.tensor((hashed.words(name, int(np.prod(shape))) >> 8).astype(np.int64) % n).reshape(shape)
    if ignored is not None:
        t[0].fill_(ignored)
    return t


# name, function of (input, target), input shape, kind of target; input in (0, 1) for "probability"
LOSSES = [
    ("bce", nn.BCELoss(), (2, 1, 4, 5), "probability"),
    ("bce_sum_weight", nn.BCELoss(weight=tensor("bce_sum_weight.w", (4, 5)) + 1.5, reduction="sum"), (2, 1, 4, 5), "probability"),
    ("bce_logits", nn.BCEWithLogitsLoss(), (2, 1, 4, 5), "fraction"),
    ("bce_logits_pos", nn.BCEWithLogitsLoss(pos_weight=torch.tensor(3.0)), (2, 1, 4, 5), "fraction"),
    ("bce_logits_none", nn.BCEWithLogitsLoss(reduction="none"), (2, 1, 4, 5), "fraction"),
    ("mse", nn.MSELoss(), (3, 4), "fraction"),
    ("l1", nn.L1Loss(reduction="sum"), (3, 4), "fraction"),
    ("nll", nn.NLLLoss(), (3, 4, 2, 5), "class"),
    ("cross_entropy", nn.CrossEntropyLoss(), (3, 4, 2, 5), "class"),
    ("cross_entropy_weight", nn.CrossEntropyLoss(weight=torch.tensor([0.5, 1.0, 2.0, 0.25])), (3, 4, 2, 5), "class"),
    ("cross_entropy_ignore", nn.CrossEntropyLoss(weight=torch.tensor([0.5, 1.0, 2.0, 0.25]), ignore_index=7), (3, 4, 2, 5), "ignored"),
    ("cross_entropy_smooth", nn.CrossEntropyLoss(weight=torch.tensor([0.5, 1.0, 2.0, 0.25]), label_smoothing=0.1, ignore_index=7), (3, 4, 2, 5), "ignored"),
    ("cross_entropy_sum", nn.CrossEntropyLoss(reduction="sum"), (5, 3), "class"),
    ("cross_entropy_soft", nn.CrossEntropyLoss(label_smoothing=0.2), (3, 4, 2), "soft"),
]


def loss_target(name, shape, kind):
    if kind == "class":
        return classes(name + ".t", shape[:1] + shape[2:], shape[1])
    if kind == "ignored":
        return classes(name + ".t", shape[:1] + shape[2:], shape[1], 7)
    t = tensor(name + ".t", shape) * 0.5 + 0.5
    return t / t.sum(1, keepdim=True) if kind == "soft" else t


def loss_case(name, loss, shape, kind):
    x = tensor(name + ".x", shape)
    x = (x * 0.5 + 0.5 if kind == "probability" else x * 3).requires_grad_()
    y = loss(x, loss_target(name, shape, kind))
    (y.sum() if y.dim() else y).backward()
    return ["y = " + digest(name + ".y", y), "gx = " + digest(name + ".gx", x.grad)]


PRINTED = nn.Sequential(
    nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, (3, 1), stride=2, groups=2, bias=False, dilation=(1, 2)),
    nn.Conv2d(8, 8, 3, padding="same", padding_mode="reflect"), nn.Conv1d(1, 2, 3),
    nn.ConvTranspose2d(8, 4, 2, stride=2), nn.ConvTranspose3d(8, 4, 3, stride=2, padding=1, output_padding=1, bias=False),
    nn.ReLU(), nn.LeakyReLU(0.2), nn.Sigmoid(), nn.Softmax(dim=1), nn.Dropout(0.25), nn.Dropout2d(),
    nn.MaxPool2d(2), nn.MaxPool3d((1, 2, 2), stride=2, ceil_mode=True), nn.AvgPool2d(2), nn.Linear(5, 3, bias=False),
    nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Upsample(size=(4, 4)), nn.Identity(), nn.Flatten()),
    nn.ModuleList([nn.GroupNorm(2, 4), nn.InstanceNorm2d(3)]),
)


# -- optimizers: name, class, options; 6 steps with hashed gradients on two parameters
OPTIMIZERS = [
    ("sgd", torch.optim.SGD, dict(lr=0.1)),
    ("sgd_momentum", torch.optim.SGD, dict(lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.01)),
    ("sgd_nesterov", torch.optim.SGD, dict(lr=0.1, momentum=0.9, nesterov=True)),
    ("adam", torch.optim.Adam, dict(lr=0.01)),
    ("adam_decay", torch.optim.Adam, dict(lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)),
    ("adamw", torch.optim.AdamW, dict(lr=0.01)),
]


def optimizer_case(name, cls, options):
    ps = [tensor("optim.p%d" % i, shape).requires_grad_() for i, shape in enumerate([(3, 4), (5,)])]
    opt = cls(ps, **options)
    for step in range(6):
        for i, p in enumerate(ps):
            p.grad = tensor("optim.g%d.%d" % (i, step), p.shape)
        opt.step()
    return ["p%d = %s" % (i, digest("%s.p%d" % (name, i), p)) for i, p in enumerate(ps)]


METRIC = [1.0, 0.9, 0.95, 0.96, 0.97, 0.5, 0.49999, 0.5, 0.5, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4]
SCHEDULES = [
    ("step", lambda o: torch.optim.lr_scheduler.StepLR(o, 3, gamma=0.5)),
    ("exponential", lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.9)),
    ("cosine", lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 10, eta_min=0.001)),
    ("polynomial", lambda o: torch.optim.lr_scheduler.PolynomialLR(o, 8, power=2)),
    ("lambda", lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda e: 1 / (1 + e))),
    ("plateau", lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=1, cooldown=1, min_lr=0.01)),
]


def schedule_case(make):
    opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule, rates = make(opt), []
    for metric in METRIC:
        opt.step()
        if isinstance(schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
            schedule.step(metric)
        else:
            schedule.step()
        rates.append("%.12g" % opt.param_groups[0]["lr"])
    return "{ " + ", ".join(rates) + " }"


def clip_case():
    ps = [tensor("clip.p%d" % i, shape).requires_grad_() for i, shape in enumerate([(3, 4), (5,)])]
    for i, p in enumerate(ps):
        p.grad = tensor("clip.g%d" % i, p.shape)
    norm = nn.utils.clip_grad_norm_(ps, 1.5)
    return ["norm = %.10g" % norm] + ["g%d = %s" % (i, digest("clip.c%d" % i, p.grad)) for i, p in enumerate(ps)]


def block(lines, name, parts):
    lines.append("  %s = {" % name)
    lines.extend("    %s," % part for part in parts)
    lines.append("  },")


def main():
    lines = ["-- Made by tests/reference/make_nn.py with torch %s; see there." % torch.__version__.split("+")[0],
             "-- luacheck: no max line length", "return {"]
    for name, layer, shape in LAYERS:
        block(lines, name, layer_case(name, layer, shape))
    for name, loss, shape, kind in LOSSES:
        block(lines, name, loss_case(name, loss, shape, kind))
    for name, cls, options in OPTIMIZERS:
        block(lines, name, optimizer_case(name, cls, options))
    block(lines, "clip", clip_case())
    lines.append("  metric = { %s }," % ", ".join(map(str, METRIC)))
    lines.append("  schedules = {")
    lines.extend("    %s = %s," % (name, schedule_case(make)) for name, make in SCHEDULES)
    lines.append("  },")
    lines.append("  printed = [[\n%s]]," % PRINTED)
    lines.append("}")
    with open(os.path.join(HERE, "nn.lua"), "w") as f:
        f.write("\n".join(lines) + "\n")


main()
