"""Retraining of Mama's models: data checks, training, export, and the gates of a candidate."""
