"""The clips of wake words and near misses that the owner wants to keep."""
