# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Small faults that can be put into a source file: another operator, another constant, a statement left out."""

import ast
import copy
from typing import Iterator, List, NamedTuple, Sequence, Tuple, Type, TypeVar

_NEXT_TO = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
# what they hold tells types alone, or is not run
_NOT_RUN = (ast.Import, ast.ImportFrom, ast.Assert, ast.arg, ast.JoinedStr, ast.alias)
_Node = TypeVar("_Node", bound=ast.AST)


class Mutant(NamedTuple):
    """One fault in one place of a source file."""

    line: int  # counted from 1
    start: int  # bytes of the UTF-8 source that are replaced
    stop: int
    old: str
    new: str

    def apply(self, source: str) -> str:
        """The source with the fault."""
        text = source.encode("utf-8")
        return (text[: self.start] + self.new.encode() + text[self.stop :]).decode()

    def __str__(self) -> str:
        old, new = (" ".join(text.split()) for text in (self.old, self.new))
        return f"{old} -> {new}"


def find_mutants(source: str) -> List[Mutant]:
    """Every fault that this file knows for a source, in the order of its lines.

    Messages, docstrings, types, imports and assertions are left alone: the first are for people, and the rest is not
    what a program does.
    """
    lines = source.encode("utf-8").splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    found = set()
    for node, new in _changes(ast.parse(source)):
        start = starts[node.lineno - 1] + node.col_offset
        stop = starts[node.end_lineno - 1] + node.end_col_offset
        old = source.encode("utf-8")[start:stop].decode()
        found.add(Mutant(node.lineno, start, stop, old, new))
    return sorted(found)


def _changes(node: ast.AST) -> Iterator[Tuple[ast.AST, str]]:
    """A node and the text that takes its place, for ``node`` and all in it that is run."""
    if isinstance(node, _NOT_RUN):
        return
    if isinstance(node, ast.expr):
        for changed in _expressions(node):
            yield node, f"({ast.unparse(changed)})"
    elif isinstance(node, ast.stmt):
        for changed in _statements(node):
            yield node, ast.unparse(changed)
    if isinstance(node, (ast.If, ast.While)):
        yield node.test, f"not ({ast.unparse(node.test)})"
    for child in _parts(node):
        yield from _changes(child)


def _parts(node: ast.AST) -> Sequence[ast.AST]:
    """What is in a node, without types, decorators, docstrings and messages."""
    if isinstance(node, (ast.FunctionDef, ast.Lambda)):
        args = node.args
        defaults = [each for each in (*args.defaults, *args.kw_defaults) if each]
        body = node.body if isinstance(node.body, list) else [node.body]
        return [*defaults, *body]
    if isinstance(node, ast.ClassDef):
        return node.body
    if isinstance(node, ast.AnnAssign):
        return [node.value] if node.value else []
    if isinstance(node, ast.Raise) or _is_docstring(node):
        return []
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "cast":
        return node.args[1:]
    return list(ast.iter_child_nodes(node))


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _expressions(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp) and type(node.op) in _NEXT_TO:
        yield _with(node, op=_other(node.op))
    elif isinstance(node, ast.BoolOp):
        yield _with(node, op=_other(node.op))
    elif isinstance(node, ast.Compare):
        for place, op in enumerate(node.ops):
            ops = [*node.ops[:place], _other(op), *node.ops[place + 1 :]]
            yield _with(node, ops=ops)
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.IfExp):
        yield _with(node, body=node.orelse, orelse=node.body)
    elif isinstance(node, ast.Call):
        for keyword in node.keywords:
            left = [each for each in node.keywords if each is not keyword]
            if keyword.arg is not None:
                yield _with(node, keywords=left)
    elif isinstance(node, ast.Constant):
        yield from _constants(node.value)


def _constants(value: object) -> Iterator[ast.expr]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, (int, float)):
        yield ast.Constant(value + 1)
    elif isinstance(value, str):
        yield ast.Constant(f"XX{value}")


def _statements(node: ast.stmt) -> Iterator[ast.stmt]:
    none = ast.Constant(None)
    if isinstance(node, ast.Raise) or (
        isinstance(node, ast.Expr) and not _is_docstring(node)
    ):
        yield ast.Pass()
    elif isinstance(node, ast.Return) and node.value is not None:
        yield _with(node, value=none)
    elif isinstance(node, ast.Assign) and not _is_alias(node):
        yield _with(node, value=none)
    elif isinstance(node, ast.AugAssign) and type(node.op) in _NEXT_TO:
        yield _with(node, op=_other(node.op))
    elif isinstance(node, (ast.Continue, ast.Break)):
        yield ast.Pass()


def _is_alias(node: ast.Assign) -> bool:
    """Whether it gives a type a name, such as ``Embed = Callable[[Tensor], Tensor]``."""
    value = node.value
    return (
        isinstance(value, ast.Subscript)
        and isinstance(value.value, ast.Name)
        and value.value.id[0].isupper()
    )


def _other(op: ast.AST) -> ast.AST:
    other: Type[ast.AST] = _NEXT_TO[type(op)]
    return other()


def _with(node: _Node, **fields: object) -> _Node:
    """A copy of a node with other fields."""
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed
