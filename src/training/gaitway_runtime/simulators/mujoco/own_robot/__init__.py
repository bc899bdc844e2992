"""Reading of a robot's own MJCF or URDF: what it is made of, how it stands, which gains hold it."""
