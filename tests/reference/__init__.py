"""Certified values from outside, see README.md."""
