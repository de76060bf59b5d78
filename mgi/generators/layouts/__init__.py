"""Public checkpoint layouts: each module recognises its layout by tensor names and reads a generator from it."""
