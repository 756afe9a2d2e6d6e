# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Annotation files that are damaged in many ways: each gives a correct read or a DataError that names the file."""

import copy
import json
import random
from pathlib import Path

import pytest
from torchmultimodal_reid.data.captions import read_captions
from torchmultimodal_reid.data.captions_tsv import captions_tsv
from torchmultimodal_reid.data.cuhk_pedes import cuhk_pedes
from torchmultimodal_reid.data.custom import custom
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.icfg_pedes import icfg_pedes
from torchmultimodal_reid.data.luperson_mllm import luperson_mllm
from torchmultimodal_reid.data.msmt17 import msmt17
from torchmultimodal_reid.data.rstpreid import rstpreid
from torchmultimodal_reid.data.synth_pedes import synth_pedes

NAMES = [f"{i:04d}_000_0{i + 1}_0303morning_0008_0.jpg" for i in range(4)]
CAPTIONS = ["A man in a red coat.", "Señora, blue jeans — tall.", "Mañana", "日本 coat"]
STRANGE = [
    None,
    True,
    -1,
    2**80,
    1.5,
    float("nan"),
    float("inf"),
    "",
    " ",
    "x",
    "\0",
    "\ud800",
    "../../x",
    "/",
    ".",
    [],
    [[]],
    {},
    {"a": {"b": []}},
    [None],
    ["", 1],
    "9" * 5000,
]


def _pedes(field):
    splits = ("train", "train", "val", "test")
    return [
        {"split": s, "captions": [c, c + " Two."], field: n, "id": i}
        for i, (s, n, c) in enumerate(zip(splits, NAMES, CAPTIONS))
    ]


def _captions(_):
    return [
        {
            "file_path": n,
            "captions": [c],
            "attributes": {"coat": "red"},
            "told": [{"coat": "red"}],
        }
        for n, c in zip(NAMES, CAPTIONS)
    ]


def _synth(_):
    return [
        {
            "id": i,
            "file_path": n,
            "attributes": ["man,unknown"],
            "captions": [c],
            "prompt_caption": ["x"],
        }
        for i, (n, c) in enumerate(zip(NAMES, CAPTIONS))
    ]


# name -> (annotation file, records, folder of images, reader)
JSON_FORMATS = {
    "captions": ("captions.json", _captions, "", None),
    "cuhk_pedes": ("reid_raw.json", lambda _: _pedes("file_path"), "imgs", cuhk_pedes),
    "icfg_pedes": (
        "ICFG-PEDES.json",
        lambda _: _pedes("file_path"),
        "imgs",
        icfg_pedes,
    ),
    "rstpreid": ("data_captions.json", lambda _: _pedes("img_path"), "imgs", rstpreid),
    "synth_pedes": ("synthpedes-dataset.json", _synth, "", synth_pedes),
    "luperson": (
        "x.json",
        lambda _: dict(zip(NAMES, CAPTIONS)),
        "",
        luperson_mllm,
    ),
}
TABLE = "path,identity,camera,split,caption\n" + "".join(
    f'{n},{i},{i},{s},"{c}"\n'
    for i, (n, s, c) in enumerate(
        zip(NAMES, ("train", "query", "gallery", "test"), CAPTIONS)
    )
)
LINES = "".join(f"{n}\t{c}\n" for n, c in zip(NAMES, CAPTIONS))
TEXT_FORMATS = {
    "tsv": ("captions.tsv", LINES, captions_tsv),
    "csv": ("table.csv", TABLE, custom),
}


def mutate_text(text, rng):
    """Bytes of a text that was cut, changed, repeated or saved in another encoding."""
    kind = rng.randrange(9)
    place = rng.randrange(len(text))
    if kind == 0:
        return text[:place].encode()
    if kind == 1:
        data = text.encode()
        return data[: rng.randrange(len(data))]
    if kind == 2:
        encoding = ("utf-16", "utf-16-le", "utf-32", "latin-1", "utf-8-sig", "cp500")
        return text.encode(rng.choice(encoding), "replace")
    if kind == 3:
        odd = (
            "\0",
            '"',
            "\n",
            "\t",
            ",",
            "\r",
            "{",
            "]",
            "\u2028",
            "\ufeff",
            "'",
            "\\",
        )
        return (text[:place] + rng.choice(odd) + text[place + 1 :]).encode()
    if kind == 4:
        return (text[:place] + text).encode()
    if kind == 5:
        data = bytearray(text.encode())
        data[rng.randrange(len(data))] = rng.randrange(256)
        return bytes(data)
    if kind == 6:
        lines = text.split("\n")
        lines.insert(rng.randrange(len(lines)), rng.choice(lines))
        return "\n".join(lines).encode()
    if kind == 7:
        words = ("NaN", "-Infinity", "1e999", "9" * 5000, "-7", "[" * 3000, "null", "")
        digits = [i for i, c in enumerate(text) if c.isdigit()]
        place = rng.choice(digits)
        return (text[:place] + rng.choice(words) + text[place + 1 :]).encode()
    return b"" if rng.random() < 0.5 else text.replace("\n", "\r\n").encode()


def mutate_records(content, rng):
    """JSON whose values have other types, or whose keys are missing, added or there twice."""
    content = copy.deepcopy(content)
    keys = list(range(len(content))) if isinstance(content, list) else list(content)
    key = rng.choice(keys)
    record = content[key]
    if rng.random() < 0.15 or not isinstance(record, dict):
        content[key] = rng.choice(STRANGE)
    else:
        field = rng.choice(list(record))
        kind = rng.randrange(4)
        if kind == 0:
            del record[field]
        elif kind == 1 and isinstance(record[field], list):
            record[field][rng.randrange(len(record[field]))] = rng.choice(STRANGE)
        else:
            record[field] = rng.choice(STRANGE)
    text = json.dumps(content)
    if rng.random() < 0.2:
        text = text.replace('": ', '": 0, "', 1)
    if isinstance(content, list) and rng.random() < 0.15:
        text = text.replace("{", '{"id": 1, "id": 2, ', 1)
    return text.encode("utf-8", "surrogatepass")


def well_formed(images):
    """Whether what was read is what a reader promises: nothing half-read, nothing of another type."""
    for image in images:
        assert type(image.identity) is int and 0 <= image.identity < 2**63
        assert type(image.camera) is int and 0 <= image.camera < 2**63
        assert Path(image.path).is_file()
        for caption in image.captions:
            assert type(caption) is str and caption.strip()
            caption.encode("utf-8")


def images_told(data):
    """How many images a list of records names, where it can be told without a reader."""
    try:
        content = json.loads(data.decode("utf-8-sig", "surrogatepass"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, list) or any(not isinstance(r, dict) for r in content):
        return None
    names = [record.get("file_path", record.get("img_path")) for record in content]
    val = sum(record.get("split") == "val" for record in content)
    return len({str(name) for name in names}) - val


def check(read, path, data, longest=2000):
    path.write_bytes(data)
    try:
        split = read()
    except DataError as error:
        message = str(error)
        assert path.name in message or str(path.parent) in message
        assert len(message) < longest
        return False
    if isinstance(split, dict):
        for record in split.values():
            assert all(caption.strip() for caption in record.captions)
        assert len(split) == images_told(data)
    else:
        well_formed(split.train + split.query + split.gallery)
        told = images_told(data)
        if told is not None:  # nothing was left out silently
            assert len({i.path for i in split.train + split.query}) == told
    return True


@pytest.fixture
def root(tmp_path):
    for folder in (tmp_path, tmp_path / "imgs"):
        folder.mkdir(exist_ok=True)
        for name in NAMES:
            (folder / name).touch()
    return tmp_path


@pytest.mark.parametrize("seed", range(18))
@pytest.mark.parametrize("name", JSON_FORMATS)
def test_json(root, name, seed):
    file, build, _, reader = JSON_FORMATS[name]
    path, content = root / file, build(None)

    def read():
        return read_captions(str(path)) if reader is None else reader(str(root))

    text = json.dumps(content, ensure_ascii=False, indent=1)
    assert check(read, path, text.encode())
    rng = random.Random(f"{name} {seed}")
    check(read, path, mutate_text(text, rng))
    check(read, path, mutate_records(content, rng))


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_text(root, name, seed):
    file, text, reader = TEXT_FORMATS[name]
    path = root / file
    assert check(lambda: reader(str(root)), path, text.encode())
    data = mutate_text(text, random.Random(f"{name} {seed}"))
    check(lambda: reader(str(root)), path, data)


@pytest.mark.parametrize("seed", range(20))
def test_list_of_msmt17(tmp_path, seed):
    lists = {}
    for part, folder in (
        ("train", "train"),
        ("val", "train"),
        ("query", "test"),
        ("gallery", "test"),
    ):
        lines = []
        for name in NAMES[:2] if part in ("train", "query") else NAMES[2:]:
            path = tmp_path / folder / name[:4] / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            lines.append(f"{name[:4]}/{name} {int(name[:4])}\n")
        lists[part] = "".join(lines)
        (tmp_path / f"list_{part}.txt").write_text(lists[part])
    rng = random.Random(f"msmt17 {seed}")
    part = rng.choice(list(lists))
    path = tmp_path / f"list_{part}.txt"
    assert check(lambda: msmt17(str(tmp_path)), path, lists[part].encode())
    data = mutate_text(lists[part], rng)
    check(lambda: msmt17(str(tmp_path)), path, data)


@pytest.mark.parametrize("seed", range(30))
def test_parquet(root, seed):
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    rng = random.Random(f"parquet {seed}")
    columns = {
        "path": NAMES,
        "identity": [1, 2, 3, 4],
        "camera": [0, 1, 2, 3],
        "split": ["train", "query", "gallery", "test"],
        "caption": CAPTIONS,
    }
    others = [
        [None] * 4,
        [1.0, float("nan"), 2.0, 3.0],
        [-1, 0, 1, 2],
        [[1]] * 4,
        [{"a": 1}] * 4,
        [b"\xff"] * 4,
        ["1", "2", "x", ""],
        [True] * 4,
        [2**63 - 1] * 4,
    ]
    path = root / "table.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    data = path.read_bytes()
    assert check(lambda: custom(str(path)), path, data)
    check(lambda: custom(str(path)), path, data[: rng.randrange(len(data))])
    column = rng.choice(list(columns))
    kind = rng.randrange(3)
    if kind == 0:
        columns[column] = rng.choice(others)
    elif kind == 1:
        columns[column + "s"] = columns.pop(column)
    table = pyarrow.table(columns)
    if kind == 2:
        table = table.append_column(column, [columns[column]])
    pyarrow.parquet.write_table(table, path)
    check(lambda: custom(str(path)), path, path.read_bytes())
