from __future__ import annotations

from dataclasses import fields

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import workbench.az as az
from models.linear import MODEL as LINEAR
from models.robust import MODEL as ROBUST
from workbench.comparison import Comparison
from workbench.errors import WorkbenchError
from workbench.fit import DrawsFit, ModeFit
from workbench.store import load, read_source, save
from workbench.store.file import _encoding


@pytest.fixture(scope="module")
def path(comparison, tmp_path_factory):
    """The comparison's file, which no test changes."""
    path = tmp_path_factory.mktemp("saved") / "comparison.nc"
    save(comparison, path)
    return path


@pytest.fixture(scope="module")
def content(trees, tmp_path_factory):
    """The bytes of a file, to be damaged."""
    path = tmp_path_factory.mktemp("whole") / "c.nc"
    save(trees, path)
    return path.read_bytes()


def assert_same(a, b):
    """Equal in type and to the last bit, nan included; containers by their parts."""
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    elif isinstance(a, pd.DataFrame):
        pd.testing.assert_frame_equal(a, b, check_exact=True)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, float):
        assert a == b or (np.isnan(a) and np.isnan(b))
    else:
        assert a == b


def test_what_shrinks_is_compressed_and_all_that_is_big_is_checked(tmp_path):
    draws, flags = np.random.default_rng(0).normal(size=(2, 4000)), np.zeros((2, 4000), dtype=bool)
    dims = ("chain", "draw")
    dataset = xr.Dataset({"draws": (dims, draws), "flags": (dims, flags), "few": ("chain", [1, 2])})
    dataset.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding=_encoding(dataset))
    with h5py.File(tmp_path / "a.nc") as file:
        found = {k: (file[k].compression, file[k].fletcher32) for k in ("draws", "flags", "few")}
    assert found == {"draws": (None, True), "flags": ("gzip", True), "few": (None, False)}


@pytest.mark.parametrize("name", ["table", "ledger", "scores"])
def test_tables_come_back_to_the_last_bit(comparison, path, name):
    pd.testing.assert_frame_equal(
        getattr(load(path), name), getattr(comparison, name), check_exact=True
    )


def test_what_is_read_off_a_comparison_comes_back(comparison, path):
    back = load(path)
    assert len(back.findings) == len(comparison.findings)
    for finding, again in zip(comparison.findings, back.findings, strict=True):
        assert_same(vars(finding), vars(again))
    assert back.verdict == comparison.verdict
    assert back.trustworthy == comparison.trustworthy
    for name in ("model_name", "data_name", "level", "seed", "refused", "terms", "name"):
        assert getattr(back, name) == getattr(comparison, name)
    assert str(back) == str(comparison)


def test_mode_fits_come_back(comparison, path):
    back = load(path)
    assert list(back.fits) == list(comparison.fits)
    for method, fit in comparison.fits.items():
        again = back.fits[method]
        assert type(again) is type(fit)
        if not isinstance(fit, ModeFit):
            continue
        for name in ("values", "estimates", "z", "z_labels", "information", "covariance",
                     "null_directions", "eigenvalues", "status", "detail",
                     "log_objective", "condition_number", "num_parameters"):  # fmt: skip
            assert_same(_plain(getattr(fit, name)), _plain(getattr(again, name)))
        assert_same(fit.provenance.record(), again.provenance.record())
        assert_same(vars(fit.starts), vars(again.starts))
        assert_same(vars(fit.history), vars(again.history))
        assert_same(fit.summary(0.8), again.summary(0.8))
        assert (again.llf, again.nobs) == (fit.llf, fit.nobs)
        assert again.aic == fit.aic or fit.method != "MLE"


def _plain(value):
    if isinstance(value, dict):
        return {k: np.asarray(v) for k, v in value.items()}
    return value


def test_draws_come_back(comparison, path):
    fit, again = comparison.fits["NUTS"], load(path).fits["NUTS"]
    assert isinstance(fit, DrawsFit)
    assert isinstance(again, DrawsFit)
    assert list(again.datatree.children) == list(fit.datatree.children)
    for name, group in fit.datatree.children.items():
        there = again.datatree[name].to_dataset()
        assert list(there.data_vars) == list(group.data_vars)
        xr.testing.assert_equal(there, group.to_dataset())
        assert all(there[v].dtype == group[v].dtype for v in group.data_vars)
    assert_same(fit.estimand_draws, again.estimand_draws)
    assert_same(fit.summary(), again.summary())


def test_predictions_come_back(comparison, path):
    back = load(path)
    for group in ("predictions", "held_out"):
        there, here = getattr(back, group), getattr(comparison, group)
        assert list(there) == list(here)
        for method in here:
            assert_same(vars(here[method]), vars(there[method]))


