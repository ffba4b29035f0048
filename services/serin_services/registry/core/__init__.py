"""What the registry decides, without a database, a network or a clock."""
