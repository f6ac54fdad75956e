"""The paper's networks as PyTorch classes with the paper's own module names, so that a
checkpoint of either side loads into the other with strict=True."""
import torch
from torch import nn


class DoubleConv(nn.Module):
    """3x3 conv, ReLU, 3x3 conv, ReLU; no normalisation."""

    def __init__(self, cin, cout):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(cin, cout, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(cout, cout, 3, padding=1), nn.ReLU(inplace=True))

    def forward(self, x):
        return self.double_conv(x)


class GPT4(nn.Module):
    """GPT-4's U-Net: four levels, no BatchNorm, output logits; 7,696,193 parameters."""

    def __init__(self):
        super().__init__()
        self.down1, self.down2 = DoubleConv(1, 64), DoubleConv(64, 128)
        self.down3, self.down4 = DoubleConv(128, 256), DoubleConv(256, 512)
        self.up1 = nn.ConvTranspose2d(512, 256, 2, stride=2)
        self.conv1 = DoubleConv(512, 256)
        self.up2 = nn.ConvTranspose2d(256, 128, 2, stride=2)
        self.conv2 = DoubleConv(256, 128)
        self.up3 = nn.ConvTranspose2d(128, 64, 2, stride=2)
        self.conv3 = DoubleConv(128, 64)
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


NETS = {"gpt4": (GPT4, nn.BCEWithLogitsLoss, 1e-3)}
