"""Diagnosis, plan and verdict as text and HTML, and the incident report of a case. Nothing is measured."""

from __future__ import annotations

from forensics._verb import make_callable

make_callable(__name__)
