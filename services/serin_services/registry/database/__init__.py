"""Where the registry keeps its rows: PostgreSQL, or SQLite for one person."""
