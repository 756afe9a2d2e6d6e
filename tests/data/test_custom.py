# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import sys

import pytest
from torchmultimodal_reid.data.custom import custom
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.sample import PersonImage

HEADER = "path,identity,camera,split,caption\n"


@pytest.fixture
def build(tmp_path):
    def write(text, name="table.csv", images=("a.jpg", "b.jpg", "c.jpg")):
        for image in images:
            (tmp_path / image).touch()
        data = text if isinstance(text, bytes) else text.encode("utf-8")
        (tmp_path / name).write_bytes(data)
        return str(tmp_path)

    return write


@pytest.fixture
def parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    def write(**columns):
        for image in ("a.jpg", "b.jpg", "c.jpg"):
            (tmp_path / image).touch()
        path = tmp_path / "table.parquet"
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
        return str(path)

    return write


def test_reads_csv(build):
    root = build(
        "\ufeff"
        + HEADER
        + 'a.jpg,7,0,train,"A man, tall"\na.jpg,7,0,train,"Two\nlines"\r\n'
        + 'b.jpg,8,1,query,\nc.jpg,8,2,test,"A ""hat"""\n'
    )
    split = custom(root)
    a, b, c = (f"{root}/{name}.jpg" for name in "abc")
    last = PersonImage(c, 8, 2, ('A "hat"',))
    assert split.train == (PersonImage(a, 7, 0, ("A man, tall", "Two\nlines")),)
    assert split.query == (PersonImage(b, 8, 1), last)
    assert split.gallery == (last,)
    assert custom(f"{root}/table.csv") == split


def test_a_table_where_the_program_runs(build, monkeypatch):
    monkeypatch.chdir(build(HEADER + "a.jpg,7,0,train,\n"))
    split = custom("table.csv")
    # a message that names the root has something to name
    assert (split.root, split.train) == (".", (PersonImage("a.jpg", 7, 0),))


def test_columns_in_any_order_and_without_captions(build):
    root = build("split,extra,camera,identity,path\ntrain,x,1,2,a.jpg\n")
    with pytest.raises(DataError, match="unknown columns 'extra'.*ignore_columns"):
        custom(root)
    split = custom(root, ignore_columns=["extra"])
    assert split.train == (PersonImage(f"{root}/a.jpg", 2, 1),)


def test_reads_parquet(parquet):
    path = parquet(
        path=["a.jpg", "a.jpg", "b.jpg"],
        identity=[7, 7, 8],
        camera=[0, 0, 1],
        split=["train", "train", "test"],
        caption=["x", "y", None],
    )
    split = custom(path)
    assert [image[1:4] for image in split.train] == [(7, 0, ("x", "y"))]
    assert [image[1:4] for image in split.query] == [(8, 1, ())]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"identity": [7.0]}, "row 0 .*'identity' must be a whole number .* got 7.0"),
        ({"identity": [float("nan")]}, "'identity' must be .* got nan"),
        ({"identity": [None]}, "'identity' must be .* got None"),
        ({"path": [["a.jpg"]]}, r"'path' must be the image's path .* got \['a.jpg'\]"),
        ({"caption": [["x"]]}, "'caption' must be text, got a list"),
    ],
)
def test_parquet_of_other_types(parquet, change, message):
    columns = {"path": ["a.jpg"], "identity": [1], "camera": [0], "split": ["train"]}
    with pytest.raises(DataError, match=f"table.parquet: .*{message}"):
        custom(parquet(**{**columns, **change}))


def test_parquet_without_pyarrow(build, monkeypatch):
    root = build(b"PAR1", "table.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"needs pyarrow: pip install .*\[parquet\]"):
        custom(root)


def test_damaged_parquet(build):
    pytest.importorskip("pyarrow")
    with pytest.raises(DataError, match="table.parquet: not a Parquet file"):
        custom(build(b"PAR1 and no more", "table.parquet"))


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "the file is empty; expected a first line with the columns path"),
        (HEADER, "the table has no rows"),
        ("path;identity;camera;split\n", "expected the columns path, .* got 'path;id"),
        ("path,identity,camera,split,split\n", "the column 'split' is there twice"),
        (HEADER + "a.jpg,1,0,train\n", "line 2: expected 5 values .* got 4"),
        (HEADER + "a.jpg,1,0,train,x,y\n", "line 2: expected 5 values .* got 6"),
        (HEADER + 'a.jpg,1,0,train,"x\n', "line 2: broken CSV: unexpected end"),
        (HEADER + "a.jpg,1,0,val,x\n", "'split' must be one of train, query, gallery"),
        (HEADER + "a.jpg,-1,0,train,x\n", "'identity' must be .* got '-1'"),
        (HEADER + "a.jpg,1e3,0,train,x\n", "'identity' must be .* got '1e3'"),
        (HEADER + "a.jpg,١,0,train,x\n", "'identity' must be a whole number"),
        (HEADER + "a.jpg,1," + "9" * 30 + ",train,x\n", "'camera' must be .* 2"),
        (HEADER + "a.jpg,1,0,train,x\na.jpg,1,0,train,x\n", "line 3 .* nothing new"),
        (HEADER + "a.jpg,1,0,train,x\na.jpg,2,0,query,x\n", "line 3 .*identity 1 and"),
        (HEADER + "d.jpg,1,0,train,x\na.jpg,2,0,query,x\n", "1 of 2 images are not"),
        (HEADER.encode("utf-16"), "line 1 holds a zero byte, .* saved as UTF-16"),
        (
            HEADER.encode() + b"a.jpg,1,0,train,\xe4\n",
            "not UTF-8 text .line 2, byte 16",
        ),
    ],
)
def test_names_the_line_that_does_not_fit(build, text, message):
    with pytest.raises(DataError, match=f"table.csv: {message}|table.csv: .*{message}"):
        custom(build(text))


def test_which_table(build, tmp_path):
    root = build(HEADER)
    build(HEADER, "other.csv")
    with pytest.raises(DataError, match="expected one table .* found other.csv, table"):
        custom(root)
    with pytest.raises(DataError, match="none' is not a folder that .* nor a table"):
        custom(f"{root}/none")
    (tmp_path / "x.txt").touch()
    with pytest.raises(DataError, match="x.txt: expected a file that ends in .csv"):
        custom(root, table=f"{root}/x.txt")
