"""Writes tests/reference/keras.lua: what tests/keras_test.lua compares with.

    python3 tests/reference/make_keras.py

Needs tensorflow (or tensorflow-cpu) with Keras 3, and numpy. Inputs, weights and output
gradients are hashed numbers (hashed.py), named alike in the test. Everything is computed in
f64, but for the cross-entropy, whose clipping depends on f32. Of a tensor the file keeps its
shape in PyTorch's order, its dot product with a hashed +-1 vector and the sum of its magnitudes.
"""
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import hashed

HERE = os.path.dirname(os.path.abspath(__file__))
keras.backend.set_floatx("float64")


def numbers(name, shape, scale=1.0):
    return hashed.symmetric(name, int(np.prod(shape))).astype(np.float32).astype(np.float64).reshape(shape) * scale


def digest(name, v):
    v = np.asarray(v, np.float64)
    flat = v.reshape(-1)
    dot = float((flat * hashed.signs(name, flat.size)).sum())
    return '{ shape = "%s", dot = %.10g, mass = %.10g }' % ("x".join(map(str, v.shape)), dot, np.abs(flat).sum())


def table(values):
    return "{ " + ", ".join("%.9g" % v for v in np.asarray(values, np.float64).reshape(-1)) + " }"


def last(v):  # NCHW -> NHWC
    return np.transpose(v, (0, 2, 3, 1))


def first(v):  # NHWC -> NCHW
    return np.transpose(v, (0, 3, 1, 2))


def kernel(v):  # [a, b, h, w] <-> [h, w, b, a]; for transposed convolutions as well
    return np.transpose(v, (2, 3, 1, 0))


def unkernel(v):
    return np.transpose(v, (3, 2, 0, 1))


# -- layers: name, layer, weight's shape in PyTorch's order (or None), input NCHW

def conv(*a, **k):
    return layers.Conv2D(*a, **k)


def convt(*a, **k):
    return layers.Conv2DTranspose(*a, **k)


LAYERS = [
    ("conv3_same", conv(4, 3, padding="same"), (4, 3, 3, 3), (2, 3, 6, 7)),
    ("conv2_same_even", conv(3, 2, padding="same", activation="relu"), (3, 2, 2, 2), (2, 2, 6, 4)),
    ("conv2_same_odd", conv(3, 2, padding="same"), (3, 2, 2, 2), (2, 2, 7, 5)),
    ("conv4_same", conv(3, (4, 3), padding="same"), (3, 2, 4, 3), (1, 2, 5, 6)),
    ("conv3_same_stride_even", conv(3, 3, strides=2, padding="same"), (3, 2, 3, 3), (2, 2, 6, 8)),
    ("conv3_same_stride_odd", conv(3, 3, strides=2, padding="same"), (3, 2, 3, 3), (2, 2, 7, 5)),
    ("conv3_valid", conv(3, (3, 2), activation="sigmoid"), (3, 2, 3, 2), (2, 2, 6, 5)),
    ("convt2_same", convt(3, 2, strides=2, padding="same"), (4, 3, 2, 2), (2, 4, 3, 5)),
    ("convt3_same", convt(3, 3, strides=2, padding="same"), (4, 3, 3, 3), (2, 4, 4, 3)),
    ("convt3_same_stride1", convt(3, 3, padding="same", activation="relu"), (2, 3, 3, 3), (1, 2, 4, 5)),
    ("convt5_same", convt(3, (5, 4), strides=2, padding="same"), (2, 3, 5, 4), (1, 2, 4, 5)),
    ("convt2_same_stride3", convt(2, 2, strides=3, padding="same"), (3, 2, 2, 2), (1, 3, 3, 4)),
    ("convt3_valid", convt(2, 3, strides=2), (3, 2, 3, 3), (1, 3, 3, 4)),
    ("maxpool", layers.MaxPooling2D(), None, (2, 2, 7, 6)),
    ("upsampling", layers.UpSampling2D(), None, (2, 2, 3, 4)),
]


