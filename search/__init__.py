"""The program: reads spaces, drives Ray Tune and Optuna, writes results."""
