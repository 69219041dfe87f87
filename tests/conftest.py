"""What all tests share: Hypothesis without wall-clock deadlines (machines are shared), one numeric thread, no hub."""

from __future__ import annotations

import os

from hypothesis import settings

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a test that lacks a file must not fetch gigabytes

settings.register_profile("duologue", deadline=None)
settings.load_profile("duologue")