def layer_case(name, layer, weight, shape):
    x = tf.Variable(last(numbers(name + ".x", shape)))
    layer.build(x.shape)
    if weight:
        bias = weight[1 if isinstance(layer, layers.Conv2DTranspose) else 0]
        layer.set_weights([kernel(numbers(name + ".weight", weight)), numbers(name + ".bias", (bias,))])
    with tf.GradientTape() as tape:
        y = layer(x)
        loss = tf.reduce_sum(y * last(numbers(name + ".gy", first(y).shape)))
    grads = tape.gradient(loss, [x] + [v.value for v in layer.trainable_variables])
    rows = ["y = " + digest(name + ".y", first(y)), "gx = " + digest(name + ".gx", first(grads[0]))]
    if weight:
        rows.append('["g.weight"] = ' + digest(name + ".g.weight", unkernel(grads[1])))
        rows.append('["g.bias"] = ' + digest(name + ".g.bias", grads[2]))
    return "  %s = { %s },\n" % (name, ", ".join(rows))


def batch_norm():
    layer = layers.BatchNormalization()
    layer.build((None, None, None, 3))
    gamma, beta = numbers("bn.weight", (3,)), numbers("bn.bias", (3,))
    layer.set_weights([gamma, beta, np.zeros(3), np.ones(3)])
    for step in range(3):
        x = last(numbers("bn.x%d" % (step + 1), (4, 3, 5, 6), 2 + step) + step)
        y = layer(x, training=True)
    mean, var = layer.get_weights()[2:]
    return "  bn = { train = %s, eval = %s, mean = %s, var = %s },\n" % (
        digest("bn.train", first(y)), digest("bn.eval", first(layer(x, training=False))), table(mean), table(var))


# -- losses and metric

def clipped():
    """The cross-entropy of probabilities that no sigmoid layer made."""
    p = np.array([0, 1e-9, 1e-7, 3e-7, 0.25, 0.5, 0.9, 0.9999996, 1], np.float32)
    rows = []
    for t in (0.0, 1.0, 0.4):
        v = tf.Variable(p.reshape(1, -1, 1, 1))
        with tf.GradientTape() as tape:
            loss = keras.losses.binary_crossentropy(np.full_like(v, t), tf.convert_to_tensor(v))
        rows.append("{ target = %g, loss = %s, gradient = %s }" % (t, table(loss), table(tape.gradient(loss, v))))
    return "  clipped = { p = %s, %s },\n" % (table(p), ", ".join(rows))


def from_logits():
    """The cross-entropy of a layer's own sigmoid output, by function and by class, in a tape and in fit()."""
    x = np.array([-200, -30, -20, 0.5, 20, 30, 200], np.float32).reshape(1, -1, 1, 1)
    t = np.array([1, 1, 0, 0.4, 0, 1, 0], np.float32).reshape(x.shape)
    inputs = keras.Input(x.shape[1:], dtype="float32")
    layer = layers.Conv2D(1, 1, activation="sigmoid", use_bias=False, kernel_initializer="ones", dtype="float32")
    model = keras.Model(inputs, layer(inputs))
    v = tf.Variable(x)
    with tf.GradientTape() as tape:
        loss = keras.losses.binary_crossentropy(t, model(tf.convert_to_tensor(v), training=True))
    gradient = tape.gradient(loss, v)
    # A loss of another dtype than the output's would see a cast, not the sigmoid.
    criterion = keras.losses.BinaryCrossentropy(dtype="float32")
    mean = float(criterion(t, model(x)))
    model.compile(loss=criterion, optimizer=keras.optimizers.SGD(0.0))
    fitted = model.fit(x, t, verbose=0).history["loss"][0]
    return "  logits = { x = %s, target = %s, loss = %s, gradient = %s, mean = %.9g, fit = %.9g },\n" % (
        table(x), table(t), table(loss), table(gradient), mean, fitted)


def mean_iou():
    metric, rows = keras.metrics.MeanIoU(num_classes=3), []
    cases = [
        ([0, 0.7, 1, 1, 1], [0.2, 0.9, 1, 0.99, 1]),  # truncated; no class 2 yet
        ([2, 2, 1, 0, 0], [2, 0, 1, 0, 1]),
    ]
    for t, p in cases:
        metric.update_state(np.array(t, np.float32), np.array(p, np.float32))
        rows.append("{ truth = %s, prediction = %s, result = %.9g }" % (table(t), table(p), float(metric.result())))
    return "  mean_iou = { %s },\n" % ", ".join(rows)


