"""One small server and one small client script for each implementation; what is measured of them lives elsewhere."""