def test_data_come_back_with_formula_and_card(comparison, path):
    data, again = comparison.data, load(path).data
    assert again.fingerprint == data.fingerprint
    assert again.card == data.card
    assert again.units == data.units
    if data.design is not None:
        assert again.design.formula == data.design.formula
        frame = data.design.frame.iloc[:3]
        assert again.new(frame).fingerprint == data.new(frame).fingerprint


def test_a_loaded_fit_predicts_with_its_model_and_not_without(comparison, path, model):
    back = load(path, model)
    for method in back.predictions:
        expected = comparison.fits[method].predict()
        assert_same(vars(back.fits[method].predict()), vars(expected))
        with pytest.raises(WorkbenchError, match=r"load\(path, model=...\)"):
            load(path).fits[method].predict()


def test_opens_with_plain_xarray_and_arviz(comparison, path):
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        assert {"posterior", "sample_stats", "log_likelihood", "observed_data"} <= set(
            tree.children
        )
        summary = az.summary(tree)
        estimate = tree["fits/MAP/estimates"]["estimate"].to_series()
    assert estimate.to_dict() == comparison.fits["MAP"].params.to_dict()
    draws = comparison.fits["NUTS"].estimands
    shared = summary.index.intersection(draws.index)
    assert len(shared)
    np.testing.assert_allclose(
        summary.loc[shared, "mean"], draws.loc[shared, "estimate"], rtol=1e-12
    )  # two orders of summation


def test_source_of_the_model_is_kept(trees, tmp_path):
    save(trees, tmp_path / "c.nc")
    source = read_source(tmp_path / "c.nc")
    assert source.name == source.function == "linear"
    assert source.documentation.startswith("Normal linear regression.")
    assert "numpyro.sample" in source.code


def test_saving_what_was_loaded_changes_nothing(trees, tmp_path):
    save(trees, tmp_path / "a.nc")
    save(load(tmp_path / "a.nc", LINEAR), tmp_path / "b.nc")
    a, b = load(tmp_path / "a.nc"), load(tmp_path / "b.nc")
    assert_same(a.table, b.table)
    assert a.data.fingerprint == b.data.fingerprint
    assert read_source(tmp_path / "b.nc") == read_source(tmp_path / "a.nc")


def test_no_field_of_a_comparison_is_forgotten():
    # a field that a later version adds must be written, or named here
    stored = {
        "model_name", "data_name", "table", "ledger", "scores", "findings", "fits", "refused",
        "predictions", "held_out", "data", "level", "seed",
    }  # fmt: skip
    assert {f.name for f in fields(Comparison)} == stored


# -- files that cannot be read -----------------------------------------------------------------


def test_missing_file(tmp_path):
    with pytest.raises(WorkbenchError, match=r"there is no file '.*nowhere.nc'"):
        load(tmp_path / "nowhere.nc")


def test_folder(tmp_path):
    with pytest.raises(WorkbenchError, match="is a folder"):
        load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"term,estimate\n", b"\x89HDF"])
def test_file_of_another_kind(tmp_path, content):
    (tmp_path / "c.nc").write_bytes(content)
    with pytest.raises(WorkbenchError, match="is not a NetCDF file"):
        load(tmp_path / "c.nc")


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_truncated_file(content, tmp_path, share):
    (tmp_path / "c.nc").write_bytes(content[: int(share * len(content))])
    with pytest.raises(WorkbenchError, match="is damaged"):
        load(tmp_path / "c.nc")


def test_flipped_bit_in_the_draws_is_noticed(content, tmp_path):
    # the blocks of big arrays carry a checksum; most of the file is such blocks
    (tmp_path / "c.nc").write_bytes(content)
    content = bytearray(content)
    with h5py.File(tmp_path / "c.nc") as file:
        info = file["log_likelihood/y"].id.get_chunk_info(0)
    content[info.byte_offset + info.size // 2] ^= 1
    (tmp_path / "c.nc").write_bytes(content)
    with pytest.raises(WorkbenchError, match="is damaged"):
        load(tmp_path / "c.nc")


def test_netcdf_of_another_kind(tmp_path):
    xr.Dataset({"a": ("x", [1.0])}).to_netcdf(tmp_path / "c.nc", engine="h5netcdf")
    with pytest.raises(WorkbenchError, match="a NetCDF file of another kind"):
        load(tmp_path / "c.nc")


def test_another_version_of_the_format(tmp_path):
    attrs = {"format": "workbench comparison", "format_version": 99}
    xr.Dataset(attrs=attrs).to_netcdf(tmp_path / "c.nc", engine="h5netcdf")
    with pytest.raises(WorkbenchError, match="has format version 99; this version .* reads 1"):
        load(tmp_path / "c.nc")


def test_another_model_is_refused(trees, tmp_path):
    save(trees, tmp_path / "c.nc")
    with pytest.raises(WorkbenchError, match="model 'robust' is not the one in"):
        load(tmp_path / "c.nc", ROBUST)
