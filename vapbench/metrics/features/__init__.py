"""Features that metrics share: CLIP, DINO, optical flow, frame interpolation."""