def adam():
    """Gradients of all sizes: at the smallest, eps decides."""
    scale = np.array([1, 1e-2, 1e-4, 1e-6, 1e-7, 1e-8])
    p = keras.Variable(numbers("adam.p", (6,)))
    optimizer, rows = keras.optimizers.Adam(learning_rate=0.01), []
    for step in range(5):
        optimizer.apply([tf.convert_to_tensor(numbers("adam.g%d" % (step + 1), (6,)) * scale)], [p])
        rows.append(table(p.numpy()))
    return "  adam = { %s },\n" % ", ".join(rows)


def resize():
    rows = []
    for name, shape, size in (("up", (2, 1, 7, 5), (12, 9)), ("down", (1, 2, 13, 11), (5, 6))):
        y = tf.image.resize(last(numbers("resize." + name, shape)).astype(np.float32), size)
        rows.append("%s = %s" % (name, digest("resize.%s.y" % name, first(y))))
    return "  resize = { %s },\n" % ", ".join(rows)


# -- networks: the layers with weights in the order in which Lunette's nets register them

class Builder:
    def __init__(self):
        self.layers = []

    def add(self, layer, x):
        self.layers.append(layer)
        return layer(x)

    def conv(self, x, filters, size=3, activation="relu"):
        return self.add(layers.Conv2D(filters, size, padding="same", activation=activation), x)

    def double(self, x, filters):
        return self.conv(self.conv(x, filters), filters)

    def norm(self, x):
        return layers.Activation("relu")(self.add(layers.BatchNormalization(), x))

    def double_norm(self, x, filters):
        return self.norm(self.conv(self.norm(self.conv(x, filters, activation=None)), filters, activation=None))

    def up(self, x, filters, size=2):
        return self.add(layers.Conv2DTranspose(filters, size, strides=2, padding="same"), x)


def cat(a, b):
    return layers.Concatenate()([a, b])


def pool(x):
    return layers.MaxPooling2D()(x)


def u_net(block, join, filters, bottleneck, decoder, up):
    def make(b, x):
        skips = []
        for f in filters:
            x = block(b, x, f)
            skips.append(x)
            x = pool(x)
        x = block(b, x, bottleneck)
        for f, skip in zip(decoder, reversed(skips)):
            x = block(b, join(skip, up(b, x, f)), f)
        return b.conv(x, 1, 1, "sigmoid")
    return make


def skip_first(skip, x):
    return cat(skip, x)


def up_first(skip, x):
    return cat(x, skip)


def up_conv(b, x, f):
    return b.up(x, f)


def up_nearest(b, x, f):
    return layers.UpSampling2D()(x)


