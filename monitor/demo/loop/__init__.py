"""The closed loop: the model gets worse, an alert says so, a pipeline trains it anew on the evidence, the new version serves.

    stream ─▶ monitor ─▶ Prometheus ─▶ Alertmanager ─▶ driftgauge hook ─▶ retrain.py
      ▲                                                                     │
      └──────────── version 2, and its reference for the monitor ◀──────────┘

Everything is the real thing but time: the events of ten months pass in minutes, so event time stands still while the model is trained.
"""
