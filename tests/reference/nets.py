"""The paper's eight networks as PyTorch classes with the paper's own module names, so that a
checkpoint of either side loads into the other with strict=True, and what each pipeline does
with an output: its losses and its Dice."""
from collections import namedtuple

import torch
import torch.nn.functional as F
from torch import nn


def conv_pair(cin, cout, norm=True):
    """3x3 conv, BatchNorm, ReLU, twice; or without BatchNorm."""
    layers = []
    for c in (cin, cout):
        layers.append(nn.Conv2d(c, cout, 3, padding=1))
        if norm:
            layers.append(nn.BatchNorm2d(cout))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def up(cin, cout):
    return nn.ConvTranspose2d(cin, cout, 2, stride=2)


class DoubleConv(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.double_conv = conv_pair(cin, cout, norm=False)

    def forward(self, x):
        return self.double_conv(x)


class GPT4(nn.Module):
    """Four levels, no BatchNorm, output logits; 7,696,193 parameters."""

    def __init__(self):
        super().__init__()
        self.down1, self.down2 = DoubleConv(1, 64), DoubleConv(64, 128)
        self.down3, self.down4 = DoubleConv(128, 256), DoubleConv(256, 512)
        self.up1, self.conv1 = up(512, 256), DoubleConv(512, 256)
        self.up2, self.conv2 = up(256, 128), DoubleConv(256, 128)
        self.up3, self.conv3 = up(128, 64), DoubleConv(128, 64)
        self.final = nn.Conv2d(64, 1, 1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        d1 = self.down1(x)
        d2 = self.down2(self.pool(d1))
        d3 = self.down3(self.pool(d2))
        x = self.down4(self.pool(d3))
        x = self.conv1(torch.cat([self.up1(x), d3], dim=1))
        x = self.conv2(torch.cat([self.up2(x), d2], dim=1))
        x = self.conv3(torch.cat([self.up3(x), d1], dim=1))
        return self.final(x)


class GPT4o(nn.Module):
    """Bottleneck pooled too; skips cropped to their top left quarter; half-size output."""

    def __init__(self):
        super().__init__()
        widths = [1, 64, 128, 256, 512, 1024]
        self.encoder = nn.ModuleList(conv_pair(a, b) for a, b in zip(widths, widths[1:]))
        self.decoder = nn.ModuleList(conv_pair(w, w // 2) for w in (1024, 512, 256, 128))
        self.upconv = nn.ModuleList(up(w, w // 2) for w in (1024, 512, 256, 128))
        self.final_conv = nn.Conv2d(64, 1, 1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        skips = []
        for block in self.encoder:
            x = block(x)
            skips.append(x)
            x = self.pool(x)
        for i in range(4):
            x = self.upconv[i](x)
            skip = skips[3 - i][:, :, :x.shape[2], :x.shape[3]]
            x = self.decoder[i](torch.cat([x, skip], dim=1))
        return torch.sigmoid(self.final_conv(x))


class GPTo1(nn.Module):
    """The standard U-Net."""

    def __init__(self):
        super().__init__()
        widths = [1, 64, 128, 256, 512, 1024]
        for i in range(5):
            setattr(self, "conv%d" % (i + 1), conv_pair(widths[i], widths[i + 1]))
        for i, w in zip(range(6, 10), (1024, 512, 256, 128)):
            setattr(self, "up%d" % i, up(w, w // 2))
            setattr(self, "conv%d" % i, conv_pair(w, w // 2))
        self.conv10 = nn.Conv2d(64, 1, 1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        c1 = self.conv1(x)
        c2 = self.conv2(self.pool(c1))
        c3 = self.conv3(self.pool(c2))
        c4 = self.conv4(self.pool(c3))
        x = self.conv5(self.pool(c4))
        for i, skip in zip(range(6, 10), (c4, c3, c2, c1)):
            x = getattr(self, "conv%d" % i)(torch.cat([getattr(self, "up%d" % i)(x), skip], dim=1))
        return torch.sigmoid(self.conv10(x))


class ClaudeDoubleConv(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.conv = conv_pair(cin, cout)

    def forward(self, x):
        return self.conv(x)


class Claude35(nn.Module):
    """The standard U-Net under Claude's names."""

    def __init__(self):
        super().__init__()
        self.inc = ClaudeDoubleConv(1, 64)
        for i, w in enumerate((64, 128, 256, 512)):
            setattr(self, "down%d" % (i + 1), nn.Sequential(nn.MaxPool2d(2), ClaudeDoubleConv(w, 2 * w)))
        for i, w in enumerate((1024, 512, 256, 128)):
            setattr(self, "up%d" % (i + 1), up(w, w // 2))
            setattr(self, "conv%d" % (i + 1), ClaudeDoubleConv(w, w // 2))
        self.outc = nn.Conv2d(64, 1, 1)

    def forward(self, x):
        skips = [self.inc(x)]
        for i in range(1, 5):
            skips.append(getattr(self, "down%d" % i)(skips[-1]))
        x = skips.pop()
        for i in range(1, 5):
            x = getattr(self, "conv%d" % i)(torch.cat([getattr(self, "up%d" % i)(x), skips.pop()], dim=1))
        return torch.sigmoid(self.outc(x))


class Copilot(nn.Module):
    """Pooled skips are added; the decoder ends in one channel."""

    def __init__(self):
        super().__init__()

        def encode(a, b):
            return nn.Sequential(*conv_pair(a, b), nn.MaxPool2d(2))

        def decode(a, b, *more):
            return nn.Sequential(up(a, b), nn.BatchNorm2d(b), nn.ReLU(inplace=True), nn.Conv2d(b, b, 3, padding=1),
                                 nn.BatchNorm2d(b), nn.ReLU(inplace=True), *more)

        self.encoder = nn.ModuleList([encode(1, 64), encode(64, 128), encode(128, 256), encode(256, 512)])
        self.decoder = nn.ModuleList([decode(512, 256), decode(256, 128), decode(128, 64),
                                      decode(64, 1, nn.Conv2d(1, 1, 1))])

    def forward(self, x):
        skips = []
        for block in self.encoder:
            x = block(x)
            skips.append(x)
        x = self.decoder[0](skips[3])
        x = self.decoder[1](x + skips[2])
        x = self.decoder[2](x + skips[1])
        x = self.decoder[3](x + skips[0])
        return torch.sigmoid(x)


class Bing(nn.Module):
    """No skips, no BatchNorm; a ReLU before the sigmoid."""

    def __init__(self):
        super().__init__()
        widths = [1, 64, 128, 256, 512]
        for i in range(4):
            setattr(self, "encoder%d" % (i + 1), nn.Sequential(*conv_pair(widths[i], widths[i + 1], norm=False),
                                                               nn.MaxPool2d(2)))
        for i, (a, b) in enumerate(((512, 256), (256, 128), (128, 64), (64, 1))):
            setattr(self, "decoder%d" % (i + 1), nn.Sequential(up(a, b), nn.ReLU(inplace=True),
                                                               nn.Conv2d(b, b, 3, padding=1), nn.ReLU(inplace=True)))

    def forward(self, x):
        for name in ("encoder", "decoder"):
            for i in range(1, 5):
                x = getattr(self, name + str(i))(x)
        return torch.sigmoid(x)


class Llama31(nn.Module):
    """Valid convolutions, no skips: 256 in, 240 out."""

    def __init__(self):
        super().__init__()
        layers = []
        for a, b in ((1, 64), (64, 128), (128, 256)):
            layers += [nn.Conv2d(a, b, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        self.encoder = nn.Sequential(*layers)
        self.decoder = nn.Sequential(up(256, 128), nn.ReLU(inplace=True), up(128, 64), nn.ReLU(inplace=True), up(64, 1),
                                     nn.Sigmoid())

    def forward(self, x):
        return self.decoder(self.encoder(x))


class Gemini15(nn.Module):
    """Skips are the pooled outputs; the decoder is shrunk back to them; half-size output."""

    def __init__(self):
        super().__init__()
        for i, (a, b) in enumerate(((1, 64), (64, 128), (128, 256), (256, 512))):
            setattr(self, "enc%d" % (i + 1), conv_pair(a, b))
        self.pool = nn.MaxPool2d(2)
        self.bottleneck = conv_pair(512, 1024)
        for i, w in zip((4, 3, 2, 1), (1024, 512, 256, 128)):
            setattr(self, "dec%d" % i, up(w, w // 2))
        for i, w in zip((4, 3, 2, 1), (1024, 512, 256, 128)):
            setattr(self, "dec%d_conv" % i, conv_pair(w, w // 2))
        self.final = nn.Conv2d(64, 1, 1)

    def forward(self, x):
        skips = []
        for i in range(1, 5):
            x = self.pool(getattr(self, "enc%d" % i)(x))
            skips.append(x)
        x = self.bottleneck(x)
        for i, skip in zip((4, 3, 2, 1), reversed(skips)):
            x = F.interpolate(getattr(self, "dec%d" % i)(x), size=skip.shape[2:], mode="bilinear", align_corners=True)
            x = getattr(self, "dec%d_conv" % i)(torch.cat([skip, x], dim=1))
        return torch.sigmoid(self.final(x))


def hard(threshold, smooth):
    """One ratio over the batch, prediction above the threshold."""
    def dice(out, masks):
        p = (out > threshold).to(out.dtype)
        return (2 * (p * masks).sum() + smooth) / (p.sum() + masks.sum() + smooth)
    return dice


def soft(smooth, per_image=False):
    def dice(out, masks):
        dims = (1, 2, 3) if per_image else (0, 1, 2, 3)
        return ((2 * (out * masks).sum(dims) + smooth) / (out.sum(dims) + masks.sum(dims) + smooth)).mean()
    return dice


def bilinear(out, masks):
    return F.interpolate(out, size=masks.shape[2:], mode="bilinear", align_corners=False), masks


def shrink(out, masks):
    return out, F.interpolate(masks, size=out.shape[2:], mode="nearest")


def shrink_binary(out, masks):
    out, masks = shrink(out, masks)
    return out, (masks > 0.5).to(out.dtype)


def as_is(out, masks):
    return out, masks


def bce(out, masks):
    return F.binary_cross_entropy(out, masks)


# fit, check and test bring output and mask together in training, validation and test; fractions: masks have grey levels.
Pipeline = namedtuple("Pipeline", "net lr loss dice fit check test fractions cases")

SMALL, LARGE = [("64x4", 64, 4)], [("64x2", 64, 2)]

PIPELINES = {
    "gpt4": Pipeline(GPT4, 1e-3, F.binary_cross_entropy_with_logits, hard(0.5, 1e-6), as_is, as_is, as_is, True,
                     [("256x2", 256, 2), ("64x8", 64, 8)]),
    "gpt4o": Pipeline(GPT4o, 1e-4, bce, hard(0.5, 1e-6), bilinear, bilinear, bilinear, False, LARGE),
    "gpt_o1": Pipeline(GPTo1, 1e-4, bce, hard(0.5, 1e-6), as_is, as_is, as_is, False, LARGE),
    "claude35": Pipeline(Claude35, 1e-3, bce, soft(1e-5, per_image=True), as_is, as_is, as_is, False, LARGE),
    "copilot": Pipeline(Copilot, 1e-4, bce, soft(1), as_is, as_is, as_is, True, SMALL),
    "bing": Pipeline(Bing, 1e-4, bce, soft(1), as_is, as_is, as_is, True, SMALL),
    "llama31": Pipeline(Llama31, 1e-3, bce, hard(0.5, 0), shrink, shrink_binary, shrink_binary, True, SMALL),
    "gemini15": Pipeline(Gemini15, 1e-4, bce, hard(0.5, 1), shrink, shrink, bilinear, False, LARGE),
}
