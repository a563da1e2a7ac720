"""Lets the measurements import what they share from beside them, as they do run as scripts."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
