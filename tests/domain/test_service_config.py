"""Configuration files as a vnode packs them: whatever tar makes of them, the same files come out."""

import base64
import gzip
import io
import tarfile

import pytest

from nsmig_tui.domain.service_config import plain_members, unpack_files

FILES = {"/etc/a.conf": b"a;\n", "/etc/b.conf": b"", "/etc/c.conf": b"c" * 1025, "/etc/\udcff.conf": b"odd"}


def packed(files=FILES, form=tarfile.GNU_FORMAT, linked=False):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, errors="surrogateescape") as tar:
        for path, data in files.items():
            entry = tarfile.TarInfo(path[1:])
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        if linked:
            entry = tarfile.TarInfo("etc/d.conf")
            entry.type, entry.linkname = tarfile.LNKTYPE, "etc/a.conf"
            tar.addfile(entry)
    return buffer.getvalue()


def unpack(archive, paths):
    names = "\n".join(paths)
    text = base64.b64encode(gzip.compress(archive)).decode()
    return {f.path: f.data for f in unpack_files(text, names, names)}


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT])
def test_plain_files_come_out_of_every_kind_of_tar(form):
    assert unpack(packed(form=form), FILES) == FILES


def test_the_quick_way_is_taken_for_what_tars_on_vnodes_make():
    assert plain_members(packed()) == FILES
    assert plain_members(packed(form=tarfile.USTAR_FORMAT)) == FILES


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_hard_links_come_out_too(form):
    files = FILES | {"/etc/" + "long/" * 24 + "name.conf": b"long"}
    found = unpack(packed(files, form, linked=True), [*files, "/etc/d.conf"])
    assert found == files | {"/etc/d.conf": b"a;\n"}


def test_damage_gives_no_files():
    archive = packed()
    assert unpack(archive[:514], FILES) == {}
    assert unpack(archive[:3000], FILES).keys() < FILES.keys()
    broken = bytearray(archive)
    broken[20] ^= 1
    assert plain_members(bytes(broken)) is None
    assert unpack_files("AAAA", "/etc/a.conf", "/etc/a.conf") == []
    assert unpack_files("", "/etc/a.conf", "/etc/a.conf") == []
