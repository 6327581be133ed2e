"""An import-linter contract that says the arrows of the house in one table: who may import whom.

The stock contracts say half of it each: layers place every package but let one layer skip the next, protected ones
forbid skips but not a new package that nobody placed, and neither can allow a list of libraries. This one reads

    rooms = ["tools -> engine.ports domain", ...]    and    libraries = ["domain -> msgspec", ...]

and looks at direct imports, those for type checking included. A room is a package or module directly under the root
package. Each one that exists must have a line; a line for one that does not exist yet is fine.
"""

import sys
from typing import cast

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

Table = dict[str, frozenset[str]]


def read_table(lines: list[str]) -> Table:
    """Turn `a -> b c` into {"a": {"b", "c"}}; ValueError for a line without an arrow or a room with two lines."""
    table: Table = {}
    for line in lines:
        room, arrow, targets = (part.strip() for part in line.partition("->"))
        if not arrow or room in table:
            raise ValueError(f"not of the form 'room -> targets', or the second line of its room: {line!r}")
        table[room] = frozenset(targets.split())
    return table


def broken_arrows(graph: ImportGraph, root: str, rooms: Table, libraries: Table) -> list[str]:
    """Return a sentence for each import that no arrow allows, and for each room without a line."""
    modules = {module for module in graph.modules if module.startswith(root + ".")}
    placed = {module for module in modules if _room(module) in rooms}
    named = {target.split(".")[0] for targets in rooms.values() for target in targets} | libraries.keys()
    complaints = [f"{name} has no line of its own" for name in sorted(named - rooms.keys())]
    complaints += [f"{module}: {_room(module)} has no line of its own" for module in sorted(modules - placed)]
    complaints += [f"{root} imports {imported}" for imported in sorted(graph.find_modules_directly_imported_by(root))]
    for module in sorted(placed):
        room = _room(module)
        for imported in sorted(graph.find_modules_directly_imported_by(module)):
            if imported in modules:
                kept = _room(imported) == room or _reaches(rooms[room], imported.removeprefix(root + "."))
            else:
                library = imported.split(".")[0]
                kept = library in {root, *sys.stdlib_module_names} or library in libraries.get(room, {library})
            if not kept:
                complaints.append(f"{module} imports {imported}")
    return complaints


def _room(module: str) -> str:
    return module.split(".")[1]


def _reaches(targets: frozenset[str], imported: str) -> bool:
    return any(imported == target or imported.startswith(target + ".") for target in targets)


class ArrowsContract(Contract):
    """The table of pyproject.toml, checked against the import graph."""

    type_name = "arrows"

    rooms = fields.ListField(subfield=fields.StringField())
    libraries = fields.ListField(subfield=fields.StringField(), required=False, default=[])

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: FBT001 -- the library's signature
        """Compare the graph with the table."""
        root = cast("list[str]", self.session_options["root_packages"])[0]
        rooms, libraries = cast("list[str]", self.rooms), cast("list[str]", self.libraries)
        complaints = broken_arrows(graph, root, read_table(rooms), read_table(libraries))
        return ContractCheck(kept=not complaints, metadata={"complaints": complaints})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print what is wrong, and where the table is."""
        for complaint in cast("list[str]", check.metadata["complaints"]):
            output.print_error(complaint)
        output.print("The arrows are in pyproject.toml under tool.importlinter.")
