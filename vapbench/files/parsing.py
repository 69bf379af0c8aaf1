"""Texts from outside as values: JSON, YAML and CSV, with the few errors that callers turn into a sentence.

The libraries behind these formats answer hostile input with errors of many kinds (RecursionError, KeyError, TypeError,
OverflowError, …), and take a few things in silence that no result can use: NaN, a column or key listed twice, a quote
that swallows the rest of a file.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections import Counter
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

from vapbench.errors import DataError, ErrorKind

DEEPEST = 64
"""Most levels of lists and objects within each other: whatever walks a value may recurse."""
MOST_ALIASES = 20
"""Of one YAML file: each can repeat everything before it."""
LARGEST_DECLARATION = 1 << 18
"""Bytes of a YAML file: PyYAML reads some hundred kilobytes a second."""
LARGEST_TABLE = 256 << 20
"""Bytes of a CSV file."""
_LONGEST_HEADER = 1 << 20
_SEPARATOR = re.compile(r"(?i)\"?sep=([,;\t])")

_LARGEST = 1e300
_LARGEST_DIGITS = 300


_MARKS = (
    # UTF-32's little-endian mark begins with UTF-16's.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encoding_of(path: Path) -> str:
    """The encoding of a text file, by its byte-order mark: UTF-16 or UTF-32; UTF-8 with or without one otherwise.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it looks like UTF-16 or UTF-32 without a mark.
    """
    with path.open("rb") as handle:
        head = handle.read(4)
    if 0 in head and not head.startswith(tuple(mark for mark, _ in _MARKS)):
        raise ValueError("no text, or UTF-16 without a byte-order mark")
    return next((name for mark, name in _MARKS if head.startswith(mark)), "utf-8-sig")


def read_text(path: Path) -> str:
    r"""A text file from anywhere: UTF-8, or UTF-16 and UTF-32 with a byte-order mark; every line ends with ``\n``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has another encoding.
    """
    encoding = encoding_of(path)
    try:
        return path.read_text(encoding=encoding)
    except UnicodeDecodeError as error:
        raise ValueError(_explain(error)) from None


def _explain(error: UnicodeDecodeError) -> str:
    return f"byte 0x{error.object[error.start]:02x} is not {error.encoding.removesuffix('-sig').upper()}"


def read_json_records(path: Path) -> list[Any]:
    """Records of a JSON Lines file, or of one JSON list; NaN, as data frames write what is not there, is None.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: as :func:`read_text` and :func:`parse_json`; a key is there twice, or a text holds half a character.
    """
    text = read_text(path)
    if text.lstrip().startswith("["):
        return list(_record(text))
    records = []
    # Not splitlines: a JSON string may hold U+2028 and its like as they are.
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            records += [_record(line)] if line.strip() else []
        except ValueError as error:
            raise ValueError(f"line {number}: {getattr(error, 'msg', error)}") from None
    return records


def _record(text: str) -> Any:
    value = parse_json(text, unique=True, without_nan=False)
    if re.search(r"\\u[dD][89a-fA-F]", text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("a text holds half a character (a lone surrogate)") from None
    return value


def parse_json(text: str | bytes, unique: bool = False, without_nan: bool = True) -> Any:
    """A JSON document or line; of a key listed twice, the last holds.

    Args:
        text: what to parse.
        unique: whether a key that is listed twice is refused instead.
        without_nan: whether NaN is refused; it is None otherwise.

    Raises:
        ValueError: it is no JSON or UTF-8, holds NaN or a number of 1e300 or more, or is nested deeper than
            :data:`DEEPEST`.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    try:
        value = _decoder(unique, without_nan).decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if text.count("[") + text.count("{") > DEEPEST:
        _check_depth(value)
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no finite number")


def _none_for_nan(name: str) -> Any:
    return None if name == "NaN" else _refuse_constant(name)


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if twice := next((name for name, times in Counter(name for name, _ in pairs).items() if times > 1), None):
        raise ValueError(f"the key {twice:.80} is there twice")
    return dict(pairs)


def _finite(text: str) -> float:
    # 1e999 is infinite without ever being called so.
    value = float(text)
    if not abs(value) < _LARGEST:
        raise ValueError(_TOO_LARGE)
    return value


def _whole(text: str) -> int:
    if len(text) > _LARGEST_DIGITS and len(text.lstrip("-")) > _LARGEST_DIGITS:
        raise ValueError(_TOO_LARGE)
    return int(text)


_TOO_LARGE = "a number is infinite, or larger than can be computed with"


@cache
def _decoder(unique: bool, without_nan: bool) -> json.JSONDecoder:
    return json.JSONDecoder(
        parse_constant=_refuse_constant if without_nan else _none_for_nan,
        parse_float=_finite,
        parse_int=_whole,
        object_pairs_hook=_refuse_repeated if unique else None,
    )


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST + 1):
        # A loop without a call per value: a manifest has hundreds of thousands.
        level = [item for item in level if type(item) is dict or type(item) is list]
        if not level:
            return
        level = [child for item in level for child in (item.values() if type(item) is dict else item)]
    raise ValueError(f"it is nested deeper than {DEEPEST} levels")


def _children(item: Any) -> Any:
    return item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()


