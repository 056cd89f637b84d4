#!/usr/bin/env python3
"""Prints the numbers that metrics_test.cpp compares with, from scikit-image and a second implementation of PSNR-B.

Needs numpy, Pillow and scikit-image (Debian: python3-skimage python3-pil). Run from the repository's root:
    python3 tests/engine/image/metrics_golden.py
"""
import numpy as np
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

DATA = "tests/data/images/"


def load(name):
    return np.asarray(Image.open(DATA + name)).astype(np.float64)


def luma(image):
    return image if image.ndim == 2 else image @ np.array([0.299, 0.587, 0.114])


def rgb(image):
    return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image


def mean_steps(plane, axis):
    """Sums and counts of the squared steps along an axis: across borders of the 8x8 grid, and the others."""
    steps = np.diff(plane, axis=axis) ** 2
    border = np.arange(steps.shape[axis]) % 8 == 7
    across = np.compress(border, steps, axis)
    inside = np.compress(~border, steps, axis)
    return np.array([across.sum(), across.size, inside.sum(), inside.size])


def psnr_b(image, reference):
    across, across_count, inside, inside_count = mean_steps(image, 0) + mean_steps(image, 1)
    excess = across / across_count - inside / inside_count
    eta = np.log2(8) / np.log2(min(image.shape)) if excess > 0 else 0
    return 10 * np.log10(255**2 / (np.mean((image - reference) ** 2) + eta * excess))


def show(name, image, reference):
    a, b = luma(image), luma(reference)
    similarity = structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255)
    values = (peak_signal_noise_ratio(rgb(reference), rgb(image), data_range=255),
              peak_signal_noise_ratio(b, a, data_range=255), psnr_b(a, b), similarity)
    print(f"{name}: " + ", ".join(f"{value:.9f}" for value in values))


chelsea, degraded = load("chelsea.png"), load("chelsea_q10.jpg")
show("chelsea_q10.jpg against chelsea.png", degraded, chelsea)
show("the other way round", chelsea, degraded)
show("crop 37x53 at (200, 90)", degraded[90:143, 200:237], chelsea[90:143, 200:237])
camera = load("camera.png")
show("camera.png against itself mirrored", camera[:, ::-1], camera)
show("camera.png against astronaut.png cut to 128x128", camera, load("astronaut.png")[:128, :128])
