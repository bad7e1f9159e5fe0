"""A model file run on arrays, in a child process with limits; native code never reads a file here."""
