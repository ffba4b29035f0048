"""What an import or a mirror did with one model."""

import dataclasses


@dataclasses.dataclass
class Report:
    """The versions that were made, changed, or the same already, by their numbers here; and what was not taken as it is."""

    model: str
    made: list[str] = dataclasses.field(default_factory=list)
    changed: list[str] = dataclasses.field(default_factory=list)
    same: list[str] = dataclasses.field(default_factory=list)
    # A sentence each: files that are kept apart because they are pickles, metrics that are no numbers.
    notes: list[str] = dataclasses.field(default_factory=list)

    def describe(self) -> str:
        """Say it in a line."""
        counts = ((len(self.made), "made"), (len(self.changed), "changed"), (len(self.same), "as before"))
        count = len(self.notes)
        notes = f"; {count} note{'s' if count > 1 else ''}" if count else ""
        return f"{self.model}: {', '.join(f'{number} {word}' for number, word in counts)}{notes}"
