"""A .tflite file read as data, without TensorFlow."""
