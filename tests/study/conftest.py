"""Lets the spawned workers of these tests import what trains in them."""

import sys
from pathlib import Path

# A spawned process takes its sys.path from here; test modules have no name that it could import.
sys.path.insert(0, str(Path(__file__).parent))
