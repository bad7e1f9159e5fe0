"""The crossing from Keras 3 to tf_keras, proven equal; the room that knows Keras 2's files and names."""
