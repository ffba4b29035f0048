"""Shows what a package holds and how fast it is, for people at a terminal."""

from rich import table

from serin_services.package import manifest

SHOWN_SIZES = (1, 16, 128, 1024)


def make_line(document: manifest.Manifest) -> str:
    """Say in a line what was made."""
    return f"{document.model} {document.version}, {document.family} {document.task}, {describe_inputs(document)}"


def describe_inputs(document: manifest.Manifest) -> str:
    """Count the features of a model of rows, and name the tensors of another."""
    if document.features:
        return f"{len(document.features)} features"
    return ", ".join(
        f"{tensor.name} {tensor.dtype} {list(tensor.shape)}".replace(str(manifest.ANY), "?")
        for tensor in document.inputs
    )


def find_notes(document: manifest.Manifest) -> list[str]:
    """Say what its maker may not expect."""
    notes = [f"no {form.name} form: {form.refused}" for form in document.forms if form.refused]
    if document.activation:
        notes.append(
            f"output {document.outputs[0].name!r} holds no probabilities: {document.activation} makes them of it"
        )
    return notes


def make_table(document: manifest.Manifest) -> table.Table:
    """Set the forms side by side: the difference from the original, the time of a call, and what each computes."""
    measured = {size for form in document.forms for size in form.microseconds}
    sizes = [size for size in SHOWN_SIZES if size in measured]
    made = table.Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("form", "file", "difference", *(f"µs for {size}" for size in sizes), "computes"):
        made.add_column(heading, justify="right" if heading.startswith(("µs", "diff")) else "left", no_wrap=True)
    uses = find_uses(document)
    for form in document.forms:
        difference = "" if form.difference is None else f"{form.difference:.1e}" if form.difference else "none"
        times = [f"{form.microseconds[size]:,.0f}" if size in form.microseconds else "" for size in sizes]
        made.add_row(form.name, form.path or "refused", difference, *times, uses.get(form.name, "nothing"))
    return made


def find_uses(document: manifest.Manifest) -> dict[str, str]:
    """Say of each form which numbers of rows are computed by it."""
    uses: dict[str, list[str]] = {}
    least = 1
    for step in document.plan:
        words = f"from {least} rows" if step.rows is None else f"{least} to {step.rows} rows"
        uses.setdefault(step.form, []).append("everything" if len(document.plan) == 1 else words)
        least = (step.rows or 0) + 1
    return {form: ", ".join(words) for form, words in uses.items()}