def gpt4(w):
    return u_net(Builder.double, up_first, [w, 2 * w, 4 * w, 8 * w], 8 * w, [4 * w, 2 * w, w, w // 2], up_conv)


def gpt4o(w):
    def make(b, x):
        skips = []
        for f in (w, 2 * w, 4 * w, 8 * w, 16 * w):
            x = pool(b.double_norm(x, f))
            skips.append(x)
        skips.pop()
        for f in (8 * w, 4 * w, 2 * w, w):
            x = b.norm(b.up(x, f, 3))
            x = b.norm(b.conv(x, f, activation=None))
            x = cat(x, skips.pop())
        return b.conv(x, 1, 1, "sigmoid")
    return make


def gpt_o1(w):
    """Dropout is left out: what it draws cannot be compared."""
    def make(b, x):
        skips = []
        for f in (w, 2 * w, 4 * w, 8 * w):
            x = b.double(x, f)
            skips.append(x)
            x = pool(x)
        x = b.double(x, 16 * w)
        for f in (8 * w, 4 * w, 2 * w, w):
            x = b.conv(layers.UpSampling2D()(x), f, 2)
            x = b.double(cat(skips.pop(), x), f)
        return b.conv(b.conv(x, 2), 1, 1, "sigmoid")
    return make


def deep(block, join, up):
    return lambda w: u_net(block, join, [w, 2 * w, 4 * w, 8 * w], 16 * w, [8 * w, 4 * w, 2 * w, w], up)


def gemini15(w):
    return u_net(Builder.double, up_first, [w, 2 * w, 4 * w], 8 * w, [4 * w, 2 * w, w], up_conv)


def dice(t, p, smooth):
    overlap = tf.reduce_sum(t * p)
    return (2 * overlap + smooth) / (tf.reduce_sum(t) + tf.reduce_sum(p) + smooth)


bce = keras.losses.binary_crossentropy
bce_class = keras.losses.BinaryCrossentropy()


def gpt4o_loss(t, p):
    p = tf.cast(tf.image.resize(p, t.shape[1:3]), tf.float64)  # tf.image.resize gives f32
    return bce(t, p) + dice(t, p, 1)


# net of a width, the answer's width, rate, loss as differentiated
NETS = {
    "gpt4": (gpt4, 64, 1e-3, bce_class),
    "gpt4o": (gpt4o, 64, 1e-3, gpt4o_loss),
    "gpt_o1": (gpt_o1, 64, 1e-3, lambda t, p: bce(t, p) + (1 - dice(t, p, 1))),
    "claude35": (deep(Builder.double_norm, skip_first, up_conv), 64, 1e-4, bce_class),
    "copilot": (deep(Builder.double, up_first, up_conv), 64, 1e-4, bce_class),
    "bing": (deep(Builder.double_norm, skip_first, up_conv), 64, 1e-4, bce_class),
    "llama31": (deep(Builder.double, skip_first, up_nearest), 32, 1e-4, bce_class),
    "gemini15": (gemini15, 64, 1e-4, lambda t, p: 1 - dice(t, p, 1e-7)),
}
WIDTH, SIZE, BATCH, STEPS = 4, 32, 2, 3


def build(make, size):
    builder, inputs = Builder(), keras.Input((size, size, 1))
    return keras.Model(inputs, make(builder, inputs)), builder.layers


def fill(id, net_layers):
    i = 0
    for layer in net_layers:
        for v in layer.trainable_variables:
            i += 1
            name, norm = "keras.%s.%d" % (id, i), v.path.endswith("gamma")
            if len(v.shape) == 4:
                v.assign(kernel(hashed.weight(name, unkernel(np.empty(v.shape)).shape)))
            else:
                v.assign(hashed.weight(name, tuple(v.shape)) + (1 if norm else 0))


def network(id):
    make, width, rate, loss_of = NETS[id]
    count = sum(int(np.prod(v.shape)) for v in build(make(width), SIZE)[0].trainable_variables)
    model, net_layers = build(make(WIDTH), SIZE)
    fill(id, net_layers)
    images, masks = (tf.convert_to_tensor(last(a).astype(np.float64)) for a in hashed.batch("keras." + id, (BATCH, 1, SIZE, SIZE)))
    optimizer, losses, output = keras.optimizers.Adam(learning_rate=rate), [], None
    for _ in range(STEPS):
        with tf.GradientTape() as tape:
            y = model(images, training=True)
            loss = loss_of(masks, y)
        gradients = tape.gradient(loss, model.trainable_variables)
        if output is None:
            output = digest(id + ".output", first(y))
            by_variable = {v.path: g for v, g in zip(model.trainable_variables, gradients)}
            first_kernel = by_variable[net_layers[0].kernel.path]
            gradient = digest(id + ".gradient", unkernel(first_kernel))
        optimizer.apply(gradients, model.trainable_variables)
        losses.append(float(tf.reduce_mean(loss)))
    trained = digest(id + ".trained", first(model(images, training=False)))
    return "  %s = { count = %d, losses = { %s },\n    output = %s, gradient = %s,\n    trained = %s },\n" % (
        id, count, ", ".join("%.9g" % v for v in losses), output, gradient, trained)


def main():
    path = os.path.join(HERE, "keras.lua")
    with open(path, "w") as f:
        f.write("-- Made by tests/reference/make_keras.py with Keras %s on TensorFlow %s; see there.\n"
                "-- luacheck: no max line length\nreturn {\nlayers = {\n" % (keras.__version__, tf.__version__))
        for case in LAYERS:
            f.write(layer_case(*case))
        f.write("},\n")
        for part in (batch_norm, clipped, from_logits, mean_iou, adam, resize):
            f.write(part())
        f.write("nets = {\n")
        for id in NETS:
            print(id, flush=True)
            f.write(network(id))
        f.write("},\n}\n")
    print(path, os.path.getsize(path), "bytes")


if __name__ == "__main__":
    main()
