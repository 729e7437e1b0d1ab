"""Canary: two versions of a model that serve side by side, compared at any time by the labels that came. Pure functions of counts."""
