# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Reads the roles of our docstrings, ``:class:`~package.module.Name```, which upstream's have, as links of the site."""

import re
from functools import partial
from typing import Any, Dict, Iterator, Optional

import griffe

ROLE = re.compile(r":(?:class|func|meth|data|mod|attr):`(~?)\.?([\w.]+)`")


class Roles(griffe.Extension):
    """Rewrites each docstring once the library has been read."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        objects = {each.path: each for each in inside(pkg)}
        for each in objects.values():
            if each.docstring is not None:
                replace = partial(link, place=each, objects=objects)
                each.docstring.value = ROLE.sub(replace, each.docstring.value)


def inside(place: griffe.Object) -> Iterator[griffe.Object]:
    """An object and all that is defined in it."""
    yield place
    for member in place.members.values():
        if not member.is_alias:
            yield from inside(member)


def link(match: Any, place: griffe.Object, objects: Dict[str, griffe.Object]) -> str:
    """The link of a role, or its name alone where that is not of this library."""
    short, name = match.groups()
    target = find(name, place, objects)
    shown = name.rpartition(".")[2] if short else name
    return f"`{shown}`" if target is None else f"[`{shown}`][{target}]"


def find(
    name: str, place: griffe.Object, objects: Dict[str, griffe.Object]
) -> Optional[str]:
    """The full name that ``name`` has in a docstring of ``place``.

    It is a full name already, or of something in ``place``, in what ``place`` is in, or imported there, or else the end
    of the only full name that ends so.
    """
    if name in objects:
        return name
    first, dot, rest = name.partition(".")
    scope: Optional[griffe.Object] = place
    while scope is not None:
        if first in scope.members:
            member = scope.members[first]
            path = (member.target_path if member.is_alias else member.path) + dot + rest
            if path in objects:
                return path
        scope = scope.parent
    ends = [path for path in objects if path.endswith(f".{name}")]
    return ends[0] if len(ends) == 1 else None
