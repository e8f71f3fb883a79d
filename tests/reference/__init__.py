"""Reference definitions in PyTorch, OpenCV and librosa that the program is compared with."""
