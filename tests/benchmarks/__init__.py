"""Benchmarks: speed beside other packages, run by hand and not by pytest.

``python -m tests.benchmarks TOPIC`` runs one topic; each is a module of this package with a
``main`` that takes the arguments after the topic.
"""
