"""Renderer of the embedded simulator: pictures, films, overlays."""
