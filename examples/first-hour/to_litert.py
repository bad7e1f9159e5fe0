"""The first-hour job by Keras and LiteRT alone: cut, gray stem, head, int8 file, C array, accuracy, latency.

python to_litert.py BACKBONE.keras IMAGES.npz OUT
"""

import statistics
import sys
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

model_path, images_path, out = sys.argv[1:4]
folder = Path(out)
folder.mkdir(parents=True, exist_ok=True)
data = np.load(images_path)


def camera(images):
    """What the camera gives: 32x32 gray bytes."""
    rows = [np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR)) for image in images]
    return np.stack(rows)[..., None]


train, test = camera(data["x_train"]), camera(data["x_test"])
y_train, y_test = data["y_train"].ravel(), data["y_test"].ravel()

# The cut, and a stem that takes the camera's bytes: the kernels of the three colours are added up.
source = keras.models.load_model(model_path, compile=False)
pixels = keras.Input((32, 32, 1))
colour = keras.layers.Concatenate()([keras.layers.Rescaling(1 / 127.5, -1)(pixels)] * 3)
body = keras.Model(source.inputs, source.get_layer("block_3_relu").output)
pooled = keras.layers.GlobalAveragePooling2D()(body(colour))
features = keras.Model(pixels, pooled).predict(train.astype("float32"), verbose=0)

# The head: ridge regression on the pooled features, as one Dense layer.
mean, std = features.mean(0), features.std(0) + 1e-5
scaled, onehot = (features - mean) / std, np.eye(10)[y_train]
weights = np.linalg.solve(scaled.T @ scaled + 100 * np.eye(scaled.shape[1]), scaled.T @ (onehot - onehot.mean(0)))
dense = keras.layers.Dense(10, activation="softmax")
model = keras.Model(pixels, dense(pooled))
kernel = 10 * weights / std[:, None]
dense.set_weights([kernel, 10 * onehot.mean(0) - mean @ kernel])
print("float accuracy:", np.mean(model.predict(test.astype("float32"), verbose=0).argmax(1) == y_test))

# The int8 file.
converter = tf.lite.TFLiteConverter.from_keras_model(model)
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.representative_dataset = lambda: ([image[None].astype("float32")] for image in train[:200])
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
converter.inference_input_type = tf.uint8
converter.inference_output_type = tf.int8
content = converter.convert()
(folder / "model.tflite").write_bytes(content)
print("size:", len(content), "bytes")

# Its accuracy and its latency on this machine.
interpreter = Interpreter(model_content=content, num_threads=1)
interpreter.allocate_tensors()
entry, answer = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
right, seconds = 0, []
for image, label in zip(test, y_test, strict=True):
    interpreter.set_tensor(entry, image[None])
    begin = time.perf_counter()
    interpreter.invoke()
    seconds.append(time.perf_counter() - begin)
    right += int(interpreter.get_tensor(answer)[0].argmax() == label)
print("int8 accuracy:", right / len(test))
print("latency on this machine:", round(1e6 * statistics.median(seconds), 1), "us")

# The C array for the firmware.
values = ",".join(str(byte) for byte in content)
declaration = (
    f"alignas(16) const unsigned char model[] = {{{values}}};\nconst unsigned model_length = {len(content)};\n"
)
(folder / "model.cc").write_text(declaration)
