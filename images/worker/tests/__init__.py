"""Tests of the worker: the real code over real sockets, with real tickets."""
