"""bench/loader.lua's twin: Pillow, torchvision's Resize and ToTensor, PyTorch's DataLoader, one thread.

loader.py DIR [SUFFIX [SIZE]]
"""
import os
import sys
import time

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

torch.set_num_threads(1)


class Pairs(Dataset):
    def __init__(self, folder, suffix, size):
        stems = [os.path.splitext(name)[0] for name in os.listdir(folder) if name.endswith(".png")]
        masks = {stem for stem in stems if stem.endswith(suffix)}
        self.pairs = sorted((f"{folder}/{s}.png", f"{folder}/{s}{suffix}.png") for s in stems if s + suffix in masks)
        self.change = transforms.Compose([transforms.Resize((size, size)), transforms.ToTensor()])

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, i):
        return tuple(self.change(Image.open(path).convert("L")) for path in self.pairs[i])


folder, suffix, size = sys.argv[1:] + ["_seg", "256"][len(sys.argv) - 2:]
loader = DataLoader(Pairs(folder, suffix, int(size)), batch_size=8, shuffle=True)
for name in ("first", "later"):
    start = time.process_time()
    seen = sum(images.shape[0] for images, _ in loader)
    print(f"{name} {seen / (time.process_time() - start):.0f} pairs/s")
