"""Pages of the site that are made from the code while it is built: a module a page."""

from reference import columns, commands, edges, keys, strategies

#: The pages by name; each module has a function `page`. `objects` expands a page that is written.
PAGES = {
    "commands": commands,
    "edges": edges,
    "strategies": strategies,
    "store": columns,
    "study-file": keys,
}
