"""A command whose subcommands are listed under headings, in the order in which they were added."""

from __future__ import annotations

import click

__all__ = ["Sections"]


class Sections(click.Group):
    """Like `click.Group`; each subcommand is added to a section."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # click's own arguments
        self._sections: dict[str, list[str]] = {}

    def section(self, heading: str, *commands: click.Command) -> None:
        """Add `commands` under `heading`."""
        for command in commands:
            self.add_command(command)
            self._sections.setdefault(heading, []).append(command.name or "")

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """Return the names in the order of the sections."""
        return [name for names in self._sections.values() for name in names]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list for each section."""
        for heading, names in self._sections.items():
            rows = [
                (name, command.get_short_help_str(formatter.width))
                for name in names
                if (command := self.get_command(ctx, name)) is not None
            ]
            with formatter.section(heading):
                formatter.write_dl(rows)
