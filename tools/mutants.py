"""
The mutants of a Python module: its source with one place changed, and how that change is told.

A place is an operator, a condition, a constant, a call or a statement. What no test can see is left alone: comments,
docstrings, annotations, decorators and what only the type checker reads.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SURPRISE = "surprise"
"""What a text becomes that was not empty; an empty one becomes it too."""

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
"""First the boundary, where there is one, then the opposite."""

ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
FUNCTIONS = {"min": "max", "max": "min", "all": "any", "any": "all", "sorted": "list"}
METHODS = {"partition": "rpartition", "rpartition": "partition", "startswith": "endswith", "endswith": "startswith"}
DROPPED_METHODS = frozenset(("casefold", "lower", "rstrip", "strip", "upper"))
"""Calls that change a text only where it needs it: without one, a test must have such a text."""

CONDITIONAL = (ast.If, ast.IfExp, ast.While)
PASSED_OVER = frozenset(("annotation", "decorator_list", "format_spec", "returns", "type_params"))
"""Fields that only types stand in, and the format of a value, which is left out as a whole."""


@dataclass(frozen=True)
class Mutant:
    """A changed source; `line` is the text of the changed line, `where` the function, class or constant."""

    line: str
    what: str
    becomes: str
    where: str
    source: str


@dataclass(frozen=True)
class Place:
    """A node of the tree, where it hangs, and the line and the function that it is told by."""

    node: ast.AST
    parent: ast.AST
    field: str
    index: int | None
    line_number: int
    where: str

    def put(self, node: ast.AST) -> None:
        """Hang another node there."""
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a module, one change each, in the order of the source."""
    tree = ast.parse(source)
    lines = source.splitlines()
    for place in list(places(tree)):
        for replacement in replacements(place):
            place.put(replacement)
            changed = ast.unparse(ast.fix_missing_locations(tree))
            place.put(place.node)
            line = lines[place.line_number - 1].strip()
            yield Mutant(line, *difference(place.node, replacement), place.where, changed)


def difference(node: ast.AST, replacement: ast.AST) -> tuple[str, str]:
    """What was there and what is there now, as source; of many operands, the one that was left out."""
    if isinstance(node, ast.BoolOp) and not isinstance(replacement, ast.Constant):
        whole = any(value is replacement for value in node.values)
        kept = replacement.values if isinstance(replacement, ast.BoolOp) and not whole else [replacement]
        (gone,) = [value for value in node.values if not any(value is one for one in kept)]
        return one_line(gone), f"left out of {'and' if isinstance(node.op, ast.And) else 'or'}"
    return one_line(node), one_line(replacement)


def one_line(node: ast.AST) -> str:
    """A node as source, in one line."""
    return " ".join(ast.unparse(node).split())


def places(tree: ast.AST, line_number: int = 1, where: str = "", *, in_text: bool = False) -> Iterator[Place]:
    """Everything in the tree that may be changed; what is in an f-string is told by the line on which that begins."""
    for field, content in ast.iter_fields(tree):
        if field in PASSED_OVER:
            continue
        for index, node in enumerate(content if isinstance(content, list) else [content]):
            if not isinstance(node, ast.AST) or is_silent(node) or is_part_of_text(node, tree):
                continue
            here = line_number if in_text else getattr(node, "lineno", line_number)
            place = Place(node, tree, field, index if isinstance(content, list) else None, here, where)
            if is_for_types(node):
                yield from places(ast.Module(body=node.orelse, type_ignores=[]), here, where)  # type: ignore[attr-defined]
                continue
            yield place
            within = in_text or isinstance(node, ast.JoinedStr)
            yield from places(node, here, named(node, where), in_text=within)


def named(node: ast.AST, where: str) -> str:
    """The name of what stands in a node: a function's or class's in that around it, or a module's constant."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return f"{where}.{node.name}" if where else node.name
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and not where:
        return node.target.id
    return where


def is_silent(node: ast.AST) -> bool:
    """Whether it says nothing when it runs: an import, a docstring."""
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_text or isinstance(node, (ast.Import, ast.ImportFrom))


def is_part_of_text(node: ast.AST, parent: ast.AST) -> bool:
    """Whether it is a piece of an f-string, which changes as a whole."""
    return isinstance(parent, ast.JoinedStr) and isinstance(node, ast.Constant)


def is_for_types(node: ast.AST) -> bool:
    """Whether it is an `if TYPE_CHECKING`; what stands in its `else` runs."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def replacements(place: Place) -> Iterator[ast.AST]:
    """What may stand in that place instead."""
    node = place.node
    if isinstance(node, ast.expr):
        if is_condition(place):
            yield from forced(node, endless=isinstance(place.parent, ast.While))
        yield from expressions(node, negated=not is_condition(place))
        if isinstance(place.parent, ast.comprehension) and place.field == "ifs":
            yield ast.Constant(value=True)
    elif isinstance(node, ast.ExceptHandler) and isinstance(node.type, ast.Tuple):
        for index in range(len(node.type.elts)):
            fewer = ast.Tuple(elts=without(node.type.elts, index), ctx=ast.Load())
            yield ast.ExceptHandler(type=fewer, name=node.name, body=node.body)
    elif isinstance(node, ast.stmt):
        yield from statements(node)


