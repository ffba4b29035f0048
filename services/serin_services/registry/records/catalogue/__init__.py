"""Models, their versions and their files: made, found, compared, moved and signed off."""
