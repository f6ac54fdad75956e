"""The peers' side of the benchmark: one process makes one measurement and prints it as a line of JSON.
The twin of bench/side.lua; bench/main.lua starts both.

    python bench/peer.py what=train variant=channels_last net=gpt4 size=256 batch=2 warm=2 steps=3 started=SECONDS

what: train, infer, loader, export (the network as ONNX into file=) or versions. variant: eager, channels_last or
compile for PyTorch; onnxruntime or openvino for inference from file=; the number of workers for the loader.
precision: f32 or bf16 (autocast). threads: 0 leaves each library's default."""
import contextlib
import importlib.util
import json
import os
import sys
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "reference"))
sys.dont_write_bytecode = True


class Options:
    """name=value words; whole numbers are numbers."""
    threads, precision = 0, "f32"

    def __init__(self, words):
        for word in words:
            name, value = word.split("=", 1)
            setattr(self, name, int(value) if value.isdigit() else value)


def peak_memory():
    """The most memory that the whole process had, in bytes."""
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def timed(o, step):
    """Calls step warm + steps times. first: seconds from the start of the process to the first result."""
    seconds, first = [], None
    for _ in range(o.warm + o.steps):
        start = time.monotonic()
        step()
        seconds.append(time.monotonic() - start)
        first = first or time.monotonic() - float(o.started)
    return {"warmup": seconds[:o.warm], "values": seconds[o.warm:], "first": first, "peak": peak_memory()}


def pipeline(o):
    """Network, pipeline, images and masks, a tenth of them foreground; in the variant's memory layout."""
    import torch
    from nets import PIPELINES
    if o.threads:
        torch.set_num_threads(o.threads)
    about = PIPELINES[o.net]
    net = about.net()
    images = torch.rand(o.batch, 1, o.size, o.size)
    masks = (torch.rand(o.batch, 1, o.size, o.size) > 0.9).float()
    if o.variant == "channels_last":
        net, images = net.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    run = torch.compile(net) if o.variant == "compile" else net
    return net, run, about, images, masks


def precision(o):
    import torch
    return torch.autocast("cpu", dtype=torch.bfloat16) if o.precision == "bf16" else contextlib.nullcontext()


def train(o):
    import torch
    net, run, about, images, masks = pipeline(o)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
    value = None

    def step():
        nonlocal value
        optimizer.zero_grad()
        with precision(o):
            outputs = run(images)
        loss = about.loss(*about.fit(outputs.float(), masks))
        loss.backward()
        optimizer.step()
        value = loss.item()

    return dict(timed(o, step), loss=value, threads=torch.get_num_threads())


def infer(o):
    if o.variant in ("onnxruntime", "openvino"):
        return exported(o)
    import torch
    net, run, _, images, _ = pipeline(o)
    net.eval()

    def step():
        with precision(o):
            run(images)

    with torch.no_grad():
        return dict(timed(o, step), threads=torch.get_num_threads())


def exported(o):
    """ONNX Runtime and OpenVINO, which need no PyTorch."""
    import numpy
    images = numpy.random.default_rng(0).random((o.batch, 1, o.size, o.size), numpy.float32)
    if o.variant == "onnxruntime":
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = o.threads
        session = onnxruntime.InferenceSession(o.file, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return timed(o, lambda: session.run(None, {name: images}))
    import openvino
    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": o.precision}
    if o.threads:
        hints["INFERENCE_NUM_THREADS"] = o.threads
    compiled = openvino.Core().compile_model(o.file, "CPU", hints)
    return timed(o, lambda: compiled([images]))


def export(o):
    import torch
    net, _, _, images, _ = pipeline(o)
    scripted = importlib.util.find_spec("onnxscript") is not None  # the newer exporter needs it
    torch.onnx.export(net.eval(), (images,), o.file, dynamo=scripted)
    return {"exporter": "torch.export" if scripted else "TorchScript"}


def loader(o):
    """Pairs a second, epoch after epoch; N.png with N_seg.png through Pillow."""
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset
    try:
        from torchvision import transforms
        resized = transforms.Compose([transforms.Resize((o.size, o.size)), transforms.ToTensor()])
        means = "torchvision"
    except ImportError:
        import numpy

        def resized(image):
            levels = numpy.asarray(image.resize((o.size, o.size), Image.Resampling.BILINEAR), numpy.float32)
            return torch.from_numpy(levels / 255).unsqueeze(0)
        means = "numpy"

    class Pairs(Dataset):
        def __init__(self):
            self.stems = sorted(name[:-8] for name in os.listdir(o.data) if name.endswith("_seg.png"))

        def __len__(self):
            return len(self.stems)

        def __getitem__(self, i):
            path = os.path.join(o.data, self.stems[i])
            with Image.open(path + ".png") as image, Image.open(path + "_seg.png") as mask:
                return resized(image.convert("L")), resized(mask.convert("L"))

    source = DataLoader(Pairs(), batch_size=o.batch, shuffle=True, num_workers=o.variant,
                        persistent_workers=o.variant > 0)
    rates = []
    for _ in range(o.epochs):
        start, seen = time.monotonic(), 0
        for images, _ in source:
            seen += images.shape[0]
        rates.append(seen / (time.monotonic() - start))
    return {"epochs": rates, "pairs": len(source.dataset), "means": means, "peak": peak_memory()}


def versions(_):
    found = {"python": sys.version.split()[0]}
    for name in ("torch", "torchvision", "PIL", "numpy", "onnx", "onnxscript", "onnxruntime", "openvino"):
        try:
            found[name] = importlib.import_module(name).__version__
        except ImportError:
            pass
    return found


if __name__ == "__main__":
    given = Options(sys.argv[1:])
    measure = {"train": train, "infer": infer, "export": export, "loader": loader, "versions": versions}
    print(json.dumps(measure[given.what](given)))
