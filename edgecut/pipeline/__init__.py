"""One straight line: load, cut, stem, images, head, compress, write, check, bench, bundle."""
