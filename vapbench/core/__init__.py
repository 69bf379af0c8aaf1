"""What everything speaks of: cases, clips, video files, limits, control pictures, the registry."""
