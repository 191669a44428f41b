"""The fixtures for tests that use real parts."""

from __future__ import annotations