def is_condition(place: Place) -> bool:
    """Whether what is decided there is asked for nothing else."""
    return isinstance(place.parent, CONDITIONAL) and place.field == "test" and not is_type_checking(place.node)


def is_type_checking(node: ast.AST) -> bool:
    """Whether a condition asks for the type checker."""
    return any(isinstance(part, ast.Name) and part.id == "TYPE_CHECKING" for part in ast.walk(node))


def forced(node: ast.expr, *, endless: bool) -> Iterator[ast.AST]:
    """A condition that always holds, and one that never does, unless one operand less already shows as much."""
    operator = node.op if isinstance(node, ast.BoolOp) else None
    if not isinstance(operator, ast.And) and not endless:
        yield ast.Constant(value=True)
    if not isinstance(operator, ast.Or):
        yield ast.Constant(value=False)


def expressions(node: ast.expr, *, negated: bool) -> Iterator[ast.AST]:
    """What may stand for an expression; not its opposite, unless that is *negated* wanted too."""
    if isinstance(node, ast.Compare):
        yield from comparisons(node, negated=negated)
    elif isinstance(node, ast.UnaryOp):
        if (negated or not isinstance(node.op, ast.Not)) and not is_type_checking(node):
            yield node.operand
    elif type(node) in BY_KIND:
        yield from BY_KIND[type(node)](node)


def operands(node: ast.BoolOp) -> Iterator[ast.AST]:
    """All operands but one."""
    for index in range(len(node.values)):
        fewer = without(node.values, index)
        yield fewer[0] if len(fewer) == 1 else ast.BoolOp(op=node.op, values=fewer)


def operations(node: ast.BinOp) -> Iterator[ast.AST]:
    """Another operation on the same two."""
    if type(node.op) in ARITHMETIC:
        yield ast.BinOp(left=node.left, op=ARITHMETIC[type(node.op)](), right=node.right)


def constants(node: ast.Constant) -> Iterator[ast.AST]:
    """The neighbours of a number, the opposite of a truth value, a text that says something else."""
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(value=not value)
    elif isinstance(value, (int, float)):
        yield ast.Constant(value=value + 1)
        if value > 0:
            yield ast.Constant(value=value - 1)
    elif isinstance(value, str):
        yield ast.Constant(value=SURPRISE if value != SURPRISE else "")
    elif isinstance(value, bytes):
        yield ast.Constant(value=SURPRISE.encode())


def formats(node: ast.JoinedStr) -> Iterator[ast.AST]:
    """Another text, and the f-string with one of its formats left out."""
    yield ast.Constant(value=SURPRISE)
    for index, part in enumerate(node.values):
        if isinstance(part, ast.FormattedValue) and part.format_spec is not None:
            plain = ast.FormattedValue(value=part.value, conversion=part.conversion, format_spec=None)
            yield ast.JoinedStr(values=[*node.values[:index], plain, *node.values[index + 1 :]])


def comparisons(node: ast.Compare, *, negated: bool) -> Iterator[ast.AST]:
    """One operator moved to the other side of its boundary, or turned round."""
    for index, operator in enumerate(node.ops):
        others = COMPARISONS[type(operator)]
        for other in others if negated or len(node.ops) > 1 else others[:-1]:
            ops = [*node.ops[:index], other(), *node.ops[index + 1 :]]
            yield ast.Compare(left=node.left, ops=ops, comparators=node.comparators)


def calls(node: ast.Call) -> Iterator[ast.AST]:
    """Another function of the same arguments, or none."""
    if isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
        yield ast.Call(
            func=ast.Name(id=FUNCTIONS[node.func.id], ctx=ast.Load()), args=node.args, keywords=node.keywords
        )
    elif isinstance(node.func, ast.Attribute):
        name = node.func.attr
        if name in DROPPED_METHODS:
            yield node.func.value
        elif name in METHODS:
            other = ast.Attribute(value=node.func.value, attr=METHODS[name], ctx=ast.Load())
            yield ast.Call(func=other, args=node.args, keywords=node.keywords)


BY_KIND: dict[type[ast.AST], Callable[[Any], Iterator[ast.AST]]] = {
    ast.BinOp: operations,
    ast.BoolOp: operands,
    ast.Call: calls,
    ast.Constant: constants,
    ast.JoinedStr: formats,
}


def statements(node: ast.stmt) -> Iterator[ast.AST]:
    """The statement left out, or one that ends otherwise."""
    if isinstance(node, ast.Return):
        if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
            yield ast.Return(value=ast.Constant(value=None))
    elif isinstance(node, ast.Break):
        yield ast.Continue()
    elif isinstance(node, ast.Continue):
        yield ast.Break()
    elif isinstance(node, (ast.Expr, ast.Raise, ast.Delete, ast.AugAssign)) or is_kept_elsewhere(node):
        yield ast.Pass()


def is_kept_elsewhere(node: ast.stmt) -> bool:
    """Whether it assigns to what outlives the function; without a mere name, the next line would fail."""
    return isinstance(node, ast.Assign) and not isinstance(node.targets[0], (ast.Name, ast.Tuple))


def without(items: list[ast.expr], index: int) -> list[ast.expr]:
    """The items but for one."""
    return items[:index] + items[index + 1 :]