def read_yaml(path: Path) -> Any:
    """A YAML declaration: plain data, never an object of a class.

    Raises:
        FileNotFoundError: there is no such file.
        yaml.YAMLError: it is no YAML, larger than :data:`LARGEST_DECLARATION`, no text, has more aliases than
            :data:`MOST_ALIASES`, or is nested deeper than :data:`DEEPEST`.
    """
    import yaml

    size = path.stat().st_size
    if size > LARGEST_DECLARATION:
        raise yaml.YAMLError(f"{size:,} bytes are more than the {LARGEST_DECLARATION:,} of a declaration")
    try:
        text = read_text(path)
    except ValueError as error:
        raise yaml.YAMLError(str(error)) from None
    try:
        value = _loader()(text).get_single_data()
        _check_declaration(value)
    except (yaml.YAMLError, OSError):
        raise
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply") from None
    except Exception as error:
        # PyYAML's own constructors: KeyError for '!!bool maybe', AttributeError for '!!timestamp x', IndexError, ….
        raise yaml.YAMLError(f"a value is not what its tag or form says ({type(error).__name__}: {error})") from error
    return value


def _check_declaration(value: Any) -> None:
    level: list[Any] = [value]
    for _ in range(DEEPEST + 1):
        level = [child for item in level for child in (*_children(item), *(item if isinstance(item, dict) else ()))]
        for item in level:
            if isinstance(item, str) and any("\ud800" <= character <= "\udfff" for character in item):
                raise ValueError("a text holds a lone surrogate, which is no character")
        if not level:
            return
    raise ValueError(f"it is nested deeper than {DEEPEST} levels")


@cache
def _loader() -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """PyYAML's safe loader, with few aliases: nested ones would multiply without end."""

        aliases = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                self.aliases += 1
                if self.aliases > MOST_ALIASES:
                    mark = self.peek_event().start_mark
                    raise yaml.composer.ComposerError(None, None, f"more than {MOST_ALIASES} aliases", mark)
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[str] = set()
            for key, _ in node.value:
                if key.tag == "tag:yaml.org,2002:str" and key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is there twice", key.start_mark)
                seen.add(key.value if key.tag == "tag:yaml.org,2002:str" else "")
            return super().construct_mapping(node, deep)

    return Loader


class _Cells(dict[str, str | None]):
    """A row by column. What a short row lacks is not kept: a file of few bytes may lack millions of cells."""

    def __missing__(self, column: str) -> None:
        return None


_NEVER_CLOSED = "unexpected end of data"
"""What the csv module says where a quoted cell goes on to the end of the file."""


def read_csv(path: Path, columns: Collection[str] = ()) -> tuple[list[str], list[tuple[int, dict[str, str | None]]]]:
    """A table with a header, its cells apart by commas, or by what spreadsheets write instead: semicolons or tabs.

    Args:
        path: the file.
        columns: names in lower case that the header may spell in any case, and with spaces around them.

    Returns:
        The columns, and each row with the number of its last line; cells that a short row lacks are None.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it is no CSV, its encoding is none that :func:`read_text` reads, it lists a column twice, a row has
            more cells than the header, a quote is never closed, or a cell is longer than 131,072 characters.
    """
    if (size := path.stat().st_size) > LARGEST_TABLE:
        raise DataError(
            f"{path}: {size:,} bytes are more than the {LARGEST_TABLE:,} that are read; split it.",
            ErrorKind.LIMIT,
            "bytes",
        )
    try:
        with path.open(encoding=encoding_of(path), newline="") as handle:
            before, first, mark = 0, handle.readline(_LONGEST_HEADER), ""
            # Spreadsheets leave rows blank, and Excel is told the separator in a line of its own.
            while first and ((said := _SEPARATOR.match(first)) or not first.strip(' ,;"\t\r\n')):
                mark = said[1] if said else mark
                before, first = before + 1, handle.readline(_LONGEST_HEADER)
            handle.seek(0)
            for _ in range(before):
                handle.readline(_LONGEST_HEADER)
            mark = mark or next((mark for mark in ",;\t" if mark in first), ",")
            # Strict: otherwise a quote that is never closed makes one cell of all the rows below it.
            reader = csv.reader(handle, strict=True, delimiter=mark)
            known = {name.strip().lower(): name for name in columns}
            header = [known.get(name.strip().lower(), name) for name in next(reader, [])]
            if twice := next((name for name, times in Counter(header).items() if times > 1), None):
                raise DataError(
                    f"{path}: the column {twice!r} is there twice; remove or rename one.", ErrorKind.CONFLICT, twice
                )
            rows: list[tuple[int, dict[str, str | None]]] = []
            for cells in reader:
                if not any(map(str.strip, cells)):
                    continue
                line = before + reader.line_num
                if len(cells) > len(header):
                    raise DataError(
                        f"{path}:{line}: the row has more cells than the header; correct it.", ErrorKind.INVALID, "row"
                    )
                rows.append((line, _Cells(zip(header, cells, strict=False))))
    except (ValueError, csv.Error) as error:
        if isinstance(error, UnicodeDecodeError):
            raise DataError(
                f"{path}: not a UTF-8 CSV file ({_explain(error)}); save it as UTF-8.", ErrorKind.DAMAGED, "encoding"
            ) from error
        if str(error) == _NEVER_CLOSED:
            raise DataError(
                f"{path}: a quotation mark is never closed; close it, or double the mark.",
                ErrorKind.DAMAGED,
                "quotation",
            ) from error
        raise DataError(f"{path}: not a CSV file ({error}); save it as one, in UTF-8.", ErrorKind.DAMAGED) from error
    return header, rows
