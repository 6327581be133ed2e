"""Tests of the turn engine; its fakes are shared."""
